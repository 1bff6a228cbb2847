"""Users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q
from ninja import Query, Router, Schema, Status

from accounts.api.access import ApiRequest, changeable, found, must_hold, needs
from accounts.api.paging import Body, Page, Searched, Text, Words, page_after
from accounts.models import User
from accounts.roles import Permission, Scope
from accounts.services import (
    InvalidValue,
    NotFound,
    create_user,
    delete_user,
    names,
    note_one_time_link,
    remove_user,
    restore_user,
    scram_keys_for,
    set_password,
    set_user_active,
    typed_or_made,
    update_user,
)
from accounts.services.removal import days_left
from accounts.services.second_factors import remove_all_factors
from accounts.sign_in.tokens import make_one_time_link, make_password_link
from mailservers.store.engine import store

router = Router(tags=["Users"])


class UserOut(Schema):
    id: int
    login: str
    name: str
    role: str
    looks_after: list[str]  # domains, of a role that is not for everything
    is_active: bool
    days_left: int | None  # of a deleted user, until they are removed for good
    quota_octets: int  # 0: no limit
    quota_messages: int
    stores_sent: bool
    tags_to_folders: bool
    has_second_factor: bool
    created_at: datetime

    @staticmethod
    def resolve_days_left(row: User) -> int | None:
        return days_left(row)

    @staticmethod
    def resolve_looks_after(row: User) -> list[str]:
        return sorted(domain.name for domain in row.scope.all())


class NewUserOut(Schema):
    user: UserOut
    password: str | None  # that was made: it is not shown again
    link: str | None  # with which the person chooses a password


class UserIn(Body):
    login: Words
    name: Words = ""
    role: Words = "user"
    looks_after: list[Words] = []
    quota_octets: int = 0
    quota_messages: int = 0
    password: Text | None = None
    invite: bool = True  # where no password is given: answer with a link to choose one, else with one that was made


class UserChange(Body):
    """What is left out stays."""

    name: Words | None = None
    role: Words | None = None
    looks_after: list[Words] | None = None
    quota_octets: int | None = None
    quota_messages: int | None = None
    stores_sent: bool | None = None
    tags_to_folders: bool | None = None
    is_active: bool | None = None


class PasswordIn(Body):
    password: Text | None = None  # none: one is made


class PasswordOut(Schema):
    password: str | None


class LinkOut(Schema):
    link: str


@router.get("/users", response=Page[UserOut], summary="List users", **needs(Permission.USERS))
def list_users(request: ApiRequest, wanted: Query[Searched]) -> dict[str, Any]:
    rows = request.auth.users().prefetch_related("scope")
    for word in wanted.q.split()[:5]:
        rows = rows.filter(Q(login__icontains=word) | Q(name__icontains=word))
    return page_after(rows, "login", wanted)


@router.post("/users", response={201: NewUserOut}, summary="Add a user", **needs(Permission.CHANGE_USERS))
def add_user(request: ApiRequest, body: UserIn) -> Status[dict[str, Any]]:
    scope = request.auth
    must_hold(scope, body.login, "login")
    _must_give(scope, body.role)
    is_invited = body.invite and body.password is None
    made, password_hash = ("", None) if is_invited else typed_or_made(body.password)
    login = names.own_address(body.login)[0]
    user_id = store.call_sync(
        create_user,
        login,
        actor=scope.user.login,
        name=body.name,
        password_hash=password_hash,
        scram_keys=None if is_invited else scram_keys_for(login, body.password or made),
        role=body.role,
        scope=_domain_ids(scope, body.looks_after),
        quota_octets=body.quota_octets,
        quota_messages=body.quota_messages,
    )
    link = _invitation(request, user_id) if is_invited else None
    return Status(201, {"user": User.objects.get(pk=user_id), "password": made or None, "link": link})


def _invitation(request: ApiRequest, user_id: int) -> str:
    store.call_sync(note_one_time_link, user_id, sets_password=True, actor=request.auth.user.login)
    return request.build_absolute_uri(make_password_link(user_id))


@router.get("/users/{int:user_id}", response=UserOut, summary="One user", **needs(Permission.USERS))
def get_user(request: ApiRequest, user_id: int) -> User:
    return found(request.auth.users(), pk=user_id)


@router.patch(
    "/users/{int:user_id}",
    response=UserOut,
    summary="Change a user, switch on or off",
    **needs(Permission.CHANGE_USERS),
)
def change_user(request: ApiRequest, user_id: int, body: UserChange) -> User:
    scope, row = request.auth, changeable(request.auth, user_id)
    if body.role is not None:
        _must_give(scope, body.role)
    ids = None if body.looks_after is None else _domain_ids(scope, body.looks_after)
    store.call_sync(
        update_user,
        user_id,
        name=row.name if body.name is None else body.name,
        role=row.role if body.role is None else body.role,
        scope=ids,
        quota_octets=row.quota_octets if body.quota_octets is None else body.quota_octets,
        quota_messages=row.quota_messages if body.quota_messages is None else body.quota_messages,
        stores_sent=body.stores_sent,
        tags_to_folders=body.tags_to_folders,
        actor=scope.user.login,
    )
    if body.is_active is not None:
        store.call_sync(set_user_active, user_id, body.is_active, actor=scope.user.login)
    return found(scope.users(), pk=user_id)


@router.delete(
    "/users/{int:user_id}",
    response={204: None},
    summary="Delete a user with all mail; without “now” they can be restored for some days",
    **needs(Permission.CHANGE_USERS),
)
def take_user_away(request: ApiRequest, user_id: int, now: bool = False) -> Status[None]:
    changeable(request.auth, user_id)
    (remove_user if now else delete_user)(user_id, actor=request.auth.user.login)
    return Status(204, None)


@router.post(
    "/users/{int:user_id}/restore",
    response=UserOut,
    summary="Bring a deleted user back",
    **needs(Permission.CHANGE_USERS),
)
def bring_user_back(request: ApiRequest, user_id: int) -> User:
    changeable(request.auth, user_id)
    store.call_sync(restore_user, user_id, actor=request.auth.user.login)
    return found(request.auth.users(), pk=user_id)


@router.post(
    "/users/{int:user_id}/password", response=PasswordOut, summary="Set a password", **needs(Permission.CHANGE_USERS)
)
def new_password(request: ApiRequest, user_id: int, body: PasswordIn) -> dict[str, Any]:
    row = changeable(request.auth, user_id)
    made, password_hash = typed_or_made(body.password, row)
    keys = None if row.has_second_factor else scram_keys_for(row.login, body.password or made)
    store.call_sync(set_password, user_id, password_hash, actor=request.auth.user.login, scram_keys=keys)
    return {"password": made or None}


@router.post(
    "/users/{int:user_id}/link",
    response={201: LinkOut},
    summary="Make a sign-in link that works once",
    **needs(Permission.CHANGE_USERS),
)
def new_link(request: ApiRequest, user_id: int) -> Status[dict[str, str]]:
    changeable(request.auth, user_id)
    store.call_sync(note_one_time_link, user_id, actor=request.auth.user.login)
    return Status(201, {"link": request.build_absolute_uri(make_one_time_link(user_id))})


@router.post(
    "/users/{int:user_id}/invitation",
    response={201: LinkOut},
    summary="Make a link with which the person chooses a password",
    **needs(Permission.CHANGE_USERS),
)
def new_invitation(request: ApiRequest, user_id: int) -> Status[dict[str, str]]:
    changeable(request.auth, user_id)
    return Status(201, {"link": _invitation(request, user_id)})


@router.delete(
    "/users/{int:user_id}/second-factors",
    response={204: None},
    summary="Take away the second step of someone who has lost phone and codes",
    **needs(Permission.CHANGE_USERS),
)
def forget_second_factors(request: ApiRequest, user_id: int) -> Status[None]:
    changeable(request.auth, user_id)
    store.call_sync(remove_all_factors, user_id, actor=request.auth.user.login)
    return Status(204, None)


def _must_give(scope: Scope, role: str) -> None:
    if role not in scope.roles():
        raise InvalidValue(f"The roles that you can give are {', '.join(scope.roles())}.", "role")


def _domain_ids(scope: Scope, wanted: Sequence[str]) -> list[int]:
    ids = dict(scope.domains().filter(name__in=wanted).values_list("name", "pk"))
    missing = [name for name in wanted if name not in ids]
    if missing:
        raise NotFound(f"{missing[0]} is not one of your domains.", "looks_after")
    return sorted(ids.values())
