"""Does a browser that is signed in still count? What opened a WebSocket is asked again and again while it is open."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from accounts.models import User

RECHECK_S = 5.0


def session_store(key: str | None = None) -> SessionBase:
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def signed_in(user_id: int | None, session_key: str | None) -> tuple[User | None, str]:
    """Reads the database: the user, and the hash that a changed password changes; (None, "") when the session has
    ended, or its user may not sign in."""
    if user_id is None or not session_key:
        return None, ""
    user = User.objects.filter(pk=user_id, is_active=True, domain__is_active=True).select_related("domain").first()
    if user is None or not session_store().exists(session_key):
        return None, ""
    return user, user.get_session_auth_hash()
