"""8-bit content for hosts that take 7-bit text only: the content stays the same, in lines that such hosts take."""

from __future__ import annotations

import email

from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.downgrade import without_8bit
from mailservers.formats.mime import decode_body, scan
from mailservers.formats.outgoing import to_wire
from mailservers.formats.parts import Part

LETTER = (
    "Subject: hä\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\n"
    "--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nDünen =3D \r\n\r\n"
    "--x\r\nContent-Type: text/plain\r\n\r\nplain =3D \r\n"
    "--x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\né\r\né\r\n"
    "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: text/html\r\n\r\nèè\r\n"
    "--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGk=\r\n--x--\r\n"
).encode()


def leaves(raw: bytes) -> list[bytes]:
    def walk(part: Part) -> list[bytes]:
        if part.children:
            return [body for child in part.children for body in walk(child)]
        return [decode_body(raw, part)]

    return walk(scan(raw))


def test_each_part_in_its_way() -> None:
    small = without_8bit(LETTER)
    assert leaves(small) == leaves(LETTER)
    assert small.count(b"quoted-printable") == 2 and small.count(b"base64") == 2
    assert b"8bit" not in small and b"Content-Transfer-Encoding: 7bit" in small
    assert b"\r\nplain =3D \r\n" in small and b"D=C3=BCnen =3D3D=20\r\n" in small
    body = small.partition(b"\r\n\r\n")[2]
    assert body.isascii() and "\r\nSubject: hä\r\n".encode() in small
    assert without_8bit(small) == small


@given(st.binary(max_size=400), st.sampled_from([b"text/plain", b"image/png"]))
def test_content_is_the_same(content: bytes, kind: bytes) -> None:
    raw = to_wire(b"Subject: x\r\nContent-Type: " + kind + b"\r\n\r\n" + content.replace(b"\0", b""))
    small = without_8bit(raw)
    assert small.isascii() and small.count(b"\n") == small.count(b"\r\n")
    assert all(len(line) <= 998 for line in small.split(b"\r\n")) or raw.isascii()
    assert decode_body(small, scan(small)) == decode_body(raw, scan(raw))
    by_python = email.message_from_bytes(small)
    expected = decode_body(raw, scan(raw))
    if b"Transfer-Encoding" in small:
        assert by_python.get_payload(decode=True) == expected


@given(st.binary(max_size=300))
def test_nothing_is_raised(raw: bytes) -> None:
    without_8bit(to_wire(raw))
