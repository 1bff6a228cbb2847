"""Bearer tokens (RFC 6750) for OAUTHBEARER and XOAUTH2: who is asked whether a token is good.

An issuer is an object with `check`; POSTROOM_TOKEN_ISSUERS names those that are asked, in this order. Without one
the two mechanisms are not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from django.conf import settings

from accounts.auth.app_secrets import TOKEN_PREFIX, digest, valid
from accounts.models import Credential


@dataclass(frozen=True, slots=True)
class Grant:
    """What a good token opens: this user's mail, for the service asked for. `credential_id`: where it is ours."""

    user_id: int
    credential_id: int | None = None


class TokenChecker(Protocol):
    """Blocking; called on the authentication threads."""

    def check(self, token: str, service: str) -> Grant | None:
        """None: unknown, expired, revoked, or not for this service."""


class OwnTokens:
    """Those of `manage.py tokens`."""

    def check(self, token: str, service: str) -> Grant | None:
        if not token.startswith(TOKEN_PREFIX):
            return None
        rows = valid(Credential.Kind.TOKEN, service).filter(digest=digest(token))
        row = rows.values_list("user_id", "pk").first()
        return None if row is None else Grant(*row)


ISSUERS: dict[str, TokenChecker] = {"postroom": OwnTokens()}


def is_offered() -> bool:
    return any(name in ISSUERS for name in settings.TOKEN_ISSUERS)


def check_token(token: str, service: str) -> Grant | None:
    for name in settings.TOKEN_ISSUERS:
        issuer = ISSUERS.get(name)
        grant = issuer.check(token, service) if issuer is not None else None
        if grant is not None:
            return grant
    return None
