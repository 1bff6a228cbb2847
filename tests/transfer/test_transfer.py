"""Export and import: byte for byte, with folders, marks and dates, whatever the octets and names are."""

from __future__ import annotations

import hashlib
import mailbox
import os
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.auth.door import Identity
from accounts.models import User
from mailservers.delivery.submission import submit
from mailservers.models import MailboxMessage
from mailservers.store.content import prepare, read_message
from mailservers.store.engine import store
from mailservers.store.mailboxes import create_mailbox
from mailservers.store.placing import Append, append
from mailservers.store.queries import list_mailboxes
from mailservers.transfer.exporting import FORMS, Exported
from mailservers.transfer.importing import Found, find_mail
from mailservers.transfer.tree import NOTES, name_of, path_of, read_notes
from tests.conftest import mailbox_id
from tests.formats.test_mbox import HARD

DATE = datetime(2026, 3, 2, 12, 5, 9, 123456, tzinfo=UTC)
NASTY = (
    b"",
    b"\0",
    b"no header",
    b"From nobody\r\n>From x\r\n\r\nFrom y\r\n",
    b"Subject: bare\n\nlines\rand\r\nothers\n\n",
    b"Subject: no end\r\n\r\nlast line",
    b"Subject: ends\r\n\r\nlast line\r\n",
    bytes(range(256)) * 4,
)
NAMES = ("INBOX", "Archive", "Projects/Boat", "cur", "a.b/.hidden", "50 off: «yes»?")
Mail = dict[str, list[tuple[bytes, int, str, datetime]]]


def put(user: User, name: str, raw: bytes, flags: int = 0, keywords: tuple[str, ...] = ()) -> None:
    store.call_sync(append, Append(user.pk, mailbox_id(user, name), [(prepare(raw), flags, keywords, DATE)]))


def all_mail(user: User) -> Mail:
    mail: Mail = {box.name: [] for box in list_mailboxes(user.pk)}
    for place in MailboxMessage.objects.filter(mailbox__owner=user).select_related("mailbox").order_by("uid"):
        raw = read_message(place.message_id)
        assert raw is not None
        mail[place.mailbox.name].append((raw, place.flags, place.keywords, place.internal_date))
    return mail


def run(*words: str) -> str:
    out = StringIO()
    call_command("mail", *words, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.parametrize("form", sorted(FORMS))
def test_everything_comes_back(anna: User, ben: User, tmp_path: Path, form: str) -> None:
    for name in NAMES[2:]:
        store.call_sync(create_mailbox, anna.pk, name)
    for number, name in enumerate(NAMES):
        for raw in NASTY:
            put(anna, name, raw, number * 5 % 32, ("$Label1", "work") if number % 2 else ())
    target = tmp_path / "out"
    assert f"Exported {48} messages in " in run("export", anna.login, str(target), "--format", form)
    assert "Imported 48 messages." in run("import", ben.login, str(target))
    assert all_mail(ben) == all_mail(anna)
    again = run("import", ben.login, str(target), "--skip-existing")
    assert "Imported 0 messages; 48 were there already." in again
    assert "Imported 48 messages." in run("import", ben.login, str(target), "--folder", "Old")
    assert {"Old/Projects/Boat", "Old/INBOX"} <= set(all_mail(ben))
    with pytest.raises(CommandError, match="not empty"):
        run("export", anna.login, str(target), "--format", form)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_large_messages_come_back_through_windows(
    anna: User, ben: User, tmp_path: Path, settings: Any, form: str
) -> None:
    settings.STREAM_OVER = 1000
    put(anna, "INBOX", b"Subject: large\r\n\r\n" + b"".join(b"From %d\r\n" % n for n in range(100_000)))
    put(anna, "INBOX", b"Subject: LF\n\n" + b">From x\n\n" * 500)
    run("export", anna.login, str(tmp_path / "out"), "--format", form)
    run("import", ben.login, str(tmp_path / "out"))
    assert all_mail(ben) == all_mail(anna)


def test_an_interrupted_import_goes_on(anna: User, ben: User, tmp_path: Path) -> None:
    for raw in (b"one", b"two", b"one"):
        put(anna, "INBOX", raw)
    run("export", anna.login, str(tmp_path / "out"))
    put(ben, "INBOX", b"one")
    assert "Imported 2 messages; 1 were there already." in run(
        "import", ben.login, str(tmp_path / "out"), "--skip-existing"
    )
    assert sorted(raw for raw, *_ in all_mail(ben)["INBOX"]) == [b"one", b"one", b"two"]


@given(st.lists(HARD | st.binary(max_size=80), max_size=6), st.sampled_from(sorted(FORMS)), st.integers(0, 31))
def test_any_octets_through_files(
    tmp_path_factory: pytest.TempPathFactory, raws: list[bytes], form: str, flags
) -> None:
    root = tmp_path_factory.mktemp("any")
    messages = [
        Exported(uid, raw, flags, ("$Label1", "work"), DATE, hashlib.sha256(raw).hexdigest())
        for uid, raw in enumerate(raws, 1)
    ]
    FORMS[form](root / path_of("Projects/Boat"), iter(messages))
    found = [one for one in find_mail(root) if isinstance(one, Found)]
    assert [(one.raw, one.flags, one.keywords, one.internal_date) for one in found] == [
        (raw, flags, ("$Label1", "work"), DATE) for raw in raws
    ]
    assert {one.folder for one in found} <= {"Projects/Boat"}


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3).map("/".join))
def test_any_folder_name_is_a_path_and_back(name: str) -> None:
    name = "/".join(level for level in name.split("/") if level) or "x"
    if any("\ud800" <= c <= "\udfff" for c in name):
        return
    path = path_of(name)
    assert not path.is_absolute() and ".." not in path.parts and "cur" not in path.parts
    assert name_of(path) == name


