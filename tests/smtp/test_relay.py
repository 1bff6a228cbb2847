"""Port 25: mail for our users from anybody, and nothing else."""

from __future__ import annotations

import asyncio
import smtplib

import pytest
from django.test import override_settings

from accounts.models import Address, AddressTarget, User
from mailservers.models import DeliveryEvent, MailboxMessage
from mailservers.smtp.server import SERVICES
from mailservers.store.content import read_message
from mailservers.store.events import Step
from tests.dialog import listening, play

RELAY = SERVICES[0]


def delivered(user: User) -> list[bytes]:
    places = MailboxMessage.objects.filter(mailbox__owner=user, mailbox__name="INBOX").order_by("uid")
    return [read_message(pk) or b"" for pk in places.values_list("message_id", flat=True)]


def contents(user: User) -> list[bytes]:
    """What was delivered, without the two trace fields."""
    return [raw[raw.index(b"\r\n", raw.index(b"\r\n\t", raw.index(b";\r\n")) + 3) + 2 :] for raw in delivered(user)]


async def test_a_message_arrives_before_its_250(anna: User) -> None:
    async with listening(RELAY) as port:
        await play(
            port,
            """
            S: 220 mx.postroom.test ESMTP*
            C: EHLO client.test
            S: 250-mx.postroom.test
            S: 250-PIPELINING
            S: 250-SIZE 52428800
            S: 250-8BITMIME
            S: 250-SMTPUTF8
            S: 250-CHUNKING
            S: 250-BINARYMIME
            S: 250-DSN
            S: 250-ENHANCEDSTATUSCODES
            S: 250-LIMITS RCPTMAX=1000
            S: 250-DELIVERBY
            S: 250-MT-PRIORITY
            S: 250 STARTTLS
            C: MAIL FROM:<sender@elsewhere.test> SIZE=100 BODY=8BITMIME
            S: 250 2.1.0 *
            C: RCPT TO:<Anna@Harbour.Test>
            S: 250 2.1.5 *
            C: DATA
            S: 354 *
            C: Subject: hello
            C:
            C: ..a line with a dot
            C: .
            S: 250 2.0.0 OK*
            C: QUIT
            S: 221 2.0.0 *
            S: <closed>
            """,
        )
    raw = (await asyncio.to_thread(delivered, anna))[0]
    assert raw.startswith(b"Return-Path: <sender@elsewhere.test>\r\nReceived: from client.test ([127.0.0.1])\r\n\tby ")
    assert raw.endswith(b"Subject: hello\r\n\r\n.a line with a dot\r\n")
    steps = [event.step async for event in DeliveryEvent.objects.order_by("id")]
    assert steps == [Step.RECEIVED, Step.FILED]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("FOO", "500 5.5.2 *"),
        ("", "500 5.5.2 *"),
        ("MAIL FROM:<a@b.test>", "503 5.5.1 Say EHLO first"),
        ("RCPT TO:<anna@harbour.test>", "503 5.5.1 *"),
        ("DATA", "503 5.5.1 *"),
        ("EHLO", "501 5.5.4 *"),
        ("VRFY anna", "252 2.5.0 *"),
        ("EXPN list", "502 5.5.1 *"),
        ("NOOP anything", "250 2.0.0 OK"),
        ("HELP", "214 2.0.0 *"),
        ("RSET", "250 2.0.0 OK"),
        ("RSET now", "501 5.5.4 *"),
        ("STARTTLS", "503 5.5.1 *"),
    ],
)
async def test_commands_before_a_greeting(mail: None, command: str, answer: str) -> None:
    async with listening(RELAY) as port:
        await play(port, f"S: 220 *\nC: {command}\nS: {answer}\nC: QUIT\nS: 221 *\nS: <closed>")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL FROM:a@b.test", "501 5.1.7 *"),
        ("MAIL FROM <a@b.test>", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test", "501 5.1.7 *"),
        ("MAIL FROM:<a b@b.test>", "501 5.1.7 *"),
        ("MAIL FROM:<a@b..test>", "501 5.1.7 *"),
        ("MAIL FROM:<a@-b.test>", "501 5.1.7 *"),
        ("MAIL FROM:<nobody>", "501 5.1.7 *"),
        ("MAIL FROM:<a@b.test>SIZE=1", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> SIZE=x", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> SIZE=1 SIZE=2", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> SIZE=99999999999", "552 5.3.4 *"),
        ("MAIL FROM:<a@b.test> BODY=BINARYMIME", "250 2.1.0 *"),
        ("MAIL FROM:<a@b.test> BODY=9BIT", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> BODY", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> RET=FULL ENVID=QQ314159", "250 2.1.0 *"),
        ("MAIL FROM:<a@b.test> ret=hdrs envid=a+2Bb", "250 2.1.0 *"),
        ("MAIL FROM:<a@b.test> RET=BODY", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> RET=FULL RET=FULL", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> ENVID", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> ENVID=a+0Ab", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> ENVID=a+2b", "501 5.5.4 *"),
        (f"MAIL FROM:<a@b.test> ENVID={'e' * 101}", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> REQUIRETLS", "555 5.5.4 *"),
        ("MAIL FROM:<a@b.test> HOLDFOR=60", "555 5.5.4 *"),
        ("MAIL FROM:<a@b.test> X-UNKNOWN=1", "555 5.5.4 *"),
        ("MAIL FROM:<jürgen@b.test>", "553 5.6.7 *"),
        ("MAIL FROM:<jürgen@b.test> SMTPUTF8", "250 2.1.0 *"),
        ("MAIL FROM:<>", "250 2.1.0 *"),
        ("mail from: <a@b.test>", "250 2.1.0 *"),
        ('MAIL FROM:<"a b"@b.test>', "250 2.1.0 *"),
        ("MAIL FROM:<@relay.test,@two.test:a@b.test>", "250 2.1.0 *"),
        ("MAIL FROM:<a@[192.0.2.1]>", "250 2.1.0 *"),
        (f"MAIL FROM:<{'a' * 65}@b.test>", "501 5.1.7 *"),
        (f"MAIL FROM:<a@{'b' * 64}.test>", "501 5.1.7 *"),
        (f"MAIL FROM:<a@{'.'.join(['b' * 60] * 5)}>", "501 5.1.7 *"),
        ("MAIL FROM:<a@[IPv6:2001:db8::1]>", "250 2.1.0 *"),
        ("MAIL FROM:<a@[192.0.2.256]>", "501 5.1.7 *"),
        ("MAIL FROM:<a@[IPv6:2001:db8::1::2]>", "501 5.1.7 *"),
        ("MAIL FROM:<a@[x]>", "501 5.1.7 *"),
        ("MAIL FROM:<a@grün.test> SMTPUTF8", "250 2.1.0 *"),
        ("MAIL FROM:<a@grün.test>", "553 5.6.7 *"),
        ("MAIL FROM:<a@b.test> SMTPUTF8=1", "501 5.5.4 *"),
        ("MAIL FROM:<a@b.test> SIZE=", "501 5.5.4 *"),
        ('MAIL FROM:<"a\\"b"@b.test>', "250 2.1.0 *"),
        ('MAIL FROM:<"a"b@b.test>', "501 5.1.7 *"),
        ("MAIL FROM:<a.@b.test>", "501 5.1.7 *"),
        ("MAIL FROM:<a@b.test> =", "501 5.5.4 *"),
        ("MAIL", "501 5.5.4 *"),
        ("AUTH PLAIN", "502 5.5.1 *"),
    ],
)
async def test_mail_from(mail: None, command: str, answer: str) -> None:
    async with listening(RELAY) as port:
        await play(port, f"S: 220 *\nC: EHLO c\nS: ...\nS: 250 *\nC: {command}\nS: {answer}")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("RCPT TO:<anna@harbour.test>", "250 2.1.5 *"),
        ("RCPT TO:<anna+lists@harbour.test>", "250 2.1.5 *"),
        ("RCPT TO:<info@harbour.test>", "250 2.1.5 *"),
        ("RCPT TO:<Postmaster>", "250 2.1.5 *"),
        ("RCPT TO:<nobody@harbour.test>", "550 5.1.1 *"),
        ("RCPT TO:<someone@elsewhere.test>", "550 5.7.1 *"),
        ("RCPT TO:<anna%harbour.test@elsewhere.test>", "550 5.7.1 *"),
        ("RCPT TO:<@harbour.test:someone@elsewhere.test>", "550 5.7.1 *"),
        ('RCPT TO:<"someone@elsewhere.test"@harbour.test>', "550 5.1.1 *"),
        ("RCPT TO:<anna@harbour.test@elsewhere.test>", "501 5.1.3 *"),
        ("RCPT TO:<anna@harbour.test> NOTIFY=NEVER", "250 2.1.5 *"),
        ("RCPT TO:<anna@harbour.test> NOTIFY=success,DELAY ORCPT=rfc822;anna+2Bx@harbour.test", "250 2.1.5 *"),
        ("RCPT TO:<anna@harbour.test> ORCPT=utf-8;j\\x{fc}rgen@harbour.test", "250 2.1.5 *"),
        ("RCPT TO:<anna@harbour.test> NOTIFY=NEVER,SUCCESS", "501 5.5.4 *"),
        ("RCPT TO:<anna@harbour.test> NOTIFY=", "501 5.5.4 *"),
        ("RCPT TO:<anna@harbour.test> NOTIFY=SUCCESS,", "501 5.5.4 *"),
        ("RCPT TO:<anna@harbour.test> NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4 *"),
        ("RCPT TO:<anna@harbour.test> ORCPT=anna@harbour.test", "501 5.5.4 *"),
        ("RCPT TO:<anna@harbour.test> ORCPT=rfc822;a+0D+0Ab", "501 5.5.4 *"),
        (f"RCPT TO:<anna@harbour.test> ORCPT=rfc822;{'a' * 500}", "501 5.5.4 *"),
        ("RCPT TO:<anna@harbour.test> RET=FULL", "555 5.5.4 *"),
        ("RCPT TO:<>", "501 5.1.3 *"),
        ("RCPT TO:<anna>", "501 5.1.3 *"),
        ("RCPT TO:<POSTMASTER@harbour.test>", "250 2.1.5 *"),
        ("RCPT TO:<@a.test,@b.test:anna@harbour.test>", "250 2.1.5 *"),
        ('RCPT TO:<"anna"@harbour.test>', "250 2.1.5 *"),
        ("RCPT TO:<ANNA@HARBOUR.TEST.>", "250 2.1.5 *"),
        ("RCPT TO:<jürgen@harbour.test>", "553 5.6.7 *"),
        ("RCPT TO:<anna@[127.0.0.1]>", "550 5.7.1 *"),
        ("RCPT", "501 5.5.4 *"),
        ("DATA", "503 5.5.1 RCPT first"),
        ("MAIL FROM:<again@b.test>", "503 5.5.1 *"),
    ],
)
async def test_rcpt_to(make_user: object, command: str, answer: str) -> None:
    def prepare() -> None:
        user = make_user("anna@harbour.test", role="admin")  # type: ignore[operator]
        info = Address.objects.create(domain=user.domain, address="info@harbour.test")
        AddressTarget.objects.create(address=info, user=user)

    await asyncio.to_thread(prepare)
    async with listening(RELAY) as port:
        await play(port, f"{OPENING}\nC: {command}\nS: {answer}")


