"""The MIME scanner: what the tree is, that it always is a tree, and that it agrees with the standard library."""

import base64
import quopri
from email import message_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats.mime import (
    MAX_DEPTH,
    Part,
    UnknownEncoding,
    decode_body,
    decode_strict,
    dump_parts,
    find_part,
    load_parts,
    scan,
    section,
    walk,
)

from .mime_soup import messages, mime_parts


def shape(raw: bytes) -> object:
    """The tree as `type/subtype body-octets` strings, multiparts and messages as lists that begin with one."""

    def of(part: Part) -> object:
        label = (part.maintype + b"/" + part.subtype).decode()
        if part.children:
            return [label, *(of(child) for child in part.children)]
        return (label, raw[part.body_start : part.end])

    return of(scan(raw))


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


MIXED = "Content-Type: multipart/mixed; boundary=b\n\n"
CASES = {
    "empty": (b"", ("text/plain", b"")),
    "no header": (b"just text\r\nmore\r\n", ("text/plain", b"just text\r\nmore\r\n")),
    "header only": (b"A: b\r\n", ("text/plain", b"")),
    "header without an end": (b"A: b", ("text/plain", b"")),
    "empty header": (b"\r\nbody", ("text/plain", b"body")),
    "bare LF": (b"A: b\n\nbody\n", ("text/plain", b"body\n")),
    "bare CR is no line end": (b"A: b\rC: d\r\n\r\nbody", ("text/plain", b"body")),
    "the line end before a delimiter is the delimiter's": (
        crlf(MIXED + "--b\n\none\n--b\n\ntwo\n\n--b--\n"),
        ["multipart/mixed", ("text/plain", b"one"), ("text/plain", b"two\r\n")],
    ),
    "bare LF before a delimiter": (
        (MIXED + "--b\n\none\n--b--\n").encode(),
        ["multipart/mixed", ("text/plain", b"one")],
    ),
    "empty parts": (
        crlf(MIXED + "--b\n\n--b\n--b\n\n\n--b--"),
        ["multipart/mixed", ("text/plain", b""), ("text/plain", b""), ("text/plain", b"")],
    ),
    "preamble and epilogue": (
        crlf(MIXED + "pre\n--bx\n--b\n\none\n--b--\nepilogue\n--b\n\nno part\n"),
        ["multipart/mixed", ("text/plain", b"one")],
    ),
    "blanks after the boundary": (
        crlf(MIXED + "--b \t\n\none\n--b-- \n"),
        ["multipart/mixed", ("text/plain", b"one")],
    ),
    "words after the boundary": (
        crlf(MIXED + "--b here it comes\n\none\n--b-- the end\n"),
        ["multipart/mixed", ("text/plain", b"one")],
    ),
    "no close delimiter": (
        crlf(MIXED + "--b\n\none\n"),
        ["multipart/mixed", ("text/plain", b"one\r\n")],
    ),
    "no delimiter at all": (crlf(MIXED + "text\n"), ["multipart/mixed", ("text/plain", b"text\r\n")]),
    "no boundary parameter": (crlf("Content-Type: multipart/mixed\n\ntext"), ("text/plain", b"text")),
    "empty boundary": (crlf('Content-Type: multipart/mixed; boundary=""\n\n-- \ntext'), ("text/plain", b"-- \r\ntext")),
    "boundary with a quoted pair and blanks": (
        crlf('Content-Type: multipart/mixed; boundary="x \\"y\n z"\n\n--x "y z\n\none\n--x "y z--'),
        ["multipart/mixed", ("text/plain", b"one")],
    ),
    "boundary as RFC 2231 has it": (
        crlf("Content-Type: multipart/mixed; boundary*=us-ascii''b%20c\n\n--b c\n\none\n--b c--"),
        ["multipart/mixed", ("text/plain", b"one")],
    ),
    "nested, the inner boundary begins with the outer": (
        crlf(
            MIXED + "--b\nContent-Type: multipart/alternative; boundary=b1\n\n"
            "--b1\n\none\n--b1\nContent-Type: text/html\n\ntwo\n--b1--\n--b\n\nthree\n--b--\n"
        ),
        [
            "multipart/mixed",
            ["multipart/alternative", ("text/plain", b"one"), ("text/html", b"two")],
            ("text/plain", b"three"),
        ],
    ),
    "nested, the outer boundary begins with the inner": (
        crlf(
            "Content-Type: multipart/mixed; boundary=b1\n\n--b1\nContent-Type: multipart/mixed; boundary=b\n\n"
            "--b\n\none\n--b1\n\ntwo\n--b1--\n"
        ),
        ["multipart/mixed", ["multipart/mixed", ("text/plain", b"one")], ("text/plain", b"two")],
    ),
    "an outer delimiter ends the inner multipart": (
        crlf(MIXED + "--b\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\none\n--b\n\ntwo\n--i\n--b--\n"),
        ["multipart/mixed", ["multipart/mixed", ("text/plain", b"one")], ("text/plain", b"two\r\n--i")],
    ),
    "the same boundary twice: the inner one counts": (
        crlf(MIXED + "--b\n" + MIXED + "--b\n\none\n--b--\n--b\n\ntwo\n--b--\n"),
        ["multipart/mixed", ["multipart/mixed", ("text/plain", b"one")], ("text/plain", b"two")],
    ),
    "a boundary that ends in two dashes": (
        crlf("Content-Type: multipart/mixed; boundary=b--\n\n--b--\n\none\n--b----\nepilogue"),
        ["multipart/mixed", ("text/plain", b"one")],
    ),
    "a delimiter within a part's header": (
        crlf(MIXED + "--b\nContent-Type: text/html\n--b\n\ntwo\n--b--\n"),
        ["multipart/mixed", ("text/html", b""), ("text/plain", b"two")],
    ),
    "a part without a header or an empty line": (
        crlf(MIXED + "--b\nno header here\n\nmore\n--b--\n"),
        ["multipart/mixed", ("text/plain", b"no header here\r\n\r\nmore")],
    ),
    "digest": (
        crlf(
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n"
            "--b\nContent-Type: text/plain\n\ntwo\n--b--"
        ),
        ["multipart/digest", ["message/rfc822", ("text/plain", b"one")], ("text/plain", b"two")],
    ),
    "embedded multipart message": (
        crlf(
            MIXED
            + "--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--b--"
        ),
        ["multipart/mixed", ["message/rfc822", ["multipart/mixed", ("text/plain", b"one")]]],
    ),
    "embedded in embedded": (
        crlf("Content-Type: message/rfc822\n\nContent-Type: message/global\n\nA: b\n\none"),
        ["message/rfc822", ["message/global", ("text/plain", b"one")]],
    ),
    "embedded message that is not there": (
        crlf(MIXED + "--b\nContent-Type: message/rfc822\n\n--b--"),
        ["multipart/mixed", ["message/rfc822", ("text/plain", b"")]],
    ),
    "types that are none": (crlf("Content-Type: nonsense\n\nx"), ("text/plain", b"x")),
    "type in capitals with a comment": (crlf("CONTENT-TYPE: (c) TEXT/HTML (d); charset=x\n\nx"), ("text/html", b"x")),
    "first Content-Type counts": (crlf("Content-Type: text/html\nContent-Type: image/png\n\nx"), ("text/html", b"x")),
    "NUL octets": (b"A: \0\r\n\r\n\0\0", ("text/plain", b"\0\0")),
}


