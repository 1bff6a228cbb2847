"""One HTTPS request with a small answer: no redirect, no proxy, a checked certificate, bounds on size and time.

For MTA-STS policies (RFC 8461 section 3.3) and TLS reports (RFC 8460 section 5.4). HTTP itself is h11's; addresses
come from our own resolver, so a name that leads into a private network is refused as everywhere.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import NamedTuple
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


class Answer(NamedTuple):
    status: int
    kind: str  # media type
    location: str
    body: bytes


async def fetch(resolver: MailResolver, host: str, path: str) -> bytes:
    """The body of a 200 answer, which has to be text/plain. Raises `FetchFailed`."""
    request = h11.Request(method="GET", target=path, headers=[*plain_headers(host), ("Accept", "text/plain")])
    answer = await _ask(resolver, host, settings.OUTBOUND_HTTPS_PORT, request)
    if answer.status != 200:
        raise FetchFailed(f"the answer was {answer.status}")
    if answer.kind != "text/plain":
        raise FetchFailed(f"the answer is {answer.kind}, not text/plain")
    return answer.body


async def post(resolver: MailResolver, url: str, content: bytes, kind: str) -> None:
    """Raises `FetchFailed` unless the answer is one of success."""
    parts = urlsplit(url)
    try:
        port = parts.port or settings.OUTBOUND_HTTPS_PORT
    except ValueError as error:
        raise FetchFailed("the port is no number") from error
    if parts.scheme.lower() != "https" or not parts.hostname or not url.isascii() or not url.isprintable():
        raise FetchFailed("the address is no https: URL")
    headers = [*plain_headers(parts.hostname), ("Content-Type", kind), ("Content-Length", str(len(content)))]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = h11.Request(method="POST", target=target, headers=headers)
    answer = await _ask(resolver, parts.hostname, port, request, content)
    if not 200 <= answer.status < 300:
        raise FetchFailed(f"the answer was {answer.status}")


def plain_headers(host: str) -> list[tuple[str, str]]:
    return [("Host", host), ("User-Agent", "Postroom"), ("Connection", "close")]


async def _ask(resolver: MailResolver, host: str, port: int, request: h11.Request, content: bytes = b"") -> Answer:
    try:
        async with asyncio.timeout(TIMEOUT_S * settings.OUTBOUND_TIMEOUT_SCALE):
            found = await resolver.addresses(MailHost(host, port))
            return await exchange(found.addresses[0], host, port, request, content)
    except TimeoutError:
        raise FetchFailed("it took too long") from None
    except (Unreachable, OSError, ssl.SSLError, h11.ProtocolError) as error:
        raise FetchFailed(str(error)) from error


async def exchange(
    address: str,
    host: str,
    port: int,
    request: h11.Request,
    content: bytes = b"",
    *,
    is_https: bool = True,
    max_octets: int = MAX_OCTETS,
) -> Answer:
    """With this very address, so that it cannot become another between a look at it and the connection. Raises
    `FetchFailed`, OSError and h11's ProtocolError."""
    context = TlsNeed(Level.VERIFIED).context() if is_https else None
    reader, writer = await asyncio.open_connection(
        address, port, ssl=context, server_hostname=host if is_https else None
    )
    try:
        connection = h11.Connection(h11.CLIENT)
        writer.write(connection.send(request) or b"")
        if content:
            writer.write(connection.send(h11.Data(data=content)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        return await _answer(connection, reader, max_octets)
    finally:
        writer.transport.abort()


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader, max_octets: int) -> Answer:
    status, kind, location = 0, "", ""
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(16_384))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = dict(event.headers)
            location = headers.get(b"location", b"").decode("latin-1")
            said = headers.get(b"content-type", b"text/plain")
            kind = said.partition(b";")[0].strip().lower().decode("latin-1")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > max_octets:
                raise FetchFailed("the answer is too long")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, kind, location, bytes(body))
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise FetchFailed("the answer is not whole")
