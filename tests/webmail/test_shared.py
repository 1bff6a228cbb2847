"""Mailboxes of others in the webmail: what each right of RFC 4314 lets Ben do with Anna's, and what he sees of them."""

from __future__ import annotations

import asyncio
import re

import pytest
from django.test import Client

from accounts.models import Address, AddressTarget, User
from mailservers.models import AclEntry, Flag, Mailbox, MailboxMessage
from mailservers.store.access import delete_entry, set_entry
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.mailboxes import create_mailbox
from mailservers.store.placing import Append, append
from tests.conftest import mailbox_id
from tests.console.communicator import WebsocketCommunicator
from tests.webmail.conftest import HTMX, WEB, Put, letter
from tests.webmail.test_live import _socket
from webmail.folders.tree import folder_tree

pytestmark = WEB
BEN = "ben@harbour.test"


@pytest.fixture
def work(anna: User, ben: User) -> int:
    """Anna's folder Work."""
    return store.call_sync(create_mailbox, anna.pk, "Work")


def grant(anna: User, rights: str, name: str = "Work", who: str = BEN) -> None:
    store.call_sync(set_entry, anna.pk, name, who, "=", frozenset(rights))


def _text(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return answer.content.decode()


def _act(client: Client, place: MailboxMessage, **data: object) -> int:
    item = f"{place.mailbox_id}-{place.uid}"
    return client.post("/mail/act/", {"item": item, **data}, **HTMX).status_code


def _addresses(place: MailboxMessage) -> list[str]:
    here = f"/mail/{place.mailbox_id}/{place.uid}/"
    compose = [f"/mail/compose/{verb}/{place.mailbox_id}/{place.uid}/" for verb in ("reply", "reply-all", "forward")]
    lists = [f"/mail/{place.mailbox_id}/{rest}" for rest in ("", "rows/", "changes/?since=0")]
    return [here, f"{here}source/", f"{here}raw/", f"{here}part/0/", *compose, *lists]


# ---------------------------------------------------------------- what is seen


def test_nothing_of_what_is_not_shared(stranger: Client, anna: User, work: int, put: Put) -> None:
    place = put(anna, letter("Confidential"), "Work")
    for address in _addresses(place):
        assert stranger.get(address).status_code == 404
    assert stranger.get(f"/mail/folders/{work}/sharing/").status_code == 404
    assert stranger.get("/mail/search/", {"q": "Confidential", "in": work}).status_code == 404
    for address in ("/mail/folders/", "/mail/search/?q=Confidential in:all", "/mail/folders/list/"):
        page = _text(stranger, address)
        assert "anna@" not in page and "Work" not in page and f"/mail/{work}/" not in page


def test_a_reader_reads_and_changes_nothing(stranger: Client, ben: User, anna: User, work: int, put: Put) -> None:
    place = put(anna, letter("Plan of the quay"), "Work")
    grant(anna, "lr")
    sidebar = _text(stranger, "/mail/folders/list/")
    assert "Shared with you" in sidebar and "anna@harbour.test" in sidebar and f"/mail/{work}/" in sidebar
    for address in _addresses(place):
        assert stranger.get(address).status_code == 200
    page = _text(stranger, f"/mail/{work}/{place.uid}/")
    for button in ('value="read"', 'value="trash"', 'value="archive"', 'value="junk"', "data-star", 'name="move_to"'):
        assert button not in page
    for action in ("read", "star", "archive", "trash", "junk", "erase"):
        assert _act(stranger, place, action=action) == 403
    assert _act(stranger, place, move_to=mailbox_id(ben)) == 403
    assert _act(stranger, put(ben, letter()), move_to=work) == 403
    assert MailboxMessage.objects.get(pk=place.pk).flags == 0
    assert "Plan of the quay" in _text(stranger, "/mail/search/?q=quay")


def test_a_folder_may_be_listed_and_not_read(stranger: Client, anna: User, work: int, put: Put) -> None:
    place = put(anna, letter("Confidential"), "Work")
    grant(anna, "l")
    sidebar = _text(stranger, "/mail/folders/list/")
    assert "you may not read it" in sidebar and f'href="/mail/{work}/"' not in sidebar and "1 unread" not in sidebar
    assert "Confidential" not in _text(stranger, f"/mail/{work}/", 403)
    assert stranger.get(f"/mail/{work}/{place.uid}/").status_code == 404
    assert "Confidential</span>" not in _text(stranger, "/mail/search/?q=Confidential")


def test_folders_stand_below_those_that_are_seen(anna: User, ben: User, work: int) -> None:
    for name in ("Work/A", "Work/A/B", "Work/A/B/C"):
        store.call_sync(create_mailbox, anna.pk, name)
    grant(anna, "lr", name="Work/A")
    grant(anna, "lr", name="Work/A/B/C")
    assert [(folder.label, folder.depth) for folder in folder_tree(ben.pk).shared] == [("Work/A", 0), ("B/C", 1)]


@pytest.mark.parametrize(
    ("rights", "action", "status"),
    [
        ("lrs", "read", 200),
        ("lrs", "star", 403),
        ("lrw", "star", 200),
        ("lrw", "read", 403),
        ("lrt", "trash", 403),
        ("lre", "trash", 403),
        ("lrte", "trash", 200),
        ("lrte", "erase", 200),
        ("lrt", "erase", 403),
        ("lrte", "archive", 200),
    ],
)
def test_each_right(stranger: Client, anna: User, work: int, put: Put, rights: str, action: str, status: int) -> None:
    place = put(anna, letter(), "Work")
    grant(anna, rights)
    assert _act(stranger, place, action=action) == status
    assert bool(MailboxMessage.objects.filter(pk=place.pk, flags=0).exists()) is (status == 403)


def test_a_group_and_everybody(stranger: Client, anna: User, ben: User, work: int) -> None:
    group = Address.objects.create(address="crew@harbour.test", domain=anna.domain)
    AddressTarget.objects.create(address=group, user=ben)
    grant(anna, "lr", who="crew@harbour.test")
    assert stranger.get(f"/mail/{work}/").status_code == 200
    store.call_sync(delete_entry, anna.pk, "Work", "crew@harbour.test")
    assert stranger.get(f"/mail/{work}/").status_code == 404
    grant(anna, "lr", who="anyone")
    assert stranger.get(f"/mail/{work}/").status_code == 200
    grant(anna, "r", who=f"-{BEN}")
    assert stranger.get(f"/mail/{work}/").status_code == 403


# ---------------------------------------------------------------- moving


def test_moves_between_people_and_undo(stranger: Client, anna: User, ben: User, work: int, put: Put) -> None:
    place = put(anna, letter("of Anna"), "Work", flags=Flag.FLAGGED | Flag.SEEN)
    grant(anna, "lrste")
    answer = stranger.post("/mail/act/", {"action": "trash", "item": f"{work}-{place.uid}"}, **HTMX)
    assert MailboxMessage.objects.get().mailbox_id == mailbox_id(ben, "Trash")
    back = {"action": "undo", "back": re.findall(r'name="back" value="([0-9-]+)"', answer.content.decode())}
    assert stranger.post("/mail/act/", back, **HTMX).status_code == 403  # nothing may be put into it
    grant(anna, "lrstei")
    assert stranger.post("/mail/act/", back, **HTMX).status_code == 200
    found = MailboxMessage.objects.get()
    assert found.mailbox_id == work
    assert found.flags == Flag.SEEN  # "w" is missing: the star stays behind


def test_deleting_goes_to_the_owners_trash_where_that_is_shared(
    stranger: Client, anna: User, ben: User, work: int, put: Put
) -> None:
    place = put(anna, letter(), "Work")
    grant(anna, "lrte")
    grant(anna, "li", name="Trash")
    assert _act(stranger, place, action="trash") == 200
    assert MailboxMessage.objects.get().mailbox_id == mailbox_id(anna, "Trash")


# ---------------------------------------------------------------- folders


def test_making_renaming_deleting_others_folders(stranger: Client, anna: User, work: int) -> None:
    grant(anna, "lr")
    answer = stranger.post("/mail/folders/", {"name": "New", "parent": work})
    assert answer.status_code == 422
    assert stranger.post(f"/mail/folders/{work}/rename/", {"name": "Stolen"}).status_code == 403
    assert stranger.post(f"/mail/folders/{work}/delete/").status_code == 403
    grant(anna, "lrkx")
    stranger.post("/mail/folders/", {"name": "New", "parent": work})
    child = Mailbox.objects.get(owner=anna, name="Work/New")
    stranger.post(f"/mail/folders/{child.pk}/rename/", {"name": "Work/Newer"})
    assert Mailbox.objects.get(pk=child.pk).name == "Work/Newer"
    stranger.post(f"/mail/folders/{child.pk}/delete/")
    assert not Mailbox.objects.filter(pk=child.pk).exists()


def test_the_sharing_page(browser: Client, stranger: Client, anna: User, work: int) -> None:
    page = f"/mail/folders/{work}/sharing/"
    browser.post(page, {"action": "share", "who": "Ben@Harbour.test", "level": "write"})
    assert set(AclEntry.objects.get(identifier=BEN).rights) == set("lrswit")
    assert "Read and write" in _text(browser, page)
    assert stranger.get(page).status_code == 403
    browser.post(page, {"action": "share", "everybody": "1", "level": "custom", "right": ["l", "r", "z"]})
    assert set(AclEntry.objects.get(identifier="anyone").rights) == set("lr")
    assert "See the folder, read messages" in _text(browser, page)
    browser.post(page, {"action": "withdraw", "identifier": "anyone"})
    browser.post(page, {"action": "share", "who": BEN, "level": "all"})
    assert stranger.get(page).status_code == 200
    assert set(AclEntry.objects.get().rights) == set("lrswipkxtea")


@pytest.mark.parametrize(
    "data",
    [
        {"who": "nobody@harbour.test", "level": "read"},
        {"who": "", "level": "read"},
        {"who": "anna@harbour.test", "level": "read"},
        {"who": BEN, "level": "custom"},
        {"who": BEN, "level": "none such"},
    ],
)
def test_bad_shares_are_refused_with_a_reason(browser: Client, work: int, data: dict[str, str]) -> None:
    answer = browser.post(f"/mail/folders/{work}/sharing/", {"action": "share", **data})
    assert answer.status_code == 422 and b"field-error" in answer.content
    assert not AclEntry.objects.exists()


# ---------------------------------------------------------------- sending, live


def test_answering_as_the_shared_address(stranger: Client, anna: User, ben: User, work: int, put: Put) -> None:
    group = Address.objects.create(address="support@harbour.test", domain=anna.domain)
    AddressTarget.objects.create(address=group, user=ben)
    place = put(anna, letter(to="support@harbour.test", message_id="<q@far.test>"), "Work")
    grant(anna, "lrsw")
    page = _text(stranger, f"/mail/compose/reply/{work}/{place.uid}/")
    assert re.search('<option value="support@harbour.test"[^>]* selected>', page)
    origin = re.search(r'name="origin" value="([^"]+)"', page)
    assert origin is not None
    data = {
        "origin": origin[1].replace("&lt;", "<").replace("&gt;", ">"),
        "sender": "support@harbour.test",
        "to": "anna@harbour.test",
        "text": "Yes",
    }
    assert stranger.post("/mail/compose/send/", data).status_code == 302
    assert MailboxMessage.objects.get(pk=place.pk).flags & Flag.ANSWERED


async def test_others_changes_are_told_as_long_as_they_may_be_read(anna: User, ben: User) -> None:
    box = await asyncio.to_thread(mailbox_id, anna)
    socket = _socket(ben)
    assert (await socket.connect(5))[0]
    message = Append(anna.pk, box, [(prepare(letter()), 0, (), None)])
    await store.call(set_entry, anna.pk, "INBOX", BEN, "=", frozenset("lr"))
    await _told(socket, 0)
    await store.call(append, message)
    await _told(socket, box)
    await store.call(delete_entry, anna.pk, "INBOX", BEN)
    await _told(socket, 0)
    while not await socket.receive_nothing(timeout=0.3):
        assert (await socket.receive_json(5))["mailbox"] != box
    await store.call(append, message)
    assert await socket.receive_nothing(timeout=0.3)


async def _told(socket: WebsocketCommunicator, mailbox: int) -> None:
    """One change may be told in more than one hint, and others come between."""
    while (await socket.receive_json(5))["mailbox"] != mailbox:
        pass
