"""The MTA-STS policy that we publish for a domain of ours (RFC 8461 section 3.2), and its DNS record.

Others hold us to it for `max_age`, so it is served in mode "testing" until an administrator says "enforce".
"""

from __future__ import annotations

import hashlib

from django.conf import settings

from accounts.models import Domain
from accounts.services import audit
from accounts.services.domains import get_domain
from accounts.services.errors import InvalidValue
from mailservers.formats.mta_sts import MODES
from mailservers.store.transaction import Transaction

MODES_EXPLAINED = {
    "none": "No policy: others may send to us as they like",
    "testing": "Others report what would fail, and send all the same",
    "enforce": "Others send over TLS with a valid certificate for the mail host, or not at all",
}
MAX_AGE_S = {"none": 24 * 3600, "testing": 24 * 3600, "enforce": 30 * 24 * 3600}


def policy_text(domain: Domain) -> str:
    """The file at https://mta-sts.<domain>/.well-known/mta-sts.txt."""
    mode = domain.mta_sts_mode
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in settings.MX_HOSTS)]
    return "\r\n".join([*lines, f"max_age: {MAX_AGE_S[mode]}"]) + "\r\n"


def record_value(domain: Domain) -> str:
    """The TXT record at _mta-sts.<domain>: its id changes when the policy does."""
    return f"v=STSv1; id={hashlib.sha256(policy_text(domain).encode()).hexdigest()[:20]}"


def set_mta_sts_mode(tx: Transaction, domain_id: int, mode: str, *, actor: str) -> None:
    """Raises `NotFound`, `InvalidValue`."""
    domain = get_domain(domain_id)
    if mode not in MODES:
        raise InvalidValue(f"The mode is one of {', '.join(MODES)}.", "mode")
    if domain.mta_sts_mode == mode:
        return
    audit.record(actor, "domain.mta-sts", domain.name, before=domain.mta_sts_mode, after=mode)
    domain.mta_sts_mode = mode
    domain.save(update_fields=["mta_sts_mode"])