@pytest.mark.parametrize("name", CASES)
def test_shape(name):
    raw, expected = CASES[name]
    assert shape(raw) == expected


def test_fields_of_a_part():
    raw = crlf(
        'Content-Type: text/x-own; charset=us-ascii; Foo="quoted\\"string"\n'
        "Content-ID: <foo@example.com>\nContent-MD5: Q2hlY2s=\nContent-Disposition: Inline; foo=bar\n"
        "Content-Description: hello\n there\nContent-Language: en, fi ,, se\nContent-Location: http://example.com/t\n"
        "Content-Transfer-Encoding: Quoted-Printable (yes)\n\nhello\nyou"
    )
    part = scan(raw)
    assert part.params == {b"charset": b"us-ascii", b"foo": b'quoted"string'}
    assert (part.content_id, part.md5, part.description) == (b"<foo@example.com>", b"Q2hlY2s=", b"hello there")
    assert (part.disposition, part.disposition_params) == (b"inline", {b"foo": b"bar"})
    assert part.language == (b"en", b"fi", b"se")
    assert part.location == b"http://example.com/t"
    assert part.encoding == b"quoted-printable"
    assert (part.lines, part.size_octets, part.charset) == (1, 10, "us-ascii")


@pytest.mark.parametrize(
    "header, filename",
    [
        ("Content-Disposition: attachment; filename=a.txt", "a.txt"),
        ('Content-Disposition: attachment; filename="a; \\"b\\".txt"', 'a; "b".txt'),
        ("Content-Disposition: attachment; filename=two words (1).txt; x=y", "two words .txt"),
        ("Content-Disposition: attachment; filename=file(1).txt", "file(1).txt"),
        ("Content-Disposition: attachment; filename*=utf-8''%e2%82%ac.txt; filename=euro.txt", "€.txt"),
        (
            "Content-Disposition: attachment; filename*0*=utf-8'en'%e2%82; filename*1*=%ac; filename*2=\"%.txt\"",
            "€%.txt",
        ),
        ("Content-Disposition: attachment; filename*1=b; filename*0=a; filename*3=d", "ab"),
        ('Content-Disposition: attachment; filename="=?utf-8?q?=E2=82=AC?=.txt"', "€.txt"),
        ('Content-Disposition: attachment; filename="€.txt"', "€.txt"),
        ('Content-Disposition: attachment; filename="open.txt', "open.txt"),
        ("Content-Disposition: attachment filename=x.txt", "x.txt"),
        ("Content-Type: application/pdf; name=x.pdf", "x.pdf"),
        ("Content-Type: application/pdf", None),
    ],
)
def test_filename(header, filename):
    assert scan(header.encode() + b"\r\n\r\n").filename == filename


