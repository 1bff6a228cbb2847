"""Browsers that are signed in: noted at sign-in and now and then, seen and ended by their user."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.auth.web_sessions import session_store
from accounts.models import User, WebSession
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.transaction import Transaction

SEEN_EVERY = timedelta(minutes=10)
MAX_AGENT = 300
_NOTED = "noted_at"  # in the session: when it was last written down


class NoteWebSessions:
    """Middleware: who is here, and from where, at most every SEEN_EVERY."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if request.user.is_authenticated and request.session.session_key:
            now = timezone.now().timestamp()
            if now - request.session.get(_NOTED, 0) > SEEN_EVERY.total_seconds() and _note(request):
                request.session[_NOTED] = now
        return response


def _note(request: HttpRequest) -> bool:
    user, key = request.user, request.session.session_key
    assert isinstance(user, User) and key
    agent = "".join(c for c in request.headers.get("User-Agent", "") if c.isprintable())[:MAX_AGENT]
    try:
        store.call_sync(note_session, user.pk, key, agent, request.META.get("REMOTE_ADDR", "")[:45])
    except StoreError:
        return False  # the next page does it
    return True


def note_session(tx: Transaction, user_id: int, key: str, agent: str, address: str) -> None:
    """Store operation."""
    if not User.objects.filter(pk=user_id).exists():
        return
    WebSession.objects.update_or_create(
        session_key=key,
        defaults={"user_id": user_id, "agent": agent, "address": address, "seen_at": tx.now},
        create_defaults={
            "user_id": user_id, "agent": agent, "address": address, "seen_at": tx.now, "signed_in_at": tx.now,
        },
    )  # fmt: skip


def living(user: User) -> list[WebSession]:
    """The newest first; those whose session has gone are forgotten."""
    rows = list(WebSession.objects.filter(user=user).order_by("-seen_at")[:100])
    alive = [row for row in rows if session_store().exists(row.session_key)]
    dead = [row.pk for row in rows if row not in alive]
    if dead:
        store.call_sync(_forget, dead)
    return alive


def end_session(user: User, row_id: int) -> bool:
    """The browser is signed out with its next request, its live connection within seconds."""
    row = WebSession.objects.filter(user=user, pk=row_id).first()
    if row is None:
        return False
    session_store(row.session_key).delete()
    store.call_sync(_forget, [row.pk])
    return True


def end_others(user: User, but: str | None) -> int:
    """All but the session with this key."""
    return sum(end_session(user, row.pk) for row in living(user) if row.session_key != but)


def _forget(tx: Transaction, ids: list[int]) -> None:
    WebSession.objects.filter(pk__in=ids).delete()
