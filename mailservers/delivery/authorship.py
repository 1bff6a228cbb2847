"""Who a submitted message says it is from (RFC 6409 6.1, RFC 5322 3.6.2): the user's own addresses, and no others.

- One author: From is the user's own address.
- Several: one of them is, and Sender, which then has to be there, is the user's own.
- A message sent again (Resent-From, RFC 5322 3.6.6) keeps its From; the topmost Resent-From is held to the rule.

A user's own are the login, aliases and groups that lead to the user (shared identities), and sub-addresses of these.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailservers.delivery.refusals import SubmissionRefused
from mailservers.delivery.routing import may_send_as, sends_as
from mailservers.formats.addresses import parse_address_list
from mailservers.formats.headers import iter_fields

_WANTED = frozenset({b"from", b"sender", b"resent-from", b"resent-sender"})


@dataclass(frozen=True, slots=True)
class Authors:
    """The addresses of From, in order, and of Sender ("" without one)."""

    names: tuple[str, ...]
    sender: str = ""


def read_authors(header: bytes) -> Authors | None:
    """None: there is no From field. Raises `SubmissionRefused` when it says nothing, or is there twice."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in iter_fields(header):
        if name.lower() in _WANTED:
            found.setdefault(name.lower(), []).append(value)
    if b"resent-from" in found:
        senders = found.get(b"resent-sender", [])
        return Authors(_addresses(found[b"resent-from"][0]), *(_addresses(senders[0])[:1] if senders else ()))
    if b"from" not in found:
        return None
    if len(found[b"from"]) > 1 or len(found.get(b"sender", [])) > 1:
        raise SubmissionRefused("The message has more than one From or Sender field")
    names = _addresses(found[b"from"][0])
    if not names:
        raise SubmissionRefused("The From field has no address")
    return Authors(names, *(_addresses(found[b"sender"][0])[:1] if b"sender" in found else ()))


def _addresses(value: bytes) -> tuple[str, ...]:
    return tuple(address.spec for address in parse_address_list(value) if address.is_mailbox and address.raw_domain)


def known_authors(user_id: int, authors: Authors) -> bool:
    """Found in the last few seconds to be right, for the most usual case of one author."""
    return len(authors.names) == 1 and not authors.sender and sends_as(user_id, authors.names[0])


def check_authors(user_id: int, authors: Authors) -> None:
    """Raises `SubmissionRefused`, naming the address. Reads the database."""
    names = authors.names
    if authors.sender and not may_send_as(user_id, authors.sender):
        raise SubmissionRefused(f"You may not send as {authors.sender} (in the Sender field)")
    if len(names) > 1 and not authors.sender:
        raise SubmissionRefused("A message from several people needs a Sender field (RFC 5322 3.6.2)")
    if not any(may_send_as(user_id, name) for name in names):
        raise SubmissionRefused(f"You may not send as {', '.join(names[:3]) or 'nobody'} (in the From field)")