@pytest.mark.parametrize(
    "encoding, body, decoded",
    [
        (b"base64", b"aGVsbG8=", b"hello"),
        (b"BASE64", b"aGVs\r\nbG8", b"hello"),
        (b"base64", b"aGVs!bG8==\r\n", b"hello"),
        (b"base64", b"aGVsbG8=\r\n-- \r\na list's footer", b"hello"),
        (b"base64", b"aGVsb", b"hel"),
        (b"base64", b"=", b""),
        (b"quoted-printable", b"a=\r\nb=3D=3d=zz", b"ab===zz"),
        (b"8bit", b"\xff\0", b"\xff\0"),
        (b"x-unknown", b"=3D", b"=3D"),
    ],
)
def test_decode_body(encoding, body, decoded):
    raw = b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body
    part = scan(raw)
    assert decode_body(raw, part) == decoded
    assert decode_body(raw, part, 2) == decoded[:2]
    if encoding.startswith(b"x-"):
        with pytest.raises(UnknownEncoding):
            decode_strict(raw, part)
    else:
        assert decode_strict(raw, part) == decoded


def check_tree(raw: bytes, root: Part) -> None:
    parts = list(walk(root))
    for _, part in parts:
        assert 0 <= part.header_start <= part.body_start <= part.end <= len(raw)
        at = part.body_start
        for child in part.children:
            assert at <= child.header_start and child.end <= part.end
            at = child.end
        if part.is_multipart:
            assert part.children
        elif part.is_message:
            assert len(part.children) == 1
            assert (part.children[0].header_start, part.children[0].end) == (part.body_start, part.end)
        else:
            assert not part.children
        if part.maintype == b"text" or part.is_message:
            assert part.lines == raw.count(b"\n", part.body_start, part.end)


@given(messages)
@settings(max_examples=400, deadline=None)
def test_any_octets_make_a_tree(raw):
    root = scan(raw)
    assert (root.header_start, root.end) == (0, len(raw))
    check_tree(raw, root)
    assert load_parts(dump_parts(root)) == root
    assert section(raw, root, (), "HEADER") + section(raw, root, (), "TEXT") == raw == section(raw, root, (), "")
    for number, part in walk(root):
        decode_body(raw, part)
        assert part.filename is None or isinstance(part.filename, str)
        found = find_part(root, number)
        assert found is part or (found is not None and part in found.children)


@settings(deadline=None)
@given(messages, st.lists(st.integers(0, 4), max_size=5), st.sampled_from(["", "HEADER", "TEXT", "MIME"]))
def test_any_section_is_octets_of_the_message_or_none(raw, path, what):
    octets = section(raw, scan(raw), tuple(path), what)
    assert octets is None or octets in raw


def build(entity, level: int = 0) -> bytes:
    """A well-formed MIME entity from a generated tree."""
    kind, *rest = entity
    if kind == "multipart":
        boundary = f"=_{level}_{'x' * level}"
        inner = b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), build(child, level + 1)) for child in rest[0])
        head = f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'.encode()
        return head + inner + b"--%b--\r\n" % boundary.encode()
    if kind == "message":
        return b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n" + build(rest[0], level + 1)
    encoding, data = rest
    mime_type = {"plain": "text/plain", "html": "text/html", "octet": "application/octet-stream"}[kind]
    if encoding == "base64":
        body = base64.encodebytes(data).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        body = quopri.encodestring(data, quotetabs=True).replace(b"\r", b"=0D").replace(b"\n", b"\r\n")
    else:
        body = data.hex().encode()
    return f"Content-Type: {mime_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


