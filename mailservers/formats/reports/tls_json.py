"""SMTP TLS reports (RFC 8460 section 4), and the record that says who wants them (section 3).

The facts of a `Tally`, as `outbound` counts them:

    {"type": "sts" | "tlsa" | "no-policy-found", "policy": [lines], "mx_pattern": [patterns], "host", "address",
     "result": "" (TLS came about) | a result type of section 4.3, "reason"}
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from . import MAX_ROWS, TLS, AggregateReport, InvalidReport, ReportRow, Tally

_VERSION = re.compile(rb"v=TLSRPTv1[ \t]*;")
MAX_URIS = 10


def report_uris(records: Iterable[bytes]) -> tuple[str, ...]:
    """Section 3: the rua of the one record that is a TLSRPT record; none where there is none, or more than one."""
    ours = [record for record in records if _VERSION.match(record)]
    if len(ours) != 1:
        return ()
    for field in ours[0].decode("ascii", "replace").split(";")[1:]:
        name, equal, value = field.strip(" \t").partition("=")
        if name == "rua" and equal:
            uris = (uri.strip() for uri in value.split(",")[:MAX_URIS])
            return tuple(uri for uri in uris if uri.lower().startswith(("mailto:", "https:")))
    return ()


def build_tls(
    *, organisation: str, email: str, report_id: str, begin: int, end: int, domain: str, tallies: Sequence[Tally]
) -> bytes:
    """The JSON of one report about one policy domain."""
    policies: dict[str, dict[str, Any]] = {}
    for tally in tallies:
        facts = tally.facts
        key = json.dumps([facts["type"], facts["policy"]])
        policy = policies.setdefault(key, _policy(domain, facts))
        summary = policy["summary"]
        if not facts["result"]:
            summary["total-successful-session-count"] += tally.count
            continue
        summary["total-failure-session-count"] += tally.count
        policy.setdefault("failure-details", []).append(_failure(tally))
    return json.dumps(
        {
            "organization-name": organisation,
            "date-range": {"start-datetime": _moment(begin), "end-datetime": _moment(end)},
            "contact-info": email,
            "report-id": report_id,
            "policies": list(policies.values()),
        },
        indent=1,
    ).encode()


def _policy(domain: str, facts: dict[str, Any]) -> dict[str, Any]:
    policy: dict[str, Any] = {"policy-type": facts["type"], "policy-domain": domain}
    if facts["policy"]:
        policy["policy-string"] = facts["policy"]
    if facts["mx_pattern"]:
        policy["mx-host"] = facts["mx_pattern"]
    return {
        "policy": policy,
        "summary": {"total-successful-session-count": 0, "total-failure-session-count": 0},
    }


def _failure(tally: Tally) -> dict[str, Any]:
    facts = tally.facts
    said = {
        "result-type": facts["result"],
        "receiving-mx-hostname": facts["host"],
        "receiving-ip": facts["address"],
        "failed-session-count": tally.count,
        "additional-information": facts["reason"],
    }
    return {name: value for name, value in said.items() if value != ""}


def _moment(seconds: int) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


# ---------------------------------------------------------------- reading what others say


def is_tls_report(content: bytes) -> bool:
    return content.lstrip()[:1] == b"{" and b'"policies"' in content


def parse_tls_report(content: bytes) -> AggregateReport:
    """Raises `InvalidReport`."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidReport("the report is no JSON") from error
    try:
        policies = said["policies"]
        rows = [row for policy in policies for row in _rows(policy)]
        report = AggregateReport(
            TLS,
            str(said.get("organization-name", ""))[:255],
            str(said["report-id"])[:255],
            str(policies[0]["policy"]["policy-domain"])[:255].lower(),
            _seconds(said["date-range"]["start-datetime"]),
            _seconds(said["date-range"]["end-datetime"]),
            tuple(rows[:MAX_ROWS]),
        )
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError) as error:
        raise InvalidReport(f"the report lacks something: {type(error).__name__} {error}"[:200]) from error
    return report


def _rows(policy: dict[str, Any]) -> Iterable[ReportRow]:
    about = policy["policy"]
    detail = {"policy": str(about.get("policy-type", ""))[:40]}
    good = _count(policy["summary"]["total-successful-session-count"])
    yield ReportRow("", good, True, detail)
    for failure in (policy.get("failure-details") or [])[:MAX_ROWS]:
        said = {
            "result": str(failure.get("result-type", ""))[:60],
            "address": str(failure.get("receiving-ip", ""))[:60],
            "sender": str(failure.get("sending-mta-ip", ""))[:60],
            "reason": str(failure.get("failure-reason-code") or failure.get("additional-information") or "")[:300],
        }
        host = str(failure.get("receiving-mx-hostname", ""))[:255]
        yield ReportRow(host, _count(failure["failed-session-count"]), False, detail | said)


def _count(value: Any) -> int:
    number = int(value)
    if not 0 <= number < 10**12:
        raise ValueError("no count")
    return number


def _seconds(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp())
