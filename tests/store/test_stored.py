"""A stored message read in windows: any range, in any order, is what was stored."""

from __future__ import annotations

import random

import pytest

from accounts.models import User
from mailservers.formats.octets import View
from mailservers.models import Message, MessageData
from mailservers.store.bodies import file_path
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Append, append
from mailservers.store.spool import spooled
from mailservers.store.stored import open_stored
from tests.conftest import mailbox_id

HEADER = b"Subject: x\r\n\r\n"
BODY = random.Random(1).randbytes(700_000)


def put(user: User, raw: bytes) -> int:
    message = prepare(spooled([raw]))
    store.call_sync(append, Append(user.pk, mailbox_id(user), [(message, 0, (), None)]))
    return Message.objects.get(sha256=message.summary.sha256).pk


@pytest.mark.parametrize("body", [BODY, b"a" * 700_000, b""], ids=["a file", "all alike", "none"])
def test_any_range_in_any_order(anna: User, body: bytes) -> None:
    raw = HEADER + body
    message = open_stored(put(anna, raw))
    assert message is not None and len(message) == len(raw)
    assert b"".join(message.chunks()) == raw
    dice = random.Random(2)
    for _ in range(40):
        start, end = sorted((dice.randrange(len(raw) + 1), dice.randrange(len(raw) + 1)))
        assert message[start:end] == raw[start:end]
        assert b"".join(View(message, start, end).chunks(3)) == raw[start + 3 : end]


def test_what_is_open_outlives_its_file(anna: User) -> None:
    pk = put(anna, HEADER + BODY)
    path = file_path(MessageData.objects.get(pk=pk).file)
    packed = path.read_bytes()
    message = open_stored(pk)
    path.unlink()
    assert message is not None and b"".join(message.chunks()) == HEADER + BODY
    with pytest.raises(FileNotFoundError):
        open_stored(pk)
    assert open_stored(pk + 1) is None
    path.write_bytes(packed[:-1000])
    damaged = open_stored(pk)
    assert damaged is not None
    with pytest.raises(OSError, match="shorter"):
        list(damaged.chunks())
    path.write_bytes(packed)
