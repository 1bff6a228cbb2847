"""What three people who share a shed write to each other: keys, lunch, holidays, cups."""

from ..documents import table
from ..letter import File, Letter

LETTERS = (
    Letter(
        "crew-server", "144d 16:00", "aiko", "team", "Our own mail server, at last",
        """
        Hello both,

        As of this afternoon our mail lives on the small grey box next to the tide clock. What
        changes for you:

         * Your addresses stay the same.
         * workshop@ goes to Tomás, orders@ to me, info@ to Marta and me, team@ to all of us.
         * If you set up your telephone, make an app password in the settings; please do not use
           your real one.
         * The web address is on the note under the kettle.

        Should anything look odd, tell me what you clicked and what you expected. "It does not
        work" costs one round of cake.

        Aiko
        """,
        flagged="marta tomas",
    ),
    Letter("crew-server-tomas", "144d 17:21", "tomas", "aiko", answers="crew-server", quote=True,
           text="""
           It works. I looked for something to complain about and found only that the old one let
           me lose mail, and now I have no excuse.
           """),
    Letter(
        "crew-holidays", "78d 11:25", "marta", "team", "Who is away when",
        """
        Here is the plan for the rest of the year as I understand it. Please correct the table and
        not me.
        """,
        files=(
            File("away.csv", "text/csv", table([
                ("who", "weeks", "where"), ("Marta", 2, "north, with a tent"), ("Tomás", 3, "at his mother's"),
                ("Aiko", 2, "regatta"), ("the kettle", 0, "never"),
            ])),
        ),
    ),
    Letter(
        "crew-cups", "52d 07:55", "tomas", "team", "Cups",
        """
        Somebody mixed epoxy in my cup. I know that it was done in the best interest of the boat.
        I only want to say that it was the one with the seagull.
        """,
    ),
    Letter("crew-cups-aiko", "52d 08:20", "aiko", "tomas", cc="marta", answers="crew-cups",
           text="I am so sorry. The seagull is now part of the bilge pump, where he does good work."),
    Letter("crew-cups-marta", "52d 08:41", "marta", "tomas", answers="crew-cups-aiko",
           text="New cups on {day-50}. With names burnt in. Nobody mixes anything in a cup with a name."),
    Letter(
        "crew-visit", "28d 14:05", "marta", "tomas aiko", "School class on {day-24}",
        """
        Twenty-two children, nine years old, from ten until noon. Division of labour:

        - Tomás: the steam box. Let them put in a lath and tie a knot into it.
        - Aiko: why it floats. The tub, the stone and the biscuit tin, please.
        - I: counting them. Before and after.
        """,
    ),
    Letter("crew-visit-after", "24d 12:33", "marta", "team", "22 before, 23 after",
           """
           We had one more at the end than at the start. It was Ewan's little brother, who had come
           in with the milk. He has been returned.
           """),
    Letter(
        "crew-josie", "16d 10:50", "josie", "tomas", "Rigging: shrouds done",
        """
        Tom, the shrouds are spliced and served, eight of them, and the deadeyes are soaking in
        oil. I can come on {day+4} to {day+7} to set her up. Need your lad Ewan for the tar.

        Josie
        """,

    ),
    Letter("crew-josie-yes", "16d 12:14", "tomas", "josie", answers="crew-josie", client="k9",
           text="All three days are yours, and so is Ewan. He asked for it himself."),
    Letter(
        "crew-cake", "4d 08:02", "marta", "team", "Cake for the launch: how many people eat cake?",
        """
        Guests 80, band 11, us and helpers 9, the mayor (counts double). The bakery needs the
        number by {day+3}. Grandfather's rule was one cake for eight people, and one for the slip.
        """,
    ),
    Letter("crew-cake-aiko", "4d 08:31", "aiko", "marta", cc="tomas", answers="crew-cake", quote=True,
           text="""
           101 people by my count, so thirteen cakes, and one for the slip makes fourteen. I do not
           believe in the one for the slip, but I have never dared to leave it out.
           """),
    Letter("crew-cake-tomas", "4d 09:10", "tomas", "aiko", answers="crew-cake-aiko",
           text="""
           On the boat where they left it out the cradle jammed. I was there. Fourteen.
           """),
    Letter(
        "crew-samovar", "30h", "aiko", "team", "What do we do with the samovar?",
        """
        It has stood on the band saw since the visit. It is beautiful, it weighs nine kilos, and I
        would like to cut something.

        Suggestion: it goes to the office, and tea comes out of it on the launch day.
        """,
    ),
    Letter(
        "crew-tide", "5h", "aiko", "marta", "Tide for the launch, checked again",
        """
        High water at 11:43, not 11:40: the new tables moved it by three minutes. Depth over the
        end of the slip is 2.35 m, she draws 2.05 m empty. That leaves thirty centimetres, which is
        one seagull cup and a half.
        """,

    ),
    Letter("crew-tide-marta", "4h", "marta", "aiko", answers="crew-tide", quote=True,
           text="Good. I will have the speeches end at 11:30 all the same."),
    Letter("crew-lunch", "48m", "tomas", "team", "Soup",
           "There is soup in the workshop. It is the good one. First come, first served 🍲"),
    Letter("crew-lunch-aiko", "41m", "aiko", "tomas", answers="crew-lunch",
           text="Coming. Leave the ladle out of the varnish this time."),
)  # fmt: skip
