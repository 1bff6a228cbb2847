"""The far side of the delivery crash test: takes mail, keeps an account of it, and strikes at a step of its choice."""

from __future__ import annotations

import re
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable

STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "content", "dot", "accepted", "later", "QUIT")
IN_FLIGHT_S = 0.5  # after our 250 went out: the other side may not have written it down yet
_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)

Key = tuple[str, str]  # Message-ID, recipient


class Remote(socketserver.ThreadingTCPServer):
    """`port`. `strike_at(step, strike)`: at the next such step, once."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.port = int(self.server_address[1])
        self.taken: Counter[Key] = Counter()
        self.in_flight: Counter[Key] = Counter()  # strikes while the other side could not know yet
        self.bodies: dict[str, set[bytes]] = {}
        self._lock = threading.Lock()
        self._open: dict[int, tuple[float, list[Key]]] = {}  # after the dot, by connection: when accepted, what
        self._struck_at = 0.0
        self._step = ""
        self._strike: Callable[[], None] | None = None
        self.has_struck = threading.Event()
        self._left = threading.Condition()
        self._connections = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def strike_at(self, step: str, strike: Callable[[], None]) -> None:
        with self._lock:
            self._step, self._strike = step, strike
            self.has_struck.clear()

    def wait_until_left(self) -> None:
        """No connection is open: the next mail has to make one."""
        with self._left:
            assert self._left.wait_for(lambda: not self._connections, 60)

    def come_or_gone(self, change: int) -> None:
        with self._left:
            self._connections += change
            self._left.notify_all()

    def reached(self, step: str, *, delay_s: float = 0.0) -> None:
        with self._lock:
            if step != self._step or self._strike is None:
                return
            strike, self._strike = self._strike, None
        time.sleep(delay_s)
        with self._lock:
            strike()
            self._struck_at = time.monotonic()
            for accepted_at, keys in self._open.values():
                if time.monotonic() - accepted_at < IN_FLIGHT_S:
                    self.in_flight.update(keys)
        self.has_struck.set()

    def take(self, connection: int, opened_at: float, content: bytes, recipients: list[str]) -> None:
        """All of it has come: as good as delivered, whatever the other side learns of it."""
        found = _MESSAGE_ID.search(content)
        assert found is not None
        name = found[1].decode()
        keys = [(name, recipient) for recipient in recipients]
        with self._lock:
            self.taken.update(keys)
            if opened_at < self._struck_at:  # it was in the network when its sender died
                self.in_flight.update(keys)
            self.bodies.setdefault(name, set()).add(content.partition(b"\r\n\r\n")[2])
            self._open[connection] = (time.monotonic(), keys)

    def told(self, connection: int) -> None:
        with self._lock:
            self._open[connection] = (time.monotonic(), self._open[connection][1])


class _Conversation(socketserver.StreamRequestHandler):
    server: Remote

    def handle(self) -> None:
        self.server.come_or_gone(1)
        try:
            self._talk()
        except (ConnectionError, ValueError):
            pass
        finally:
            self.server.come_or_gone(-1)

    def _say(self, step: str, text: str) -> None:
        self.server.reached(step)
        self.wfile.write(text.encode() + b"\r\n")

    def _talk(self) -> None:
        recipients: list[str] = []
        self._opened_at = time.monotonic()
        self._say("greeting", "220 remote.test ESMTP")
        while line := self.rfile.readline():
            verb = line[:4].upper().decode()
            if verb == "EHLO":
                self._say("EHLO", "250-remote.test\r\n250-PIPELINING\r\n250 8BITMIME")
            elif verb == "MAIL":
                recipients = []
                self._say("MAIL", "250 ok")
            elif verb == "RCPT":
                recipients.append(line.decode().partition("<")[2].partition(">")[0])
                self._say("RCPT", "250 ok")
            elif verb == "DATA":
                self._say("DATA", "354 go on")
                self._data(recipients)
            else:
                self._say("QUIT", "221 bye")
                return

    def _data(self, recipients: list[str]) -> None:
        rows = [self.rfile.readline()]
        self.server.reached("content")
        while rows[-1] != b".\r\n":
            rows.append(self.rfile.readline())
            if not rows[-1]:
                raise ConnectionError
        self.server.take(id(self), self._opened_at, b"".join(rows[:-1]), recipients)
        self._say("dot", "250 2.0.0 taken")
        self.server.told(id(self))
        self.server.reached("accepted")
        self.server.reached("later", delay_s=0.02)
