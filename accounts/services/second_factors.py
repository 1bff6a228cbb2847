"""Second factors: added, used, taken away. Each use is a compare-and-set: no code and no recovery code works twice.

With the first factor a user's own password stops working in mail programs: they get app passwords from then on. So
`credential_version` goes up, and sessions that used it end (`accounts.auth.live`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from django.db.models import F

from accounts.auth.passkeys import NewPasskey
from accounts.models import RecoveryCode, ScramKeys, SecondFactor, User
from accounts.services import audit
from accounts.services.errors import AlreadyExists, InvalidValue, NotFound
from accounts.services.users import get_user
from mailservers.store.transaction import Transaction

MAX_FACTORS = 20
MAX_NAME = 100
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # no letters that look alike
_CODE_LETTERS = 12  # 59 bits


def new_recovery_codes() -> list[str]:
    """To be shown once: "xxxx-xxxx-xxxx"."""
    codes = ("".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LETTERS)) for _ in range(RECOVERY_CODES))
    return [f"{code[:4]}-{code[4:8]}-{code[8:]}" for code in codes]


def add_totp(tx: Transaction, user_id: int, sealed: bytes, name: str, step: int, codes: Sequence[str]) -> None:
    """Store operation: `step`: of the code that proved that the app has the secret. See `_add` for `codes`."""
    user = get_user(user_id)
    _add(user, SecondFactor(user=user, kind=SecondFactor.Kind.TOTP, name=name, secret=sealed, used_step=step), codes)


def add_passkey(tx: Transaction, user_id: int, passkey: NewPasskey, name: str, codes: Sequence[str]) -> None:
    """Store operation. Raises `AlreadyExists` for a passkey that somebody has registered."""
    user = get_user(user_id)
    if SecondFactor.objects.filter(credential=passkey.credential).exists():
        raise AlreadyExists("This passkey is registered already.", "name")
    row = SecondFactor(
        user=user,
        kind=SecondFactor.Kind.PASSKEY,
        name=name,
        credential=passkey.credential,
        public_key=passkey.public_key,
        sign_count=passkey.sign_count,
    )
    _add(user, row, codes)


def _add(user: User, row: SecondFactor, codes: Sequence[str]) -> None:
    """`codes`: recovery codes, kept only with the first factor. Raises `InvalidValue`, `AlreadyExists`."""
    row.name = " ".join(row.name.split()) or row.get_kind_display()
    if len(row.name) > MAX_NAME or not row.name.isprintable():
        raise InvalidValue("Give it a shorter name.", "name")
    mine = SecondFactor.objects.filter(user=user)
    if mine.filter(name=row.name).exists():
        raise AlreadyExists(f"There is one named {row.name} already.", "name")
    if mine.count() >= MAX_FACTORS:
        raise InvalidValue(f"There are {MAX_FACTORS} already: remove some first.", "name")
    row.save()
    if not user.has_second_factor:
        User.objects.filter(pk=user.pk).update(has_second_factor=True, credential_version=F("credential_version") + 1)
        ScramKeys.objects.filter(user=user, credential=None).delete()
        _set_codes(user, codes)
    audit.record(user.login, "second-factor.add", user.login, name=row.name, kind=row.kind)


def remove_factor(tx: Transaction, user_id: int, factor_id: int, *, actor: str) -> None:
    """Store operation. With the last one the recovery codes go, too. Raises `NotFound`."""
    user = get_user(user_id)
    row = SecondFactor.objects.filter(pk=factor_id, user=user).first()
    if row is None:
        raise NotFound("It is not here any more.")
    row.delete()
    if not SecondFactor.objects.filter(user=user).exists():
        _none_left(user)
    audit.record(actor, "second-factor.remove", user.login, name=row.name, kind=row.kind)


def remove_all_factors(tx: Transaction, user_id: int, *, actor: str) -> None:
    """Store operation, for an administrator whose user has lost them all. Raises `NotFound`."""
    user = get_user(user_id)
    SecondFactor.objects.filter(user=user).delete()
    _none_left(user)
    audit.record(actor, "second-factor.reset", user.login)


def _none_left(user: User) -> None:
    User.objects.filter(pk=user.pk).update(has_second_factor=False)
    RecoveryCode.objects.filter(user=user).delete()


def replace_recovery_codes(tx: Transaction, user_id: int, codes: Sequence[str]) -> None:
    """Store operation: the old ones stop working."""
    user = get_user(user_id)
    _set_codes(user, codes)
    audit.record(user.login, "second-factor.codes", user.login)


def _set_codes(user: User, codes: Sequence[str]) -> None:
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(code)) for code in codes)


def use_totp(tx: Transaction, factor_id: int, step: int) -> bool:
    """Store operation: False when a code of this step, or a later one, was used before."""
    rows = SecondFactor.objects.filter(pk=factor_id, used_step__lt=step)
    return rows.update(used_step=step, last_used_at=tx.now) == 1


def use_passkey(tx: Transaction, factor_id: int, sign_count: int) -> None:
    """Store operation."""
    SecondFactor.objects.filter(pk=factor_id).update(sign_count=sign_count, last_used_at=tx.now)


def use_recovery_code(tx: Transaction, user_id: int, code: str) -> bool:
    """Store operation: False when it is none, or was used."""
    gone = RecoveryCode.objects.filter(user_id=user_id, digest=_digest(code)).delete()[0]
    if gone:
        user = get_user(user_id)
        audit.record(user.login, "second-factor.recovered", user.login)
    return gone == 1


def _digest(code: str) -> bytes:
    bare = "".join(code.split()).replace("-", "").lower()
    return hashlib.sha256(bare.encode("utf-8", "replace")).digest()
