"""Users: list, add, change, new password, sign-in link, switch off, delete."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db.models import F, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.console.access import StaffRequest, add_store_error, attempt, found, must_hold, needs, page
from accounts.console.paging import page_after, words_of
from accounts.models import Domain, Role, User
from accounts.roles import Permission, Scope
from accounts.services import (
    create_user,
    delete_user,
    names,
    note_one_time_link,
    remove_user,
    restore_user,
    set_password,
    set_user_active,
    typed_or_made,
    update_user,
)
from accounts.services.removal import days_left
from accounts.services.second_factors import remove_all_factors
from accounts.sign_in.tokens import INVITATION_LIFETIME, LIFETIME, make_one_time_link, make_password_link
from mailservers.models import Mailbox
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.quota import Allowance, room_of


def _text(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "input", **attrs})


class PasswordForm(forms.Form):
    password = forms.CharField(
        label="Password",
        required=False,
        max_length=1024,
        strip=False,
        help_text="At least 10 characters. Leave it empty to have one made.",
        widget=forms.PasswordInput(attrs={"class": "input", "autocomplete": "new-password"}),
    )

    def new_password(self, user: User | None = None) -> tuple[str, str]:
        """(the password if it was made here, its hash). Raises `InvalidValue`."""
        return typed_or_made(self.cleaned_data["password"] or None, user)


class QuotaForm(forms.Form):
    """The two limits; empty is none."""

    quota = forms.CharField(
        label="Quota",
        required=False,
        max_length=30,
        help_text="500M, 2G, …; empty is no limit.",
        widget=_text(placeholder="no limit", autocomplete="off"),
    )
    quota_messages = forms.CharField(
        label="Most messages",
        required=False,
        max_length=30,
        help_text="20,000, …; empty is no limit.",
        widget=_text(placeholder="no limit", autocomplete="off", inputmode="numeric"),
    )

    def limits(self) -> tuple[int, int]:
        """(octets, messages). Raises `InvalidValue`."""
        data = self.cleaned_data
        return names.quota(data["quota"]), names.message_quota(data["quota_messages"])


def quota_initial(row: User | Domain) -> dict[str, str]:
    """The limits as the form holds them."""
    return {"quota": names.quota_field(row.quota_octets), "quota_messages": str(row.quota_messages or "")}


ROLES = {
    Role.USER: "User: mail only",
    Role.SUPPORT: "Support: follows messages of some domains, reads none",
    Role.DOMAIN_ADMIN: "Domain administrator: looks after some domains",
    Role.ADMIN: "Owner: everything",
}


class UserForm(QuotaForm):
    name = forms.CharField(label="Name", required=False, max_length=200, widget=_text(autocomplete="off"))
    role = forms.ChoiceField(label="Role", choices=(), widget=forms.Select(attrs={"class": "input"}))
    scope = forms.MultipleChoiceField(
        label="Looks after",
        required=False,
        help_text="For a domain administrator or support: these domains. An owner looks after everything.",
        widget=forms.CheckboxSelectMultiple,
    )
    field_order: tuple[str, ...] = ("name", "role", "scope", "quota", "quota_messages")

    def __init__(self, scope: Scope, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role, domains = self.fields["role"], self.fields["scope"]
        assert isinstance(role, forms.ChoiceField) and isinstance(domains, forms.ChoiceField)
        role.choices = [(role, ROLES[role]) for role in scope.roles()]
        if len(role.choices) == 1:
            del self.fields["scope"]  # nothing to choose from
        else:
            domains.choices = [
                (str(pk), name) for pk, name in scope.domains().order_by("name").values_list("pk", "name")
            ]

    def domain_ids(self) -> list[int]:
        return [int(pk) for pk in self.cleaned_data.get("scope", ())]


class UserSettingsForm(UserForm):
    stores_sent = forms.BooleanField(
        label="Put mail that a mail client hands in into Sent, too",
        required=False,
        help_text="For clients that keep no copy themselves; others would make a second one.",
    )
    tags_to_folders = forms.BooleanField(
        label="Put mail for name+folder@… into that folder",
        required=False,
        help_text="Where there is such a folder; else into the INBOX.",
    )


class NewUserForm(PasswordForm, UserForm):
    login = forms.CharField(
        label="E-mail address",
        max_length=330,
        help_text="The address is also the login.",
        widget=_text(inputmode="email", autocapitalize="none", spellcheck="false", autocomplete="off"),
    )
    invites = forms.BooleanField(
        label="Leave the password to the person: you get a link to hand over",
        required=False,
        help_text="It works once, for 7 days. A password that is typed above counts instead.",
    )
    field_order = ("login", "name", "password", "invites", "role", "scope", "quota", "quota_messages")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = "At least 10 characters. Empty: they choose one themselves, or one is made."


@needs(Permission.USERS)
def user_list(request: StaffRequest) -> HttpResponse:
    rows = request.remit.users().annotate(used=F("usage__octets"))
    words = words_of(request, "q")
    for word in words.split()[:5]:
        rows = rows.filter(Q(login__icontains=word) | Q(name__icontains=word))
    return page(request, "users.html", "users", {"page": page_after(request, rows, "login"), "q": words})


@sensitive_post_parameters()
@needs(Permission.CHANGE_USERS)
def user_new(request: StaffRequest) -> HttpResponse:
    form = NewUserForm(request.remit, request.POST or None, initial=_new_user(request))
    if request.method == "POST" and form.is_valid():
        try:
            is_invited = form.cleaned_data["invites"] and not form.cleaned_data["password"]
            made, password_hash = ("", None) if is_invited else form.new_password()
            must_hold(request.remit, form.cleaned_data["login"], "login")
            login = names.own_address(form.cleaned_data["login"])[0]
            octets, count = form.limits()
            store.call_sync(
                create_user,
                login,
                actor=request.user.login,
                name=form.cleaned_data["name"],
                password_hash=password_hash,
                role=form.cleaned_data["role"],
                scope=form.domain_ids(),
                quota_octets=octets,
                quota_messages=count,
            )
        except StoreError as error:
            add_store_error(form, error)
        else:
            created = User.objects.get(login=login)
            if is_invited:
                return _invitation(request, created, f"{login} is here")
            return _secret(request, created, f"{login} is here", "Password", made)
    domains = list(request.remit.domains().order_by("name").values_list("name", flat=True)[:200])
    return page(request, "user_new.html", "users", {"form": form, "domains": domains}, 422 if form.errors else 200)


def _new_user(request: StaffRequest) -> dict[str, object]:
    return {"role": Role.USER, "login": _login_start(request), "invites": True}


def _login_start(request: StaffRequest) -> str:
    """From a domain's page: "@" and the domain, to be completed."""
    name = request.GET.get("domain", "")
    return f"@{name}" if request.remit.domains().filter(name=name).exists() else ""


