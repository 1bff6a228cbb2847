"""Routes: which one counts, and what hosts that they name are told."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from accounts.models import AuditEntry, User
from accounts.services import create_route, update_route
from accounts.services.errors import AlreadyExists, InvalidValue
from accounts.services.routes import RouteValues
from mailservers.models import DeliveryEvent, MailboxMessage, QueuedRecipient, SendingRoute
from mailservers.outbound.client import open_session
from mailservers.outbound.mail_transaction import OutgoingEnvelope
from mailservers.outbound.outcomes import Outcome, Result, Unreachable
from mailservers.outbound.routes import RouteBook, parse_routes
from mailservers.outbound.tls_need import Level, TlsNeed
from mailservers.outbound.way import Route, Way
from mailservers.store.content import read_message
from mailservers.store.engine import store
from mailservers.store.events import Step

from .conftest import running, until
from .fake_smtp import DROP, FakeHost, Script
from .test_runner import put, queue_is_empty

ENCRYPTED = TlsNeed(Level.ENCRYPTED, "the route asks for it")
VERIFIED = TlsNeed(Level.VERIFIED, "the route asks for it")
LOGIN = Way(login="relay", password="secret words")


async def send(host: FakeHost, need: TlsNeed, way: Way, *recipients: str) -> list[Outcome]:
    session = await open_session("mx.remote.test", "127.0.0.1", host.port, need, way)
    outcomes = await session.transact(
        OutgoingEnvelope("a@harbour.test", recipients or ("b@remote.test",)), b"Subject: x\r\n\r\nx\r\n"
    )
    await session.quit()
    return outcomes


def offering(tls: ssl.SSLContext, mechanisms: str, **more: Any) -> Script:
    extensions = ("PIPELINING", "STARTTLS", f"AUTH {mechanisms}")
    return Script(extensions=extensions, tls=tls, accounts={"relay": "secret words"}, **more)


# ---------------------------------------------------------------- signing in


@pytest.mark.parametrize(
    ("offered", "used"),
    [
        ("LOGIN PLAIN SCRAM-SHA-256 SCRAM-SHA-1", "SCRAM-SHA-256"),
        ("LOGIN PLAIN SCRAM-SHA-1", "SCRAM-SHA-1"),
        ("LOGIN PLAIN", "PLAIN"),
        ("LOGIN", "LOGIN"),
    ],
)
async def test_signing_in(certificate: ssl.SSLContext, offered: str, used: str) -> None:
    async with FakeHost(offering(certificate, offered)) as host:
        (outcome,) = await send(host, ENCRYPTED, LOGIN)
    assert outcome.result is Result.DELIVERED
    assert host.logins == [(used, "relay")]
    assert host.transactions[0].tls


@pytest.mark.parametrize("offered", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
async def test_a_wrong_password_waits_for_the_administrator(certificate: ssl.SSLContext, offered: str) -> None:
    async with FakeHost(offering(certificate, offered)) as host:
        with pytest.raises(Unreachable, match="did not let us sign in as relay") as caught:
            await send(host, ENCRYPTED, Way(login="relay", password="other"))
    assert caught.value.temporary and caught.value.status == "4.7.8"
    assert caught.value.reply == "535 5.7.8 no"
    assert "other" not in str(caught.value) and not host.transactions


async def test_a_host_that_proves_nothing_gets_no_mail(certificate: ssl.SSLContext) -> None:
    async with FakeHost(offering(certificate, "SCRAM-SHA-256", is_impostor=True)) as host:
        with pytest.raises(Unreachable, match="knows the password"):
            await send(host, ENCRYPTED, LOGIN)
    assert not host.transactions


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script(extensions=("AUTH PLAIN",)), "does not offer it"),
        (Script(extensions=("STARTTLS", "AUTH PLAIN"), starttls="454 no"), "does not offer it"),
        (Script(extensions=("STARTTLS", "AUTH PLAIN"), tls_garbage=True), "TLS was required, and failed"),
        (Script(extensions=("STARTTLS", "AUTH PLAIN"), starttls=DROP), "TLS was required, and failed"),
    ],
)
async def test_no_password_in_the_clear(script: Script, words: str) -> None:
    async with FakeHost(script) as host:
        with pytest.raises(Unreachable, match=words):
            await send(host, ENCRYPTED, LOGIN)
    assert not any("AUTH" in command for command in host.commands)


async def test_a_certificate_that_nobody_vouches_for(certificate: ssl.SSLContext) -> None:
    async with FakeHost(offering(certificate, "PLAIN")) as host:
        with pytest.raises(Unreachable):
            await send(host, VERIFIED, LOGIN)
    assert not host.logins


async def test_no_way_to_sign_in(certificate: ssl.SSLContext) -> None:
    async with FakeHost(offering(certificate, "GSSAPI")) as host:
        with pytest.raises(Unreachable, match="no way to sign in"):
            await send(host, ENCRYPTED, LOGIN)


# ---------------------------------------------------------------- ways


async def test_tls_from_the_first_octet(settings: Any, named_certificate: tuple[ssl.SSLContext, Path]) -> None:
    context, settings.OUTBOUND_CA_FILE = named_certificate[0], str(named_certificate[1])
    script = Script(implicit_tls=context, extensions=("AUTH PLAIN",), accounts={"relay": "secret words"})
    async with FakeHost(script) as host:
        (outcome,) = await send(host, VERIFIED, Way(is_implicit_tls=True, login="relay", password="secret words"))
    assert outcome.result is Result.DELIVERED and outcome.tls.startswith("TLSv1.3")
    assert host.logins == [("PLAIN", "relay")] and "STARTTLS" not in host.commands


async def test_lmtp_has_a_reply_for_each_recipient() -> None:
    ends = ("250 2.0.0 one", "452 4.2.2 full", "550 5.7.1 not for three")
    script = Script(ends=ends, recipients={"no@remote.test": "550 5.1.1 nobody"})
    async with FakeHost(script) as host:
        outcomes = await send(
            host, TlsNeed(), Way(is_lmtp=True), "a@remote.test", "no@remote.test", "b@remote.test", "c@remote.test"
        )
    assert host.commands[0] == "LHLO mx.postroom.test"
    assert [(o.result, o.reply) for o in outcomes] == [
        (Result.DELIVERED, "250 2.0.0 one"),
        (Result.FAILED, "550 5.1.1 nobody"),
        (Result.DEFERRED, "452 4.2.2 full"),
        (Result.FAILED, "550 5.7.1 not for three"),
    ]


async def test_lmtp_that_breaks_between_its_replies() -> None:
    async with FakeHost(Script(ends=("250 2.0.0 one", DROP))) as host:
        first, second = await send(host, TlsNeed(), Way(is_lmtp=True), "a@remote.test", "b@remote.test")
    assert first.result is Result.DELIVERED
    assert second.result is Result.DEFERRED and "may arrive twice" in second.explanation


async def test_lmtp_is_not_tried_as_smtp() -> None:
    async with FakeHost(Script(ehlo="500 what?")) as host:
        with pytest.raises(Unreachable):
            await send(host, TlsNeed(), Way(is_lmtp=True))
    assert "HELO" not in "".join(host.commands)


async def test_our_address_and_name(settings: Any) -> None:
    async with FakeHost() as host:
        await send(host, TlsNeed(), Way(source=("::1", "127.0.0.7"), ehlo_name="out.harbour.test"))
        settings.OUTBOUND_SOURCE, settings.OUTBOUND_EHLO_NAME = ["127.0.0.8"], "general.harbour.test"
        await send(host, TlsNeed(), Way())
    assert host.peers == ["127.0.0.7", "127.0.0.8"]
    assert [c for c in host.commands if c.startswith("EHLO")] == ["EHLO out.harbour.test", "EHLO general.harbour.test"]


# ---------------------------------------------------------------- which route counts


def test_the_most_exact_route_counts(settings: Any) -> None:
    settings.ROUTES = {
        "*": "any", "remote.test": "domain", "bob@remote.test": "lmtp:bob", "münchen.test": "u",
        "gone.test": "refuse:so",
    }  # fmt: skip
    book = RouteBook()
    book._routes |= {
        ("", "anna@harbour.test"): Route("by-anna", 1),
        ("", "harbour.test"): Route("by-harbour", 2),
        ("remote.test", "anna@harbour.test"): Route("annas-remote", 3),
    }
    chosen = [
        ("Bob@Remote.test", "anna@harbour.test", "bob"),
        ("x@remote.test", "Anna@harbour.test", "annas-remote"),
        ("x@remote.test", "ben@harbour.test", "domain"),
        ("x@other.test", "anna@harbour.test", "by-anna"),
        ("x@other.test", "ben@harbour.test", "by-harbour"),
        ("x@other.test", "", "any"),
        ("x@sub.remote.test", "", "any"),
        ("x@xn--mnchen-3ya.test", "", "u"),
        ("x@gone.test", "", ""),
    ]
    for recipient, sender, host in chosen:
        route = book.find(recipient, sender)
        assert route is not None and route.host == host, (recipient, sender)
    assert not book.is_one_way("other.test") and not book.is_one_way("remote.test")


def test_routes_of_the_setting() -> None:
    parsed = parse_routes({"a.test": "lmtp:[::1]", "b@B.test": "discard", "c.test": "refuse: has left ", "*": "h:587"})
    assert parsed == {
        "a.test": Route("::1", 24, "lmtp", way=Way(is_lmtp=True)),
        "b@b.test": Route("", 25, "discard"),
        "c.test": Route("", 25, "refuse", reason="has left"),
        "*": Route("h", 587),
    }


async def test_one_way_and_several(settings: Any) -> None:
    settings.ROUTES = {"a@remote.test": "h", "other.test": "h", "*": "h"}
    book = RouteBook()
    assert book.is_one_way("other.test") and book.is_one_way("new.test") and not book.is_one_way("remote.test")


# ---------------------------------------------------------------- in the queue


async def test_one_message_goes_several_ways(anna: User, settings: Any) -> None:
    async with FakeHost() as usual, FakeHost() as special:
        settings.ROUTES = {"remote.test": f"127.0.0.1:{usual.port}", "kept@remote.test": "discard"}
        settings.ROUTES["bob@remote.test"] = f"127.0.0.1:{special.port}"
        settings.ROUTES["gone@remote.test"] = "refuse:left the company"
        async with running():
            people = ("bob@remote.test", "carl@remote.test", "gone@remote.test", "kept@remote.test", "dora@remote.test")
            await put(people, sender=anna)
            await until(queue_is_empty)
    assert [t.recipients for t in usual.transactions] == [["carl@remote.test", "dora@remote.test"]]
    assert [t.recipients for t in special.transactions] == [["bob@remote.test"]]
    place = await MailboxMessage.objects.aget(mailbox__owner=anna)
    bounce = b" ".join((await store.read(read_message, place.message_id)).split())
    assert b"left the company" in bounce and b"gone@remote.test" in bounce and b"kept@remote.test" not in bounce
    event = await DeliveryEvent.objects.aget(step=Step.SENT, recipient="kept@remote.test")
    assert event.detail.startswith("discarded")


async def test_a_smarthost_for_a_sender_with_a_login(
    anna: User, settings: Any, named_certificate: tuple[ssl.SSLContext, Path]
) -> None:
    """The whole way: the row, the sealed password, the submission to the smarthost."""
    context, settings.OUTBOUND_CA_FILE = named_certificate[0], str(named_certificate[1])
    async with FakeHost(offering(context, "SCRAM-SHA-256")) as smarthost, FakeHost() as usual:
        settings.ROUTES = {"remote.test": f"127.0.0.1:{usual.port}"}
        values = RouteValues(
            "remote.test", "anna@harbour.test", "smtp", "127.0.0.1", smarthost.port, "encrypted", False,
            "relay", "secret words", ehlo_name="anna.harbour.test",
        )  # fmt: skip
        await store.call(create_route, values, actor="boss@harbour.test")
        async with running():
            await put(sender=anna)
            await put(reverse_path="ben@harbour.test")
            await until(queue_is_empty)
    assert [t.mail.split()[1] for t in smarthost.transactions] == ["FROM:<anna@harbour.test>"]
    assert smarthost.logins == [("SCRAM-SHA-256", "relay")] and "EHLO anna.harbour.test" in smarthost.commands
    assert [t.mail.split()[1] for t in usual.transactions] == ["FROM:<ben@harbour.test>"]


async def test_a_dead_smarthost_of_one_sender_holds_up_nobody_else(anna: User, settings: Any) -> None:
    async with FakeHost() as usual:
        settings.ROUTES = {"remote.test": f"127.0.0.1:{usual.port}"}
        values = RouteValues("", "anna@harbour.test", "smtp", "127.0.0.1", 9)
        await store.call(create_route, values, actor="boss@harbour.test")
        async with running():
            await put(sender=anna, reverse_path="anna@harbour.test", recipients=("x@elsewhere.test",))
            await until(lambda: QueuedRecipient.objects.filter(attempts=1).exists())
            settings.ROUTES["elsewhere.test"] = f"127.0.0.1:{usual.port}"
        async with running():
            await put(reverse_path="ben@harbour.test", recipients=("y@elsewhere.test",))
            await until(lambda: not QueuedRecipient.objects.filter(address="y@elsewhere.test").exists())


# ---------------------------------------------------------------- the service


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": ""}, "host"),
        ({"host": "a b"}, "host"),
        ({"port": 70_000}, "port"),
        ({"transport": "uucp"}, "transport"),
        ({"security": "maybe"}, "security"),
        ({"login": "x", "password": "y"}, "security"),
        ({"login": "x", "security": "verified"}, "password"),
        ({"login": "x\r\n", "password": "y\n", "security": "verified"}, "login"),
        ({"is_implicit_tls": True}, "security"),
        ({"source": "here"}, "source"),
        ({"source": "10.0.0.1 10.0.0.2"}, "source"),
        ({"ehlo_name": "not a name"}, "ehlo_name"),
        ({"recipient": "no domain"}, "recipient"),
        ({"sender": "a@@b"}, "sender"),
        ({"transport": "refuse"}, "host"),
        ({"transport": "refuse", "host": "", "reason": "x" * 301}, "reason"),
        ({"transport": "mx", "host": "", "login": "x", "password": "y", "security": "verified"}, "login"),
    ],
)
def test_what_is_no_route(mail: None, changes: dict[str, Any], field: str) -> None:
    values = RouteValues(**{"recipient": "remote.test", "host": "h.test", **changes})
    with pytest.raises(InvalidValue) as caught:
        store.call_sync(create_route, values, actor="boss")
    assert caught.value.field == field
    assert not SendingRoute.objects.exists()


def test_passwords_are_sealed_and_kept(mail: None) -> None:
    values = RouteValues("", "", "smtp", "h.test", 587, "verified", False, "relay", "hunter2 hunter2")
    route_id = store.call_sync(create_route, values, actor="boss")
    sealed = bytes(SendingRoute.objects.get().password)
    assert b"hunter2" not in sealed
    changed = RouteValues("", "", "smtp", "h2.test", 587, "verified", False, "relay", None)
    store.call_sync(update_route, route_id, changed, actor="boss")
    assert bytes(SendingRoute.objects.get().password) == sealed
    assert not any("hunter2" in str(entry.detail) for entry in AuditEntry.objects.all())
    with pytest.raises(AlreadyExists):
        store.call_sync(create_route, values, actor="boss")
    without = RouteValues("", "", "smtp", "h2.test")
    store.call_sync(update_route, route_id, without, actor="boss")
    assert bytes(SendingRoute.objects.get().password) == b""
