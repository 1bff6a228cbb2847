"""Labels: IMAP keywords that mean something to people, so that every mail program has them.

A keyword is an atom (RFC 9051 section 9): a label's text becomes one as Thunderbird makes its tags, "_" for a blank and
modified UTF-7 for what is not ASCII. Keywords that begin with "$" are programs' own; of those only Thunderbird's five
are labels.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from mailservers.formats.imap.mailbox_names import decode_utf7, encode_utf7
from mailservers.models import Mailbox
from mailservers.store.errors import StoreError

MAX_TEXT = 40  # characters
COLOURS = 8
_THUNDERBIRD: dict[str, tuple[Promise | str, int]] = {
    "$label1": (gettext_lazy("Important"), 0),
    "$label2": (gettext_lazy("Work"), 1),
    "$label3": (gettext_lazy("Personal"), 2),
    "$label4": (gettext_lazy("To do"), 3),
    "$label5": (gettext_lazy("Later"), 4),
}
_PROGRAMS = frozenset({"junk", "nonjunk", "notjunk", "forwarded", "mdnsent", "redirected", "old", "unknown-0"})
_NOT_IN_ATOMS = re.compile(r'[\x00-\x1f\x7f(){%*"\\\]]')


class NoLabel(StoreError):
    """The text is for the user."""


@dataclass(frozen=True, slots=True)
class Label:
    """`colour`: a number for the style sheet."""

    keyword: str
    text: str
    colour: int


def is_label(keyword: str) -> bool:
    """Whether it is the one keyword of a label."""
    return len(labels_of(keyword)) == 1 and not _NOT_IN_ATOMS.search(keyword) and " " not in keyword


def labels_of(keywords: str) -> list[Label]:
    """Of a message's keywords, those that are labels, by their texts."""
    found = [label for word in keywords.split() if (label := _label(word)) is not None]
    return sorted(found, key=lambda label: label.text.casefold())


def _label(keyword: str) -> Label | None:
    word = keyword.lower()
    if word in _THUNDERBIRD:
        text, colour = _THUNDERBIRD[word]
        return Label(keyword, str(text), colour)
    if word.startswith("$") or word in _PROGRAMS:
        return None
    return Label(keyword, _text(keyword), zlib.crc32(word.encode()) % COLOURS)


def _text(keyword: str) -> str:
    try:
        return decode_utf7(keyword.encode()).replace("_", " ")
    except ValueError:  # UnicodeError is one
        return keyword.replace("_", " ")


def keyword_of(text: str) -> str:
    """The keyword for a label's text, or for one of Thunderbird's names. Raises `NoLabel`."""
    if text.strip().startswith(("$", "\\")) and text.strip().lower() not in _THUNDERBIRD:
        raise NoLabel("a label needs a name that no mail program has taken")
    text = " ".join(_NOT_IN_ATOMS.sub("", text).replace("_", " ").split())[:MAX_TEXT].strip()
    for keyword, (name, _) in _THUNDERBIRD.items():
        if text.casefold() in (str(name).casefold(), keyword):
            return keyword
    keyword = encode_utf7(text.replace(" ", "_")).decode()
    if not keyword or keyword.startswith("$") or keyword.lower() in _PROGRAMS:
        raise NoLabel("a label needs a name that no mail program has taken")
    return keyword


def known_labels(user_id: int) -> list[Label]:
    """Those that the user's own mailboxes know, and Thunderbird's; one query."""
    words = {word.lower(): word for word in _THUNDERBIRD}
    for keywords in Mailbox.objects.filter(owner_id=user_id).exclude(keywords="").values_list("keywords", flat=True):
        words |= {word.lower(): word for word in keywords.split()}
    return labels_of(" ".join(words.values()))
