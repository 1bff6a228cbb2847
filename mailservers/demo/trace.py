"""What the way to us adds to a message: trace fields (RFC 5321 section 4.4) and list fields (RFC 2369)."""

import zlib
from datetime import datetime, timedelta
from random import Random

from . import header_fields
from .cast import CAST, DOMAIN, LISTS
from .letter import Correspondent, Letter
from .moments import date_time, in_zone

_TEST_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737


def fields(letter: Letter, writer: Correspondent, date: datetime, rng: Random) -> list[bytes]:
    """Return-Path, Received (newest first) and, for letters through a list, its fields."""
    domain = writer.address.rpartition("@")[2].encode("idna").decode("ascii")
    hops = [f"smtp.{domain}"]
    list_fields: list[bytes] = []
    reverse_path = writer.address if letter.reverse_path is None else letter.reverse_path
    if domain == DOMAIN and not letter.via:  # our own server's reports do not travel
        return [b"Return-Path: <" + reverse_path.encode() + b">"]
    if letter.via:
        mailing_list = LISTS[letter.via]
        hops.append(f"out.{mailing_list.host}")
        reverse_path = f"bounces+{rng.getrandbits(32):08x}@{mailing_list.host}"
        list_fields = _list_fields(letter.via, rng)
    out = [b"Return-Path: <" + reverse_path.encode() + b">"]
    previous = [f"[{_address('lan.' + domain)}]", *hops[:-1]]
    times = [date + timedelta(seconds=2 * index + 1) for index in range(len(hops))]
    protocol = "UTF8SMTPS" if letter.smtputf8 else "ESMTPS"  # RFC 3848, RFC 6531 section 4.3
    received = [
        _received(f"{source} ({source} [{_address(source)}])" if index else source, by, protocol, time, rng)
        for index, (source, by, time) in enumerate(zip(previous, hops, times))
    ]
    last = hops[-1]
    ours = in_zone(times[-1] + timedelta(seconds=1), CAST["marta"].zone)
    received.append(_received(f"{last} ({last} [{_address(last)}])", f"mx.{DOMAIN}", protocol, ours, rng))
    return [*out, *reversed(received), *list_fields]


def _received(source: str, by: str, protocol: str, time: datetime, rng: Random) -> bytes:
    ident = f"{rng.getrandbits(40):010X}"
    return (f"Received: from {source}\r\n\tby {by} with {protocol} id {ident};\r\n\t{date_time(time)}").encode("ascii")


def _address(host: str) -> str:
    number = zlib.crc32(host.encode())
    return f"{_TEST_NETWORKS[number % 3]}.{number // 3 % 253 + 1}"


def _list_fields(key: str, rng: Random) -> list[bytes]:
    mailing_list = LISTS[key]
    token = f"{rng.getrandbits(64):016x}"
    leave = f"<https://{mailing_list.host}/leave/{token}>"
    out = [
        header_fields.unstructured("List-Id", f"{mailing_list.name} <{mailing_list.list_id}>"),
        header_fields.tokens("List-Unsubscribe", [f"{leave},", f"<mailto:leave+{token}@{mailing_list.host}>"]),
    ]
    if mailing_list.one_click:
        out.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    if mailing_list.post:
        out += [
            header_fields.tokens("List-Post", [f"<mailto:{mailing_list.post}>"]),
            header_fields.tokens("List-Archive", [f"<https://{mailing_list.host}/archive/>"]),
            header_fields.tokens("List-Help", [f"<https://{mailing_list.host}/help>"]),
            b"Sender: " + f"bounces@{mailing_list.host}".encode("ascii"),
            b"Precedence: list",
        ]
    else:
        out.append(b"Precedence: bulk")
    return out
