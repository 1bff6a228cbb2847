"""`manage.py check`: finds each kind of damage, names it, and repairs what can be repaired."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command

from accounts.models import User
from mailservers.backup.creating import create
from mailservers.models import Expunged, Mailbox, MailboxMessage, Message, MessageData, Usage
from mailservers.store.bodies import file_path
from mailservers.store.content import prepare, read_message
from mailservers.store.engine import store
from mailservers.store.placing import Append, append
from mailservers.store.removing import expunge
from tests.conftest import mailbox_id

pytestmark = pytest.mark.usefixtures("any_database")
SMALL = b"Subject: small\r\n\r\nText\r\n"
LARGE = b"Subject: large\r\n\r\n" + random.Random(1).randbytes(100_000)


def check(*words: str) -> tuple[int, str]:
    """(exit code, all output)."""
    out = StringIO()
    try:
        call_command("check", *words, stdout=out, stderr=out)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


@pytest.fixture
def stored(anna: User) -> tuple[int, int]:
    """Message ids of SMALL and LARGE, in Anna's INBOX."""
    box = mailbox_id(anna)
    store.call_sync(append, Append(anna.pk, box, [(prepare(raw), 0, (), None) for raw in (SMALL, LARGE, SMALL)]))
    store.call_sync(expunge, anna.pk, box, [3], deleted_only=False)
    small, large, *_ = MailboxMessage.objects.order_by("uid").values_list("message_id", flat=True)
    return small, large


def test_a_sound_store(stored: tuple[int, int]) -> None:
    code, text = check()
    assert code == 0 and "The mail store is sound: 2 messages in 2 places." in text
    code, text = check("--deep")
    assert code == 0 and "every digest is right: 2 messages in 2 places" in text


def flip_in_row(stored: tuple[int, int]) -> None:
    data = MessageData.objects.get(pk=stored[0])
    body = bytearray(data.body)
    body[-1] ^= 1
    MessageData.objects.filter(pk=data.pk).update(body=bytes(body))


def flip_in_file(stored: tuple[int, int]) -> None:
    path = file_path(MessageData.objects.get(pk=stored[1]).file)
    octets = bytearray(path.read_bytes())
    octets[5000] ^= 16
    path.write_bytes(octets)


def remove_the_file(stored: tuple[int, int]) -> None:
    file_path(MessageData.objects.get(pk=stored[1]).file).unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip_in_row, "anna@harbour.test/INBOX UID 1: its row is damaged"),
        (flip_in_file, "anna@harbour.test/INBOX UID 2: its file"),
        (remove_the_file, "is missing"),
        (lambda stored: MessageData.objects.filter(pk=stored[0]).delete(), "its octets are missing"),
    ],
)
def test_lost_octets_come_back_from_a_backup(
    stored: tuple[int, int], damage: Callable, words: str, tmp_path: Path
) -> None:
    create(tmp_path / "backup")
    damage(stored)
    code, text = check("--deep")
    assert code == 1 and words in text
    code, text = check("--deep", "--repair")
    assert code == 1 and "left" in text
    code, text = check("--deep", "--repair", "--from", str(tmp_path / "backup"))
    assert code == 0 and "has its octets from" in text
    assert (read_message(stored[0]), read_message(stored[1])) == (SMALL, LARGE)
    assert check("--deep")[0] == 0
    files = list(Path(configured.MESSAGE_FILES_DIR).glob("??/*"))
    assert [path.name for path in files] == [MessageData.objects.get(pk=stored[1]).file]


@pytest.mark.parametrize(
    "damage",
    [
        lambda: Mailbox.objects.filter(name="INBOX").update(unseen=7, size=1, messages=9, deleted=-1),
        lambda: Mailbox.objects.filter(name="INBOX").update(uid_next=1, highest_modseq=1),
        lambda: Usage.objects.update(octets=5),
        lambda: Usage.objects.all().delete(),
        lambda: MailboxMessage.objects.filter(uid=1).delete(),
        lambda: Expunged.objects.update(uid=1),
    ],
)
def test_what_can_be_counted_is_repaired(stored: tuple[int, int], damage: Callable) -> None:
    damage()
    assert check()[0] == 1
    code, text = check("--repair")
    assert code == 0 and "Repaired: 1 ×" in text, text
    assert check("--deep")[0] == 0


def test_orphans_are_removed(stored: tuple[int, int]) -> None:
    orphan = Path(configured.MESSAGE_FILES_DIR) / "ab" / "abcd"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"x")
    assert "1 left-over file" in check("--repair")[1] and orphan.exists()  # young: may be named in a moment
    os.utime(orphan, (time.time() - 4000,) * 2)
    assert "1 × left-over file was removed" in check("--repair")[1] and not orphan.exists()
    MailboxMessage.objects.filter(message_id=stored[1]).delete()
    assert check("--repair")[0] == 0
    assert not Message.objects.filter(pk=stored[1]).exists()


def test_mistakes(mail: None, tmp_path: Path) -> None:
    assert "goes with --repair" in check("--from", str(tmp_path))[1]
    assert check("--repair", "--from", str(tmp_path))[0] == 0  # nothing to fetch
