"""Drafts, and messages that are unusual in shape: no subject, an endless one, many recipients, a long text."""

from ..letter import Letter

VOLUNTEERS = " ".join(
    f"{name}@volunteers.example"
    for name in (
        "a.birch", "b.calder", "c.dunmore", "d.ellis", "e.farrow", "f.garrick", "g.hale", "h.ives", "i.jarvis",
        "j.keir", "k.lomax", "l.marsh", "m.nairn", "n.ogilvie", "o.pike", "p.quayle", "q.rudd", "r.sayle",
        "s.thorne", "t.usher", "u.vance", "v.weir", "w.yates", "x.zander", "walter", "band.leader",
    )
)  # fmt: skip

LETTERS = (
    Letter(
        "odd-no-subject", "53d 12:44", "josie", "tomas", "",
        "Left my marlinspike on your bench. The one with the tape. Do NOT use it to stir anything.",
    ),
    Letter(
        "odd-long-subject", "39d 09:59", "isla", "marta",
        "Concerning the parking of trailers, launching trolleys, cradles, upturned dinghies and other objects whose "
        "owner is not known on the strip between the old weighbridge and the north wall of the inner basin, and the "
        "painting of a yellow line there, which was decided at the meeting of the harbour board but has been "
        "postponed twice on account of rain, and which will now take place on {day-36} whether it rains or not",
        """
        Dear Marta,

        I think that the subject says it all. Please move the cradle.

        Isla
        """,
    ),
    Letter(
        "odd-thirty", "10d 17:45", "harriet", f"marta tomas aiko callum {VOLUNTEERS}", "Volunteers for launch day",
        """
        Dear volunteers,

        Thank you, there are thirty of us now! Please come to the museum gate at 08:30 on {day+9}
        in shoes with good soles. We go over together on the first ferry.

        Jobs will be drawn from a hat. The hat will be drawn from the collection.

        Harriet
        """,
    ),
    Letter(
        "odd-long-text", "22d 15:15", "priya", "marta tomas", "Surveyor's notes, complete",
        """
        Dear Marta, dear Tomás,

        Here are my notes from the visit, unshortened, because you asked for all of them.

        1. Keel and stem
        The keel is of one piece of elm and is sound over its whole length. I took the moisture at
        twenty places and found between 17 and 21 percent, which is what one would wish for. All
        eleven bolts are new, of bronze, and each carries the mark of the foundry. The certificate
        was shown to me together with a small charm in a silk bag, which I have not surveyed.
        The stem has one graving piece, port side, at the height of the bobstay plate. It is
        older than any of us and better fitted than most.

        2. Frames
        Nine frames have been renewed in oak. I tapped every one of them and listened. The scarfs
        are ten to one, glued and bolted, and staggered. The limber holes are clear. At frame 12
        somebody has written a date and the word "finally" in pencil; I recommend leaving it there.

        3. Planking
        Thirty-one strakes are new, in larch of a quality that I had not seen for some years. The
        seams were dry at the time of the visit, as is right for a boat ashore. Caulking is cotton
        below and oakum above, which will satisfy both schools. The garboards, always the hardest,
        fit so well that I could not get a feeler gauge of a tenth of a millimetre between them
        and the keel.

        4. Deck
        The canvas has been taken off and will not be replaced. The new deck is laid in pine over
        thin ply. The covering boards are scarfed under the chainplates, where the old ones leaked.
        I poured a bucket of water over each and waited below with a torch. Nothing came.

        5. Rig
        The mast is the old one. A shake of 1.2 m length at hound height is old, clean, and not
        deeper than a fifth of the diameter. The boom has a new piece at the jaws. The shrouds
        were not yet made; please send me a picture when they are.

        6. Systems
        There is one electric bilge pump, one by hand, and one made partly of a cup with a seagull
        on it. The first two are sufficient.

        7. Recommendation
        I recommend cover for coastal waters from the day of the launch, with the usual condition
        that somebody sleeps on board for the first three nights and looks under the floor every
        two hours. New planks take up, but they take their time.

        I have been doing this for nineteen years, and it is seldom that I write a report with
        nothing in it that has to be done. This is one of them.

        With kind regards,
        Priya Raman
        Marine Survey, Fathom Mutual
        """,
        flagged="marta",
    ),
    Letter(
        "odd-long-text-reply", "22d 16:40", "marta", "priya",
        text="""
        Dear Priya,

        Tomás read it aloud to the boat. He will sleep on board; he says that he planned to
        anyway. Thank you for all of it, and for the bucket.

        Marta
        """,
        answers="odd-long-text", quote=True,
    ),
    Letter(
        "draft-speech", "6d 19:20", "marta", "harriet", "My speech (three minutes at most!)",
        """
        Dear Harriet, is this all right?

        "When I was four, somebody dropped the cake at a launch, and my grandfather said: good, now
        nothing else will fall. Today we have fourteen cakes, and"

        [and what?]
        """,
        folder="Drafts",
    ),
    Letter(
        "draft-apprentices", "20h", "tomas", "nikos", "Re: Καρνάγιο στη Σάμο: ανταλλαγή μαθητευομένων",
        """
        Dear Nikos,

        The room above the sail loft is ready, with two beds and a view of the crane. Could you
        tell me whether they eat
        """,
        folder="Drafts", answers="nikos-yes",
    ),
    Letter("draft-empty", "2d 20:02", "aiko", "", "slipway 2.5: what breaks", "- \n", folder="Drafts"),
    Letter(
        "newest", "4m", "callum", "info", "Ferry will blow TWO horns",
        """
        The master of the 11:30 asks me to tell you that one horn is not enough for a boat of that
        age. There will be two.

        Callum
        """,
    ),
)  # fmt: skip