@needs(Permission.USERS)
def user(request: StaffRequest, user_id: int) -> HttpResponse:
    row = found(request.remit.users().select_related("domain"), pk=user_id)
    form = UserSettingsForm(request.remit, request.POST or None, initial=_settings_of(row))
    if request.method == "POST":
        found(_changeable(request), pk=user_id)
    if request.method == "POST" and form.is_valid():
        try:
            octets, count = form.limits()
            changes = {
                "name": form.cleaned_data["name"],
                "role": form.cleaned_data["role"],
                "scope": form.domain_ids() if "scope" in form.fields else None,
                "quota_octets": octets,
                "quota_messages": count,
                "stores_sent": form.cleaned_data["stores_sent"],
                "tags_to_folders": form.cleaned_data["tags_to_folders"],
            }
            saved = attempt(
                request,
                lambda: store.call_sync(update_user, user_id, actor=request.user.login, **changes),
                f"{row.login} is saved.",
            )
            if saved:
                return redirect("console:user", user_id)
        except StoreError as error:
            add_store_error(form, error)
    return _user_page(request, row, form, PasswordForm(), 422 if form.errors else 200)


def _changeable(request: StaffRequest) -> QuerySet[User]:
    """Those that this person may change: none without the permission."""
    rows = request.remit.changeable_users()
    return rows if request.remit.may(Permission.CHANGE_USERS) else rows.none()


def _settings_of(row: User) -> dict[str, object]:
    return {
        "name": row.name,
        "role": row.role,
        "scope": [str(pk) for pk in row.scope.values_list("pk", flat=True)],
        "stores_sent": row.stores_sent,
        "tags_to_folders": row.tags_to_folders,
        **quota_initial(row),
    }


