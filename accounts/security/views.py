"""One page with everything about one's own account's safety, and the acts on it.

What would let a thief with a stolen browser stay (a new password, factor or app password) asks for the password again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import segno
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.auth import passkeys, totp
from accounts.auth.app_secrets import digest, make_api_token
from accounts.models import ApiToken, Credential, Device, User
from accounts.roles import Scope
from accounts.security import web_sessions
from accounts.security.forms import (
    PERMITS,
    SERVICES,
    ApiTokenForm,
    AppPasswordForm,
    ChangePasswordForm,
    ConfirmForm,
    TotpForm,
)
from accounts.security.own import OwnRequest, act, confirmed, done, own
from accounts.security.required import is_required
from accounts.services import (
    add_credential,
    hash_typed,
    new_app_password,
    revoke_credential,
    scram_keys_for,
    set_password,
)
from accounts.services.api_tokens import add_api_token, revoke_api_token
from accounts.services.second_factors import (
    add_passkey,
    add_totp,
    new_recovery_codes,
    remove_factor,
    replace_recovery_codes,
)
from mailservers.store.engine import store

ISSUER = "Postroom"
_TOTP = "new_totp"  # in the session: the secret of an app that has not proved yet that it has it
_CHALLENGE = "new_passkey"


@own
def home(request: OwnRequest) -> HttpResponse:
    return home_page(request)


def home_page(request: OwnRequest, status: int = 200, **forms: Form) -> HttpResponse:
    user, scope = request.user, Scope(request.user)
    context = {
        "factors": user.second_factors.order_by("created_at"),
        "codes_left": user.recovery_codes.count(),
        "is_required": is_required(user),
        "app_passwords": [
            (row, [SERVICES.get(scope, scope) for scope in row.scopes.split()], _last_used(row))
            for row in user.credentials.filter(kind=Credential.Kind.APP_PASSWORD).order_by("-created_at")
        ],
        "sessions": web_sessions.living(user),
        "this_session": request.session.session_key,
        "devices": Device.objects.filter(user=user).select_related("credential").order_by("-seen_at")[:100],
        "password_form": ChangePasswordForm(),
        "app_form": AppPasswordForm(),
        "codes_form": ConfirmForm(),
        "passkey_form": ConfirmForm(prefix="passkey"),
        "api_tokens": _shown_tokens(user),
        "token_form": ApiTokenForm(scope) if scope.permissions else None,
        **forms,
    }
    return render(request, "security/home.html", context, status=status)


def _last_used(row: Credential) -> Any:
    return Device.objects.filter(credential=row).order_by("-seen_at").values_list("seen_at", flat=True).first()


# ---------------------------------------------------------------- password


@own
@require_POST
def password(request: OwnRequest) -> HttpResponse:
    form, user = ChangePasswordForm(request.POST), request.user
    if confirmed(request, form):
        typed = form.cleaned_data["password"]

        def change() -> None:
            hashed, keys = hash_typed(typed, user), scram_keys_for(user.login, typed)
            if user.has_second_factor:
                keys = None
            store.call_sync(set_password, user.pk, hashed, actor=user.login, scram_keys=keys)

        if done(form, change):
            user.refresh_from_db()
            update_session_auth_hash(request, user)
            messages.success(request, "Your new password works from now on. Other browsers are signed out.")
            return redirect("security:home")
    return home_page(request, 422, password_form=form)


# ---------------------------------------------------------------- second factors


@own
def totp_new(request: OwnRequest) -> HttpResponse:
    """Shows a secret as a QR code; taken when the app has shown that it has it."""
    if _TOTP not in request.session or request.method != "POST":
        request.session[_TOTP] = totp.sealed(totp.new_secret()).hex()
    sealed = bytes.fromhex(request.session[_TOTP])
    form = TotpForm(request.POST or None)
    if request.method == "POST" and confirmed(request, form):
        step = totp.matching_step(sealed, form.cleaned_data["code"])
        if step is None:
            form.add_error("code", "That is not the code of this moment. Is the phone’s clock right?")
        else:
            codes = new_recovery_codes()
            name = form.cleaned_data["name"]
            if done(form, lambda: store.call_sync(add_totp, request.user.pk, sealed, name, step, codes)):
                del request.session[_TOTP]
                return _added(request, codes)
    secret = totp.opened(sealed)
    uri = totp.provisioning_uri(secret, request.user.login, ISSUER)
    qr = segno.make(uri, error="m").svg_inline(scale=4, border=2, omitsize=True, dark="#000", light="#fff")
    base32 = totp.base32_secret(secret)
    groups = " ".join(base32[start : start + 4] for start in range(0, len(base32), 4))
    context = {"form": form, "qr": qr, "secret": groups}
    return render(request, "security/totp.html", context, status=422 if form.errors else 200)


def _added(request: OwnRequest, codes: list[str]) -> HttpResponse:
    """The recovery codes with the first factor; else back."""
    was_first = not request.user.has_second_factor
    if was_first:
        return _show_codes(request, codes)
    messages.success(request, "It is asked for from now on.")
    return redirect("security:home")


def _show_codes(request: OwnRequest, codes: list[str]) -> HttpResponse:
    """In the answer itself and never again."""
    return render(request, "security/codes.html", {"codes": codes})


@own
@require_POST
def passkey_options(request: OwnRequest) -> HttpResponse:
    known = request.user.second_factors.exclude(credential=None).values_list("credential", flat=True)
    options, request.session[_CHALLENGE] = passkeys.registration_options(
        request, request.user, [bytes(credential) for credential in known if credential]
    )
    return HttpResponse(options, content_type="application/json")


@own
@require_POST
def passkey_add(request: OwnRequest) -> HttpResponse:
    form = ConfirmForm(request.POST, prefix="passkey")
    challenge = request.session.pop(_CHALLENGE, "")
    if confirmed(request, form):
        codes = new_recovery_codes()
        try:
            made = passkeys.check_registration(request, request.POST.get("answer", ""), challenge)
        except passkeys.PasskeyRefused:
            form.add_error(None, "The passkey could not be added: the browser’s answer does not hold. Try again.")
        else:
            name = request.POST.get("name", "") or "Passkey"
            if done(form, lambda: store.call_sync(add_passkey, request.user.pk, made, name, codes)):
                return _added(request, codes)
    return home_page(request, 422, passkey_form=form)


@own
@require_POST
def factor_remove(request: OwnRequest, factor_id: int) -> HttpResponse:
    return act(
        request,
        lambda: store.call_sync(remove_factor, request.user.pk, factor_id, actor=request.user.login),
        "It is not asked for any more.",
    )


@own
@require_POST
def codes(request: OwnRequest) -> HttpResponse:
    form = ConfirmForm(request.POST)
    if request.user.has_second_factor and confirmed(request, form):
        made = new_recovery_codes()
        if done(form, lambda: store.call_sync(replace_recovery_codes, request.user.pk, made)):
            return _show_codes(request, made)
    return home_page(request, 422, codes_form=form)


# ---------------------------------------------------------------- app passwords


@own
@require_POST
def app_password_add(request: OwnRequest) -> HttpResponse:
    form = AppPasswordForm(request.POST)
    if confirmed(request, form):
        data, secret = form.cleaned_data, new_app_password(request.user.login)
        expires = timezone.now() + timedelta(days=int(data["days"])) if data["days"] else None

        def add() -> None:
            store.call_sync(
                add_credential,
                request.user.pk,
                secret,
                name=data["name"],
                scopes=data["scopes"],
                actor=request.user.login,
                expires_at=expires,
            )

        if done(form, add):
            return render(request, "security/app_password.html", {"name": data["name"], "secret": secret.secret})
    return home_page(request, 422, app_form=form)


@own
@require_POST
def app_password_revoke(request: OwnRequest) -> HttpResponse:
    name, user = request.POST.get("name", ""), request.user
    return act(
        request,
        lambda: store.call_sync(revoke_credential, user.pk, Credential.Kind.APP_PASSWORD, name, actor=user.login),
        f"{name} is shut out. Its connections end within seconds.",
    )


# ---------------------------------------------------------------- API tokens


@own
@require_POST
def api_token_add(request: OwnRequest) -> HttpResponse:
    form = ApiTokenForm(Scope(request.user), request.POST)
    if confirmed(request, form):
        data, token = form.cleaned_data, make_api_token()
        fields: dict[str, Any] = {
            "name": data["name"],
            "permissions": data["permissions"],
            "expires_at": timezone.now() + timedelta(days=int(data["days"])),
            "actor": request.user.login,
        }
        if done(form, lambda: store.call_sync(add_api_token, request.user.pk, digest(token), **fields)):
            return render(request, "security/api_token.html", {"name": data["name"], "secret": token})
    return home_page(request, 422, token_form=form)


@own
@require_POST
def api_token_revoke(request: OwnRequest) -> HttpResponse:
    name, user = request.POST.get("name", ""), request.user
    return act(
        request,
        lambda: store.call_sync(revoke_api_token, user.pk, name, actor=user.login),
        f"{name} works no more.",
    )


def _shown_tokens(user: User) -> list[tuple[ApiToken, list[str], bool]]:
    """(token, what it may do, whether it has expired)."""
    now, words = timezone.now(), {permission.value: text for permission, text in PERMITS.items()}
    rows = ApiToken.objects.filter(user=user).order_by("-created_at")
    return [
        (row, [words[name] for name in row.permissions.split() if name in words], row.expires_at <= now) for row in rows
    ]


# ---------------------------------------------------------------- browsers


@own
@require_POST
def session_end(request: OwnRequest, session_id: int) -> HttpResponse:
    ended = web_sessions.end_session(request.user, session_id)
    messages.success(request, "That browser is signed out." if ended else "It was signed out already.")
    return redirect("security:home")


@own
@require_POST
def session_end_others(request: OwnRequest) -> HttpResponse:
    count = web_sessions.end_others(request.user, request.session.session_key)
    messages.success(request, f"{count} other browser{'s are' if count != 1 else ' is'} signed out.")
    return redirect("security:home")
