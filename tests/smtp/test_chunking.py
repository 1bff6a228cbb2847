"""CHUNKING and BINARYMIME (RFC 3030)."""

from __future__ import annotations

import asyncio

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.formats.smtp import SmtpSyntaxError
from mailservers.formats.smtp_chunks import ChunkReader, parse_bdat
from mailservers.smtp.server import SERVICES
from tests.dialog import listening, play

from .test_relay import OPENING, contents

RELAY = SERVICES[0]
READY = f"{OPENING}\nC: RCPT TO:<anna@harbour.test>\nS: 250 2.1.5 *"
BINARY = READY.replace("MAIL FROM:<a@b.test>", "MAIL FROM:<a@b.test> BODY=BINARYMIME")

DIALOGS = {
    "one chunk": (READY, "C! b'BDAT 9 LAST\\r\\nchunked\\r\\n'\nS: 250 2.0.0 OK: *", [b"chunked\r\n"]),
    "several, the last empty": (
        READY,
        """
        C! b'BDAT 3\\r\\nabc'
        S: 250 2.0.0 3 octets received
        C! b'BDAT 4\\r\\nd\\r\\n.'
        S: 250 2.0.0 4 octets received
        C! b'bdat 2\\r\\n\\r\\n'
        S: 250 2.0.0 2 octets received
        C: BDAT 0 LAST
        S: 250 2.0.0 OK: *
        """,
        [b"abcd\r\n.\r\n"],
    ),
    "an empty message": (READY, "C: BDAT 0 LAST\nS: 250 2.0.0 OK: *", [b""]),
    "all at once": (
        "",
        """
        C! b'EHLO c\\r\\nMAIL FROM:<a@b.test>\\r\\n'
        C! b'RCPT TO:<anna@harbour.test>\\r\\nBDAT 2\\r\\nA\\rBDAT 1 LAST\\r\\n\\nNOOP\\r\\n'
        S: 220 *
        S: ...
        S: 250 2.1.5 *
        S: 250 2.0.0 2 octets received
        S: 250 2.0.0 OK: *
        S: 250 2.0.0 OK
        """,
        [b"A\r\n"],
    ),
    "before MAIL": (
        "S: 220 *\nC: EHLO c\nS: ...\nS: 250 *",
        "C! b'BDAT 6\\r\\nRSET\\r\\n'\nS: 503 5.5.1 MAIL first\nC: NOOP\nS: 250 2.0.0 OK",
        [],
    ),
    "before EHLO": (
        "S: 220 *",
        "C! b'BDAT 6\\r\\nRSET\\r\\n'\nS: 503 5.5.1 Say EHLO first\nC: NOOP\nS: 250 2.0.0 OK",
        [],
    ),
    "without a good recipient": (
        OPENING,
        """
        C: RCPT TO:<nobody@harbour.test>
        S: 550 5.1.1 *
        C! b'BDAT 4 LAST\\r\\nab\\r\\n'
        S: 503 5.5.1 RCPT first
        C: RCPT TO:<anna@harbour.test>
        S: 250 2.1.5 *
        C! b'BDAT 4 LAST\\r\\ncd\\r\\n'
        S: 250 2.0.0 OK: *
        """,
        [b"cd\r\n"],
    ),
    "after RSET": (
        READY,
        """
        C! b'BDAT 3\\r\\nabc'
        S: 250 2.0.0 3 octets received
        C: RSET
        S: 250 2.0.0 OK
        C! b'BDAT 5 LAST\\r\\nabc\\r\\n'
        S: 503 5.5.1 MAIL first
        """,
        [],
    ),
    "after LAST": (
        READY,
        """
        C! b'BDAT 2 LAST\\r\\n\\r\\n'
        S: 250 2.0.0 OK: *
        C! b'BDAT 3 LAST\\r\\na\\r\\n'
        S: 503 5.5.1 MAIL first
        """,
        [b"\r\n"],
    ),
    "DATA and RCPT after BDAT": (
        READY,
        """
        C! b'BDAT 3\\r\\na\\r\\n'
        S: 250 2.0.0 3 octets received
        C: DATA
        S: 503 5.5.1 BDAT has begun*
        C: RCPT TO:<anna@harbour.test>
        S: 503 5.5.1 BDAT has begun*
        C: BDAT 0 LAST
        S: 250 2.0.0 OK: *
        """,
        [b"a\r\n"],
    ),
    "BINARYMIME needs BDAT": (BINARY, "C: DATA\nS: 503 5.5.1 *\nC: BDAT 0 LAST\nS: 250 2.0.0 *", [b""]),
    "binary content is kept": (
        BINARY,
        "C! b'BDAT 16 LAST\\r\\n\\r\\n\\x00\\n\\r.\\r.\\n\\n.\\r\\n\\xff\\xfe\\r'\nS: 250 2.0.0 OK: *",
        [b"\r\n\0\n\r.\r.\n\n.\r\n\xff\xfe\r"],
    ),
    "bare line ends in text are refused": (READY, "C! b'BDAT 5 LAST\\r\\na\\nb\\r\\n'\nS: 554 5.6.0 *", []),
    "a line end split between chunks is whole": (
        READY,
        "C! b'BDAT 2\\r\\na\\r'\nS: 250 *\nC! b'BDAT 1 LAST\\r\\n\\n'\nS: 250 2.0.0 OK: *",
        [b"a\r\n"],
    ),
    "syntax": (
        READY,
        """
        C: BDAT
        S: 501 5.5.4 *
        C: BDAT -1
        S: 501 5.5.4 *
        C: BDAT 1 FIRST
        S: 501 5.5.4 *
        C: BDAT LAST
        S: 501 5.5.4 *
        C: BDAT 0 last
        S: 250 2.0.0 OK: *
        """,
        [b""],
    ),
}


