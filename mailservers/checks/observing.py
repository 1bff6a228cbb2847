"""What the owner of the author's domain is told of a message in the next aggregate report (RFC 7489 section 7.2)."""

from __future__ import annotations

from typing import Any

from mailservers.checks.authentication import Authentication, spf_domain
from mailservers.checks.dmarc import DmarcOutcome, is_aligned
from mailservers.checks.opinion import Facts, Opinion
from mailservers.formats.reports import DMARC
from mailservers.store.tallies import tallies

MAX_SIGNATURES = 10  # told of one message


def count_for_report(facts: Facts, opinion: Opinion) -> None:
    """Nothing for domains that want no reports, and for messages that were asked to come again."""
    found = facts.authentication
    if found is None or found.dmarc.published is None or not found.dmarc.published.record.reports:
        return
    if opinion.refusal is not None and opinion.refusal.code < 500:
        return
    tallies.count(DMARC, found.dmarc.published.domain, observation(facts, found, opinion))


def observation(facts: Facts, found: Authentication, opinion: Opinion) -> dict[str, Any]:
    """See `formats.reports.dmarc_xml`."""
    dmarc, published = found.dmarc, found.dmarc.published
    assert published is not None
    record = published.record
    disposition, reasons = _disposition(dmarc, opinion)
    spf_is_good = found.spf.result == "pass" and is_aligned(
        spf_domain(facts), dmarc.domain, is_strict=record.spf_is_strict
    )
    dkim_is_good = any(is_aligned(signer, dmarc.domain, is_strict=record.dkim_is_strict) for signer in found.signers())
    return {
        "policy": {
            "domain": published.domain,
            "p": record.policy,
            "sp": record.subdomain_policy,
            "adkim": "s" if record.dkim_is_strict else "r",
            "aspf": "s" if record.spf_is_strict else "r",
            "pct": record.percent,
        },
        "source_ip": str(facts.peer),
        "disposition": disposition,
        "dkim": "pass" if dkim_is_good else "fail",
        "spf": "pass" if spf_is_good else "fail",
        "reasons": reasons,
        "envelope_from": facts.sender_domain,
        "header_from": dmarc.domain,
        "dkim_results": [[one.domain, one.selector, one.result] for one in found.dkim[:MAX_SIGNATURES] if one.domain],
        "spf_results": [[spf_domain(facts), "mfrom" if facts.reverse_path else "helo", found.spf.result]],
    }


def _disposition(dmarc: DmarcOutcome, opinion: Opinion) -> tuple[str, list[list[str]]]:
    """What was done, and why that is not what the policy says (appendix C, PolicyOverrideType)."""
    if dmarc.result != "fail":
        return "none", []
    names = {reason.name: reason for reason in opinion.reasons}
    if "dmarc.forwarded" in names:
        return "none", [["trusted_forwarder", names["dmarc.forwarded"].text]]
    if "rule.allow" in names:
        return "none", [["local_policy", "the sender is on an allow list here"]]
    said: list[list[str]] = [] if dmarc.disposition == dmarc.policy else [["sampled_out", ""]]
    if dmarc.disposition == "reject" and opinion.refusal is None:
        return "quarantine", [*said, ["local_policy", "refusals are not made here"]]
    return dmarc.disposition, said
