"""Mailboxes: create, rename, delete, subscribe. Names are UTF-8 with "/" between levels; INBOX in any case.

Raises `NoSuchMailbox`, `MailboxExists`, `InvalidMailboxName`, `MailboxProtected`.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence

from mailservers.models import (
    OUTBOX_USE,
    AclEntry,
    Expunged,
    Mailbox,
    MailboxMessage,
    Subscription,
    UidValidity,
    Usage,
)
from mailservers.store.annotations import copy_annotations
from mailservers.store.errors import (
    InvalidMailboxName,
    MailboxExists,
    MailboxHasChildren,
    MailboxProtected,
    NoSuchMailbox,
)
from mailservers.store.placing import lock_mailbox
from mailservers.store.quota import save_usage
from mailservers.store.removing import forget_messages, keep_places
from mailservers.store.transaction import Transaction

SEPARATOR = "/"
MAX_NAME = 500  # characters
MAX_LEVELS = 20
STANDARD_MAILBOXES = (
    ("INBOX", ""),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Archive", "\\Archive"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
)


def normal_name(name: str) -> str:
    """The name as stored: NFC, INBOX in upper case. Raises `InvalidMailboxName` with the reason."""
    name = unicodedata.normalize("NFC", name)
    levels = name.split(SEPARATOR)
    if levels[0].upper() == "INBOX":
        levels[0] = "INBOX"
    if not all(levels):
        raise InvalidMailboxName("a mailbox name cannot have an empty level")
    if len(name) > MAX_NAME or len(levels) > MAX_LEVELS:
        raise InvalidMailboxName("the mailbox name is too long")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        raise InvalidMailboxName("the mailbox name has control characters")
    if any(c in name for c in "*%"):
        raise InvalidMailboxName('a mailbox name cannot contain "*" or "%"')
    return SEPARATOR.join(levels)


def take_uid_validity(count: int = 1) -> int:
    """Strictly increasing over the life of the installation, 32 bits: the clock, or one more than the last. The
    first of `count` that follow one another."""
    last = UidValidity.objects.select_for_update().first()
    value = int(time.time()) if last is None else max(int(time.time()), last.value + 1)
    UidValidity.objects.update_or_create(pk=1, defaults={"value": value + count - 1})
    return value


def create_mailbox(tx: Transaction, owner_id: int, name: str, special_use: str = "", *, parents: bool = True) -> int:
    """Make a mailbox and its missing superior levels (RFC 9051 6.3.4); the new mailbox's id."""
    name = normal_name(name)
    levels = name.split(SEPARATOR)
    paths = [SEPARATOR.join(levels[: n + 1]) for n in range(len(levels))]
    present = set(Mailbox.objects.filter(owner_id=owner_id, name__in=paths).values_list("name", flat=True))
    if name in present:
        raise MailboxExists("the mailbox already exists")
    for path in paths[:-1]:
        if parents and path not in present:
            _insert(owner_id, path)
    tx.folders_changed(owner_id)
    return _insert(owner_id, name, special_use)


def _insert(owner_id: int, name: str, special_use: str = "") -> int:
    subscribed = Subscription.objects.filter(owner_id=owner_id, name=name).delete()[0] > 0
    mailbox = Mailbox.objects.create(
        owner_id=owner_id,
        name=name,
        special_use=special_use,
        uid_validity=take_uid_validity(),
        is_subscribed=subscribed,
    )
    _inherit_acl(owner_id, name, mailbox.pk)
    return mailbox.pk


def _inherit_acl(owner_id: int, name: str, mailbox_id: int) -> None:
    """RFC 4314 4: a new mailbox has the access control list of the one above it."""
    above = name.rpartition(SEPARATOR)[0]
    if above:
        rows = AclEntry.objects.filter(mailbox__owner_id=owner_id, mailbox__name=above)
        AclEntry.objects.bulk_create(
            AclEntry(mailbox_id=mailbox_id, identifier=r.identifier, is_negative=r.is_negative, rights=r.rights)
            for r in rows
        )


def create_standard_mailboxes(tx: Transaction, owner_ids: Sequence[int]) -> None:
    """INBOX, Drafts, Sent, Archive, Junk and Trash, subscribed, for new users.

    No two of a user's mailboxes have the same UIDVALIDITY: where one takes another's name, its UIDs must not be taken
    for those of before (RFC 9051 2.3.1.1)."""
    validity = take_uid_validity(len(STANDARD_MAILBOXES))
    rows = []
    for owner_id in owner_ids:
        tx.folders_changed(owner_id)
        rows += [
            Mailbox(owner_id=owner_id, name=name, special_use=use, uid_validity=validity + n)
            for n, (name, use) in enumerate(STANDARD_MAILBOXES)
        ]
    Mailbox.objects.bulk_create(rows, batch_size=500)
    Usage.objects.bulk_create((Usage(owner_id=owner_id) for owner_id in owner_ids), ignore_conflicts=True)


