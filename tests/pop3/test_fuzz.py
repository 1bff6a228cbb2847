"""Anything at all is answered, in any pieces alike, and never with a traceback."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from tests.conftest import PASSWORD
from tests.pop3.conftest import Client

KEYWORDS = [
    "STAT",
    "LIST",
    "UIDL",
    "RETR",
    "TOP",
    "DELE",
    "NOOP",
    "RSET",
    "CAPA",
    "USER",
    "PASS",
    "AUTH",
    "STLS",
    "XXXX",
]
ARGUMENTS = [
    "",
    "1",
    "2",
    "3",
    "4",
    "0",
    "-1",
    "1 1",
    "1 0",
    "2 99",
    "x",
    "anna@harbour.test",
    PASSWORD,
    "PLAIN",
    "PLAIN =",
]
lines = st.one_of(
    st.tuples(st.sampled_from(KEYWORDS), st.sampled_from(ARGUMENTS)).map(lambda pair: " ".join(pair).encode()),
    st.binary(max_size=30),
    st.just(b"x" * 5000),
)
SIGN_IN = f"USER anna@harbour.test\r\nPASS {PASSWORD}\r\n".encode()


def conversation(data: bytes, cuts: list[int]) -> tuple[bytes, bool]:
    """All that a new session answers to these octets, in these pieces, before the client closes."""

    async def talk() -> tuple[bytes, bool]:
        client = Client()
        start = 0
        for cut in cuts:
            client.send(data[start : start + cut])
            start += cut
            await asyncio.sleep(0)
        client.send(data[start:])
        client.session.finish()
        return await client.rest(), client.closed

    return asyncio.run(talk())


@pytest.mark.parametrize("begin", [b"", SIGN_IN], ids=["authorization", "transaction"])
def test_any_input_in_any_pieces(begin: bytes, inbox: User, caplog: pytest.LogCaptureFixture, no_delay: None) -> None:
    @given(st.lists(lines, max_size=12), st.lists(st.integers(1, 60), max_size=20), st.sampled_from([b"\r\n", b"\n"]))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(said: list[bytes], cuts: list[int], end: bytes) -> None:
        data = begin + b"".join(line + end for line in said)
        whole, closed = conversation(data, [])
        assert closed
        if b"STLS" not in data:  # what follows it in the same piece is forgotten, in a later one it is not
            assert conversation(data, cuts) == (whole, True)
        assert whole.startswith(b"+OK Postroom")
        assert whole.endswith(b"\r\n")

    with caplog.at_level(logging.ERROR):
        check()
    assert not caplog.records


def test_one_octet_at_a_time(inbox: User, no_delay: None) -> None:
    data = (
        SIGN_IN
        + b"LIST\r\nRETR 2\r\nTOP 3 1\r\nBAD\r\nRETR 9\r\nUIDL\r\nCAPA\r\nNOOP\r\n"
        + b"y" * 300
        + b"\r\nSTAT\r\n"
    )
    assert conversation(data, [1] * len(data)) == conversation(data, [])


async def test_every_answer_is_one_of_two(client: Client, connect: Callable[..., Client]) -> None:
    for session in (client, await connect()):
        for line in (
            b"\xff\xfe",
            b"\0" * 10,
            b"RETR \0",
            b"AUTH \0",
            b"PASS \0",
            b"\x7f" * 4,
            b"+OK",
            b"-ERR",
            b"\x1b[2J",
        ):
            reply = await session.command(line)
            assert reply.startswith(b"-ERR ") and reply.count(b"\r\n") == 1 and reply.isascii() and len(reply) <= 512
