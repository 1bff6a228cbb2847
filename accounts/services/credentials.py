"""App passwords and access tokens: made, listed, revoked. The secret itself is shown once and never kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from accounts.auth.app_secrets import SCOPES, bare, digest, make_app_password, make_token
from accounts.auth.door import save_scram_keys
from accounts.auth.scram import Keys
from accounts.models import Credential
from accounts.services import audit
from accounts.services.errors import AlreadyExists, InvalidValue, NotFound
from accounts.services.passwords import scram_keys_for
from accounts.services.users import get_user
from mailservers.store.transaction import Transaction

MAX_CREDENTIALS = 100  # a user
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret before it is stored; `secret` is for the user's eyes only."""

    kind: Credential.Kind
    secret: str
    digest: bytes
    scram_keys: Keys | None = None


def new_app_password(login: str) -> NewSecret:
    """About 15 ms where SCRAM is on. SCRAM clients must use the letters as they are shown."""
    secret = make_app_password()
    return NewSecret(Credential.Kind.APP_PASSWORD, secret, digest(bare(secret)), scram_keys_for(login, secret))


def new_token() -> NewSecret:
    secret = make_token()
    return NewSecret(Credential.Kind.TOKEN, secret, digest(secret))


def add_credential(
    tx: Transaction,
    user_id: int,
    secret: NewSecret,
    *,
    name: str,
    scopes: Collection[str],
    actor: str,
    expires_at: datetime | None = None,
) -> int:
    """Its id. Raises `NotFound`, `InvalidValue`, `AlreadyExists` (the name, with this user)."""
    user = get_user(user_id)
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidValue("Give it a name that says where it is used.", "name")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidValue(f"The scopes are {', '.join(SCOPES)}.", "scopes")
    if expires_at is not None and expires_at <= tx.now:
        raise InvalidValue("It would have expired already.", "expires_at")
    mine = Credential.objects.filter(user=user)
    if mine.filter(kind=secret.kind, name=name).exists():
        raise AlreadyExists(f"There is one named {name} already.", "name")
    if mine.count() >= MAX_CREDENTIALS:
        raise InvalidValue(f"There are {MAX_CREDENTIALS} already: revoke some first.", "name")
    row = mine.create(
        user=user,
        kind=secret.kind,
        name=name,
        digest=secret.digest,
        scopes=" ".join(scope for scope in SCOPES if scope in scopes),
        expires_at=expires_at,
    )
    if secret.scram_keys is not None:
        save_scram_keys(user_id, row.pk, secret.scram_keys)
    audit.record(actor, f"{secret.kind}.add", user.login, name=name, scopes=row.scopes)
    return row.pk


def revoke_credential(tx: Transaction, user_id: int, kind: Credential.Kind, name: str, *, actor: str) -> None:
    """Sessions that signed in with it end within seconds (`accounts.auth.live`). Raises `NotFound`."""
    user = get_user(user_id)
    if not Credential.objects.filter(user=user, kind=kind, name=name).delete()[0]:
        raise NotFound(f"{user.login} has none named {name}.", "name")
    audit.record(actor, f"{kind}.revoke", user.login, name=name)
