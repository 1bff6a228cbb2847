"""vCards, versions 3.0 (RFC 2426) and 4.0 (RFC 6350): read into `Card`s, and written.

    contentline = [group "."] name *(";" param) ":" value CRLF        (RFC 6350 3.3)

Lines longer than 75 octets are folded (3.2). Properties that a `Card` has no field for are kept as they came, in
`rest`, and written again, whichever the version. Reading is forgiving: a line that is none is passed over, a card
without a name takes its address; only a text with no card at all raises `NotVCards`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

MAX_CARDS = 10_000
MAX_LINE = 2_000_000  # characters of an unfolded line: photos
FOLD_AT = 75  # octets
VERSIONS = ("3.0", "4.0")
_LINE = re.compile(r'(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]{1,60})((?:;(?:"[^"]*"|[^":;])*+)*+):(.*)\Z', re.DOTALL)
_GROUP_KIND = re.compile(r"(?:KIND|X-ADDRESSBOOKSERVER-KIND)\Z")
_MEMBER = ("MEMBER", "X-ADDRESSBOOKSERVER-MEMBER")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_OURS = frozenset({"BEGIN", "END", "VERSION", "PRODID", "REV", "UID", "FN", "EMAIL", "TEL", "NOTE", "ORG"})


class NotVCards(ValueError):
    """The text holds no vCard."""


@dataclass(slots=True)
class Card:
    """One vCard. A group has `members`, the UIDs of others."""

    uid: str = ""
    name: str = ""
    organisation: str = ""
    addresses: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    note: str = ""
    is_group: bool = False
    members: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)  # unfolded content lines


# ---------------------------------------------------------------- reading


def read_cards(text: str) -> list[Card]:
    """At most `MAX_CARDS`. Raises `NotVCards`."""
    cards: list[Card] = []
    lines: list[str] | None = None
    for line in _unfolded(text):
        mark = line.strip().upper()
        if mark == "BEGIN:VCARD":
            lines = []
        elif mark == "END:VCARD" and lines is not None:
            cards.append(_card(lines))
            lines = None
            if len(cards) >= MAX_CARDS:
                break
        elif lines is not None:
            lines.append(line)
    if not cards:
        raise NotVCards("There is no vCard in this file.")
    return cards


def _unfolded(text: str) -> Iterator[str]:
    """Without the folding, and without characters that no line may hold."""
    text = _CONTROLS.sub("", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    pieces: list[str] = []
    size = 0
    for line in text.split("\n"):
        if line[:1] in (" ", "\t") and pieces:
            size += len(line)
            if size < MAX_LINE:
                pieces.append(line[1:])
            continue
        if pieces:
            yield "".join(pieces)
        pieces, size = [line], len(line)
    if pieces:
        yield "".join(pieces)


def _card(lines: Iterable[str]) -> Card:
    card = Card()
    preferred: list[str] = []
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        name, parameters, value = match[1].upper(), match[2], match[3]
        if name == "EMAIL":
            (preferred if _is_preferred(parameters) else card.addresses).append(unescape(value).strip())
        elif not _take(card, name, value):
            card.rest.append(line)
    card.addresses = [one for one in dict.fromkeys([*preferred, *card.addresses]) if one]
    card.phones = [one for one in dict.fromkeys(card.phones) if one]
    card.name = card.name or _structured_name(card.rest)
    return card


def _take(card: Card, name: str, value: str) -> bool:
    """Whether a field of ours holds this property."""
    if name == "FN":
        card.name = card.name or _line(value)
    elif name == "UID":
        card.uid = unescape(value).strip()
    elif name == "ORG":
        card.organisation = ", ".join(filter(None, map(_line, split_value(value))))
    elif name == "TEL":
        card.phones.append(_line(value.removeprefix("tel:")))
    elif name == "NOTE":
        card.note = "\n".join(filter(None, (card.note, unescape(value))))
    elif _GROUP_KIND.match(name) and value.strip().lower() == "group":
        card.is_group = True
    elif name in _MEMBER:
        card.members.append(value.strip().removeprefix("urn:uuid:"))
    else:
        return name in _OURS
    return True


def _is_preferred(parameters: str) -> bool:
    words = parameters.upper().replace('"', "")
    return "PREF" in re.split("[;,=]", words)


def _structured_name(rest: Iterable[str]) -> str:
    """From N, family;given;middle;prefixes;suffixes, when there was no FN."""
    for line in rest:
        match = _LINE.match(line)
        if match is not None and match[1].upper() == "N":
            parts = [_line(part) for part in split_value(match[3])] + [""] * 5
            return " ".join(filter(None, (parts[3], parts[1], parts[2], parts[0], parts[4])))
    return ""


def split_value(value: str) -> list[str]:
    """The components between semicolons, still escaped."""
    return re.findall(r"(?:^|(?<=;))((?:\\.|[^\\;])*+)", value, re.DOTALL)


def unescape(value: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], value)


def _line(value: str) -> str:
    return " ".join(unescape(value).split())


# ---------------------------------------------------------------- writing


def write_cards(cards: Iterable[Card], version: str = "4.0") -> str:
    """The cards one after another, with CRLF."""
    return "".join(_written(card, version) for card in cards)


def _written(card: Card, version: str) -> str:
    is_4 = version == "4.0"
    lines = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{escape(card.uid)}", f"FN:{escape(card.name)}"]
    if not any(line.upper().startswith(("N:", "N;")) for line in card.rest):
        given, _, family = card.name.rpartition(" ")
        lines.append(f"N:{escape(family)};{escape(given)};;;")
    if card.is_group:
        lines.append("KIND:group" if is_4 else "X-ADDRESSBOOKSERVER-KIND:group")
        lines += [f"{_MEMBER[0] if is_4 else _MEMBER[1]}:urn:uuid:{uid}" for uid in card.members]
    lines += [f"ORG:{escape(card.organisation)}"] if card.organisation else []
    lines += [f"EMAIL{_preference(n, card.addresses, is_4)}:{escape(one)}" for n, one in enumerate(card.addresses)]
    lines += [f"TEL:{escape(one)}" for one in card.phones]
    lines += [f"NOTE:{escape(card.note)}"] if card.note else []
    lines += [*card.rest, "END:VCARD"]
    return "".join(folded(line) for line in lines)


def _preference(n: int, addresses: list[str], is_4: bool) -> str:
    if n or len(addresses) < 2:
        return ""
    return ";PREF=1" if is_4 else ";TYPE=PREF"


def escape(text: str) -> str:
    text = _CONTROLS.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;").replace("\n", "\\n")


def folded(line: str) -> str:
    """Over lines of at most `FOLD_AT` octets, never within a character."""
    octets = line.encode("utf-8")
    pieces: list[bytes] = []
    at = 0
    while len(octets) - at > FOLD_AT - bool(pieces):
        end = at + FOLD_AT - bool(pieces)
        while octets[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(octets[at:end])
        at = end
    return b"\r\n ".join([*pieces, octets[at:]]).decode("utf-8") + "\r\n"
