"""Sender lists, the routes of outgoing mail, and the queue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from ninja import Query, Router, Schema, Status
from pydantic import Field

from accounts.api.access import ApiRequest, found, needs
from accounts.api.errors import Refused
from accounts.api.paging import Body, Page, Paged, Searched, Text, Words, number, page_before
from accounts.models import Domain
from accounts.roles import Permission
from accounts.services import NotFound, create_route, delete_route, list_sender, unlist_sender, update_route
from accounts.services import queue as queue_services
from accounts.services.queue import MAX_IDS, Act
from accounts.services.routes import RouteValues
from mailservers.models import SenderRule, SendingRoute
from mailservers.outbound.queue import QueueFilter, QueueRow, list_queue
from mailservers.store.engine import store

senders = Router(tags=["Sender lists"])
routes = Router(tags=["Routes"])
queue = Router(tags=["Queue"])


# ---------------------------------------------------------------- senders


class SenderOut(Schema):
    id: int
    pattern: str
    is_block: bool  # false: trusted
    domain: str | None  # whose rule it is; null: everybody's
    created_at: datetime

    @staticmethod
    def resolve_domain(row: SenderRule) -> str | None:
        return row.domain.name if row.domain else None


class SenderIn(Body):
    pattern: Words  # an address, a domain with those below it, an IP address or a network
    is_block: bool
    domain: Words | None = None


@senders.get("/senders", response=Page[SenderOut], summary="Blocked and trusted senders", **needs(Permission.SENDERS))
def list_senders(request: ApiRequest, wanted: Query[Searched]) -> dict[str, Any]:
    rows = request.auth.sender_rules().select_related("domain")
    return page_before(rows.filter(pattern__icontains=wanted.q.lower()) if wanted.q else rows, wanted)


@senders.post("/senders", response={201: SenderOut}, summary="Block or trust a sender", **needs(Permission.SENDERS))
def add_sender(request: ApiRequest, body: SenderIn) -> Status[SenderRule]:
    scope, domain = request.auth, None
    if body.domain is not None or not scope.is_everything:
        domain = _domain(request, body.domain or "")
    domain_id = domain.pk if domain else None
    pattern = store.call_sync(
        list_sender, body.pattern, is_block=body.is_block, domain_id=domain_id, actor=scope.user.login
    )
    return Status(201, found(scope.sender_rules(), pattern=pattern, domain_id=domain_id))


@senders.delete("/senders/{int:rule_id}", response={204: None}, summary="Forget a rule", **needs(Permission.SENDERS))
def forget_sender(request: ApiRequest, rule_id: int) -> Status[None]:
    row = found(request.auth.sender_rules(), pk=rule_id)
    store.call_sync(unlist_sender, row.pattern, domain_id=row.domain_id, actor=request.auth.user.login)
    return Status(204, None)


def _domain(request: ApiRequest, name: str) -> Domain:
    row = request.auth.domains().filter(name=name.strip().lower()).first()
    if row is None:
        raise NotFound("Name one of your domains.", "domain")
    return row


# ---------------------------------------------------------------- routes


class RouteOut(Schema):
    id: int
    recipient: str  # a domain or an address; "" for all
    sender: str
    transport: str
    host: str
    port: int
    security: str
    is_implicit_tls: bool
    login: str
    has_password: bool
    reason: str
    source: str
    ehlo_name: str

    @staticmethod
    def resolve_has_password(row: SendingRoute) -> bool:
        return bool(row.password)


class RouteIn(Body):
    recipient: Words = ""
    sender: Words = ""
    transport: Words = "smtp"
    host: Words = ""
    port: int | None = None  # null: the usual one
    security: Words = "opportunistic"
    is_implicit_tls: bool = False
    login: Words = ""
    password: Text | None = None  # null: as it was
    reason: Words = ""
    source: Words = ""
    ehlo_name: Words = ""


@routes.get("/routes", response=Page[RouteOut], summary="Routes of outgoing mail", **needs(Permission.ROUTES))
def list_routes(request: ApiRequest, wanted: Query[Paged]) -> dict[str, Any]:
    return page_before(SendingRoute.objects.all(), wanted)


@routes.post("/routes", response={201: RouteOut}, summary="Add a route", **needs(Permission.ROUTES))
def add_route(request: ApiRequest, body: RouteIn) -> Status[SendingRoute]:
    route_id = store.call_sync(create_route, RouteValues(**body.dict()), actor=request.auth.user.login)
    return Status(201, SendingRoute.objects.get(pk=route_id))


@routes.get("/routes/{int:route_id}", response=RouteOut, summary="One route", **needs(Permission.ROUTES))
def get_route(request: ApiRequest, route_id: int) -> SendingRoute:
    return found(SendingRoute.objects.all(), pk=route_id)


@routes.put("/routes/{int:route_id}", response=RouteOut, summary="Say anew what a route is", **needs(Permission.ROUTES))
def change_route(request: ApiRequest, route_id: int, body: RouteIn) -> SendingRoute:
    found(SendingRoute.objects.all(), pk=route_id)
    store.call_sync(update_route, route_id, RouteValues(**body.dict()), actor=request.auth.user.login)
    return found(SendingRoute.objects.all(), pk=route_id)


@routes.delete("/routes/{int:route_id}", response={204: None}, summary="Delete a route", **needs(Permission.ROUTES))
def remove_route(request: ApiRequest, route_id: int) -> Status[None]:
    found(SendingRoute.objects.all(), pk=route_id)
    store.call_sync(delete_route, route_id, actor=request.auth.user.login)
    return Status(204, None)


# ---------------------------------------------------------------- queue


class QueuedOut(Schema):
    id: int  # of the recipient: what the acts take
    trace_id: str
    subject: str
    size: int
    sender: str
    recipient: str
    state: str
    attempts: int
    next_attempt: datetime
    last_attempt: datetime | None
    last_reply: str
    created_at: datetime
    expires_at: datetime
    route: str
    is_in_progress: bool


class QueueWanted(Searched):
    state: Words = ""
    domain: Words = ""
    sender: Words = ""
    older_s: int = Field(0, ge=0, le=10_000_000)


class ActIn(Body):
    act: Act
    ids: Annotated[list[int], Field(min_length=1, max_length=MAX_IDS)]
    target: Words = ""  # of "reroute": HOST:PORT, or "" for the ordinary way


class ActedOut(Schema):
    done: int
    in_flight: int  # being tried at that moment: left alone


@queue.get("/queue", response=Page[QueuedOut], summary="Recipients that wait", **needs(Permission.QUEUE))
def get_queue(request: ApiRequest, wanted: Query[QueueWanted]) -> dict[str, Any]:
    filtered = QueueFilter(
        state=wanted.state, domain=wanted.domain, sender=wanted.sender, older_s=wanted.older_s, text=wanted.q
    )
    before, limit = number(wanted.after) or None, wanted.limit
    rows: list[QueueRow] = list_queue(filtered, before=before, limit=limit + 1, among=request.auth.queued())
    return {"items": rows[:limit], "next": str(rows[limit - 1].id) if len(rows) > limit else None}


@queue.post("/queue/act", response=ActedOut, summary="Act on recipients that wait", **needs(Permission.CHANGE_QUEUE))
def act_on_queue(request: ApiRequest, body: ActIn) -> Any:
    scope = request.auth
    if body.act is Act.REROUTE and not scope.may(Permission.ROUTES):
        raise Refused(403, f"Rerouting needs the permission “{Permission.ROUTES}”, too.")
    ids = list(scope.queued().filter(pk__in=body.ids).values_list("pk", flat=True))
    return store.call_sync(queue_services.act, body.act, ids, actor=scope.user.login, target=body.target.strip())
