"""Address lists of header fields (RFC 5322 section 3.4 with the obsolete forms of 4.4), for IMAP's ENVELOPE.

Linear in the octets of the field, never raises; reads at most MAX_ADDRESSES, and at most MAX_TOKENS of a list in odd
forms. Beyond the RFC: unquoted `@`, dots and 8-bit octets in display names, a missing `>` or quote, and a comment
after a bare address as its name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from .charsets import decode_charset
from .encoded_words import decode_words
from .headers import unfold
from .mailbox_address import InvalidAddress, domain_to_ascii, format_mailbox_address, parse_mailbox_address
from .parameters import comment_end

__all__ = [
    "GROUP_END",
    "MAX_ADDRESSES",
    "MAX_TOKENS",
    "Address",
    "InvalidAddress",
    "domain_to_ascii",
    "format_mailbox_address",
    "parse_address_list",
    "parse_mailbox_address",
]

MAX_ADDRESSES = 10_000
MAX_TOKENS = 100_000


@dataclass(frozen=True, slots=True)
class Address:
    """One element of an address list, in the shape of IMAP's address structure (RFC 9051 section 7.5.2).

    All fields are raw octets, quoting and comments removed; None is IMAP's NIL. `raw_domain` is None only for the
    markers of a group: its start has the group's name in `raw_local`, its end has None there too. A mailbox has both,
    empty where the field has nothing.
    """

    raw_name: bytes | None
    route: bytes | None
    raw_local: bytes | None
    raw_domain: bytes | None

    @property
    def is_mailbox(self) -> bool:
        return self.raw_domain is not None

    @property
    def name(self) -> str:
        """Decoded display name, or "" when there is none; of a group's start the group's name."""
        raw = self.raw_name if self.is_mailbox else self.raw_local
        return decode_words(raw).strip() if raw else ""

    @property
    def local(self) -> str:
        """Local part without quoting; "" for group markers."""
        return decode_charset(self.raw_local, None) if self.raw_local and self.is_mailbox else ""

    @property
    def domain(self) -> str:
        return decode_charset(self.raw_domain, None) if self.raw_domain else ""

    @property
    def spec(self) -> str:
        """`local@domain`, or what there is of it, or ""."""
        return f"{self.local}@{self.domain}" if self.raw_domain else self.local


GROUP_END = Address(None, None, None, None)

_ATOM = rb"[^\x00-\x20\"(),.:;<>@\[\]\\\x7f]"
# One address in one of the two forms nearly all mail uses, up to its comma or the end of the field.
_COMMON = re.compile(
    rb"[ \t]*+(?:(?:\"([^\"\\]*+)\"|(" + _ATOM + rb"++(?:[ \t]++" + _ATOM + rb"++)*+))?+[ \t]*+"
    rb"<(" + _ATOM + rb"++(?:\." + _ATOM + rb"++)*+)@(" + _ATOM + rb"++(?:\." + _ATOM + rb"++)*+)>"
    rb"|(" + _ATOM + rb"++(?:\." + _ATOM + rb"++)*+)@(" + _ATOM + rb"++(?:\." + _ATOM + rb"++)*+))[ \t]*+(?:,|\Z)"
)
_TOKEN = re.compile(
    rb"(?P<blank>[\x00-\x20\x7f]++)|(?P<atom>" + _ATOM + rb"++)|\"(?P<quoted>(?:[^\"\\]++|\\.)*+)\"?+"
    rb"|(?P<literal>\[[^\[\]\\]*+\]?+)|(?P<comment>\()|(?P<special>.)",
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def parse_address_list(value: bytes) -> list[Address]:
    """The addresses of a raw field value (From, To, …) in order, group markers included. Never raises."""
    value = unfold(value)
    found: list[Address] = []
    at = 0
    while at < len(value) and len(found) < MAX_ADDRESSES:
        common = _COMMON.match(value, at)
        if common is None:
            return found + _parse_any(value, at, MAX_ADDRESSES - len(found))
        quoted, phrase, local, domain, bare_local, bare_domain = common.groups()
        name = quoted if phrase is None else b" ".join(phrase.split())
        found.append(Address(name or None, None, local or bare_local, domain or bare_domain))
        at = common.end()
    return found


@dataclass(slots=True)
class _Token:
    kind: str  # "atom", "quoted", "literal", "comment" or "special"
    text: bytes
    spaced: bool  # whether white space or a comment stands before it


def _tokens(value: bytes, at: int) -> Iterator[_Token]:
    spaced = False
    while at < len(value):
        found = _TOKEN.match(value, at)
        assert found is not None and found.lastgroup is not None  # the last alternative takes any octet
        kind, text = found.lastgroup, found[found.lastgroup]
        at = found.end()
        if kind == "blank":
            spaced = True
            continue
        if kind == "comment":
            end = comment_end(value, at)
            text = value[at : end - value.endswith(b")", at, end)]
            at = end
        if kind in ("quoted", "comment") and b"\\" in text:
            text = _QUOTED_PAIR.sub(rb"\1", text)
        yield _Token(kind, text, spaced)
        spaced = kind == "comment"


def _parse_any(value: bytes, at: int, limit: int) -> list[Address]:
    """Parse the list from `at` on, whatever it holds; at most `limit` elements."""
    found: list[Address] = []
    words: list[_Token] = []
    in_group = after_angle = False
    tokens = islice(_tokens(value, at), MAX_TOKENS)
    for token in tokens:
        if len(found) >= limit:
            return found
        special = token.text if token.kind == "special" else b""
        if special == b"<":
            inner, after_angle = _until_close(tokens)
            found.append(_from_angle(words, inner))
            words = []
        elif special == b":" and not in_group:
            found.append(Address(None, None, _phrase(words), None))
            words, in_group = [], True
        elif special in (b",", b";") and special:
            found += _from_words(words, after_angle)
            words, after_angle = [], False
            if special == b";" and in_group:
                found.append(GROUP_END)
                in_group = False
        else:
            words.append(token)
    found += _from_words(words, after_angle)
    if in_group:
        found.append(GROUP_END)
    return found


def _until_close(tokens: Iterator[_Token]) -> tuple[list[_Token], bool]:
    """The tokens within `<…>`, and whether a `>` ended them.

    When the `>` is missing the next comma ends them (only a source route holds commas).
    """
    inner: list[_Token] = []
    for token in tokens:
        if token.kind == "special":
            is_route = bool(inner) and inner[0].text == b"@"
            if token.text == b">" or (token.text == b"," and not is_route):
                return inner, token.text == b">"
        if token.kind != "comment":
            inner.append(token)
    return inner, True


def _from_angle(words: list[_Token], inner: list[_Token]) -> Address:
    #   angle-addr = "<" [obs-route] addr-spec ">"       obs-route = obs-domain-list ":"
    route = None
    if inner and _is_special(inner[0], b"@"):
        colon = next((n for n, token in enumerate(inner) if _is_special(token, b":")), 0)
        route = b"".join(token.text for token in inner[:colon]) or None
        inner = inner[colon + 1 :] if colon else inner
    at = max((n for n, token in enumerate(inner) if _is_special(token, b"@")), default=len(inner))
    local = b"".join(token.text for token in inner[:at])
    domain = b"".join(token.text for token in inner[at + 1 :])
    return Address(_phrase(words) or _comment(words), route, local, domain)


def _from_words(words: list[_Token], after_angle: bool) -> list[Address]:
    """The address that stands bare between separators: none, an addr-spec, or what is left of a broken one."""
    core = [token for token in words if token.kind != "comment"]
    if after_angle or not core:  # after an address there is nothing but comments and rubbish
        return []
    at = next((n for n, token in enumerate(core) if _is_special(token, b"@")), None)
    if at is None:
        if len(core) == 1:
            return [Address(_comment(words), None, core[0].text, b"")]
        return [Address(_phrase(words), None, b"", b"")]
    first = at  # obs-local-part = word *("." word), with blanks and comments anywhere
    while first > 0 and (first == at or _is_special(core[first], b".") or _is_special(core[first - 1], b".")):
        first -= 1
    last = at + 1
    while last < len(core) and (last == at + 1 or _is_special(core[last], b".") or _is_special(core[last - 1], b".")):
        last += 1
    local = b"".join(token.text for token in core[first:at])
    domain = b"".join(token.text for token in core[at + 1 : last])
    return [Address(_phrase(core[:first]) or _comment(words), None, local, domain)]


def _is_special(token: _Token, text: bytes) -> bool:
    return token.kind == "special" and token.text == text


def _phrase(words: list[_Token]) -> bytes | None:
    """The words as one display name, blanks between them folded to one space; None when there are none."""
    words = [token for token in words if token.kind != "comment"]
    return b"".join((b" " if n and token.spaced else b"") + token.text for n, token in enumerate(words)) or None


def _comment(words: list[_Token]) -> bytes | None:
    """The last comment, which old mailers put after the address as its name (`user@host (Full Name)`)."""
    comments = [token.text.strip() for token in words if token.kind == "comment"]
    return (comments[-1] or None) if comments else None
