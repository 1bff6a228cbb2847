"""Accepting connections by hand, for listeners behind a proxy: its PROXY header is read off the socket first.

The header stands before everything else, TLS too. It is read to its last octet and no further, so that the transport
made afterwards, with TLS or without, finds the client's first octet. Only peers in POSTROOM_PROXY_FROM are asked for
one; from them it must come, within HEADER_S. Others are who they are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence

from mailservers.formats.proxy_header import (
    MAX_V1_OCTETS,
    V1_START,
    ProxyHeaderError,
    parse_v1,
    parse_v2,
    v2_length,
)
from mailservers.serving.connection import Connection

log = logging.getLogger(__name__)

HEADER_S = 5.0
AGAIN_S = 0.1  # after an accept that failed: out of file descriptors, most likely
MIN_V1_OCTETS = 12  # read at once: a version 1 line has at least 15, a version 2 header 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ProxiedServer:
    """Stands in for `asyncio.Server` on one listening socket."""

    def __init__(self, sock: socket.socket, trusted: Sequence[str], make: Callable[[], Connection]) -> None:
        self._sock = sock
        self._trusted: list[Network] = [ipaddress.ip_network(name) for name in trusted]
        self._make = make
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept(), name="accepting behind a proxy")

    def close(self) -> None:
        self._accepting.cancel()
        for task in self._tasks:
            task.cancel()
        self._sock.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(self._sock)
            except OSError as error:
                log.warning("a connection was not accepted: %s", error)
                await asyncio.sleep(AGAIN_S)
                continue
            task = loop.create_task(self._welcome(sock, address[0] if address else ""))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _welcome(self, sock: socket.socket, peer: str) -> None:
        loop = asyncio.get_running_loop()
        connection = self._make()
        try:
            if self._is_trusted(peer):
                async with asyncio.timeout(HEADER_S):
                    connection.peer_address = await _read_header(loop, sock)
            await loop.connect_accepted_socket(lambda: connection, sock)
        except (OSError, ProxyHeaderError, TimeoutError) as error:
            log.info("the connection from %s came to nothing: %s", peer, error)
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.removeprefix("::ffff:"))
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


async def _read_header(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> str:
    """The client's address, "" when the proxy does not say."""
    start = await _read(loop, sock, MIN_V1_OCTETS)
    if not start.startswith(V1_START):
        start += await _read(loop, sock, 4)
        return parse_v2(start, await _read(loop, sock, v2_length(start)))
    while not start.endswith(b"\n"):
        if len(start) >= MAX_V1_OCTETS:
            raise ProxyHeaderError("the line is too long")
        start += await _read(loop, sock, 1)
    return parse_v1(start)


async def _read(loop: asyncio.AbstractEventLoop, sock: socket.socket, octets: int) -> bytes:
    """Exactly so many octets."""
    data = b""
    while len(data) < octets:
        more = await loop.sock_recv(sock, octets - len(data))
        if not more:
            raise ProxyHeaderError("the header is cut short")
        data += more
    return data
