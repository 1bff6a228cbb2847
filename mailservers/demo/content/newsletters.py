"""Newsletters with tables and remote pictures, some of them never opened."""

from ..layouts import newsletter
from ..letter import Letter

IRON_FOOTER = "The Caulking Iron is written every other week by two people in a loft. You asked for it."
MUSEUM_FOOTER = "Port Ellery Maritime Museum, Rope Walk 1, Port Ellery. Closed when it is too sunny."
OFFERS_FOOTER = "You get this because you bought screws from us. Prices without delivery."


def _plain(intro: str, stories: list[tuple[str, str, str]], footer: str) -> str:
    return "\n\n".join([intro, *(f"* {heading}\n{text}" for heading, text, _ in stories), "--", footer])


def _issue(
    key: str,
    when: str,
    sender: str,
    to: str,
    subject: str,
    look: tuple[str, str, str, str],
    intro: str,
    stories: list[tuple[str, str, str]],
    unread: bool = False,
    folder: str = "INBOX",
) -> Letter:
    """`look` is the list's key, the colour, the banner's name and the footer."""
    list_key, colour, banner, footer = look
    html = newsletter(subject, colour, intro, stories, footer=footer, banner=banner, reader=key)
    return Letter(
        key, when, sender, to, subject, _plain(intro, stories, footer),
        html=html, via=list_key, unread=unread, folder=folder,
    )  # fmt: skip


IRON = ("caulking", "#7a3b1d", "caulking-iron", IRON_FOOTER)
MUSEUM = ("museum", "#17405c", "museum", MUSEUM_FOOTER)
OFFERS = ("chandlers", "#0b6b58", "chandlers-row", OFFERS_FOOTER)

LETTERS = (
    _issue(
        "iron-41", "128d 06:00", "caulking", "tomas", "The Caulking Iron 41: steam", IRON,
        "Everything you have always steamed too long, and why.",
        [
            ("How hot is your box", "We put thermometers into nine steam boxes. Seven were colder than their "
             "owners believe, and one was a sauna.", "steam-box.jpg"),
            ("Letters", "A reader from the estuary asks whether ash may be bent twice. It may, but it remembers.", ""),
        ],
        folder="Archive",
    ),
    _issue(
        "museum-spring", "114d 08:30", "museum-news", "marta", "What's on at the museum: knots, fog and a pilot cutter",
        MUSEUM,
        "This month we tie things together, and we tell you about a boat that has left our back yard.",
        [
            ("Sanderling goes to the yard", "After nine years under a tarpaulin our pilot cutter has gone to Skerrow, "
             "where three people and a steam box wait for her.", "sanderling-leaves.jpg"),
            ("Fog: an exhibition", "There is not much to see, and that is the point. Until the end of the month.",
             "fog.jpg"),
            ("Knots for beginners", "Every week in the rope store. Please bring your own shoelaces.", ""),
        ],
    ),
    _issue(
        "offers-paint", "64d 09:00", "chandlers-news", "orders", "Everything for the spring coat, 15 % off", OFFERS,
        "Paint, brushes and the courage to start: fifteen percent off until {day-50}.",
        [
            ("Brushes that keep their hair", "Oval, bristle, 50 mm. Sold out last month, back now.", "brush.jpg"),
            ("Antifouling in five reds", "One of them is new. Nobody here can tell which.", "reds.jpg"),
        ],
        unread=True,
    ),
    _issue(
        "museum-volunteers", "44d 08:30", "museum-news", "marta", "Wanted: people who can polish", MUSEUM,
        "The anniversary comes nearer, and so do forty metres of brass rail.",
        [
            ("Polishing afternoons", "Rags and tea are provided, opinions are welcome.", "brass.jpg"),
            ("Sanderling: the last plank", "The last new plank went on with a bang and a short speech.", "plank.jpg"),
        ],
    ),
    _issue(
        "museum-launch", "4d 08:30", "museum-news", "marta", "Sanderling is launched on {day+9}: come and see", MUSEUM,
        "High water is at 11:40, the speeches are short, and there will be fourteen cakes.",
        [
            ("How to get there", "By the first ferry, or by the coast path in two hours. There is no car park, "
             "but there is a field, and the farmer is in a good mood.", "coast-path.jpg"),
            ("Who breaks the bottle", "Somebody who sailed on her as a boy. He has been practising.", "bottle.jpg"),
        ],
    ),
    _issue(
        "iron-50", "8h", "caulking", "tomas", "The Caulking Iron 50: fifty issues and still dry", IRON,
        "We celebrate with a quiz and with one mistake hidden on purpose.",
        [
            ("Fifty questions", "Number 23: how many strakes has a boat with a hole in it?", "quiz.jpg"),
            ("The mistake", "Whoever finds it first gets an iron. It is not in the quiz.", ""),
        ],
    ),
)  # fmt: skip
