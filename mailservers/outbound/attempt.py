"""One attempt: the domain's hosts in turn, until one decides about the recipients.

The next address or host is tried when a connection fails, when the host turns us away before the transaction, and
when the connection breaks before any recipient was decided upon. What a host decides stands: a recipient refused by
the first MX is not offered to the second.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from functools import partial

from django.conf import settings

from mailservers.formats.headers import header_block
from mailservers.formats.mta_sts import StsPolicy
from mailservers.formats.octets import Octets
from mailservers.outbound.client import SmtpSession, open_session
from mailservers.outbound.homeward import Homeward, bring_home
from mailservers.outbound.in_time import TOO_LATE, is_over, lack_of_time
from mailservers.outbound.leases import Job
from mailservers.outbound.mail_transaction import OutgoingEnvelope
from mailservers.outbound.opening import open_counted
from mailservers.outbound.outcomes import Outcome, Result, Unreachable
from mailservers.outbound.pool import Key, SessionPool
from mailservers.outbound.resolve import Found, MailHost, MailResolver
from mailservers.outbound.routes import RouteBook
from mailservers.outbound.shape import shape, with_fields
from mailservers.outbound.signing import Signer
from mailservers.outbound.sts import StsPolicies
from mailservers.outbound.tls_need import OPPORTUNISTIC, TlsNeed
from mailservers.outbound.tls_policy import at_least, need_of
from mailservers.outbound.tls_sessions import count_session, is_about_tls
from mailservers.outbound.way import PLAIN_WAY
from mailservers.store.changes import hub
from mailservers.store.content import IN_THREAD_OVER
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.spool import Content
from mailservers.store.stored import octets_of
from mailservers.store.transaction import Event

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8  # tried in one attempt
ATTEMPT_S = 3600.0  # an attempt, with all its hosts, at most
MAX_TOLD = 20  # recipients of whom it is told that they are being tried

DECIDED = {  # transport of a route -> what becomes of the mail, its status, in words
    "refuse": (Result.FAILED, "5.7.1", "the administrator of this host does not let mail go there"),
    "discard": (Result.DELIVERED, "2.0.0", "discarded, as the administrator of this host wants"),
}


@dataclass(frozen=True, slots=True)
class Means:
    """What the attempts of a runner share."""

    resolver: MailResolver
    policies: StsPolicies
    signer: Signer
    pool: SessionPool
    routes: RouteBook

    @classmethod
    def make(cls) -> Means:
        resolver = MailResolver()
        return cls(resolver, StsPolicies(resolver), Signer(), SessionPool(), RouteBook())


class Attempt:
    """`run` once, then `let_go`."""

    def __init__(self, job: Job, means: Means) -> None:
        self.job = job
        self.was_reached = False  # a host of the domain greeted us
        self.home: Homeward | None = None  # to be written with the outcomes: the recipients are ours
        self.trouble: Outcome | None = None  # no host of the domain could be spoken to, for now
        self.is_recording = False  # set by the runner
        self._means = means
        self._session: SmtpSession | None = None
        self._key: Key = ("", "", 0, OPPORTUNISTIC, PLAIN_WAY)
        self._way = job.by.way if job.by is not None else PLAIN_WAY

    @property
    def is_past_return(self) -> bool:
        """To stop now may send the message twice, or lose the word of its delivery until the lease runs out."""
        return self.is_recording or (self._session is not None and self._session.is_sending)

    async def run(self) -> dict[int, Outcome]:
        """An outcome for each recipient, by id. Never raises but on cancellation."""
        try:
            async with asyncio.timeout(ATTEMPT_S * settings.OUTBOUND_TIMEOUT_SCALE):
                if is_over(self.job.deliver_by):
                    return dict.fromkeys((r.id for r in self.job.recipients), TOO_LATE)
                if self.job.is_ours:
                    self.home = await bring_home(self.job)
                    return self.home.outcomes
                outcomes = self._without_a_host() or await self._try_hosts()
        except Unreachable as error:
            outcomes = [error.outcome()] * len(self.job.recipients)
            is_everybodys = not self.job.route and self._means.routes.is_one_way(self.job.domain)
            self.trouble = outcomes[0] if error.temporary and not self.was_reached and is_everybodys else None
        except TimeoutError:
            outcomes = self._put_off("the attempt took too long", "4.4.7")
        except Exception:
            log.exception("an attempt to send %s to %s failed", self.job.trace_id, self.job.domain)
            outcomes = self._put_off("something went wrong at this host", "4.3.0")
        return {recipient.id: outcome for recipient, outcome in zip(self.job.recipients, outcomes, strict=True)}

    def _put_off(self, text: str, status: str) -> list[Outcome]:
        return [Outcome(Result.DEFERRED, status, explanation=text)] * len(self.job.recipients)

    def _without_a_host(self) -> list[Outcome]:
        """What a route decides by itself; empty when there is a host to speak to."""
        route = self.job.by
        if route is None or route.transport not in DECIDED:
            return []
        result, status, words = DECIDED[route.transport]
        outcome = Outcome(result, status, explanation=f"{words}: {route.reason}" if route.reason else words)
        return [replace(outcome, has_dsn=True)] * len(self.job.recipients)

    async def _hosts(self) -> list[MailHost]:
        route = self.job.by
        if route is not None and route.host:
            return [MailHost(route.host, route.port, is_routed=True)]
        return await self._means.resolver.mail_hosts(self.job.domain)

    async def _try_hosts(self) -> list[Outcome]:
        failures: list[Unreachable] = []
        tries = 0
        hosts = await self._hosts()
        policy = None if hosts[0].is_routed else await self._means.policies.of(self.job.domain)
        for host in hosts:
            try:
                found = await self._means.resolver.addresses(host)
                need = await self._need(host, found, policy)
            except Unreachable as error:
                if is_about_tls(error):
                    result = "validation-failure" if policy is not None else "dnssec-invalid"
                    count_session(self.job.domain, host, "", OPPORTUNISTIC, policy, result, error.text)
                failures.append(error)
                continue
            for address in found.addresses[: MAX_CONNECTIONS - tries]:
                tries += 1
                try:
                    return await self._try_address(host, address, need, policy)
                except Unreachable as error:
                    failures.append(error)
        raise _most_telling(failures)

    async def _need(self, host: MailHost, found: Found, policy: StsPolicy | None) -> TlsNeed:
        """RFC 8689 4.2.1; a notice goes on without what was required rather than be lost (section 5)."""
        require_tls = self.job.require_tls and bool(self.job.reverse_path)
        try:
            need = await need_of(
                self._means.resolver.dns, host, found, self.job.domain, policy, require_tls=require_tls
            )
        except Unreachable as error:
            if not self._goes_without(error):
                raise
            return OPPORTUNISTIC
        return need if self.job.by is None else at_least(need, self.job.by)

    def _goes_without(self, error: Unreachable) -> bool:
        """RFC 8689 4.2.2: what policies ask for is tried, and stops no message; what a route asks for does."""
        return self.job.tls_optional and self.job.by is None and is_about_tls(error)

    async def _try_address(
        self, host: MailHost, address: str, need: TlsNeed, policy: StsPolicy | None
    ) -> list[Outcome]:
        """Over a connection that is there already, if it still works; else over a new one."""
        self._key = key = (host.name, address, host.port, need, self._way)
        self._say(_peer(host.name, address))
        session = self._means.pool.take(key)
        if session is not None:
            try:
                return await self._transact(session)
            except Unreachable:
                log.debug("a kept connection to %s had ended", host.name)
        try:
            session = await open_counted(self.job.domain, host, address, need, policy, self._way)
        except Unreachable as error:
            if not need.is_must or not self._goes_without(error):
                raise
            self._key = (host.name, address, host.port, OPPORTUNISTIC, self._way)
            session = await open_session(host.name, address, host.port)
        return await self._transact(session)

    async def _transact(self, session: SmtpSession) -> list[Outcome]:
        self.was_reached = True
        self._say(_peer(session.host, session.address), session.tls)
        trouble = lack_of_time(self.job.deliver_by, session)
        if trouble is not None:
            self._means.pool.give(self._key, session)
            raise trouble
        self._session = session
        try:
            message = await self._message(session)
            return await session.transact(self._envelope(message), message)
        except BaseException:
            session.abort()
            raise

    def _say(self, peer: str, tls: str = "") -> None:
        """To the sender who watches, if one of our users: which host is being tried, and how well it is secured."""
        if self.job.sender_id is not None:
            for recipient in self.job.recipients[:MAX_TOLD]:
                hub.progress(Event(self.job.trace_id, Step.TRYING, recipient=recipient.address, peer=peer, detail=tls))

    async def _message(self, session: SmtpSession) -> Content:
        """The octets to send: read only when a host is there to take them, and signed."""
        raw: Octets | None = self.job.content or await store.read(octets_of, self.job.message_id, self.job.size)
        if raw is None:
            raise RuntimeError(f"message {self.job.message_id} is in the queue but not in the store")
        make = partial(shape, raw, session, is_binary=self.job.is_binary)
        wire = await asyncio.to_thread(make) if len(raw) > IN_THREAD_OVER else make()
        if self.job.sender_id is None:
            return with_fields(await self._means.signer.seal(wire, self.job.reverse_path), wire)
        return with_fields(await self._means.signer.sign(wire), wire)

    def _envelope(self, message: Content) -> OutgoingEnvelope:
        job = self.job
        needs_smtputf8 = job.smtputf8 and not header_block(message).isascii()
        return OutgoingEnvelope(
            job.reverse_path,
            tuple(r.address for r in job.recipients),
            needs_smtputf8,
            tuple(r.request for r in job.recipients),
            job.envid,
            job.ret,
            job.require_tls,
            job.is_binary,
            job.deliver_by,
            job.priority,
        )

    def let_go(self) -> None:
        """Leave the connection to the next message; after the outcome is safe."""
        if self._session is not None:
            self._means.pool.give(self._key, self._session)


def _peer(host: str, address: str) -> str:
    return host if host == address else f"{host} [{address}]"


def _most_telling(failures: list[Unreachable]) -> Unreachable:
    """One temporary trouble makes the whole temporary; words of the other side say more than ours."""
    temporary = [failure for failure in failures if failure.temporary] or failures
    return next((failure for failure in temporary if failure.reply), temporary[0])
