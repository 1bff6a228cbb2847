"""The SMTP client: one connection to one mail host (RFC 5321).

    session = await open_session(host, address, identity)      # greeting, EHLO or HELO, STARTTLS where offered
    outcomes = await session.transact(envelope, message)       # one for each recipient
    await session.quit()

Unless a `TlsNeed` says otherwise, TLS is opportunistic: certificates are not checked, and a host whose TLS fails is
spoken to in the clear, because the alternative to unchecked TLS is no TLS (RFC 7435). A message that came with
REQUIRETLS goes only to hosts that offer it in turn, over a connection whose certificate was checked (RFC 8689).
A `Way` says more of a host that a route names: LMTP (RFC 2033), TLS from the first octet, a login, our own name.

Extensions used where they are offered: PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), STARTTLS
(3207), DSN (3461), CHUNKING and BINARYMIME (3030) for binary content, DELIVERBY (2852), MT-PRIORITY (6710).

What goes over it is in `mail_transaction`.
"""

from __future__ import annotations

from mailservers.formats.smtp_reply import Reply, parse_extensions
from mailservers.outbound.channel import ConnectionLost, SmtpChannel, open_channel
from mailservers.outbound.mail_transaction import MailTransaction, OutgoingEnvelope
from mailservers.outbound.outcomes import Outcome, Result, Unreachable, refusal
from mailservers.outbound.signing_in import NotSignedIn, sign_in
from mailservers.outbound.timeouts import COMMAND_S, CONNECT_S, GREETING_S, QUIT_S, TLS_S, scaled
from mailservers.outbound.tls_need import OPPORTUNISTIC, TlsNeed
from mailservers.outbound.way import PLAIN_WAY, Way
from mailservers.store.spool import Content


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
        channel = await open_channel(address, port, scaled(CONNECT_S), way.source_for(address))
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
        greeting = await self._channel.reply(scaled(GREETING_S))
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
            await self._channel.start_tls(need, need.server_name or self.host, scaled(TLS_S))
            self.tls = self._channel.tls_version
            await self._hello()  # RFC 3207 section 4.2: what was offered in the clear does not count
        except ConnectionLost as error:
            self._channel.abort()
            raise _TlsFailed from error

    async def _begin_in_tls(self, need: TlsNeed) -> None:
        try:
            await self._channel.start_tls(need, need.server_name or self.host, scaled(TLS_S))
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
        await self._channel.write(line.encode() + b"\r\n", scaled(COMMAND_S))
        return await self._channel.reply(timeout_s or scaled(COMMAND_S))

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
        transaction = MailTransaction(self, self._channel, envelope, message)
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
