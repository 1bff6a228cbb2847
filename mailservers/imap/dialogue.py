"""One client's commands, one after the other: octets in, `session` and `commands` at work, octets out.

A task exists only while there is work: a command that is complete, or changes to tell an idling client. An
idle connection is this object, a reader and a session. States:

    waiting    no task; octets go to the reader until it gives a command
    working    a task runs commands in the order they came; further octets wait in the reader, and beyond
               MAX_BUFFERED the client is no longer read from
    asking     working, and the command wants a line from the client (AUTHENTICATE)
    idling     no task, ``session.idle_tag`` set (RFC 9051 section 6.3.13): the next line ends it; a hint of
               changes starts a task that tells them
    listening  waiting, and NOTIFY was given (RFC 5465): a hint of changes starts a task that tells them
    ending     BYE was said; nothing is read any more

No socket here: what is needed of one is `session.Sink`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from django.conf import settings

from accounts.auth.door import Identity
from accounts.auth.live import live_sessions
from mailservers.formats.imap.lexer import ImapSyntaxError
from mailservers.formats.imap.reader import (
    BEFORE_LOGIN,
    Command,
    CommandReader,
    Continue,
    Fatal,
    Portion,
    Rejected,
    after_login,
)
from mailservers.imap import access
from mailservers.imap.commands import run, tagged
from mailservers.imap.notifying import announce_all
from mailservers.imap.replies import Disconnect, refusal_for
from mailservers.imap.session import Session, Sink
from mailservers.store.arriving import Arriving
from mailservers.store.errors import StoreError
from mailservers.store.spool import Content

log = logging.getLogger(__name__)

MAX_BUFFERED = 128 * 1024  # octets of pipelined commands
MAX_BAD_BEFORE_LOGIN = 50  # commands in a row


@dataclass(frozen=True, slots=True)
class _IdleEnd:
    """The line that ended IDLE."""

    line: bytes


class _Changes:
    """A client that idles, or gave NOTIFY, has changes to be told of."""


_CHANGES = _Changes()
_Work = Command | Portion | _IdleEnd | _Changes


class Dialogue:
    """See the module's text."""

    __slots__ = (
        "_arriving",
        "_ending",
        "_farewell",
        "_finishing",
        "_line_wanted",
        "_task",
        "reader",
        "session",
        "sink",
    )

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.reader = CommandReader()
        self.session = session = Session(sink)
        session.next_line = self._next_line
        session.enter = self._enter
        session.narrow_limits = self._narrow_limits
        session.forget_input = self.reader.clear
        session.on_change = self._on_change
        self._task: asyncio.Task[None] | None = None
        self._line_wanted: asyncio.Future[None] | None = None
        self._arriving: Arriving | None = None  # large messages of the command that comes
        self._ending = False
        self._finishing = False  # end when all commands received are done
        self._farewell: str | None = None  # end with this BYE when the command in hand is done

    # ------------------------------------------------------------ from the connection

    def start(self) -> None:
        """Greet."""
        self.sink.expect_within(settings.IMAP_LOGIN_TIMEOUT_S)
        access.greet(self.session)

    def feed(self, data: bytes) -> None:
        """Octets from the client."""
        if self._ending:
            return
        self.reader.feed(data)
        if self.session.identity is not None:
            self.sink.expect_within(settings.IMAP_IDLE_TIMEOUT_S)
        if self._task is None:
            self._begin()
        elif self._line_wanted is not None:
            if not self._line_wanted.done():
                self._line_wanted.set_result(None)
        elif self.reader.buffered_octets > MAX_BUFFERED:
            self.sink.pause_reading()

    def finish(self) -> None:
        """The client will send no more: end after the commands in hand."""
        self._finishing = True
        if self._task is None or self._line_wanted is not None:
            self._end(None)

    def goodbye(self, text: str) -> None:
        """End with BYE, after the command in hand."""
        if self._task is None or self._line_wanted is not None or self.session.idle_tag is not None:
            self._end(text)
        else:
            self._farewell = text

    def cut(self, text: str) -> None:
        """End with BYE, whatever is in hand."""
        self._end(text)

    def lost(self) -> None:
        """The connection is gone. A command in hand goes on until it wants to send."""
        self._ending = True
        live_sessions.leave(self)
        self.session.stop_listening()
        if self._line_wanted is not None and not self._line_wanted.done():
            self._line_wanted.set_exception(ConnectionResetError())

    # ------------------------------------------------------------ work

    def _begin(self) -> None:
        work = self._next_work()
        if work is not None:
            self._task = asyncio.get_running_loop().create_task(self._work(work))

    async def _work(self, work: _Work | None) -> None:
        try:
            while work is not None and not self._ending:
                await self._do(work)
                if self._farewell is not None:
                    self._end(self._farewell)
                work = self._next_work()
            if self._finishing:
                self._end(None)
        except Disconnect as reason:
            self._end(str(reason))
        except OSError:  # the client has gone, or TLS failed
            self._end(None)
        except Exception:
            log.exception("an IMAP session failed")
            self._end("Internal error")
        finally:
            self._task = None
            if self._ending:  # the client may have gone while a command made the session listen
                self.session.stop_listening()
            self.sink.resume_reading()

    async def _do(self, work: _Work) -> None:
        session = self.session
        if isinstance(work, Portion):
            await self._keep(work)
        elif isinstance(work, Command):
            self._arriving = None
            reply = await run(session, work)
            await session.flush()
            if reply is not None and reply.then is not None:
                await reply.then()
            if reply is not None and reply.closes:
                self._end(None)
        elif isinstance(work, _IdleEnd):
            tag, session.idle_tag = session.idle_tag, None
            await announce_all(session, expunge=True)
            if work.line.upper() == b"DONE":
                tagged(session, tag, "OK", None, "IDLE completed")
            else:
                tagged(session, tag, "BAD", None, "Expected DONE")
            await session.flush()
        else:
            await announce_all(session, expunge=session.idle_tag is not None or not session.delays_expunges)
            await session.flush()

    async def _keep(self, portion: Portion) -> None:
        """A large message goes out of memory as it comes."""
        if self._arriving is None:
            self._arriving = Arriving()
        await self._arriving.write([portion.octets])
        content: Content | StoreError | None = self._arriving.error
        if content is None and portion.is_last:
            content = await self._arriving.finish([])
        if isinstance(content, StoreError):
            refusal = refusal_for(content)
            assert refusal is not None  # every StoreError has a row
            self.reader.refuse(refusal.status, refusal.code, refusal.text)
        elif content is not None:
            self.reader.place(content)

    def _next_work(self) -> _Work | None:
        """What is to be done next; what needs no task is done here."""
        session = self.session
        if session.idle_tag is not None:
            if session.has_news:
                return _CHANGES
            line = self.reader.next_line()
            if isinstance(line, bytes):
                return _IdleEnd(line)
            if line is None:
                return None
            self._simple(line)
        while not self._ending:
            event = self.reader.next_event()
            if isinstance(event, Command | Portion):
                return event
            if event is None:
                return _CHANGES if session.has_news else None
            self._simple(event)
        return None

    def _simple(self, event: Continue | Rejected | Fatal) -> None:
        session = self.session
        if isinstance(event, Continue):
            session.raw(b"+ OK\r\n")
            session.send()
        elif isinstance(event, Rejected):
            self._arriving = None
            tag = session.idle_tag or event.tag
            session.idle_tag = None
            tagged(session, tag, event.status, event.code, event.text)
            session.send()
            session.bad_commands += 1
        else:
            self._end(f"[{event.code}] {event.text}" if event.code else event.text)
        if session.bad_commands > MAX_BAD_BEFORE_LOGIN and session.identity is None:
            self._end("Too many invalid commands")

    def _end(self, text: str | None) -> None:
        """Say BYE (unless ``text`` is None) and close."""
        if self._ending:
            return
        self._ending = True
        live_sessions.leave(self)
        if text is not None:
            self.session.untagged(b"BYE " + text.encode("ascii", "replace"))
        self.session.send()
        self.session.stop_listening()
        if self._line_wanted is not None and not self._line_wanted.done():
            self._line_wanted.set_exception(ConnectionResetError())
        self.sink.close()

    # ------------------------------------------------------------ for the session

    def _on_change(self) -> None:
        if self._task is None and self.session.has_news and not self._ending:
            self._begin()

    def _enter(self, identity: Identity) -> None:
        """Signed in: wider limits, until the end or until the login counts no more."""
        self.session.identity = identity
        self.reader.limits = after_login(settings.MESSAGE_SIZE_LIMIT, settings.STREAM_OVER)
        self.sink.expect_within(settings.IMAP_IDLE_TIMEOUT_S)
        if not self._ending:
            live_sessions.enter(
                self, identity, self._revoked,
                protocol="imap", address=self.sink.peer_address, client=self.session.client_name,
            )  # fmt: skip

    def _revoked(self) -> None:
        self.goodbye("Your password was changed or your access withdrawn: sign in again")

    def _narrow_limits(self) -> None:
        live_sessions.leave(self)
        self.reader.limits = BEFORE_LOGIN
        self.sink.expect_within(settings.IMAP_LOGIN_TIMEOUT_S)

    async def _next_line(self) -> bytes:
        """A line of an authentication exchange."""
        while (line := self.reader.next_line()) is None:
            if self._farewell is not None:  # said while nothing was waited for yet
                raise Disconnect(self._farewell)
            if self._finishing:
                raise ConnectionResetError
            self._line_wanted = asyncio.get_running_loop().create_future()
            try:
                await self._line_wanted
            finally:
                self._line_wanted = None
        if isinstance(line, Fatal):
            raise Disconnect(line.text)
        if isinstance(line, Rejected):
            raise ImapSyntaxError(line.text)
        return line
