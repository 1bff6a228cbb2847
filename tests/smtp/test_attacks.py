"""Clients that do what no mail client does: smuggle, talk early, inject before TLS, guess, drip."""

from __future__ import annotations

import asyncio
import itertools
import smtplib

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.formats.outgoing import data_blocks, to_wire
from mailservers.formats.smtp_data import DataReader, Received
from mailservers.serving.limits import AddressRate
from mailservers.smtp import defences
from mailservers.smtp.server import SERVICES
from tests.dialog import client_context, listening, play

from .test_relay import SEND, contents

RELAY, SUBMISSION, *_ = SERVICES
INNER = b"MAIL FROM:<x@y.test>\r\nRCPT TO:<anna@harbour.test>\r\nDATA\r\nsmuggled\r\n.\r\n"

# What some server somewhere has taken for the end of data; the last is the real one.
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n\0.\0\r\n",
    b"\r\n.\0\0\r\n",
    b"\0\r\n.\0\r\n",
    b"\n\r\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\r\n.\n\r\n",
    b"\r\n\r.\r\n",
    b"\n\n.\n\n",
    b"\r\n.\x0b\n",
]


@pytest.mark.parametrize("end", ENDS)
async def test_no_form_of_smuggling_passes_in(anna: User, end: bytes) -> None:
    """One message at most, and that refused: what is behind the false end is never obeyed."""
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SEND + b"Subject: x\r\n\r\nouter" + end + INNER + b"QUIT\r\n")
        said = (await asyncio.wait_for(reader.read(), 20)).split(b"\r\n")
        writer.close()
    answers = [line[:9] for line in said[said.index(next(s for s in said if s.startswith(b"354"))) + 1 :] if line]
    assert answers[0] == b"554 5.6.0"
    assert not any(b"smuggled" in kept and b"outer" not in kept for kept in await asyncio.to_thread(contents, anna))


def _read(pieces: list[bytes]) -> tuple[Received | None, bytes]:
    reader = DataReader(10_000)
    rest = b""
    done: Received | None = None
    for piece in pieces:
        if done is None:
            done = reader.feed(piece)
            rest = done.rest if done else b""
        else:
            rest += piece
    return done, rest


@pytest.mark.parametrize("end", [*ENDS, b"\r\n.\r\n", b"\r\r\n.\r\n"])
def test_split_at_every_byte_the_answer_is_the_same(end: bytes) -> None:
    stream = b"outer" + end + b"NEXT\r\n.\r\nQUIT\r\n"
    whole, rest = _read([stream])
    assert whole is not None
    for first, second in itertools.combinations(range(len(stream) + 1), 2):
        split, after = _read([stream[:first], stream[first:second], stream[second:]])
        assert split is not None
        assert (split.content, split.has_bare_line_end, after) == (whole.content, whole.has_bare_line_end, rest)


_BITS = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\0", b"\r\n", b"a", b"\r\n.", b".\r\n"]), max_size=14)


@given(_BITS, st.data())
def test_what_is_accepted_has_one_reading_only(bits: list[bytes], data: st.DataObject) -> None:
    """A message that is not refused holds CRLF and nothing that another server could take for its end."""
    stream = b"".join(bits) + b"\r\n.\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    pieces = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    done, rest = _read(pieces)
    assert done is not None and done.content is not None
    assert (done.content, rest) == (_read([stream])[0].content, _read([stream])[1])  # type: ignore[union-attr]
    if not done.has_bare_line_end:
        plain = done.content.replace(b"\r\n", b"")
        assert b"\r" not in plain and b"\n" not in plain
        sent = b"".join(data_blocks(to_wire(done.content)))
        assert sent.count(b"\r\n.\r\n") + sent.startswith(b".\r\n") == 1


@given(st.binary(max_size=60))
def test_nothing_is_smuggled_out(raw: bytes) -> None:
    """Whatever is in the store (APPEND takes anything): on the wire there is one end of data, at the end."""
    sent = b"".join(data_blocks(to_wire(raw)))
    lines = sent.split(b"\r\n")
    assert lines[-1] == b"" and lines[-2] == b"." and b"." not in lines[:-2]
    assert not any(b"\r" in line or b"\n" in line or line.strip(b"\0") == b"." for line in lines[:-2])


