"""The mailing list of "slipway", the small free program for tides and berths that Aiko helps to maintain."""

from ..layouts import notice
from ..letter import File, Letter

FOLDER = "Lists/maintainers"

PATCH = b"""--- a/slipway/tides.py
+++ b/slipway/tides.py
@@ -88,7 +88,7 @@ def high_water(station, day):
     curve = station.curve(day)
-    peak = max(curve, key=lambda point: point.height)
+    peak = max(curve, key=lambda point: (point.height, -point.minute))
     return peak.minute
"""


def post(
    key: str,
    when: str,
    sender: str,
    subject: str,
    text: str,
    answers: str = "",
    files: tuple[File, ...] = (),
    unread: bool = False,
) -> Letter:
    """A letter to the list that lies in the list's folder."""
    return Letter(
        key, when, sender, "slipway", subject, text,
        answers=answers, files=files, via="slipway", folder=FOLDER, unread=unread,
    )  # fmt: skip


LETTERS = (
    post(
        "list-release", "140d 18:20", "oskar", "Plan for 2.4",
        """
        Hi all,

        2.4 has collected enough to be worth a release. What is in so far:

        - berth calendar in local time (Dana)
        - tide stations can be given as a file (Thandi)
        - a great many small fixes

        What is missing is a decision on the old configuration format. I would like to drop it.
        Objections, please, before the end of the month; silence counts as a yes.

        Oskar
        """,
    ),
    post(
        "list-release-dana", "140d 22:41", "dana", "",
        """
        Oskar Hjelm wrote:
        > I would like to drop it.

        I would like to drop it from a great height. But we have at least four harbours that
        never touched their files since 1.9. Can 2.4 read the old format and write the new one,
        and 2.5 drop it?

        Dana
        """,
        answers="list-release",
    ),
    post(
        "list-release-aiko", "139d 19:30", "aiko", "",
        """
        Dana Whitlock wrote:
        > Can 2.4 read the old format and write the new one, and 2.5 drop it?

        +1. Our own harbour is one of the four. The harbour master thinks that a configuration
        file is like a will: you write it once.

        I can do the converter.

        Aiko
        """,
        answers="list-release-dana",
    ),
    post(
        "list-highwater", "105d 12:50", "thandi", "Wrong high water when there are two equal peaks",
        """
        Hello,

        At our station the curve has two peaks of the same height on some days, and we show the
        second one. The skipper of the ferry does not like to wait for the second one.

        Patch attached. It takes the earlier one. Is there any reason why it was the later?

        Thandi
        """,
        files=(File("first-peak.patch", "text/x-patch", PATCH),),
    ),
    post(
        "list-highwater-aiko", "105d 20:11", "aiko", "",
        """
        No reason, it is how max() happened to feel on that day.

        Minor: your lambda looks at point.minute, but curves may cross midnight, where the minute
        starts again at 0. Would point.time do?

        Aiko
        """,
        answers="list-highwater",
    ),
    post(
        "list-highwater-thandi", "104d 13:25", "thandi", "",
        """
        Good catch. With point.time all 412 days that I have tables for come out right. Pushed.
        """,
        answers="list-highwater-aiko",
    ),
    post(
        "list-done", "28h", "oskar", "slipway 2.4 released",
        """
        2.4 is out. Thank you, all of you. It was nine people this time, two of them new, and one
        of those is somebody's harbour master.

        Next: 2.5, where the old format goes over the side.

        Oskar
        """,
    ),
    post(
        "list-done-dana", "9h", "dana", "",
        """
        Hurrah! And since nobody has said it yet: the curve is readable on a phone. I checked
        without binoculars.
        """,
        answers="list-done",
    ),
    Letter(
        "forge-issue", "19d 11:03", "forge", "aiko", "[slipway/slipway] Berth names with an ø sort last (#388)",
        """
        thandi-m opened an issue in slipway/slipway:

        Berths called "Østkaien" appear after "Z", which is right in one country and wrong in the
        next. Do we sort by the harbour's language or by the reader's?

        Reply to this message or look at it on the web:
        https://tidewater.example/slipway/slipway/issues/388
        """,
        via="forge", folder=FOLDER,
        html=notice(
            "Berth names with an ø sort last (#388)",
            ['thandi-m wrote: Berths called "Østkaien" appear after "Z", which is right in one country and wrong '
             "in the next. Do we sort by the harbour's language or by the reader's?"],
            ("See the issue", "https://tidewater.example/slipway/slipway/issues/388"), colour="#3b6e4f",
        ),
    ),
)  # fmt: skip
