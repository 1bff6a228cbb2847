"""Replies with their enhanced status codes (RFC 2034, 5248), and what store errors are answered."""

from __future__ import annotations

from mailservers.delivery.acceptance import MailLoop
from mailservers.delivery.checking import MessageRefused
from mailservers.delivery.refusals import OverAllowance, SubmissionRefused
from mailservers.store.errors import OverQuota, StoreBusy, StoreError, StoreFull

Reply = tuple[int, str, str]  # code, enhanced status ("" for none), text

OK = (250, "2.0.0", "OK")
BAD_SEQUENCE = (503, "5.5.1", "Bad sequence of commands")
UNKNOWN_COMMAND = (500, "5.5.2", "Command not recognised")
NEED_HELO = (503, "5.5.1", "Say EHLO first")
NEED_LHLO = (503, "5.5.1", "Say LHLO first")
NEED_MAIL = (503, "5.5.1", "MAIL first")
NEED_RCPT = (503, "5.5.1", "RCPT first")
NEED_AUTH = (530, "5.7.0", "Authentication required")
NEED_TLS = (538, "5.7.11", "Encryption required for this authentication; use STARTTLS")
NO_RELAY = (550, "5.7.1", "We do not relay for this domain")
NO_USER = (550, "5.1.1", "No such user here")
MIXED_DATA = (503, "5.5.1", "BDAT has begun: only BDAT, RSET, NOOP or QUIT can follow")
TOO_LARGE = (552, "5.3.4", "Message too large")
MAILBOX_FULL = (452, "4.2.2", "The mailbox is full; try again later")
TOO_MANY_RECIPIENTS = (452, "4.5.3", "Too many recipients")
LINE_TOO_LONG = (500, "5.5.2", "Line too long")
LINE_WITHOUT_END = (421, "4.5.2", "Line too long")
ANSWER_TOO_LONG = (500, "5.5.6", "Authentication exchange line is too long")  # RFC 4954 4
BARE_LINE_END = (554, "5.6.0", "The message has a bare CR or LF; lines must end in CRLF")
AUTH_FAILED = (535, "5.7.8", "Authentication credentials invalid")
AUTH_THROTTLED = (454, "4.7.0", "Too many failed logins; try again later")
AUTH_UNAVAILABLE = (454, "4.7.0", "Temporary authentication failure; try again later")  # RFC 4954 4.7.0
TEMPORARY = (451, "4.3.0", "Temporary failure; please try again later")
REVOKED = (421, "4.7.0", "Your password was changed or your access withdrawn: sign in again")
SHUTTING_DOWN = (421, "4.3.2", "Shutting down")
TIMED_OUT = (421, "4.4.2", "Timeout")
TOO_MANY_ERRORS = (421, "4.7.0", "Too many errors")
TOO_BUSY = (421, "4.3.2", "Too many connections; try again later")


def encode(reply: Reply) -> bytes:
    """One line, or one for each line of the text."""
    code, enhanced, text = reply
    prefix = f"{enhanced} " if enhanced else ""
    if "\n" not in text:
        return f"{code} {prefix}{text}\r\n".encode("utf-8", "replace")
    lines = text.split("\n")
    last = len(lines) - 1
    wire = (f"{code}{' ' if i == last else '-'}{prefix}{line}\r\n" for i, line in enumerate(lines))
    return "".join(wire).encode("utf-8", "replace")


def for_error(error: Exception) -> Reply | None:
    """The reply for an error that a service raised; None for one it should not have."""
    if isinstance(error, MailLoop):
        return (554, "5.4.6", "Mail loop: too many Received fields")
    if isinstance(error, MessageRefused):
        return error.refusal
    if isinstance(error, OverAllowance):
        return (452, "4.7.1", str(error))
    if isinstance(error, SubmissionRefused):
        return (550, "5.7.1", str(error))
    if isinstance(error, OverQuota):
        return MAILBOX_FULL
    if isinstance(error, StoreFull):
        return (452, "4.3.1", "There is no room for more mail; please try again later")
    if isinstance(error, StoreBusy):
        return (451, "4.3.2", "The mail store is busy; please try again later")
    if isinstance(error, StoreError | OSError):
        return TEMPORARY
    return None
