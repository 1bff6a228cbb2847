"""Domains, with the DNS records to publish."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Query, Router, Schema, Status

from accounts import keys
from accounts.api.access import ApiRequest, found, needs
from accounts.api.paging import Body, Page, Paged, Words, page_after
from accounts.models import Domain
from accounts.roles import Permission
from accounts.services import create_domain, delete_domain, set_domain_active, set_domain_quota
from accounts.services.dns_records import records_of
from accounts.services.mta_sts import set_mta_sts_mode
from mailservers.store.engine import store

router = Router(tags=["Domains"])


class DomainOut(Schema):
    id: int
    name: str
    is_active: bool
    quota_octets: int
    quota_messages: int
    mta_sts_mode: str
    created_at: datetime


class RecordOut(Schema):
    what: str  # for people
    name: str
    type: str
    value: str
    is_needed: bool


class DomainIn(Body):
    name: Words


class DomainChange(Body):
    """What is left out stays."""

    is_active: bool | None = None
    quota_octets: int | None = None
    quota_messages: int | None = None
    mta_sts_mode: Words | None = None


@router.get("/domains", response=Page[DomainOut], summary="List domains", **needs(Permission.DOMAINS))
def list_domains(request: ApiRequest, wanted: Query[Paged]) -> dict[str, Any]:
    return page_after(request.auth.domains(), "name", wanted)


@router.post("/domains", response={201: DomainOut}, summary="Add a domain", **needs(Permission.OWN_DOMAINS))
def add_domain(request: ApiRequest, body: DomainIn) -> Status[Domain]:
    domain_id = store.call_sync(create_domain, body.name, keys.generate(), actor=request.auth.user.login)
    return Status(201, Domain.objects.get(pk=domain_id))


@router.get("/domains/{int:domain_id}", response=DomainOut, summary="One domain", **needs(Permission.DOMAINS))
def get_domain(request: ApiRequest, domain_id: int) -> Domain:
    return found(request.auth.domains(), pk=domain_id)


@router.get(
    "/domains/{int:domain_id}/records",
    response=list[RecordOut],
    summary="The DNS records to publish",
    **needs(Permission.DOMAINS),
)
def get_records(request: ApiRequest, domain_id: int) -> Any:
    return list(records_of(found(request.auth.domains(), pk=domain_id)))


@router.patch(
    "/domains/{int:domain_id}", response=DomainOut, summary="Change a domain", **needs(Permission.CHANGE_DOMAINS)
)
def change_domain(request: ApiRequest, domain_id: int, body: DomainChange) -> Domain:
    row, actor = found(request.auth.domains(), pk=domain_id), request.auth.user.login
    if body.quota_octets is not None or body.quota_messages is not None:
        octets = row.quota_octets if body.quota_octets is None else body.quota_octets
        count = row.quota_messages if body.quota_messages is None else body.quota_messages
        store.call_sync(set_domain_quota, domain_id, octets, count, actor=actor)
    if body.mta_sts_mode is not None:
        store.call_sync(set_mta_sts_mode, domain_id, body.mta_sts_mode, actor=actor)
    if body.is_active is not None:
        store.call_sync(set_domain_active, domain_id, body.is_active, actor=actor)
    return found(request.auth.domains(), pk=domain_id)


@router.delete(
    "/domains/{int:domain_id}", response={204: None}, summary="Delete a domain", **needs(Permission.OWN_DOMAINS)
)
def remove_domain(request: ApiRequest, domain_id: int) -> Status[None]:
    found(request.auth.domains(), pk=domain_id)
    store.call_sync(delete_domain, domain_id, actor=request.auth.user.login)
    return Status(204, None)