OPENING = "S: 220 *\nC: EHLO c\nS: ...\nS: 250 *\nC: MAIL FROM:<a@b.test>\nS: 250 *"
SEND = b"EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<anna@harbour.test>\r\nDATA\r\n"


async def deliver_to(port: int, address: str) -> None:
    utf8 = "" if address.isascii() else " SMTPUTF8"
    mail = f"C: MAIL FROM:<a@b.test>{utf8}\nS: 250 *\nC: RCPT TO:<{address}>\nS: 250 *\n"
    await play(port, f"S: 220 *\nC: EHLO c\nS: ...\nS: 250 *\n{mail}C: DATA\nS: 354 *\nC: .\nS: 250 *")


@pytest.mark.parametrize("domain", ["grün.test", "xn--grn-ioa.test"])
async def test_a_domain_by_either_of_its_names(make_user: object, domain: str) -> None:
    """RFC 6531 3.2, RFC 5890: U-labels and A-labels are the same domain, whichever we were given first."""
    await asyncio.to_thread(make_user, f"jürgen@{domain}")  # type: ignore[arg-type]
    await asyncio.to_thread(make_user, f"anna@{domain}")  # type: ignore[arg-type]
    async with listening(RELAY) as port:
        for address in ("jürgen@grün.test", "jürgen@xn--grn-ioa.test", "anna@GRÜN.test", "anna@XN--GRN-IOA.test"):
            await deliver_to(port, address)
    assert await MailboxMessage.objects.acount() == 4


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
async def test_pipelining_in_any_chunking(anna: User, chunk: int) -> None:
    """RFC 2920: the same answers whether the octets come one by one or all at once."""
    talk = SEND + b"first\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<anna@harbour.test>\r\nDATA\r\n.\r\nQUIT\r\n"
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for start in range(0, len(talk), chunk):
            writer.write(talk[start : start + chunk])
            await writer.drain()
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    codes = [line[:3] for line in said.split(b"\r\n") if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"250", b"250", b"354", b"250", b"221"]
    assert await asyncio.to_thread(contents, anna) == [b"first\r\n", b""]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"one\ntwo\r\n.\r\n", b"554 5.6.0"),
        (b"one\rtwo\r\n.\r\n", b"554 5.6.0"),
        (b"smuggled\n.\nMAIL FROM:<x@y.test>\r\n.\r\n", b"554 5.6.0"),
        (b"smuggled\r\n.\nMAIL FROM:<x@y.test>\r\n.\r\n", b"554 5.6.0"),
        (b"smuggled\n.\r\nMAIL FROM:<x@y.test>\r\n.\r\n", b"554 5.6.0"),
        (b"smuggled\r.\r\nMAIL FROM:<x@y.test>\r\n.\r\n", b"554 5.6.0"),
        (b"nul \0 octets\r\n.\r\n", b"250 2.0.0"),
        (b"x" * 1_000_000 + b"\r\n.\r\n", b"250 2.0.0"),
        (b"Subject: \xff\xfe raw\r\n\r\n\x80\r\n.\r\n", b"250 2.0.0"),
    ],
)
async def test_what_data_may_hold(anna: User, data: bytes, answer: bytes) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SEND + data + b"QUIT\r\n")
        said = (await asyncio.wait_for(reader.read(), 20)).split(b"\r\n")
        writer.close()
    assert said[-3].startswith(answer)
    kept = await asyncio.to_thread(contents, anna)
    assert kept == ([data[:-3]] if answer.startswith(b"250") else [])


