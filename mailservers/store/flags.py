"""Changing flags and keywords (IMAP STORE, the webmail's marks)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from django.db import connection

from mailservers.models import Flag
from mailservers.store.placing import MailboxState, lock_mailbox, save_mailboxes
from mailservers.store.removing import CHUNK
from mailservers.store.statements import fetch, marks, write
from mailservers.store.transaction import Transaction


class FlagChange(Enum):
    ADD = "+"
    REMOVE = "-"
    REPLACE = "="


EVERY_FLAG = sum(flag.value for flag in Flag)


@dataclass(frozen=True, slots=True)
class MayChange:
    """The flags that whoever asks may change, by their rights; others stay as they are."""

    bits: int = EVERY_FLAG
    keywords: bool = True


EVERYTHING = MayChange()


@dataclass(frozen=True, slots=True)
class FlagRow:
    """A message's marks."""

    uid: int
    modseq: int
    flags: int
    keywords: str


@dataclass(frozen=True, slots=True)
class FlagsStored:
    """`rows`: every message asked for that is still there and was not refused, as it is now, by UID.
    `modified`: UIDs refused because they changed after `unchanged_since` (RFC 7162 3.1.3).
    `modseq`: the mailbox's afterwards. `changed`: this operation took that step; else it left all as it was."""

    rows: list[FlagRow]
    modified: list[int]
    modseq: int
    changed: bool


def store_flags(
    tx: Transaction,
    owner_id: int,
    mailbox_id: int,
    uids: Sequence[int],
    change: FlagChange,
    flags: int = 0,
    keywords: Sequence[str] = (),
    unchanged_since: int | None = None,
    may: MayChange = EVERYTHING,
) -> FlagsStored:
    """Add, remove or replace marks. Messages whose marks do not change keep their modseq."""
    state = lock_mailbox(owner_id, mailbox_id)
    keywords = keywords if may.keywords else ()
    words = state.learn(keywords) if change is not FlagChange.REMOVE else tuple(keywords)
    modified: list[int] = []
    kept: list[FlagRow] = []
    changed: list[tuple[int, FlagRow, int]] = []  # row id, new marks, old flags
    for pk, row in _rows(mailbox_id, uids):
        if unchanged_since is not None and row.modseq > unchanged_since:
            modified.append(row.uid)
            continue
        new_flags, new_words = _apply(change, row, flags & may.bits, words if may.keywords else (), may)
        if (new_flags, new_words) == (row.flags, row.keywords):
            kept.append(row)
        else:
            changed.append((pk, FlagRow(row.uid, 0, new_flags, new_words), row.flags))
    rows = kept + _write(state, changed)
    save_mailboxes(tx, [state])
    return FlagsStored(sorted(rows, key=lambda row: row.uid), modified, state.modseq, bool(changed))


def _rows(mailbox_id: int, uids: Sequence[int]) -> list[tuple[int, FlagRow]]:
    found: list[tuple[int, FlagRow]] = []
    for start in range(0, len(uids), CHUNK):
        some = uids[start : start + CHUNK]
        select = "SELECT id, uid, modseq, flags, keywords FROM mailservers_mailboxmessage"
        where = f"mailbox_id = %s AND uid IN ({marks(len(some))}) ORDER BY uid"
        found += [(pk, FlagRow(*row)) for pk, *row in fetch(f"{select} WHERE {where}", (mailbox_id, *some))]
    return found


def _apply(change: FlagChange, row: FlagRow, flags: int, words: tuple[str, ...], may: MayChange) -> tuple[int, str]:
    if change is FlagChange.REPLACE:
        return row.flags & ~may.bits | flags, " ".join(words) if may.keywords else row.keywords
    have = row.keywords.split()
    if change is FlagChange.ADD:
        if not words:
            return row.flags | flags, row.keywords
        return row.flags | flags, " ".join(dict.fromkeys([*have, *words]))
    drop = {word.lower() for word in words}
    return row.flags & ~flags, " ".join(word for word in have if word.lower() not in drop)


def _write(state: MailboxState, changed: list[tuple[int, FlagRow, int]]) -> list[FlagRow]:
    if not changed:
        return []
    modseq = state.advance()
    update = "UPDATE mailservers_mailboxmessage SET flags = %s, keywords = %s, modseq = %s WHERE id = %s"
    values = [(row.flags, row.keywords, modseq, pk) for pk, row, _ in changed]
    if len(values) == 1:  # the most usual STORE
        write(update, values[0])
    else:
        with connection.cursor() as cursor:
            cursor.executemany(update, values)
    for _, row, old_flags in changed:
        state.count_flags(old_flags, -1)
        state.count_flags(row.flags)
    return [FlagRow(row.uid, modseq, row.flags, row.keywords) for _, row, _ in changed]
