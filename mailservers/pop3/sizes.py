"""How many octets RETR sends for a message, when LIST and STAT ask before it was read.

The store knows the octets of a message as it was received. They are the same as those sent unless it has bare line
feeds or no line end at its end, which APPEND can bring. So each content is looked at once, when it is first in a
maildrop that is opened, and the difference is remembered for the life of the process, by message id (a content
never changes and an id never comes again).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailservers.formats.pop3 import wire_size
from mailservers.store.content import read_messages
from mailservers.store.engine import store

MAX_REMEMBERED = 200_000  # contents, about 20 MB
READ_OCTETS = 4 * 1024 * 1024  # looked at in one turn of a reader thread
READ_MESSAGES = 400

_added: dict[int, int] = {}  # message id: octets that sending adds; the oldest first


async def wire_sizes(contents: Sequence[tuple[int, int]]) -> list[int]:
    """Pairs (message id, octets as stored) to octets as sent, in the same order."""
    added = {pk: _added[pk] for pk, _ in contents if pk in _added}
    learnt: dict[int, int] = {}
    for batch in _batches([(pk, size) for pk, size in contents if pk not in added]):
        learnt |= await store.read(_look_at, batch)
    _remember(learnt)
    added |= learnt
    return [size + added.get(pk, 0) for pk, size in contents]


def _remember(learnt: dict[int, int]) -> None:
    _added.update(learnt)
    while len(_added) > MAX_REMEMBERED:
        del _added[next(iter(_added))]


def _batches(contents: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    batch: list[int] = []
    octets = 0
    for pk, size in dict(contents).items():
        if batch and (octets + size > READ_OCTETS or len(batch) >= READ_MESSAGES):
            yield batch
            batch, octets = [], 0
        batch.append(pk)
        octets += size
    if batch:
        yield batch


def _look_at(message_ids: list[int]) -> dict[int, int]:
    return {pk: wire_size(raw) - len(raw) for pk, raw in read_messages(message_ids)}
