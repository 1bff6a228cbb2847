"""The demo organisation's mail: what the store, the protocols and the webmail may rely on."""

import re
import sys
import zipfile
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from functools import cache
from io import BytesIO

import pytest

from mailservers import demo
from mailservers.demo import DemoMessage

NOW = datetime(2026, 6, 14, 10, 30, tzinfo=UTC)
MOMENTS = (
    NOW,
    datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
    datetime(2026, 3, 1, 0, 10, tzinfo=timezone(timedelta(hours=14))),
)


@cache
def copies(now: datetime = NOW) -> tuple[DemoMessage, ...]:
    return tuple(demo.messages(now))


@cache
def header(raw: bytes) -> Message:
    """The header section as plain strings: quick, for fields that are US-ASCII."""
    return BytesHeaderParser().parsebytes(raw)


def date(raw: bytes) -> datetime:
    return parsedate_to_datetime(header(raw)["Date"])


@cache
def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def distinct() -> list[EmailMessage]:
    return [parsed(raw) for raw in dict.fromkeys(copy.raw for copy in copies())]


@cache
def subjects() -> dict[str, EmailMessage]:
    return {str(m["Subject"]): m for m in distinct()}


def with_subject(start: str) -> EmailMessage:
    return next(message for subject, message in subjects().items() if subject.startswith(start))


