"""The base subject: what is left of a subject without "Re:", "Fwd:", "[list]" and "(fwd)" (RFC 5256 section 2.1).

    subj-refwd   = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
    subj-blob    = "[" *BLOBCHAR "]" *WSP            ; BLOBCHAR: any but "[" and "]"
    subj-fwd     = "[fwd:" subject "]"
    subj-leader  = (*subj-blob subj-refwd) / WSP
    subj-trailer = "(fwd)" / WSP

Works on decoded text on one line; never raises. Linear but for the nesting of "[fwd: …]", which is bounded.
"""

import re
from dataclasses import dataclass

MAX_CHARACTERS = 1000  # of a subject that are looked at
MAX_FORWARDS = 20  # "[fwd: [fwd: …]]" taken off

_BLOB = re.compile(r"\[[^\[\]]*+\][ \t]*+")
_LEADER = re.compile(r"(?:\[[^\[\]]*+\][ \t]*+)*+(?:re|fwd?)[ \t]*+(?:\[[^\[\]]*+\][ \t]*+)?+:", re.IGNORECASE)
_WHITE = re.compile(r"[ \t\r\n]+")
_FORWARD = "[fwd:"
_TRAILER = "(fwd)"


@dataclass(frozen=True, slots=True)
class BaseSubject:
    """`is_answer`: something of a reply or a forwarded message was removed."""

    text: str
    is_answer: bool


def base_subject(subject: str) -> BaseSubject:
    """The numbers are the steps of RFC 5256 section 2.1."""
    text = _WHITE.sub(" ", subject[:MAX_CHARACTERS])  # (1)
    is_answer = False
    for _ in range(MAX_FORWARDS):
        text, had_trailer = _without_trailers(text)
        text, had_leader = _without_leaders(text)
        is_answer = is_answer or had_trailer or had_leader
        if not (text[: len(_FORWARD)].lower() == _FORWARD and text.endswith("]")):
            break
        text = text[len(_FORWARD) : -1]  # (6)
        is_answer = True
    return BaseSubject(text, is_answer)


def _without_trailers(text: str) -> tuple[str, bool]:
    """(2)"""
    found = False
    text = text.rstrip(" ")
    while text[-len(_TRAILER) :].lower() == _TRAILER:
        text = text[: -len(_TRAILER)].rstrip(" ")
        found = True
    return text, found


def _without_leaders(text: str) -> tuple[str, bool]:
    """(3), (4), (5): leaders, and blobs that something follows."""
    at = 0
    found = False
    while True:
        while text.startswith(" ", at):
            at += 1
        leader = _LEADER.match(text, at)
        if leader:
            at = leader.end()
            found = True
            continue
        blob = _BLOB.match(text, at)
        if not blob or blob.end() == len(text):
            return text[at:], found
        at = blob.end()
