"""The overview's numbers and charts, health, and what Prometheus is told."""

from __future__ import annotations

import re
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.console.charts import HEIGHT, WIDTH, Series, bars, nice_top
from accounts.models import User
from accounts.services import health
from mailservers.models import HourCount
from mailservers.store import room
from mailservers.store.engine import store
from mailservers.store.errors import StoreUnavailable
from mailservers.store.events import Step
from mailservers.store.transaction import Event
from tests.console.conftest import BACKEND, WEB
from tests.store.test_tracing import arrival, feed, filed, tell

pytestmark = WEB


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "REMEMBERED_S", -1.0)


@pytest.fixture
def some(anna: User) -> None:
    refused = Event("t3", Step.REFUSED, "permanent", "eve@far.test", anna.login, "192.0.2.9", "550 5.7.1 no")
    store.call_sync(tell, arrival(), filed(folder="Junk"), refused)
    feed()


def overview(client: Client, period: str = "day") -> str:
    return client.get(reverse("console:overview"), {"period": period}).content.decode()


@pytest.mark.parametrize("period", ["day", "week", "month", "x"])
def test_charts_say_it_in_words_too(boss: User, browser: Client, some: None, period: str) -> None:
    page = overview(browser, period)
    assert "from elsewhere: 1, most at" in page and "messages: 1, most at" in page and "at most 100 %" in page
    assert "Against our rules" in page and "By person" in page and "harbour.test" in page
    svgs = re.findall(r"<svg viewBox.*?</svg>", page, re.S)
    assert len(svgs) == 3 and all(ElementTree.fromstring(svg).find("desc") is not None for svg in svgs)
    assert "style=" not in page


def test_only_ones_own_domains_are_counted(make_user, some: None) -> None:
    support = make_user("help@quay.test", role="support")
    support.scope.set([support.domain])
    client = Client()
    client.force_login(support, BACKEND)
    page = overview(client)
    assert "harbour.test" not in page and "5.7.1" not in page and page.count("Nothing in this time") == 4
    assert "Search index" not in page, "health is the server's"


def test_old_hours_are_not_shown(boss: User, browser: Client, some: None) -> None:
    HourCount.objects.update(hour=timezone.now() - timedelta(days=60))
    assert overview(browser, "month").count("Nothing in this time") == 4


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40), st.integers(1, 3))
def test_bars_stay_inside(values: list[float], count: int) -> None:
    chart = bars("x", ["l"] * len(values), *(Series("s", values) for _ in range(count)))
    for bar in chart.bars:
        assert float(bar.x) >= 0 and float(bar.x) + float(bar.width) <= WIDTH + 0.2
        assert float(bar.y) >= 0 and float(bar.y) + float(bar.height) <= HEIGHT
    assert len(chart.table) == len(values) and nice_top(max(values)) >= max(values) * (1 - 1e-9)


class TestHealth:
    def test_well_enough(self, boss: User) -> None:
        answer = Client().get("/health", HTTP_HOST="10.0.0.1")
        assert answer.status_code == 200 and answer.json()["checks"]["database"] == "ok"
        assert answer.json()["status"] == "warn", "there is no backup yet"

    def test_no_room(self, boss: User, settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.DISK_RESERVE = 2**62
        monkeypatch.setattr(room, "_looked_at", float("-inf"))
        answer = Client().get("/health")
        assert answer.status_code == 503 and answer.json()["checks"]["disk"] == "down"

    def test_no_database(self, boss: User, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise StoreUnavailable("gone")

        monkeypatch.setattr(store, "call_sync", fail)
        answer = Client().get("/health")
        assert answer.status_code == 503 and answer.json()["status"] == "down"
        assert "gone" not in answer.content.decode()

    def test_backups_and_proofs_are_remembered(self, boss: User) -> None:
        store.call_sync(health.note_backup, 0)
        store.call_sync(health.note_check, 3)
        levels = {check.name: (check.level.value, check.words) for check in health.look()}
        assert levels["backup"][0] == "ok" and levels["check"] == ("warn", "Proved 0 seconds ago, 3 faults")


class TestMetrics:
    def test_none_without_a_token(self, boss: User) -> None:
        assert Client().get("/metrics").status_code == 404

    @pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", "secret", "Bearer sécret"])
    def test_refused_without_it(self, boss: User, settings, given: str) -> None:
        settings.METRICS_TOKEN = "secret"
        assert Client().get("/metrics", HTTP_AUTHORIZATION=given).status_code == 401

    def test_text_format(self, some: None, settings) -> None:
        settings.METRICS_TOKEN = "secret"
        text = Client().get("/metrics", HTTP_AUTHORIZATION="Bearer secret").content.decode()
        line = re.compile(r'# (HELP|TYPE) \w+ .+|[a-z_]+(\{\w+="[\w-]+"(,\w+="[\w-]+")*\})? [0-9.e+-]+')
        assert all(line.fullmatch(row) for row in text.splitlines()), text
        assert (
            'postroom_steps_total{step="received"} 1\n' in text
            and 'postroom_octets_total{step="received"} 1000' in text
        )
