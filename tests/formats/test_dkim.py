"""Our signatures, judged by dkimpy: they hold, and any change to what they cover breaks them."""

from __future__ import annotations

import base64
import hashlib
import time

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats import dkim_body
from mailservers.formats.dkim import canonical_field, sign_message
from mailservers.formats.dkim_body import body_digest, canonical_pieces
from mailservers.formats.octets import Windowed
from mailservers.formats.outgoing import to_wire

KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
)
HEADER = (
    b"Received: from x by y; now\r\nFrom: Anna  Holm <anna@harbour.test>\r\n"
    b"To: bob@remote.test,\r\n\tcid@remote.test\r\n"
    b"Subject:  Tide   tables \r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@harbour.test>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
)


def sign(message: bytes) -> bytes:
    return message and sign_message(
        message,
        domain="harbour.test",
        selector="pr1",
        signed_at=int(time.time()),
        sign=lambda data: KEY.sign(data, padding.PKCS1v15(), SHA256()),
    )


def verify(message: bytes) -> bool:
    return dkim.verify(message, dnsfunc=lambda name, timeout=5: b"v=DKIM1; k=rsa; p=" + PUBLIC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"x\r\n",
        b"x \t y  \r\n\r\n\r\n",
        b" \r\n",
        b"\t\r\n\r\n",
        b"a\r\n\r\nb\r\n",
        b"\xff\r\n",
    ],
)
def test_holds(body: bytes) -> None:
    message = HEADER + body
    field = sign(message)
    assert verify(field + message)
    assert all(len(line) <= 80 for line in field.split(b"\r\n"))
    assert b"h=from:from:to:" in field


CHANGES = [
    (b"High water", b"Low water"),
    (b"Subject:  Tide", b"Subject:  Tidy"),
    (b"<anna@harbour.test>", b"<evil@harbour.test>"),
    (b"Date: Mon", b"Date: Tue"),
    (b"From: Anna", b"From: Eve <eve@evil.test>\r\nFrom: Anna"),
    (b"MIME-Version: 1.0\r\n", b""),
    (b"d=harbour.test", b"d=other.test"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_tampering_breaks_it(old: bytes, new: bytes) -> None:
    message = HEADER + b"High water at nine.\r\n"
    signed = sign(message) + message
    assert old in signed
    assert not verify(signed.replace(old, new, 1))


def test_what_relays_change_does_not_break_it() -> None:
    message = HEADER + b"High water  at nine.\r\n\r\n"
    signed = b"Received: by relay\r\n" + sign(message) + message
    signed = signed.replace(b",\r\n\tcid", b", cid").replace(b"Subject:  Tide   tables ", b"subject: Tide tables")
    assert verify(signed.replace(b"water  at", b"water at") + b"\r\n\r\n")


@settings(max_examples=40, deadline=None)
@given(
    st.from_regex(rb"[ \t\r\na.:=\xe9-]{0,200}", fullmatch=True),
    st.from_regex(rb"[ \ta,;:=\xe9-]{0,80}", fullmatch=True),
)
def test_any_body_and_subject_hold(body: bytes, subject: bytes) -> None:
    message = to_wire(HEADER[:-2] + b"Reply-To:" + subject + b"\r\n\r\n" + body)
    assert verify(sign(message) + message)


class Held(Windowed):
    """Octets as those of a large message are looked at."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(len(octets))
        self._octets = octets

    def read(self, start: int, end: int) -> bytes:
        return self._octets[start:end]


def canonical_body(body: bytes, *, is_relaxed: bool = True) -> bytes:
    return b"".join(canonical_pieces(body, 0, is_relaxed=is_relaxed))


@settings(max_examples=200, deadline=None)
@given(st.from_regex(rb"[ \t\r\na]{0,60}", fullmatch=True), st.sampled_from([1, 2, 7, 1000]))
def test_the_body_is_that_of_dkimpy(text: bytes, piece: int) -> None:
    """However it is cut into pieces."""
    body = text.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dkim_body, "PIECE", piece)
        relaxed, simple = canonical_body(body), canonical_body(body, is_relaxed=False)
        for form, known in ((True, relaxed), (False, simple)):
            assert b"".join(canonical_pieces(Held(body), 0, is_relaxed=form)) == known
        assert relaxed == dkim.canonicalization.Relaxed.canonicalize_body(body)
        assert simple == dkim.canonicalization.Simple.canonicalize_body(body)
        for length in (0, 1, len(relaxed) - 1, len(relaxed), len(relaxed) + 9):
            if length >= 0:
                digest = hashlib.sha256(relaxed[:length]).digest()
                assert body_digest(body, 0, is_relaxed=True, length=length) == (digest, len(relaxed))


def test_the_example_of_the_rfc() -> None:
    """RFC 6376 section 3.4.5."""
    assert canonical_field(b"A", b" X\r\n") == b"a:X"
    assert canonical_field(b"B ".strip(), b" Y\t\r\n\tZ  ") == b"b:Y Z"
    assert canonical_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"


@pytest.mark.parametrize(
    "message",
    [
        HEADER + b"a" + b" " * 2_000_000 + b"x\r\n",
        HEADER[:-2] + b" a\r\n" * 250_000 + b"\r\nx\r\n",
        HEADER + b"\r\n" * 1_000_000,
    ],
)
def test_hostile_messages_cost_linear_time(message: bytes) -> None:
    started = time.process_time()
    assert sign(message)
    assert time.process_time() - started < 2


def test_repeated_fields_are_all_signed_up_to_a_number() -> None:
    message = b"To: x@y\r\n" * 1000 + HEADER + b"x\r\n"
    assert len(sign(message)) < 2000
    assert verify(sign(message) + message)
