"""The reports that we owe: for each day that is over and each domain that was seen, if it asks for them.

The numbers of a day and domain are deleted in the transaction that puts the report into the queue, so it is sent once,
by whichever process comes first. A report that goes by HTTPS is posted first: a crash in between posts it again, under
the same id, as RFC 8460 section 5.4 allows.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from accounts.models import Domain
from mailservers.checks.dmarc import organizational_domain
from mailservers.dns_client import BadName, DnsClient, DnsFailure
from mailservers.formats.dmarc import ReportUri, is_dmarc, parse_dmarc
from mailservers.formats.mailbox_address import InvalidAddress, domain_to_ascii
from mailservers.formats.reports import DMARC, TLS, Tally
from mailservers.formats.reports.tls_json import report_uris
from mailservers.formats.tag_list import TagListError
from mailservers.outbound.https import FetchFailed, post
from mailservers.outbound.resolve import MailResolver
from mailservers.outbound.signing import Signer
from mailservers.reporting.letters import Letter, dmarc_letter, tls_letter
from mailservers.store.content import NewMessage, prepare_async
from mailservers.store.engine import store
from mailservers.store.events import Step, new_trace_id
from mailservers.store.placing import Delivery, QueueEntry, write_deliveries
from mailservers.store.tallies import forget_tallies, read_tallies, tallied
from mailservers.store.transaction import Event, Transaction

log = logging.getLogger(__name__)

MAX_FACTS = 5_000  # different lines in one report
SPREAD_S = 4 * 3600  # not everybody's reports at midnight (RFC 8460 section 4.1)
GIVE_UP = timedelta(days=3)  # the domain's name servers do not answer


class _AskAgain(Exception):
    """The DNS did not say who wants the report."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a report goes."""

    addresses: tuple[ReportUri, ...] = ()
    urls: tuple[str, ...] = ()


class Reporter:
    """`send_due` once an hour."""

    def __init__(self) -> None:
        self._resolver = MailResolver()
        self._signer = Signer()

    async def send_due(self) -> None:
        """Reports of the days that are over."""
        today = timezone.now().date()
        sender = await store.read(_sender) if settings.REPORTS else ""
        for kind in (DMARC, TLS):
            for day, domain in await store.read(tallied, kind, today):
                if not sender:
                    await store.call(_drop, kind, day, domain)
                elif _is_due(day, domain):
                    await self._report(kind, day, domain, sender)

    async def _report(self, kind: str, day: datetime.date, domain: str, sender: str) -> None:
        wants = _wants_dmarc if kind == DMARC else _wants_tls
        try:
            wanted = await wants(self._resolver.dns, domain)
        except _AskAgain:
            if timezone.now().date() - day < GIVE_UP:
                return
            wanted = Wanted()
        if not wanted.addresses and not wanted.urls:
            await store.call(_drop, kind, day, domain)
            return
        rows = await store.read(read_tallies, kind, day, domain, MAX_FACTS)
        compose = dmarc_letter if kind == DMARC else tls_letter
        letter = compose(domain, day, sender, [Tally(facts, count) for facts, count in rows])
        await self._post(letter, wanted.urls)
        addresses = tuple(uri.address for uri in wanted.addresses if len(letter.packed) <= (uri.max_octets or 2**62))
        if not addresses:
            await store.call(_drop, kind, day, domain)
            return
        raw = letter.message(addresses)
        message = await prepare_async(await self._signer.sign(raw) + raw)
        if await store.call(_queue, kind, day, domain, message, sender, addresses):
            log.info("the %s report of %s for %s is on its way", kind, day, domain)

    async def _post(self, letter: Letter, urls: Sequence[str]) -> None:
        for url in urls:
            try:
                await post(self._resolver, url, letter.packed, letter.media_type)
            except FetchFailed as error:
                log.info("the report for %s could not be posted: %s", letter.domain, error)


def _is_due(day: datetime.date, domain: str) -> bool:
    """Within the first hours of the next day, at a moment that is always the same for a domain."""
    digest = hashlib.sha256(f"{settings.HOSTNAME} {domain}".encode()).digest()
    midnight = datetime.datetime.combine(day + timedelta(days=1), datetime.time(), datetime.UTC)
    return timezone.now() >= midnight + timedelta(seconds=int.from_bytes(digest[:4], "big") % SPREAD_S)


def _sender() -> str:
    """The address our reports come from; "" while there is no domain of ours that could sign them."""
    domain = Domain.objects.filter(is_active=True, dkim_keys__is_active=True).order_by("pk").first()
    try:
        return f"{settings.REPORTS_LOCAL_PART}@{domain_to_ascii(domain.name)}" if domain is not None else ""
    except InvalidAddress:
        return ""


# ---------------------------------------------------------------- who wants it


async def _ask(dns: DnsClient, name: str) -> tuple[bytes, ...]:
    try:
        return (await dns.ask(name, "TXT")).records
    except DnsFailure as error:
        raise _AskAgain from error
    except BadName:
        return ()


async def _wants_tls(dns: DnsClient, domain: str) -> Wanted:
    uris = report_uris(await _ask(dns, f"_smtp._tls.{domain}"))
    mails = tuple(ReportUri(uri[7:].partition("?")[0]) for uri in uris if uri.lower().startswith("mailto:"))
    return Wanted(
        tuple(uri for uri in mails if "@" in uri.address), tuple(u for u in uris if u.lower().startswith("https:"))
    )


async def _wants_dmarc(dns: DnsClient, domain: str) -> Wanted:
    records = [record for record in await _ask(dns, f"_dmarc.{domain}") if is_dmarc(record)]
    if len(records) != 1:
        return Wanted()
    try:
        uris = parse_dmarc(records[0]).reports
    except TagListError:
        return Wanted()
    return Wanted(tuple([uri for uri in uris if await _may_report_to(dns, domain, uri.address)]))


async def _may_report_to(dns: DnsClient, domain: str, address: str) -> bool:
    """RFC 7489 section 7.1: another organisation has to agree to get a domain's reports."""
    try:
        host = domain_to_ascii(address.rpartition("@")[2].lower())
    except InvalidAddress:
        return False
    if organizational_domain(host) == organizational_domain(domain):
        return True
    return any(is_dmarc(record) for record in await _ask(dns, f"{domain}._report._dmarc.{host}"))


# ---------------------------------------------------------------- store operations


def _drop(tx: Transaction, kind: str, day: datetime.date, domain: str) -> None:
    forget_tallies(kind, day, domain)


def _queue(
    tx: Transaction,
    kind: str,
    day: datetime.date,
    domain: str,
    message: NewMessage,
    sender: str,
    addresses: tuple[str, ...],
) -> bool:
    """False: another process has reported it."""
    if not forget_tallies(kind, day, domain):
        return False
    trace_id = new_trace_id()
    entry = QueueEntry(trace_id, "", addresses, tx.now + timedelta(seconds=settings.QUEUE_LIFETIME_S))
    about = f"{kind.upper()} report about {day} for {domain}, from {sender}"
    events = tuple(Event(trace_id, Step.QUEUED, recipient=a, detail=f"Waiting to be sent: {about}") for a in addresses)
    (outcome,) = write_deliveries(tx, [Delivery(message, (), entry, events)])
    if isinstance(outcome, Exception):
        raise outcome
    return True
