"""The arguments of the ACL commands, and rights as they are written (RFC 4314 sections 2.1 and 7)."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..saslprep import saslprep
from .lexer import ImapSyntaxError, Lexer

RIGHTS = "lrswipkxtea"
# Section 2.1.1: the virtual rights of RFC 2086, and what they stand for.
CREATE, DELETE = "kx", "te"
_VIRTUAL = {"c": CREATE, "d": DELETE}
MAX_IDENTIFIER = 321  # characters


@dataclass(frozen=True, slots=True)
class AclRequest:
    """``identifier`` as sent; ``prepared`` in lower case, with "-" in front where it is negative. ``change`` is "+",
    "-" or "=" (SETACL only)."""

    mailbox: str
    identifier: bytes
    prepared: str
    change: str = "="
    rights: frozenset[str] = frozenset()


def parse_identifier(lexer: Lexer) -> AclRequest:
    """DELETEACL and LISTRIGHTS: SP mailbox SP identifier"""
    request = _start(lexer)
    lexer.end()
    return request


def parse_setacl(lexer: Lexer) -> AclRequest:
    """setacl = "SETACL" SP mailbox SP identifier SP mod-rights"""
    start = _start(lexer)
    lexer.sp()
    text = lexer.text_string("rights")
    lexer.end()
    change = text[:1] if text[:1] in ("+", "-") else ""
    rights = _rights(text.removeprefix(change))
    return AclRequest(start.mailbox, start.identifier, start.prepared, change or "=", rights)


def _start(lexer: Lexer) -> AclRequest:
    lexer.sp()
    mailbox = lexer.mailbox()
    lexer.sp()
    identifier = lexer.astring("an identifier")
    try:
        prepared = saslprep(identifier.decode("utf-8")).lower()
    except ValueError:
        raise ImapSyntaxError("Invalid identifier") from None
    if not prepared.removeprefix("-") or len(prepared) > MAX_IDENTIFIER:
        raise ImapSyntaxError("Invalid identifier")
    return AclRequest(mailbox, identifier, prepared)


def _rights(text: str) -> frozenset[str]:
    rights: set[str] = set()
    for right in text:
        if right in _VIRTUAL:
            rights.update(_VIRTUAL[right])
        elif right in RIGHTS:
            rights.add(right)
        elif right.isupper():
            raise ImapSyntaxError("Uppercase rights are not allowed")
        else:
            raise ImapSyntaxError("That right is not supported")
    return frozenset(rights)


def write_rights(rights: Iterable[str]) -> bytes:
    """With "c" and "d" where a right of theirs is there, for clients of RFC 2086."""
    given = set(rights)
    text = "".join(right for right in RIGHTS if right in given)
    text += "c" if given & set(CREATE) else ""
    text += "d" if given & set(DELETE) else ""
    return text.encode("ascii") or b'""'
