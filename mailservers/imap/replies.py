"""What a handler answers or refuses with, and the one table from domain errors to IMAP's codes (RFC 5530)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from accounts.auth.door import AuthenticationFailed, Throttled
from accounts.auth.sasl import NotAuthorized
from mailservers.formats.imap.lexer import BadCharset, BadFilterCharset, BadMailboxName, ImapSyntaxError
from mailservers.store import errors
from mailservers.store.annotations import MAX_VALUE_OCTETS


@dataclass(frozen=True, slots=True)
class Reply:
    """A tagged OK. When it has been sent, ``then`` is called (starting TLS), or the session ``closes``."""

    text: str
    code: bytes | None = None
    closes: bool = False
    then: Callable[[], Awaitable[None]] | None = None


class Refusal(Exception):
    """A handler's NO (or BAD): a response code or None, and a text for the client."""

    def __init__(self, code: str | None, text: str, status: str = "NO") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status


class Disconnect(Exception):
    """The session cannot go on: BYE with this text."""


# The first row whose class fits decides. "" as code: none.
_CODES: tuple[tuple[type[Exception], str, str], ...] = (
    (BadFilterCharset, "BAD", "BADCHARSET (US-ASCII UTF-8)"),
    (BadCharset, "NO", "BADCHARSET (US-ASCII UTF-8)"),
    (BadMailboxName, "NO", "CANNOT"),
    (ImapSyntaxError, "BAD", ""),
    (Throttled, "NO", "UNAVAILABLE"),
    (NotAuthorized, "NO", "AUTHORIZATIONFAILED"),
    (AuthenticationFailed, "NO", "AUTHENTICATIONFAILED"),
    (errors.NoSuchMailbox, "NO", "NONEXISTENT"),
    (errors.MailboxExists, "NO", "ALREADYEXISTS"),
    (errors.InvalidMailboxName, "NO", "CANNOT"),
    (errors.MailboxHasChildren, "NO", "HASCHILDREN"),
    (errors.MailboxProtected, "NO", "CANNOT"),
    (errors.NotPermitted, "NO", "NOPERM"),
    (errors.AnnotationTooLarge, "NO", f"METADATA MAXSIZE {MAX_VALUE_OCTETS}"),
    (errors.TooManyAnnotations, "NO", "METADATA TOOMANY"),
    (errors.SpecialUseRefused, "NO", "USEATTR"),
    (errors.TooManyKeywords, "NO", "LIMIT"),
    (errors.OverQuota, "NO", "OVERQUOTA"),
    (errors.ContentDamaged, "NO", "CORRUPTION"),
    (errors.StoreBusy, "NO", "UNAVAILABLE"),
    (errors.StoreUnavailable, "NO", "UNAVAILABLE"),
    (errors.StoreError, "NO", "CANNOT"),
    (OSError, "NO", "UNAVAILABLE"),
)


def refusal_for(error: Exception) -> Refusal | None:
    """The refusal a domain error means; None for what nobody foresaw."""
    if isinstance(error, Refusal):
        return error
    for kind, status, code in _CODES:
        if isinstance(error, kind):
            text = str(error)
            return Refusal(code or None, text[:1].upper() + text[1:], status)
    return None
