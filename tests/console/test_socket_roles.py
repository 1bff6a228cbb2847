"""Every WebSocket, as everybody: who may not is turned away, and whose rights end is cut off."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore

from accounts.console.live import LogConsumer
from accounts.console.routing import websocket_urlpatterns as console_sockets
from accounts.models import Role, User
from accounts.roles import PERMISSIONS, Permission
from mailservers.models import QueuedMessage
from mailservers.store.changes import hub
from tests.console.communicator import WebsocketCommunicator
from tests.console.conftest import WEB
from tests.console.test_roles import OURS, THEIRS, World
from webmail.routing import websocket_urlpatterns as webmail_sockets

pytestmark = WEB
SOCKETS = {str(entry.pattern): entry.callback for entry in (*console_sockets, *webmail_sockets)}
NEEDS: dict[str, Permission | None] = {"live/console/": Permission.TRACE, "live/mail/": None}  # None: one's own mail


@pytest.fixture
async def hub_ends() -> AsyncIterator[None]:
    yield
    await hub.detach()


@pytest.fixture
def world(make_user: Callable[..., User]) -> World:
    return World(make_user)


def scope_of(world: World, user: User) -> dict[str, Any]:
    return {"user": user, "session": SessionStore(world.client(user).cookies["sessionid"].value)}


async def is_open(path: str, scope: dict[str, Any]) -> bool:
    socket = WebsocketCommunicator(SOCKETS[path], f"/{path}", scope)
    opened, _ = await socket.connect(timeout_s=10)
    if opened:
        await socket.disconnect(timeout_s=10)
    return opened


def test_every_socket_has_a_policy() -> None:
    assert set(SOCKETS) == set(NEEDS)


@pytest.mark.parametrize("path", SOCKETS)
async def test_sockets_open_for_those_who_may(world: World, hub_ends: None, path: str) -> None:
    people = {Role.ADMIN: world.owner, Role.USER: world.people[OURS], **world.staff}
    for role, user in people.items():
        scope = await sync_to_async(scope_of)(world, user)
        needed = NEEDS[path]
        assert await is_open(path, scope) == (needed is None or needed in PERMISSIONS[role]), role
        if needed is not None:  # the others ask the session's middleware alone, and look again while they are open
            await sync_to_async(User.objects.filter(pk=user.pk).update)(is_active=False)
            assert not await is_open(path, scope), f"{role}, switched off"


@pytest.mark.parametrize("path", SOCKETS)
async def test_strangers_are_turned_away(hub_ends: None, path: str) -> None:
    scope = {"user": AnonymousUser(), "session": SessionStore()}
    socket = WebsocketCommunicator(SOCKETS[path], f"/{path}", scope)
    opened, code = await socket.connect(timeout_s=10)
    if opened:  # accepted only to say why it ends
        output = await socket.receive_output(10)
        assert output["type"] == "websocket.close"
        code = output["code"]
    assert code in (4401, 4403)
    await socket.wait(10)


async def test_support_is_told_nothing_of_another_domain(world: World, hub_ends: None) -> None:
    ours = QueuedMessage.objects.filter(recipients__pk=world.queued[OURS].pk).values_list("trace_id", flat=True)
    traces = await sync_to_async(set)(ours)
    scope = await sync_to_async(scope_of)(world, world.staff[Role.SUPPORT])
    socket = WebsocketCommunicator(LogConsumer.as_asgi(), "/live/console/", scope)
    assert (await socket.connect(timeout_s=10))[0]
    await socket.send_json({"type": "watch", "address": "", "outcome": "", "last": 0})
    told = await socket.receive_json(timeout_s=10)
    assert {event["trace_id"] for event in told["events"]} == traces and THEIRS not in json.dumps(told)
    await socket.disconnect(timeout_s=10)
