"""What keeps being looked at after going live: the certificate, the records in the DNS, block lists.

Something that was fine and is not any more becomes an alert: on the overview, and by one mail to every owner; so does
its end. What never was fine (an installation that is being set up) is no news, except a certificate that ends.
What could not be asked changes nothing. All of it is one `ServerValue`, by subject.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import Domain, Role, ServerCertificate, User
from accounts.sealing import Unreadable
from accounts.services.acme_orders import acme_state
from accounts.services.certificates import WARN_DAYS, facts_of, stored_certificate
from accounts.services.dns_checks import RecordState, check_records
from accounts.services.dns_records import DnsRecord, host_records, records_of
from accounts.services.outside import on_lists, public_addresses
from accounts.services.server_values import get_value, set_value, take_lease
from mailservers.models import Mailbox
from mailservers.serving.certificates import pem_in_use
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Append, lock_mailboxes, write_appends
from mailservers.store.transaction import Transaction

log = logging.getLogger(__name__)

NAME, LEASE = "watched", "watch-lease"
FIRST_AFTER_S, EVERY_S = 300.0, 1800.0
LEASE_S = 900


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing as it is now. `matters`: it is an alert even when it never was fine."""

    subject: str
    title: str
    is_good: bool | None  # None: could not be found out
    words: str = ""
    matters: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    title: str
    words: str
    since: datetime


class Watching:
    """In the process that sends, as a lease makes sure that only one looks."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="watching")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        await asyncio.sleep(FIRST_AFTER_S)
        while True:
            try:
                await watch()
            except Exception:
                log.warning("looking after certificate, DNS and lists failed", exc_info=True)
            await asyncio.sleep(EVERY_S)


async def watch() -> None:
    """One round."""
    if not await store.call(take_lease, LEASE, LEASE_S):
        return
    try:
        certificate, domains = await store.read(_at_home)
        seen = [certificate]
        for records in domains:  # one after the other: nobody waits
            seen += await _records(records)
        addresses = await public_addresses()
        seen += await _records(list(host_records(addresses)))
        for address in addresses:
            seen += [Seen(f.what, f.what, f.is_good, f.words) for f in await on_lists(address)]
        await store.call(note_seen, seen)
    finally:
        await store.call(set_value, LEASE, 0)


def _at_home() -> tuple[Seen, list[list[DnsRecord]]]:
    domains = Domain.objects.filter(is_active=True).order_by("pk")
    return _certificate(), [list(records_of(domain)) for domain in domains]


def _certificate() -> Seen:
    subject, title = "certificate", f"The certificate of {settings.HOSTNAME}"
    try:
        facts = facts_of(pem_in_use(stored_certificate()))
    except (Unreadable, OSError, ValueError):
        return Seen(subject, title, False, "It could not be read.", matters=True)
    is_own = not settings.TLS_CERT_FILE and not ServerCertificate.objects.exists()
    if facts.is_self_signed:
        return Seen(subject, title, False, "It is self-signed.", matters=not is_own)
    if not facts.covers(settings.HOSTNAME):
        return Seen(subject, title, False, "It does not name this host.", matters=True)
    if facts.days_left < WARN_DAYS:
        why = acme_state().get("error", "")
        words = f"It ends on {facts.not_after:%-d %B %Y}. " + (f"The last order failed: {why}" if why else "")
        return Seen(subject, title, False, words.strip(), matters=True)
    return Seen(subject, title, True)


async def _records(records: Sequence[DnsRecord]) -> list[Seen]:
    return [
        Seen(
            f"dns {row.record.type} {row.record.name} {row.record.what}",
            f"{row.record.type} record of {row.record.name}",
            None if row.state is RecordState.UNKNOWN else row.state is RecordState.FINE,
            row.words or ("It is missing." if row.state is RecordState.MISSING else ""),
        )
        for row in await check_records(records)
    ]


# ---------------------------------------------------------------- what is news


def compare(before: dict[str, Any], seen: Sequence[Seen], now: datetime) -> tuple[dict[str, Any], list[Seen]]:
    """What to remember, and the changes. What is not looked at any more (a domain that went) is forgotten."""
    after, news = {}, []
    for one in seen:
        old = before.get(one.subject)
        if one.is_good is None:
            if old is not None:
                after[one.subject] = old
            continue
        was_alert = bool(old and old["alert"])
        was_good = old is not None and (old["is_good"] or was_alert)
        alert = not one.is_good and (one.matters or was_good)
        since = old["since"] if old is not None and old["is_good"] == one.is_good else now.isoformat()
        after[one.subject] = {**asdict(one), "alert": alert, "since": since}
        if alert != was_alert:
            news.append(one)
    return after, news


def note_seen(tx: Transaction, seen: Sequence[Seen]) -> None:
    """Remember, and tell the owners what has changed, in one transaction."""
    after, news = compare(get_value(NAME) or {}, seen, timezone.now())
    set_value(tx, NAME, after)
    if news:
        _tell_owners(tx, news)


def alerts() -> list[Alert]:
    """The oldest first."""
    rows = [row for row in (get_value(NAME) or {}).values() if row["alert"]]
    found = [Alert(row["title"], row["words"], datetime.fromisoformat(row["since"])) for row in rows]
    return sorted(found, key=lambda alert: alert.since)


def _tell_owners(tx: Transaction, news: Sequence[Seen]) -> None:
    owners = dict(
        User.objects.filter(role=Role.ADMIN, is_active=True, domain__is_active=True).values_list("pk", "login")
    )
    inboxes = Mailbox.objects.filter(owner_id__in=list(owners), name="INBOX").values_list("pk", "owner_id")
    owner_of = dict(inboxes)
    lock_mailboxes(sorted(owner_of))
    appends = [
        Append(owner_id, inbox_id, [(prepare(_mail(owners[owner_id], news)), 0, (), None)])
        for inbox_id, owner_id in owner_of.items()
    ]
    for outcome in write_appends(tx, appends):
        if isinstance(outcome, Exception):  # no room: the overview shows it all the same
            log.warning("an owner could not be told of an alert: %s", outcome)


def _mail(login: str, news: Sequence[Seen]) -> bytes:
    """The whole message, CRLF line ends."""
    bad = [one for one in news if not one.is_good]
    good = [one for one in news if one.is_good]
    subject = bad[0].title if len(bad) == 1 else f"{len(bad)} things need you" if bad else "Fine again"
    lines = [
        "Return-Path: <>",
        f"From: Mail system <postmaster@{login.rpartition('@')[2]}>",
        f"To: <{login}>",
        f"Subject: {settings.HOSTNAME}: {subject}"[:200],
        f"Date: {format_datetime(timezone.localtime())}",
        f"Message-ID: <alert-{secrets.token_hex(12)}@{settings.HOSTNAME}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
    ]
    for words, group in (("This was fine and needs you now:", bad), ("This is fine again:", good)):
        if group:
            lines += [words, "", *(f"- {one.title}. {_one_line(one.words)}".rstrip() for one in group), ""]
    lines += ["The console’s page “Go live” shows what has to be done.", ""]
    return "\r\n".join(lines).encode()


def _one_line(words: str) -> str:
    return " ".join(words.split())[:500]
