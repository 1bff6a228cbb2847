"""Listening sockets, the connections they brought, and their clean end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet

from django.conf import settings

from mailservers.serving.connection import Connection
from mailservers.serving.limits import AddressRate
from mailservers.serving.proxied import ProxiedServer

log = logging.getLogger(__name__)

BACKLOG = 1024
SWEEP_S = 1.0
CLOSE_WITHIN_S = 3.0  # what commands in hand get at shutdown


_listeners: WeakSet[Listener] = WeakSet()


class PortInUse(Exception):
    """Text names the port and the setting."""


class Context:
    """What the connections of one service share: TLS, limits, the set of them all."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self.hostname: str = settings.HOSTNAME
        self.connections: set[Connection] = set()
        self.closing = False
        self._per_address: dict[str, int] = {}
        self._rate = AddressRate(60.0)

    def clock(self) -> float:
        """Seconds, monotonic; as exact as deadlines need."""
        return time.monotonic()

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False when the server is full or ending, or its address has too many."""
        address = connection.peer_address
        count = self._per_address.get(address, 0)
        if self.closing or len(self.connections) >= settings.MAX_CONNECTIONS:
            return False
        if not connection.is_trusted:
            rate = settings.MAX_CONNECTION_RATE
            if count >= settings.MAX_CONNECTIONS_PER_ADDRESS or (rate and self._rate.note(address) > rate):
                return False
        self._per_address[address] = count + 1
        self.connections.add(connection)
        return True

    def dismiss(self, connection: Connection) -> None:
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        left = self._per_address[connection.peer_address] - 1
        if left:
            self._per_address[connection.peer_address] = left
        else:
            del self._per_address[connection.peer_address]


@dataclass(frozen=True, slots=True)
class Service:
    """A port's protocol. `name` is the key in settings.PORTS; `factory(context, implicit_tls=…)` makes a
    `Connection`."""

    name: str
    factory: Callable[..., Connection]
    implicit_tls: bool = False
    unix_setting: str = ""  # the setting that names a Unix socket to listen on besides

    @property
    def is_wanted(self) -> bool:
        return self.name in settings.PORTS or bool(self.unix_setting and getattr(settings, self.unix_setting))


def open_connections() -> dict[str, int]:
    """How many each service of this process has."""
    counts: dict[str, int] = {}
    for listener in list(_listeners):
        counts[listener.service.name] = counts.get(listener.service.name, 0) + len(listener.context.connections)
    return counts


class Listener:
    """One service on its addresses."""

    def __init__(self, service: Service, tls: ssl.SSLContext) -> None:
        self.service = service
        self.context = Context(tls)
        self._servers: list[asyncio.AbstractServer | ProxiedServer] = []
        self._sweep: asyncio.Task[None] | None = None
        self.port = 0
        _listeners.add(self)

    async def start(self) -> None:
        """Bind and accept. Raises `PortInUse`."""
        service, loop = self.service, asyncio.get_running_loop()
        if service.name in settings.PORTS:
            sockets = bind(service.name)
            self.port = sockets[0].getsockname()[1]
            for sock in sockets:
                self._servers.append(await self._serve(sock))
        if service.unix_setting and (path := getattr(settings, service.unix_setting)):
            server = await loop.create_unix_server(self._make, sock=bind_unix(path, service.unix_setting))
            self._servers.append(server)
        self._sweep = loop.create_task(self._sweep_deadlines(), name=f"{service.name} deadlines")

    def _make(self) -> Connection:
        return self.service.factory(self.context, implicit_tls=self.service.implicit_tls)

    async def _serve(self, sock: socket.socket) -> asyncio.AbstractServer | ProxiedServer:
        if settings.PROXY_FROM:
            return ProxiedServer(sock, settings.PROXY_FROM, self._make)
        return await asyncio.get_running_loop().create_server(self._make, sock=sock, backlog=BACKLOG)

    async def _sweep_deadlines(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self.context.clock()
            for connection in [c for c in self.context.connections if 0 < c.deadline < now]:
                connection.deadline = now + 5  # for the goodbye
                try:
                    if connection.closing:
                        connection.abort()
                    else:
                        connection.timed_out()
                except Exception:
                    log.exception("ending a silent connection failed")

    async def stop(self) -> None:
        """No new connections; every client is told; what does not end in time is cut off."""
        self.context.closing = True
        for server in self._servers:
            server.close()
        for connection in list(self.context.connections):
            try:
                connection.say_goodbye()
            except Exception:
                log.exception("saying goodbye failed")
        until = self.context.clock() + CLOSE_WITHIN_S
        # Looked at, not waited for: an event would have to be kept for each connection.
        while self.context.connections and self.context.clock() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for connection in list(self.context.connections):
            connection.abort()
        if self._sweep is not None:
            self._sweep.cancel()


def bind(name: str) -> list[socket.socket]:
    """Listening sockets for a service on every POSTROOM_BIND address; with port 0 all share the one picked.

    Raises `PortInUse` with one line that names the port and the setting."""
    port, sockets = settings.PORTS[name], []
    setting = f"POSTROOM_{name.upper()}_PORT"
    try:
        for address in settings.BIND:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, port))
            sock.listen(BACKLOG)
            sock.setblocking(False)
            port = sock.getsockname()[1]
    except OSError as error:
        for sock in sockets:
            sock.close()
        reason = error.strerror or str(error)
        raise PortInUse(f"{name}: cannot listen on {address} port {port}: {reason}; set {setting}") from error
    return sockets


def bind_unix(path: str, setting: str) -> socket.socket:
    """A listening Unix socket; one left over by a process that died is taken away. Raises `PortInUse`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).is_socket():
            Path(path).unlink()
        sock.bind(path)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise PortInUse(f"cannot listen on {path}: {error.strerror or error}; set POSTROOM_{setting}") from error
    return sock
