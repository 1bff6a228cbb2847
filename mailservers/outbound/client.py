"""The SMTP client: one connection to one mail host, and one mail transaction over it (RFC 5321).

    session = await open_session(host, address, identity)      # greeting, EHLO or HELO, STARTTLS where offered
    outcomes = await session.transact(envelope, message)       # one for each recipient
    await session.quit()

Unless a `TlsNeed` says otherwise, TLS is opportunistic: certificates are not checked, and a host whose TLS fails is
spoken to in the clear, because the alternative to unchecked TLS is no TLS (RFC 7435). A message that came with
REQUIRETLS goes only to hosts that offer it in turn, over a connection whose certificate was checked (RFC 8689).
A `Way` says more of a host that a route names: LMTP (RFC 2033), TLS from the first octet, a login, our own name.

Extensions used where they are offered: PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), STARTTLS
(3207), DSN (3461), CHUNKING and BINARYMIME (3030) for binary content, DELIVERBY (2852), MT-PRIORITY (6710).

Nothing is lost: every recipient gets an `Outcome`, and what has not been refused for good is temporary. Until a
recipient has been decided upon, trouble is raised as `Unreachable` so that the next host can be tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.conf import settings
from django.utils import timezone

from mailservers.formats.esmtp import NOTHING_ASKED, DeliverBy, DsnRequest, encode_xtext
from mailservers.formats.mailbox_address import InvalidAddress, parse_mailbox_address
from mailservers.formats.outgoing import data_blocks, domain_on_wire, stuffed
from mailservers.formats.smtp_reply import Reply, parse_extensions
from mailservers.outbound.channel import ConnectionLost, SmtpChannel, open_channel
from mailservers.outbound.outcomes import Outcome, Result, Unreachable, refusal
from mailservers.outbound.signing_in import NotSignedIn, sign_in
from mailservers.outbound.tls_need import OPPORTUNISTIC, TlsNeed
from mailservers.outbound.way import PLAIN_WAY, Way
from mailservers.store.spool import Content

# RFC 5321 section 4.5.3.2, in seconds; multiplied by OUTBOUND_TIMEOUT_SCALE.
CONNECT_S = 30.0  # not in the RFC
GREETING_S = 300.0
COMMAND_S = 300.0  # EHLO, MAIL, RCPT, and a pipelined group of them
TLS_S = 60.0  # not in the RFC
DATA_START_S = 120.0
DATA_BLOCK_S = 180.0
DATA_END_S = 600.0
CHUNK_OCTETS = 1024 * 1024
QUIT_S = 2.0  # the mail is delivered: nobody waits longer for a goodbye


def _scaled(seconds: float) -> float:
    return seconds * settings.OUTBOUND_TIMEOUT_SCALE


@dataclass(frozen=True, slots=True)
class OutgoingEnvelope:
    """`reverse_path` "" is <>. `needs_smtputf8`: the message itself has UTF-8 in its header."""

    reverse_path: str
    recipients: tuple[str, ...]
    needs_smtputf8: bool = False
    requests: tuple[DsnRequest, ...] = ()  # by recipient; empty: nothing was asked
    envid: str = ""
    ret: str = ""
    require_tls: bool = False
    is_binary: bool = False  # the message may have bare CR, LF and NUL
    deliver_by: DeliverBy | None = None
    priority: int = 0


class NoStartTls(Exception):
    """The host does not offer it."""


class _TlsFailed(Exception):
    """Try again without."""


async def open_session(
    host: str, address: str, port: int, need: TlsNeed = OPPORTUNISTIC, way: Way = PLAIN_WAY
) -> SmtpSession:
    """A session ready for a transaction, secured as `need` says. Raises `Unreachable`."""
    if need.is_must:
        return await _open_secured(host, address, port, need, way)
    try:
        return await _open(host, address, port, need, way, with_tls=True)
    except _TlsFailed:
        return await _open(host, address, port, need, way, with_tls=False)


async def _open_secured(host: str, address: str, port: int, need: TlsNeed, way: Way) -> SmtpSession:
    try:
        session = await _open(host, address, port, need, way, with_tls=True)
    except _TlsFailed as error:
        raise _unsecured(host, address, need, f"TLS was required, and failed: {error.__cause__}") from error
    if not session.tls:
        await session.quit()
        raise _unsecured(host, address, need, "TLS was required, and the host does not offer it") from NoStartTls()
    if need.promise and "REQUIRETLS" not in session.extensions:
        await session.quit()
        text = f"{host} [{address}]: the message requires TLS all the way, and the host does not offer REQUIRETLS"
        raise Unreachable(text, temporary=False, status="5.7.30", host=host, address=address)
    if way.login:
        await session.sign_in()
    session.tls += f", {need.because}"
    return session


def _unsecured(host: str, address: str, need: TlsNeed, text: str) -> Unreachable:
    """A policy may be mended, or the attacker go away: temporary. What the sender required, it learns at once."""
    text, status = f"{host} [{address}]: {text} ({need.because})", "5.7.10" if need.promise else "4.7.5"
    return Unreachable(text, temporary=not need.promise, status=status, host=host, address=address)


async def _open(host: str, address: str, port: int, need: TlsNeed, way: Way, *, with_tls: bool) -> SmtpSession:
    try:
        channel = await open_channel(address, port, _scaled(CONNECT_S), way.source_for(address))
    except ConnectionLost as error:
        raise Unreachable(f"{host} [{address}]: {error}", temporary=True, host=host, address=address) from error
    session = SmtpSession(channel, host, address, way)
    try:
        await session.begin(need if with_tls else None)
    except ConnectionLost as error:
        channel.abort()
        raise session.unreachable(str(error)) from error
    except BaseException:
        channel.abort()
        raise
    return session


class SmtpSession:
    """One connection. Transactions follow one another; after an `Unreachable` it is of no further use."""

    def __init__(self, channel: SmtpChannel, host: str, address: str, way: Way) -> None:
        self._channel = channel
        self.way = way
        self.host = host
        self.address = address
        self.extensions: dict[str, str] = {}
        self.tls = ""
        self.is_sending = False  # between the 354 and the final reply: stopping now may double the message
        self.transactions = 0
        self.needs_reset = False  # a transaction was begun and not ended by its data

    # ------------------------------------------------------------ beginning

    async def begin(self, need: TlsNeed | None) -> None:
        """`need` None: no TLS."""
        if self.way.is_implicit_tls and need is not None:
            await self._begin_in_tls(need)
        greeting = await self._channel.reply(_scaled(GREETING_S))
        if not greeting.is_positive:
            raise await self._turned_away(greeting)
        await self._hello()
        if need is not None and "STARTTLS" in self.extensions and not self.tls:
            await self._start_tls(need)

    async def _hello(self) -> None:
        name = self.way.own_name
        reply = await self.command(f"{'LHLO' if self.way.is_lmtp else 'EHLO'} {name}")
        if reply.is_positive:
            self.extensions = parse_extensions(reply)
            return
        if reply.is_permanent and not self.way.is_lmtp:  # section 3.2: a host of old may know only HELO
            reply = await self.command(f"HELO {name}")
        if not reply.is_positive:
            raise await self._turned_away(reply)
        self.extensions = {}

    async def _start_tls(self, need: TlsNeed) -> None:
        try:
            reply = await self.command("STARTTLS")
            if reply.code != 220:
                return  # RFC 3207 section 4: the client may go on in the clear
            await self._channel.start_tls(need, need.server_name or self.host, _scaled(TLS_S))
            self.tls = self._channel.tls_version
            await self._hello()  # RFC 3207 section 4.2: what was offered in the clear does not count
        except ConnectionLost as error:
            self._channel.abort()
            raise _TlsFailed from error

    async def _begin_in_tls(self, need: TlsNeed) -> None:
        try:
            await self._channel.start_tls(need, need.server_name or self.host, _scaled(TLS_S))
        except ConnectionLost as error:
            self._channel.abort()
            raise _TlsFailed from error
        self.tls = self._channel.tls_version

    async def sign_in(self) -> None:
        """Over TLS; whoever asks has seen to it."""
        assert self.tls
        try:
            await sign_in(self.command, self.extensions.get("AUTH", ""), self.way)
        except (NotSignedIn, ConnectionLost) as error:
            await self.quit()
            reply = error.reply if isinstance(error, NotSignedIn) else ""
            text = f"{self.host} [{self.address}]: {error}"
            raise Unreachable(
                text, temporary=True, status="4.7.8", reply=reply, host=self.host, address=self.address
            ) from error

    async def _turned_away(self, reply: Reply) -> Unreachable:
        await self.quit()
        status = reply.enhanced_status or ("5.3.2" if reply.is_permanent else "4.3.2")
        return Unreachable(
            f"{self.host} [{self.address}] takes no mail at present",
            temporary=not reply.is_permanent,
            status=status,
            reply=reply.text,
            host=self.host,
            address=self.address,
        )

    def unreachable(self, text: str, reply: str = "") -> Unreachable:
        return Unreachable(
            f"{self.host} [{self.address}]: {text}",
            temporary=True,
            status="4.4.2",
            reply=reply,
            host=self.host,
            address=self.address,
        )

    async def command(self, line: str, timeout_s: float | None = None) -> Reply:
        """Send a line and wait for its reply. Raises `ConnectionLost`."""
        await self.expect_silence()
        await self._channel.write(line.encode() + b"\r\n", _scaled(COMMAND_S))
        return await self._channel.reply(timeout_s or _scaled(COMMAND_S))

    async def expect_silence(self) -> None:
        """A reply to nothing would be taken for the next command's. It may be a goodbye (421), too."""
        if self._channel.has_reply:
            reply = await self._channel.reply(QUIT_S)
            raise ConnectionLost(f"the server said out of turn: {reply.text}")

    @property
    def takes_8bit(self) -> bool:
        return "8BITMIME" in self.extensions

    @property
    def takes_binary(self) -> bool:
        return "BINARYMIME" in self.extensions and "CHUNKING" in self.extensions and not self.way.is_lmtp

    @property
    def max_recipients(self) -> int:
        """RFC 9422 4.2; 0: the host names no limit."""
        words = dict(word.partition("=")[::2] for word in self.extensions.get("LIMITS", "").upper().split())
        value = words.get("RCPTMAX", "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0

    # ------------------------------------------------------------ a transaction

    async def transact(self, envelope: OutgoingEnvelope, message: Content) -> list[Outcome]:
        """Hand the message over; one outcome for each recipient, in their order. `message` has CRLF line ends only.

        Raises `Unreachable` when the connection was lost before any recipient had been decided upon."""
        transaction = _Transaction(self, self._channel, envelope, message)
        self.transactions += 1
        try:
            return await transaction.run()
        except ConnectionLost as error:
            self._channel.abort()
            return transaction.after_loss(error)
        finally:
            self.is_sending = False

    @property
    def is_alive(self) -> bool:
        """As far as can be seen from here; a host may have gone without a word."""
        return self._channel.is_open and not self._channel.has_reply

    def abort(self) -> None:
        """Hang up at once."""
        self._channel.abort()

    async def quit(self) -> None:
        """Say goodbye; never raises and never takes long."""
        try:
            await self._channel.write(b"QUIT\r\n", QUIT_S)
            await self._channel.reply(QUIT_S)
        except ConnectionLost:
            pass
        self._channel.close()

    def outcome(self, result: Result, status: str, explanation: str, reply: str = "") -> Outcome:
        return Outcome(result, status, reply, explanation, self.host, self.address, self.tls)

    def refused(self, reply: Reply, doing: str) -> Outcome:
        return refusal(reply, host=self.host, address=self.address, tls=self.tls, doing=doing)


class _Transaction:
    """One MAIL … DATA. `outcomes` fills up as recipients are decided upon."""

    def __init__(
        self, session: SmtpSession, channel: SmtpChannel, envelope: OutgoingEnvelope, message: Content
    ) -> None:
        self._session = session
        self._channel = channel
        self._envelope = envelope
        self._message = message
        self._utf8 = "SMTPUTF8" in session.extensions
        self._outcomes: dict[int, Outcome] = {}  # by index into envelope.recipients
        self._accepted: list[int] = []

    async def run(self) -> list[Outcome]:
        paths = self._paths()
        if paths:
            await self._send_envelope(paths)
        return self._all_outcomes()

    def _all_outcomes(self) -> list[Outcome]:
        return [self._outcomes[i] for i in range(len(self._envelope.recipients))]

    def after_loss(self, error: ConnectionLost) -> list[Outcome]:
        """The connection broke: what is undecided is temporary. Raises `Unreachable` if all of it is."""
        if not self._outcomes and not self._session.is_sending:
            raise self._session.unreachable(str(error)) from error
        text = f"{self._session.host} [{self._session.address}]: {error}"
        if self._session.is_sending:
            text += "; the message may have arrived all the same, and may arrive twice"
        undecided = self._session.outcome(Result.DEFERRED, "4.4.2", text)
        for index in range(len(self._envelope.recipients)):
            self._outcomes.setdefault(index, undecided)
        return self._all_outcomes()

    # ------------------------------------------------------------ what cannot be sent at all

    def _paths(self) -> dict[int, str]:
        """Index -> address as it goes onto the wire; recipients that cannot be written there are decided upon."""
        everyone = range(len(self._envelope.recipients))
        trouble = self._message_trouble()
        if trouble is not None:
            self._outcomes.update(dict.fromkeys(everyone, trouble))
            return {}
        paths: dict[int, str] = {}
        limit = self._session.max_recipients
        for index in everyone:
            if limit and len(paths) >= limit:
                self._outcomes[index] = self._later(f"{self._session.host} takes {limit} recipients at once")
                continue
            path = self._wire_address(self._envelope.recipients[index])
            if isinstance(path, Outcome):
                self._outcomes[index] = path
            else:
                paths[index] = path
        return paths

    def _later(self, text: str) -> Outcome:
        return replace(self._session.outcome(Result.DEFERRED, "4.5.3", text), try_soon=True)

    def _message_trouble(self) -> Outcome | None:
        outcome = self._session.outcome
        host = self._session.host
        limit = self._session.extensions.get("SIZE", "")
        if limit.isdigit() and len(limit) < 20 and 0 < int(limit) < len(self._message):
            text = f"the message has {len(self._message)} octets, and {host} takes no more than {int(limit)}"
            return outcome(Result.FAILED, "5.3.4", text)
        if self._envelope.needs_smtputf8 and not self._utf8:
            text = f"the header of the message holds letters beyond ASCII, which {host} does not take (SMTPUTF8)"
            return outcome(Result.FAILED, "5.6.9", text)
        if not self._envelope.reverse_path:
            return None
        path = self._wire_address(self._envelope.reverse_path)
        return path if isinstance(path, Outcome) else None

    def _wire_address(self, address: str) -> str | Outcome:
        """Checked, so that no address can hold a second command; the domain in A-labels unless UTF-8 is needed."""
        try:
            local, _, domain = address.rpartition("@")
            parse_mailbox_address(f"{local}@localhost")
            if local.isascii():
                return f"{local}@{domain_on_wire(domain)}"
        except InvalidAddress as error:
            return self._session.outcome(Result.FAILED, "5.1.3", f"{address!a} is no mail address: {error}")
        if not self._utf8:
            text = f"{self._session.host} does not take addresses with letters beyond ASCII, as in {address}"
            return self._session.outcome(Result.FAILED, "5.6.7", text)
        return address

    # ------------------------------------------------------------ MAIL and RCPT

    async def _send_envelope(self, paths: dict[int, str]) -> None:
        """MAIL and RCPT, and with PIPELINING the DATA that follows them (RFC 2920 section 3.1)."""
        commands = [self._mail_command(list(paths.values())), *(self._rcpt_command(*item) for item in paths.items())]
        if self._session.needs_reset:
            commands.insert(0, "RSET")
        if "PIPELINING" in self._session.extensions:
            await self._send_group(commands, paths)
            return
        if self._session.needs_reset:
            await self._session.command(commands.pop(0))
        self._session.needs_reset = True
        mail = await self._session.command(commands[0])
        if not self._note_mail(mail, paths):
            return
        for index, command in zip(paths, commands[1:], strict=True):
            self._note_recipient(index, await self._session.command(command), mail)
        if self._accepted and self._sends_binary:
            await self._send_chunks()
        elif self._accepted:
            await self._send_data(await self._session.command("DATA", _scaled(DATA_START_S)))

    async def _send_group(self, commands: list[str], paths: dict[int, str]) -> None:
        if not self._sends_binary:
            commands.append("DATA")
        await self._session.expect_silence()
        await self._channel.write("".join(f"{command}\r\n" for command in commands).encode(), _scaled(COMMAND_S))
        if commands[0] == "RSET":
            await self._channel.reply(_scaled(COMMAND_S))
        self._session.needs_reset = True
        mail = await self._channel.reply(_scaled(COMMAND_S))
        self._note_mail(mail, paths)
        for index in paths:
            self._note_recipient(index, await self._channel.reply(_scaled(COMMAND_S)), mail)
        if self._sends_binary:
            if self._accepted:
                await self._send_chunks()
            return
        start = await self._channel.reply(_scaled(DATA_START_S))
        if self._accepted:
            await self._send_data(start)
        elif start.code == 354:
            # The host takes data for nobody: RFC 2920 section 3.1 has us end it at once. Its reply means nothing.
            await self._channel.write(b".\r\n", _scaled(COMMAND_S))
            await self._channel.reply(_scaled(DATA_END_S))

    def _mail_command(self, paths: list[str]) -> str:
        reverse_path = self._wire_address(self._envelope.reverse_path) if self._envelope.reverse_path else ""
        command = f"MAIL FROM:<{reverse_path}>"
        extensions = self._session.extensions
        if "SIZE" in extensions:
            command += f" SIZE={len(self._message)}"
        if self._sends_binary:
            command += " BODY=BINARYMIME"
        elif "8BITMIME" in extensions and not self._message.isascii():
            command += " BODY=8BITMIME"
        if "DSN" in extensions:
            command += f" RET={self._envelope.ret}" if self._envelope.ret else ""
            command += f" ENVID={encode_xtext(self._envelope.envid)}" if self._envelope.envid else ""
        if self._envelope.require_tls and "REQUIRETLS" in extensions:
            command += " REQUIRETLS"
        if self._envelope.deliver_by is not None and "DELIVERBY" in extensions:
            command += f" {self._envelope.deliver_by.parameter(timezone.now())}"
        if self._envelope.priority and "MT-PRIORITY" in extensions:
            command += f" MT-PRIORITY={self._envelope.priority}"
        if self._utf8 and (self._envelope.needs_smtputf8 or not all(p.isascii() for p in (command, *paths))):
            command += " SMTPUTF8"
        return command

    @property
    def _sends_binary(self) -> bool:
        return self._envelope.is_binary and self._session.takes_binary

    def _request(self, index: int) -> DsnRequest:
        return self._envelope.requests[index] if self._envelope.requests else NOTHING_ASKED

    def _rcpt_command(self, index: int, path: str) -> str:
        command = f"RCPT TO:<{path}>"
        request = self._request(index)
        if "DSN" in self._session.extensions:
            command += f" NOTIFY={request.notify}" if request.notify else ""
            if request.orcpt and (request.orcpt.isascii() or self._utf8):
                command += f" ORCPT={request.orcpt}"
        return command

    def _note_mail(self, reply: Reply, paths: dict[int, str]) -> bool:
        if reply.code == 421:
            raise self._session.unreachable("the server closes the connection", reply.text)
        if reply.is_positive:
            return True
        outcome = self._session.refused(reply, "the sender")
        self._outcomes.update(dict.fromkeys(paths, outcome))
        return False

    def _note_recipient(self, index: int, reply: Reply, mail: Reply) -> None:
        if not mail.is_positive:
            return  # answered "503 no MAIL first" or the like: the reply to MAIL is the reason
        if reply.is_positive:
            self._accepted.append(index)
            return
        outcome = self._session.refused(reply, "this recipient")
        # Section 4.5.3.1.10: 452, and 552 of old, mean "too many at once" when others were taken before.
        if reply.code in (452, 552) and self._accepted and reply.enhanced_status in ("", "4.5.3", "5.5.3"):
            outcome = replace(outcome, result=Result.DEFERRED, status="4.5.3", try_soon=True)
        self._outcomes[index] = outcome

    # ------------------------------------------------------------ DATA

    async def _send_data(self, start: Reply) -> None:
        """The message, after the reply to DATA."""
        if start.code != 354:
            if self._channel.has_reply:
                raise ConnectionLost(f"the server's replies are out of step: {start.code} to DATA")
            outcome = self._session.refused(start, "the message")
        else:
            self._session.is_sending = True
            end = await self._send_content()
            if self._session.way.is_lmtp and self._channel.is_open:
                end = await self._replies_of_all(end)
            self._session.is_sending = self._session.needs_reset = False
            outcome = self._decided(end)
        self._outcomes.update(dict.fromkeys(self._accepted, outcome))

    async def _replies_of_all(self, end: Reply) -> Reply:
        """RFC 2033 section 4.2: one reply to the data for each recipient taken, in their order; the last one."""
        for index in self._accepted[:-1]:
            self._outcomes[index] = self._decided(end)
            end = await self._channel.reply(_scaled(DATA_END_S))
        del self._accepted[:-1]
        return end

    def _decided(self, end: Reply) -> Outcome:
        if not end.is_positive:
            return self._session.refused(end, "the message")
        outcome = self._session.outcome(Result.DELIVERED, end.enhanced_status or "2.0.0", "", end.text)
        by, extensions = self._envelope.deliver_by, self._session.extensions
        tells = by is not None and (by.is_traced or "DELIVERBY" not in extensions)
        return replace(outcome, has_dsn="DSN" in extensions, tells_passage=tells)

    async def _send_chunks(self) -> None:
        """RFC 3030: the octets as they are, each chunk answered before the next is sent."""
        end: Reply | None = None
        for at in range(0, max(len(self._message), 1), CHUNK_OCTETS):
            chunk = await self._octets(at, at + CHUNK_OCTETS)
            is_last = at + CHUNK_OCTETS >= len(self._message)
            await self._session.expect_silence()
            self._session.is_sending = is_last
            command = f"BDAT {len(chunk)}{' LAST' if is_last else ''}\r\n".encode()
            await self._channel.write(command + chunk, _scaled(DATA_BLOCK_S))
            end = await self._channel.reply(_scaled(DATA_END_S))
            self._session.is_sending = False
            if not end.is_positive:
                break
        assert end is not None
        self._session.needs_reset = not end.is_positive
        self._outcomes.update(dict.fromkeys(self._accepted, self._decided(end)))

    async def _octets(self, start: int, end: int) -> bytes:
        if isinstance(self._message, bytes):
            return self._message[start:end]
        return await asyncio.to_thread(self._message.__getitem__, slice(start, end))

    def _blocks(self) -> Iterator[bytes]:
        return data_blocks(self._message) if isinstance(self._message, bytes) else stuffed(self._message.chunks())

    async def _next(self, blocks: Iterator[bytes]) -> bytes:
        """b"" when there are no more."""
        return next(blocks, b"") if isinstance(self._message, bytes) else await asyncio.to_thread(next, blocks, b"")

    async def _send_content(self) -> Reply:
        """The reply to the end of data. A host may refuse in the middle: then that is its reply, and there is no way
        to stop but to hang up. Anything else that comes early is not believed."""
        try:
            blocks = self._blocks()
            while block := await self._next(blocks):
                if self._channel.has_reply:
                    raise ConnectionLost("the server replied before the message had ended")
                await self._channel.write(block, _scaled(DATA_BLOCK_S))
        except ConnectionLost:
            if self._channel.has_reply:
                early = await self._channel.reply(QUIT_S)
                if early.is_permanent or early.is_transient:
                    self._channel.abort()
                    return early
            raise
        return await self._channel.reply(_scaled(DATA_END_S))
