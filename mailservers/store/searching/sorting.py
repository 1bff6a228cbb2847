"""What SORT and THREAD need to know of messages, and putting them in order (RFC 5256). For reader threads."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mailservers.formats.addresses import Address, parse_address_list
from mailservers.formats.collation import unicode_casemap
from mailservers.formats.headers import field_map
from mailservers.formats.imap.sort import Criterion
from mailservers.formats.imap.threading import Threaded
from mailservers.formats.subjects import base_subject
from mailservers.store.content import read_headers
from mailservers.store.queries import fetch_rows

CHUNK = 500  # rows read with one query
_HEADER_KEYS = {"TO": b"to", "CC": b"cc", "FROM": b"from", "DISPLAYTO": b"to", "DISPLAYFROM": b"from"}

Keys = dict[str, Any]


def sort_uids(
    mailbox_id: int, uids: Sequence[int], criteria: Sequence[Criterion], scores: Mapping[int, int] | None = None
) -> array[int]:
    """UIDs (given in the order of the mailbox) in the order asked for; those gone are missing. `scores`: what
    RELEVANCY goes by, the highest first (RFC 6203 section 6)."""
    wanted = {criterion.key for criterion in criteria}
    rows: list[tuple[int, Keys]] = []
    for start in range(0, len(uids), CHUNK):
        rows += _read_keys(mailbox_id, uids[start : start + CHUNK], wanted)
    for uid, keys in rows:
        keys["RELEVANCY"] = -(scores or {}).get(uid, 0)
    for criterion in reversed(criteria):  # a stable sort for each: what is equal stays in the mailbox's order
        key = criterion.key
        rows.sort(key=lambda row: row[1][key], reverse=criterion.reverse)
    return array("I", (uid for uid, _ in rows))


def _read_keys(mailbox_id: int, uids: Sequence[int], wanted: set[str]) -> list[tuple[int, Keys]]:
    columns = ("uid", "internal_date", "message__size", "message__date", "message__subject", "message_id")
    rows = fetch_rows(mailbox_id, uids, columns)
    fields = wanted & _HEADER_KEYS.keys()
    headers = read_headers([row[5] for row in rows]) if fields else {}
    result = []
    for uid, arrived, size, sent, subject, message_id in rows:
        keys: Keys = {"ARRIVAL": arrived, "SIZE": size, "DATE": sent or arrived}
        if "SUBJECT" in wanted:
            keys["SUBJECT"] = unicode_casemap(base_subject(subject).text)
        if fields:
            header = field_map(headers.get(message_id, b""))
            for name in fields:
                keys[name] = _ADDRESS_KEYS[name](parse_address_list(header.get(_HEADER_KEYS[name], b"")))
        result.append((uid, keys))
    return result


def _mailbox(addresses: Sequence[Address]) -> str:
    """The addr-mailbox of the first address (RFC 5256 section 3)."""
    return unicode_casemap((addresses[0].raw_local or b"").decode("utf-8", "replace")) if addresses else ""


def _display(addresses: Sequence[Address]) -> str:
    """RFC 5957 section 3: the first address's display name, else the address itself."""
    if not addresses:
        return ""
    return unicode_casemap(addresses[0].name.strip() or addresses[0].spec)


_ADDRESS_KEYS: dict[str, Callable[[Sequence[Address]], str]] = {
    "TO": _mailbox,
    "CC": _mailbox,
    "FROM": _mailbox,
    "DISPLAYTO": _display,
    "DISPLAYFROM": _display,
}


def threaded_messages(mailbox_id: int, uids: Sequence[int]) -> list[Threaded]:
    """In the order of the mailbox; `number` is the UID."""
    columns = (
        "uid",
        "internal_date",
        "message__date",
        "message__message_id",
        "message__references",
        "message__in_reply_to",
        "message__subject",
    )
    result = []
    for start in range(0, len(uids), CHUNK):
        for uid, arrived, sent, own, references, reply_to, subject in fetch_rows(
            mailbox_id, uids[start : start + CHUNK], columns
        ):
            names = tuple(references.split()) or ((reply_to,) if reply_to else ())
            result.append(Threaded(uid, own, names, subject, sent or arrived))
    return result
