"""The pilot cutter Sanderling, built in 1931, restored for the maritime museum at Port Ellery."""

from ..documents import archive, pdf, table
from ..layouts import with_pictures
from ..letter import File, Letter
from ..pictures import bar_chart, planks, sailing_boat

SURVEY = pdf(
    "Condition survey: pilot cutter Sanderling",
    [
        "Length on deck 14.2 m, beam 4.1 m, built 1931, larch on oak.",
        "Keel: sound. Two bolts of eleven wasted to half their thickness.",
        "Planking: 31 of 118 strakes to be renewed, all below the turn of the bilge.",
        "Frames: nine doubled in the 1960s in the wrong timber; to be replaced.",
        "Deck: canvas over pine, leaking at both covering boards.",
        "Mast: good. Boom: short repair at the jaws.",
        "Estimate: 2,150 hours, five to six months with two shipwrights.",
    ],
)
HOURS = table(
    [
        ("week", "task", "hours", "who"),
        (1, "Keel bolts out, hull shored", 61, "Tomás, Josie"),
        (2, "Frames 7 to 11", 74, "Tomás"),
        (3, "Frames 12 to 15, garboards off", 79, "Tomás, Josie"),
        (4, "Garboards on", 68, "Tomás"),
        (5, "Strakes 3 and 4, port", 71, "Tomás, Josie"),
    ]
)

