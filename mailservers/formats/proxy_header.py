"""The PROXY protocol's header, versions 1 and 2 (HAProxy, doc/proxy-protocol.txt): who the client behind a proxy is.

Raises one error, `ProxyHeaderError`: a connection whose header is wrong is of no use.
"""

from __future__ import annotations

import ipaddress
import re

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # 12 octets: no shorter version 1 line exists either
V1_START = b"PROXY "
MAX_V1_OCTETS = 107  # with CRLF, section 2.1
MAX_V2_OCTETS = 4096  # of addresses and extensions; section 2.2 allows 65,535
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESS_OCTETS = {0x11: 4, 0x21: 16}  # TCP over IPv4, over IPv6

#   "PROXY" SP ("TCP4" / "TCP6") SP source SP destination SP source-port SP destination-port CRLF   (section 2.1)
_V1 = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]{1,5}) ([0-9]{1,5})\r\n")


class ProxyHeaderError(Exception):
    """What came is no PROXY header."""


def parse_v1(line: bytes) -> str:
    """The client's address from a whole line with CRLF; "" when the proxy does not know it (UNKNOWN)."""
    if len(line) > MAX_V1_OCTETS:
        raise ProxyHeaderError("the line is too long")
    if line == b"PROXY UNKNOWN\r\n" or (line.startswith(b"PROXY UNKNOWN ") and line.endswith(b"\r\n")):
        return ""
    match = _V1.fullmatch(line)
    if match is None:
        raise ProxyHeaderError("malformed version 1 line")
    version = 4 if match[1] == b"TCP4" else 6
    try:
        source, target = (ipaddress.ip_address(match[n].decode()) for n in (2, 3))
    except ValueError:
        raise ProxyHeaderError("malformed address") from None
    if source.version != version or target.version != version or any(int(match[n]) > 65535 for n in (4, 5)):
        raise ProxyHeaderError("malformed address")
    return _plain(source)


def v2_length(start: bytes) -> int:
    """Octets that follow the first 16."""
    if len(start) != 16 or not start.startswith(V2_SIGNATURE):
        raise ProxyHeaderError("no version 2 signature")
    if start[12] not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("unknown version or command")
    length = int.from_bytes(start[14:16], "big")
    if length > MAX_V2_OCTETS:
        raise ProxyHeaderError("the header is too long")
    return length


def parse_v2(start: bytes, rest: bytes) -> str:
    """The client's address from the first 16 octets and the `v2_length` ones after them; "" when the connection is
    the proxy's own (LOCAL) or of another family."""
    if start[12] == _LOCAL or start[13] not in _ADDRESS_OCTETS:
        return ""
    size = _ADDRESS_OCTETS[start[13]]
    if len(rest) < 2 * size + 4:
        raise ProxyHeaderError("the addresses are cut short")
    return _plain(ipaddress.ip_address(rest[:size]))


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