@pytest.mark.parametrize("name", DIALOGS)
async def test_dialogs(anna: User, name: str) -> None:
    opening, talk, kept = DIALOGS[name]
    async with listening(RELAY) as port:
        await play(port, f"{opening}\n{talk}\nC: QUIT\nS: 221 *\nS: <closed>")
    assert await asyncio.to_thread(contents, anna) == kept


async def test_the_size_limit_counts_all_chunks_and_swallows_the_one_that_passes_it(anna: User) -> None:
    with override_settings(MESSAGE_SIZE_LIMIT=10):
        async with listening(RELAY) as port:
            await play(
                port,
                f"""
                {READY}
                C! b'BDAT 8\\r\\n12345678'
                S: 250 2.0.0 8 octets received
                C! b'BDAT 5\\r\\nRSET\\nBDAT 2 LAST\\r\\n\\r\\nNOOP\\r\\n'
                S: 552 5.3.4 *
                S: 503 5.5.1 MAIL first
                S: 250 2.0.0 OK
                C! b'MAIL FROM:<a@b.test>\\r\\nRCPT TO:<anna@harbour.test>\\r\\nBDAT 10 LAST\\r\\n12345678\\r\\n'
                S: 250 2.1.0 *
                S: 250 2.1.5 *
                S: 250 2.0.0 OK: *
                C! b'MAIL FROM:<a@b.test>\\r\\nRCPT TO:<anna@harbour.test>\\r\\n'
                C! b'BDAT 1000000 LAST\\r\\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
                S: 250 2.1.0 *
                S: 250 2.1.5 *
                S: 421 5.3.4 *
                """,
            )
    assert await asyncio.to_thread(contents, anna) == [b"12345678\r\n"]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.integers(1, 9))
def test_any_split_gives_the_same_message(chunks: list[bytes], step: int) -> None:
    reader = ChunkReader(1000)
    for number, chunk in enumerate(chunks):
        reader.begin(len(chunk), number == len(chunks) - 1)
        stream = chunk + b"REST"
        rest = b"" if reader.is_complete else None
        at = 0
        while rest is None:
            rest = reader.feed(stream[at : at + step])
            at += step
        assert rest + stream[at:] == b"REST" or not chunk
    assert reader.held == len(b"".join(chunks)) and reader.is_last
    assert b"".join(reader.take()) == b"".join(chunks) and reader.held == 0


@given(st.text(max_size=30))
def test_bdat_lines(text: str) -> None:
    try:
        size, _ = parse_bdat(text)
    except SmtpSyntaxError:
        return
    assert size >= 0
