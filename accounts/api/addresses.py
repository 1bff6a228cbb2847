"""Aliases, groups and catch-alls."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from ninja import Query, Router, Schema, Status

from accounts.api.access import ApiRequest, found, must_hold, needs
from accounts.api.paging import Body, Page, Searched, Words, page_after
from accounts.models import Address
from accounts.roles import Permission
from accounts.services import create_address, delete_address, update_address
from mailservers.store.engine import store

router = Router(tags=["Aliases and groups"])


class AddressOut(Schema):
    id: int
    address: str  # “@example.org” is the catch-all
    targets: list[str]

    @staticmethod
    def resolve_targets(row: Address) -> list[str]:
        ordered = sorted(row.targets.all(), key=lambda target: target.pk)
        return [target.user.login if target.user else target.remote for target in ordered]


class TargetsIn(Body):
    targets: list[Words]


class AddressIn(TargetsIn):
    address: Words


@router.get("/addresses", response=Page[AddressOut], summary="List aliases and groups", **needs(Permission.ADDRESSES))
def list_addresses(request: ApiRequest, wanted: Query[Searched]) -> dict[str, Any]:
    rows = request.auth.addresses().prefetch_related("targets__user")
    for word in wanted.q.split()[:5]:
        matching = Q(address__icontains=word) | Q(targets__remote__icontains=word)
        rows = rows.filter(matching | Q(targets__user__login__icontains=word)).distinct()
    return page_after(rows, "address", wanted)


@router.post(
    "/addresses", response={201: AddressOut}, summary="Add an alias or group", **needs(Permission.CHANGE_ADDRESSES)
)
def add_address(request: ApiRequest, body: AddressIn) -> Status[Address]:
    must_hold(request.auth, body.address, "address")
    address_id = store.call_sync(create_address, body.address, body.targets, actor=request.auth.user.login)
    return Status(201, Address.objects.get(pk=address_id))


@router.get(
    "/addresses/{int:address_id}", response=AddressOut, summary="One alias or group", **needs(Permission.ADDRESSES)
)
def get_address(request: ApiRequest, address_id: int) -> Address:
    return found(request.auth.addresses(), pk=address_id)


@router.put(
    "/addresses/{int:address_id}",
    response=AddressOut,
    summary="Say anew where its mail goes",
    **needs(Permission.CHANGE_ADDRESSES),
)
def change_address(request: ApiRequest, address_id: int, body: TargetsIn) -> Address:
    found(request.auth.addresses(), pk=address_id)
    store.call_sync(update_address, address_id, body.targets, actor=request.auth.user.login)
    return found(request.auth.addresses(), pk=address_id)


@router.delete(
    "/addresses/{int:address_id}",
    response={204: None},
    summary="Delete an alias or group",
    **needs(Permission.CHANGE_ADDRESSES),
)
def remove_address(request: ApiRequest, address_id: int) -> Status[None]:
    found(request.auth.addresses(), pk=address_id)
    store.call_sync(delete_address, address_id, actor=request.auth.user.login)
    return Status(204, None)
