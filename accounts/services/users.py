"""Users: create, change, set the password, switch off and on. Deleting is in `removal`.

An installation always keeps one administrator who can sign in (`must_leave_an_admin`).
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.hashers import make_password
from django.db.models import F

from accounts.auth.door import save_scram_keys
from accounts.auth.scram import Keys
from accounts.models import Address, Domain, OneTimeLink, Role, ScramKeys, User
from accounts.services import audit, names
from accounts.services.errors import AlreadyExists, InvalidValue, NotAllowed, NotFound
from mailservers.delivery import routing
from mailservers.store.mailboxes import create_standard_mailboxes
from mailservers.store.transaction import Transaction


def create_user(
    tx: Transaction,
    login: str,
    *,
    actor: str,
    name: str = "",
    password_hash: str | None = None,
    role: str = Role.USER,
    scope: Sequence[int] = (),
    quota_octets: int = 0,
    quota_messages: int = 0,
    scram_keys: Keys | None = None,
) -> int:
    """The new user's id; INBOX and the other standard mailboxes are there too. `password_hash` None: nobody can
    sign in with a password until one is set. Raises `InvalidValue`, `NotFound` (domain), `AlreadyExists`."""
    login, domain_name = names.own_address(login)
    domain = Domain.objects.filter(name=domain_name).first()
    if domain is None:
        raise NotFound(f"{domain_name} is not one of our domains: add the domain first.", "login")
    must_be_free(login, "login")
    user = User.objects.create(
        login=login,
        domain=domain,
        name=names.display_name(name),
        password=password_hash or make_password(None),
        role=names.role(role),
        quota_octets=names.checked_quota(quota_octets),
        quota_messages=names.checked_message_quota(quota_messages),
    )
    user.scope.set(_scope(role, scope))
    if scram_keys is not None:
        save_scram_keys(user.pk, None, scram_keys)
    create_standard_mailboxes(tx, [user.pk])
    audit.record(actor, "user.create", login, role=user.role, quota_octets=quota_octets, quota_messages=quota_messages)
    tx.after_commit.append(routing.forget)
    return user.pk


def update_user(
    tx: Transaction,
    user_id: int,
    *,
    name: str,
    role: str,
    quota_octets: int,
    quota_messages: int = 0,
    scope: Sequence[int] | None = None,
    stores_sent: bool | None = None,
    tags_to_folders: bool | None = None,
    actor: str,
) -> None:
    """What is None stays. The audit entry holds what changed, as [before, after].

    Raises `NotFound`, `InvalidValue`, `NotAllowed`."""
    user = get_user(user_id)
    new: dict[str, str | int] = {
        "name": names.display_name(name),
        "role": names.role(role).value,
        "quota_octets": names.checked_quota(quota_octets),
        "quota_messages": names.checked_message_quota(quota_messages),
    }
    new |= {
        field: value
        for field, value in (("stores_sent", stores_sent), ("tags_to_folders", tags_to_folders))
        if value is not None
    }
    changed = {field: [getattr(user, field), value] for field, value in new.items() if getattr(user, field) != value}
    before = sorted(user.scope.values_list("name", flat=True))
    if scope is not None or "role" in changed:
        user.scope.set(_scope(role, scope or ()))
    after = sorted(user.scope.values_list("name", flat=True))
    if after != before:
        changed["scope"] = [", ".join(before), ", ".join(after)]
    if not changed:
        return
    if "role" in changed and user.login == actor:
        raise NotAllowed("You cannot take the administrator's role from yourself.", "role")
    for field, value in new.items():
        setattr(user, field, value)
    user.save(update_fields=list(new))
    if "role" in changed:
        must_leave_an_admin()
    audit.record(actor, "user.update", user.login, **changed)
    tx.after_commit.append(routing.forget)  # it knows who has a quota, and where tags lead


def _scope(role: str, domain_ids: Sequence[int]) -> Sequence[int]:
    """Only the roles between user and owner have one. Raises `InvalidValue`, `NotFound`."""
    if role not in (Role.DOMAIN_ADMIN, Role.SUPPORT):
        return ()
    if not domain_ids:
        raise InvalidValue("Choose the domains that this person looks after.", "scope")
    if Domain.objects.filter(pk__in=domain_ids).count() != len(set(domain_ids)):
        raise NotFound("One of these domains is not here any more.", "scope")
    return domain_ids


def set_password(
    tx: Transaction, user_id: int, password_hash: str, *, actor: str, scram_keys: Keys | None = None
) -> None:
    """`password_hash` from `hash_typed` or `hash_given`, `scram_keys` from `scram_keys_for`. Every remembered login
    and sign-in link ends, and every session that signed in with the old password. Raises `NotFound`."""
    user = get_user(user_id)
    User.objects.filter(pk=user_id).update(password=password_hash, credential_version=F("credential_version") + 1)
    ScramKeys.objects.filter(user=user, credential=None).delete()
    if scram_keys is not None:
        save_scram_keys(user_id, None, scram_keys)
    OneTimeLink.objects.filter(user=user).delete()
    audit.record(actor, "user.password", user.login)


def note_one_time_link(tx: Transaction, user_id: int, *, sets_password: bool = False, actor: str) -> None:
    """For the record, before a one-time link is made (`accounts.sign_in.tokens`). Raises `NotFound`, `NotAllowed`."""
    user = get_user(user_id)
    if not (user.is_active and user.domain.is_active):
        raise NotAllowed(f"{user.login} is switched off and cannot sign in.")
    audit.record(actor, "user.invite" if sets_password else "user.link", user.login)


def set_user_active(tx: Transaction, user_id: int, is_active: bool, *, actor: str) -> None:
    """Off: cannot sign in, and mail for the address is refused; everything stays. Raises `NotFound`, `NotAllowed`."""
    user = get_user(user_id)
    if user.is_active == is_active:
        return
    if user.login == actor:
        raise NotAllowed("You cannot switch off your own account.")
    if user.removal_clock_s is not None:
        raise NotAllowed(f"{user.login} is deleted: restore it instead.")
    lock_out(user, is_active)
    if user.is_admin:
        must_leave_an_admin()
    audit.record(actor, "user.enable" if is_active else "user.disable", user.login)
    tx.after_commit.append(routing.forget)


def lock_out(user: User, is_active: bool = False) -> None:
    """Set `is_active` and end every remembered login."""
    User.objects.filter(pk=user.pk).update(is_active=is_active, credential_version=F("credential_version") + 1)
    OneTimeLink.objects.filter(user=user).delete()


def get_user(user_id: int) -> User:
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise NotFound("This user is not here any more.")
    return user


def must_be_free(address: str, field: str) -> None:
    """An address is one user's login or one alias or group, never two things."""
    if User.objects.filter(login=address).exists():
        raise AlreadyExists(f"{address} is a user's login already.", field)
    if Address.objects.filter(address=address).exists():
        raise AlreadyExists(f"{address} is an alias or group already.", field)


def must_leave_an_admin() -> None:
    """Called after an administrator has lost something: raises `NotAllowed` (and so undoes it) when none is left."""
    if not User.objects.filter(role=Role.ADMIN, is_active=True, domain__is_active=True).exists():
        raise NotAllowed("This is the last administrator who can sign in: make another one first.")
