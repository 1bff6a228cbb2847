"""One serving process: which parts run in it, how they start, and how they end.

The top of the layers: it is the only module that knows all faces. `manage.py serve` runs every part on one event
loop; `manage.py runmail` runs some of them, with the web elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module

import uvicorn
from django.conf import settings

from accounts.auth.live import live_sessions
from accounts.auth.strengthen import Strengthening
from accounts.services.watching import Watching
from mailservers.outbound.runner import QueueRunner
from mailservers.reporting.keeping import Reporting
from mailservers.serving.certificates import Certificates
from mailservers.serving.keeping_certificates import CertificateKeeper
from mailservers.serving.listener import Listener, Service, bind
from mailservers.store.changes import hub
from mailservers.store.engine import store
from mailservers.store.searching.indexer import Indexer
from mailservers.store.tracing.feeder import TraceFeeder
from mailservers.sweeping import Sweeping

log = logging.getLogger(__name__)

PARTS = ("smtp", "imap", "pop3", "outbound", "web")
SERVICE_MODULES = {
    "smtp": "mailservers.smtp.server",
    "imap": "mailservers.imap.server",
    "pop3": "mailservers.pop3.server",
}
WEB_ENDS_WITHIN_S = 2


class EmbeddedWeb(uvicorn.Server):
    """uvicorn on our loop: the signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(slots=True)
class ServingProcess:
    """`await start()`, then `await wait()` until a signal, then `await stop()`."""

    parts: frozenset[str]
    ports: dict[str, int] = field(default_factory=dict)
    _listeners: list[Listener] = field(default_factory=list)
    _runner: QueueRunner | None = None
    _strengthening: Strengthening | None = None
    _webs: dict[str, tuple[EmbeddedWeb, asyncio.Task[None]]] = field(default_factory=dict)
    _certificates: CertificateKeeper = field(default_factory=lambda: CertificateKeeper(Certificates()))
    _sweeping: Sweeping = field(default_factory=Sweeping)
    _indexer: Indexer = field(default_factory=Indexer)
    _tracing: TraceFeeder = field(default_factory=TraceFeeder)
    _watching: Watching = field(default_factory=Watching)
    _reporting: Reporting | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """All listeners accept when this returns. Raises `PortInUse`; what was started is stopped then.

        From here on SIGINT and SIGTERM end `wait`, also when they come before it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, number)
        hub.attach()
        try:
            await self._certificates.start(orders="outbound" in self.parts)
            await self._start_mail()
            for name in ("web", "https") if "web" in self.parts else ():
                if name in settings.PORTS:
                    await self._start_web(name)
        except BaseException:
            await self.stop()
            raise
        if "outbound" in self.parts:
            self._runner = QueueRunner()
            await self._runner.start()
            self._watching.start()
        await live_sessions.start()
        self._strengthening = Strengthening()
        await self._strengthening.start()
        self._sweeping.start()
        self._reporting = Reporting(sends="outbound" in self.parts)
        self._reporting.start()
        await self._indexer.start()
        self._tracing.start()

    async def _start_mail(self) -> None:
        tls = self._certificates.front
        for service in services(self.parts):
            listener = Listener(service, tls)
            await listener.start()
            self._listeners.append(listener)
            self.ports[service.name] = listener.port

    async def _start_web(self, name: str) -> None:
        sockets = bind(name)
        self.ports[name] = sockets[0].getsockname()[1]
        tls = self._certificates.front
        config = uvicorn.Config(
            "config.asgi:application",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=WEB_ENDS_WITHIN_S,
            ssl_context_factory=(lambda _config, _default: tls) if name == "https" else None,
        )
        web = EmbeddedWeb(config)
        task = asyncio.create_task(web.serve(sockets=sockets), name=name)
        self._webs[name] = web, task
        while not web.started:
            if task.done():
                await task
                raise RuntimeError("the web server ended at once")
            await asyncio.sleep(0.01)

    async def wait(self) -> None:
        """Until SIGINT or SIGTERM; a second one ends the process at once, as the system does."""
        await self._ended.wait()

    def _end(self, number: int) -> None:
        self._ended.set()
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    async def stop(self) -> None:
        """Messages in hand finish or are answered 421; everything acknowledged is on disk."""
        self._sweeping.stop()
        self._certificates.stop()
        self._watching.stop()
        for web, _ in self._webs.values():
            web.should_exit = True
        await _all_within_reason(self._stopping())
        if self._reporting is not None:  # when nobody counts any more
            await self._reporting.stop()
        await hub.detach()
        await asyncio.to_thread(store.close)

    def _stopping(self) -> Iterator[Awaitable[object]]:
        yield from (listener.stop() for listener in self._listeners)
        if self._runner is not None:
            yield self._runner.stop()
        yield live_sessions.stop()
        if self._strengthening is not None:
            yield self._strengthening.stop()
        yield self._indexer.stop()
        yield self._tracing.stop()
        yield from (task for _, task in self._webs.values())


async def _all_within_reason(parts: Iterable[Awaitable[object]]) -> None:
    for outcome in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.error("a part did not end cleanly", exc_info=outcome)


def services(parts: Iterable[str]) -> list[Service]:
    """The services of the chosen protocols, in the order of SERVICE_MODULES."""
    wanted = set(parts)
    return [
        service
        for part, module in SERVICE_MODULES.items()
        if part in wanted
        for service in import_module(module).SERVICES
        if service.is_wanted
    ]
