"""What is typed into the security pages."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.auth.app_secrets import SCOPES
from accounts.roles import Permission, Scope

PERMITS = {
    Permission.OVERVIEW: "See the overview",
    Permission.DOMAINS: "See domains",
    Permission.CHANGE_DOMAINS: "Change domains",
    Permission.OWN_DOMAINS: "Add and delete domains",
    Permission.USERS: "See users",
    Permission.CHANGE_USERS: "Add, change and delete users",
    Permission.ADDRESSES: "See aliases and groups",
    Permission.CHANGE_ADDRESSES: "Add, change and delete aliases and groups",
    Permission.SENDERS: "Block and trust senders",
    Permission.TRACE: "Follow messages",
    Permission.QUEUE: "See the queue",
    Permission.CHANGE_QUEUE: "Act on the queue",
    Permission.ROUTES: "Change the routes of outgoing mail",
    Permission.REPORTS: "See reports",
    Permission.AUDIT: "See the audit",
    Permission.SERVER: "Look after the server",
}
SERVICES = {"imap": "IMAP (reading)", "pop3": "POP3 (fetching)", "smtp": "SMTP (sending)"}


def _text(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "input", "autocomplete": "off", **attrs})


def _password(complete: str) -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"class": "input", "autocomplete": complete})


class ChangePasswordForm(forms.Form):
    current = forms.CharField(label="Password now", max_length=1024, strip=False, widget=_password("current-password"))
    password = forms.CharField(
        label="New password",
        max_length=1024,
        strip=False,
        help_text="At least 10 characters. Mail programs that use the old one have to be told.",
        widget=_password("new-password"),
    )


class ConfirmForm(forms.Form):
    """Before something that would let a thief stay: the password once more."""

    current = forms.CharField(label="Your password", max_length=1024, strip=False, widget=_password("current-password"))


class TotpForm(ConfirmForm):
    name = forms.CharField(
        label="Name",
        max_length=100,
        required=False,
        widget=_text(placeholder="My phone"),
        help_text="To tell it from others.",
    )
    code = forms.CharField(
        label="Code", max_length=20, widget=_text(inputmode="numeric", autocomplete="one-time-code"),
        help_text="The six digits that the app shows.",
    )  # fmt: skip
    field_order = ("code", "name", "current")


class AppPasswordForm(ConfirmForm):
    name = forms.CharField(label="Where it is used", max_length=100, widget=_text(placeholder="Thunderbird at home"))
    scopes = forms.MultipleChoiceField(
        label="What it opens",
        choices=[(scope, SERVICES[scope]) for scope in SCOPES],
        initial=list(SCOPES),
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.ChoiceField(
        label="Works for",
        choices=(("", "ever"), ("30", "30 days"), ("365", "a year")),
        required=False,
        widget=forms.Select(attrs={"class": "input"}),
    )
    field_order = ("name", "scopes", "days", "current")


class ApiTokenForm(ConfirmForm):
    """`scope`: of the owner, who gives away a part of it."""

    name = forms.CharField(
        label="Which program uses it", max_length=100, widget=_text(placeholder="Provisioning script")
    )
    permissions = forms.MultipleChoiceField(label="What it may do", choices=(), widget=forms.CheckboxSelectMultiple)
    days = forms.ChoiceField(
        label="Works for",
        choices=(("1", "a day"), ("30", "30 days"), ("90", "90 days"), ("365", "a year")),
        initial="90",
        widget=forms.Select(attrs={"class": "input"}),
    )
    field_order = ("name", "permissions", "days", "current")

    def __init__(self, scope: Scope, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["permissions"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(each.value, PERMITS[each]) for each in Permission if scope.may(each)]
