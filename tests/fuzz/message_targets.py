"""Messages: the MIME scanner and all that reads what it found, header fields, and the forms a message is changed to."""

from __future__ import annotations

import base64
import quopri
from datetime import UTC, datetime

from mailservers.formats import mbox
from mailservers.formats.addresses import parse_address_list
from mailservers.formats.binary_content import NotEncodable, without_nul
from mailservers.formats.charsets import decode_charset
from mailservers.formats.dates import format_date, format_internal_date, parse_date, parse_internal_date
from mailservers.formats.downgrade import without_binary
from mailservers.formats.encoded_words import decode_words
from mailservers.formats.envelope import bodystructure, envelope
from mailservers.formats.headers import field_map, header_end, header_fields, iter_fields, unfold, without_fields
from mailservers.formats.html_text import html_to_text
from mailservers.formats.imap.lexer import Lexer
from mailservers.formats.imap.threading import Node, Threaded, thread, write_threads
from mailservers.formats.mime import scan
from mailservers.formats.octets import Windowed
from mailservers.formats.parameters import decode_parameter, parse_content_type, parse_disposition, parse_token
from mailservers.formats.parts import Part, dump_parts, find_part, load_parts, walk
from mailservers.formats.searchable import fold, searchable, searchable_header
from mailservers.formats.sections import UnknownEncoding, decode_body, decode_strict, section
from mailservers.formats.subjects import base_subject
from mailservers.formats.summary import summarise
from mailservers.formats.surrogate import ascii_surrogate
from mailservers.formats.text import message_texts
from mailservers.formats.transfer import decode_base64, decode_quoted_printable
from tests.fuzz.target import only, split, target

MULTIPART = (
    b"From: a@b\r\nSubject: =?utf-8?q?=C3=BC?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n"
    b"Content-Type: text/html; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+eDwvYj4=\r\n--b\r\n"
    b'Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename="x"\r\n\r\nSubject: '
    b"in\r\n\r\nt\r\n--b--\r\n"
)
FIELDS = (
    b"Content-Type: multipart/mixed; boundary=b multipart/digest message/rfc822 message/global text/html charset= "
    b"Content-Transfer-Encoding: base64 quoted-printable binary Content-Disposition: attachment; "
    b"filename*0*=utf-8''%e2 "
    b"Content-ID: Content-Language: --b --b-- \r\n\r\n Subject: From: To: Date: Message-ID: "
    b"References: =?utf-8?q?=C3=BC?="
)


