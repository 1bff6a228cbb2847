"""DMARC aggregate reports (RFC 7489 appendix C): what a domain's owner is told, and what others tell us.

The facts of a `Tally`, as `checks` counts them:

    {"policy": {"domain", "p", "sp", "adkim", "aspf", "pct"}, "source_ip", "disposition", "dkim", "spf" ("pass"/"fail"),
     "reasons": [[type, comment]], "envelope_from", "header_from",
     "dkim_results": [[domain, selector, result]], "spf_results": [[domain, scope, result]]}
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from typing import Any

from . import DMARC, MAX_ROWS, AggregateReport, InvalidReport, ReportRow, Tally

_SPF_RESULTS = ("none", "neutral", "pass", "fail", "softfail", "temperror", "permerror")
_DKIM_RESULTS = ("none", "pass", "fail", "policy", "neutral", "temperror", "permerror")


def build_dmarc(
    *, organisation: str, email: str, report_id: str, begin: int, end: int, tallies: Sequence[Tally]
) -> bytes:
    """The XML of one report; `tallies` (at least one): of one policy domain; the policy told is the last one's."""
    root = ET.Element("feedback")
    _text(root, "version", "1.0")
    about = ET.SubElement(root, "report_metadata")
    for name, value in (("org_name", organisation), ("email", email), ("report_id", report_id)):
        _text(about, name, value)
    span = ET.SubElement(about, "date_range")
    _text(span, "begin", begin)
    _text(span, "end", end)
    policy = ET.SubElement(root, "policy_published")
    for name in ("domain", "adkim", "aspf", "p", "sp", "pct"):
        _text(policy, name, tallies[-1].facts["policy"][name])
    for tally in tallies:
        _record(root, tally)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _record(root: ET.Element, tally: Tally) -> None:
    facts = tally.facts
    record = ET.SubElement(root, "record")
    row = ET.SubElement(record, "row")
    _text(row, "source_ip", facts["source_ip"])
    _text(row, "count", tally.count)
    evaluated = ET.SubElement(row, "policy_evaluated")
    for name in ("disposition", "dkim", "spf"):
        _text(evaluated, name, facts[name])
    for kind, comment in facts["reasons"]:
        reason = ET.SubElement(evaluated, "reason")
        _text(reason, "type", kind)
        _text(reason, "comment", comment)
    identifiers = ET.SubElement(record, "identifiers")
    _text(identifiers, "envelope_from", facts["envelope_from"])
    _text(identifiers, "header_from", facts["header_from"])
    results = ET.SubElement(record, "auth_results")
    _results(results, "dkim", ("domain", "selector"), facts["dkim_results"], _DKIM_RESULTS)
    _results(results, "spf", ("domain", "scope"), facts["spf_results"], _SPF_RESULTS)


def _results(
    parent: ET.Element, method: str, names: tuple[str, str], rows: Iterable[Any], known: Sequence[str]
) -> None:
    for *values, result in rows:
        element = ET.SubElement(parent, method)
        for name, value in zip(names, values, strict=True):
            _text(element, name, value)
        _text(element, "result", result if result in known else "neutral")


def _text(parent: ET.Element, name: str, value: object) -> None:
    text = "".join(c for c in str(value) if c.isprintable())  # XML has no way to write the others
    ET.SubElement(parent, name).text = text


# ---------------------------------------------------------------- reading what others say


def is_dmarc_report(content: bytes) -> bool:
    return b"<feedback" in content[:4096]


def parse_dmarc_report(content: bytes) -> AggregateReport:
    """Raises `InvalidReport`. No document type is read: entities could make it as large as they like."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        raise InvalidReport("the report has a document type, or is not UTF-8")
    try:
        root = ET.fromstring(content)
    except (ET.ParseError, LookupError, ValueError) as error:
        raise InvalidReport(f"the report is no XML: {error}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
    if root.tag != "feedback":
        raise InvalidReport("the report is no DMARC report")
    records = root.findall("record")
    if len(records) > MAX_ROWS:
        raise InvalidReport("the report has too many records")
    return AggregateReport(
        DMARC,
        _said(root, "report_metadata/org_name"),
        _said(root, "report_metadata/report_id"),
        _said(root, "policy_published/domain").lower(),
        _number(root, "report_metadata/date_range/begin"),
        _number(root, "report_metadata/date_range/end"),
        tuple(_row(record) for record in records),
    )


def _row(record: ET.Element) -> ReportRow:
    dkim = _said(record, "row/policy_evaluated/dkim")
    spf = _said(record, "row/policy_evaluated/spf")
    detail = {
        "disposition": _said(record, "row/policy_evaluated/disposition"),
        "dkim": dkim,
        "spf": spf,
        "header_from": _said(record, "identifiers/header_from"),
        "envelope_from": _said(record, "identifiers/envelope_from"),
        "signers": [_said(one, "domain") for one in record.findall("auth_results/dkim")[:20]],
    }
    return ReportRow(_said(record, "row/source_ip"), _number(record, "row/count"), "pass" in (dkim, spf), detail)


def _said(element: ET.Element, path: str) -> str:
    return " ".join((element.findtext(path) or "").split())[:255]


def _number(element: ET.Element, path: str) -> int:
    text = _said(element, path)
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise InvalidReport(f"{path.rpartition('/')[2]} is no number")
    return int(text)