def test_maildirs_of_other_programs(anna: User, tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "m", create=True)
    message = mailbox.MaildirMessage(b"Subject: one\n\nText\n")
    message.set_flags("FS")
    message.set_subdir("cur")
    box.add(message)
    box.add(b"Subject: new\n\nText\n")
    box.add_folder("Projects.Boat").add(b"Subject: two\n\nText\n")
    assert "Imported 3 messages." in run("import", anna.login, str(tmp_path / "m"))
    mail = all_mail(anna)
    assert {(raw, flags) for raw, flags, *_ in mail["INBOX"]} == {
        (b"Subject: one\r\n\r\nText\r\n", 1 | 4), (b"Subject: new\r\n\r\nText\r\n", 0),
    }  # fmt: skip
    assert [raw for raw, *_ in mail["Projects/Boat"]] == [b"Subject: two\r\n\r\nText\r\n"]


def test_mboxes_of_other_programs(anna: User, tmp_path: Path) -> None:
    path = tmp_path / "Old mail.mbox"
    path.write_bytes(
        b"From a@b.test Mon Mar  2 12:05:09 2026\nStatus: RO\nX-Status: AF\nSubject: x\n\n>From the start\n\n"
    )
    run("import", anna.login, str(path))
    [(raw, flags, _, date)] = all_mail(anna)["Old mail"]
    assert raw == b"Status: RO\r\nX-Status: AF\r\nSubject: x\r\n\r\nFrom the start\r\n"
    assert flags == 1 | 2 | 4 and date == DATE.replace(microsecond=0)


def test_single_files(anna: User, tmp_path: Path) -> None:
    path = tmp_path / "letter.eml"
    path.write_bytes(b"Subject: x\n\ny\n")
    os.utime(path, (0, DATE.timestamp()))
    run("import", anna.login, str(path))
    run("import", anna.login, str(path), "--folder", "Saved")
    mail = all_mail(anna)
    assert mail["INBOX"] == mail["Saved"] == [(b"Subject: x\r\n\r\ny\r\n", 0, "", DATE.replace(microsecond=0))]


def test_flags_that_another_program_changed_in_the_maildir(anna: User, ben: User, tmp_path: Path) -> None:
    put(anna, "INBOX", NASTY[4], 1, ("work",))
    run("export", anna.login, str(tmp_path / "out"), "--format", "maildir")
    [path] = (tmp_path / "out" / "INBOX" / "cur").iterdir()
    path.rename(path.with_name(path.name.replace(":2,S", ":2,FT")))
    run("import", ben.login, str(tmp_path / "out"))
    assert all_mail(ben)["INBOX"] == [(NASTY[4], 4 | 8, "work", DATE)]


def test_what_is_refused_is_named(anna: User, ben: User, tmp_path: Path, settings) -> None:
    for raw in (b"one", b"x" * 500, b"two"):
        put(anna, "INBOX", raw)
    run("export", anna.login, str(tmp_path / "out"), "--format", "eml")
    User.objects.filter(pk=ben.pk).update(quota_octets=100)
    with pytest.raises(CommandError, match="1 message refused"):
        run("import", ben.login, str(tmp_path / "out"))
    assert [raw for raw, *_ in all_mail(ben)["INBOX"]] == [b"one", b"two"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"file": 1}', "\xff", '{"sha256":"x","flags":["what"]}'])
def test_broken_notes_are_no_notes(tmp_path: Path, text: str) -> None:
    (tmp_path / NOTES).write_text(text, "latin-1")
    assert read_notes(tmp_path / NOTES) == []


def test_nothing_to_import(anna: User, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CommandError):
            run("import", anna.login, str(path))


def test_nothing_is_imported_into_an_outbox(anna: User, tmp_path: Path) -> None:
    """What waited to be sent when it was exported must not look as if it did now."""
    submit(
        Identity(anna.pk, anna.login, "", False),
        b"From: anna@harbour.test\r\nTo: x@far.test\r\nSubject: later\r\nMessage-ID: <l@harbour.test>\r\n\r\nx\r\n",
        ["x@far.test"],
        sent_mailbox_id=mailbox_id(anna, "Sent"),
        not_before=timezone.now() + timedelta(hours=1),
    )
    run("export", anna.login, str(tmp_path / "mail"))
    run("import", anna.login, str(tmp_path / "mail"))
    mail = all_mail(anna)
    assert (len(mail["Drafts"]), len(mail["Outbox"])) == (1, 1)
