"""RFC 6856 (UTF8, LANG), LOGIN-DELAY (RFC 2449), and the lock that other processes see."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from email import message_from_bytes, policy

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.formats.surrogate import PLACEHOLDER, ascii_surrogate
from mailservers.pop3.lock import AdvisoryLocks, MaildropLocks, maildrop_locks
from tests.conftest import PASSWORD

from .conftest import Client, put

Connect = Callable[..., Awaitable[Client]]

LETTER = "From: Jürgen Grün <jürgen@grün.test>\r\nSubject: Grüße aus Köln\r\n\r\nSchöne Grüße\r\n".encode()


async def test_utf8_dialog(connect: Connect, inbox: User) -> None:
    client = await connect()
    await client.dialog(
        """
        C: UTF8 now
        S: -ERR ...
        C: UTF8
        S: +OK UTF8 enabled
        C: STLS
        S: -ERR ...
        """
    )
    await client.ok(f"USER {inbox.login}")
    await client.ok(f"PASS {PASSWORD}")
    await client.err("UTF8")


@pytest.mark.parametrize("utf8", [True, False])
async def test_headers_beyond_ascii(connect: Connect, anna: User, utf8: bool) -> None:
    await put(anna, LETTER)
    client = await connect()
    if utf8:
        await client.ok("UTF8")
    await client.ok(f"USER {anna.login}")
    await client.ok(f"PASS {PASSWORD}")
    for command in ("RETR 1", "TOP 1 5", "TOP 1 0"):
        got = b"\r\n".join(await client.lines(command)) + b"\r\n"
        header = got.partition(b"\r\n\r\n")[0]
        if utf8:
            assert LETTER.startswith(got)
        else:
            assert header.isascii()
            message = message_from_bytes(got, policy=policy.default)
            assert message["Subject"] == "Grüße aus Köln"
            assert "Jürgen Grün" in message["From"] and PLACEHOLDER.encode() in header


@given(st.text(max_size=80), st.sampled_from(["Subject", "From", "To", "X"]))
def test_a_surrogate_is_ascii_with_the_same_fields(value: str, name: str) -> None:
    value = value.replace("\r", " ").replace("\n", " ")
    raw = f"{name}: {value}\r\nDate: x\r\n\r\nbödy\r\n".encode("utf-8", "replace")
    out = ascii_surrogate(raw)
    header, _, body = out.partition(b"\r\n\r\n")
    assert header.isascii() and body == "bödy\r\n".encode()
    assert [line.split(b":")[0] for line in header.split(b"\r\n")] == [name.encode(), b"Date"]


@given(st.binary(max_size=200))
def test_any_octets_pass(raw: bytes) -> None:
    ascii_surrogate(raw)


async def test_lang(client: Client) -> None:
    await client.dialog(
        """
        C: LANG
        S: +OK Language listing follows:
        S: en English
        S: .
        C: LANG en
        S: +OK en ...
        C: LANG *
        S: +OK en ...
        C: LANG MUL
        S: -ERR ...
        C: LANG en de
        S: -ERR ...
        """
    )


async def test_login_delay(connect: Connect, inbox: User) -> None:
    with override_settings(POP3_LOGIN_DELAY_S=1000):
        client = await connect(inbox)
        assert b"LOGIN-DELAY 1000" in await client.lines("CAPA")
        await client.ok("QUIT")
        again = await connect()
        await again.ok(f"USER {inbox.login}")
        assert await again.err(f"PASS {PASSWORD}") == b"-ERR [LOGIN-DELAY] Wait 1000 seconds between sessions\r\n"


OTHER = """
import asyncio, sys
import django
django.setup()
from mailservers.pop3.lock import {kind}
async def main():
    locks = {kind}()
    print(await locks.acquire(int(sys.argv[1])))
asyncio.run(main())
"""


def other_process_gets_it(user_id: int) -> bool:
    """Does a process of its own, which ends at once, get the lock?"""
    import os

    script = OTHER.format(kind="FileLocks")
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "POSTROOM_DATA_DIR": str(settings.DATA_DIR)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(user_id)], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip() == "True"


async def test_other_processes_are_kept_out(connect: Connect, inbox: User) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the file is the lock on SQLite")
    client = await connect(inbox)
    assert not await asyncio.to_thread(other_process_gets_it, inbox.pk)
    assert await asyncio.to_thread(other_process_gets_it, inbox.pk + 1)
    client.vanish()
    await client.rest()
    assert await asyncio.to_thread(other_process_gets_it, inbox.pk)
    assert await maildrop_locks.acquire(inbox.pk)  # the other process has died: nothing is left of its lock
    maildrop_locks.release(inbox.pk)


async def test_two_hosts_on_postgresql(mail: None) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("advisory locks are PostgreSQL's")
    one, two = MaildropLocks(AdvisoryLocks()), MaildropLocks(AdvisoryLocks())
    assert await one.acquire(7) and not await two.acquire(7)
    one.release(7)
    async with asyncio.timeout(20):
        while not await two.acquire(7):  # noqa: ASYNC110  # released by a thread
            await asyncio.sleep(0.01)
    two.release(7)
