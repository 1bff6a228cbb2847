"""One connection, one transaction, against a host that follows a script."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from mailservers.outbound import client, mail_transaction
from mailservers.outbound.client import open_session
from mailservers.outbound.mail_transaction import OutgoingEnvelope
from mailservers.outbound.outcomes import Outcome, Result, Unreachable

from .fake_smtp import DROP, HANG, FakeHost, Script

MESSAGE = b"From: a@harbour.test\r\nSubject: x\r\n\r\n.dot\r\n..two\r\nend\r\n"


async def send(
    host: FakeHost, *recipients: str, message: bytes = MESSAGE, sender: str = "a@harbour.test", utf8: bool = False
) -> list[Outcome]:
    session = await open_session("mx.remote.test", "127.0.0.1", host.port)
    outcomes = await session.transact(OutgoingEnvelope(sender, recipients or ("b@remote.test",), utf8), message)
    await session.quit()
    return outcomes


@pytest.fixture(autouse=True)
def short_times(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OUTBOUND_TIMEOUT_SCALE = 0.2
    monkeypatch.setattr(client, "GREETING_S", 2.5)  # what the tests wait for in vain, half a second each
    monkeypatch.setattr(mail_transaction, "DATA_END_S", 2.5)


async def test_each_recipient_has_its_own_reply() -> None:
    script = Script(
        recipients={
            "no@remote.test": "550 5.1.1 <no@remote.test>: nobody here",
            "grey@remote.test": "451-4.7.1 Greylisted\r\n451 4.7.1 come back in 5 minutes",
        }
    )
    async with FakeHost(script) as host:
        yes, no, grey = await send(host, "b@remote.test", "no@remote.test", "grey@remote.test")
    assert (yes.result, yes.status, yes.reply) == (Result.DELIVERED, "2.0.0", "250 2.0.0 queued as 42")
    assert (no.result, no.status, no.reply) == (Result.FAILED, "5.1.1", "550 5.1.1 <no@remote.test>: nobody here")
    assert (grey.result, grey.status) == (Result.DEFERRED, "4.7.1")
    assert grey.reply == "451-4.7.1 Greylisted\n451 4.7.1 come back in 5 minutes"
    assert host.transactions[0].recipients == ["b@remote.test"]
    assert host.commands[-1] == "QUIT"


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_dots_are_doubled_and_line_ends_kept(extensions: tuple[str, ...]) -> None:
    async with FakeHost(Script(extensions=extensions)) as host:
        await send(host)
        assert host.transactions[0].content == MESSAGE
        assert b"\r\n..dot\r\n...two\r\n" in host.transactions[0].raw
        assert host.commands[1] == "MAIL FROM:<a@harbour.test>"


async def test_a_long_message_arrives_whole() -> None:
    message = b"Subject: long\r\n\r\n" + b"".join(b".%d %s\r\n" % (i, b"x" * (i % 997)) for i in range(20_000))
    async with FakeHost() as host:
        await send(host, message=message)
        assert host.transactions[0].content == message
        assert f"SIZE={len(message)}" in host.commands[1]


async def test_extensions_are_used_only_when_offered_and_needed() -> None:
    async with FakeHost() as host:
        await send(host, message="Subject: é\r\n\r\nx\r\n".encode())
        await send(host, "bébé@exämple.test", utf8=True)
        await send(host, "b@exämple.test")
        await send(host, sender="")
    mails = [c for c in host.commands if c.startswith("MAIL")]
    assert mails[0].endswith(" BODY=8BITMIME") and "SMTPUTF8" not in mails[0]
    assert mails[1].endswith(" SMTPUTF8")
    assert "SMTPUTF8" not in mails[2]
    assert mails[3].startswith("MAIL FROM:<> ")
    assert "RCPT TO:<bébé@exämple.test>" in host.commands
    assert "RCPT TO:<b@xn--exmple-cua.test>" in host.commands


async def test_utf8_that_is_not_taken_is_permanent_for_those_who_need_it() -> None:
    async with FakeHost(Script(extensions=("PIPELINING",))) as host:
        plain, utf8 = await send(host, "b@remote.test", "bébé@remote.test")
        assert (plain.result, utf8.result, utf8.status) == (Result.DELIVERED, Result.FAILED, "5.6.7")
        (whole,) = await send(host, utf8=True)
        assert (whole.result, whole.status) == (Result.FAILED, "5.6.9")


async def test_a_message_over_the_hosts_size_is_not_sent() -> None:
    async with FakeHost(Script(extensions=("SIZE 20",))) as host:
        (outcome,) = await send(host)
    assert (outcome.result, outcome.status) == (Result.FAILED, "5.3.4")
    assert not any(c.startswith("MAIL") for c in host.commands)


async def test_addresses_cannot_hold_commands() -> None:
    async with FakeHost() as host:
        bad, good = await send(host, "b@remote.test>\r\nRSET\r\nMAIL FROM:<x@y.test", "b@remote.test")
    assert (bad.result, bad.status, good.result) == (Result.FAILED, "5.1.3", Result.DELIVERED)
    assert "RSET" not in host.commands


async def test_helo_when_ehlo_is_not_known() -> None:
    async with FakeHost(Script(ehlo="502 5.5.1 what is that?")) as host:
        (outcome,) = await send(host)
    assert outcome.result is Result.DELIVERED
    assert host.commands[:3] == ["EHLO mx.postroom.test", "HELO mx.postroom.test", "MAIL FROM:<a@harbour.test>"]


@pytest.mark.parametrize(
    ("changes", "result", "status"),
    [
        ({"mail": "550 5.7.1 not you"}, Result.FAILED, "5.7.1"),
        ({"mail": "451 4.3.0 not now"}, Result.DEFERRED, "4.3.0"),
        ({"data": "554 5.5.1 no valid recipients"}, Result.FAILED, "5.5.1"),
        ({"data": "451 wait"}, Result.DEFERRED, "4.0.0"),
        ({"data": "250 ok"}, Result.DEFERRED, "4.0.0"),  # nothing was handed over
        ({"end": "554 5.6.0 spam"}, Result.FAILED, "5.6.0"),
        ({"end": "452 4.3.1 disk full"}, Result.DEFERRED, "4.3.1"),
        ({"end": "354 go on"}, Result.DEFERRED, "4.0.0"),
        ({"end": "250 4.0.0 odd"}, Result.DELIVERED, "2.0.0"),  # the code decides
        ({"mid_data": "552 5.3.4 too big"}, Result.FAILED, "5.3.4"),
        ({"mid_data": "250 2.0.0 thank you"}, Result.DEFERRED, "4.4.2"),  # it has not had the message
        ({"end": DROP}, Result.DEFERRED, "4.4.2"),
        ({"end": HANG}, Result.DEFERRED, "4.4.2"),
        ({"end": b"\xff\xfe garbage\r\n"}, Result.DEFERRED, "4.4.2"),
        ({"end": b"250-go on\r\n" * 1_000_000}, Result.DEFERRED, "4.4.2"),  # 10 MB of reply lines
        ({"end": b"250-cut of"}, Result.DEFERRED, "4.4.2"),  # and nothing more
        ({"end": b"250-one\r\n550 two\r\n"}, Result.DEFERRED, "4.4.2"),
        ({"data": b"354 go on\r\n250 2.0.0 queued already\r\n"}, Result.DEFERRED, "4.4.2"),  # before it has come
        ({"recipients": {"b@remote.test": "421 4.3.2 closing"}}, Result.DEFERRED, "4.3.2"),
    ],
)
async def test_replies_decide(changes: dict[str, Any], result: Result, status: str) -> None:
    message = MESSAGE + b"line\r\n" * 2_000_000 if "mid_data" in changes else MESSAGE
    async with FakeHost(Script(**changes)) as host:
        (outcome,) = await send(host, message=message)
    assert (outcome.result, outcome.status) == (result, status)


@pytest.mark.parametrize(
    "changes",
    [
        {"greeting": "421 busy"},
        {"greeting": DROP},
        {"greeting": HANG},
        {"greeting": b"SSH-2.0-OpenSSH_9.2\r\n"},
        {"greeting": b"220 " + b"x" * 10_000_000 + b"\r\n"},
        {"greeting": b"220-line\r\n" * 100_000},
        {"greeting": b"220 hello\r\n" + b"250 and more\r\n"},
        {"drip_s": 0.05},
        {"ehlo": "421 4.3.2 shutting down"},
        {"ehlo": DROP},
        {"mail": "421 4.7.0 go away"},
        {"mail": DROP},
        {"rcpt": DROP},
        {"mail": b"250 ok\r\n" * 100_000},
        {"rcpt": b"250 ok\r\n250 and one more\r\n"},  # out of step: 250 to DATA
    ],
)
async def test_trouble_before_a_decision_lets_the_next_host_be_tried(changes: dict[str, Any]) -> None:
    async with FakeHost(Script(**changes)) as host:
        with pytest.raises(Unreachable) as caught:
            await send(host)
    assert caught.value.temporary


async def test_a_host_that_takes_no_mail_at_all_is_permanent() -> None:
    async with FakeHost(Script(greeting="554 5.3.2 no mail here")) as host:
        with pytest.raises(Unreachable) as caught:
            await send(host)
    assert not caught.value.temporary
    assert caught.value.reply == "554 5.3.2 no mail here"


async def test_nobody_listens() -> None:
    async with FakeHost() as host:
        port = host.port
    with pytest.raises(Unreachable, match="no connection"):
        await open_session("mx.remote.test", "127.0.0.1", port)


async def test_a_refused_recipient_stays_refused_when_the_connection_drops() -> None:
    script = Script(extensions=(), recipients={"no@remote.test": "550 5.1.1 no", "z@remote.test": DROP})
    async with FakeHost(script) as host:
        no, b, z = await send(host, "no@remote.test", "b@remote.test", "z@remote.test")
    assert [no.result, b.result, z.result] == [Result.FAILED, Result.DEFERRED, Result.DEFERRED]


async def test_too_many_recipients_are_asked_for_again_soon() -> None:
    script = Script(recipients={"c@remote.test": "452 4.5.3 too many", "full@remote.test": "452 4.2.2 mailbox full"})
    async with FakeHost(script) as host:
        b, c, full = await send(host, "b@remote.test", "c@remote.test", "full@remote.test")
    assert b.result is Result.DELIVERED
    assert (c.result, c.try_soon) == (Result.DEFERRED, True)
    assert (full.result, full.try_soon) == (Result.DEFERRED, False)


# ---------------------------------------------------------------- TLS


async def test_tls_where_it_is_offered(certificate: ssl.SSLContext) -> None:
    async with FakeHost(Script(extensions=("STARTTLS", "SIZE"), tls=certificate)) as host:
        (outcome,) = await send(host)
    assert (outcome.result, outcome.tls) == (Result.DELIVERED, "TLSv1.3")
    assert host.transactions[0].tls
    assert [c.split(" ")[0] for c in host.commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


@pytest.mark.parametrize(
    ("changes", "connections"),
    [
        ({"starttls": "454 4.7.0 TLS not available"}, 1),
        ({"starttls": DROP}, 2),
        ({"tls_garbage": True}, 2),
        ({"starttls": b"220 ready\r\n250 injected\r\n"}, 2),
    ],
)
async def test_in_the_clear_when_tls_fails(changes: dict[str, Any], connections: int) -> None:
    async with FakeHost(Script(extensions=("STARTTLS",), **changes)) as host:
        (outcome,) = await send(host)
    assert (outcome.result, outcome.tls, host.connections) == (Result.DELIVERED, "", connections)
