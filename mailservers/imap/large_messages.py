"""Large messages that clients fetch piece by piece, kept for the next piece.

A client that takes 25 MB in pieces of 64 KiB (Thunderbird does) would else have the whole message read and
decompressed 400 times. Messages never change, so what is kept is never stale. Used from reader threads.
"""

import threading
from collections import OrderedDict

from mailservers.store.content import read_message

LARGE_OCTETS = 256 << 10  # smaller messages are read anew
KEPT_OCTETS = 64 << 20  # of all messages kept; a larger one is not kept at all


class LargeMessages:
    """The most recently used messages, by id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._octets = 0
        self._lock = threading.Lock()

    def read(self, message_id: int) -> bytes | None:
        """The message's octets; None where it is gone and no longer kept."""
        with self._lock:
            data = self._kept.get(message_id)
            if data is not None:
                self._kept.move_to_end(message_id)
                return data
        data = read_message(message_id)
        if data is not None and len(data) <= KEPT_OCTETS:
            self._keep(message_id, data)
        return data

    def _keep(self, message_id: int, data: bytes) -> None:
        with self._lock:
            if message_id in self._kept:
                return
            self._kept[message_id] = data
            self._octets += len(data)
            while self._octets > KEPT_OCTETS:
                self._octets -= len(self._kept.popitem(last=False)[1])


large_messages = LargeMessages()
