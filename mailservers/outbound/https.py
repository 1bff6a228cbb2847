"""One HTTPS GET of a small public text: no redirect, no proxy, a checked certificate, bounds on size and time.

For MTA-STS policies (RFC 8461 section 3.3). HTTP itself is h11's; addresses come from our own resolver, so a name
that leads into a private network is refused as everywhere.
"""

from __future__ import annotations

import asyncio
import ssl

import h11
from django.conf import settings

from mailservers.outbound.outcomes import Unreachable
from mailservers.outbound.resolve import MailHost, MailResolver
from mailservers.outbound.tls_need import Level, TlsNeed

MAX_OCTETS = 64 * 1024
TIMEOUT_S = 30.0  # all of it; section 3.3 suggests up to a minute


class FetchFailed(Exception):
    """The text says why, for the log."""


async def fetch(resolver: MailResolver, host: str, path: str) -> bytes:
    """The body of a 200 answer. Raises `FetchFailed`."""
    try:
        async with asyncio.timeout(TIMEOUT_S * settings.OUTBOUND_TIMEOUT_SCALE):
            found = await resolver.addresses(MailHost(host, settings.OUTBOUND_HTTPS_PORT))
            return await _get(found.addresses[0], host, path)
    except TimeoutError:
        raise FetchFailed("it took too long") from None
    except (Unreachable, OSError, ssl.SSLError, h11.ProtocolError) as error:
        raise FetchFailed(str(error)) from error


async def _get(address: str, host: str, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(
        address, settings.OUTBOUND_HTTPS_PORT, ssl=TlsNeed(Level.VERIFIED).context(), server_hostname=host
    )
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [("Host", host), ("User-Agent", "Postroom"), ("Accept", "text/plain"), ("Connection", "close")]
        writer.write(connection.send(h11.Request(method="GET", target=path, headers=headers)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        return await _answer(connection, reader)
    finally:
        writer.transport.abort()


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(16_384))
        elif isinstance(event, h11.Response):
            if event.status_code != 200:
                raise FetchFailed(f"the answer was {event.status_code}")
            kind = dict(event.headers).get(b"content-type", b"text/plain").partition(b";")[0].strip().lower()
            if kind != b"text/plain":
                raise FetchFailed(f"the answer is {kind.decode('latin-1')}, not text/plain")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_OCTETS:
                raise FetchFailed("the answer is too long")
        elif isinstance(event, h11.EndOfMessage):
            return body
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise FetchFailed("the answer is not whole")
