"""Making the octets of a message that a user wrote (RFC 5322, RFC 2045).

Header fields are written here, one function for all: text is put on one line, control characters become blanks, what
is not ASCII becomes encoded-words (RFC 2047), so no value can begin a field of its own. Addresses have been parsed
before and are written anew. Nothing foreign is parsed here: attachments are octets.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from urllib.parse import quote

from mailservers.formats.addresses import format_mailbox_address
from mailservers.formats.mailbox_address import domain_to_ascii, parse_mailbox_address
from mailservers.formats.outgoing import to_wire

MAX_SUBJECT = 900  # characters
MAX_REFERENCES = 50
MAX_FILE_NAME = 200  # characters
FOLD_AT = 76  # octets of a line
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+\Z")
_MESSAGE_ID = re.compile(r"<[^<>\s\x00-\x20\x7f-\U0010ffff]{1,900}>\Z")
_PIECE = re.compile(r"(?:%[0-9A-F]{2}|[^%]){1,22}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,80}\Z")


@dataclass(frozen=True, slots=True)
class Person:
    """A display name ("" for none) and an address that `parse_mailbox_address` accepts."""

    name: str
    address: str

    def __str__(self) -> str:
        if not self.name or _ATOM.match(self.name):
            return self._plain()
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{self.address}>'

    def _plain(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class File:
    """An attachment. `type` is `maintype/subtype`; what is not well formed becomes application/octet-stream."""

    name: str
    type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """Shown within the HTML, which names it `cid:` and the Content-ID."""

    content_id: str
    file: File


@dataclass(frozen=True, slots=True)
class Written:
    """Everything a message is made of. `extra`: further fields, names from our own code."""

    sender: Person
    to: Sequence[Person] = ()
    cc: Sequence[Person] = ()
    bcc: Sequence[Person] = ()
    reply_to: Sequence[Person] = ()
    receipt_to: Sequence[Person] = ()  # who is to be told that it was read (RFC 8098 2.1)
    subject: str = ""
    text: str = ""
    html: str = ""  # the same text, a whole document; "" when it is plain
    pictures: Sequence[Picture] = ()  # that the HTML names
    files: Sequence[File] = ()
    in_reply_to: str = ""
    references: Sequence[str] = ()
    message_id: str = ""
    extra: Sequence[tuple[str, str]] = ()


def build(written: Written, date: datetime) -> bytes:
    """The message with CRLF line ends; UTF-8 header fields where an address needs them (RFC 6532)."""
    lines = [_field("Date", format_datetime(date)), people_field("From", [written.sender])]
    lines += [people_field(name, people) for name, people in _recipients(written) if people]
    lines.append(_text("Subject", written.subject[:MAX_SUBJECT]))
    domain = written.sender.address.rpartition("@")[2]
    lines.append(id_field("Message-ID", [written.message_id or new_message_id(domain)]))
    if _is_id(written.in_reply_to):
        lines.append(id_field("In-Reply-To", [written.in_reply_to]))
    references = [one for one in written.references if _is_id(one)][-MAX_REFERENCES:]
    if references:
        lines.append(id_field("References", references))
    lines += [_text(name, value) for name, value in written.extra]
    lines.append(_field("MIME-Version", "1.0"))
    return "".join(lines).encode("utf-8") + _body(written)


def new_message_id(domain: str) -> str:
    host = domain_to_ascii(domain) if not domain.startswith("[") else "localhost"
    return f"<{secrets.token_hex(16)}@{host}>"


def _recipients(written: Written) -> list[tuple[str, Sequence[Person]]]:
    return [
        ("Reply-To", written.reply_to),
        ("To", written.to),
        ("Cc", written.cc),
        ("Bcc", written.bcc),
        ("Disposition-Notification-To", written.receipt_to),
    ]


def _is_id(value: str) -> bool:
    return _MESSAGE_ID.match(value) is not None


# ---------------------------------------------------------------- header fields


def one_line(value: str) -> str:
    """On one line, without control characters."""
    return " ".join(_CONTROLS.sub(" ", value).split())


def _field(name: str, value: str) -> str:
    return f"{name}: {value}\r\n"


def _text(name: str, value: str) -> str:
    """Unstructured text, folded; encoded-words when it is not plain ASCII."""
    value = one_line(value)
    charset = "us-ascii" if value.isascii() and "=?" not in value and _fits(value) else "utf-8"
    return _field(name, _folded(value, charset, len(name) + 2))


def _fits(value: str) -> bool:
    """Folding at blanks keeps every line short enough (RFC 5322 2.1.1: 998 octets)."""
    return all(len(word) < 900 for word in value.split())


def _folded(value: str, charset: str, indent: int) -> str:
    header = Header(value, charset, maxlinelen=FOLD_AT, header_name="x" * max(indent - 2, 1))
    return header.encode(linesep="\r\n")


def people_field(name: str, people: Sequence[Person]) -> str:
    """An address list, one address a line."""
    return _field(name, ",\r\n ".join(_person(one) for one in people))


def _person(person: Person) -> str:
    local, domain = parse_mailbox_address(person.address)
    if not domain.startswith("["):
        domain = domain_to_ascii(domain)
    address = format_mailbox_address(local, domain)
    name = one_line(person.name)[:200]
    if not name:
        return address
    if not name.isascii() or "=?" in name:
        return f"{_folded(name, 'utf-8', 10)}\r\n <{address}>"
    if _ATOM.match(name):
        return f"{name} <{address}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'


def id_field(name: str, values: Sequence[str]) -> str:
    return _field(name, "\r\n ".join(values))


# ---------------------------------------------------------------- body


def _body(written: Written) -> bytes:
    """The Content-* fields, the empty line and the body."""
    text = _text_part(written.text)
    if written.html:
        html = _text_part(written.html, "html")
        if written.pictures:
            html = _multipart('related;\r\n type="text/html"', [html, *map(_picture_part, written.pictures)])
        text = _multipart("alternative", [text, html])
    if not written.files:
        return text
    return _multipart("mixed", [text, *map(_file_part, written.files)])


def _multipart(subtype: str, entities: Sequence[bytes]) -> bytes:
    boundary = f"=_{secrets.token_hex(16)}"  # "=_" occurs neither in base64 nor in quoted-printable
    delimiter = f"--{boundary}\r\n".encode()
    head = f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n\r\n'.encode()
    return head + b"".join(delimiter + one + b"\r\n" for one in entities) + f"--{boundary}--\r\n".encode()


def _text_part(text: str, subtype: str = "plain") -> bytes:
    """In UTF-8: as it is when it is ASCII with short lines, else quoted-printable."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    octets = (text if text.endswith("\n") else text + "\n").encode("utf-8", "replace")
    plain = octets.isascii() and all(len(line) <= 900 for line in octets.split(b"\n"))
    charset, encoding = ("us-ascii", "7bit") if plain else ("utf-8", "quoted-printable")
    content = octets if plain else binascii.b2a_qp(octets, istext=True)
    head = f"Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + content.replace(b"\n", b"\r\n")