@given(mime_parts())
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_standard_library(entity):
    raw = build(entity)

    def ours(part):
        label = (part.maintype + b"/" + part.subtype).decode()
        return [label, *(ours(c) for c in part.children)] if part.children else [label, decode_body(raw, part)]

    def theirs(message):
        if message.is_multipart():
            return [message.get_content_type(), *(theirs(c) for c in message.get_payload())]
        return [message.get_content_type(), message.get_payload(decode=True)]

    assert ours(scan(raw)) == theirs(message_from_bytes(raw))


# RFC 9051 section 6.4.5.1, the example of part numbers, with the messages written out.
NUMBERED = crlf(
    "Content-Type: multipart/mixed; boundary=1\n\n"
    "--1\nContent-Type: text/plain\n\nPART 1\n"
    "--1\nContent-Type: application/octet-stream\n\nPART 2\n"
    "--1\nContent-Type: message/rfc822\n\nSubject: three\nContent-Type: multipart/mixed; boundary=3\n\n"
    "--3\n\nPART 3.1\n--3\nContent-Type: application/octet-stream\n\nPART 3.2\n--3--\n"
    "--1\nContent-Type: multipart/mixed; boundary=4\n\n"
    "--4\nContent-Type: image/gif\nContent-ID: x\n\nPART 4.1\n"
    "--4\nContent-Type: message/rfc822\n\nSubject: four two\nContent-Type: multipart/mixed; boundary=42\n\n"
    "--42\n\nPART 4.2.1\n"
    "--42\nContent-Type: multipart/alternative; boundary=422\n\n"
    "--422\n\nPART 4.2.2.1\n--422\nContent-Type: text/richtext\n\nPART 4.2.2.2\n--422--\n--42--\n--4--\n"
    "--1\nContent-Type: message/rfc822\n\nSubject: five\n\nPART 5.1\n--1--\n"
)
THREE = crlf("Subject: three\nContent-Type: multipart/mixed; boundary=3\n\n")


@pytest.mark.parametrize(
    "path, what, expected",
    [
        ((1,), "", b"PART 1"),
        ((1,), "MIME", b"Content-Type: text/plain\r\n\r\n"),
        ((1,), "HEADER", None),
        ((1,), "TEXT", None),
        ((1, 1), "", None),
        ((2,), "", b"PART 2"),
        ((3,), "HEADER", THREE),
        ((3,), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        ((3, 1), "", b"PART 3.1"),
        ((3, 2), "", b"PART 3.2"),
        ((3, 2), "MIME", b"Content-Type: application/octet-stream\r\n\r\n"),
        ((4, 1), "MIME", b"Content-Type: image/gif\r\nContent-ID: x\r\n\r\n"),
        ((4, 2), "HEADER", b"Subject: four two\r\nContent-Type: multipart/mixed; boundary=42\r\n\r\n"),
        ((4, 2, 1), "", b"PART 4.2.1"),
        ((4, 2, 2, 1), "", b"PART 4.2.2.1"),
        ((4, 2, 2, 2), "", b"PART 4.2.2.2"),
        ((4, 2, 2, 3), "", None),
        ((5, 1), "", b"PART 5.1"),
        ((5, 2), "", None),
        ((5,), "TEXT", b"PART 5.1"),
        ((5,), "", b"Subject: five\r\n\r\nPART 5.1"),
        ((6,), "", None),
        ((0,), "", None),
        ((), "MIME", None),
        ((), "HEADER", b"Content-Type: multipart/mixed; boundary=1\r\n\r\n"),
        ((), "", NUMBERED),
    ],
)
def test_sections(path, what, expected):
    assert section(NUMBERED, scan(NUMBERED), path, what) == expected


def test_part_one_of_a_plain_message():
    raw = crlf("Subject: x\n\nbody\n")
    root = scan(raw)
    assert section(raw, root, (1,), "") == b"body\r\n"
    assert section(raw, root, (1,), "MIME") == b"Subject: x\r\n\r\n"
    assert section(raw, root, (2,), "") is section(raw, root, (1, 1), "") is None


def test_depth_is_capped():
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(300))
    part, depth = scan(raw), 1
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == MAX_DEPTH
    assert (part.maintype, part.subtype) == (b"application", b"octet-stream")
