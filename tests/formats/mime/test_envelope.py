"""ENVELOPE and BODYSTRUCTURE: their octets for known messages, and their grammar for any message."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats.envelope import MAX_QUOTED_OCTETS, bodystructure, envelope, nstring
from mailservers.formats.headers import header_end
from mailservers.formats.mime import scan

from .mime_soup import messages

_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0\x80-\xff]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_ATOM = re.compile(rb"NIL|\d+")


def read_value(data: bytes) -> object:
    """The one IMAP value that `data` is, strictly: lists, bytes, None and int; AssertionError for anything else."""
    stack: list[list] = [[]]
    at = 0
    after_item = False
    while at < len(data):
        if data[at : at + 1] == b" ":
            assert after_item, "a blank where none may be"
            at, after_item = at + 1, False
            continue
        if data[at : at + 1] == b")":
            assert after_item and len(stack) > 1
            closed = stack.pop()
            stack[-1].append(closed)
            at, after_item = at + 1, True
            continue
        # only "(" may follow a value without a blank: lists of addresses and of bodies
        assert not after_item or data[at : at + 1] == b"("
        after_item = True
        if data[at : at + 1] == b"(":
            stack.append([])
            at, after_item = at + 1, False
        elif quoted := _QUOTED.match(data, at):
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted[1]))
            at = quoted.end()
        elif literal := _LITERAL.match(data, at):
            end = literal.end() + int(literal[1])
            octets = data[literal.end() : end]
            assert len(octets) == int(literal[1]) and b"\0" not in octets
            stack[-1].append(octets)
            at = end
        else:
            atom = _ATOM.match(data, at)
            assert atom, data[at : at + 20]
            stack[-1].append(None if atom[0] == b"NIL" else int(atom[0]))
            at = atom.end()
    assert len(stack) == 1 and len(stack[0]) == 1
    return stack[0][0]


def is_nstring(value: object) -> bool:
    return value is None or isinstance(value, bytes)


def check_envelope(value: object) -> None:
    assert isinstance(value, list) and len(value) == 10
    for n in (0, 1, 8, 9):
        assert is_nstring(value[n])
    for n in range(2, 8):
        assert value[n] is None or (isinstance(value[n], list) and value[n])
        for address in value[n] or ():
            assert isinstance(address, list) and len(address) == 4 and all(map(is_nstring, address))
            assert address[2] is not None or address[3] is None  # no mailbox: the end of a group


def check_params(value: object) -> None:
    if value is not None:
        assert isinstance(value, list) and value and len(value) % 2 == 0
        assert all(isinstance(item, bytes) for item in value)


def check_extension(value: list, extended: bool) -> None:
    """The fields that end both kinds of body: [md5 or parameters before], disposition, language, location."""
    if not extended:
        assert not value
        return
    disposition, language, location = value
    assert disposition is None or (isinstance(disposition[0], bytes) and len(disposition) == 2)
    if disposition is not None:
        check_params(disposition[1])
    assert language is None or (language and all(isinstance(tag, bytes) for tag in language))
    assert is_nstring(location)


def check_body(value: object, extended: bool) -> None:
    assert isinstance(value, list)
    if isinstance(value[0], list):
        count = next(n for n, item in enumerate(value) if not isinstance(item, list))
        for child in value[:count]:
            check_body(child, extended)
        assert isinstance(value[count], bytes)
        rest = value[count + 1 :]
        if extended:
            check_params(rest[0])
        check_extension(rest[1:], extended)
        return
    maintype, subtype, params, content_id, description, encoding, octets, *rest = value
    assert all(isinstance(item, bytes) for item in (maintype, subtype, encoding))
    check_params(params)
    assert is_nstring(content_id) and is_nstring(description) and isinstance(octets, int)
    if maintype == b"message" and subtype in (b"rfc822", b"global"):
        check_envelope(rest.pop(0))
        check_body(rest.pop(0), extended)
        assert isinstance(rest.pop(0), int)
    elif maintype == b"text":
        assert isinstance(rest.pop(0), int)
    if extended:
        assert is_nstring(rest.pop(0))
    check_extension(rest, extended)


@given(messages)
@settings(max_examples=300, deadline=None)
def test_any_message_gives_good_grammar(raw):
    root = scan(raw)
    check_envelope(read_value(envelope(raw[: header_end(raw)])))
    for extended in (True, False):
        check_body(read_value(bodystructure(raw, root, extended)), extended)


@given(st.binary(max_size=MAX_QUOTED_OCTETS + 100) | st.text().map(str.encode))
@settings(deadline=None)
def test_nstring_is_read_back(value):
    assert read_value(nstring(value)) == value.replace(b"\0", b"?")


@pytest.mark.parametrize(
    "value, rendered",
    [
        (None, b"NIL"),
        (b"", b'""'),
        (b"NIL", b'"NIL"'),
        (b'a "b" \\', b'"a \\"b\\" \\\\"'),
        (b"a\tb", b'"a\tb"'),
        (b"a\rb", b"{3}\r\na\rb"),
        (b"\xc3\xbc", b"{2}\r\n\xc3\xbc"),
        (b"a\0b", b'"a?b"'),
        (b"\0\n", b"{2}\r\n?\n"),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_nstring(value, rendered):
    assert nstring(value) == rendered


AUTHOR = b'((NIL NIL "a" "b"))'


def envelope_with(**fields: bytes) -> bytes:
    """The expected ENVELOPE of a message from a@b."""
    names = ("date", "subject", "from_", "sender", "reply_to", "to", "cc", "bcc", "in_reply_to", "message_id")
    defaults = dict.fromkeys(names, b"NIL") | {"from_": AUTHOR, "sender": AUTHOR, "reply_to": AUTHOR}
    return b"(" + b" ".join((defaults | fields)[name] for name in names) + b")"


@pytest.mark.parametrize(
    "header, expected",
    [
        (b"", b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"),
        (b"From: a@b\r\n", envelope_with()),
        (b"From: a@b\r\nSender:\r\nReply-To: \r\n", envelope_with()),
        (b"From: a@b\r\nSender: c@d", envelope_with(sender=b'((NIL NIL "c" "d"))')),
        (b"From: a@b\r\nTo:\r\nCc: \r\nSubject:\r\n", envelope_with(subject=b'""')),
        (b"FROM : a@b\nsubject: one\n two\n\tthree \n", envelope_with(subject=b'"one two\tthree"')),
        (b"From: a@b\r\nFrom: c@d\r\nSubject: x\r\nSubject: y\r\n", envelope_with(subject=b'"x"')),
        (b"From: a@b\r\nTo: c@d\r\nTo: e@f\r\n", envelope_with(to=b'((NIL NIL "c" "d")(NIL NIL "e" "f"))')),
        (
            b"From: a@b\r\nTo: Some People: c@d;, undisclosed:;\r\n",
            envelope_with(
                to=b'((NIL NIL "Some People" NIL)(NIL NIL "c" "d")(NIL NIL NIL NIL)'
                b'(NIL NIL "undisclosed" NIL)(NIL NIL NIL NIL))'
            ),
        ),
        (b"From: a@b\r\nBcc: <@x,@y:c@d>\r\n", envelope_with(bcc=b'((NIL "@x,@y" "c" "d"))')),
        (b"From: a@b\r\nCc: root\r\n", envelope_with(cc=b'((NIL NIL "root" ""))')),
        (
            b"From: a@b\r\nDate: Wed, 1 May 2024 10:00:00 +0200 (x)\r\nMessage-ID: <x@y>\r\nIn-Reply-To: <z@y>\r\n",
            envelope_with(date=b'"Wed, 1 May 2024 10:00:00 +0200 (x)"', message_id=b'"<x@y>"', in_reply_to=b'"<z@y>"'),
        ),
        (
            b'From: a@b\r\nTo: =?utf-8?q?=C3=BC?= "Q. \\"x\\"" <c@d>\r\n',
            envelope_with(to=b'(("=?utf-8?q?=C3=BC?= Q. \\"x\\"" NIL "c" "d"))'),
        ),
    ],
)
def test_envelope(header, expected):
    assert envelope(header) == expected


BODIES = {
    "plain": (
        b"Subject: x\r\n\r\nhello\r\nthere",
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 12 1 NIL NIL NIL NIL)',
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 12 1)',
    ),
    "everything": (
        b'Content-Type: text/x-own; charset=us-ascii; foo="quoted\\"string"\r\nContent-ID: <foo@example.com>\r\n'
        b"Content-MD5: Q2hlY2s=\r\nContent-Disposition: inline; foo=bar\r\nContent-Description: hello\r\n"
        b"Content-Language: en, fi\r\nContent-Location: http://example.com/t\r\n\r\nhello\r\n",
        b'("text" "x-own" ("charset" "us-ascii" "foo" "quoted\\"string") "<foo@example.com>" "hello" "7bit" 7 1 '
        b'"Q2hlY2s=" ("inline" ("foo" "bar")) ("en" "fi") "http://example.com/t")',
        b'("text" "x-own" ("charset" "us-ascii" "foo" "quoted\\"string") "<foo@example.com>" "hello" "7bit" 7 1)',
    ),
    "multipart": (
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Language: en\r\n\r\npreamble\r\n--b\r\n\r\none\r\n"
        b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename*0*=utf-8''%e2; filename*1*=%82%ac\r\n\r\nAAAA\r\n--b--\r\n",
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL)'
        b'("application" "pdf" NIL NIL NIL "base64" 4 NIL '
        b'("attachment" ("filename*" "utf-8\'\'%e2%82%ac")) NIL NIL) "mixed" ("boundary" "b") NIL ("en") NIL)',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0)'
        b'("application" "pdf" NIL NIL NIL "base64" 4) "mixed")',
    ),
    "embedded": (
        b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\nFrom: a@b\r\n\r\nhello\r\n",
        b'("message" "rfc822" NIL NIL NIL "7bit" 32 '
        + envelope_with(subject=b'"x"')
        + b' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)',
        b'("message" "rfc822" NIL NIL NIL "7bit" 32 '
        + envelope_with(subject=b'"x"')
        + b' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1) 4)',
    ),
    "multipart without parts": (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) '
        b'"mixed" ("boundary" "b") NIL NIL NIL)',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")',
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodystructure(name):
    raw, structure, body = BODIES[name]
    root = scan(raw)
    assert bodystructure(raw, root) == structure
    assert bodystructure(raw, root, extended=False) == body
