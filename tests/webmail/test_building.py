"""Outgoing messages: whatever is typed, the header has our fields and no others."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

from hypothesis import given, settings
from hypothesis import strategies as st

from mailservers.formats.headers import iter_fields
from mailservers.formats.mime import decode_body, scan
from mailservers.formats.summary import summarise
from webmail.compose.building import File, Person, Written, build, one_line
from webmail.compose.people import NotAddresses, parse_people

WHEN = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANNA = Person("Anna", "anna@harbour.test")
text = st.text(max_size=200)
nasty = st.one_of(
    text, st.sampled_from(["x\r\nBcc: evil@far.test", "\nX: y", "a\u2028b", "=?utf-8?q?=0ABcc:?=", "\ud800"])
)


@settings(max_examples=150, deadline=None)
@given(nasty, nasty, nasty, nasty, nasty)
def test_no_value_begins_a_field(subject: str, name: str, body: str, file_name: str, reference: str) -> None:
    raw = build(
        Written(
            Person(name, "anna@harbour.test"),
            to=[Person(name, "ben@far.test"), ANNA],
            subject=subject,
            text=body,
            files=[File(file_name, reference, b"content")],
            in_reply_to=reference,
            references=[reference, "<ok@far>"],
        ),
        WHEN,
    )
    root = scan(raw)
    names = [field.lower() for field, _ in iter_fields(raw[: root.body_start])]
    expected = [b"date", b"from", b"to", b"subject", b"message-id", b"references", b"mime-version", b"content-type"]
    assert [n for n in names if n != b"in-reply-to"] == expected
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert decode_body(raw, root.children[1]) == b"content"
    assert len(root.children) == 2


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300), text)
def test_what_is_typed_is_what_is_read(subject: str, body: str) -> None:
    raw = build(Written(ANNA, to=[Person(subject[:60], "ben@far.test")], subject=subject, text=body), WHEN)
    summary = summarise(raw)
    assert " ".join(summary.subject.split()) == one_line(subject)
    root = scan(raw)
    typed = body.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    read = decode_body(raw, root).decode().replace("\r\n", "\n")
    assert read.removesuffix("\n") == typed.encode("utf-8", "replace").decode().removesuffix("\n")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=100))
def test_recipient_fields_give_people_or_one_error(typed: str) -> None:
    try:
        people = parse_people(typed)
    except NotAddresses:
        return
    raw = build(Written(ANNA, to=people), WHEN)
    header = message_from_bytes(raw, policy=policy.compat32)
    assert header["Subject"] == ""


def test_people_survive_the_field() -> None:
    people = parse_people('Ben <b@x.test>, "Holm, Anna" <a@x.test>; Zoë <z@x.test>\nplain@x.test')
    assert [str(one) for one in people] == [
        "Ben <b@x.test>",
        '"Holm, Anna" <a@x.test>',
        '"Zoë" <z@x.test>',
        "plain@x.test",
    ]
    assert parse_people(", ".join(map(str, people))) == people
