"""Every command in every state, and the form of every reply: code, enhanced status (RFC 2034, 5248), text."""

from __future__ import annotations

import asyncio
import base64
import re

import pytest

from accounts.models import User
from mailservers.smtp import replies
from mailservers.smtp.server import SERVICES
from tests.conftest import PASSWORD
from tests.dialog import listening

RELAY, SUBMISSION, _, LMTP = SERVICES
MAIL, RCPT = "MAIL FROM:<anna@harbour.test>", "RCPT TO:<ben@harbour.test>"
LOGIN = "AUTH PLAIN " + base64.b64encode(f"\0anna@harbour.test\0{PASSWORD}".encode()).decode()

RELAY_STATES = ([], ["HELO c"], ["EHLO c"], ["EHLO c", MAIL], ["EHLO c", MAIL, RCPT])
SUBMISSION_STATES = ([], ["EHLO c"], ["EHLO c", LOGIN], ["EHLO c", LOGIN, MAIL], ["EHLO c", LOGIN, MAIL, RCPT])
LMTP_STATES = ([], ["LHLO c"], ["LHLO c", MAIL], ["LHLO c", MAIL, RCPT])

#   command | relay: new, HELO, EHLO, MAIL, RCPT | submission: new, EHLO, AUTH, MAIL, RCPT | LMTP: new, LHLO, MAIL, RCPT
TABLE = """
EHLO c                      | 250 250 250 250 250 | 250 250 250 250 250 | 500 500 500 500
EHLO [192.0.2.1]            | 250 250 250 250 250 | 250 250 250 250 250 | 500 500 500 500
EHLO                        | 501 501 501 501 501 | 501 501 501 501 501 | 500 500 500 500
HELO c                      | 250 250 250 250 250 | 250 250 250 250 250 | 500 500 500 500
HELO                        | 501 501 501 501 501 | 501 501 501 501 501 | 500 500 500 500
LHLO c                      | 500 500 500 500 500 | 500 500 500 500 500 | 250 250 250 250
MAIL FROM:<anna@harbour.test> | 503 250 250 503 503 | 503 530 250 503 503 | 503 250 503 503
MAIL FROM:<>                | 503 250 250 503 503 | 503 530 250 503 503 | 503 250 503 503
MAIL FROM:<anna@harbour.test> X=1 | 503 555 555 503 503 | 503 530 555 503 503 | 503 555 503 503
MAIL anna@harbour.test      | 503 501 501 503 503 | 503 530 501 503 503 | 503 501 503 503
RCPT TO:<ben@harbour.test>  | 503 503 503 250 250 | 503 503 503 250 250 | 503 503 250 250
RCPT TO:<no@harbour.test>   | 503 503 503 550 550 | 503 503 503 550 550 | 503 503 550 550
RCPT TO:<a@far.test>        | 503 503 503 550 550 | 503 503 503 250 250 | 503 503 550 550
RCPT TO:<ben@harbour.test> X=1 | 503 503 503 555 555 | 503 503 503 555 555 | 503 503 555 555
RCPT TO:ben                 | 503 503 503 501 501 | 503 503 503 501 501 | 503 503 501 501
DATA                        | 503 503 503 503 354 | 503 503 503 503 354 | 503 503 503 354
DATA x                      | 503 503 503 503 501 | 503 503 503 503 501 | 503 503 503 501
BDAT 0                      | 503 503 503 503 250 | 503 503 503 503 250 | 503 503 503 250
BDAT x                      | 501 501 501 501 501 | 501 501 501 501 501 | 501 501 501 501
BDAT                        | 501 501 501 501 501 | 501 501 501 501 501 | 501 501 501 501
RSET                        | 250 250 250 250 250 | 250 250 250 250 250 | 250 250 250 250
RSET x                      | 501 501 501 501 501 | 501 501 501 501 501 | 501 501 501 501
NOOP                        | 250 250 250 250 250 | 250 250 250 250 250 | 250 250 250 250
NOOP what you like          | 250 250 250 250 250 | 250 250 250 250 250 | 250 250 250 250
VRFY ben@harbour.test       | 252 252 252 252 252 | 252 252 252 252 252 | 252 252 252 252
VRFY no@harbour.test        | 252 252 252 252 252 | 252 252 252 252 252 | 252 252 252 252
VRFY                        | 501 501 501 501 501 | 501 501 501 501 501 | 501 501 501 501
EXPN staff                  | 502 502 502 502 502 | 502 502 502 502 502 | 502 502 502 502
HELP                        | 214 214 214 214 214 | 214 214 214 214 214 | 214 214 214 214
HELP MAIL                   | 214 214 214 214 214 | 214 214 214 214 214 | 214 214 214 214
QUIT                        | 221 221 221 221 221 | 221 221 221 221 221 | 221 221 221 221
QUIT now                    | 501 501 501 501 501 | 501 501 501 501 501 | 501 501 501 501
STARTTLS                    | 503 220 220 220 220 | 503 220 220 220 220 | 503 220 220 220
STARTTLS x                  | 503 501 501 501 501 | 503 501 501 501 501 | 503 501 501 501
AUTH                        | 503 502 502 503 503 | 503 501 503 503 503 | 503 502 503 503
AUTH PLAIN                  | 503 502 502 503 503 | 503 334 503 503 503 | 503 502 503 503
AUTH NONSENSE               | 503 502 502 503 503 | 503 504 503 503 503 | 503 502 503 503
AUTH PLAIN =!               | 503 502 502 503 503 | 503 501 503 503 503 | 503 502 503 503
TURN                        | 500 500 500 500 500 | 500 500 500 500 500 | 500 500 500 500
nonsense                    | 500 500 500 500 500 | 500 500 500 500 500 | 500 500 500 500
noop                        | 250 250 250 250 250 | 250 250 250 250 250 | 250 250 250 250
"""
ROWS = [re.split(r" *\| *", line) for line in TABLE.strip().splitlines()]
#   RFC 2034 section 4: on 2xx, 4xx and 5xx, but the greeting, and replies to HELO and EHLO; the class is the code's.
_LINE = re.compile(r"([2-5]\d\d)([ -])(?:([245])\.(\d{1,3})\.(\d{1,3}) )?([ -~]*)")
BARE = (220, 334, 354)


