"""Notices about mail: not delivered, not yet, or (when asked, RFC 3461) delivered: RFC 3464 in the container of
RFC 6522.

Three parts: text for people; per-recipient fields for programs; the header of the message it is about, or all of it.
With UTF-8 addresses or header fields the types of RFC 6533 are used. What is built is 7-bit throughout, so that it
passes any host, unless the whole message was asked for (RET=FULL) and is not. Only values in, octets out: the clock
and the identifiers are the caller's.

Deviation: RFC 6533 section 4.4 prefers 8-bit encoding for its types; quoted-printable, which it allows, is always
used here, because whether the way back is 8-bit clean is not known when the notice is written.
"""

from __future__ import annotations

import binascii
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .dates import format_date
from .headers import decode_words, first_field

MAX_HEADER_OCTETS = 64 * 1024  # of the returned header
_WRAP = 76  # columns, RFC 5322 section 2.1.1
_MAX_LINE = 998  # octets of a 7-bit line, RFC 5322 section 2.1.1
_MESSAGE_ID = re.compile(rb"<[!-;=?-~]{1,240}>")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Action(StrEnum):
    """RFC 3464 section 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"  # to a host that promises no notices
    EXPANDED = "expanded"  # to the members of a group


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What happened to one recipient."""

    address: str
    status: str  # RFC 3463, e.g. "5.1.1"
    reply: str = ""  # what the remote server said, word for word, LF between its lines; "" if it said nothing
    explanation: str = ""  # our own sentence: why it was not reached, or that time is up
    remote_mta: str = ""  # name of the server that replied
    last_attempt: datetime | None = None
    retry_until: datetime | None = None  # delayed only
    original: str = ""  # "type;address", as ORCPT gave it


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to the sender. Moments are aware; `header` is that of the message it is about, raw."""

    action: Action
    reporting_mta: str
    sender: str  # where the notice goes: the reverse-path
    message_id: str  # of the notice, with angle brackets
    written_at: datetime
    arrived_at: datetime  # when we accepted the message
    trace_id: str  # by which the message can be found in our log
    recipients: tuple[RecipientReport, ...]
    header: bytes
    envid: str = ""  # RFC 3461 4.4
    content: bytes = b""  # the whole message, CRLF line ends, when it is to be returned


def build_notice(notice: Notice) -> bytes:
    """The message, CRLF line ends, every line within 998 octets. Only the To field can hold UTF-8, and only when
    `sender` does."""
    parts = (_human_part(notice), _status_part(notice), _returned_part(notice))
    boundary = _boundary(notice.trace_id, parts)
    top = [
        f"From: Mail Delivery System <MAILER-DAEMON@{_plain(notice.reporting_mta)}>",
        f"To: <{_plain(notice.sender)}>",
        f"Subject: {_subject(notice)}",
        f"Date: {format_date(notice.written_at)}",
        f"Message-ID: {notice.message_id}",
        *_thread_fields(notice.header),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        *(["Content-Transfer-Encoding: 8bit"] if not all(part.isascii() for part in parts) else []),
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    ]
    middle = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    end = b"--" + boundary.encode() + b"--\r\n"
    preamble = b"This is a MIME report about the delivery of a message.\r\n"
    return "\r\n".join(top).encode() + b"\r\n\r\n" + preamble + middle + end


def _plain(text: str) -> str:
    """Text on one line, without control characters."""
    return _UNFIT.sub(" ", text).strip()


_SUBJECTS = {
    Action.FAILED: "Could not be delivered",
    Action.DELAYED: "Not delivered yet",
    Action.DELIVERED: "Delivered",
    Action.RELAYED: "Passed on",
    Action.EXPANDED: "Delivered to a group",
}


def _subject(notice: Notice) -> str:
    verb = _SUBJECTS[notice.action]
    count = len(notice.recipients)
    address = _plain(notice.recipients[0].address)
    if count == 1 and address.isascii():
        return f"{verb}: your message to {address}"
    return f"{verb}: your message to {count} recipient{'s' if count > 1 else ''}"


def _thread_fields(header: bytes) -> list[str]:
    found = _MESSAGE_ID.fullmatch((first_field(header, b"message-id") or b"").strip())
    if found is None:
        return []
    return [f"In-Reply-To: {found[0].decode('ascii')}", f"References: {found[0].decode('ascii')}"]


# ---------------------------------------------------------------- the part for people


def _human_part(notice: Notice) -> bytes:
    return _text_part("text/plain; charset=utf-8", "\n".join(_human_lines(notice)) + "\n", "Notification")


_NEWS = {
    Action.FAILED: "I am sorry: your message could not be delivered to {whom}, and I have stopped trying.",
    Action.DELAYED: "Your message has not reached {whom} yet. You need not do anything: I keep trying, and will tell "
    "you if I have to give up.",
    Action.DELIVERED: "Your message was delivered to {whom}. You asked to be told.",
    Action.RELAYED: "Your message was passed on to the mail server of {whom}, which sends no word of what becomes of "
    "it. You asked to be told.",
    Action.EXPANDED: "Your message was passed on to the members of {whom}. You asked to be told.",
}


def _human_lines(notice: Notice) -> list[str]:
    failed = notice.action is Action.FAILED
    several = len(notice.recipients) > 1
    whom = "these recipients" if several else "its recipient"
    news = _NEWS[notice.action].format(whom=whom)
    lines = [
        "Hello,",
        "",
        *_wrapped(f"this is the mail system at {notice.reporting_mta}. {news}"),
        "",
        *_about(notice),
    ]
    for recipient in notice.recipients:
        lines += ["", *_recipient_lines(recipient, failed)]
    return [*lines, "", f"The message's number in our log is {notice.trace_id}."]


def _about(notice: Notice) -> list[str]:
    subject = _plain(decode_words(first_field(notice.header, b"subject") or b""))[:200]
    return [
        *_wrapped(f"Subject: {subject or '(none)'}", indent="    "),
        f"    Sent:    {format_date(notice.arrived_at)}",
    ]


def _recipient_lines(recipient: RecipientReport, failed: bool) -> list[str]:
    lines = [f"  {_plain(recipient.address)}"]
    if recipient.explanation:
        lines += _wrapped(recipient.explanation, indent="    ")
    if recipient.reply:
        lines.append(f"    The mail server {_plain(recipient.remote_mta) or 'there'} said:")
        for line in recipient.reply.split("\n"):
            lines += _wrapped(_plain(line), indent="      > ")
    if failed:
        lines += _wrapped("What you can do: " + _advice(recipient.status), indent="    ")
    elif recipient.retry_until is not None:
        lines.append(f"    I keep trying until {format_date(recipient.retry_until)}.")
    return lines


# By the subject and detail of an RFC 3463 code (sections 3.2 to 3.8), the longest match first.
_ADVICE = (
    ("1.10", "that domain does not take any mail. Look for another address of the recipient."),
    ("1.", "check the address for typing mistakes, or ask the recipient for their present address."),
    ("2.2", "the recipient's mailbox is full. Tell them by another way, and send the message again later."),
    ("2.3", "the message is too large for that mailbox. Send less, or send a link instead of the files."),
    ("2.", "that mailbox does not take mail at present. Tell the recipient by another way."),
    ("3.4", "the message is too large for that server. Send less, or send a link instead of the files."),
    ("4.4", "check the part of the address after the @ for typing mistakes."),
    ("4.7", "the other server did not take the message in all that time. Send it again later, or tell the recipient "
     "by another way."),
    ("6.", "the other server cannot take this form of message or address. Use an address without special characters, "
     "or a simpler message."),
    ("7.", "the other server refuses the message by its own rules. Its words above may say why; your postmaster can "
     "help to clear it up with the other side."),
)  # fmt: skip


def _advice(status: str) -> str:
    subject_and_detail = status.partition(".")[2]
    for prefix, advice in _ADVICE:
        if subject_and_detail == prefix or (prefix.endswith(".") and subject_and_detail.startswith(prefix)):
            return advice
    return "check the address, and send the message again later. If it fails again, ask your postmaster."


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, _WRAP, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


# ---------------------------------------------------------------- the part for programs


def _status_part(notice: Notice) -> bytes:
    blocks = [
        [
            *([f"Original-Envelope-Id: {_plain(notice.envid)}"] if notice.envid else []),
            f"Reporting-MTA: dns; {_plain(notice.reporting_mta)}",
            f"Arrival-Date: {format_date(notice.arrived_at)}",
            f"X-Postroom-Trace: {notice.trace_id}",
        ],
        *(_recipient_fields(notice.action, recipient) for recipient in notice.recipients),
    ]
    text = "\n\n".join("\n".join(block) for block in blocks) + "\n"
    kind = "message/delivery-status" if text.isascii() else "message/global-delivery-status"
    return _text_part(kind, text, "Delivery report")


def _recipient_fields(action: Action, recipient: RecipientReport) -> list[str]:
    address = _plain(recipient.address)
    fields = [
        *([f"Original-Recipient: {_plain(recipient.original)}"] if recipient.original else []),
        f"Final-Recipient: {'rfc822' if address.isascii() else 'utf-8'}; {address}",
        f"Action: {action}",
        f"Status: {recipient.status}",
    ]
    if recipient.remote_mta:
        fields.append(f"Remote-MTA: dns; {_plain(recipient.remote_mta)}")
    if recipient.reply:
        fields.append(_folded("Diagnostic-Code: smtp;", recipient.reply))
    elif recipient.explanation:
        fields.append(_folded("Diagnostic-Code: x-postroom;", recipient.explanation))
    if recipient.last_attempt is not None:
        fields.append(f"Last-Attempt-Date: {format_date(recipient.last_attempt)}")
    if recipient.retry_until is not None and action is Action.DELAYED:
        fields.append(f"Will-Retry-Until: {format_date(recipient.retry_until)}")
    return fields


def _folded(name: str, text: str) -> str:
    rows = [row for line in text.split("\n") for row in _wrapped(_plain(line), indent="    ")]
    return "\n".join([name + " " + rows[0].strip(), *rows[1:]]) if rows else f"{name} (no text)"


# ---------------------------------------------------------------- what comes back of the message


def _returned_part(notice: Notice) -> bytes:
    content = notice.content
    if not content or b"\0" in content or any(len(line) > _MAX_LINE for line in content.split(b"\r\n")):
        return _header_part(notice.header)
    kind = b"message/rfc822" if notice.header.isascii() else b"message/global"
    encoding = b"7bit" if content.isascii() else b"8bit"
    fields = b"Content-Type: %b\r\nContent-Description: Undelivered message\r\nContent-Transfer-Encoding: %b\r\n\r\n"
    return fields % (kind, encoding) + content


def _header_part(header: bytes) -> bytes:
    text = header.replace(b"\r\n", b"\n").replace(b"\r", b" ").rstrip(b"\n")
    if len(text) > MAX_HEADER_OCTETS:
        text = text[: text.rfind(b"\n", 0, MAX_HEADER_OCTETS) + 1 or MAX_HEADER_OCTETS].rstrip(b"\n")
    text += b"\n"
    kind = "text/rfc822-headers"
    if not text.isascii():
        try:
            text.decode("utf-8")
            kind = "message/global-headers"
        except UnicodeDecodeError:
            pass  # an old charset, not said which: the octets as they are
    return _part(kind, text, "Header of the message")


# ---------------------------------------------------------------- MIME


def _text_part(kind: str, text: str, description: str) -> bytes:
    return _part(kind, text.encode("utf-8", "replace"), description)


def _part(kind: str, text: bytes, description: str) -> bytes:
    """One body part, CRLF line ends, quoted-printable when it must be. `text` has LF line ends."""
    plain = text.isascii() and b"\0" not in text and all(len(line) <= _MAX_LINE for line in text.split(b"\n"))
    if not plain:
        text = binascii.b2a_qp(text, istext=True)
    fields = (
        f"Content-Type: {kind}\r\nContent-Description: {description}\r\n"
        f"Content-Transfer-Encoding: {'7bit' if plain else 'quoted-printable'}\r\n\r\n"
    )
    return fields.encode("ascii") + text.replace(b"\n", b"\r\n")


def _boundary(seed: str, parts: Sequence[bytes]) -> str:
    """A boundary that no part holds."""
    number = 0
    while any(f"=_{seed}_{number}".encode() in part for part in parts):
        number += 1
    return f"=_{seed}_{number}"
