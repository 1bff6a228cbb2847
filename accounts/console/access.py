"""Who may see the console, and what all its views share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db import models
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from accounts.models import User
from accounts.roles import Permission, Scope
from accounts.services import AccountError, NotFound
from mailservers.models import RecipientState
from mailservers.store.errors import StoreError

P = ParamSpec("P")
Row = TypeVar("Row", bound=models.Model)
WAITING = (RecipientState.QUEUED, RecipientState.DEFERRED)
MANY = 1000  # the queue's number in the sidebar is not counted beyond


class StaffRequest(HttpRequest):
    """A request whose user has been seen to have a permission, for the domains of `remit`. (Not called `scope`: an ASGI
    request has one of its own, and cannot tell its address without it.)"""

    user: User
    remit: Scope


View = Callable[Concatenate[StaffRequest, P], HttpResponse]
Guarded = Callable[Concatenate[HttpRequest, P], HttpResponse]


def needs(permission: Permission) -> Callable[[View[P]], Guarded[P]]:
    """Strangers go to the sign-in page; for everyone else who may not do this, nothing is here."""

    def decorate(view: View[P]) -> Guarded[P]:
        @never_cache
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            allowed = cast(StaffRequest, request)
            allowed.remit = Scope(allowed.user)
            if not allowed.remit.may(permission):
                raise Http404
            return view(allowed, *args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]  # every address has one: a test looks
        return guarded

    return decorate


def page(
    request: StaffRequest, template: str, section: str, context: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """Render a console page; `section` is the sidebar's entry that it belongs to."""
    waiting = request.remit.queued().filter(state__in=WAITING)[:MANY].count()
    return render(
        request,
        f"console/{template}",
        {
            "section": section,
            "may": request.remit.permissions,
            "waiting_count": waiting,
            "waiting_many": waiting == MANY,
            **(context or {}),
        },
        status=status,
    )


def found(rows: models.QuerySet[Row], **key: Any) -> Row:
    """The one row, or 404."""
    row = rows.filter(**key).first()
    if row is None:
        raise Http404
    return row


def must_hold(scope: Scope, address: str, field: str) -> None:
    """Raises `NotFound` when the address is of a domain that one does not look after."""
    if not scope.holds_address(address):
        raise NotFound(f"{address.rpartition('@')[2] or 'It'} is not one of your domains.", field)


def attempt(request: HttpRequest, act: Callable[[], object], done: str) -> bool:
    """Do it and say `done`, or say why not; both as a toast on the next page."""
    try:
        act()
    except StoreError as error:
        messages.error(request, str(error))
        return False
    messages.success(request, done)
    return True


def add_store_error(form: Form, error: StoreError) -> None:
    """Put a refusal next to the field it is about."""
    field = error.field if isinstance(error, AccountError) and error.field in form.fields else None
    form.add_error(field, str(error))