def plain_text(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return part.get_content()


def test_three_people_and_one_admin():
    people = demo.people()
    assert [p.role for p in people].count("admin") == 1
    assert {p.role for p in people} == {"admin", "user"}
    assert len(people) == 3 == len({p.login for p in people})
    assert all(p.login.endswith(f"@{demo.DOMAIN}") for p in people)


def test_aliases_lead_to_people():
    logins = {p.login for p in demo.people()}
    assert all(address.endswith(f"@{demo.DOMAIN}") for address in demo.ALIASES)
    assert all(members and set(members) <= logins for members in demo.ALIASES.values())
    assert not logins & set(demo.ALIASES)
    assert set(demo.ALIASES[f"team@{demo.DOMAIN}"]) == logins


@pytest.mark.parametrize("now", MOMENTS)
def test_about_two_hundred_over_half_a_year_none_in_the_future(now):
    mail = copies(now)
    dates = [m.internal_date for m in mail]
    assert 180 <= len(mail) <= 240
    assert dates == sorted(dates)
    assert now - timedelta(minutes=10) < dates[-1] <= now
    assert timedelta(days=150) < now - dates[0] < timedelta(days=200)
    assert all(d.utcoffset() is not None for d in dates)
    for m in mail:
        assert date(m.raw) <= m.internal_date <= now


def test_owners_mailboxes_and_flags():
    owners = {p.login for p in demo.people()}
    assert {m.owner for m in copies()} == owners
    mailboxes = {m.mailbox for m in copies()}
    wanted = {"INBOX", "Sent", "Drafts", "Archive", "Junk", "Trash", "Projects/Harbour", "Lists/maintainers"}
    assert mailboxes == wanted
    assert {f for m in copies() for f in m.flags} == {"\\Seen", "\\Flagged", "\\Answered", "\\Draft"}
    for m in copies():
        assert (m.mailbox == "Drafts") == ("\\Draft" in m.flags)
        assert m.mailbox not in {"Sent", "Drafts"} or "\\Seen" in m.flags
        assert m.mailbox != "Junk" or "$Junk" in m.keywords
    for owner in owners:
        unseen = [m for m in copies() if m.owner == owner and m.mailbox == "INBOX" and "\\Seen" not in m.flags]
        assert 1 <= len(unseen) <= 15


def test_line_endings_and_line_lengths():
    for m in copies():
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", m.raw)
        assert m.raw.endswith(b"\r\n")
        assert max(map(len, m.raw.split(b"\r\n"))) <= 998


def test_no_mailbox_holds_a_message_twice():
    counts = Counter((m.owner, m.mailbox, m.raw) for m in copies())
    assert max(counts.values()) == 1
    by_id = defaultdict(set)
    for m in copies():
        by_id[header(m.raw)["Message-ID"]].add(m.raw)
    assert len(by_id) >= 150
    assert max(len(forms) for forms in by_id.values()) == 2  # one's own post, and as the list sent it back


def test_mail_among_colleagues_is_the_same_bytes_in_sent_and_inbox():
    sent = {m.raw: m.owner for m in copies() if m.mailbox == "Sent"}
    received = [m for m in copies() if m.mailbox == "INBOX" and m.raw in sent]
    assert len(received) >= 20
    assert all(m.owner != sent[m.raw] for m in received)


def test_every_message_has_its_header_fields_once():
    for m in copies():
        message = header(m.raw)
        for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"):
            assert len(message.get_all(name, [])) == 1 or (name == "To" and m.mailbox == "Drafts"), name


def test_received_from_outside_carries_a_trace():
    for m in copies():
        message = header(m.raw)
        outside = f"@{demo.DOMAIN}>" not in str(message["From"])
        if outside and m.mailbox not in {"Sent", "Drafts"}:
            assert message["Return-Path"] is not None
            assert len(message.get_all("Received")) >= 2


def test_threads_resolve_and_answers_come_after():
    for now in MOMENTS:
        mail = {m.raw: header(m.raw) for m in copies(now)}
        dates = {m["Message-ID"]: date(raw) for raw, m in mail.items()}
        answers = [m for m in mail.values() if m["In-Reply-To"]]
        assert len(answers) >= 70
        for m in answers:
            references = str(m["References"]).split()
            assert references[-1] == m["In-Reply-To"]
            assert set(references) <= set(dates)
            times = [dates[r] for r in (*references, m["Message-ID"])]
            assert times == sorted(times)
        assert max(len(m["References"].split()) for m in answers) >= 3


def test_whoever_answers_has_what_is_answered_and_it_is_marked():
    held = {(m.owner, header(m.raw)["Message-ID"]): m for m in copies()}
    for m in copies():
        parent = header(m.raw)["In-Reply-To"]
        if m.mailbox == "Sent" and parent:
            original = held[m.owner, parent]
            assert original.mailbox == "Sent" or "\\Answered" in original.flags


def test_same_seed_and_moment_same_bytes():
    assert tuple(demo.messages(NOW.astimezone(timezone(timedelta(hours=9))))) == copies()
    assert [m.raw for m in demo.messages(NOW, seed=7)] != [m.raw for m in copies()]


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        demo.messages(datetime(2026, 6, 14))


def test_little_work():
    """About 0.1 s on an idle core. Calls are counted, because times on a shared machine vary tenfold."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        list(demo.messages(NOW))
    finally:
        sys.setprofile(None)
    assert calls < 700_000  # a call and its return are two


@pytest.mark.parametrize(
    ("charset", "subject", "text"),
    [
        ("iso-8859-1", "AW: Lärche für einen Lotsenkutter", "die säge ich nächste Woche frisch aus den Blöcken"),
        ("iso-8859-15", "Versandanzeige: 46 Bohlen Lärche", "Fällig sind 9.870,00 € innerhalb"),
        ("iso-8859-2", "Liny konopne", "trzy pokrętki, smołowane drzewną"),
        ("iso-8859-7", "Χαρτιά για τους", "είμαι η γραμματέας του Νίκου"),
        ("windows-1251", "Экскурсия для парусного", "на яхте «Ёлка»"),
        ("koi8-r", "Лоцманские катера", "я прочитала о вашем катере в бюллетене музея"),
        ("iso-2022-jp", "Re: 青銅製キールボルト", "古い船が再び海に出るのは、うれしいことですね。"),
        ("shift_jis", "梅干しが届きましたか", "今年の梅は小さいけれど、"),
        ("gb18030", "关于船用电机的报价", "防护等级IP67,带温度传感器"),
        ("big5", "想為貴廠的引水船製作模型", "我是台灣一個帆船模型社的成員"),
        ("windows-1256", "تحية من ورشة الصواري", "الخشبية على الساحل منذ خمسة أجيال"),
        ("utf-8", "🏖️🐚 olha o que encontrei!! 😄", "Encontrei uma tábua na praia com um número: 1931 😱"),
        ("utf-8", "木造船レガッタのご案内 ⛵", "秋の木造船レガッタの日程が決まりました。"),
    ],
)
def test_charset_gives_the_intended_text(charset, subject, text):
    message = with_subject(subject)
    body = message.get_body(("plain",))
    assert body.get_content_charset() == charset
    assert text in body.get_content()
    assert "\N{REPLACEMENT CHARACTER}" not in body.get_content()


def test_encoded_words_are_of_both_kinds_in_many_charsets():
    words = {
        (charset.lower().decode(), encoding.decode())
        for m in copies()
        for charset, encoding in re.findall(rb"=\?([\w-]+)\?([QB])\?[^?]+\?=", m.raw.partition(b"\r\n\r\n")[0])
    }
    assert {e for _, e in words} == {"Q", "B"}
    assert len({c for c, _ in words}) >= 11
    for m in copies():
        for word in re.findall(rb"=\?[^?]+\?[QB]\?[^?]*\?=", m.raw.partition(b"\r\n\r\n")[0]):
            assert len(word) <= 75  # RFC 2047 section 2


def test_smtputf8_message_has_raw_header_fields():
    raw = next(m.raw for m in copies() if "Subject: 木造船".encode() in m.raw)
    assert "From: 健太 <健太@船の会.example>".encode() in raw
    assert b"UTF8SMTPS" in raw


def test_transfer_encodings():
    used = Counter(
        str(part["Content-Transfer-Encoding"] or "none")
        for message in distinct()
        for part in message.walk()
        if not part.is_multipart()
    )
    assert all(used[cte] >= 5 for cte in ("7bit", "8bit", "quoted-printable", "base64"))


def test_text_parts_decode_and_have_no_leftovers():
    for message in distinct():
        for part in message.walk():
            if part.get_content_maintype() == "text":
                text = part.get_content()
                assert "\N{REPLACEMENT CHARACTER}" not in text
                assert not re.search(r"\{(day|date|dmy|ymd|dm|m|d)\b", text)


def attachments() -> dict[str, EmailMessage]:
    return {
        str(part.get_filename()): part
        for message in distinct()
        for part in message.walk()
        if part.get_content_disposition() == "attachment"
    }


@pytest.mark.parametrize(
    "name",
    [
        "Angebot Lärche für Kutter „Sanderling“ – Größen und Preise.pdf",  # continued parameters (RFC 2231)
        "Facture n° 2207 – à régler.pdf",  # an encoded word
        "tarifa_año_señor_ñandú.csv",  # iso-8859-1
        "Корма, лист 1.png",  # koi8-r
        "キールボルト図面.pdf",
        "first-peak.patch",
    ],
)
def test_file_names(name):
    assert name in attachments()


def test_attachments_are_real_files():
    files = {name: part.get_content() for name, part in attachments().items()}
    endings = {name.rpartition(".")[2] for name in files}
    assert {"pdf", "csv", "png", "zip", "patch"} <= endings
    for name, data in files.items():
        if name.endswith(".pdf"):
            assert data.startswith(b"%PDF-1.4") and data.endswith(b"%%EOF\n")
            xref = int(re.search(rb"startxref\n(\d+)", data)[1])
            assert data[xref : xref + 4] == b"xref"
        elif name.endswith(".png"):
            assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
        elif name.endswith(".zip"):
            assert zipfile.ZipFile(BytesIO(data)).testzip() is None


def test_forwards_and_reports_hold_a_whole_message():
    inner = [
        part.get_content()
        for message in distinct()
        for part in message.walk()
        if part.get_content_type() == "message/rfc822"
    ]
    assert len(inner) >= 3
    ids = {m["Message-ID"] for m in distinct()}
    assert all(message["Message-ID"] in ids for message in inner)


def test_delivery_status_notifications():
    reports = [m for m in distinct() if m.get_content_type() == "multipart/report"]
    actions = []
    for report in reports:
        assert report.get_param("report-type") == "delivery-status"
        assert report["Return-Path"] == "<>"
        human, status, original = report.iter_parts()
        assert human.get_content_type() == "text/plain"
        per_message, per_recipient = status.get_payload()
        assert per_message["Reporting-MTA"] == f"dns; mail.{demo.DOMAIN}"
        assert per_recipient["Final-Recipient"].startswith("rfc822; ")
        assert original.get_content_type() in {"message/rfc822", "text/rfc822-headers"}
        actions.append(per_recipient["Action"])
    assert sorted(actions) == ["delayed", "delivered", "failed", "failed"]


def test_calendar_objects():
    methods = Counter()
    for message in distinct():
        for part in message.walk():
            if part.get_content_type() == "text/calendar":
                lines = part.get_content().replace("\r\n ", "").replace("\n ", "").splitlines()
                assert (lines[0], lines[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")
                assert f"METHOD:{part.get_param('method')}" in lines
                assert all(len(line.encode()) <= 75 for line in part.get_content().splitlines())
                methods[part.get_param("method")] += 1
    assert methods["REQUEST"] >= 3 and methods["REPLY"] >= 3 and methods["CANCEL"] == 1


def test_lists_carry_their_fields():
    lists = defaultdict(list)
    for message in distinct():
        if message["List-Id"]:
            lists[str(message["List-Id"])].append(message)
            assert message["List-Unsubscribe"]
            assert str(message["Return-Path"]).startswith("<bounces+")
    assert len(lists) == 5
    one_click = [m for m in distinct() if m["List-Unsubscribe-Post"]]
    assert one_click and all(m["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click" for m in one_click)
    posts = [m for m in copies() if m.mailbox == "Lists/maintainers"]
    assert len(posts) >= 8 and all(parsed(m.raw)["List-Id"] for m in posts)


def test_html_with_remote_and_with_carried_pictures():
    remote = carried = 0
    for message in distinct():
        html = message.get_body(("html",))
        if html is None:
            continue
        content = html.get_content()
        hosts = set(re.findall(r'(?:src="|url\(")https?://([^/"]+)', content))
        assert all(host.endswith(".example.com") for host in hosts)
        remote += bool(hosts)
        wanted = set(re.findall(r'src="cid:([^"]+)"', content))
        ids = {str(part["Content-ID"])[1:-1] for part in message.walk() if part["Content-ID"]}
        assert wanted == ids
        carried += bool(wanted)
    assert remote >= 10 and carried >= 2


def test_unusual_shapes():
    assert "" in subjects()
    assert max(map(len, subjects())) > 300
    assert max(str(header(m.raw)["To"]).count("@") for m in copies()) == 30
    assert max(len(plain_text(m)) for m in distinct() if m.get_body(("plain",))) > 2500
    automatic = [m for m in distinct() if "vacation" in str(m["Auto-Submitted"])]
    assert len(automatic) == 2


def test_only_reserved_domains():
    """RFC 2606: nothing in the demo can reach, or name, anybody real."""
    for message in distinct():
        fields = [message[name] for name in ("From", "To", "Cc") if message[name]]
        assert all(a.domain.endswith(".example") for field in fields for a in field.addresses)
        for part in message.walk():
            if part.get_content_maintype() == "text" and part.get_content_type() != "text/rfc822-headers":
                content = re.sub(r"\r?\n ", "", part.get_content())  # calendar lines are folded
                for host in re.findall(r"https?://([\w.-]+)", content):
                    assert host.endswith((".example", ".example.com")), host
                for address in re.findall(r"[\w.+-]+@[\w.-]+\w", content):
                    assert address.endswith((".example", ".example.com")), address
