"""The live log's WebSocket: who may watch, what each viewer is told, and what happens to slow ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from accounts.console import live
from accounts.console.live import BACKLOG, LogConsumer
from accounts.models import User
from accounts.services import set_user_active, update_user
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.transaction import Event, Transaction
from tests.console.communicator import WebsocketCommunicator
from tests.console.conftest import BACKEND, WEB

pytestmark = WEB


@pytest.fixture
async def hub_ends() -> AsyncIterator[None]:
    yield
    await hub.detach()


@pytest.fixture
def scope(browser: Client, boss: User) -> dict[str, Any]:
    return {"user": boss, "session": SessionStore(browser.cookies["sessionid"].value)}


@asynccontextmanager
async def viewer(scope: dict[str, Any]) -> AsyncIterator[WebsocketCommunicator]:
    socket = WebsocketCommunicator(LogConsumer.as_asgi(), "/live/console/", scope)
    is_open, code = await socket.connect(timeout_s=10)
    assert is_open, code
    try:
        yield socket
    finally:
        await socket.disconnect(timeout_s=10)


async def tell(*events: Event) -> None:
    def op(tx: Transaction) -> None:
        tx.events.extend(events)

    await store.call(op)


def filed(trace: str, recipient: str = "anna@harbour.test", outcome: str = "ok") -> Event:
    return Event(trace, Step.FILED, outcome, "x@far.test", recipient)


async def received(socket: WebsocketCommunicator, count: int) -> list[str]:
    traces: list[str] = []
    while len(traces) < count:
        frame = await socket.receive_json(timeout_s=10)
        assert frame["type"] == "events"
        traces += [event["trace_id"] for event in frame["events"]]
    return traces


async def test_every_step_is_told_after_commit(scope: dict[str, Any], hub_ends: None) -> None:
    async with viewer(scope) as socket:
        await socket.send_json({"type": "watch", "last": 0})
        await tell(filed("one"), filed("two"))
        assert await received(socket, 2) == ["one", "two"]
        await tell(filed("three"))
        frame = await socket.receive_json(timeout_s=10)
        event = frame["events"][0]
        assert event["sentence"] == "Delivered to anna@harbour.test." and event["label"] == "Delivered"
        assert frame["dropped"] == 0


async def test_what_was_missed_comes_first(scope: dict[str, Any], hub_ends: None) -> None:
    await tell(filed("before"))
    async with viewer(scope) as socket:
        await socket.send_json({"type": "watch", "last": 0})
        assert await received(socket, 1) == ["before"]


async def test_each_viewer_has_its_own_filter(scope: dict[str, Any], hub_ends: None) -> None:
    async with viewer(scope) as annas, viewer(scope) as failures, viewer(scope) as traced:
        await annas.send_json({"type": "watch", "address": " ANNA@", "last": 0})
        await failures.send_json({"type": "watch", "outcome": "permanent", "last": 0})
        await traced.send_json({"type": "watch", "address": "t4", "last": 0})
        await tell(
            filed("t1"), filed("t2", "ben@harbour.test", "permanent"), filed("t3"), filed("t4", "ben@harbour.test")
        )
        assert await received(annas, 2) == ["t1", "t3"]
        assert await received(failures, 1) == ["t2"]
        assert await received(traced, 1) == ["t4"]


async def test_nothing_is_sent_before_watch(scope: dict[str, Any], hub_ends: None) -> None:
    async with viewer(scope) as socket:
        await tell(filed("one"))
        assert await socket.receive_nothing(timeout=0.2)


async def test_a_slow_viewer_loses_the_oldest_and_is_told(
    scope: dict[str, Any], hub_ends: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    send = LogConsumer.send

    async def slow_send(self: LogConsumer, *args: Any, **kwargs: Any) -> None:
        await gate.wait()
        await send(self, *args, **kwargs)

    monkeypatch.setattr(LogConsumer, "send", slow_send)
    monkeypatch.setattr(live, "PAUSE_S", 0)
    async with viewer(scope) as socket:
        await socket.send_json({"type": "watch", "last": 0})
        await tell(filed("first"))
        await asyncio.sleep(0.3)
        await tell(*(filed(f"n{n}") for n in range(BACKLOG + 50)))
        gate.set()
        traces, dropped = [], 0
        while "n549" not in traces:
            frame = await socket.receive_json(timeout_s=20)
            traces += [event["trace_id"] for event in frame["events"]]
            dropped += frame["dropped"]
        assert len(traces) + dropped == BACKLOG + 51 and dropped >= 50


@pytest.mark.parametrize("words", ["not json", "[]", '{"type":"drop tables"}', "x" * 5000, "null", "[" * 4000])
async def test_nonsense_closes(scope: dict[str, Any], hub_ends: None, words: str) -> None:
    async with viewer(scope) as socket:
        await socket.send_text(words)
        assert (await socket.receive_output(timeout=10))["code"] == 4400


async def test_odd_filters_are_no_filters(scope: dict[str, Any], hub_ends: None) -> None:
    async with viewer(scope) as socket:
        await socket.send_json({"type": "watch", "address": 7, "outcome": ["x"], "last": 0})
        await tell(filed("one"))
        assert await received(socket, 1) == ["one"]


async def test_users_and_strangers_are_refused(anna: User, scope: dict[str, Any], hub_ends: None) -> None:
    client = Client()
    await asyncio.to_thread(client.force_login, anna, BACKEND)
    session = SessionStore(client.cookies["sessionid"].value)
    for refused in (
        {},
        {"user": anna, "session": session},
        {"user": scope["user"], "session": SessionStore("no-such-session")},
    ):
        socket = WebsocketCommunicator(LogConsumer.as_asgi(), "/live/console/", refused)
        is_open, _ = await socket.connect(timeout_s=10)
        assert not is_open


Revoke = Callable[[User, dict[str, Any]], Awaitable[None]]


async def _demote(boss: User, scope: dict[str, Any]) -> None:
    await store.call(update_user, boss.pk, name="", role="user", quota_octets=0, actor="tests")


async def _disable(boss: User, scope: dict[str, Any]) -> None:
    await store.call(set_user_active, boss.pk, False, actor="tests")


async def _sign_out(boss: User, scope: dict[str, Any]) -> None:
    await asyncio.to_thread(scope["session"].delete)


@pytest.mark.parametrize("revoke", [_demote, _disable, _sign_out])
async def test_the_socket_closes_when_the_right_is_gone(
    scope: dict[str, Any],
    boss: User,
    make_user: Callable[..., User],
    hub_ends: None,
    monkeypatch: pytest.MonkeyPatch,
    revoke: Revoke,
) -> None:
    monkeypatch.setattr(LogConsumer, "recheck_s", 0.05)
    await asyncio.to_thread(make_user, "other@harbour.test", role="admin")
    async with viewer(scope) as socket:
        await revoke(boss, scope)
        output = await socket.receive_output(timeout=10)
        assert (output["type"], output["code"]) == ("websocket.close", 4403)


async def test_origin_is_checked(hub_ends: None, mail: None) -> None:
    from config.asgi import application

    for origin, expected in ((b"https://evil.test", False), (b"http://localhost", False)):
        socket = WebsocketCommunicator(application, "/live/console/", headers=((b"origin", origin),))
        is_open, _ = await socket.connect(timeout_s=10)
        assert is_open is expected  # the second has the right origin, but nobody is signed in
