"""ClamAV: is there a virus in it? Asked over clamd's socket (CLAMAV_ADDRESS) with INSTREAM, as its manual has it:

    zINSTREAM NUL, then chunks, each after its length in four octets, then a length of zero -> "stream: OK" NUL,
    "stream: NAME FOUND" NUL, "… ERROR" NUL

A virus is certain abuse and is refused. When clamd cannot be asked, CLAMAV_REQUIRED decides: take the mail all the
same, or have it come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterable

from django.conf import settings

from mailservers.checks.opinion import Check, Facts, Reason, Refusal
from mailservers.formats.octets import Octets, chunks

MAX_ANSWER = 4096
VIRUS_WEIGHT = 50.0


class ClamAv(Check):
    name = "clamav"

    def is_on(self) -> bool:
        return bool(settings.CLAMAV_ADDRESS)

    async def examine(self, facts: Facts) -> Iterable[Reason]:
        answer = await scan(settings.CLAMAV_ADDRESS, facts.content)
        if answer.endswith(" FOUND"):
            virus = answer.removeprefix("stream: ").removesuffix(" FOUND")
            refusal = Refusal(550, "5.7.1", f"The message carries a virus: {virus}")
            return [Reason("clamav.virus", VIRUS_WEIGHT, virus, refusal=refusal)]
        if answer != "stream: OK":
            raise OSError(f"clamd said {answer!r}")
        return [Reason("clamav.clean")]

    def when_failed(self) -> Reason:
        refusal = Refusal(451, "4.7.1", "The virus scanner is not available; please try again later")
        return Reason("clamav.error", 0.0, "could not be asked", refusal=refusal if settings.CLAMAV_REQUIRED else None)


async def scan(address: str, content: Octets) -> str:
    """clamd's answer. Raises OSError, TimeoutError."""
    async with connection(address) as (reader, writer):
        try:
            writer.write(b"zINSTREAM\0")
            async for chunk in chunks_of(content):
                writer.write(struct.pack("!L", len(chunk)))
                writer.write(chunk)
                await writer.drain()
            writer.write(struct.pack("!L", 0))
            await writer.drain()
        except ConnectionError:
            pass  # over its size limit it answers early and closes: the answer says why
        answer = await reader.read(MAX_ANSWER)
    return answer.partition(b"\0")[0].decode("utf-8", "replace").strip()


async def chunks_of(content: Octets) -> AsyncIterator[bytes]:
    """What is not in memory is read in a thread."""
    pieces = chunks(content)
    while chunk := next(pieces, b"") if isinstance(content, bytes) else await asyncio.to_thread(next, pieces, b""):
        yield chunk


@contextlib.asynccontextmanager
async def connection(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """To a path of a Unix socket, or `host:port`; closed afterwards whatever happens."""
    if address.startswith("/"):
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
