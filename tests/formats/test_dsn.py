"""Notices, read back with the standard library."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats.dsn import MAX_HEADER_OCTETS, Action, Notice, RecipientReport, build_notice
from mailservers.formats.mime import scan

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
HEADER = (
    b"From: anna@harbour.test\r\nSubject: =?utf-8?q?Gezeiten=C3=BCbersicht?=\r\nMessage-ID: <1@harbour.test>\r\n\r\n"
)
NO_SUCH_USER = RecipientReport(
    "bob@remote.test", "5.1.1", "550-5.1.1 no\n550 5.1.1 such user", "", "mx.remote.test", NOW
)


def notice(*recipients: RecipientReport, **changes: object) -> Notice:
    fields: dict = {
        "action": Action.FAILED,
        "reporting_mta": "mx.harbour.test",
        "sender": "anna@harbour.test",
        "message_id": "<t2@mx.harbour.test>",
        "written_at": NOW,
        "arrived_at": NOW - timedelta(hours=1),
        "trace_id": "0abc",
        "recipients": recipients or (NO_SUCH_USER,),
        "header": HEADER,
    }
    return Notice(**{**fields, **changes})


def parse(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def test_failure() -> None:
    message = parse(build_notice(notice()))
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert message["To"] == "anna@harbour.test"
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mx.harbour.test>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<1@harbour.test>"
    assert message["Subject"] == "Could not be delivered: your message to bob@remote.test"
    human, status, header = message.iter_parts()
    text = human.get_content()
    for words in ("bob@remote.test", "550 5.1.1 such user", "mx.remote.test", "typing mistakes", "Gezeitenübersicht"):
        assert words in text
    whole, one = status.get_payload()
    assert whole["Reporting-MTA"] == "dns; mx.harbour.test"
    assert one["Final-Recipient"] == "rfc822; bob@remote.test"
    assert (one["Action"], one["Status"], one["Remote-MTA"]) == ("failed", "5.1.1", "dns; mx.remote.test")
    assert " ".join(one["Diagnostic-Code"].split()) == "smtp; 550-5.1.1 no 550 5.1.1 such user"
    assert one["Last-Attempt-Date"] == "Mon, 02 Nov 2026 10:00:00 +0000"
    assert header.get_content_type() == "text/rfc822-headers"
    assert header.get_payload(decode=True).splitlines() == HEADER[:-2].splitlines()


def test_several_recipients_and_our_own_words() -> None:
    gone = RecipientReport("cid@nowhere.test", "5.1.2", explanation="there is no domain nowhere.test", last_attempt=NOW)
    message = parse(build_notice(notice(NO_SUCH_USER, gone)))
    _, status, _ = message.iter_parts()
    _, first, second = status.get_payload()
    assert first["Final-Recipient"] == "rfc822; bob@remote.test"
    assert second["Remote-MTA"] is None
    assert second["Diagnostic-Code"] == "x-postroom; there is no domain nowhere.test"
    assert message["Subject"] == "Could not be delivered: your message to 2 recipients"


def test_delay() -> None:
    waiting = RecipientReport(
        "bob@remote.test", "4.4.1", "", "no answer", last_attempt=NOW, retry_until=NOW + timedelta(days=5)
    )
    message = parse(build_notice(notice(waiting, action=Action.DELAYED)))
    human, status, _ = message.iter_parts()
    assert "need not do anything" in " ".join(human.get_content().split())
    one = status.get_payload()[1]
    assert (one["Action"], one["Will-Retry-Until"]) == ("delayed", "Sat, 07 Nov 2026 10:00:00 +0000")


def test_utf8_addresses_take_the_types_of_rfc_6533() -> None:
    utf8 = RecipientReport("bébé@remote.test", "5.6.7", "", "not taken: bébé@remote.test", last_attempt=NOW)
    raw = build_notice(notice(utf8, header="From: bébé@harbour.test\r\nSubject: x\r\n\r\n".encode()))
    assert raw.isascii()
    message = parse(raw)
    _, status, header = message.iter_parts()
    assert status.get_content_type() == "message/global-delivery-status"
    assert b"Final-Recipient: utf-8; b=C3=A9b=C3=A9@remote.test" in raw
    assert header.get_content_type() == "message/global-headers"


def test_an_old_charset_in_the_header_passes_as_it_is() -> None:
    raw = build_notice(notice(header=b"Subject: caf\xe9\r\n\r\n"))
    _, _, header = parse(raw).iter_parts()
    assert header.get_content_type() == "text/rfc822-headers"
    assert header.get_payload(decode=True) == b"Subject: caf\xe9\r\n"


def test_a_huge_header_is_cut_between_lines() -> None:
    raw = build_notice(notice(header=b"X-Line: 0123456789\r\n" * 50_000 + b"\r\n"))
    assert len(raw) < MAX_HEADER_OCTETS * 1.2 + 5000
    _, _, header = parse(raw).iter_parts()
    assert set(header.get_content().splitlines()) == {"X-Line: 0123456789"}


ANY = st.text(max_size=60) | st.text("a@. \r\n:-<>\x00é", max_size=2000)


@settings(max_examples=60, deadline=None)
@given(address=ANY, reply=ANY, explanation=ANY, host=ANY, sender=ANY, header=st.binary(max_size=300))
def test_nothing_breaks_out(address: str, reply: str, explanation: str, host: str, sender: str, header: bytes) -> None:
    """Whatever hosts and senders say: three parts, no field of theirs in our header, lines within the limit."""
    report = RecipientReport(address, "5.0.0", reply, explanation, host, NOW)
    raw = build_notice(notice(report, sender=sender, header=header))
    top, _, rest = raw.partition(b"\r\n\r\n")
    assert rest.isascii()
    assert [line.split(b":")[0] for line in top.split(b"\r\n") if line[:1] != b"\t"] in (
        [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"MIME-Version", b"Content-Type"],
        [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"In-Reply-To", b"References", b"Auto-Submitted",
         b"MIME-Version", b"Content-Type"],
    )  # fmt: skip
    assert len(scan(raw).children) == 3
    assert b"\r" not in raw.replace(b"\r\n", b"") and b"\n" not in raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in rest.split(b"\r\n"))