# ---------------------------------------------------------------- before TLS

INJECTIONS = [
    b"STARTTLS\r\nEHLO evil.test\r\n",
    b"STARTTLS\r\nMAIL FROM:<injected@evil.test>\r\n",
    b"STARTTLS\r\nAUTH PLAIN AGEAYg==\r\n",
    b"STARTTLS\r\nNOOP",
    b"STARTTLS\r\n\r\n",
    b"STARTTLS\r\nSTARTTLS\r\n",
    b"STARTTLS\r\n" + b"X" * 5000,
]


@pytest.mark.parametrize("injected", INJECTIONS)
@pytest.mark.parametrize("service", [RELAY, SUBMISSION])
async def test_nothing_from_before_starttls_survives_it(mail: None, injected: bytes, service: object) -> None:
    def talk(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.ehlo("first.test")
            client.docmd("MAIL FROM:<before@evil.test>")
            client.send(injected)
            assert client.getreply()[0] == 220
            client.sock = client_context().wrap_socket(client.sock)
            client.file = None
            assert client.docmd("NOOP") == (250, b"2.0.0 OK")  # the first answer is to the first command within TLS
            assert client.docmd("RCPT TO:<anna@harbour.test>")[0] == 503
            assert client.docmd("MAIL FROM:<a@b.test>") == (503, b"5.5.1 Say EHLO first")

    async with listening(service) as port:  # type: ignore[arg-type]
        await asyncio.to_thread(talk, port)


# ---------------------------------------------------------------- early, and in other tongues


@pytest.mark.parametrize("early", [b"EHLO spam.test\r\n", b"E", b"GET / HTTP/1.1\r\n"])
async def test_early_talkers_are_turned_away(mail: None, early: bytes) -> None:
    with override_settings(SMTP_GREET_DELAY_S=30.0, LIMIT_LOOPBACK=True):
        async with listening(RELAY) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(early)
            assert await asyncio.wait_for(reader.read(), 20) == b"554 5.5.1 You spoke before the greeting\r\n"
            writer.close()


@pytest.mark.parametrize(("service", "loopback"), [(RELAY, False), (SUBMISSION, True)])
async def test_those_who_are_trusted_do_not_wait(mail: None, service: object, loopback: bool) -> None:
    with override_settings(SMTP_GREET_DELAY_S=3600.0, LIMIT_LOOPBACK=loopback):
        async with listening(service) as port:  # type: ignore[arg-type]
            await play(port, "S: 220 *\nC: QUIT\nS: 221 *")


async def test_those_who_wait_are_greeted(mail: None) -> None:
    with override_settings(SMTP_GREET_DELAY_S=0.05, LIMIT_LOOPBACK=True):
        async with listening(RELAY) as port:
            await play(port, "S: 220 *\nC: QUIT\nS: 221 *\nS: <closed>")


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: mx\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\nEHLO c\r\nMAIL FROM:<a@b.test>\r\n",
        b"CONNECT target.test:25 HTTP/1.0\r\n\r\n",
        b"options * HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_other_protocols_are_cut_off(mail: None, octets: bytes) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(octets)
        said = (await asyncio.wait_for(reader.read(), 20)).split(b"\r\n")
        writer.close()
    assert len(said) == 3 and said[1].startswith(b"554 5.5.1 ")


# ---------------------------------------------------------------- guessers and drippers


async def test_replies_to_guessers_take_their_time_and_stay_in_order(
    anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, *args: object) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr("mailservers.smtp.session.asyncio.sleep", note)
    guesses = b"".join(b"RCPT TO:<guess%d@harbour.test>\r\n" % n for n in range(6))
    talk = b"EHLO c\r\nMAIL FROM:<a@b.test>\r\n" + guesses + b"RCPT TO:<anna@harbour.test>\r\nQUIT\r\n"
    with override_settings(LIMIT_LOOPBACK=True, SMTP_TARPIT_S=2.0):
        async with listening(RELAY) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(talk)
            said = (await asyncio.wait_for(reader.read(), 20)).split(b"\r\n")
            writer.close()
    assert [w for w in waits if w >= 2.0] == [2.0, 4.0, 6.0, 8.0]
    assert [line[:3] for line in said[-9:-1]] == [b"550"] * 6 + [b"250", b"221"]


async def test_no_delay_for_this_machines_own(mail: None) -> None:
    with override_settings(SMTP_TARPIT_S=3600.0):
        async with listening(RELAY) as port:
            await play(port, "S: 220 *\n" + "C: FOO\nS: 500 *\n" * 10)


async def test_an_address_with_many_errors_is_turned_away_at_connect(mail: None) -> None:
    with override_settings(LIMIT_LOOPBACK=True, SMTP_TARPIT_S=0.0, SMTP_ERRORS_PER_ADDRESS=5):
        async with listening(RELAY) as port:
            await play(port, "S: 220 *\n" + "C: FOO\nS: 500 *\n" * 5)
            await play(port, "S: 421 4.7.0 Too many errors from your address*\nS: <closed>")


async def test_an_address_with_many_messages_is_put_off(anna: User) -> None:
    with override_settings(LIMIT_LOOPBACK=True, SMTP_MESSAGES_PER_ADDRESS=2):
        async with listening(RELAY) as port:
            again = "C: MAIL FROM:<>\nS: 250 *\nC: RSET\nS: 250 *\n"
            await play(port, f"S: 220 *\nC: HELO c\nS: 250 *\n{again * 2}C: MAIL FROM:<>\nS: 421 4.7.0 *\nS: <closed>")


async def test_connections_are_counted_by_address(mail: None) -> None:
    with override_settings(LIMIT_LOOPBACK=True, MAX_CONNECTION_RATE=3):
        async with listening(RELAY) as port:
            for _ in range(3):
                await play(port, "S: 220 *\nC: QUIT\nS: 221 *\nS: <closed>")
            await play(port, "S: 421 4.3.2 *\nS: <closed>")


def test_rates_fade_and_ipv6_counts_by_its_64() -> None:
    now = [0.0]
    rate = AddressRate(60.0, clock=lambda: now[0])
    assert [rate.note("2001:db8::1"), rate.note("2001:db8::2"), rate.note("2001:db8:0:1::2")] == [1, 2, 1]
    now[0] = 35
    assert rate.note("2001:db8::3") == 3
    now[0] = 65
    assert rate.count("2001:db8::3") == 1
    now[0] = 200
    assert rate.count("2001:db8::3") == 0


@pytest.mark.parametrize(
    ("elapsed", "octets", "slow"), [(59, 0, False), (61, 99, True), (61, 101, False), (160, 9_000, True)]
)
def test_pace(monkeypatch: pytest.MonkeyPatch, elapsed: float, octets: int, slow: bool) -> None:
    now = [1000.0]
    monkeypatch.setattr(defences.time, "monotonic", lambda: now[0])
    pace = defences.Pace()
    now[0] += elapsed
    assert pace.is_too_slow(octets) is slow


@pytest.mark.parametrize("begin", [b"DATA\r\n", b"BDAT 100000 LAST\r\n"])
async def test_a_message_that_drips_is_cut(anna: User, monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(defences.Pace, "is_too_slow", lambda self, octets: octets == 1)
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SEND.replace(b"DATA\r\n", begin))
        await reader.readuntil(b"354" if begin.startswith(b"DATA") else b"2.1.5")
        await asyncio.sleep(0)
        writer.write(b"12")
        writer.write(b"3")
        while not (said := await asyncio.wait_for(reader.read(100), 20)).count(b"421"):
            writer.write(b"x")
            assert said
        writer.close()


@pytest.mark.slow
async def test_mail_goes_through_while_a_crowd_drips(make_user: object) -> None:
    """300 connections feed octet by octet; all of them are served, and so is the client that behaves."""
    from tests.bench.drip import measure

    await asyncio.to_thread(make_user, "u0001@bench.test")  # type: ignore[arg-type]
    async with listening(RELAY) as port:
        figures = await measure(port, 300, 2.0)
    assert figures["held_to_the_end"] == 300 and figures["messages"] >= 1
