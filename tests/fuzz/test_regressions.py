"""What fuzzing has found, once more: see docs/robustness.md."""

from __future__ import annotations

import pytest

from tests.formats.mime.test_bombs import assert_quick
from tests.fuzz.all_targets import TARGETS

KIB = 1024
QUADRATIC = {
    "a result without an end": ("authentication_results", b"x;" + b"a" * 64 * KIB),
    "results with blanks": ("authentication_results", b"x;" + b"a / 1 " * 10 * KIB),
    "quotes without an end": ("authentication_results", b'x;a="' + b'\\"b="' * 12 * KIB),
    "shifts without an end": ("imap_mailbox_name", b"&" * 64 * KIB),
    "shifts without an end, in LIST": ("imap_command", b"a LIST x {60000+}\r\n" + b"&" * 60_000 + b"\r\n"),
    "a long line beside UTF-8": ("message_forms", b"Subject: \xc3\xbc\r\nX: " + b"a" * 64 * KIB + b"\r\n\r\n"),
    "a long word beyond ASCII": ("message_forms", b"Subject: " + b"a" * 64 * KIB + b"\xc3\xbc\r\n\r\n"),
    "quotes that are none": ("message_forms", b'Subject: \xc3\xbc "' + b'\\"' * 32 * KIB + b"\r\n\r\n"),
    "words without an address": ("message_forms", b"From: \xc3\xbc " + b"a@" * 32 * KIB + b"\r\n\r\n"),
    "dots and NULs by single octets": ("smtp_data", b"\0\0\0" + b".\0" * 4 * KIB),
}  # fmt: skip
BROKEN = {
    "a line of dots and NULs before several CR": ("smtp_outgoing", b".\n\0.\r\r\r\r"),
    "a line of dots and NULs after a bare CR": ("smtp_outgoing", b"a: b\r\n\r\nx\r\0.\0\ry"),
    "a field that is taken out before a line that is none": (
        "message_forms",
        b"Content-Transfer-Encoding: \n( !\xe4\n\n\n!s",
    ),
    "a multipart that nothing divides": (
        "message_forms",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        b"\r\nt\r\n--b--\r8\r\n\r\nt\r\n--b--\r" + b"\xff" * 80 + b"\n",
    ),
    "a result that is no keyword": ("authentication_results", b"mx.example 1; om=a@bdkim=fai( (bad; sig) (eader.d=x"),
    "a style that names no property of looks": (
        "html_shown",
        b'<p style="color:r;background:u\xff\xffrl(\0\0onerror=\0//x)">a',
    ),
    "the end of a client that was asked for more": (
        "imap_session",
        b"\x00\xff\xffb AUTHENTICATE PLAIN\r\nAGEA\0\0+ a APPEND INBOYg=",
    ),
    "a quote without an end, in a surrogate": ("message_forms", b'Subject: "\xc2\x80\r\nDate: x\r\n\r\n'),
}


@pytest.mark.parametrize(("name", "data"), QUADRATIC.values(), ids=QUADRATIC)
def test_takes_linear_time(name: str, data: bytes) -> None:
    assert_quick(lambda: TARGETS[name].run(data))


@pytest.mark.parametrize(("name", "data"), BROKEN.values(), ids=BROKEN)
@pytest.mark.django_db(transaction=True)
def test_keeps_its_promise(name: str, data: bytes, request: pytest.FixtureRequest) -> None:
    if TARGETS[name].serves:
        request.getfixturevalue("mail")
    TARGETS[name].run(data)