async def read_reply(reader: asyncio.StreamReader) -> list[re.Match[str]]:
    lines: list[re.Match[str]] = []
    while not lines or lines[-1][2] == "-":
        line = (await asyncio.wait_for(reader.readline(), 20)).decode().removesuffix("\r\n")
        match = _LINE.fullmatch(line)
        assert match is not None and len(line) <= 510 and (match[6] or match[1] == "334"), line
        lines.append(match)
    assert len({match[1] for match in lines}) == 1
    return lines


def check(command: str, lines: list[re.Match[str]]) -> int:
    code = int(lines[0][1])
    is_bare = code in BARE or (code == 250 and command[:4].upper() in ("EHLO", "HELO", "LHLO"))
    for match in lines:
        if code == 220 and command.startswith("STARTTLS"):
            assert match[3] == "2"
        else:
            assert match[3] == (None if is_bare else match[1][0]), match[0]
    return code


async def ask(port: int, state: list[str], command: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert check("", await read_reply(reader)) == 220
    try:
        for line in state:
            writer.write(f"{line}\r\n".encode())
            assert check(line, await read_reply(reader)) in (250, 235)
        writer.write(f"{command}\r\n".encode())
        return check(command, await read_reply(reader))
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("service", "states", "column"),
    [(RELAY, RELAY_STATES, 1), (SUBMISSION, SUBMISSION_STATES, 2), (LMTP, LMTP_STATES, 3)],
)
async def test_every_command_in_every_state(
    anna: User, ben: User, service: object, states: list[list[str]], column: int
) -> None:
    async with listening(service) as port:  # type: ignore[arg-type]
        for command, *columns in ROWS:
            got = [await ask(port, state, command) for state in states]
            assert got == [int(code) for code in columns[column - 1].split()], command


async def test_while_a_message_comes_in_chunks(anna: User, ben: User) -> None:
    """RFC 3030 2: only BDAT, RSET, NOOP and QUIT can follow; a new EHLO or STARTTLS is a reset."""
    expected = {"DATA": 503, RCPT: 503, MAIL: 503, "NOOP": 250, "RSET": 250, "QUIT": 221, "EHLO c": 250, "BDAT 0": 250}
    async with listening(RELAY) as port:
        got = {command: await ask(port, ["EHLO c", MAIL, RCPT, "BDAT 2\r\n"], command) for command in expected}
    assert got == expected


@pytest.mark.parametrize("command", [b"NOOP\0", b"NO\rOP", b"NOOP \xff", b"", b" ", b"NOOP\n"])
async def test_what_is_no_command_line(mail: None, command: bytes) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await read_reply(reader)
        writer.write(command if command.endswith(b"\n") else command + b"\r\n")
        (match,) = await read_reply(reader)
        writer.close()
    assert match[0].startswith("500 5.5.2 ")


async def test_the_limit_of_errors(mail: None) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await read_reply(reader)
        writer.write(b"X\r\n" * 30)
        said = [(await read_reply(reader))[0][0] for _ in range(22)]
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
    assert said[-2].startswith("500 5.5.2 ") and said[-1].startswith("421 4.7.0 ")


async def test_a_line_of_authentication_that_is_too_long(mail: None) -> None:
    """RFC 4954 section 4: 12,288 octets, and 500 5.5.6."""
    async with listening(SUBMISSION) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await read_reply(reader)
        writer.write(b"EHLO c\r\nAUTH PLAIN\r\n" + b"A" * 13_000 + b"\r\nNOOP\r\n")
        codes = [(await read_reply(reader))[0][0][:9] for _ in range(4)]
        writer.close()
    assert codes[1:] == ["334 ", "500 5.5.6", "250 2.0.0"]


def test_the_replies_by_name() -> None:
    """Each is one line with a status of its class."""
    named = [value for value in vars(replies).values() if isinstance(value, tuple) and len(value) == 3]
    assert len(named) > 25
    for code, enhanced, text in named:
        assert enhanced[0] == str(code)[0] and _LINE.fullmatch(f"{code} {enhanced} {text}")
