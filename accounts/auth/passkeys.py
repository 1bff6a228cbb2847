"""Passkeys (WebAuthn level 2), by py_webauthn: what a browser is asked for, and whether its answer holds.

The relying party is the host that the page was asked for under: a passkey belongs to that name for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import webauthn
from django.http import HttpRequest
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts.models import User

MAX_ANSWER = 64 * 1024  # octets of JSON
NAME = "Postroom"


class PasskeyRefused(Exception):
    """The answer does not hold."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    credential: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What an answer claims, before it is checked. `user_handle`: whose passkey it says it is, None if it does not."""

    credential: bytes
    user_id: int | None


def registration_options(request: HttpRequest, user: User, known: Iterable[bytes]) -> tuple[str, str]:
    """(JSON for the browser, challenge to be kept in the session)."""
    options = webauthn.generate_registration_options(
        rp_id=_host(request),
        rp_name=NAME,
        user_id=str(user.pk).encode(),
        user_name=user.login,
        user_display_name=user.get_full_name(),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=credential) for credential in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )
    return webauthn.options_to_json(options), bytes_to_base64url(options.challenge)


def check_registration(request: HttpRequest, answer: str, challenge: str) -> NewPasskey:
    """Raises `PasskeyRefused`."""
    try:
        verified = webauthn.verify_registration_response(
            credential=_parsed(answer),
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=_host(request),
            expected_origin=_origin(request),
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise PasskeyRefused(str(error)) from error
    return NewPasskey(verified.credential_id, verified.credential_public_key, verified.sign_count)


def sign_in_options(request: HttpRequest, known: Iterable[bytes], *, alone: bool) -> tuple[str, str]:
    """(JSON, challenge). `alone`: without a password, so the device has to know its owner."""
    need = UserVerificationRequirement.REQUIRED if alone else UserVerificationRequirement.PREFERRED
    options = webauthn.generate_authentication_options(
        rp_id=_host(request),
        allow_credentials=[PublicKeyCredentialDescriptor(id=credential) for credential in known],
        user_verification=need,
    )
    return webauthn.options_to_json(options), bytes_to_base64url(options.challenge)


def shown(answer: str) -> Shown:
    """Raises `PasskeyRefused`."""
    parsed = _parsed(answer)
    try:
        handle = parsed.get("response", {}).get("userHandle")
        owner = base64url_to_bytes(handle).decode("ascii") if handle else ""
        return Shown(base64url_to_bytes(parsed["rawId"]), int(owner) if owner.isdigit() and len(owner) < 19 else None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PasskeyRefused("the answer is not well formed") from error


def check_sign_in(
    request: HttpRequest, answer: str, challenge: str, *, public_key: bytes, sign_count: int, alone: bool
) -> int:
    """The new sign count. Raises `PasskeyRefused`, also for a count that has gone back (a copied passkey)."""
    try:
        verified = webauthn.verify_authentication_response(
            credential=_parsed(answer),
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=_host(request),
            expected_origin=_origin(request),
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=alone,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise PasskeyRefused(str(error)) from error
    return verified.new_sign_count


def _parsed(answer: str) -> dict:
    if len(answer) > MAX_ANSWER:
        raise PasskeyRefused("the answer is too long")
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise PasskeyRefused("the answer is no JSON") from error
    if not isinstance(parsed, dict):
        raise PasskeyRefused("the answer is not well formed")
    return parsed


def _host(request: HttpRequest) -> str:
    host = request.get_host()
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


def _origin(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"
