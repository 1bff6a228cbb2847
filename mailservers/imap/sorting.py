"""SORT and THREAD and their UID forms (RFC 5256, RFC 5267 section 3, RFC 5957)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

from mailservers.formats.imap.sort import SortRequest, ThreadRequest
from mailservers.formats.imap.threading import thread, write_threads
from mailservers.imap.replies import Reply
from mailservers.imap.searching import carry_out, respond
from mailservers.imap.session import Session
from mailservers.store.engine import store
from mailservers.store.searching.sorting import sort_uids, threaded_messages


async def sort(session: Session, request: SortRequest, by_uid: bool = False) -> Reply:
    async def order(found: array[int]) -> array[int]:
        return await store.read(sort_uids, session.mailbox.mailbox_id, found, request.criteria)

    found, highest = await carry_out(session, request.search, order)
    respond(session, request.search, found, by_uid, highest, b"SORT")
    return Reply("SORT completed")


async def thread_command(session: Session, request: ThreadRequest, by_uid: bool = False) -> Reply:
    found, _ = await carry_out(session, request.search)
    view = session.mailbox.view
    numbers = None if by_uid else {uid: view.number_of(uid) for uid in found}
    threads = await store.read(_threads, session.mailbox.mailbox_id, found, request.algorithm, numbers)
    session.untagged(b"THREAD" + (b" " + threads if threads else b""))
    return Reply("THREAD completed")


def _threads(mailbox_id: int, uids: Sequence[int], algorithm: str, numbers: dict[int, int] | None) -> bytes:
    messages = threaded_messages(mailbox_id, uids)
    if numbers is not None:
        messages = [replace(message, number=numbers[message.number]) for message in messages]
    return write_threads(thread(algorithm, messages))
