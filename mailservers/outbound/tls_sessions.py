"""What became of TLS on each connection to another host: counted for the reports that its domain may want (RFC 8460).

Every domain is counted; whether it wants reports is asked when the day is over (`mailservers.reporting`).
"""

from __future__ import annotations

import ssl

from mailservers.formats.mailbox_address import InvalidAddress
from mailservers.formats.mta_sts import StsPolicy
from mailservers.formats.outgoing import domain_on_wire
from mailservers.formats.reports import TLS
from mailservers.outbound.client import NoStartTls
from mailservers.outbound.outcomes import Unreachable
from mailservers.outbound.resolve import MailHost
from mailservers.outbound.tls_need import Level, NotTrusted, TlsNeed
from mailservers.store.tallies import tallies

MAX_REASON = 200
_EXPIRED, _NAME = 10, (62, 64)  # X509_V_ERR_CERT_HAS_EXPIRED; …_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH


def count_session(domain: str, host: MailHost, address: str, need: TlsNeed, policy: StsPolicy | None, result: str = "",
                  reason: str = "") -> None:  # fmt: skip
    """One connection (or one host that was left out) of a policy domain; `result` "": as the policy wants it."""
    try:
        name = domain_on_wire(domain)
    except InvalidAddress:
        return
    kind, lines, patterns = _policy(need, policy)
    facts = {
        "type": kind,
        "policy": lines,
        "mx_pattern": patterns,
        "host": host.name,
        "address": address,
        "result": result,
        "reason": reason[:MAX_REASON],
    }
    tallies.count(TLS, name, facts)


def _policy(need: TlsNeed, policy: StsPolicy | None) -> tuple[str, list[str], list[str]]:
    if need.level in (Level.DANE, Level.ENCRYPTED) and not need.promise:
        records = [f"{r.usage} {r.selector} {r.matching} {r.data.hex()}" for r in need.tlsa]
        return "tlsa", records, []
    if policy is not None and policy.mode != "none":
        lines = ["version: STSv1", f"mode: {policy.mode}", *(f"mx: {mx}" for mx in policy.mx)]
        return "sts", [*lines, f"max_age: {policy.max_age_s}"], list(policy.mx)
    return "no-policy-found", [], []


def result_of(error: BaseException | None) -> str:
    """A result type of RFC 8460 section 4.3 for why TLS did not come about; "" when it was not TLS's fault."""
    while error is not None:
        if isinstance(error, NoStartTls):
            return "starttls-not-supported"
        if isinstance(error, NotTrusted):
            return "validation-failure"
        if isinstance(error, ssl.SSLCertVerificationError):
            if error.verify_code == _EXPIRED:
                return "certificate-expired"
            return "certificate-host-mismatch" if error.verify_code in _NAME else "certificate-not-trusted"
        if isinstance(error, ssl.SSLError):
            return "validation-failure"
        error = error.__cause__
    return ""


def is_about_tls(error: Unreachable) -> bool:
    return error.status in ("4.7.5", "5.7.10")
