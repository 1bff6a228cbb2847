"""Meetings: invitations, answers to them and one that was called off (RFC 5546)."""

from dataclasses import replace

from ..letter import Event, Letter

REHEARSAL = Event(
    "launch-rehearsal",
    "REQUEST",
    "Launch rehearsal on the slip",
    day=6,
    start="14:00",
    hours=2,
    location="Kittiwake Boatyard, slip 1",
    organizer="harriet",
    attendees="marta tomas callum",
)
SURVEYOR = Event(
    "fathom-visit",
    "REQUEST",
    "Visit of the surveyor",
    day=-50,
    start="09:00",
    hours=3,
    location="Bay one, below Sanderling",
    organizer="priya",
    attendees="marta",
)
DINNER = Event(
    "crew-dinner", "REQUEST", "Dinner, for no reason; bring nothing", day=12, start="18:30", hours=3,
    location="Marta's kitchen", organizer="marta", attendees="tomas aiko",
)  # fmt: skip

LETTERS = (
    Letter(
        "diary-surveyor", "60d 08:25", "priya", "marta", "Visit of the surveyor",
        "I would like to see the new frames before the deck hides them. Three hours should do.",
        event=SURVEYOR,
    ),
    Letter(
        "diary-surveyor-yes", "60d 10:10", "marta", "priya", "Accepted: Visit of the surveyor",
        "Marta Lindqvist has accepted this invitation.", answers="diary-surveyor",
        event=replace(SURVEYOR, method="REPLY", attendees="marta", partstat="ACCEPTED"),
    ),
    Letter(
        "diary-surveyor-off", "51d 15:40", "priya", "marta", "Cancelled: Visit of the surveyor",
        "The ferry is not running tomorrow. I will come with the next calm day and ring first.",
        answers="diary-surveyor-yes", event=replace(SURVEYOR, method="CANCEL", sequence=1),
    ),
    Letter(
        "diary-rehearsal", "3d 11:16", "harriet", "marta tomas callum", "Invitation: Launch rehearsal on the slip",
        """
        We walk through it once, without the boat and without the mayor. Walter brings his bottle.

        {day+6}, 14:00, slip 1.
        """,
        event=REHEARSAL, flagged="tomas",
    ),
    Letter(
        "diary-rehearsal-tomas", "3d 12:02", "tomas", "harriet", "Accepted: Launch rehearsal on the slip",
        "Tomás Ferreira has accepted this invitation.", answers="diary-rehearsal",
        event=replace(REHEARSAL, method="REPLY", attendees="tomas", partstat="ACCEPTED"),
    ),
    Letter(
        "diary-rehearsal-callum", "3d 13:30", "callum", "harriet", "Tentative: Launch rehearsal on the slip",
        "Callum Drever has tentatively accepted. There is a tanker due at two.", cc="marta",
        answers="diary-rehearsal", event=replace(REHEARSAL, method="REPLY", attendees="callum", partstat="TENTATIVE"),
    ),
    Letter(
        "diary-dinner", "2d 17:30", "marta", "tomas aiko", "Invitation: Dinner, for no reason",
        "When it is all over. There is no programme.", event=DINNER,
    ),
    Letter(
        "diary-dinner-aiko", "23h", "aiko", "marta", "Accepted: Dinner, for no reason; bring nothing",
        "Aiko Brandt has accepted this invitation. She will bring something.", answers="diary-dinner",
        event=replace(DINNER, method="REPLY", attendees="aiko", partstat="ACCEPTED"),
    ),
)  # fmt: skip