def rename_mailbox(tx: Transaction, owner_id: int, old: str, new: str) -> None:
    """RFC 9051 6.3.6: inferiors move along; renaming INBOX moves its messages to a new mailbox."""
    old, new = normal_name(old), normal_name(new)
    source = _get(owner_id, old)
    _refuse_outbox(source)
    if old == "INBOX":
        _rename_inbox(tx, owner_id, source.pk, new)
        return
    if new == old or Mailbox.objects.filter(owner_id=owner_id, name=new).exists():
        raise MailboxExists("the new name already exists")
    if new.startswith(old + SEPARATOR):
        raise InvalidMailboxName("a mailbox cannot be moved below itself")
    moving = [
        (box.pk, new + box.name[len(old) :])
        for box in Mailbox.objects.filter(owner_id=owner_id, name__startswith=old)
        if box.name == old or box.name.startswith(old + SEPARATOR)
    ]
    names = [normal_name(name) for _, name in moving]
    if Mailbox.objects.filter(owner_id=owner_id, name__in=names).exists():
        raise MailboxExists("one of the new names already exists")
    parent = new.rpartition(SEPARATOR)[0]
    if parent and not Mailbox.objects.filter(owner_id=owner_id, name=parent).exists():
        create_mailbox(tx, owner_id, parent)
    for (pk, _), name in zip(moving, names, strict=True):
        Mailbox.objects.filter(pk=pk).update(name=name)
    tx.folders_changed(owner_id)


def _rename_inbox(tx: Transaction, owner_id: int, inbox_id: int, new: str) -> None:
    from mailservers.store.copying import move  # copying builds on this module's siblings only

    target_id = create_mailbox(tx, owner_id, new)
    copy_annotations(inbox_id, target_id)
    uids = list(MailboxMessage.objects.filter(mailbox_id=inbox_id).order_by("uid").values_list("uid", flat=True))
    if uids:
        move(tx, owner_id, inbox_id, uids, target_id)


def delete_mailbox(tx: Transaction, owner_id: int, name: str) -> None:
    """Remove a mailbox with its messages, which can be restored for UNDELETE_DAYS. INBOX and mailboxes with
    inferiors are refused."""
    name = normal_name(name)
    if name == "INBOX":
        raise MailboxProtected("INBOX cannot be deleted")
    mailbox = _get(owner_id, name)
    _refuse_outbox(mailbox)
    alike = Mailbox.objects.filter(owner_id=owner_id, name__startswith=name + SEPARATOR).values_list("name", flat=True)
    if any(below.startswith(name + SEPARATOR) for below in alike):  # SQLite's LIKE ignores case
        raise MailboxHasChildren("the mailbox has mailboxes below it")
    state = lock_mailbox(owner_id, mailbox.pk)
    places = list(MailboxMessage.objects.filter(mailbox_id=state.id).order_by("uid").values_list("uid", "message_id"))
    is_kept = keep_places(tx, state.id, [uid for uid, _ in places])
    MailboxMessage.objects.filter(mailbox_id=state.id).delete()
    mailbox.refresh_from_db(fields=("messages", "size"))  # as they are under the lock
    state.added, state.added_size = -mailbox.messages, -mailbox.size
    save_usage([state])
    Expunged.objects.filter(mailbox_id=state.id).delete()
    if mailbox.is_subscribed:  # RFC 9051 6.3.7: a subscription outlives its mailbox
        Subscription.objects.get_or_create(owner_id=owner_id, name=name)
    mailbox.delete()
    if not is_kept:
        forget_messages(tx, [message_id for _, message_id in places])
    tx.changed(owner_id, state.id, state.modseq + 1)
    tx.folders_changed(owner_id)


def subscribe(tx: Transaction, owner_id: int, name: str, wanted: bool = True) -> None:
    """RFC 9051 6.3.7/8. Subscribing to a name without a mailbox raises `NoSuchMailbox`; unsubscribing never."""
    name = normal_name(name)
    if Mailbox.objects.filter(owner_id=owner_id, name=name).update(is_subscribed=wanted):
        tx.folders_changed(owner_id)
    elif wanted:
        raise NoSuchMailbox("the mailbox does not exist")
    else:
        Subscription.objects.filter(owner_id=owner_id, name=name).delete()


def claim_recent(tx: Transaction, owner_id: int, mailbox_id: int) -> int:
    """This session is the one told of new messages: the first UID that is \\Recent to it (RFC 3501 2.3.2)."""
    state = lock_mailbox(owner_id, mailbox_id)
    first = Mailbox.objects.filter(pk=state.id).values_list("recent_uid", flat=True)[0]
    Mailbox.objects.filter(pk=state.id).update(recent_uid=state.uid_next)
    return first


def _refuse_outbox(mailbox: Mailbox) -> None:
    if mailbox.special_use == OUTBOX_USE:
        raise MailboxProtected("the Outbox shows what waits to be sent: it stays where it is")


def _get(owner_id: int, name: str) -> Mailbox:
    mailbox = Mailbox.objects.filter(owner_id=owner_id, name=name).first()
    if mailbox is None:
        raise NoSuchMailbox("the mailbox does not exist")
    return mailbox
