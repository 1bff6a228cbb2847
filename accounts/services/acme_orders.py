"""Certificates by ACME (RFC 8555) with HTTP-01: the account, an order, and when the next is due.

`obtain` blocks for as long as the authority takes (at most ORDER_WITHIN_S): call it in a thread. The answers to its
challenges lie in the database, so that whichever process serves the web can give them.
"""

from __future__ import annotations

import base64
import datetime
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import josepy
import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.utils import timezone

from accounts import sealing
from accounts.models import ServerCertificate
from accounts.services import audit
from accounts.services.certificates import (
    CheckedCertificate,
    check_certificate,
    facts_of,
    private_key,
    use_certificate,
)
from accounts.services.errors import AccountError, InvalidValue
from accounts.services.server_values import forget_value, get_value, set_value, take_lease
from mailservers.store.engine import store
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)

WANTED, STATE, LEASE, ACCOUNT = "acme", "acme-state", "acme-lease", "acme-account"
CHALLENGE = "acme-challenge/"
PURPOSE = b"postroom acme account"
ORDER_WITHIN_S = 120
RETRY_FIRST_S, RETRY_MAX_S = 300, 12 * 3600
NONCE_TRIES = 4  # of one request, each of them two in the library
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")  # RFC 8555 section 8.1: base64url
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")


class OrderFailed(Exception):
    """Text for people: what the authority or the network said."""


# ---------------------------------------------------------------- what the administrator wants, and what became of it


def want_acme(tx: Transaction, email: str, *, agrees: bool, actor: str) -> None:
    """From now on the certificate is got and renewed by itself. Raises `InvalidValue`."""
    if not agrees:
        raise InvalidValue("The authority issues certificates only to those who agree to its terms.", "agrees")
    if email and not _EMAIL.match(email):
        raise InvalidValue("This is no e-mail address.", "email")
    set_value(tx, WANTED, {"email": email})
    forget_value(tx, STATE)
    audit.record(actor, "acme.on", settings.HOSTNAME, directory=settings.ACME_DIRECTORY, email=email)


def stop_acme(tx: Transaction, *, actor: str) -> None:
    forget_value(tx, WANTED)
    forget_value(tx, STATE)
    audit.record(actor, "acme.off", settings.HOSTNAME)


def acme_wanted() -> dict[str, Any] | None:
    found: dict[str, Any] | None = get_value(WANTED)
    return found


def acme_state() -> dict[str, Any]:
    """`failures`, `error` and `tried_at` (seconds) of the orders since the last that succeeded."""
    return get_value(STATE) or {}


def is_due(names: Sequence[str], now: datetime.datetime) -> bool:
    """A first certificate, a renewal, or one for more names; not before its time after a failure."""
    if settings.TLS_CERT_FILE or acme_wanted() is None:
        return False
    state = acme_state()
    failures = state.get("failures", 0)
    wait_s = min(RETRY_FIRST_S * 2 ** min(failures - 1, 10), RETRY_MAX_S) if failures else 0
    if now.timestamp() < state.get("tried_at", 0) + wait_s:
        return False
    row = ServerCertificate.objects.order_by("-pk").first()
    if row is None or row.source != ServerCertificate.Source.ACME:
        return True
    facts = facts_of(row.chain.encode())
    return now >= facts.renew_at or not set(names) <= set(facts.names)


def order_if_due(names: Sequence[str]) -> bool:
    """True when there is a new certificate. Blocks; for one process at a time."""
    if not is_due(names, timezone.now()) or not store.call_sync(take_lease, LEASE, ORDER_WITHIN_S + 60):
        return False
    try:
        checked = obtain(names, (acme_wanted() or {}).get("email", ""))
        store.call_sync(use_certificate, checked, ServerCertificate.Source.ACME, actor="acme")
    except (OrderFailed, AccountError) as error:
        log.warning("no certificate for %s: %s", ", ".join(names), error)
        store.call_sync(_note_failure, str(error))
        return False
    finally:
        store.call_sync(set_value, LEASE, 0)
    store.call_sync(forget_value, STATE)
    return True


def _note_failure(tx: Transaction, error: str) -> None:
    state = acme_state()
    set_value(
        tx,
        STATE,
        {"failures": state.get("failures", 0) + 1, "error": error[:1000], "tried_at": timezone.now().timestamp()},
    )


