"""A message while it comes: small ones stay in memory, large ones go to a spool. For the event loop.

Whoever reads octets off a connection (SMTP DATA and BDAT, IMAP APPEND) collects them in pieces, asks `is_due` how
many may be collected, and hands them over with `write`; `finish` gives the whole. When the disk refuses, that is
told at the end and once: the rest of the message has to be read anyhow, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import logging

from django.conf import settings

from mailservers.store.errors import StoreError
from mailservers.store.spool import Content, Spool

log = logging.getLogger(__name__)

AT_ONCE = 256 * 1024  # octets collected between two writes


class Arriving:
    """One message, or the messages of one command one after the other."""

    __slots__ = ("_spool", "error")

    def __init__(self) -> None:
        self._spool: Spool | None = None
        self.error: StoreError | None = None  # what the disk said

    def is_due(self, held: int) -> bool:
        """Are so many collected octets to be written now?"""
        return held > settings.STREAM_OVER or (held > AT_ONCE and self._spool is not None)

    async def write(self, pieces: list[bytes]) -> None:
        """Put these out of memory. Check `error` afterwards."""
        if self.error is not None:
            return
        try:
            if self._spool is None:
                self._spool = await asyncio.to_thread(Spool)
            await asyncio.to_thread(self._spool.write, pieces)
        except StoreError as error:
            log.warning("a large message cannot be kept: %s", error)
            self.error, self._spool = error, None

    async def finish(self, pieces: list[bytes]) -> Content | StoreError:
        """The whole message, of which these are the last pieces."""
        if self._spool is None and self.error is None:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if pieces:
            await self.write(pieces)
        if self._spool is None:
            assert self.error is not None
            return self.error
        return self._spool.content()
