"""One HTTPS request with a small answer: no redirect, no proxy, a checked certificate, bounds on size and time.

For MTA-STS policies (RFC 8461 section 3.3) and TLS reports (RFC 8460 section 5.4). HTTP itself is h11's; addresses
come from our own resolver, so a name that leads into a private network is refused as everywhere.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

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
    """The body of a 200 answer, which has to be text/plain. Raises `FetchFailed`."""
    request = h11.Request(method="GET", target=path, headers=[*_headers(host), ("Accept", "text/plain")])
    status, kind, body = await _ask(resolver, host, settings.OUTBOUND_HTTPS_PORT, request)
    if status != 200:
        raise FetchFailed(f"the answer was {status}")
    if kind != "text/plain":
        raise FetchFailed(f"the answer is {kind}, not text/plain")
    return body


async def post(resolver: MailResolver, url: str, content: bytes, kind: str) -> None:
    """Raises `FetchFailed` unless the answer is one of success."""
    parts = urlsplit(url)
    try:
        port = parts.port or settings.OUTBOUND_HTTPS_PORT
    except ValueError as error:
        raise FetchFailed("the port is no number") from error
    if parts.scheme.lower() != "https" or not parts.hostname or not url.isascii() or not url.isprintable():
        raise FetchFailed("the address is no https: URL")
    headers = [*_headers(parts.hostname), ("Content-Type", kind), ("Content-Length", str(len(content)))]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = h11.Request(method="POST", target=target, headers=headers)
    status, _, _ = await _ask(resolver, parts.hostname, port, request, content)
    if not 200 <= status < 300:
        raise FetchFailed(f"the answer was {status}")


def _headers(host: str) -> list[tuple[str, str]]:
    return [("Host", host), ("User-Agent", "Postroom"), ("Connection", "close")]


async def _ask(
    resolver: MailResolver, host: str, port: int, request: h11.Request, content: bytes = b""
) -> tuple[int, str, bytes]:
    """Status, media type and body of the answer."""
    try:
        async with asyncio.timeout(TIMEOUT_S * settings.OUTBOUND_TIMEOUT_SCALE):
            found = await resolver.addresses(MailHost(host, port))
            return await _exchange(found.addresses[0], host, port, request, content)
    except TimeoutError:
        raise FetchFailed("it took too long") from None
    except (Unreachable, OSError, ssl.SSLError, h11.ProtocolError) as error:
        raise FetchFailed(str(error)) from error


async def _exchange(address: str, host: str, port: int, request: h11.Request, content: bytes) -> tuple[int, str, bytes]:
    reader, writer = await asyncio.open_connection(
        address, port, ssl=TlsNeed(Level.VERIFIED).context(), server_hostname=host
    )
    try:
        connection = h11.Connection(h11.CLIENT)
        writer.write(connection.send(request) or b"")
        if content:
            writer.write(connection.send(h11.Data(data=content)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        return await _answer(connection, reader)
    finally:
        writer.transport.abort()


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
    status, kind, body = 0, "", b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(16_384))
        elif isinstance(event, h11.Response):
            status = event.status_code
            said = dict(event.headers).get(b"content-type", b"text/plain")
            kind = said.partition(b";")[0].strip().lower().decode("latin-1")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_OCTETS:
                raise FetchFailed("the answer is too long")
        elif isinstance(event, h11.EndOfMessage):
            return status, kind, body
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise FetchFailed("the answer is not whole")
