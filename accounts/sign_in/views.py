"""Sign in with a password, sign in with a one-time link, sign out."""

from __future__ import annotations

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.auth.door import throttle
from accounts.sign_in.forms import SignInForm
from accounts.sign_in.tokens import peek, redeem

BACKEND = "accounts.auth.backend.OneDoorBackend"


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for login and password; both wrong and throttled logins get the form again with the reason."""
    target = _safe_target(request)
    if request.user.is_authenticated:
        return redirect(target)
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            user = auth.authenticate(
                request, username=form.cleaned_data["login"], password=form.cleaned_data["password"]
            )
            if user is not None:
                auth.login(request, user)
                return redirect(target)
            status, reason = _refusal(request, form.cleaned_data["login"])
            form.add_error(None, reason)
    return render(request, "sign_in/sign_in.html", {"form": form, "next": target}, status=status)


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in_with_link(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks for one click, so that programs that fetch links do not use it up; POST signs in."""
    user = redeem(token) if request.method == "POST" else peek(token)
    if user is None:
        return render(request, "sign_in/link_spent.html", status=404)
    if request.method == "POST":
        auth.login(request, user, backend=BACKEND)
        return redirect(settings.LOGIN_REDIRECT_URL)
    return render(request, "sign_in/link.html", {"login": user.login})


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    auth.logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


def _refusal(request: HttpRequest, login: str) -> tuple[int, str]:
    """Status and words; `auth.authenticate` does not say whether it was the password or the throttle."""
    if throttle.is_blocked(request.META.get("REMOTE_ADDR", ""), login.strip().lower()):
        return 429, "Too many failed attempts. Wait a few minutes, then try again."
    return 403, "The address or the password is not right."


def _safe_target(request: HttpRequest) -> str:
    """Where to go after sign-in: a page of this site that was asked for, else the start page."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return target
    return settings.LOGIN_REDIRECT_URL
