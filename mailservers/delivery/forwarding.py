"""The reverse-path of what is sent on for others (SRS): an alias that leads elsewhere passes mail on in the name of its
own domain, so that SPF passes at the next host, and what bounces comes back here and goes home (`routing`).

Sent on as it is: an empty reverse-path, one of our own domains, and one that would become too long for SMTP.
"""

from __future__ import annotations

from django.conf import settings

from accounts.models import Domain
from mailservers.delivery.envelope import Envelope
from mailservers.delivery.rewriting import onward_path
from mailservers.formats.mailbox_address import InvalidAddress, domain_to_ascii
from mailservers.store.engine import store


async def set_onward_path(envelope: Envelope) -> None:
    """Before the delivery is planned; asks the database only when mail of strangers is sent on."""
    if envelope.sender_id is not None or not envelope.reverse_path or not settings.SRS_DAYS:
        return
    forwarder = next((r.address for r in envelope.recipients if r.resolution.remote), None)
    if forwarder is None or await store.read(_is_ours, envelope.reverse_path.rpartition("@")[2].lower()):
        return
    try:
        domain = domain_to_ascii(forwarder.rpartition("@")[2])
    except InvalidAddress:
        return
    envelope.onward_path = onward_path(envelope.reverse_path, domain)


def _is_ours(domain: str) -> bool:
    return Domain.objects.filter(name=domain).exists()
