"""One POP3 session: octets in, `commands` at work, octets out. No socket here: see `Wire`.

Most commands are answered at once, without a task. A task exists only while something has to be waited for: a read
from the store, a login, TLS, a client that reads too slowly. Commands that come in meanwhile wait in the reader;
beyond MAX_BUFFERED the client is no longer read from.

    no task          `receive` runs commands until one has to wait or none is left
    task             it waits, answers, and goes on with the commands that came in
    `_line_taker`    the next line is no command but the answer to a challenge (AUTH)
    `is_over`        nothing is written any more; the maildrop is let go when no task is left

The maildrop is let go, and \\Seen stored, by `leave`, however the session ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from django.conf import settings

from mailservers.formats.pop3 import LineReader, Pop3SyntaxError
from mailservers.pop3.maildrop import Maildrop
from mailservers.pop3.reading import ReadAhead, ascii_headers, ascii_messages, headers, whole_messages
from mailservers.pop3.replies import Answer, Disconnect, Octets, Reply, err, ok, reply_for

log = logging.getLogger(__name__)

MAX_BUFFERED = 64 * 1024  # octets of pipelined commands
MAX_AT_ONCE = 200  # commands answered before other connections have their turn
MAX_BAD_COMMANDS = 20  # one after the other
FLUSH_OCTETS = 64 * 1024  # of replies gathered into one write

REVOKED = err("Your password was changed or your access withdrawn: sign in again", "AUTH")
SHUTTING_DOWN = err("Server is shutting down", "SYS/TEMP")

_Waiting = Coroutine[Any, Any, Reply]

_last_acts: set[asyncio.Task[None]] = set()  # \Seen being stored after lost connections


class Wire(Protocol):
    """What a session needs of its connection; `server.Pop3Connection` is one."""

    is_tls: bool
    peer_address: str

    @property
    def may_send_password(self) -> bool: ...
    def channel_binding(self, kind: str) -> bytes | None: ...
    @property
    def is_writable(self) -> bool: ...
    def write(self, data: bytes | memoryview) -> None: ...
    async def drain(self) -> None: ...
    async def start_tls(self) -> None: ...
    def close(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def expect_within(self, seconds: float) -> None: ...


class Session:
    """See the module's text. `run` is `commands.run`; the table imports the handlers, and they this class."""

    __slots__ = (
        "_bad_commands",
        "_farewell",
        "_finishing",
        "_line_taker",
        "_out",
        "_out_octets",
        "_reader",
        "_run",
        "_task",
        "failed_logins",
        "headers",
        "is_over",
        "is_utf8",
        "login",
        "maildrop",
        "messages",
        "wire",
    )
    messages: ReadAhead
    headers: ReadAhead

    def __init__(self, wire: Wire, run: Callable[[Session, bytes], Answer]) -> None:
        self.wire = wire
        self._run = run
        self.login = ""  # from USER
        self.failed_logins = 0
        self.maildrop: Maildrop | None = None  # there in the TRANSACTION state
        self.is_over = False
        self.is_utf8 = False  # RFC 6856: the client takes header fields beyond ASCII
        self._reader = LineReader()
        self._out: list[bytes | memoryview] = []
        self._out_octets = 0
        self._task: asyncio.Task[None] | None = None
        self._line_taker: Callable[[bytes], Answer] | None = None
        self._bad_commands = 0
        self._finishing = False  # the client sends no more: end when its commands are done
        self._farewell: bytes | None = None  # end with this when the command in hand is done

    # ------------------------------------------------------------ the connection's side

    def greet(self) -> None:
        """Without a timestamp: APOP is not offered (RFC 1939 section 7)."""
        self.wire.expect_within(settings.POP3_TIMEOUT_S)
        self.wire.write(ok("Postroom POP3 server ready"))

    def receive(self, data: bytes) -> None:
        if self.is_over:
            return
        self._reader.feed(data)
        if self._task is None:
            self._go_on()
        elif self._reader.buffered_octets > MAX_BUFFERED:
            self.wire.pause_reading()

    def finish(self) -> None:
        """The client has closed its side: do what it asked for, then end."""
        self._finishing = True
        if self._task is None:
            self._end()

    def goodbye(self, reply: bytes = SHUTTING_DOWN) -> None:
        """End with this reply, after the command in hand."""
        if self._task is None:
            self._end(reply)
        else:
            self._farewell = reply

    def time_out(self) -> None:
        """RFC 1939 section 3: no UPDATE state, and no response."""
        self._end()

    def lost(self) -> None:
        """The connection is gone. A command in hand goes on until it wants to write."""
        self.is_over = True
        if self._task is None:
            self._abandon()

    # ------------------------------------------------------------ the handlers' side

    def enter(self, maildrop: Maildrop) -> None:
        """The TRANSACTION state begins."""
        self.maildrop = maildrop
        self.messages = ReadAhead(maildrop, whole_messages if self.is_utf8 else ascii_messages)
        self.headers = ReadAhead(maildrop, headers if self.is_utf8 else ascii_headers)

    def leave(self) -> None:
        """Let the maildrop go."""
        if self.maildrop is not None:
            self.maildrop.unlock()
            self.maildrop = None
            del self.messages, self.headers

    def expect_line(self, take: Callable[[bytes], Answer]) -> None:
        """The next line is for `take`, and no command."""
        self._line_taker = take

    def forget_input(self) -> None:
        self._reader.clear()

    def put(self, data: bytes | memoryview) -> None:
        """Queue octets of a reply."""
        self._out.append(data)
        self._out_octets += len(data)
        if self._out_octets >= FLUSH_OCTETS:
            self.flush()

    async def send(self, data: bytes) -> None:
        """Send octets of a reply, and wait until the client has read enough."""
        self.put(data)
        await self._drain()

    def flush(self) -> None:
        if self._out and not self.is_over:
            self.wire.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()
        self._out_octets = 0

    # ------------------------------------------------------------ work

    def _go_on(self) -> None:
        waiting = self._run_ready()
        if waiting is not None:
            self._task = asyncio.get_running_loop().create_task(self._work(waiting))

    def _run_ready(self) -> _Waiting | None:
        """Run commands until one has to wait, and give what for; None when no more commands have come in."""
        for _ in range(MAX_AT_ONCE):
            answer = self._next_answer()
            if answer is None:
                self.flush()
                if self._finishing:
                    self._end()
                elif not self.is_over:
                    self.wire.resume_reading()
                return None
            waiting = self._put_answer(answer)
            if waiting is not None:
                self.flush()
                return waiting
        self.flush()
        return _next_turn()

    def _next_answer(self) -> Answer | None:
        if self.is_over:
            return None
        try:
            line = self._reader.next_line()
            if line is None:
                return None
            self.wire.expect_within(settings.POP3_TIMEOUT_S)
            take, self._line_taker = self._line_taker, None
            answer = self._run(self, line) if take is None else take(line)
        except Exception as error:
            self._line_taker = None
            return self._refuse(error)
        self._bad_commands = 0
        return answer

    def _refuse(self, error: Exception) -> bytes:
        if isinstance(error, Disconnect):
            self._end(error.reply)
            return b""
        if isinstance(error, Pop3SyntaxError):
            self._bad_commands += 1
            if self._bad_commands >= MAX_BAD_COMMANDS:
                self._end(err("Too many bad commands"))
                return b""
        return reply_for(error)

    def _put_answer(self, answer: Answer) -> _Waiting | None:
        """Queue a reply as far as the client reads; give what is to be waited for."""
        if isinstance(answer, Coroutine):
            return answer
        if isinstance(answer, bytes):
            self.put(answer)
        else:
            for piece in answer:
                self.put(piece)
                if not self.wire.is_writable:
                    return self._put_rest(answer)
        return None if self.wire.is_writable else self._drain()

    async def _put_rest(self, pieces: Iterator[Octets]) -> Reply:
        await self._drain()
        return pieces

    async def _drain(self) -> Reply:
        self.flush()
        await self.wire.drain()
        self.wire.expect_within(settings.POP3_TIMEOUT_S)  # a client that reads is not idle
        return b""

    async def _work(self, waiting: _Waiting | None) -> None:
        try:
            while waiting is not None:
                waiting = self._put_answer(await self._outcome(waiting))
                if waiting is None:
                    if self._farewell is not None:
                        self._end(self._farewell)
                    waiting = self._run_ready()
        except ConnectionResetError:
            self.is_over = True
        except Exception:
            log.exception("a POP3 session failed")
            self._end()
        finally:
            self._task = None
            if self.is_over:
                self._abandon()

    async def _outcome(self, waiting: _Waiting) -> Reply:
        try:
            return await waiting
        except ConnectionResetError:
            raise
        except Exception as error:
            return self._refuse(error)

    # ------------------------------------------------------------ the end

    def _end(self, reply: bytes = b"") -> None:
        """Say this, and close. A task in hand lets the maildrop go when it is done."""
        if self.is_over:
            return
        if reply:
            self.put(reply)
        self.flush()
        self.is_over = True
        self.wire.close()
        if self._task is None:
            self._abandon()

    def _abandon(self) -> None:
        """The session ended without QUIT: nothing is deleted, and what was retrieved is \\Seen."""
        maildrop = self.maildrop
        self.leave()
        if maildrop is None:
            return
        maildrop.unmark_all()
        if maildrop.has_news:
            task = asyncio.get_running_loop().create_task(maildrop.mark_seen())
            _last_acts.add(task)
            task.add_done_callback(_last_acts.discard)


async def _next_turn() -> Reply:
    await asyncio.sleep(0)
    return b""
