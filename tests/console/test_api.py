"""The API: every route has a policy, and keeps to it; refusals are JSON; pages, rates, tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.api.access import STRANGERS_RATE, ApiTokenBearer
from accounts.api.rate import Buckets, buckets
from accounts.api.urls import api
from accounts.auth.app_secrets import digest, make_api_token
from accounts.models import Address, ApiToken, AuditEntry, Credential, Domain, Role, RoleRule, User
from accounts.roles import PERMISSIONS, Permission
from accounts.services import add_credential, new_token
from accounts.services.api_tokens import add_api_token
from accounts.services.errors import InvalidValue
from mailservers.store.engine import store
from tests.conftest import PASSWORD
from tests.console.conftest import WEB
from tests.console.test_roles import OURS, THEIRS, World

pytestmark = WEB
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def full_buckets() -> None:
    buckets.clear()


@pytest.fixture
def world(make_user: Callable[..., User]) -> World:
    return World(make_user)


class Program:
    """Speaks to the API with a token."""

    def __init__(self, token: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {token}"})

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        answer = self.client.generic(
            method, f"/api/v1{path}", json.dumps(body) if body is not None else "", "application/json"
        )
        return answer.status_code, json.loads(answer.content) if answer.content else None


def token_of(user: User, permissions: Iterable[str] | None = None) -> str:
    token = make_api_token()
    names = sorted(PERMISSIONS[user.role] if permissions is None else permissions)
    ApiToken.objects.create(
        user=user, name=token[-6:], digest=digest(token), permissions=" ".join(names), expires_at=timezone.now() + DAY
    )
    return token


def program(user: User, *permissions: str) -> Program:
    return Program(token_of(user, permissions or None))


ROUTES = [
    (method, path, operation)
    for _, router in api._routers
    for path, view in router.path_operations.items()
    for operation in view.operations
    for method in operation.methods
]


def _path(world: World, path: str, domain: str) -> str:
    """Of the route, for a thing of `domain`."""
    things = {
        "domain_id": world.domains[domain].pk,
        "user_id": world.people[domain].pk,
        "address_id": world.addresses[domain].pk,
        "rule_id": world.rules[domain].pk,
        "report_id": world.reports[domain].pk,
        "trace_id": world.queued[domain].queued.trace_id,
        "route_id": world.route.pk,
    }
    for name, value in things.items():
        path = path.replace(f"{{int:{name}}}", str(value)).replace(f"{{{name}}}", str(value))
    assert "{" not in path, f"the walk does not know what {path} is about"
    return path


@pytest.mark.parametrize(("method", "path", "operation"), ROUTES, ids=[f"{m} {p}" for m, p, _ in ROUTES])
def test_every_route_declares_its_policy(method: str, path: str, operation: Any) -> None:
    (policy,) = operation.auth_callbacks
    assert isinstance(policy, ApiTokenBearer) and isinstance(policy.permission, Permission)


def test_the_walk_knows_every_route() -> None:
    assert len(ROUTES) >= 34


@pytest.mark.parametrize("role", PERMISSIONS)
def test_a_route_is_there_for_those_who_may_and_for_no_one_else(world: World, role: Role) -> None:
    """Reads are carried out; of the others, the body is refused before anything is done."""
    user = {Role.ADMIN: world.owner, Role.USER: world.people[OURS], **world.staff}[role]
    ask = Program(token_of(user, list(Permission)))  # even if the token says more than the owner may
    for method, path, operation in ROUTES:
        may = operation.auth_callbacks[0].permission in PERMISSIONS[role]
        if may and method == "DELETE":
            continue
        status, answer = ask(method, _path(world, path, OURS), None if method == "GET" else {"no such name": 1})
        is_refused = status == 403 and "does not have the permission" in answer["error"]
        assert is_refused != may, f"{role}: {method} {path}: {status} {answer}"
        if may and method == "GET":
            assert status == 200, f"{method} {path}: {answer}"
        if not may:
            assert set(answer) == {"error", "field"}


@pytest.mark.parametrize("role", [Role.DOMAIN_ADMIN, Role.SUPPORT])
def test_what_is_of_another_domain_is_not_there(world: World, role: Role) -> None:
    ask = program(world.staff[role])
    bodies = {"PUT": {"targets": ["x@y.test"]}, "PATCH": {}, "POST": {}, "DELETE": None, "GET": None}
    for method, path, operation in ROUTES:
        if operation.auth_callbacks[0].permission not in PERMISSIONS[role]:
            continue
        if "{" in path:
            status, answer = ask(method, _path(world, path, THEIRS), bodies[method])
            assert status == 404, f"{method} {path}: {status} {answer}"
        elif method == "GET":
            status, answer = ask(method, path)
            assert status == 200 and THEIRS not in json.dumps(answer), path
    assert User.objects.filter(pk=world.people[THEIRS].pk, is_active=True).exists()


def test_a_token_has_no_more_than_it_was_given(world: World) -> None:
    ask = program(world.owner, Permission.USERS)
    assert ask("GET", "/users")[0] == 200
    for method, path, operation in ROUTES:
        if operation.auth_callbacks[0].permission != Permission.USERS:
            assert ask(method, _path(world, path, OURS), {})[0] == 403, path


def test_strangers(world: World) -> None:
    for client in (Client(), world.client(world.owner)):  # a browser's cookie counts for nothing here
        answer = client.get("/api/v1/users")
        assert answer.status_code == 401 and answer["WWW-Authenticate"] == "Bearer" and answer.json()["error"]
    mail = new_token()
    store.call_sync(add_credential, world.owner.pk, mail, name="imap", scopes=["imap"], actor="x")
    assert Credential.objects.exists() and Program(mail.secret)("GET", "/users")[0] == 401
    assert Program("pra_wrong")("GET", "/users")[0] == 401


def test_a_token_ends(world: World) -> None:
    token = token_of(world.owner)
    ask = Program(token)
    assert ask("GET", "/users")[0] == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert ask("GET", "/users")[0] == 401
    ApiToken.objects.update(expires_at=timezone.now() + DAY)
    User.objects.filter(pk=world.owner.pk).update(is_active=False)
    assert ask("GET", "/users")[0] == 401
    User.objects.filter(pk=world.owner.pk).update(is_active=True, role=Role.USER)
    assert ask("GET", "/users")[0] == 403, "what the owner lost, the token has lost"
    User.objects.filter(pk=world.owner.pk).update(role=Role.ADMIN)
    RoleRule.objects.create(role=Role.ADMIN, needs_second_factor=True)
    assert ask("GET", "/users")[0] == 403


def test_a_user_from_beginning_to_end(world: World) -> None:
    ask = program(world.staff[Role.DOMAIN_ADMIN])
    status, made = ask("POST", "/users", {"login": f"Eve@{OURS}", "name": "Eve", "invite": False})
    assert status == 201 and made["user"]["login"] == f"eve@{OURS}" and len(made["password"]) == 24
    path = f"/users/{made['user']['id']}"
    assert ask("POST", "/users", {"login": f"eve@{OURS}"}) == (
        409,
        {"error": f"eve@{OURS} is a user's login already.", "field": "login"},
    )
    assert ask("PATCH", path, {"quota_octets": 5_000_000, "is_active": False})[1]["is_active"] is False
    status, row = ask("GET", path)
    assert (status, row["name"], row["quota_octets"]) == (200, "Eve", 5_000_000)
    assert ask("PATCH", path, {"role": "admin"})[0] == 422
    assert ask("POST", f"{path}/password", {"password": "short"})[1]["field"] == "password"
    for link in ("link", "invitation"):
        assert ask("POST", f"{path}/{link}")[0] == 403, "who is switched off cannot sign in"
    assert ask("DELETE", path) == (204, None)
    assert ask("GET", path)[1]["days_left"] == 15, "days that have begun"
    assert ask("PATCH", path, {"is_active": True})[0] == 403, "restored, not switched on"
    status, row = ask("POST", f"{path}/restore")
    assert (status, row["is_active"], row["days_left"]) == (200, True, None)
    assert ask("POST", f"{path}/restore")[0] == 403
    assert ask("DELETE", f"{path}?now=true") == (204, None)
    assert ask("GET", path)[0] == 404
    assert {"user.create", "user.update", "user.disable", "user.delete", "user.restore"} <= set(
        AuditEntry.objects.filter(subject=f"eve@{OURS}", actor=f"domain-admin@{OURS}").values_list("action", flat=True)
    )
    for login in (f"eve@{THEIRS}", "eve@nowhere.test", "eve"):
        assert ask("POST", "/users", {"login": login})[0] == 422
    for higher in (world.owner, *world.staff.values()):
        assert ask("PATCH", f"/users/{higher.pk}", {"name": "x"})[0] == 404


def test_an_invited_user_has_a_link(world: World) -> None:
    status, made = program(world.staff[Role.DOMAIN_ADMIN])("POST", "/users", {"login": f"eve@{OURS}"})
    assert status == 201 and made["password"] is None
    assert Client().get(made["link"]).status_code == 200


def test_domains_addresses_senders_routes_and_the_queue(world: World) -> None:
    ask = program(world.owner)
    status, domain = ask("POST", "/domains", {"name": "Pier.test"})
    assert status == 201 and domain["name"] == "pier.test"
    path = f"/domains/{domain['id']}"
    assert ask("PATCH", path, {"mta_sts_mode": "enforce", "quota_messages": 9})[1]["quota_messages"] == 9
    assert any(record["type"] == "MX" for record in ask("GET", f"{path}/records")[1])
    assert ask("DELETE", path)[0] == 204 and not Domain.objects.filter(name="pier.test").exists()
    status, alias = ask("POST", "/addresses", {"address": f"all@{OURS}", "targets": [f"anna@{OURS}"]})
    assert status == 201 and alias["targets"] == [f"anna@{OURS}"]
    path = f"/addresses/{alias['id']}"
    assert ask("PUT", path, {"targets": [f"all@{OURS}"]})[1]["field"] == "targets", "it would lead back to itself"
    assert ask("PUT", path, {"targets": ["x@else.test"]})[1]["targets"] == ["x@else.test"]
    assert ask("DELETE", f"/addresses/{alias['id']}")[0] == 204
    assert not Address.objects.filter(pk=alias["id"]).exists()
    status, rule = ask("POST", "/senders", {"pattern": "Junk.test", "is_block": True})
    assert status == 201 and rule["domain"] is None
    assert ask("DELETE", f"/senders/{rule['id']}")[0] == 204
    status, route = ask("POST", "/routes", {"recipient": "p.test", "host": "relay.test", "login": "me"})
    assert (status, route["field"]) == (422, "security")
    status, route = ask("POST", "/routes", {"recipient": "p.test", "host": "relay.test"})
    assert status == 201 and ask("PUT", f"/routes/{route['id']}", {"recipient": "q.test", "transport": "mx"})[0] == 200
    assert ask("DELETE", f"/routes/{route['id']}")[0] == 204
    ids = [row["id"] for row in ask("GET", "/queue")[1]["items"]]
    assert ask("POST", "/queue/act", {"act": "hold", "ids": ids})[1] == {"done": 2, "in_flight": 0}


def test_acts_on_the_queue_leave_others_alone(world: World) -> None:
    ask = program(world.staff[Role.DOMAIN_ADMIN])
    ids = [row.pk for row in world.queued.values()]
    assert ask("POST", "/queue/act", {"act": "hold", "ids": ids}) == (200, {"done": 1, "in_flight": 0})
    assert ask("POST", "/queue/act", {"act": "reroute", "ids": ids, "target": "evil.test"})[0] == 403
    for domain, status in ((OURS, 201), (THEIRS, 422), (None, 422)):
        assert ask("POST", "/senders", {"pattern": "a.test", "is_block": True, "domain": domain})[0] == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "login"),
        ({"login": 5}, "login"),
        ({"login": "a\0@harbour.test"}, "login"),
        ({"login": f"e@{OURS}", "quota": 1}, "quota"),
        ({"login": f"e@{OURS}", "quota_octets": 10**30}, "quota"),
        ({"login": f"e@{OURS}", "looks_after": [1]}, "looks_after.0"),
        ([], ""),
    ],
)
def test_bad_bodies_are_told_by_field(world: World, body: object, field: str) -> None:
    status, answer = program(world.owner)("POST", "/users", body)
    assert (status, answer["field"]) == (422, field), answer
    assert answer["error"].endswith((".", "”"))


def test_what_is_not_json(world: World) -> None:
    client = program(world.owner).client
    for raw in (b"{", b"\xff", b""):
        answer = client.generic("POST", "/api/v1/users", raw, "application/json")
        assert answer.status_code in (400, 422) and answer.json()["error"]


def test_pages_go_by_key(world: World) -> None:
    ask = program(world.owner)
    logins, after = [], ""
    while after is not None:
        _, page = ask("GET", f"/users?limit=2&after={after}")
        assert len(page["items"]) <= 2
        logins += [row["login"] for row in page["items"]]
        after = page["next"]
    assert logins == sorted(User.objects.values_list("login", flat=True))
    assert len({row["id"] for row in ask("GET", "/audit?limit=1")[1]["items"]}) <= 1
    assert ask("GET", "/users?limit=1000")[1]["field"] == "limit"
    assert ask("GET", "/users?q=anna")[1]["next"] is None


def test_too_many_requests(world: World, settings: Any) -> None:
    settings.API_RATE = 2
    ask = program(world.owner)
    assert [ask("GET", "/users")[0] for _ in range(3)] == [200, 200, 429]
    answer = ask.client.get("/api/v1/users")
    assert int(answer["Retry-After"]) >= 1 and answer.json()["error"]
    assert program(world.owner)("GET", "/users")[0] == 200, "another token has a bucket of its own"
    statuses = [Program("pra_guess")("GET", "/users")[0] for _ in range(STRANGERS_RATE + 1)]
    assert statuses == [401] * STRANGERS_RATE + [429]


def test_a_bucket_fills_evenly() -> None:
    some = Buckets()
    assert [some.take("a", 60, 0.0) for _ in range(60)] == [0.0] * 60
    assert some.take("a", 60, 0.0) == pytest.approx(1.0)
    assert some.take("a", 60, 1.0) == 0.0 and some.take("a", 60, 1.5) == pytest.approx(0.5)
    assert some.take("a", 0, 1.5) == 0.0


def test_tokens_on_the_security_page(world: World) -> None:
    admin = world.staff[Role.DOMAIN_ADMIN]
    client, add = world.client(admin), reverse("security:api-token-add")
    new = {"name": "Script", "permissions": ["users"], "days": "30", "current": PASSWORD}
    assert client.post(add, {**new, "current": "wrong"}).status_code == 422
    assert client.post(add, {**new, "permissions": ["audit"]}).status_code == 422, "not theirs to give"
    page = client.post(add, new)
    token = page.content.decode().partition('id="secret">')[2].partition("<")[0]
    assert Program(token)("GET", "/users")[0] == 200
    home = client.get(reverse("security:home")).content.decode()
    assert "Script" in home and token not in home
    stranger = world.client(world.people[OURS])
    stranger.post(reverse("security:api-token-revoke"), {"name": "Script"})
    assert "Make an API token" not in stranger.get(reverse("security:home")).content.decode()
    assert Program(token)("GET", "/users")[0] == 200
    client.post(reverse("security:api-token-revoke"), {"name": "Script"})
    assert Program(token)("GET", "/users")[0] == 401


def test_tokens_by_command(world: World) -> None:
    out = StringIO()
    login = world.owner.login
    call_command("apitokens", "issue", login, "cron", "--permission", "users", "trace", stdout=out)
    token = out.getvalue().partition("Token: ")[2].strip()
    assert Program(token)("GET", "/users")[0] == 200
    out = StringIO()
    call_command("apitokens", "list", "--json", stdout=out)
    (row,) = json.loads(out.getvalue())
    assert (row["login"], row["name"], row["permissions"]) == (login, "cron", ["users", "trace"]) and row["used_at"]
    call_command("apitokens", "revoke", login, "cron", stdout=StringIO())
    assert Program(token)("GET", "/users")[0] == 401


def test_a_token_is_for_a_time_and_for_something(world: World) -> None:
    for permissions, days in (([], 1), (["users"], 0), (["users"], 400), (["sorcery"], 1)):
        with pytest.raises(InvalidValue):
            store.call_sync(
                add_api_token,
                world.owner.pk,
                b"x",
                name="a",
                permissions=permissions,
                expires_at=timezone.now() + timedelta(days=days),
                actor="x",
            )


def test_the_description(world: World) -> None:
    schema = Client().get(reverse("api-openapi")).json()
    assert sum(len(methods) for methods in schema["paths"].values()) == len(ROUTES)
    answer = Client().get(reverse("api-docs"))
    page = answer.content.decode()
    assert "/users/{user_id}" in page and "<style" not in page and "cdn" not in page
    assert "<script>" not in page


@pytest.mark.parametrize("address", ["/api/v1/nothing", "/api/v1/domains/", "/api/v2/users", "/api/x/y/z"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_that_is_none_is_told_in_json(address: str, method: str, mail: None) -> None:
    answer = getattr(Client(enforce_csrf_checks=True), method)(address)
    assert answer.status_code == 404 and set(answer.json()) == {"error", "field"}
