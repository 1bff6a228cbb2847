"""SORT and THREAD and their UID forms (RFC 5256, RFC 5267, RFC 5957, RFC 6203)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

from mailservers.formats.imap.sort import SortRequest, ThreadRequest
from mailservers.formats.imap.threading import thread, write_threads
from mailservers.imap.replies import Reply
from mailservers.imap.searching import Order, carry_out, respond, updating
from mailservers.imap.session import Session
from mailservers.store.engine import store
from mailservers.store.searching.sorting import sort_uids, threaded_messages


async def sort(session: Session, request: SortRequest, by_uid: bool = False) -> Reply:
    async def order(uids: array[int], scores: dict[int, int]) -> array[int]:
        return await store.read(sort_uids, session.mailbox.mailbox_id, uids, request.criteria, scores)

    by_relevancy = any(criterion.key == "RELEVANCY" for criterion in request.criteria)
    found = await carry_out(session, request.search, Order(order, by_relevancy))
    found.context.criteria = request.criteria
    respond(session, request.search.options, found, by_uid, b"SORT")
    return updating(session, request.search.options, found, by_uid, "SORT completed")


async def thread_command(session: Session, request: ThreadRequest, by_uid: bool = False) -> Reply:
    found = (await carry_out(session, request.search)).uids
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
