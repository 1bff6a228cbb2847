"""Sign in with a password, a one-time link or a passkey, with a second step where there is one; sign out."""

from __future__ import annotations

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.auth.door import throttle
from accounts.models import User
from accounts.services import InvalidValue
from accounts.sign_in import second_step
from accounts.sign_in.forms import ChoosePasswordForm, SignInForm
from accounts.sign_in.tokens import peek, redeem, redeem_with_password


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
                return _signed_in(request, user, target)
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
        return _signed_in(request, user, settings.LOGIN_REDIRECT_URL)
    return render(request, "sign_in/link.html", {"login": user.login})


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def choose_password(request: HttpRequest, token: str) -> HttpResponse:
    """Of an invitation, or of somebody who has lost the password: choose one, and be signed in."""
    user = peek(token, sets_password=True)
    if user is None:
        return render(request, "sign_in/link_spent.html", status=404)
    form = ChoosePasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            signed_in = redeem_with_password(token, form.cleaned_data["password"])
        except InvalidValue as error:
            form.add_error("password", str(error))
        else:
            if signed_in is None:
                return render(request, "sign_in/link_spent.html", status=404)
            return _signed_in(request, signed_in, settings.LOGIN_REDIRECT_URL)
    context = {"form": form, "login": user.login}
    return render(request, "sign_in/choose_password.html", context, status=422 if form.errors else 200)


def _signed_in(request: HttpRequest, user: AbstractBaseUser, target: str) -> HttpResponse:
    """Or to the second step."""
    assert isinstance(user, User)
    if user.has_second_factor:
        second_step.begin(request, user, target)
        return redirect("second-step")
    auth.login(request, user, backend=second_step.BACKEND)
    return redirect(target)


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def second(request: HttpRequest) -> HttpResponse:
    """A code, or with `answer` a passkey's."""
    waiting = second_step.pending(request)
    if waiting is None:
        return redirect("sign-in")
    status, error = 200, ""
    if request.method == "POST":
        if request.POST.get("answer"):
            is_right = second_step.take_passkey(request, waiting.user, request.POST["answer"]) is not None
        else:
            is_right = second_step.take_code(request, waiting.user, request.POST.get("code", "")[:100])
        if is_right:
            second_step.finish(request, waiting.user)
            return redirect(waiting.target)
        if second_step.is_throttled(request, waiting.user):
            status, error = 429, "Too many failed attempts. Wait a few minutes, then try again."
        else:
            status, error = 403, "That does not hold. A code is good for half a minute, and works once."
        if second_step.pending(request) is None:
            return redirect("sign-in")
    kinds = set(waiting.user.second_factors.values_list("kind", flat=True))
    context = {"login": waiting.user.login, "error": error, "kinds": kinds}
    return render(request, "sign_in/second.html", context, status=status)


@never_cache
@require_POST
def passkey_options(request: HttpRequest) -> HttpResponse:
    """For the second step of whoever waits for it; else for anybody's passkey."""
    waiting = second_step.pending(request)
    options = second_step.passkey_options(request, waiting.user if waiting else None)
    return HttpResponse(options, content_type="application/json")


@never_cache
@require_POST
def sign_in_with_passkey(request: HttpRequest) -> HttpResponse:
    """A passkey alone: it has asked its owner for a finger, a face or a PIN."""
    user = second_step.take_passkey(request, None, request.POST.get("answer", ""))
    if user is None:
        context = {
            "form": SignInForm(),
            "next": _safe_target(request),
            "error": "This passkey does not open anything here.",
        }
        return render(request, "sign_in/sign_in.html", context, status=403)
    second_step.finish(request, user)
    return redirect(_safe_target(request))


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
