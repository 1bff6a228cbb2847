"""What the views about one's own account share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts.auth.door import AuthenticationFailed, Throttled, check
from accounts.models import User
from accounts.services import AccountError
from mailservers.store.errors import StoreError


class OwnRequest(HttpRequest):
    """A request of somebody who is signed in, about themselves."""

    user: User


View = Callable[..., HttpResponse]


def own(view: View) -> View:
    @wraps(view)
    def guarded(request: OwnRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return view(request, *args, **kwargs)

    return sensitive_post_parameters()(never_cache(login_required(guarded)))


def confirmed(request: OwnRequest, form: Form) -> bool:
    """Is the form good, and `current` this user's password? Says on the form why not."""
    if not form.is_valid():
        return False
    try:
        check(request.user.login, form.cleaned_data["current"], address=client_address(request), service="web")
    except Throttled:
        form.add_error("current", "Too many wrong passwords. Wait a few minutes, then try again.")
    except AuthenticationFailed:
        form.add_error("current", "That is not your password.")
    else:
        return True
    return False


def client_address(request: HttpRequest) -> str:
    return request.META.get("REMOTE_ADDR", "")


def done(form: Form, carry_out: Callable[[], object]) -> bool:
    """Do it, or say on the form why not."""
    try:
        carry_out()
    except StoreError as error:
        field = error.field if isinstance(error, AccountError) and error.field in form.fields else None
        form.add_error(field, str(error))
        return False
    return True


def act(request: OwnRequest, carry_out: Callable[[], object], said: str) -> HttpResponse:
    """Do it and say so, or say why not; back to the page."""
    try:
        carry_out()
    except StoreError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said)
    return redirect("security:home")
