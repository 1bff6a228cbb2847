"""NUL in messages: encoded part by part, and the content stays the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats import binary_content, mime
from mailservers.formats.binary_content import NotEncodable

HEADER = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n'


def without_nul(raw: bytes) -> bytes:
    return b"".join(binary_content.without_nul(raw))


def message(*bodies: bytes, encoding: bytes = b"binary") -> bytes:
    parts = [
        b"--x\r\nContent-Type: application/octet-stream\r\nCONTENT-TRANSFER-ENCODING:\r\n %b\r\nX: y\r\n\r\n%b\r\n"
        % (encoding, body)
        for body in bodies
    ]
    return HEADER + b"".join(parts) + b"--x--\r\n"


@given(st.lists(st.binary(max_size=200).map(lambda b: b.replace(b"--x", b"")), min_size=1, max_size=4))
def test_every_part_decodes_to_what_it_was(bodies):
    raw = message(*bodies)
    encoded = without_nul(raw)
    assert b"\0" not in encoded
    before, after = mime.scan(raw), mime.scan(encoded)
    old = [mime.decode_body(raw, part) for part in before.children]
    assert [mime.decode_body(encoded, part) for part in after.children] == old
    if b"\0" not in raw:
        assert encoded == raw


def test_long_content_is_encoded_in_lines():
    body = bytes(range(256)) * 4096 + b"end"
    raw = message(body)
    encoded = without_nul(raw)
    assert mime.decode_body(encoded, mime.scan(encoded).children[0]) == body
    assert max(map(len, encoded.split(b"\r\n"))) == 76


def test_only_what_must_be_is_changed():
    raw = message(b"\0one", b"two")
    assert without_nul(raw) == (
        HEADER
        + b"--x\r\nContent-Transfer-Encoding: base64\r\nContent-Type: application/octet-stream\r\nX: y\r\n\r\n"
        + b"AG9uZQ==\r\n--x\r\nContent-Type: application/octet-stream\r\n"
        + b"CONTENT-TRANSFER-ENCODING:\r\n binary\r\nX: y\r\n\r\ntwo\r\n--x--\r\n"
    )


def test_inside_of_an_embedded_message_and_without_mime():
    inner = b"Subject: x\r\n\r\na\0b"
    raw = b"Content-Type: message/rfc822\r\n\r\n" + inner
    root = mime.scan(encoded := without_nul(raw))
    assert mime.decode_body(encoded, root.children[0]) == b"a\0b"
    assert without_nul(inner).startswith(b"Content-Transfer-Encoding: base64\r\nSubject: x\r\n\r\nYQBi")


@pytest.mark.parametrize(
    "raw",
    [b"Subject: \0\r\n\r\nx", HEADER + b"\0\r\n--x\r\n\r\ny\r\n--x--\r\n", message(b"Y\0Q=", encoding=b"base64")],
)
def test_where_no_encoding_applies(raw):
    with pytest.raises(NotEncodable):
        without_nul(raw)
