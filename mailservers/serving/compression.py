"""DEFLATE under a protocol, above TLS (RFC 4978 section 3): a layer that a connection may put on and take off.

Bounded against bombs: what came in is decompressed PIECE_OCTETS at a time, only while the session wants more, and no
more than PIECES of them before others have their turn. A large answer is compressed in a thread, while the session
waits in `drain`. 32 KiB for compressing and up to 40 KiB for decompressing are held for each connection: a window of
4 KiB costs a few percent of the gain, and a large one would cost 256 KiB.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from typing import TYPE_CHECKING

from mailservers.serving.connection import Connection

if TYPE_CHECKING:
    from mailservers.serving.listener import Context

PIECE_OCTETS = 32 * 1024
PIECES = 8
IN_THREAD_OVER = 64 * 1024  # octets: less is compressed at once
LEVEL = 1  # "zlib using its least CPU-intensive setting compresses typical responses to 25-40%" (section 4)
WINDOW_BITS = -12  # negative: raw deflate
MEMORY_LEVEL = 5


class Inflater:
    """The incoming direction: packed octets in, pieces of bounded size out. Raises `zlib.error`."""

    __slots__ = ("_packed", "_stream", "has_more")

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._packed = b""
        self.has_more = False

    def feed(self, data: bytes) -> None:
        self._packed += data
        self.has_more = True

    def read(self) -> bytes:
        """The next piece; b"" where more must be fed first."""
        if self._stream.eof:
            self.has_more = False
            return b""
        piece = self._stream.decompress(self._packed, PIECE_OCTETS)
        self._packed = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        self.has_more = len(piece) == PIECE_OCTETS or (bool(self._packed) and not self._stream.eof)
        return piece

    @property
    def unread(self) -> bytes:
        """What was fed and not read: after the end of the stream, octets that were never compressed."""
        return self._packed


class CompressibleConnection(Connection):
    """A connection that can be told to compress."""

    __slots__ = ("_deflater", "_ending", "_inflater", "_is_pumping", "_large")

    def __init__(self, context: Context, *, implicit_tls: bool = False) -> None:
        super().__init__(context, implicit_tls=implicit_tls)
        self._inflater: Inflater | None = None
        self._deflater: zlib._Compress | None = None
        self._ending = False  # the next write is the last one compressed
        self._is_pumping = False
        self._large: deque[bytes] | None = None  # waits to be compressed in a thread

    # ------------------------------------------------------------ for the session

    @property
    def is_compressed(self) -> bool:
        return self._inflater is not None

    def inflate_input(self) -> None:
        """What comes in from now on is compressed."""
        self._inflater = Inflater()

    def deflate_output(self) -> None:
        """What is written from now on is compressed."""
        self._deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)

    def end_compression(self) -> None:
        """What comes in from now on is not compressed; what is written is, once more."""
        inflater, self._inflater = self._inflater, None
        self._ending = self._deflater is not None
        if inflater is not None and inflater.unread:
            asyncio.get_running_loop().call_soon(self.data_received, inflater.unread)

    # ------------------------------------------------------------ out

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._deflater is None:
            super().write(data)
        elif self._large is not None or len(data) > IN_THREAD_OVER:
            self._large = self._large or deque()
            self._large.append(bytes(data))
        else:
            super().write(self._pack(data))

    def _pack(self, data: bytes | bytearray | memoryview) -> bytes:
        deflater = self._deflater
        assert deflater is not None
        packed = deflater.compress(data)
        if self._ending:
            self._ending, self._deflater = False, None
            return packed + deflater.flush(zlib.Z_FINISH)
        return packed + deflater.flush(zlib.Z_SYNC_FLUSH)

    async def drain(self) -> None:
        while self._large is not None:
            if not self._large:
                self._large = None
                break
            packed = await asyncio.to_thread(self._pack, self._large.popleft())
            super().write(packed)
            await super().drain()
        await super().drain()

    # ------------------------------------------------------------ in

    def data_received(self, data: bytes) -> None:
        if self._inflater is None or self.closing:
            super().data_received(data)
            return
        self._inflater.feed(data)
        if not self._is_pumping:
            self._pump()

    def resume_reading(self) -> None:
        if self._inflater is None or not self._inflater.has_more:
            super().resume_reading()
        elif self._reading_paused:
            self._reading_paused = False
            self._pump_later()

    def _pump_later(self) -> None:
        """Nothing more is read meanwhile, so that what is packed does not pile up."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            self._is_pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Hand on what was decompressed, while the session wants it, in turn with other connections."""
        was_pumping, self._is_pumping = self._is_pumping, False
        inflater = self._inflater
        try:
            for _ in range(PIECES):
                if inflater is None or inflater is not self._inflater or self.closing or self._reading_paused:
                    break
                piece = inflater.read()
                if piece:
                    self.received(piece)
                if not inflater.has_more:
                    break
            else:
                self._pump_later()
                return
        except zlib.error:
            self.abort()
            return
        if was_pumping and not self._reading_paused and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
