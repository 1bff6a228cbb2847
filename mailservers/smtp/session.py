"""One SMTP session: bytes in, replies out, services called in between (RFC 5321).

The session is in one of four modes. In `line` mode it takes command lines; in `data` mode every octet belongs
to the message until CRLF "." CRLF; in `chunk` mode a counted number of octets does; in `answer` mode the next line
is the client's answer to an AUTH challenge.

    connect -> greeted -> (STARTTLS, back to connect) -> (AUTH) -> MAIL -> RCPT+ -> DATA or BDAT+ -> greeted

Invariants: one command at a time, in order (RFC 2920: pipelined input waits in `buffer` while a command waits
for a service, and reading is paused when it grows); a transaction ends with the reply to its data; the `250` to
DATA is sent only after `accept` has returned, and is not cancelled when the client goes away; nothing that came
before STARTTLS is used after it. Bounds: line length, recipients, message size, errors, time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from django.conf import settings

from accounts.auth.door import Identity
from mailservers.delivery.envelope import Envelope
from mailservers.formats.smtp import SmtpSyntaxError, decode_line, split_command
from mailservers.formats.smtp_chunks import ChunkReader
from mailservers.formats.smtp_data import DataReader, Received
from mailservers.smtp import defences, replies
from mailservers.smtp.arrival import Arrived, accept_arrived, note_message_refused, write_down
from mailservers.smtp.commands import COMMANDS
from mailservers.smtp.replies import Reply
from mailservers.smtp.trace import ConnectionTrace
from mailservers.smtp.wire import Mode, Role, Waiting, Wire
from mailservers.store.arriving import Arriving

log = logging.getLogger(__name__)

MAX_LINE = 4096  # octets with CRLF; RFC 5321 4.5.3.1.4 asks 512, extensions add to it
MAX_SKIPPED = 64 * 1024  # octets of a line that is too long
MAX_AUTH_LINE = 12_288  # RFC 4954 4
MAX_WAITING = 256 * 1024  # octets of pipelined input before reading is paused
MAX_ERRORS = 20
MAX_SWALLOW = 4  # times the size limit is read to the end of an oversized message, then the connection is cut


class Session:
    """`receive` octets, `end_of_input` when the client is done; writes to its wire."""

    __slots__ = (
        "_at",
        "_goodbye",
        "_half_closed",
        "_is_skipping",
        "_late",
        "_pace",
        "_said",
        "_skipped",
        "_task",
        "answer",
        "arriving",
        "buffer",
        "chunk_refusal",
        "chunks",
        "data",
        "envelope",
        "errors",
        "esmtp",
        "helo",
        "identity",
        "is_over",
        "mode",
        "role",
        "trace",
        "wire",
    )

    def __init__(self, wire: Wire, role: Role) -> None:
        self.wire = wire
        self.role = role
        self.trace = ConnectionTrace()
        self.helo = ""
        self.esmtp = False
        self.identity: Identity | None = None
        self.envelope: Envelope | None = None
        self.is_over = False
        self.mode = Mode.LINE
        self.buffer = b""
        self._at = 0  # how far into the buffer we are
        self._is_skipping = False  # a line that is too long
        self._skipped = 0  # octets of it
        self.data: DataReader | None = None
        self.arriving = Arriving()  # the message of DATA or BDAT
        self.chunks: ChunkReader | None = None  # a message that comes by BDAT
        self.chunk_refusal: Reply | None = None  # what the chunk in hand will be answered, once it has been read
        self.answer: Callable[[bytes], Waiting | None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.errors = 0
        self._said: list[bytes] | None = None  # replies to the input in hand, sent at once (RFC 2920 section 3.2)
        self._late: list[tuple[float, bytes]] = []  # replies that wait (tarpit), each with its seconds
        self._pace = defences.Pace()  # of the message that comes
        self._half_closed = False
        self._goodbye: Reply | None = None

    # ------------------------------------------------------------ the wire's side

    def greet(self) -> None:
        self.wire.expect_within(settings.SMTP_TIMEOUT_S)
        refusal = defences.refusal_at_connect(self)
        delay_s = defences.greet_delay_s(self)
        if refusal is not None:
            self.end(refusal)
        elif delay_s:
            self.mode = Mode.SILENCE
            self._run(self._greet_after(delay_s))
        else:
            self._say_hello()

    async def _greet_after(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if not self.is_over:
            self.mode = Mode.LINE
            self._say_hello()

    def _say_hello(self) -> None:
        self.reply((220, "", f"{settings.HOSTNAME} {'LMTP' if self.role is Role.LMTP else 'ESMTP'} Postroom"))

    def receive(self, data: bytes) -> None:
        if self.mode is Mode.SILENCE:
            self.end(defences.SPOKE_EARLY)
            return
        if self.mode in (Mode.DATA, Mode.CHUNK) and self._task is None:
            self.wire.expect_within(settings.SMTP_TIMEOUT_S)
            if self._pace.is_too_slow(len(data)):
                self.end(defences.TOO_SLOW)
                return
            self._feed(data)
            if self._task is None:
                self._advance()
            return
        if not self.buffer:  # a command line has so long, however many pieces it comes in
            self.wire.expect_within(settings.SMTP_TIMEOUT_S)
        self.buffer += data
        if self._task is None:
            self._advance()
        elif len(self.buffer) > MAX_WAITING:
            self.wire.pause_reading()

    def end_of_input(self) -> None:
        """The client closed its side: what it sent is worked through and answered, then the session ends.
        A message whose end has not come is dropped."""
        self._half_closed = True
        if self._task is None:
            self._finish()

    def goodbye(self, reply: Reply) -> None:
        """End after the command in hand: the server stops, or the client was silent for too long."""
        self._goodbye = reply
        if self._task is None:
            self._finish()

    def closed(self) -> None:
        """The connection is gone."""
        self.is_over = True
        tls = self.wire.tls_description() if self.wire.is_tls else ""
        event = self.trace.ending(self.wire.peer_address, self.helo, tls)
        if event is not None:
            write_down(event)

    def reply(self, reply: Reply) -> None:
        self.trace.replied(reply)
        delay_s = 0.0
        if reply[0] >= 500:
            self.errors += 1
            delay_s = defences.note_error(self)
        if delay_s or self._late:
            self._late.append((delay_s, replies.encode(reply)))
        elif self._said is not None:
            self._said.append(replies.encode(reply))
        else:
            self.wire.write(replies.encode(reply))

    def _send_said(self) -> None:
        if self._said:
            self.wire.write(b"".join(self._said))
        self._said = None

    async def _say_late(self) -> None:
        """Replies to guessers take their time; what comes meanwhile waits."""
        while self._late and not self.is_over:
            delay_s, wire = self._late[0]
            await asyncio.sleep(delay_s)
            if self._late:  # not said at the end meanwhile
                self._late.pop(0)
                self.wire.write(wire)

    def reset(self) -> None:
        """There is no transaction any more."""
        self.envelope = self.chunks = None
        self.arriving = Arriving()

    def forget_input(self) -> None:
        self.buffer, self._at = b"", 0

    # ------------------------------------------------------------ taking input apart

    def _advance(self) -> None:
        """Work through the buffer until it is empty or a command has to wait."""
        self._said = []
        try:
            self._take_input()
        finally:
            self._send_said()

    def _take_input(self) -> None:
        while self._task is None and not self.is_over:
            if self.errors > MAX_ERRORS:
                self.end(replies.TOO_MANY_ERRORS)
            elif self._late:
                self._run(self._say_late())
            elif self.mode in (Mode.DATA, Mode.CHUNK):
                data, self.buffer = self.buffer[self._at :], b""
                self._at = 0
                if not data:
                    break
                self._feed(data)
            elif not self._take_next_line():
                break
        self.buffer, self._at = self.buffer[self._at :], 0

    def _take_next_line(self) -> bool:
        """False when there is no whole line yet."""
        end = self.buffer.find(b"\n", self._at)
        limit = MAX_AUTH_LINE if self.mode is Mode.ANSWER else MAX_LINE
        if self._is_skipping or (len(self.buffer) if end < 0 else end) - self._at >= limit:
            return self._pass_over(end)
        if end < 0:
            if self.buffer.startswith(defences.TLS_HANDSHAKE):
                self.end(defences.NO_HTTP)
                return True
            return False
        line, self._at = self.buffer[self._at : end], end + 1
        self.wire.expect_within(settings.SMTP_TIMEOUT_S)
        if line.endswith(b"\r"):  # RFC 5321 2.3.8: only CRLF ends a line
            self._take_line(line[:-1])
        else:
            self.reply((500, "5.5.2", "Lines must end in CRLF"))
        return True

    def _pass_over(self, end: int) -> bool:
        """A line that is too long is read to its end, and then refused (RFC 5321 4.5.3.1.9); not for ever."""
        self._skipped += (len(self.buffer) if end < 0 else end) - self._at
        if self._skipped > MAX_SKIPPED:
            self.end(replies.LINE_WITHOUT_END)
            return True
        if end < 0:
            self.buffer, self._at = b"", 0
            self._is_skipping = True
            return False
        self._at = end + 1
        self._is_skipping, self._skipped = False, 0
        was_answer, self.answer, self.mode = self.mode is Mode.ANSWER, None, Mode.LINE
        self.reply(replies.ANSWER_TOO_LONG if was_answer else replies.LINE_TOO_LONG)
        return True

    def _take_line(self, line: bytes) -> None:
        if self.mode is Mode.ANSWER and self.answer is not None:
            answer, self.answer, self.mode = self.answer, None, Mode.LINE
            self._run(answer(line))
            return
        try:
            verb, rest = split_command(decode_line(line))
            command = COMMANDS.get(verb)
            if command is None:
                if verb in defences.HTTP_METHODS:
                    self.end(defences.NO_HTTP)
                    return
                self.reply(replies.UNKNOWN_COMMAND)
                return
            refusal = command.refusal(self)
            if refusal is not None:
                self.reply(refusal)
                return
            self._run(command.handler(self, rest))
        except SmtpSyntaxError as error:
            self.reply((error.code, error.enhanced_status, str(error)))

    def _run(self, waiting: Waiting | None) -> None:
        """A handler has answered (None), or has to wait for a service: then input waits, too."""
        if waiting is None:
            return
        self._task = asyncio.get_running_loop().create_task(self._guard(waiting))

    async def _guard(self, waiting: Waiting) -> None:
        try:
            await waiting
        except ConnectionError:
            self.is_over = True
        except Exception as error:
            reply = replies.for_error(error)
            if reply is None:
                log.exception("an SMTP command failed")
                reply = replies.TEMPORARY
            self.reply(reply)
        finally:
            self._task = None
        if self.is_over:
            return
        self.wire.resume_reading()
        self._advance()
        self._finish()

    def _finish(self) -> None:
        if self._task is not None or self.is_over:
            return
        if self._goodbye is not None:
            self.end(self._goodbye)
        elif self._half_closed:
            self.is_over = True
            self.wire.close()

    def end(self, reply: Reply) -> None:
        self._send_said()
        for _, wire in self._late:
            self.wire.write(wire)
        self._late.clear()
        self.wire.write(replies.encode(reply))
        self.is_over = True
        if reply[0] == 221:
            self.wire.close()
        else:
            self.wire.hang_up()

    # ------------------------------------------------------------ DATA and BDAT

    def _feed(self, data: bytes) -> None:
        if self.mode is Mode.DATA:
            self._take_data(data)
        else:
            self._take_chunk(data)

    def begin_data(self) -> None:
        self.data = DataReader(settings.MESSAGE_SIZE_LIMIT)
        self.mode = Mode.DATA
        self._pace = defences.Pace()

    def begin_chunk(self, size: int, is_last: bool, refusal: Reply | None) -> None:
        """BDAT: `refusal` is said when the octets have been read."""
        if self.chunks is None:
            self.chunks = ChunkReader(settings.MESSAGE_SIZE_LIMIT)
        self.chunk_refusal = refusal
        self.chunks.begin(size, is_last, wanted=refusal is None)
        self.mode = Mode.CHUNK
        self._pace = defences.Pace()
        if size == 0:
            self._end_chunk(self.chunks)

    def _take_chunk(self, data: bytes) -> None:
        assert self.chunks is not None
        rest = self.chunks.feed(data)
        if rest is not None:
            self.buffer, self._at = rest, 0
            self._end_chunk(self.chunks)
        elif self.arriving.is_due(self.chunks.held):
            self._run(self._put_by(self.chunks))
        elif self.chunks.swallowed > MAX_SWALLOW * settings.MESSAGE_SIZE_LIMIT:
            self.end((421, "5.3.4", "Message too large"))

    def _end_chunk(self, chunks: ChunkReader) -> None:
        self.mode = Mode.LINE
        envelope = self.envelope
        if self.chunk_refusal is not None or envelope is None:
            if envelope is None or not envelope.recipients:
                self.chunks = None  # nothing had begun
            self.reply(self.chunk_refusal or replies.NEED_MAIL)
        elif chunks.is_too_large:
            self.reset()
            count = len(envelope.recipients) if self.role is Role.LMTP and chunks.is_last else 1
            for _ in range(count):
                self.reply(replies.TOO_LARGE)
            note_message_refused(self, envelope, replies.TOO_LARGE)
        elif chunks.is_last:
            arriving = self.arriving
            self.reset()
            bare = chunks.line_ends.are_unsafe() and not envelope.options.is_binary
            self._run(self._accept(envelope, arriving, chunks.take(), bare))
        elif self.arriving.error is not None or self.arriving.is_due(chunks.held):
            self._run(self._keep_chunk(envelope, chunks))
        else:
            self.reply((250, "2.0.0", f"{chunks.chunk_size} octets received"))

    async def _keep_chunk(self, envelope: Envelope, chunks: ChunkReader) -> None:
        """A chunk is answered for: when the disk refuses it, the transaction is over."""
        await self._put_by(chunks)
        if self.arriving.error is None:
            self.reply((250, "2.0.0", f"{chunks.chunk_size} octets received"))
            return
        reply = replies.for_error(self.arriving.error) or replies.TEMPORARY
        self.reset()
        self.reply(reply)
        note_message_refused(self, envelope, reply)

    def _take_data(self, data: bytes) -> None:
        assert self.data is not None
        received = self.data.feed(data)
        if received is None:
            if self.arriving.is_due(self.data.held):
                self._run(self._put_by(self.data))
            elif self.data.swallowed > MAX_SWALLOW * settings.MESSAGE_SIZE_LIMIT:
                self.end((421, "5.3.4", "Message too large"))
            return
        self.data, self.mode = None, Mode.LINE
        self.buffer, self._at = received.rest, 0
        envelope, arriving = self.envelope, self.arriving
        self.reset()
        assert envelope is not None
        self._run(self._accept_data(envelope, arriving, received))

    async def _put_by(self, reader: DataReader | ChunkReader) -> None:
        """What has come of a large message goes out of memory. When the disk refuses, nothing more of it is kept."""
        await self.arriving.write(reader.take())
        if self.arriving.error is not None:
            reader.throw_away()

    async def _accept_data(self, envelope: Envelope, arriving: Arriving, received: Received) -> None:
        if received.content is None and arriving.error is None:
            await accept_arrived(self, envelope, Arrived(None, received.has_bare_line_end))
        else:
            await self._accept(envelope, arriving, [received.content or b""], received.has_bare_line_end)

    async def _accept(self, envelope: Envelope, arriving: Arriving, last: list[bytes], bare: bool) -> None:
        await accept_arrived(self, envelope, Arrived(await arriving.finish(last), bare))