async def test_a_message_over_the_limit_is_refused_and_the_session_goes_on(anna: User) -> None:
    with override_settings(MESSAGE_SIZE_LIMIT=1000):
        async with listening(RELAY) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(SEND + b"y" * 2000 + b"\r\n.\r\n" + SEND[8:] + b"z" * 900 + b"\r\n.\r\nQUIT\r\n")
            said = (await asyncio.wait_for(reader.read(), 20)).split(b"\r\n")
            writer.close()
    assert [line[:9] for line in said if line.startswith((b"552", b"250 2.0.0"))] == [b"552 5.3.4", b"250 2.0.0"]
    assert await asyncio.to_thread(contents, anna) == [b"z" * 900 + b"\r\n"]


@pytest.mark.parametrize("received", [0, 49, 50])
async def test_loops_are_cut(anna: User, received: int) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SEND + b"Received: from a by b\r\n" * received + b"\r\nReceived: in the body\r\n.\r\nQUIT\r\n")
        said = (await asyncio.wait_for(reader.read(), 20)).split(b"\r\n")
        writer.close()
    assert said[-3].startswith(b"554 5.4.6" if received == 50 else b"250 2.0.0")


async def test_a_client_that_goes_away_in_mid_data_leaves_nothing(anna: User) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SEND + b"half a mess")
        await reader.readuntil(b"354")
        writer.close()
        await writer.wait_closed()
    assert await asyncio.to_thread(delivered, anna) == []


