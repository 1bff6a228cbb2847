"""App passwords and access tokens: made here, known only by their SHA-256 (they are random: no slow hash is needed).

An app password has 26 letters and digits, written in groups ("k3fv-9x2p-…"); case, spaces and hyphens do not count.
A token for mail protocols begins with "prt_", one for the API with "pra_".
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Credential

SCOPES = ("imap", "pop3", "smtp")  # the services that a secret can open; the browser wants the user's own password
TOKEN_PREFIX = "prt_"
API_TOKEN_PREFIX = "pra_"
_RANDOM_OCTETS = 16
_APP_PASSWORD = re.compile(r"[a-z2-7]{26}")


def make_app_password() -> str:
    letters = base64.b32encode(secrets.token_bytes(_RANDOM_OCTETS)).decode("ascii").rstrip("=").lower()
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def make_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(_RANDOM_OCTETS)


def make_api_token() -> str:
    return API_TOKEN_PREFIX + secrets.token_urlsafe(_RANDOM_OCTETS)


def bare(app_password: str) -> str:
    """Without what people add or lose on the way."""
    return re.sub(r"[\s-]", "", app_password).lower()


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def find_app_password(user_id: int, password: str, service: str) -> int | None:
    """The id of this user's app password for the service; None when it is none."""
    candidate = bare(password)
    if not _APP_PASSWORD.fullmatch(candidate):
        return None
    rows = valid(Credential.Kind.APP_PASSWORD, service).filter(user_id=user_id, digest=digest(candidate))
    return rows.values_list("pk", flat=True).first()


def valid(kind: Credential.Kind, service: str) -> QuerySet[Credential]:
    """Credentials that open the service now. Scopes are few and short: compared as words in the query."""
    padded = Q(scopes=service) | Q(scopes__startswith=f"{service} ")
    padded |= Q(scopes__endswith=f" {service}") | Q(scopes__contains=f" {service} ")
    alive = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return Credential.objects.filter(padded & alive, kind=kind)
