"""The first domain and its first owner, from a link that `serve` prints while nobody can sign in as one.

The link's secret is 256 random bits, of which only the SHA-256 is kept; it is spent with the act, and void as soon as
there is an owner by another way.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from accounts.auth.scram import Keys
from accounts.keys import KeyPair
from accounts.models import Domain, Role, User
from accounts.services import names
from accounts.services.domains import create_domain
from accounts.services.errors import InvalidValue, NotFound
from accounts.services.server_values import forget_value, get_value, set_value
from accounts.services.users import create_user
from mailservers.store.transaction import Transaction

NAME = "set-up"
ACTOR = "set-up link"


@dataclass(frozen=True, slots=True)
class FirstOwner:
    login: str
    name: str
    password_hash: str
    scram_keys: Keys | None


def is_needed() -> bool:
    return not User.objects.filter(role=Role.ADMIN, is_active=True, domain__is_active=True).exists()


def new_set_up_token(tx: Transaction) -> str:
    """Makes those before it void."""
    token = secrets.token_urlsafe(32)
    set_value(tx, NAME, _digest(token))
    return token


def is_valid(token: str) -> bool:
    kept = get_value(NAME)
    return bool(kept) and secrets.compare_digest(kept, _digest(token)) and is_needed()


def set_up(tx: Transaction, token: str, owner: FirstOwner, keys: Sequence[KeyPair]) -> int:
    """The owner's id. The domain is that of the address; it may be there. Raises `NotFound` for a spent link,
    `InvalidValue`, `AlreadyExists`."""
    if not is_valid(token):
        raise NotFound("This link has been used, or there is a newer one.")
    _, at, domain = owner.login.rpartition("@")
    if not at:
        raise InvalidValue("An address has an “@”, as in anna@example.org.", "login")
    domain = names.domain_name(domain)
    if not Domain.objects.filter(name=domain).exists():
        create_domain(tx, domain, keys, actor=ACTOR)
    user_id = create_user(
        tx,
        owner.login,
        actor=ACTOR,
        name=owner.name,
        password_hash=owner.password_hash,
        role=Role.ADMIN,
        scram_keys=owner.scram_keys,
    )
    forget_value(tx, NAME)
    return user_id


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