def _file_part(file: File) -> bytes:
    type_, encoding, content = _encoded(file)
    name = _name_parameter(one_line(file.name)[:MAX_FILE_NAME] or "attachment")
    fields = (
        f"Content-Type: {type_}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        f"Content-Disposition: attachment;{name}\r\n\r\n"
    )
    return fields.encode() + content


def _picture_part(picture: Picture) -> bytes:
    type_, encoding, content = _encoded(picture.file)
    name = _name_parameter(one_line(picture.file.name)[:MAX_FILE_NAME] or "image")
    fields = (
        f"Content-Type: {type_}\r\nContent-Transfer-Encoding: {encoding}\r\nContent-ID: <{picture.content_id}>\r\n"
        f"Content-Disposition: inline;{name}\r\n\r\n"
    )
    return fields.encode() + content


def _encoded(file: File) -> tuple[str, str, bytes]:
    """(type, transfer encoding, body). An embedded message may not be base64 (RFC 2046 5.2.1), so one that cannot
    stand as it is becomes a file."""
    maintype, _, subtype = file.type.lower().partition("/")
    if (maintype, subtype) == ("message", "rfc822") and b"\0" not in file.content:
        return "message/rfc822", "7bit" if file.content.isascii() else "8bit", to_wire(file.content)
    well_formed = _TOKEN.match(maintype) and _TOKEN.match(subtype) and maintype not in ("multipart", "message")
    type_ = f"{maintype}/{subtype}" if well_formed else "application/octet-stream"
    return type_, "base64", base64.encodebytes(file.content).replace(b"\n", b"\r\n")


def _name_parameter(name: str) -> str:
    """`filename`, continued over lines and percent-encoded where it must be (RFC 2231)."""
    if name.isascii() and len(name) <= 60:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'\r\n filename="{quoted}"'
    pieces = _PIECE.findall(f"utf-8''{quote(name, safe='')}")
    if len(pieces) == 1:
        return f"\r\n filename*={pieces[0]}"
    return ";".join(f"\r\n filename*{n}*={piece}" for n, piece in enumerate(pieces))
