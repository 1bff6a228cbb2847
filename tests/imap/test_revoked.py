"""A session ends when what it signed in with counts no more; a real server's other protocols alike."""

from __future__ import annotations

import base64

import pytest
from django.contrib.auth.hashers import make_password

from accounts.auth.live import live_sessions
from accounts.models import Credential
from accounts.services import add_credential, new_app_password, revoke_credential, set_password, set_user_active
from mailservers.imap.server import SERVICES
from mailservers.pop3.server import SERVICES as POP3
from mailservers.serving.listener import Service
from mailservers.smtp.server import SubmissionConnection
from mailservers.store.engine import store
from tests.accounts.sasl_client import ScramClient
from tests.conftest import PASSWORD
from tests.dialog import client_context, listening, play

BYE = rb"\* BYE Your password was changed or your access withdrawn: sign in again"


async def sign_in(client, login, password):
    assert (await client.command(f'LOGIN {login} "{password}"'))[-1].startswith(b"OK")


@pytest.fixture
async def sessions(connect, anna):
    """One with Anna's password, in IDLE; one with an app password."""
    secret = new_app_password(anna.login)
    await store.call(add_credential, anna.pk, secret, name="phone", scopes=["imap"], actor="test")
    own, phone = await connect(), await connect()
    await sign_in(own, anna.login, PASSWORD)
    await sign_in(phone, anna.login, secret.secret)
    own.send("i IDLE\r\n")
    await own.until(rb"\+ idling")
    await live_sessions.look()
    assert not own.closed and not phone.closed
    return own, phone


async def test_a_new_password_ends_the_sessions_of_the_old_one(sessions, anna):
    own, phone = sessions
    await store.call(set_password, anna.pk, make_password("x" * 12), actor="test")
    await live_sessions.look()
    await own.until(BYE)
    assert own.closed and not phone.closed
    await phone.ok("NOOP")


async def test_revoking_an_app_password_ends_its_sessions(sessions, anna):
    own, phone = sessions
    await store.call(revoke_credential, anna.pk, Credential.Kind.APP_PASSWORD, "phone", actor="test")
    await live_sessions.look()
    await phone.until(BYE)
    assert phone.closed and not own.closed


async def test_switching_a_user_off_ends_them_all(sessions, anna, ben):
    own, phone = sessions
    await store.call(set_user_active, anna.pk, False, actor="test")
    await live_sessions.look()
    await own.until(BYE)
    await phone.until(BYE)


async def test_sessions_are_forgotten(connect, anna):
    client = await connect()
    await sign_in(client, anna.login, PASSWORD)
    assert client.dialogue in live_sessions._sessions
    await client.ok("UNAUTHENTICATE")
    assert client.dialogue not in live_sessions._sessions
    await sign_in(client, anna.login, PASSWORD)
    await client.command("LOGOUT")
    assert client.dialogue not in live_sessions._sessions


# ---------------------------------------------------------------- over sockets


async def line_of(reader) -> bytes:
    return (await reader.readline()).rstrip(b"\r\n")


@pytest.mark.parametrize(
    ("service", "begin", "done"),
    [
        (Service("imaps", SERVICES[0].factory, True), b"a AUTHENTICATE %b\r\n", b"a OK"),
        (Service("pop3s", POP3[0].factory, True), b"AUTH %b\r\n", b"+OK"),
        (Service("submissions", SubmissionConnection, True), b"EHLO c.test\r\nAUTH %b\r\n", b"235"),
    ],
    ids=["imap", "pop3", "smtp"],
)
async def test_scram_plus_over_tls(mail, hub_attached, anna, service, begin, done):
    """With the certificate the client has really seen."""
    import asyncio
    import hashlib

    # The keys are made by the first login with the password.
    from accounts.auth.door import authenticate

    await authenticate(anna.login, PASSWORD, address="127.0.0.1", service="imap")
    async with listening(service) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
        seen = hashlib.sha256(writer.get_extra_info("ssl_object").getpeercert(True)).digest()
        client = ScramClient(anna.login, PASSWORD, b"p=tls-server-end-point,,", seen)
        await line_of(reader)
        writer.write(begin % b"SCRAM-SHA-256-PLUS")

        async def challenge() -> bytes:
            while True:
                line = await asyncio.wait_for(line_of(reader), 20)
                if line.startswith((b"+ ", b"334 ")):
                    return base64.b64decode(line.partition(b" ")[2])
                assert line.startswith(b"250"), line

        assert await challenge() == b""
        writer.write(base64.b64encode(client.first()) + b"\r\n")
        writer.write(base64.b64encode(client.final(await challenge())) + b"\r\n")
        client.verify(await challenge())
        writer.write(b"\r\n")
        assert (await line_of(reader)).startswith(done)
        await store.call(set_password, anna.pk, make_password("x" * 12), actor="test")
        await live_sessions.look()
        assert b"sign in again" in await asyncio.wait_for(line_of(reader), 20)
        writer.close()


async def test_smtp_auth_goes_wrong(mail, hub_attached, anna):
    async with listening(Service("submission", SubmissionConnection)) as port:
        await play(
            port,
            """
            S: 220 *
            C: EHLO client.test
            S: ...
            S: 250 AUTH SCRAM-SHA-256 PLAIN LOGIN
            C: AUTH SCRAM-SHA-256-PLUS
            S: 504 5.5.4 *
            C: AUTH SCRAM-SHA-256 bixh
            S: 501 5.5.2 *
            C: AUTH PLAIN
            S: 334*
            C: *
            S: 501 5.7.0 *
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: !
            S: 501 5.5.2 That is not base64
            C: QUIT
            S: 221 *
            """,
        )
