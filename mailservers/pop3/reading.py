"""Reading contents ahead of a client that fetches one message after the other.

One turn of a reader thread costs far more than one message, so that a client in sequence gets as many as
MAX_AHEAD messages read at once. The number doubles with each hit, as an operating system's read-ahead does: a
client that jumps about pays for what it asks only. When half of a portion has been sent, the next one is being read.
What is read ahead is bounded by two portions, each of AHEAD_OCTETS and one message.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mailservers.formats.headers import MAX_HEADER_OCTETS
from mailservers.formats.pop3 import WireLines, cut_body, first_lines, to_wire
from mailservers.formats.surrogate import ascii_surrogate
from mailservers.pop3.maildrop import Maildrop
from mailservers.pop3.replies import Refusal
from mailservers.pop3.sizes import is_plain
from mailservers.store.content import read_headers, read_message, read_messages
from mailservers.store.engine import store
from mailservers.store.stored import open_stored

log = logging.getLogger(__name__)

MAX_AHEAD = 64  # messages
AHEAD_OCTETS = 512 * 1024  # of messages, by their sizes

Contents = dict[int, bytes]  # message id: octets as sent


@dataclass(frozen=True, slots=True)
class Coming:
    """A portion that is being read, by message number."""

    ids: dict[int, int]  # message ids
    task: asyncio.Task[Contents]


class ReadAhead:
    """`take` what is there, else `await fetch`. `read` runs on a reader thread."""

    __slots__ = ("_coming", "_expected", "_maildrop", "_read", "_ready", "_window")

    def __init__(self, maildrop: Maildrop, read: Callable[[list[int]], Contents]) -> None:
        self._maildrop = maildrop
        self._read = read
        self._ready: dict[int, bytes] = {}  # by message number
        self._coming: Coming | None = None  # what follows
        self._window = 4
        self._expected = 1  # the first number after the last one read

    def take(self, number: int) -> bytes | None:
        """The message's octets as sent, and forget them; None when they were not read ahead."""
        found = self._ready.pop(number, None)
        if found is not None and self._coming is None and len(self._ready) < self._window // 2:
            self._read_on()
        return found

    def _read_on(self) -> None:
        """Read the next portion while the client gets this one."""
        at = self._expected
        if at <= len(self._maildrop) and self._maildrop.size(at) <= AHEAD_OCTETS:
            ids = self._ids(self._choose(at))
            task = asyncio.get_running_loop().create_task(store.read(self._read, list(set(ids.values()))))
            task.add_done_callback(_look_after)
            self._coming = Coming(ids, task)

    async def fetch(self, number: int) -> bytes:
        """The same, read from the store with some that follow. Raises `Refusal` when the message is gone."""
        coming, self._coming = self._coming, None
        if coming is None or number not in coming.ids or not await self._has_come(coming):
            await self._fetch_anew(number)
        found = self.take(number)
        if found is None:
            raise Refusal("Message has been removed by another session")
        return found

    async def _has_come(self, coming: Coming) -> bool:
        try:
            contents = await coming.task
        except Exception:  # logged; asked for alone, it may be there
            return False
        self._keep(coming.ids, contents)
        return True

    async def _fetch_anew(self, number: int) -> None:
        ids = self._ids(self._choose(number))
        try:
            contents = await store.read(self._read, list(set(ids.values())))
        except Exception:
            if len(ids) == 1:
                raise
            log.warning("reading ahead failed", exc_info=True)  # for another message, perhaps
            contents = await store.read(self._read, [ids[number]])
        self._keep(ids, contents)

    def _keep(self, ids: dict[int, int], contents: Contents) -> None:
        self._ready = {n: contents[pk] for n, pk in ids.items() if pk in contents}

    def _ids(self, numbers: list[int]) -> dict[int, int]:
        self._expected = numbers[-1] + 1
        return {n: self._maildrop.message_ids[n - 1] for n in numbers}

    def _choose(self, number: int) -> list[int]:
        self._window = min(2 * self._window, MAX_AHEAD) if number == self._expected else 1
        numbers, octets = [number], self._maildrop.size(number)
        for n in range(number + 1, min(number + self._window, len(self._maildrop) + 1)):
            if self._maildrop.is_marked(n):
                continue
            octets += self._maildrop.size(n)
            if octets > AHEAD_OCTETS:
                break
            numbers.append(n)
        return numbers


def _look_after(task: asyncio.Task[Contents]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("reading ahead failed: %s", error)


def whole_messages(message_ids: list[int]) -> Contents:
    """For RETR."""
    return {pk: raw if is_plain(pk, is_utf8=True) else to_wire(raw) for pk, raw in read_messages(message_ids)}


def headers(message_ids: list[int]) -> Contents:
    """For TOP without a body."""
    return {pk: to_wire(raw) for pk, raw in read_headers(message_ids).items()}


def ascii_messages(message_ids: list[int]) -> Contents:
    """For RETR by clients without UTF8 (RFC 6856 2.1)."""
    return {
        pk: raw if is_plain(pk, is_utf8=False) else to_wire(ascii_surrogate(raw))
        for pk, raw in read_messages(message_ids)
    }


def ascii_headers(message_ids: list[int]) -> Contents:
    return {pk: to_wire(ascii_surrogate(raw)) for pk, raw in read_headers(message_ids).items()}


def beginning(message_id: int, header_size: int, lines: int, is_utf8: bool) -> bytes | None:
    """For TOP: the header and the first lines of the body; None when the message is gone."""
    raw = read_message(message_id)
    if raw is None:
        return None
    cut = cut_body(raw, header_size, lines)
    return to_wire(cut if is_utf8 else ascii_surrogate(cut))


def open_large(message_id: int, header_size: int, lines: int | None, is_utf8: bool) -> Iterator[bytes] | None:
    """A large message as it is sent, in pieces; for TOP its header and so many lines. None when the message is gone.
    The pieces are read in reader threads, too."""
    raw = open_stored(message_id)
    if raw is None:
        return None
    head = raw[: min(header_size, MAX_HEADER_OCTETS)]
    body: Iterator[bytes] = raw.chunks(len(head))
    if lines is not None:
        body = chain(raw.chunks(len(head), header_size), first_lines(raw.chunks(header_size), lines))
    return _on_the_wire(chain([head if is_utf8 else ascii_surrogate(head)], body))


def _on_the_wire(pieces: Iterable[bytes]) -> Iterator[bytes]:
    wire = WireLines()
    for piece in pieces:
        yield wire.feed(piece)
    yield wire.end()
