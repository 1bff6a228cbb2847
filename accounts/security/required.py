"""Roles that must have a second factor: until they have one, only the page where it is set up is there for them."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts.models import RoleRule, User


def is_required(user: User) -> bool:
    return RoleRule.objects.filter(role=user.role, needs_second_factor=True).exists()


class SecondFactorRequired:
    """Middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if user.is_authenticated and not user.has_second_factor and not _is_open(request.path) and is_required(user):
            if request.headers.get("HX-Request"):
                answer = HttpResponse(status=403)
                answer["HX-Redirect"] = reverse("security:home")
                return answer
            return redirect("security:home")
        return self._get_response(request)


def _is_open(path: str) -> bool:
    """Where a second factor is set up, and the way out."""
    return path.startswith(("/account/", "/static/", "/sign-out/", "/sign-in/"))
