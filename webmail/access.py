"""Who may see what: every page of the webmail is a signed-in user's view of their own mail.

    @mail_view
    def mailbox(request: MailRequest, mailbox_id: int) -> HttpResponse: ...

The decorator asks for sign-in, forbids caching, draws dates in the time zone that the user has chosen or else the
browser's (cookie `tz`, set by page.mjs), and turns the store's refusals into answers: 404 for what is not there or not
theirs, 403 for what the rights on a shared mailbox do not allow, 503 when busy.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django_htmx.middleware import HtmxDetails

from accounts.auth.door import Identity
from accounts.models import User
from mailservers.store.errors import NoSuchMailbox, NotPermitted, StoreError


class MailRequest(HttpRequest):
    """A request of a signed-in user, for type checkers."""

    user: User
    htmx: HtmxDetails


View = Callable[..., HttpResponseBase]


def mail_view(view: View) -> View:
    """See the module."""

    @wraps(view)
    def guarded(request: MailRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with timezone.override(_zone(request)):
            try:
                return view(request, *args, **kwargs)
            except NoSuchMailbox as error:
                raise Http404 from error
            except StoreError as error:
                status = 503 if error.temporary else 403 if isinstance(error, NotPermitted) else 400
                return render(request, "webmail/refused.html", {"reason": str(error)}, status=status)

    return never_cache(login_required(guarded))


def _zone(request: MailRequest) -> zoneinfo.ZoneInfo | None:
    name = getattr(request.user, "time_zone", "") or request.COOKIES.get("tz", "")
    try:
        return zoneinfo.ZoneInfo(name) if name else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def wants_part(request: MailRequest) -> bool:
    """True when htmx asks for the changing part of a page only (also when it restores history)."""
    return bool(request.htmx)


def identity_of(user: User) -> Identity:
    """The signed-in user as services know them."""
    return Identity(user.pk, user.login, user.name, user.is_admin)
