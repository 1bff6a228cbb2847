"""SPF macros (RFC 7208 section 7): parsing and expanding.

domain-spec    = macro-string domain-end
domain-end     = ( "." toplabel [ "." ] ) / macro-expand
macro-string   = *( macro-expand / macro-literal )
macro-expand   = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
macro-literal  = %x21-24 / %x26-7E
transformers   = *DIGIT [ "r" ]
delimiter      = "." / "-" / "+" / "," / "/" / "_" / "="
explain-string = *( macro-string / SP )
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

MAX_DOMAIN = 253  # octets of an expanded name (section 7.3)


class SpfSyntaxError(ValueError):
    """The record is not well formed; the text says where."""


@dataclass(frozen=True, slots=True)
class Macro:
    """`%{letter…}`. `keep`: so many parts from the right, 0 all. An upper-case letter asks for URL escapes."""

    letter: str
    keep: int = 0
    is_reversed: bool = False
    delimiters: str = "."
    is_escaped: bool = False


Parts = tuple["str | Macro", ...]


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """A domain with macros in it."""

    parts: Parts

    @property
    def needs_validated_name(self) -> bool:
        """Has it a %{p}, which costs questions to the DNS?"""
        return any(isinstance(part, Macro) and part.letter == "p" for part in self.parts)


_ITEM = re.compile(r"%\{([A-Za-z])([0-9]*)([Rr]?)([-.+,/_=]*)\}|(%%|%_|%-)|([!-$&-~]+)")
_ESCAPES = {"%%": "%", "%_": " ", "%-": "%20"}
_LETTERS = frozenset("slodiphv")
_EXPLAIN_LETTERS = _LETTERS | frozenset("crt")
#   toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
_TOPLABEL = re.compile(r"\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\.?\Z")


def parse_macro_string(text: str) -> Parts:
    """Raises `SpfSyntaxError`."""
    return _parse(text, _LETTERS)


def parse_explanation(text: str) -> Parts:
    """The text that exp= leads to. Raises `SpfSyntaxError`."""
    parts: list[str | Macro] = []
    for at, word in enumerate(text.split(" ")):
        parts += [" "] if at else []
        parts += _parse(word, _EXPLAIN_LETTERS)
    return tuple(parts)


def parse_domain_spec(text: str) -> DomainSpec:
    """Raises `SpfSyntaxError`."""
    parts = parse_macro_string(text)
    if not parts:
        raise SpfSyntaxError("a domain is missing")
    if isinstance(parts[-1], str) and not _ends_in_macro(text) and not _TOPLABEL.search(text):
        raise SpfSyntaxError(f"{text[:60]!r} does not end like a domain")
    return DomainSpec(parts)


def _ends_in_macro(text: str) -> bool:
    return text.endswith(("%%", "%_", "%-"))


def _parse(text: str, letters: frozenset[str]) -> Parts:
    parts: list[str | Macro] = []
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None:
            raise SpfSyntaxError(f"{text[at : at + 20]!r} is no macro")
        letter, keep, is_reversed, delimiters, escape, literal = match.groups()
        if literal or escape:
            parts.append(literal or _ESCAPES[escape])
        else:
            parts.append(_macro(letter, keep, bool(is_reversed), delimiters, letters))
        at = match.end()
    return tuple(parts)


def _macro(letter: str, keep: str, is_reversed: bool, delimiters: str, letters: frozenset[str]) -> Macro:
    if letter.lower() not in letters:
        raise SpfSyntaxError(f"there is no macro %{{{letter}}} here")
    if keep and (int(keep[:10]) == 0 or len(keep) > 9):
        raise SpfSyntaxError("a macro keeps no part")
    return Macro(letter.lower(), int(keep or 0), is_reversed, delimiters or ".", letter.isupper())


# ---------------------------------------------------------------- expanding


def expand(parts: Parts, values: Mapping[str, str]) -> str:
    """`values`: by letter; one that is missing is empty."""
    return "".join(part if isinstance(part, str) else _value(part, values) for part in parts)


def expand_domain(spec: DomainSpec, values: Mapping[str, str]) -> str:
    """Section 7.3: what is too long for a name loses labels on the left."""
    name = expand(spec.parts, values).removesuffix(".")
    if len(name) <= MAX_DOMAIN:
        return name
    return name[-MAX_DOMAIN - 1 :].partition(".")[2]  # from the first label that is whole; "" if there is none


def _value(macro: Macro, values: Mapping[str, str]) -> str:
    value = values.get(macro.letter, "")
    pieces = re.split(f"[{re.escape(macro.delimiters)}]", value)
    if macro.is_reversed:
        pieces.reverse()
    if macro.keep:
        pieces = pieces[-macro.keep :]
    text = ".".join(pieces)
    return quote(text, safe="-._~") if macro.is_escaped else text
