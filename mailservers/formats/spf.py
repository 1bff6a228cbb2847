"""SPF records (RFC 7208 sections 5, 6, 12): text in, terms out. Their domains' macros are in `spf_macros`.

    record     = version terms *SP                    ; version = "v=spf1"
    terms      = *( 1*SP ( directive / modifier ) )
    directive  = [ qualifier ] mechanism              ; qualifier = "+" / "-" / "?" / "~"
    modifier   = name "=" macro-string

`SpfSyntaxError` is the only error: the record is worth a permerror (section 4.6). A record is judged whole, before
any of it is evaluated.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from .spf_macros import DomainSpec, SpfSyntaxError, parse_domain_spec, parse_macro_string

MAX_RECORD_OCTETS = 16_384

__all__ = ["Directive", "SpfRecord", "SpfSyntaxError", "is_spf", "parse_spf"]

QUALIFIERS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

_TERM = re.compile(r"([-+~?]?)([A-Za-z][A-Za-z0-9_.-]*)(.*)\Z", re.DOTALL)
_CIDR = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_IP4 = re.compile(r":(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?:/(0|[1-9][0-9]?))?\Z", re.ASCII)
_IP6 = re.compile(r":([0-9A-Fa-f:.]+)(?:/(0|[1-9][0-9]{0,2}))?\Z")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Directive:
    """`result` when `mechanism` matches. `domain` None means the current domain."""

    result: str
    mechanism: str
    domain: DomainSpec | None = None
    network: Network | None = None
    ip4_prefix: int = 32
    ip6_prefix: int = 128


@dataclass(slots=True)
class SpfRecord:
    """Directives in order; unknown modifiers are checked and left out (section 6)."""

    directives: list[Directive] = field(default_factory=list)
    redirect: DomainSpec | None = None
    exp: DomainSpec | None = None


def is_spf(record: bytes) -> bool:
    """Section 4.5: exactly the version, then a space or the end."""
    return record[:6].lower() == b"v=spf1" and record[6:7] in (b"", b" ")


def parse_spf(record: bytes) -> SpfRecord:
    """A record for which `is_spf` holds. Raises `SpfSyntaxError`."""
    if len(record) > MAX_RECORD_OCTETS:
        raise SpfSyntaxError("the record is too long")
    try:
        text = record.decode("ascii")
    except UnicodeDecodeError:
        raise SpfSyntaxError("the record is not ASCII") from None
    result = SpfRecord()
    for term in text[6:].split(" "):
        if term:
            _add_term(result, term)
    return result


def _add_term(record: SpfRecord, term: str) -> None:
    match = _TERM.match(term)
    if match is None:
        raise SpfSyntaxError(f"{term[:60]!r} is no term")
    qualifier, name, rest = match.groups()
    if rest.startswith("=") and not qualifier:
        _add_modifier(record, name.lower(), rest[1:])
        return
    parse = _MECHANISMS.get(name.lower())
    if parse is None:
        raise SpfSyntaxError(f"{name[:60]!r} is no mechanism")
    record.directives.append(parse(QUALIFIERS[qualifier or "+"], name.lower(), rest))


def _add_modifier(record: SpfRecord, name: str, value: str) -> None:
    if name not in ("redirect", "exp"):
        parse_macro_string(value)  # an unknown modifier is passed over, but it must be well formed
        return
    if getattr(record, name) is not None:
        raise SpfSyntaxError(f"{name} is there twice")
    setattr(record, name, parse_domain_spec(value))


# ---------------------------------------------------------------- mechanisms


def _all(result: str, name: str, rest: str) -> Directive:
    if rest:
        raise SpfSyntaxError("all has no argument")
    return Directive(result, name)


def _with_domain(result: str, name: str, rest: str) -> Directive:
    """include and exists: the domain is required."""
    if not rest.startswith(":"):
        raise SpfSyntaxError(f"{name} needs a domain")
    return Directive(result, name, parse_domain_spec(rest[1:]))


def _ptr(result: str, name: str, rest: str) -> Directive:
    return _with_domain(result, name, rest) if rest else Directive(result, name)


def _host(result: str, name: str, rest: str) -> Directive:
    """a and mx: an optional domain, optional prefix lengths for IPv4 and IPv6."""
    cidr = _CIDR.search(rest)
    assert cidr is not None  # it may be empty
    domain = rest[: cidr.start()]
    if domain and not domain.startswith(":"):
        raise SpfSyntaxError(f"{name} is followed by {domain[:20]!r}")
    ip4, ip6 = int(cidr[1] or 32), int(cidr[2] or 128)
    if ip4 > 32 or ip6 > 128:
        raise SpfSyntaxError(f"{name} has an impossible prefix length")
    return Directive(result, name, parse_domain_spec(domain[1:]) if domain else None, ip4_prefix=ip4, ip6_prefix=ip6)


def _ip4(result: str, name: str, rest: str) -> Directive:
    return Directive(result, name, network=_network(_IP4.match(rest), 4))


def _ip6(result: str, name: str, rest: str) -> Directive:
    return Directive(result, name, network=_network(_IP6.match(rest), 6))


def _network(match: re.Match[str] | None, version: int) -> Network:
    if match is None:
        raise SpfSyntaxError(f"ip{version} is malformed")
    try:
        network = ipaddress.ip_network(f"{match[1]}/{match[2]}" if match[2] else match[1], strict=False)
    except ValueError:
        raise SpfSyntaxError(f"ip{version} has an impossible address or prefix length") from None
    if network.version != version:
        raise SpfSyntaxError(f"ip{version} has an address of another kind")
    return network


_MECHANISMS = {
    "all": _all,
    "include": _with_domain,
    "exists": _with_domain,
    "a": _host,
    "mx": _host,
    "ptr": _ptr,
    "ip4": _ip4,
    "ip6": _ip6,
}
