"""Pictures that mail names on other hosts, fetched in the reader's stead: the sender sees this server, no cookie and no
address of the reader.

Only what is public is asked: http and https at their own ports, addresses outside of private networks (whatever
OUTBOUND_ALLOW_PRIVATE says of mail hosts), and the connection goes to the very address that was looked at; so again
for each redirect. What comes back has to begin as a picture of a kind that cannot hold scripts.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import h11

from mailservers.outbound.https import FetchFailed, exchange, plain_headers
from mailservers.outbound.outcomes import Unreachable
from mailservers.outbound.resolve import MailHost, MailResolver, is_public

MAX_OCTETS = 8 * 1024 * 1024
MAX_ADDRESS = 4000  # characters
MAX_REDIRECTS = 4
TIMEOUT_S = 15.0  # all of it
PORTS = {"http": 80, "https": 443}
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"\0\0\1\0", "image/x-icon"),
)


class Picture(NamedTuple):
    content: bytes
    type: str


async def fetch_picture(resolver: MailResolver, url: str) -> Picture:
    """Raises `FetchFailed`."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            for _ in range(MAX_REDIRECTS + 1):
                found = await _step(resolver, url)
                if isinstance(found, Picture):
                    return found
                url = found
    except TimeoutError:
        raise FetchFailed("it took too long") from None
    except (Unreachable, OSError, ssl.SSLError, h11.ProtocolError, ValueError) as error:
        raise FetchFailed(str(error)) from error
    raise FetchFailed("it leads from one address to the next")


async def _step(resolver: MailResolver, url: str) -> Picture | str:
    """The picture, or where it is said to be."""
    parts = urlsplit(url)
    host, scheme = parts.hostname or "", parts.scheme.lower()
    if scheme not in PORTS or not host or len(url) > MAX_ADDRESS or not url.isascii() or not url.isprintable():
        raise FetchFailed("this is no address of a picture")
    if (parts.port or PORTS[scheme]) != PORTS[scheme] or " " in url:
        raise FetchFailed("pictures are fetched from the usual ports only")
    addresses = (await resolver.addresses(MailHost(host, PORTS[scheme]))).addresses
    address = next((address for address in addresses if is_public(address)), None)
    if address is None:
        raise FetchFailed(f"{host} is in a private network")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [*plain_headers(host), ("Accept", "image/webp,image/*")]
    request = h11.Request(method="GET", target=target, headers=headers)
    answer = await exchange(address, host, PORTS[scheme], request, is_https=scheme == "https", max_octets=MAX_OCTETS)
    if answer.status in (301, 302, 303, 307, 308) and answer.location:
        return urljoin(url, answer.location)
    if answer.status != 200:
        raise FetchFailed(f"the answer was {answer.status}")
    return Picture(answer.body, picture_type(answer.body))


def picture_type(content: bytes) -> str:
    """By its first octets, whatever the server says. Raises `FetchFailed`."""
    for beginning, type_ in _BEGINNINGS:
        if content.startswith(beginning):
            return type_
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    raise FetchFailed("this is no picture")
