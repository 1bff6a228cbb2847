"""The sign-in form."""

from __future__ import annotations

from django import forms


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
