"""Greylisting: a first contact that looks doubtful is asked to come again. Programs that only ever try once do not.

Remembered are (network of the peer, reverse-path, reader): what came again after GREYLIST_DELAY_S passes from then on.
"""

from __future__ import annotations

import hashlib
import ipaddress

from django.conf import settings

from mailservers.checks.opinion import Facts, Opinion, Reason, Refusal
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.greylist import seen_before

REFUSAL = Refusal(451, "4.7.1", "Greylisted: please try again in a few minutes")


async def greylist(facts: Facts, opinion: Opinion) -> Reason | None:
    """A reason to ask for another try, or None. A permanent refusal needs none."""
    if not settings.GREYLIST or not facts.readers or opinion.refusal is not None:
        return None
    score = opinion.score()
    trusted = any(reason.name == "rule.allow" for reason in opinion.reasons)
    if score < settings.GREYLIST_SCORE or trusted:
        return None
    try:
        if await store.call(seen_before, keys(facts), settings.GREYLIST_DELAY_S):
            return None
    except StoreError:
        return None  # the delivery will say so itself
    return Reason("greylist.first_contact", 0.0, "doubtful and never seen before", refusal=REFUSAL)


def keys(facts: Facts) -> list[bytes]:
    """One for each reader; the peer's network, since large senders try again from a neighbour."""
    prefix = 24 if facts.peer.version == 4 else 64
    network = ipaddress.ip_network(f"{facts.peer}/{prefix}", strict=False)
    return [
        hashlib.sha256(f"{network} {facts.reverse_path.lower()} {reader.user_id}".encode()).digest()[:16]
        for reader in facts.readers
    ]
