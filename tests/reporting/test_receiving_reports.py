"""Others' reports: they come in by mail, are read in the background, and show up as numbers."""

from __future__ import annotations

import gzip
from datetime import timedelta
from email.message import EmailMessage

import pytest

from accounts.models import Address, AddressTarget, Domain, User
from mailservers.delivery.acceptance import accept
from mailservers.delivery.envelope import Envelope, Recipient
from mailservers.delivery.routing import resolve
from mailservers.models import MailboxMessage, Message, ReceivedReport, ReceivedReportRow
from mailservers.reporting.reading import read_reports
from mailservers.smtp.server import SERVICES
from mailservers.store.engine import store
from mailservers.store.reports import forget_reports
from tests.checks.conftest import send, stored
from tests.dialog import listening

from .test_report_files import GOOD


def letter(content: bytes, number: int = 1) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "noreply@big.test", "reports@harbour.test", f"Report {number}"
    mail.set_content("A report.")
    mail.add_attachment(content, "application", "gzip", filename="report.gz")
    return mail.as_bytes().replace(b"\n", b"\r\n")


async def arrive(*letters: bytes) -> None:
    async with listening(SERVICES[0]) as port:
        for raw in letters:
            assert (await send(port, raw, "noreply@big.test", "reports@harbour.test"))[0] == 250


async def test_both_kinds_are_read(anna: User) -> None:
    await arrive(*(letter(gzip.compress(good)) for good in GOOD))
    assert await ReceivedReport.objects.filter(message__isnull=False).acount() == 2
    await read_reports()
    rows = {row.kind: row async for row in ReceivedReport.objects.all()}
    assert (rows["dmarc"].domain, rows["dmarc"].organisation, rows["dmarc"].good) == (
        "sender.test",
        "mx.harbour.test",
        1,
    )
    assert (rows["tls"].domain, rows["tls"].good, rows["tls"].bad) == ("remote.test", 0, 1)
    line = await ReceivedReportRow.objects.aget(report=rows["dmarc"])
    assert (line.source, line.detail["disposition"]) == ("192.0.2.1", "none")
    assert not await Message.objects.aexists(), "what has been read is not kept"
    assert not await stored(anna)


async def test_a_report_that_comes_twice_counts_once(anna: User) -> None:
    await arrive(*(letter(gzip.compress(GOOD[0]), number) for number in (1, 2)))
    await read_reports()
    assert await ReceivedReport.objects.acount() == 1
    assert not await Message.objects.aexists()


@pytest.mark.parametrize(
    "content",
    [b"no report", gzip.compress(b"<feedback>"), gzip.compress(b"x" * 100)[:-8]],
    ids=["no report", "cut XML", "cut gzip"],
)
async def test_what_cannot_be_read_is_kept_and_says_why(anna: User, content: bytes) -> None:
    await arrive(letter(content))
    await read_reports()
    row = await ReceivedReport.objects.aget()
    assert row.trouble and row.message_id
    await ReceivedReport.objects.aupdate(received_at="2026-01-01T00:00:00Z")
    await read_reports()
    assert not await ReceivedReport.objects.aexists() and not await Message.objects.aexists()


async def test_somebody_who_has_the_address_gets_the_mail(anna: User) -> None:
    alias = await Address.objects.acreate(domain_id=anna.domain_id, address="reports@harbour.test")
    await AddressTarget.objects.acreate(address=alias, user=anna)
    await arrive(letter(gzip.compress(GOOD[0])))
    assert len(await stored(anna)) == 1 and not await ReceivedReport.objects.aexists()


async def test_a_report_to_a_person_too(anna: User) -> None:
    """The content stays as long as a mailbox holds it."""
    async with listening(SERVICES[0]) as port:
        raw = letter(gzip.compress(GOOD[0]))
        assert (await send(port, raw, "noreply@big.test", "reports@harbour.test", "anna@harbour.test"))[0] == 250
    await read_reports()
    assert await MailboxMessage.objects.acount() == 1 and await Message.objects.acount() == 1
    assert await store.call(forget_reports, timedelta(0)) == 1


async def test_one_of_us_may_hand_one_in(anna: User) -> None:
    """Over submission, like any other address of ours."""
    envelope = Envelope("t1", anna.login, "127.0.0.1", sender_id=anna.pk, sender_login=anna.login)
    envelope.recipients.append(Recipient("reports@harbour.test", await resolve("reports@harbour.test")))
    await accept(envelope, letter(gzip.compress(GOOD[1])))
    await read_reports()
    assert (await ReceivedReport.objects.aget()).kind == "tls"


@pytest.mark.parametrize("domain", ["bäcker.test", "xn--bcker-gra.test"])
async def test_the_address_in_the_record_is_one_of_a_labels(anna: User, domain: str) -> None:
    """However the domain is kept: the DNS names it in A-labels."""
    await Domain.objects.acreate(name=domain)
    assert (await resolve("reports@xn--bcker-gra.test")).takes_reports
