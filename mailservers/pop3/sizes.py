"""How many octets RETR sends for a message, when LIST and STAT ask before it was read.

The store knows the octets of a message as it was received. They are the same as those sent unless it has bare line
feeds, no line end at its end (APPEND can bring both), or a header beyond ASCII that the client does not take. So each
content is looked at once, when it is first in a maildrop that is opened, and the difference is remembered for the life
of the process, by message id (a content never changes and an id never comes again).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.conf import settings

from mailservers.formats.headers import MAX_HEADER_OCTETS, header_end
from mailservers.formats.pop3 import wire_size
from mailservers.formats.surrogate import ascii_surrogate
from mailservers.store.content import read_messages
from mailservers.store.engine import store
from mailservers.store.stored import open_stored

MAX_REMEMBERED = 200_000  # contents, about 20 MB
READ_OCTETS = 4 * 1024 * 1024  # looked at in one turn of a reader thread
READ_MESSAGES = 400

_Key = tuple[int, bool]  # message id, and whether it is sent as it is (UTF8)


class Sending(NamedTuple):
    """What sending makes of a content: octets it adds, and whether it is sent octet by octet as it is stored."""

    added: int
    is_plain: bool = False


_PLAIN = Sending(0, True)
_known: dict[_Key, Sending] = {}  # the oldest first


def is_plain(message_id: int, *, is_utf8: bool) -> bool:
    """Known to need no byte-stuffing and nothing else."""
    return _known.get((message_id, is_utf8)) is _PLAIN


async def wire_sizes(contents: Sequence[tuple[int, int]], *, is_utf8: bool) -> list[int]:
    """Pairs (message id, octets as stored) to octets as sent, in the same order."""
    known = {pk: _known[pk, is_utf8] for pk, _ in contents if (pk, is_utf8) in _known}
    learnt: dict[int, Sending] = {}
    for batch in _batches([(pk, size) for pk, size in contents if pk not in known]):
        look_at = _look_at_large if len(batch) == 1 and batch[0][1] > settings.STREAM_OVER else _look_at
        learnt |= await store.read(look_at, [pk for pk, _ in batch], is_utf8)
    _remember({(pk, is_utf8): sending for pk, sending in learnt.items()})
    known |= learnt
    return [size + known.get(pk, _PLAIN).added for pk, size in contents]


def _remember(learnt: dict[_Key, Sending]) -> None:
    _known.update(learnt)
    while len(_known) > MAX_REMEMBERED:
        del _known[next(iter(_known))]


def _batches(contents: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Those over STREAM_OVER come alone."""
    batch: list[tuple[int, int]] = []
    octets = 0
    for pk, size in dict(contents).items():
        if size > settings.STREAM_OVER:
            yield [(pk, size)]
            continue
        if batch and (octets + size > READ_OCTETS or len(batch) >= READ_MESSAGES):
            yield batch
            batch, octets = [], 0
        batch.append((pk, size))
        octets += size
    if batch:
        yield batch


def _look_at(message_ids: list[int], is_utf8: bool) -> dict[int, Sending]:
    return {pk: _sending(raw, is_utf8) for pk, raw in read_messages(message_ids)}


def _sending(raw: bytes, is_utf8: bool) -> Sending:
    sent = raw if is_utf8 else ascii_surrogate(raw)
    added = wire_size(sent) - len(raw)
    is_same = sent is raw and not added and b"\n." not in raw and not raw.startswith(b".")
    return _PLAIN if is_same else Sending(added)


def _look_at_large(message_ids: list[int], is_utf8: bool) -> dict[int, Sending]:
    """The same, in windows."""
    learnt: dict[int, Sending] = {}
    for pk in message_ids:
        raw = open_stored(pk)
        if raw is None:
            continue
        head = b"" if is_utf8 else raw[: min(header_end(raw), MAX_HEADER_OCTETS)]
        learnt[pk] = Sending(wire_size(raw) - len(raw) + len(ascii_surrogate(head)) - len(head))
    return learnt
