"""Who sees what: every address of the console, as every role, for one's own domain and for another's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.console import urls
from accounts.console.events import Filter, log_page, trace_rows
from accounts.console.live import viewer
from accounts.models import Address, AddressTarget, Domain, Role, User
from accounts.roles import PERMISSIONS, Permission, Scope
from accounts.services import create_user, update_user
from accounts.services.errors import InvalidValue, NotFound
from mailservers.models import DeliveryEvent, QueuedRecipient, ReceivedReport, SenderRule, SendingRoute
from mailservers.store.engine import store
from mailservers.store.placing import deliver
from tests.console.conftest import BACKEND, WEB
from tests.outbound.conftest import queue_delivery

pytestmark = WEB
OURS, THEIRS = "harbour.test", "quay.test"


class World:
    """Two domains with one of everything each; staff of the first, and an owner."""

    def __init__(self, make_user: Callable[..., User]) -> None:
        self.owner = make_user(f"owner@{OURS}", role=Role.ADMIN)
        self.people = {name: make_user(f"anna@{name}") for name in (OURS, THEIRS)}
        self.domains = {name: Domain.objects.get(name=name) for name in (OURS, THEIRS)}
        self.staff = {}
        for role in (Role.DOMAIN_ADMIN, Role.SUPPORT):
            person = make_user(f"{role}@{OURS}", role=role)
            person.scope.set([self.domains[OURS]])
            self.staff[role] = person
        self.route = SendingRoute.objects.create(recipient="x.test", transport=SendingRoute.Transport.MX)
        self.addresses, self.rules, self.reports, self.queued = {}, {}, {}, {}
        for name, domain in self.domains.items():
            alias = Address.objects.create(domain=domain, address=f"info@{name}")
            AddressTarget.objects.create(address=alias, user=self.people[name])
            self.addresses[name] = alias
            self.rules[name] = SenderRule.objects.create(
                domain=domain, pattern=f"spam.{name}", is_block=True, created_at=timezone.now()
            )
            self.reports[name] = ReceivedReport.objects.create(
                trace_id="t", received_at=timezone.now(), kind="dmarc", domain=name, report_id=name,
                begins_at=timezone.now(), ends_at=timezone.now(),
            )  # fmt: skip
            delivery = queue_delivery(
                ("bob@remote.test",), reverse_path=f"anna@{name}", sender=self.people[name], raw=_message(name)
            )
            store.call_sync(deliver, delivery)
            self.queued[name] = QueuedRecipient.objects.get(queued__trace_id=delivery.queue.trace_id)

    def client(self, user: User) -> Client:
        client = Client()
        client.force_login(user, BACKEND)
        return client

    def arguments(self, view: str, domain: str) -> list[object]:
        """Of an address that is about one thing: that of `domain`."""
        kinds = {
            "domain": self.domains, "user": self.people, "address": self.addresses, "report": self.reports,
            "route": {OURS: self.route, THEIRS: self.route},
        }  # fmt: skip
        if view in ("trace", "trace-text", "trace-share"):
            return [self.queued[domain].queued.trace_id]
        return [kinds[view.partition("-")[0]][domain].pk]


def _message(name: str) -> bytes:
    return f"From: anna@{name}\r\nTo: bob@remote.test\r\nSubject: Secret of {name}\r\n\r\nHello.\r\n".encode()


@pytest.fixture
def world(make_user: Callable[..., User]) -> World:
    return World(make_user)


VIEWS = {entry.name: entry for entry in urls.urlpatterns}
ABOUT_ONE = [name for name, entry in VIEWS.items() if "<" in str(entry.pattern)]


@pytest.mark.parametrize("name", VIEWS)
def test_every_address_says_what_it_needs(name: str) -> None:
    assert isinstance(VIEWS[name].callback.permission, Permission)


@pytest.mark.parametrize("role", PERMISSIONS)
def test_every_address_is_there_for_those_who_may_and_for_no_one_else(world: World, role: Role) -> None:
    user = {Role.ADMIN: world.owner, Role.USER: world.people[OURS], **world.staff}[role]
    client = world.client(user)
    for name, entry in VIEWS.items():
        address = reverse(f"console:{name}", args=world.arguments(name, OURS) if name in ABOUT_ONE else [])
        answer = client.get(address)
        may = entry.callback.permission in PERMISSIONS[role]
        assert (answer.status_code != 404) == may, f"{role} at {address}: {answer.status_code}"
        if not may:
            assert client.post(address).status_code == 404, address


@pytest.mark.parametrize("role", [Role.DOMAIN_ADMIN, Role.SUPPORT])
def test_what_is_of_another_domain_is_not_there(world: World, role: Role) -> None:
    client = world.client(world.staff[role])
    for name in VIEWS:
        if name in ABOUT_ONE:
            address = reverse(f"console:{name}", args=world.arguments(name, THEIRS))
            assert client.get(address).status_code in (404, 405), address
            assert client.post(address).status_code == 404, address
            continue
        answer = client.get(reverse(f"console:{name}"))
        assert THEIRS not in answer.content.decode(), name


@pytest.mark.parametrize("role", [Role.DOMAIN_ADMIN, Role.SUPPORT])
def test_pages_show_ones_own(world: World, role: Role) -> None:
    client = world.client(world.staff[role])
    for name in ("domains", "users", "addresses", "queue", "log", "reports"):
        assert OURS in client.get(reverse(f"console:{name}")).content.decode(), name


def test_support_changes_nothing(world: World) -> None:
    client = world.client(world.staff[Role.SUPPORT])
    page = reverse("console:user", args=[world.people[OURS].pk])
    assert client.get(page).status_code == 200 and b'name="role"' not in client.get(page).content
    assert client.post(page, {"name": "Other", "role": "user"}).status_code == 404
    assert client.post(reverse("console:domain", args=[world.domains[OURS].pk]), {"quota": "1M"}).status_code == 404
    queue = client.get(reverse("console:queue")).content
    assert b'name="act"' not in queue and b'name="one"' not in queue


def test_a_domain_administrator_makes_nobody_higher(world: World) -> None:
    client = world.client(world.staff[Role.DOMAIN_ADMIN])
    page = reverse("console:user", args=[world.people[OURS].pk])
    assert client.post(page, {"name": "Anna", "role": "admin"}).status_code == 422
    assert client.post(page, {"name": "Anna Maria", "role": "user"}).status_code == 302
    anna = User.objects.get(pk=world.people[OURS].pk)
    assert (anna.name, anna.role) == ("Anna Maria", "user")
    new = {"login": f"eve@{OURS}", "role": "admin", "password": "correct horse 9"}
    assert client.post(reverse("console:user-new"), new).status_code == 422
    for higher in (world.owner, *world.staff.values()):
        for act in ("password", "link", "active", "delete"):
            assert client.post(reverse(f"console:user-{act}", args=[higher.pk])).status_code == 404
        assert client.post(reverse("console:user", args=[higher.pk]), {"role": "user"}).status_code == 404


def test_a_domain_administrator_adds_only_to_their_domains(world: World) -> None:
    client = world.client(world.staff[Role.DOMAIN_ADMIN])
    for name, status in ((OURS, 200), (THEIRS, 422), ("nowhere.test", 422)):
        new = {"login": f"eve@{name}", "role": "user", "password": "correct horse 9"}
        assert client.post(reverse("console:user-new"), new).status_code == status, name
    for name, status in ((OURS, 302), (THEIRS, 422)):
        new = {"address": f"sales@{name}", "targets": f"anna@{name}"}
        assert client.post(reverse("console:address-new"), new).status_code == status, name
    for domain, made in ((world.domains[THEIRS].pk, False), (0, False), (world.domains[OURS].pk, True)):
        client.post(reverse("console:senders"), {"pattern": "junk.test", "kind": "block", "domain": domain})
        assert SenderRule.objects.filter(pattern="junk.test").exists() == made
    theirs = {"pattern": f"spam.{THEIRS}", "domain": world.domains[THEIRS].pk}
    assert client.post(reverse("console:sender-forget"), theirs).status_code == 404


def test_acts_on_the_queue_leave_others_alone(world: World) -> None:
    client = world.client(world.staff[Role.DOMAIN_ADMIN])
    ids = [row.pk for row in world.queued.values()]
    client.post(reverse("console:queue-act"), {"act": "hold", "id": ids})
    states = {name: QueuedRecipient.objects.get(pk=row.pk).state for name, row in world.queued.items()}
    assert states == {OURS: "held", THEIRS: "queued"}
    routed = {"act": "reroute", "id": ids, "target": "evil.test:25"}
    assert client.post(reverse("console:queue-act"), routed).status_code == 404


def test_a_message_between_two_domains_tells_each_its_own_part(world: World) -> None:
    now = timezone.now()
    for step, recipient in (
        ("received", f"anna@{OURS}, anna@{THEIRS}"),
        ("filed", f"anna@{OURS}"),
        ("filed", f"anna@{THEIRS}"),
    ):
        DeliveryEvent.objects.create(
            at=now, trace_id="both", step=step, sender="carol@else.test", recipient=recipient, outcome="ok"
        )
    scope = Scope(world.staff[Role.SUPPORT])
    assert [row.recipient for row in trace_rows(scope, "both")] == [f"anna@{OURS}"] * 2
    assert all(THEIRS not in row.recipient for row in log_page(scope, Filter()).rows)
    assert len(trace_rows(Scope(world.owner), "both")) == 3


def test_a_role_that_is_lost_closes_the_live_log(world: World) -> None:
    support = world.staff[Role.SUPPORT]
    client = world.client(support)
    key = client.session.session_key
    digest, scope = viewer(support.pk, key)
    assert digest and scope is not None and not scope.sees("x@else.test", f"anna@{THEIRS}")
    support.scope.set([world.domains[THEIRS]])
    assert viewer(support.pk, key)[1] != scope, "another scope is another view"
    User.objects.filter(pk=support.pk).update(role=Role.USER)
    assert viewer(support.pk, key) == ("", None)


def test_a_role_needs_domains(world: World) -> None:
    with pytest.raises(InvalidValue):
        store.call_sync(create_user, f"s@{OURS}", actor="x", role="support")
    with pytest.raises(NotFound):
        store.call_sync(create_user, f"s@{OURS}", actor="x", role="support", scope=[9999])
    support = world.staff[Role.SUPPORT]
    change = {"name": "", "quota_octets": 0, "actor": "x"}
    store.call_sync(update_user, support.pk, role="user", **change)
    assert not support.scope.exists(), "a plain user looks after nothing"


def test_a_domain_that_is_off_gives_no_rights(world: World) -> None:
    Domain.objects.filter(name=OURS).update(is_active=False)
    support = User.objects.get(pk=world.staff[Role.SUPPORT].pk)
    assert not Scope(support).permissions