class Small(Windowed):
    """A message behind a window that is always asked for anew."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(len(raw))
        self._raw = raw

    def read(self, start: int, end: int) -> bytes:
        return self._raw[start:end]


def check_text(text: str) -> None:
    text.encode("utf-8")  # no lone surrogates
    assert "\0" not in text


def check_tree(part: Part, start: int, end: int) -> None:
    assert start <= part.header_start <= part.body_start <= part.end <= end
    at = part.body_start
    for child in part.children:
        assert child.header_start >= at
        check_tree(child, at, part.end)
        at = child.end


def is_balanced(text: bytes) -> None:
    """A parenthesised list of nstrings, numbers and lists, and nothing behind it."""
    at = depth = 0
    while at < len(text):
        mark = text[at : at + 1]
        if mark == b'"':
            at = text.index(b'"', at + 1)
            while text[at - 1 : at] == b"\\" and text[at - 2 : at - 1] != b"\\":
                at = text.index(b'"', at + 1)
        elif mark == b"{":
            end = text.index(b"}\r\n", at)
            at = end + 2 + int(text[at + 1 : end])
        depth += (mark == b"(") - (mark == b")")
        assert depth >= 0
        at += 1
        assert depth > 0 or at >= len(text)
    assert depth == 0 and at == len(text)


@target(
    MULTIPART, b"", b"Content-Type: message/rfc822\r\n\r\n" * 3, words=FIELDS, max_octets=2048, pumped_octets=32_768
)
def mime_scan(data: bytes) -> None:
    """The tree lies within the message, is kept and read back, and is the same through a window."""
    root = scan(data)
    check_tree(root, 0, len(data))
    assert load_parts(dump_parts(root)) == root
    assert scan(Small(data)) == root
    for extended in (False, True):
        is_balanced(bodystructure(data, root, extended))
    for path, part in list(walk(root))[:40]:
        found = find_part(root, path)
        assert found is not None
        if not (part.is_multipart or part.is_message):
            assert section(data, root, path, "") == data[part.body_start : part.end] or path == ()
        for what in ("", "HEADER", "TEXT", "MIME"):
            section(data, root, path, what)


@target(MULTIPART, words=FIELDS, max_octets=2048, pumped_octets=32_768)
def message_summary(data: bytes) -> None:
    """All that is kept about a message: no octets are refused, every text can be stored."""
    found = summarise(data)
    is_balanced(found.envelope)
    assert found == summarise(Small(data), found.sha256) if hasattr(found, "sha256") else True
    root = scan(data)
    for text in message_texts(data, root):
        check_text(text)
    kept = searchable(data, root)
    kept.body.decode("utf-8")
    for _, part in list(walk(root))[:20]:
        whole = decode_body(data, part)
        assert whole.startswith(decode_body(data, part, 5))
        only(UnknownEncoding, decode_strict, data, part)
        if part.filename is not None:
            check_text(part.filename)


def _shares_boundary(data: bytes) -> bool:
    """Against RFC 2046 5.1.2: whose delimiter a line is depends on all that is above it."""
    boundaries = [part.params.get(b"boundary") for _, part in walk(scan(data)) if part.is_multipart]
    return len(set(boundaries)) < len(boundaries)


@target(
    MULTIPART,
    b"Content-Type: text/plain\r\n\r\na\0b\xff",
    "Subject: ü\r\nFrom: ü <ü@x>\r\n\r\n".encode(),
    words=FIELDS,
    max_octets=1500,
    pumped_octets=32_768,
)
def message_forms(data: bytes) -> None:
    """Without NUL, without binary, without 8-bit header: each holds what it promises and changes nothing twice."""
    plain = only(NotEncodable, lambda: b"".join(without_nul(data)))
    if isinstance(plain, bytes):
        assert b"\0" not in plain[header_end(plain) :] or b"\0" in data[: header_end(data)] or b"\0" not in data
    lines = without_binary(data)
    assert without_binary(lines) == lines or b"\0" in lines or _shares_boundary(data)
    header = ascii_surrogate(data)
    assert ascii_surrogate(header) == header
    assert header.endswith(data[header_end(data) :])


@target(
    b"From: a\r\n b\r\nX : y\nSubject: =?utf-8?b?w7w=?=\r\n\r\nbody",
    b"Nothing\r\n\r\n",
    words=FIELDS + b" \t : \n",
)
def header_block(data: bytes) -> None:
    """Chosen fields and the others make up the header."""
    end = header_end(data)
    assert 0 <= end <= len(data)
    header = data[:end]
    names = {name.lower() for name, _ in iter_fields(header)}
    for name, value in iter_fields(header):
        assert b"\n" not in unfold(value)
        assert name
    assert set(field_map(header)) <= names
    chosen = header_fields(header, {b"from", b"subject"})
    rest = header_fields(header, {b"from", b"subject"}, exclude=True)
    assert len(chosen) + len(rest) <= 2 * len(header) + 4
    assert without_fields(header, b"from", lambda value: False) == header
    is_balanced(envelope(header))
    searchable_header(header).decode("utf-8")


@target(
    b"=?utf-8?q?=C3=BC?= =?koi8-r*ru?b?8NLJ18XU?=",
    b'"a" <b@c>, G: d@e (f), g;, <@x:y@z>',
    b"text/plain; a*0*=utf-8''%e2%82; a*1=\"%ac\"; charset=x",
    words=b"=?utf-8?q? ?= =?iso-2022-jp?b? =C3 < > @ , ; : ( ) \" \\ a*0*= a*1= utf-8'' %e2 text/plain",
)
def header_value(data: bytes) -> None:
    """Encoded words, addresses, parameters: nothing is raised, and text is text."""
    check_text(decode_words(data))
    for address in parse_address_list(data):
        for text in (address.name, address.local, address.domain, address.spec):
            check_text(text)
    declared = parse_content_type(data)
    _, params = parse_disposition(data)
    parse_token(data)
    for values in (params, declared[2] if declared else {}):
        for name in (b"charset", b"filename", b"a", b"name"):
            check_text(decode_parameter(values, name) or "")


@target(
    b"utf-8\xfe\xc3\xbc",
    b'iso-2022-jp\xfe\x1b$B$"\x1b(B',
    b"utf-7\xfe+AOk-",
    b"\xfe\xff\0a",
    words=(
        b"utf-8 utf-16 utf-32 utf-7 koi8-r gb18030 iso-2022-jp hz big5 shift_jis euc-kr cp437 "
        b"x-user-defined idna punycode rot13 zlib hex unicode_escape"
    ),
)
def charset(data: bytes) -> None:
    """Any octets in any charset become text that can be stored."""
    name, octets = split(data, 2)
    check_text(decode_charset(octets, name.decode("latin-1")))
    check_text(decode_charset(data, None))


@target(b"PGI+eDwvYj4=", b"a=3Db=\r\nc", words=b"= =3D =\r\n")
def transfer(data: bytes) -> None:
    """What is well encoded is decoded; anything else gives no error."""
    decode_base64(data)
    decode_quoted_printable(data)
    assert decode_base64(base64.encodebytes(data)) == data
    assert decode_quoted_printable(quopri.encodestring(data, quotetabs=True)).replace(b"\r\n", b"\n") == data.replace(
        b"\r\n", b"\n"
    )


@target(
    b"Wed, 01 May 2024 10:00:00 +0200",
    b"Wed May  1 10:00:00 PST 1969",
    b"2038-01-19T03:14:08Z",
    b" 1-Jan-1970 00:00:00 -1459",
    words=b"Mon, Jan Feb 1969 2038 9999 0001 +2359 -2400 GMT EST 24:00:60 (x) T",
)
def dates(data: bytes) -> None:
    """A moment, or none; what was read is read back as it is written."""
    found = parse_date(data)
    if found is not None:
        found.astimezone(UTC)
        assert parse_date(format_date(found).encode()) == found.replace(microsecond=0)
    internal = parse_internal_date(data)
    for moment in (found, internal):
        if moment is not None:
            written = format_internal_date(moment)
            assert len(written) == 26
            assert parse_internal_date(written) == moment.replace(microsecond=0)
            assert Lexer((b'"%b"' % written,)).date_time() == moment.replace(microsecond=0)


@target(b"Re: [x] Fwd: hello (fwd)", b"[fwd: [fwd: a]]", words=b"Re: Fwd: [x] (fwd) [fwd: ] Fw:")
def subject(data: bytes) -> None:
    """A base subject is its own; folding twice is folding once."""
    text = data.decode("utf-8", "replace")
    base = base_subject(text)
    assert len(base.text) <= len(text)
    assert fold(fold(text)) == fold(text)


@target(
    b"<p>a &amp; b<script>x</script><style>y",
    b"<!-- <b> --> &#x41; &#0; &bogus;",
    words=b"<p> <script> </script> <style> <!-- --> &amp; &#x41; <a href= <br/> <td> <![CDATA[",
)
def html_text(data: bytes) -> None:
    check_text(html_to_text(decode_charset(data, "utf-8")))


@target(b"From x\r\n>From y\r\n\r\n", b"a\nFrom b\n", words=b"From >From \r\n \n")
def mbox_entry(data: bytes) -> None:
    """Whatever is written into a file comes out of it."""
    written = mbox.write_entry(data, datetime(2024, 2, 29, 12, tzinfo=UTC))
    entries = list(
        mbox.read_entries((written * 2).splitlines(keepends=True) if b"\r" not in written else _lines(written * 2))
    )
    assert len(entries) == 2
    for entry in entries:
        assert data in mbox.candidates(entry)
        assert mbox.date_of(entry) == datetime(2024, 2, 29, 12, tzinfo=UTC)


def _lines(text: bytes) -> list[bytes]:
    return [line + b"\n" for line in text.split(b"\n")[:-1]]


@target(b"\x01\x02\x03\x01\x04\x05\x02\x02\x00", max_octets=120, pumped_octets=0)
def thread_trees(data: bytes) -> None:
    """Every message stands in exactly one place, whatever the references say."""
    messages = []
    for number in range(1, min(len(data) // 3, 30) + 1):
        own, other, third = data[number * 3 - 3 : number * 3]
        sent = datetime(2024, 1, 1 + own % 28, tzinfo=UTC)
        subject = ("Re: " if third & 1 else "") + f"s{third % 4}"
        references = tuple(f"<{n % 12}>" for n in (other, third, other >> 4)[: third % 4])
        messages.append(Threaded(number, f"<{own % 12}>", references, subject, sent))
    for algorithm in ("ORDEREDSUBJECT", "REFERENCES", "REFS"):
        roots = thread(algorithm, messages)
        assert sorted(n for root in roots for n in _numbers(root)) == [m.number for m in messages]
        write_threads(roots)


def _numbers(root: Node) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if node.message is not None:
            found.append(node.message.number)
        waiting += node.children
    return found
