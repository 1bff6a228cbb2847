"""The sign-in form."""

from __future__ import annotations

from django import forms


class ChoosePasswordForm(forms.Form):
    """With an invitation, or when the old one is lost."""

    password = forms.CharField(
        label="New password",
        max_length=1024,
        strip=False,
        help_text="At least 10 characters. A few words that belong together only for you are good.",
        widget=forms.PasswordInput(attrs={"class": "input", "autocomplete": "new-password", "autofocus": True}),
    )


class SignInForm(forms.Form):
    """Login and password; whether they are right is `accounts.auth.door`'s business."""

    login = forms.CharField(
        label="E-mail address",
        max_length=320,
        widget=forms.EmailInput(
            attrs={"class": "input", "autocomplete": "username", "autofocus": True, "spellcheck": "false"}
        ),
    )
    password = forms.CharField(
        label="Password",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "input", "autocomplete": "current-password"}),
    )
