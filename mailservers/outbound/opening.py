"""Opening a connection to a mail host, and counting what became of its TLS (see `tls_sessions`)."""

from __future__ import annotations

from mailservers.formats.mta_sts import StsPolicy
from mailservers.outbound.client import SmtpSession, open_session
from mailservers.outbound.outcomes import Unreachable
from mailservers.outbound.resolve import MailHost
from mailservers.outbound.tls_need import OPPORTUNISTIC, Level, TlsNeed
from mailservers.outbound.tls_sessions import count_session, is_about_tls, result_of
from mailservers.outbound.way import PLAIN_WAY, Way

TRIED = TlsNeed(Level.VERIFIED, "MTA-STS, testing")


async def open_counted(
    domain: str, host: MailHost, address: str, need: TlsNeed, policy: StsPolicy | None, way: Way = PLAIN_WAY
) -> SmtpSession:
    """Like `open_session`. Raises `Unreachable`.

    A policy in mode "testing" is tried first: what it would have stopped is counted, and sent all the same (RFC 8461
    section 5)."""
    if policy is not None and policy.mode == "testing" and need == OPPORTUNISTIC:
        session = await _as_tested(domain, host, address, policy, way)
        return session or await open_session(host.name, address, host.port, need, way)
    try:
        session = await open_session(host.name, address, host.port, need, way)
    except Unreachable as error:
        if is_about_tls(error):
            result = result_of(error) or "validation-failure"
            count_session(domain, host, address, need, policy, result, error.text)
        raise
    count_session(domain, host, address, need, policy, "" if session.tls else "starttls-not-supported")
    return session


async def _as_tested(domain: str, host: MailHost, address: str, policy: StsPolicy, way: Way) -> SmtpSession | None:
    """None: the policy would not have allowed it."""
    if not policy.admits(host.name):
        count_session(domain, host, address, TRIED, policy, "validation-failure", "the policy does not name the host")
        return None
    try:
        session = await open_session(host.name, address, host.port, TRIED, way)
    except Unreachable as error:
        if not is_about_tls(error):
            raise
        count_session(domain, host, address, TRIED, policy, result_of(error) or "validation-failure", error.text)
        return None
    count_session(domain, host, address, TRIED, policy)
    return session
