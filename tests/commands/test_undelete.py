"""`manage.py undelete`."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, User
from mailservers.models import DeletedMessage, Mailbox
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Append, append
from mailservers.store.removing import expunge
from tests.conftest import mailbox_id


def run(*words: str) -> str:
    out = StringIO()
    call_command("undelete", *words, stdout=out)
    return out.getvalue()


@pytest.fixture
def deleted(anna: User) -> list[str]:
    for name in ("INBOX", "INBOX", "Archive"):
        box = mailbox_id(anna, name)
        store.call_sync(append, Append(anna.pk, box, [(prepare(f"Subject: {name}\r\n\r\n".encode()), 0, (), None)]))
        uids = [Mailbox.objects.get(pk=box).uid_next - 1]
        store.call_sync(expunge, anna.pk, box, uids, deleted_only=False)
    return [str(pk) for pk in DeletedMessage.objects.order_by("pk").values_list("pk", flat=True)]


def test_list_and_restore(anna: User, deleted: list[str]) -> None:
    lines = run("list", anna.login).splitlines()
    assert [line.split()[0] for line in lines] == ["ID", *reversed(deleted)] and "Archive" in lines[1]
    assert run("restore", anna.login, deleted[0]) == "Restored 1 message of anna@harbour.test's.\n"
    run("restore", anna.login, "--from", "INBOX", "--into", "Found")
    assert Mailbox.objects.get(name="Found").messages == Mailbox.objects.get(name="INBOX").messages == 1
    run("restore", anna.login, "--all")
    assert Mailbox.objects.get(name="Archive").messages == 1
    assert "Nothing" in run("list", anna.login)
    assert AuditEntry.objects.filter(action="user.undelete").count() == 3


def test_purge(anna: User, deleted: list[str]) -> None:
    assert "3 deleted messages" in run("purge", anna.login)
    assert not DeletedMessage.objects.exists()


def test_mistakes(anna: User) -> None:
    for words in (("list", "nobody@harbour.test"), ("restore", anna.login)):
        with pytest.raises(CommandError):
            run(*words)
