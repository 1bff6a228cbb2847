"""The arguments of GETQUOTA, GETQUOTAROOT and SETQUOTA, and their responses (RFC 9208 section 7)."""

from collections.abc import Iterable
from dataclasses import dataclass

from .lexer import ImapSyntaxError, Lexer
from .writer import astring

MAX_RESOURCES = 32
OCTETS_A_UNIT = 1024  # section 5.1: STORAGE is counted in these


def parse_getquota(lexer: Lexer) -> str:
    """getquota = "GETQUOTA" SP quota-root-name"""
    lexer.sp()
    root = _root(lexer)
    lexer.end()
    return root


@dataclass(frozen=True, slots=True)
class SetQuotaRequest:
    """``limits`` by resource name, in upper case; a resource that is not named loses its limit."""

    root: str
    limits: dict[str, int]


def parse_setquota(lexer: Lexer) -> SetQuotaRequest:
    """setquota = "SETQUOTA" SP quota-root-name SP "(" [setquota-resource *(SP setquota-resource)] ")" """
    lexer.sp()
    root = _root(lexer)
    lexer.sp()
    lexer.expect(b"(", "a list of limits")
    limits: dict[str, int] = {}
    while not lexer.skip(b")"):
        if limits:
            lexer.sp()
        name = lexer.atom("a resource").decode("ascii").upper()
        lexer.sp()
        if name in limits or len(limits) >= MAX_RESOURCES:
            raise ImapSyntaxError("A resource is named twice, or there are too many")
        limits[name] = lexer.number64("a limit")
    lexer.end()
    return SetQuotaRequest(root, limits)


def _root(lexer: Lexer) -> str:
    return lexer.astring("a quota root").decode("utf-8", "replace")


def quota_response(root: str, resources: Iterable[tuple[str, int, int]]) -> bytes:
    """quota-response; resources are (name, usage, limit). An empty list: nothing is limited (section 4.2.1)."""
    text = " ".join(f"{name} {usage} {limit}" for name, usage, limit in resources)
    return b"QUOTA %b (%b)" % (astring(root.encode()), text.encode("ascii"))


def in_units(octets: int) -> int:
    """Begun units of STORAGE."""
    return -(-octets // OCTETS_A_UNIT)
