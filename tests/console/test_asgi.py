"""The pages that make links, as the server runs them: an ASGI request is another class than the test client's."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.utils import timezone

from accounts.models import User
from mailservers.models import DeliveryEvent
from tests.console.conftest import BACKEND, WEB

pytestmark = WEB


@pytest.mark.parametrize("page", ["link", "invite"])
async def test_links_for_a_user(page: str, boss: User, make_user: Callable[..., User]) -> None:
    nina = await sync_to_async(make_user)("nina@harbour.test")
    client = AsyncClient()
    await client.aforce_login(boss, BACKEND)
    answer = await client.post(f"/console/users/{nina.pk}/{page}/")
    assert answer.status_code == 200
    assert re.search(r"http://testserver/sign-in/(?:link|password)/[\w-]+/", answer.content.decode())


async def test_a_link_to_a_messages_way(boss: User) -> None:
    fields = {"step": "filed", "recipient": "boss@harbour.test", "at": timezone.now()}
    event = await DeliveryEvent.objects.acreate(trace_id="t1", **fields)
    client = AsyncClient()
    await client.aforce_login(boss, BACKEND)
    answer = await client.post(f"/console/trace/{event.trace_id}/share/", {"party": "boss@harbour.test"})
    assert answer.status_code == 200 and "http://testserver/trace/" in answer.content.decode()
