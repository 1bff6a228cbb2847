"""The client's side of SASL: RFC 7677's example, and servers that lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.sasl_client import MAX_ITERATIONS, MECHANISMS, SaslFailed, choose, scram

NONCE = "rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_example_of_rfc_7677() -> None:
    exchange = scram("user", "pencil", "sha256", NONCE)
    assert next(exchange) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert exchange.send(FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert exchange.send(FINAL) == b""
    with pytest.raises(StopIteration):
        exchange.send(b"")


@pytest.mark.parametrize(
    "first",
    [
        b"", b"\xff", b"r=other,s=W22Z,i=4096", b"r=" + NONCE.encode() + b",s=W22Z,i=4096",
        FIRST.replace(b"4096", b"0"),
        FIRST.replace(b"4096", b"%d" % (MAX_ITERATIONS + 1)), FIRST.replace(b"W22Z", b"!!!!"), b"m=x," + FIRST,
        b"e=invalid-proof",
    ],
)  # fmt: skip
def test_challenges_that_are_not_sound(first: bytes) -> None:
    exchange = scram("user", "pencil", "sha256", NONCE)
    next(exchange)
    with pytest.raises(SaslFailed):
        exchange.send(first)


@pytest.mark.parametrize("final", [b"", b"v=AAAA", b"e=other-error", b"v=!", FINAL.replace(b"6rri", b"7rri")])
def test_a_server_that_does_not_know_the_password(final: bytes) -> None:
    exchange = scram("user", "pencil", "sha256", NONCE)
    next(exchange)
    exchange.send(FIRST)
    with pytest.raises(SaslFailed):
        exchange.send(final)


@given(st.lists(st.binary(max_size=60), max_size=4), st.sampled_from(sorted(MECHANISMS)))
def test_only_the_documented_error_escapes(challenges: list[bytes], name: str) -> None:
    exchange = MECHANISMS[name]("us,er=", "pen\tcil")
    try:
        next(exchange)
        for challenge in challenges:
            exchange.send(challenge)
    except (SaslFailed, StopIteration):
        pass


def test_the_best_is_chosen() -> None:
    assert choose(["plain", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2"]) == "SCRAM-SHA-256"
    assert choose(["LOGIN", "PLAIN"]) == "PLAIN"
    assert choose(["GSSAPI"]) == ""
