"""One mail transaction over a session: MAIL, RCPT, and the message by DATA or BDAT (RFC 5321, 3030, LMTP 2033).

Nothing is lost: every recipient gets an `Outcome`, and what has not been refused for good is temporary. Until a
recipient has been decided upon, trouble is raised as `Unreachable` so that the next host can be tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.utils import timezone

from mailservers.formats.esmtp import NOTHING_ASKED, DeliverBy, DsnRequest, encode_xtext
from mailservers.formats.mailbox_address import InvalidAddress, parse_mailbox_address
from mailservers.formats.outgoing import data_blocks, domain_on_wire, stuffed
from mailservers.formats.smtp_reply import Reply
from mailservers.outbound.channel import ConnectionLost, SmtpChannel
from mailservers.outbound.outcomes import Outcome, Result
from mailservers.outbound.timeouts import COMMAND_S, DATA_BLOCK_S, DATA_END_S, DATA_START_S, QUIT_S, scaled
from mailservers.store.spool import Content

if TYPE_CHECKING:
    from mailservers.outbound.client import SmtpSession

CHUNK_OCTETS = 1024 * 1024


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


class MailTransaction:
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
            await self._send_data(await self._session.command("DATA", scaled(DATA_START_S)))

    async def _send_group(self, commands: list[str], paths: dict[int, str]) -> None:
        if not self._sends_binary:
            commands.append("DATA")
        await self._session.expect_silence()
        await self._channel.write("".join(f"{command}\r\n" for command in commands).encode(), scaled(COMMAND_S))
        if commands[0] == "RSET":
            await self._channel.reply(scaled(COMMAND_S))
        self._session.needs_reset = True
        mail = await self._channel.reply(scaled(COMMAND_S))
        self._note_mail(mail, paths)
        for index in paths:
            self._note_recipient(index, await self._channel.reply(scaled(COMMAND_S)), mail)
        if self._sends_binary:
            if self._accepted:
                await self._send_chunks()
            return
        start = await self._channel.reply(scaled(DATA_START_S))
        if self._accepted:
            await self._send_data(start)
        elif start.code == 354:
            # The host takes data for nobody: RFC 2920 section 3.1 has us end it at once. Its reply means nothing.
            await self._channel.write(b".\r\n", scaled(COMMAND_S))
            await self._channel.reply(scaled(DATA_END_S))

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
            end = await self._channel.reply(scaled(DATA_END_S))
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
            await self._channel.write(command + chunk, scaled(DATA_BLOCK_S))
            end = await self._channel.reply(scaled(DATA_END_S))
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
                await self._channel.write(block, scaled(DATA_BLOCK_S))
        except ConnectionLost:
            if self._channel.has_reply:
                early = await self._channel.reply(QUIT_S)
                if early.is_permanent or early.is_transient:
                    self._channel.abort()
                    return early
            raise
        return await self._channel.reply(scaled(DATA_END_S))