def fills(held: Allowance) -> int | None:
    """How full, in percent, by the limit that is nearer; None without a limit."""
    pairs = ((held.octets, held.limit_octets), (held.messages, held.limit_messages))
    return max((used * 100 // limit for used, limit in pairs if limit), default=None)


def _user_page(
    request: StaffRequest, row: User, form: UserForm, password_form: PasswordForm, status: int = 200
) -> HttpResponse:
    room = room_of(row.pk)
    boxes = Mailbox.objects.filter(owner=row).count()
    addresses = request.remit.addresses().filter(targets__user=row).order_by("address")
    changes = _changeable(request).filter(pk=row.pk).exists()
    context = {
        "row": row,
        "changes": changes,
        "form": form,
        "password_form": password_form,
        "addresses": addresses,
        "devices": row.devices.select_related("credential").order_by("-seen_at")[:20],
        "boxes": boxes,
        "days_left": days_left(row),
        "removal_days": settings.REMOVAL_DAYS,
    }
    if room is not None:
        context |= {"message_count": room.own.messages, "size": room.own.octets, "fills": fills(room.own)}
    return page(request, "user.html", "users", context, status)


@sensitive_post_parameters()
@needs(Permission.CHANGE_USERS)
@require_POST
def user_password(request: StaffRequest, user_id: int) -> HttpResponse:
    row = found(_changeable(request).select_related("domain"), pk=user_id)
    form = PasswordForm(request.POST)
    if form.is_valid():
        try:
            made, password_hash = form.new_password(row)
            store.call_sync(set_password, user_id, password_hash, actor=request.user.login)
        except StoreError as error:
            add_store_error(form, error)
        else:
            row.refresh_from_db()
            if row.pk == request.user.pk:
                update_session_auth_hash(request, row)
            return _secret(request, row, f"{row.login} has a new password", "Password", made)
    return _user_page(request, row, UserSettingsForm(request.remit, initial=_settings_of(row)), form, 422)


@needs(Permission.CHANGE_USERS)
@require_POST
def user_link(request: StaffRequest, user_id: int) -> HttpResponse:
    row = found(_changeable(request), pk=user_id)
    try:
        store.call_sync(note_one_time_link, user_id, actor=request.user.login)
    except StoreError as error:
        messages.error(request, str(error))
        return redirect("console:user", user_id)
    link = request.build_absolute_uri(make_one_time_link(user_id))
    hours = int(LIFETIME.total_seconds() // 3600)
    note = f"It works once, within {hours} hours. Whoever has it signs in as {row.login}."
    return _secret(request, row, f"A sign-in link for {row.login}", "Link", link, note)


@needs(Permission.CHANGE_USERS)
@require_POST
def user_invite(request: StaffRequest, user_id: int) -> HttpResponse:
    row = found(_changeable(request), pk=user_id)
    try:
        return _invitation(request, row, f"A link for {row.login} to choose a password")
    except StoreError as error:
        messages.error(request, str(error))
        return redirect("console:user", user_id)


def _invitation(request: StaffRequest, row: User, title: str) -> HttpResponse:
    store.call_sync(note_one_time_link, row.pk, sets_password=True, actor=request.user.login)
    link = request.build_absolute_uri(make_password_link(row.pk))
    note = f"It works once, within {INVITATION_LIFETIME.days} days. Whoever has it chooses {row.login}’s password."
    return _secret(request, row, title, "Link", link, note)


def _secret(request: StaffRequest, row: User, title: str, label: str, secret: str, note: str = "") -> HttpResponse:
    """Shown in the answer itself and never again: it is kept nowhere."""
    context = {
        "row": row,
        "title": title,
        "label": label,
        "secret": secret,
        "note": note,
        "back": reverse("console:user", args=[row.pk]),
    }
    return page(request, "secret.html", "users", context)


@needs(Permission.CHANGE_USERS)
@require_POST
def user_second_factor(request: StaffRequest, user_id: int) -> HttpResponse:
    """For a user who has lost phone and recovery codes."""
    row = found(_changeable(request), pk=user_id)
    attempt(
        request,
        lambda: store.call_sync(remove_all_factors, user_id, actor=request.user.login),
        f"{row.login} signs in with the password alone now.",
    )
    return redirect("console:user", user_id)


@needs(Permission.CHANGE_USERS)
@require_POST
def user_active(request: StaffRequest, user_id: int) -> HttpResponse:
    row = found(_changeable(request), pk=user_id)
    wanted = request.POST.get("active") == "1"
    attempt(
        request,
        lambda: store.call_sync(set_user_active, user_id, wanted, actor=request.user.login),
        f"{row.login} is {'on' if wanted else 'off'}.",
    )
    return redirect("console:user", user_id)


@needs(Permission.CHANGE_USERS)
@require_POST
def user_delete(request: StaffRequest, user_id: int) -> HttpResponse:
    row = found(_changeable(request), pk=user_id)
    act = remove_user if request.POST.get("now") == "1" else delete_user
    done = attempt(request, lambda: act(user_id, actor=request.user.login), f"{row.login} was deleted.")
    return redirect("console:users") if done else redirect("console:user", user_id)


@needs(Permission.CHANGE_USERS)
@require_POST
def user_restore(request: StaffRequest, user_id: int) -> HttpResponse:
    row = found(_changeable(request), pk=user_id)
    attempt(
        request,
        lambda: store.call_sync(restore_user, user_id, actor=request.user.login),
        f"{row.login} is back, with all mail.",
    )
    return redirect("console:user", user_id)
