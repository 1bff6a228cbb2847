"""Whether what stands in the DNS does what a record of ours is for. No network.

What an administrator may well have chosen differently (a stricter DMARC policy, more hosts in SPF, another preference
of an MX) is fine, too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accounts.services.dns_records import DnsRecord

SHOWN = 300  # characters of what was found


@dataclass(frozen=True, slots=True)
class Verdict:
    is_fine: bool
    words: str = ""
    is_there: bool = False  # something stands there that is not right


def verdict(record: DnsRecord, found: Sequence[str]) -> Verdict:
    """`found`: the name's records of that type, as zone files have them."""
    return _BY_TYPE[record.type](record, found)


def _shown(found: Sequence[str]) -> str:
    return "Found instead: " + "; ".join(found)[:SHOWN]


def _same(record: DnsRecord, found: Sequence[str]) -> Verdict:
    wanted = _plain(record.value)
    if any(_plain(one) == wanted for one in found):
        return Verdict(True)
    return Verdict(False, _shown(found) if found else "", bool(found))


def _plain(value: str) -> str:
    return " ".join(value.lower().rstrip(".").split())


def _mx(record: DnsRecord, found: Sequence[str]) -> Verdict:
    host = _plain(record.value).split()[1]
    hosts = [_plain(one).split()[1] for one in found]
    if host in hosts:
        return Verdict(True)
    return Verdict(False, f"Mail goes to {', '.join(hosts)}." if hosts else "", bool(hosts))


def _srv(record: DnsRecord, found: Sequence[str]) -> Verdict:
    wanted = _plain(record.value).split()[2:]
    if any(_plain(one).split()[2:] == wanted for one in found):
        return Verdict(True)
    return Verdict(False, _shown(found) if found else "", bool(found))


def _caa(record: DnsRecord, found: Sequence[str]) -> Verdict:
    """RFC 8659: without any, every authority may issue."""
    issuers = [one for one in found if re.match(r"\d+ issue ", one)]
    if not issuers:
        return Verdict(True, "There is none, which lets every authority issue certificates.")
    wanted = record.value.split('"')[1]
    if any(one.partition('"')[2].partition('"')[0].partition(";")[0].strip() == wanted for one in issuers):
        return Verdict(True)
    return Verdict(False, f"{wanted} may not issue certificates for it. {_shown(issuers)}", True)


# ---------------------------------------------------------------- TXT, by what its first word says


def _txt(record: DnsRecord, found: Sequence[str]) -> Verdict:
    version = re.split(r"[;\s]", record.value, maxsplit=1)[0]
    texts = [text for text in map(text_of, found) if _is_of(text, version)]
    if not texts:
        return Verdict(False)
    if len(texts) > 1:
        return Verdict(False, "There is more than one, which makes all of them void. " + _shown(texts), True)
    return _TEXTS.get(version, _exact_text)(record, texts[0])


def _is_of(text: str, version: str) -> bool:
    """Keys may be published without their version (RFC 6376 section 3.6.1)."""
    if version == "v=DKIM1":
        return "p" in tags_of(text)
    return re.split(r"[;\s]", text.strip(), maxsplit=1)[0].lower() == version.lower()


def text_of(presentation: str) -> str:
    """`"v=spf1 " "mx -all"` -> the text."""
    try:
        return "".join(shlex.split(presentation))
    except ValueError:
        return presentation


def tags_of(text: str) -> dict[str, str]:
    """`v=DMARC1; p=none` -> {"v": "DMARC1", "p": "none"}; white space does not count."""
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs}


def _exact_text(record: DnsRecord, text: str) -> Verdict:
    return Verdict(True) if tags_of(text) == tags_of(record.value) else Verdict(False, _shown([text]), True)


def _spf(record: DnsRecord, text: str) -> Verdict:
    terms = text.lower().split()
    host = terms[1:] and any(term in ("mx", "+mx") or term.startswith(("include:", "redirect=")) for term in terms)
    if not host and _plain(text) != _plain(record.value):
        return Verdict(False, "It does not name this server. " + _shown([text]), True)
    if "+all" in terms or "all" in terms:
        return Verdict(False, "“all” lets everybody send for the domain. " + _shown([text]), True)
    return Verdict(True)


def _dkim(record: DnsRecord, text: str) -> Verdict:
    if tags_of(text).get("p") == tags_of(record.value)["p"]:
        return Verdict(True)
    return Verdict(False, "It holds another key. " + _shown([text]), True)


def _dmarc(record: DnsRecord, text: str) -> Verdict:
    policy = tags_of(text).get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return Verdict(False, "It says no policy (p=). " + _shown([text]), True)
    if policy == "none":
        return Verdict(True, "p=none asks others to do nothing about mail that only pretends to be yours.")
    return Verdict(True)


def _tls_reports(record: DnsRecord, text: str) -> Verdict:
    if tags_of(text).get("rua"):
        return Verdict(True)
    return Verdict(False, "It says no address (rua=). " + _shown([text]), True)


_TEXTS: dict[str, Callable[[DnsRecord, str], Verdict]] = {
    "v=spf1": _spf,
    "v=DKIM1": _dkim,
    "v=DMARC1": _dmarc,
    "v=TLSRPTv1": _tls_reports,
}
_BY_TYPE: dict[str, Callable[[DnsRecord, Sequence[str]], Verdict]] = {
    "A": _same,
    "AAAA": _same,
    "MX": _mx,
    "TXT": _txt,
    "CNAME": _same,
    "SRV": _srv,
    "PTR": _same,
    "CAA": _caa,
    "TLSA": _same,
}