# ---------------------------------------------------------------- the protocol


def obtain(names: Sequence[str], email: str) -> CheckedCertificate:
    """A certificate, for the key of the last one: a TLSA record then stays true (RFC 7671 section 8.1).

    Raises `OrderFailed`, and `InvalidValue` for a certificate that is none."""
    key_pem = _last_key() or _new_key()
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=ORDER_WITHIN_S)  # naive, as acme's
    try:
        authority = _authority(email)
        order = authority.new_order(crypto_util.make_csr(key_pem, list(names)))
        with _answered(authority, order):
            order = authority.poll_and_finalize(order, deadline)
    except errors.ValidationError as error:
        raise OrderFailed(_what_failed(error)) from error
    except errors.TimeoutError as error:
        raise OrderFailed("The authority did not decide in time.") from error
    except (errors.Error, messages.Error, josepy.Error, requests.RequestException, ValueError, OSError) as error:
        raise OrderFailed(f"{settings.ACME_DIRECTORY} says: {str(error)[:500]}") from error
    return check_certificate(order.fullchain_pem.encode(), key_pem)


def _last_key() -> bytes | None:
    row = ServerCertificate.objects.filter(source=ServerCertificate.Source.ACME).order_by("-pk").first()
    return None if row is None else private_key(row)


def _new_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class _Network(client.ClientNetwork):
    """The library asks once more when a nonce was not accepted; an authority that is restarted, or several behind one
    name, may refuse the next one, too (RFC 8555 section 6.5)."""

    def post(self, *args: Any, **kwargs: Any) -> Any:
        for _ in range(NONCE_TRIES - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


def _authority(email: str) -> client.ClientV2:
    """With our account, which is made at the first order."""
    net = _Network(_account_key(), user_agent="Postroom", verify_ssl=settings.ACME_CA_FILE or True)
    authority = client.ClientV2(client.ClientV2.get_directory(settings.ACME_DIRECTORY, net), net)
    registration = messages.NewRegistration.from_data(email=email or None, terms_of_service_agreed=True)
    try:
        authority.new_account(registration)
    except errors.ConflictError as known:  # RFC 8555 section 7.3.1: this key has an account
        net.account = messages.RegistrationResource(body=registration, uri=known.location)
    return authority


def _account_key() -> josepy.JWK:
    kept = get_value(ACCOUNT)
    if kept is not None:
        try:
            return josepy.JWKRSA.load(sealing.unseal(base64.b64decode(kept), PURPOSE))
        except sealing.Unreadable:
            log.warning("the ACME account's key was sealed under another SECRET_KEY: a new account is made")
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    store.call_sync(set_value, ACCOUNT, base64.b64encode(sealing.seal(pem, PURPOSE)).decode())
    return josepy.JWKRSA(key=josepy.ComparableRSAKey(key))


@contextmanager
def _answered(authority: client.ClientV2, order: messages.OrderResource) -> Iterator[None]:
    """The HTTP-01 challenges of all names can be answered, and the authority knows."""
    names = []
    try:
        for authorization in order.authorizations:
            if authorization.body.status == messages.STATUS_VALID:
                continue
            challenge = _http_01(authorization)
            response, text = challenge.response_and_validation(authority.net.key)
            names.append(CHALLENGE + challenge.chall.encode("token"))
            store.call_sync(set_value, names[-1], text)
            authority.answer_challenge(challenge, response)
        yield
    finally:
        for name in names:
            store.call_sync(forget_value, name)


def _http_01(authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
    for challenge in authorization.body.challenges:
        if isinstance(challenge.chall, challenges.HTTP01):
            return challenge
    raise OrderFailed(f"The authority offers no HTTP-01 challenge for {authorization.body.identifier.value}.")


def _what_failed(error: errors.ValidationError) -> str:
    reasons = [
        f"{authorization.body.identifier.value}: {challenge.error.detail}"
        for authorization in error.failed_authzrs
        for challenge in authorization.body.challenges
        if challenge.error is not None
    ]
    return "The authority could not reach us on port 80. " + "; ".join(reasons)


def key_authorization(token: str) -> str | None:
    """What the authority wants to read at /.well-known/acme-challenge/<token>."""
    text: str | None = get_value(CHALLENGE + token) if _TOKEN.match(token) else None
    return text