async def test_half_closed_after_the_data_is_still_answered(anna: User) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SEND + b"whole\r\n.\r\n")
        writer.write_eof()
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert said.split(b"\r\n")[-2].startswith(b"250 2.0.0 OK")
    assert await asyncio.to_thread(contents, anna) == [b"whole\r\n"]


async def test_a_line_that_is_too_long_is_passed_over(mail: None) -> None:
    """RFC 5321 4.5.3.1.9; with what follows it understood, however it comes."""
    for cuts in (1, 50):
        octets = b"NOOP " + b"y" * 9000 + b"\r\nNOOP\r\nQUIT\r\n"
        async with listening(RELAY) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for at in range(0, len(octets), step := len(octets) // cuts):
                writer.write(octets[at : at + step])
                await writer.drain()
            said = await asyncio.wait_for(reader.read(), 20)
            writer.close()
        assert [line[:9] for line in said.split(b"\r\n")[1:-1]] == [b"500 5.5.2", b"250 2.0.0", b"221 2.0.0"]


async def test_a_line_without_end(mail: None) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 1_000_000)
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert said.split(b"\r\n")[1:] == [b"421 4.5.2 Line too long", b""]


async def test_too_many_errors_end_the_session(mail: None) -> None:
    async with listening(RELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"FOO\r\n" * 60)
        said = (await asyncio.wait_for(reader.read(), 20)).split(b"\r\n")
        writer.close()
    assert said[-2].startswith(b"421 4.7.0") and len(said) < 40


async def test_starttls_forgets_what_came_before(anna: User) -> None:
    """RFC 3207 4.2, and nothing pipelined behind STARTTLS is obeyed (CVE-2011-0411)."""

    def talk(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.ehlo("first.test")
            client.send(b"STARTTLS\r\nMAIL FROM:<injected@evil.test>\r\n")
            assert client.getreply()[0] == 220
            client.sock = _client_tls(client.sock)
            client.file = None
            client.ehlo_resp = client.helo_resp = None
            assert client.docmd("MAIL FROM:<a@b.test>") == (503, b"5.5.1 Say EHLO first")
            client.ehlo("second.test")
            assert not client.has_extn("starttls")
            client.sendmail("a@b.test", ["anna@harbour.test"], b"over TLS\r\n")

    async with listening(RELAY) as port:
        await asyncio.to_thread(talk, port)
    raw = (await asyncio.to_thread(delivered, anna))[0]
    assert b"with ESMTPS id" in raw and b"(using TLSv1.3" in raw and b"injected" not in raw


def _client_tls(sock: object) -> object:
    from tests.dialog import client_context

    return client_context().wrap_socket(sock)  # type: ignore[arg-type]
