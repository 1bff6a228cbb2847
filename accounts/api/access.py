"""Who may ask: whoever has a token, for what the token and its owner may both do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import models
from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from accounts.api.errors import Refused
from accounts.api.rate import buckets
from accounts.auth.app_secrets import API_TOKEN_PREFIX, digest
from accounts.auth.throttle import network_of
from accounts.models import ApiToken, User
from accounts.roles import Permission, Scope
from accounts.security.required import is_required
from accounts.services import NotFound
from accounts.services.api_tokens import note_api_token_use
from mailservers.store.engine import store

STRANGERS_RATE = 30  # requests a minute without a good token, of one address
NOTED_EVERY = timedelta(hours=1)  # a token's last use
Row = TypeVar("Row", bound=models.Model)


class ApiRequest(HttpRequest):
    """A request whose token has been seen to have a permission, for the domains of `auth`."""

    auth: Scope


class ApiTokenBearer(HttpBearer):
    """A route's policy. `permission`: the one it needs; a test looks that every route has one."""

    def __init__(self, permission: Permission) -> None:
        super().__init__()
        self.permission = permission

    def authenticate(self, request: HttpRequest, token: str) -> Scope | None:
        row = _find(token)
        if row is None:
            _slow_down(f"address {network_of(request.META.get('REMOTE_ADDR', ''))}", STRANGERS_RATE)
            return None
        _slow_down(f"token {row.pk}", settings.API_RATE)
        if not row.user.has_second_factor and is_required(row.user):
            raise Refused(403, "Your role needs a second step at sign-in: add one in the browser first.")
        scope = Scope(row.user, row.permissions.split())
        if not scope.may(self.permission):
            raise Refused(403, f"This token does not have the permission “{self.permission}”.")
        if row.used_at is None or row.used_at < timezone.now() - NOTED_EVERY:
            store.call_sync(note_api_token_use, row.pk)
        return scope


def needs(permission: Permission) -> dict[str, Any]:
    """What a route is declared with: `@router.get("/users", **needs(Permission.USERS))`."""
    return {"auth": ApiTokenBearer(permission), "openapi_extra": {"x-permission": permission.value}}


def _find(token: str) -> ApiToken | None:
    if not token.startswith(API_TOKEN_PREFIX):
        return None
    living = ApiToken.objects.filter(expires_at__gt=timezone.now(), user__is_active=True, user__domain__is_active=True)
    return living.filter(digest=digest(token)).select_related("user__domain").first()


def _slow_down(key: str, per_minute: int) -> None:
    wait_s = buckets.take(key, per_minute)
    if wait_s:
        raise Refused(429, "Too many requests: wait a little.", wait_s)


def found(rows: models.QuerySet[Row], **key: Any) -> Row:
    """The one row, or 404."""
    row = rows.filter(**key).first()
    if row is None:
        raise Http404
    return row


def changeable(scope: Scope, user_id: int) -> User:
    """A user whom one may change, or 404."""
    return found(scope.changeable_users().select_related("domain"), pk=user_id)


def must_hold(scope: Scope, address: str, field: str) -> None:
    """Raises `NotFound` when the address is of a domain that one does not look after."""
    if not scope.holds_address(address):
        raise NotFound(f"{address.rpartition('@')[2] or 'It'} is not one of your domains.", field)
