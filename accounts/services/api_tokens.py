"""Tokens of the API: made, revoked. The token itself is shown once and never kept."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from accounts.models import ApiToken
from accounts.roles import Permission, Scope
from accounts.services import audit
from accounts.services.errors import AlreadyExists, InvalidValue, NotFound
from accounts.services.users import get_user
from mailservers.store.transaction import Transaction

MAX_TOKENS = 50  # a user
MAX_NAME = 100
MAX_DAYS = 366


def add_api_token(
    tx: Transaction,
    user_id: int,
    digest: bytes,
    *,
    name: str,
    permissions: Collection[str],
    expires_at: datetime,
    actor: str,
) -> int:
    """Its id. `digest`: of `app_secrets.make_api_token()`. Raises `NotFound`, `InvalidValue`, `AlreadyExists`."""
    user = get_user(user_id)
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidValue("Give it a name that says which program uses it.", "name")
    if not permissions:
        raise InvalidValue("Choose what it may do.", "permissions")
    beyond = sorted(set(permissions) - Scope(user).permissions)
    if beyond:
        raise InvalidValue(f"{user.login} does not have the permission {beyond[0]}.", "permissions")
    if not tx.now < expires_at <= tx.now + timedelta(days=MAX_DAYS):
        raise InvalidValue("A token works for a day at least and a year at most.", "days")
    mine = ApiToken.objects.filter(user=user)
    if mine.filter(name=name).exists():
        raise AlreadyExists(f"There is one named {name} already.", "name")
    if mine.count() >= MAX_TOKENS:
        raise InvalidValue(f"There are {MAX_TOKENS} already: revoke some first.", "name")
    names = " ".join(permission for permission in Permission if permission in permissions)
    row = mine.create(user=user, name=name, digest=digest, permissions=names, expires_at=expires_at)
    audit.record(actor, "api-token.add", user.login, name=name, permissions=names)
    return row.pk


def revoke_api_token(tx: Transaction, user_id: int, name: str, *, actor: str) -> None:
    """It works no more, from the next request on. Raises `NotFound`."""
    user = get_user(user_id)
    if not ApiToken.objects.filter(user=user, name=name).delete()[0]:
        raise NotFound(f"{user.login} has no API token named {name}.", "name")
    audit.record(actor, "api-token.revoke", user.login, name=name)


def note_api_token_use(tx: Transaction, token_id: int) -> None:
    ApiToken.objects.filter(pk=token_id).update(used_at=tx.now)
