"""Single-line replies, and the one table from errors to response codes (RFC 2449 section 8, RFC 3206)."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterator
from typing import Any

from accounts.auth.door import AuthenticationFailed, Throttled
from mailservers.formats.pop3 import Pop3SyntaxError
from mailservers.store.errors import StoreError

log = logging.getLogger(__name__)

Octets = bytes | memoryview
Reply = bytes | Iterator[Octets]  # whole, or in pieces with back-pressure between them
Answer = Reply | Coroutine[Any, Any, Reply]  # what a handler gives: at once, or when it has waited


class Refusal(Exception):
    """A command that was understood is refused. `code` "" for none."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Disconnect(Exception):
    """The session ends here, with this last reply."""

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__(reply)
        self.reply = reply


def ok(text: str) -> bytes:
    return f"+OK {text}\r\n".encode("ascii", "replace")


def err(text: str, code: str = "") -> bytes:
    """A text that began with "[" without being a code would break RESP-CODES."""
    return f"-ERR {f'[{code}] ' if code else ''}{text}\r\n".encode("ascii", "replace")


# The first row whose class fits decides.
_CODES: tuple[tuple[type[Exception], str, str], ...] = (
    (Pop3SyntaxError, "", ""),
    (Throttled, "SYS/TEMP", ""),
    (AuthenticationFailed, "AUTH", "Authentication failed"),
    (StoreError, "SYS/TEMP", ""),
    (OSError, "SYS/TEMP", "The mail store is not available; please try again later"),
)


def reply_for(error: Exception) -> bytes:
    """The -ERR an error means; what nobody foresaw is logged with its traceback."""
    if isinstance(error, Refusal):
        return err(error.text, error.code)
    for kind, code, text in _CODES:
        if isinstance(error, kind):
            if isinstance(error, OSError):
                log.error("a POP3 command failed", exc_info=error)
            text = text or str(error)
            return err(text[:1].upper() + text[1:], code)
    log.error("a POP3 command failed", exc_info=error)
    return err("Internal error", "SYS/TEMP")
