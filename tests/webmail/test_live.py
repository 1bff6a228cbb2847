"""The WebSocket: who gets hints, and how they are put together. And the limit on request bodies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from accounts.models import User
from config.body_limit import limit_bodies
from mailservers.store.changes import hub
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Append, append
from tests.conftest import mailbox_id
from tests.console.communicator import WebsocketCommunicator
from tests.console.conftest import BACKEND
from tests.webmail.conftest import WEB, letter
from webmail.live import UNAUTHENTICATED, MailConsumer

pytestmark = WEB


def _socket(user: Any, session: Any = None) -> WebsocketCommunicator:
    return WebsocketCommunicator(MailConsumer.as_asgi(), "/live/mail/", {"user": user, "session": session})


@pytest.mark.parametrize("end", ["session", "password", "user"])
async def test_a_tab_ends_with_what_it_signed_in_with(anna: User, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(MailConsumer, "recheck_s", 0.05)
    client = Client()
    await asyncio.to_thread(client.force_login, anna, BACKEND)
    session = await asyncio.to_thread(lambda: client.session)
    socket = _socket(anna, session)
    assert (await socket.connect(5))[0] and await socket.receive_nothing(timeout=0.3)
    if end == "session":
        await asyncio.to_thread(session.delete)
    else:
        changes = {"password": "other"} if end == "password" else {"is_active": False}
        await User.objects.filter(pk=anna.pk).aupdate(**changes)
    assert await socket.receive_output(5) == {"type": "websocket.close", "code": UNAUTHENTICATED}
    await socket.disconnect(5)
    await hub.detach()


async def test_hints_reach_their_owner_only(anna: User, ben: User) -> None:
    box = await asyncio.to_thread(mailbox_id, anna)
    mine, other = _socket(anna), _socket(ben)
    assert (await mine.connect(5))[0]
    assert (await other.connect(5))[0]
    for n in range(5):
        await store.call(append, Append(anna.pk, box, [(prepare(letter(f"n{n}")), 0, (), None)]))
    hint = await mine.receive_json(5)
    assert hint["mailbox"] == box
    assert await other.receive_nothing(timeout=0.3)
    await mine.disconnect(5)
    await other.disconnect(5)
    assert not hub._owners.get(anna.pk)
    await hub.detach()


async def test_nobody_is_told_nothing() -> None:
    socket = _socket(AnonymousUser())
    assert (await socket.connect(5))[0]
    assert await socket.receive_output(5) == {"type": "websocket.close", "code": UNAUTHENTICATED}


async def _ask(app: Any, chunks: list[bytes], headers: list[tuple[bytes, bytes]]) -> int:
    sent: list[dict[str, Any]] = []
    messages = [
        {"type": "http.request", "body": chunk, "more_body": n < len(chunks) - 1} for n, chunk in enumerate(chunks)
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await limit_bodies(app, 10)({"type": "http", "headers": headers}, receive, send)
    return sent[0]["status"]


async def test_bodies_are_limited_declared_or_not() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    assert await _ask(app, [b"12345", b"12345"], []) == 200
    assert await _ask(app, [b"12345", b"123456"], []) == 413
    assert await _ask(app, [b""], [(b"content-length", b"11")]) == 413
    assert await _ask(app, [b""], [(b"content-length", b"x")]) == 200
