"""The harbour master's launch, refitted with an electric motor for the port of Skerrow."""

from ..documents import pdf, table
from ..letter import File, Letter
from ..pictures import bar_chart

PROJECT = "Projects/Harbour"
FILED = {"tomas": PROJECT, "aiko": PROJECT, "marta": PROJECT}

BATTERY = table(
    [
        ("time", "speed_kn", "current_a", "charge_percent"),
        ("09:00", 0, 2, 100), ("09:10", 5, 64, 97), ("09:30", 5, 66, 91),
        ("10:00", 6.2, 118, 78), ("10:20", 4, 38, 74), ("10:45", 0, 2, 73),
    ]
)  # fmt: skip

LETTERS = (
    Letter(
        "harbour-tender", "139d 10:20", "callum", "marta", "Invitation to quote: harbour launch, electric drive",
        """
        Good morning,

        The harbour board has money for a new drive in the pilot launch and would like it to be
        electric. The hull is yours: your grandfather built it, plate 62.

        Requirements in brief: two hours at five knots, one dash across the bay at full speed in
        any weather we go out in, and quiet enough that I hear the radio.

        Quotes by {date-118}, please, with a line about spare parts.

        Callum Drever
        Harbour Master, Skerrow
        """,
        filed=FILED,
    ),
    Letter(
        "harbour-who", "139d 12:02", "marta", "tomas aiko",
        text="""
        Plate 62! I remember the launch of that one: I was four, and somebody dropped the cake.

        Tomás: would you look at the engine beds when she is next on the hard? Aiko: the battery
        sums are yours if you want them. I would like to quote for this.
        """,
        answers="harbour-tender", filed=FILED, forwards="harbour-tender",
    ),
    Letter(
        "harbour-sums", "136d 17:44", "aiko", "marta",
        text="""
        I want them.

        At five knots she needs about 3.1 kW at the shaft, from the towing test Dad wrote into the
        hull book. Two hours of that, the dash, and a third in reserve: 14 kWh. That is four of
        the boxes we used in the ferry tender, 118 kg in all, less than the engine that comes out.

        So she will float a little higher than she does now. Please break this to Callum gently,
        he likes his waterline.
        """,
        answers="harbour-who", filed=FILED,
    ),
    Letter(
        "harbour-beds", "134d 09:58", "tomas", "marta",
        text="""
        Looked at her this morning. The beds are oak and perfectly good. The shaft is not: it is
        bent by about two millimetres, which explains the noise he complains about.

        Put a new shaft into the quote.
        """,
        answers="harbour-who", filed=FILED,
    ),
    Letter(
        "harbour-quote", "124d 11:00", "marta", "callum",
        text="""
        Dear Callum,

        Our quote is attached. It includes a new shaft, because the old one is bent, which is also
        why you cannot hear your radio.

        Spare parts: everything with a number on it will be in a locked cupboard in our store for
        ten years, and you get the second key.

        Marta Lindqvist
        """,
        answers="harbour-tender",
        files=(
            File(
                "Quote 0388 harbour launch.pdf", "application/pdf",
                pdf("Quote 0388", ["Electric drive 12 kW, four battery boxes, charger", "New shaft and stern bearing",
                                   "Removal of the old engine", "Total 41,250.00, valid for 90 days"]),
            ),
        ),
    ),
    Letter(
        "harbour-board", "103d 15:35", "callum", "marta",
        text="""
        The board met last night. You have the job. There was one cheaper quote, but it had no
        second key.

        Isla Moncrieff in our office does the paperwork, copied here. The launch can come to you
        from {day-84}; we have borrowed one from the lifeboat people until then.
        """,
        answers="harbour-quote", cc="isla", quote=True, filed=FILED, flagged="marta",
    ),
    Letter(
        "harbour-order", "101d 09:14", "isla", "marta",
        text="""
        Dear Marta,

        The purchase order number is SH-2207. Please put it on everything, including envelopes.

        Would you also confirm that your insurance covers our boat while it is in your shed? I only
        need one sentence, but it has to be from them and not from you.

        Isla
        """,
        answers="harbour-board", filed=FILED,
    ),
    Letter(
        "harbour-insurance", "101d 11:29", "marta", "priya", "One sentence, please",
        """
        Dear Priya,

        The port of Skerrow would like one sentence from you that says that their launch (6.8 m,
        value about 60,000) is covered while she stands in our shed. Order SH-2207.

        Marta
        """,
    ),
    Letter(
        "harbour-insured", "100d 14:50", "priya", "marta",
        text="""
        Dear Marta,

        Here it is: "We confirm that the vessel described in order SH-2207 is covered under clause 4
        of policy FM-55210 for loss and damage while in the assured's custody ashore."

        It covers fire, theft, flood and falling over, but not woodworm.

        Priya Raman
        Marine Survey, Fathom Mutual
        """,
        answers="harbour-insurance", quote=True,
    ),
    Letter(
        "harbour-insured-fwd", "100d 15:12", "marta", "isla", "Fwd: One sentence, please",
        "Your sentence, from them and not from me. The whole message is attached.",
        forwards="harbour-insured",
    ),
    Letter(
        "harbour-arrival", "84d 08:40", "tomas", "team", "Launch is in the shed",
        """
        She is on the cradle in bay two. Please do not put anything on the engine hatch; the hatch
        is what is keeping the engine in.

        Battery boxes arrive on {day-77}. I need the fork lift for an hour then, and two people who
        do not shout.
        """,
        filed=FILED,
    ),
    Letter(
        "harbour-trial", "33d 16:20", "aiko", "callum", "Trial run: figures",
        """
        Callum,

        Thank you for steering. The log of the trial is attached as a table and as a picture.

        After an hour and three quarters with the dash in the middle there was 73 % left. You asked
        what happens in a proper sea: count on a third more, which still leaves you a good margin.

        And she does float higher. Nineteen millimetres. I measured it twice because I knew that
        you would.

        Aiko
        """,
        cc="marta", filed=FILED,
        files=(
            File("trial.csv", "text/csv", BATTERY),
            File("trial.png", "image/png", bar_chart((100, 97, 91, 78, 74, 73), colour=(54, 136, 88))),
        ),
    ),
    Letter(
        "harbour-noise", "32d 08:31", "callum", "aiko",
        text="""
        Nineteen millimetres is fine, I had expected worse after the way Marta put it.

        I can hear the radio. I can also hear the gulls, the ferry's announcements and my own
        knees. Could she have a small bell, or people will not notice me coming?
        """,
        answers="harbour-trial", cc="marta", quote=True, filed=FILED,
    ),
    Letter(
        "harbour-bell", "32d 12:15", "marta", "callum",
        text="""
        There is a bell from plate 61 on the wall of our office. It has been waiting for this for
        sixty years. No charge.
        """,
        answers="harbour-noise", cc="aiko", filed=FILED,
    ),
    Letter(
        "harbour-slot", "5d 10:26", "callum", "marta", "Crane and slip on the launch day",
        """
        Marta,

        For Sanderling on {day+9}: the slip is yours from 08:00 to 14:00, and I close the fairway
        from 11:15 to 12:15. The 11:30 ferry has agreed to wait outside and blow its horn.

        I need a name and a number for the person in charge on the slip.

        Callum
        """,
        cc="tomas", filed=FILED,
    ),
    Letter(
        "harbour-slot-tomas", "5d 13:07", "tomas", "callum",
        text="""
        That is me: Tomás Ferreira, 0555 0142. I will carry a radio on channel 12 as well.

        Thank the ferry from us.
        """,
        answers="harbour-slot", quote=True, filed=FILED,
    ),
    Letter(
        "harbour-wind", "7h", "callum", "marta", "Forecast for the week",
        """
        The long forecast has the wind going round to the south-west by {day+7}. That is what you
        want. I only send good forecasts; when you hear nothing from me, worry.

        Callum
        """,
    ),
)  # fmt: skip
