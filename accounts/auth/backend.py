"""Django's sign-in, through the same door as the mail protocols."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.auth.door import AuthenticationFailed, Throttled, check
from accounts.models import User


class OneDoorBackend(BaseBackend):
    """`authenticate(request, username=login, password=…)`; throttled like every other login."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if not username or password is None:
            return None
        address = request.META.get("REMOTE_ADDR", "") if request is not None else ""
        try:
            identity = check(username, password, address=address, service="web")
        except Throttled:
            raise PermissionDenied from None
        except AuthenticationFailed:
            return None
        return self.get_user(identity.user_id)

    def get_user(self, user_id: int) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True, domain__is_active=True).first()