LETTERS = (
    Letter(
        "sanderling-enquiry", "176d 09:41", "harriet", "info", "A pilot cutter in need of a yard",
        """
        Dear Kittiwake Boatyard,

        The museum has been left a pilot cutter, Sanderling, built in 1931 and afloat until about
        nine years ago. She has been under a tarpaulin behind our rope store ever since. The
        trustees would like to know whether she can sail again, and what that would cost, before
        they decide whether to show her on a plinth.

        Would one of you be willing to come and look at her? We can pay for a proper survey.

        With kind regards,
        Harriet Osei
        Curator of Vessels, Port Ellery Maritime Museum
        """,
        folder="Archive",
    ),
    Letter(
        "sanderling-yes", "175d 08:20", "marta", "harriet",
        text="""
        Dear Harriet,

        We would love to. My grandfather used to talk about Sanderling: she brought him in over the
        bar one winter night and he never forgot how she stood up to it.

        Tomás Ferreira, who runs our workshop, could come on {day-168} with a moisture meter and a
        bag of spikes. He needs the tarpaulin off and a ladder, and somebody who knows where the
        keel sits on the blocks. The survey is a fixed 640, and we take it off the bill if the
        work comes to us.

        Please do not let anybody pressure-wash her before then!

        Marta Lindqvist
        Kittiwake Boatyard, Skerrow
        """,
        answers="sanderling-enquiry", quote=True,
    ),
    Letter(
        "sanderling-agreed", "174d 13:05", "harriet", "marta",
        text="""
        Marta, that is settled then. I have hidden the pressure washer.

        The old logbooks are in our reading room if Mr Ferreira would like to see them; two of them
        list every plank that was changed before the war.

        Harriet
        """,
        answers="sanderling-yes", quote=True, folder="Archive",
    ),
    Letter(
        "sanderling-survey", "160d 16:32", "tomas", "harriet", "Sanderling: survey report",
        """
        Dear Dr Osei,

        The report is attached. The short form:

         - The keel, the stem and the mast are better than anybody has a right to expect.
         - Thirty-one planks must go, all low down, where rain water stood inside her.
         - Nine frames were doubled in the sixties with the wrong wood and have rotted from there.

        She is worth doing. If she goes on a plinth she will be gone in ten years, whatever paint
        you put on; if she goes back into the water she will outlive me.

        The logbooks were a great help, thank you. I have photographed the pages about the planks.

        Regards,
        Tomás Ferreira
        """,
        cc="marta", files=(File("Survey Sanderling.pdf", "application/pdf", SURVEY),),
    ),
    Letter(
        "sanderling-trustees", "151d 10:15", "harriet", "tomas marta",
        text="""
        Dear Tomás, dear Marta,

        The trustees read the report twice and then voted seven to one to make her sail. The one
        wanted a bigger engine.

        I will send the signed order this week. There are two conditions: school classes may visit
        the yard once a month, and she has to be afloat for the museum's anniversary. Which gives
        you until {day+9}. Is that possible?

        Harriet
        """,
        answers="sanderling-survey", quote=True, flagged="marta tomas", keywords=("$Important",),
    ),
    Letter(
        "sanderling-possible", "151d 14:48", "marta", "harriet",
        text="""
        It is possible if the larch comes in time and if nothing else turns up under the floor.
        Something always does, so let us say: yes, and I will tell you early if it becomes a no.

        School classes are welcome. Hard hats in child sizes are on our list already.
        """,
        answers="sanderling-trustees", quote=True,
    ),
    Letter(
        "sanderling-bolts", "122d 15:22", "tomas", "marta aiko", "Sanderling: keel bolts",
        """
        All eleven bolts are out. Two were as expected. Three more looked fine at both ends and
        are as thin as a pencil in the middle, so I want to make all eleven new, in bronze.

        Aiko, could you ask Miura-san whether they could cast blanks of 28 mm, 620 mm long?
        Nobody on this coast has anything over 500.

        It costs us four days if they can and three weeks if they cannot.

        T.
        """,
    ),
    Letter(
        "sanderling-bolts-aiko", "122d 16:03", "aiko", "tomas",
        text="""
        Tomás wrote:
        > Aiko, could you ask Miura-san whether they could cast blanks of 28 mm, 620 mm long?

        Written to him just now, with your sketch. He is usually quick.

        > Nobody on this coast has anything over 500.

        Nobody on this coast has anything over 500 that they admit to. I will ring the
        submarine people as well.

        Aiko
        """,
        answers="sanderling-bolts", 
    ),
    Letter(
        "sanderling-pictures", "96d 11:38", "aiko", "harriet", "Sanderling this month, in two pictures",
        """
        Dear Harriet,

        Here are the pictures for your notice board. The first one shows the port side with the
        fourth strake off: you can see the new frames behind it. The second is how she will look.

        Aiko Brandt
        """,
        client="postroom",
        html=with_pictures(
            [
                "Dear Harriet,",
                "Here are the pictures for your notice board. The first one shows the port side with the fourth "
                "strake off: you can see the new frames behind it. The second is how she will look.",
                "Aiko Brandt",
            ],
            [("port-side@kittiwake.example", "Port side, fourth strake off"),
             ("under-sail@kittiwake.example", "How she will look")],
        ),
        files=(
            File("port-side.png", "image/png", planks(gap=3), cid="port-side@kittiwake.example"),
            File("under-sail.png", "image/png", sailing_boat(), cid="under-sail@kittiwake.example"),
        ),
    ),
    Letter(
        "sanderling-pictures-thanks", "95d 09:02", "harriet", "aiko",
        text="""
        These are already on the board, and there is a small crowd in front of it. One of our
        volunteers sailed on her as a boy and had to sit down.

        Could you send the drawing of the sail plan as well, for the school classes?
        """,
        answers="sanderling-pictures", quote=True,
    ),
    Letter(
        "sanderling-plans", "94d 14:17", "aiko", "harriet",
        text="""
        Here is everything I have drawn so far, in one archive: the sail plan, the hours chart and
        a text that says what the words mean, written for ten-year-olds.

        Aiko
        """,
        answers="sanderling-pictures-thanks", 
        files=(
            File(
                "sanderling-for-schools.zip", "application/zip",
                archive({
                    "sail-plan.png": sailing_boat(240, 160, dusk=True),
                    "hours.png": bar_chart((61, 74, 79, 68, 71)),
                    "words.txt": b"Strake: one plank, from the stem to the stern.\n"
                    b"Frame: a rib of the boat. Planks are fastened to it.\n"
                    b"Garboard: the strake next to the keel, always the hardest to fit.\n",
                }),
            ),
        ),
    ),
    Letter(
        "sanderling-stage-two", "61d 08:55", "marta", "harriet", "Sanderling: second payment",
        """
        Dear Harriet,

        With the last strake on, the second stage is complete. The invoice is attached; the survey
        has been taken off, as promised.

        The next stage is the deck. You asked for one honest sentence a month, and here it is: we
        are two days behind, and the weather has been kind so far.

        Marta
        """,
        files=(
            File(
                "Invoice 0417.pdf", "application/pdf",
                pdf("Invoice 0417", ["Stage two: frames and planking", "36,400.00",
                                     "Less survey fee: -640.00", "To pay within 30 days: 35,760.00"]),
            ),
        ),
    ),
    Letter(
        "sanderling-launch", "12d 09:30", "harriet", "marta tomas aiko", "Launch day",
        """
        Dear all three,

        It is official: the launch is on {day+9}, at high water, 11:40. The mayor will speak, and
        has been told that four minutes is long for a speech beside a tide.

        From you I need, by {day+2}: how many guests the quay can carry, who breaks the bottle, and
        whether the band may stand on the slip.

        Harriet
        """,
        flagged="marta",
    ),
    Letter(
        "sanderling-launch-tomas", "12d 10:04", "tomas", "harriet",
        text="""
        The band may stand anywhere but on the slip. The quay carries eighty people who stand
        still, or sixty with children.

        About the bottle: please let it be the volunteer who sailed on her as a boy.

        Tomás
        """,
        answers="sanderling-launch", cc="marta",
    ),
    Letter(
        "sanderling-launch-harriet", "11d 13:51", "harriet", "tomas",
        text="""
        Of course it shall be him. His name is Walter, he is 84, and he has just asked me whether
        he may practise.
        """,
        answers="sanderling-launch-tomas", quote=True,
    ),
    Letter(
        "sanderling-launch-marta", "2d 09:12", "marta", "harriet",
        text="""
        Harriet, here are the answers you need, a little early:

        1. Guests: eighty with tickets, no children under the crane.
        2. Bottle: Walter. Tomás has made him a wooden practice bottle.
        3. Band: on the old weighbridge, thirty metres away, which is also better for the ears.
        4. If the wind is over 25 knots from the east we wait for the next tide. I have told the
           harbour master and he agrees.

        Marta
        """,
        answers="sanderling-launch", quote=True,
    ),
    Letter(
        "sanderling-paint", "3h", "tomas", "marta aiko", "First coat is on",
        """
        The first coat of black is on and it has not run anywhere. Picture attached: I put her
        name board up for a moment to see it.

        Second coat tomorrow if the shed stays above twelve degrees.

        T.
        """,
        files=(File("first-coat.png", "image/png", sailing_boat(hull=(16, 16, 18), sails=False)),),
    ),
    Letter(
        "sanderling-paint-harriet", "26m", "harriet", "marta", "Walter's practice bottle",
        """
        I have just watched an 84-year-old man hit a fender with a wooden bottle eleven times in a
        row. I think we are ready. Are you?

        Harriet
        """,

    ),
)  # fmt: skip
