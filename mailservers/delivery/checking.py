"""What acceptance asks before it takes a message from outside: the checks' opinion, and what follows from it.

The opinion stays with the envelope: its Authentication-Results go on top of the message, its reasons into the trace
and beside the message, and it decides between INBOX and Junk for each reader.
"""

from __future__ import annotations

from django.conf import settings

from mailservers.checks.authentication import peer_address
from mailservers.checks.examination import examine, is_exempt
from mailservers.checks.observing import count_for_report
from mailservers.checks.opinion import Facts, Opinion, Reader, Refusal
from mailservers.delivery.envelope import Envelope
from mailservers.formats.authentication_results import parse_results
from mailservers.formats.headers import header_end, without_fields
from mailservers.models import Mailbox
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.spool import Content
from mailservers.store.transaction import Event
from mailservers.store.verdicts import Verdict

MAX_TEXT = 400  # characters of a refusal: with its codes it fits a reply line (RFC 5321 4.5.3.1.5)
JUNK_NOT_SENT_ON = Refusal(550, "5.7.1", "This looks like junk mail, and is not sent on to another host")
_FIELD = b"authentication-results"


class MessageRefused(Exception):
    """The checks say no. `refusal` is the reply."""

    def __init__(self, refusal: Refusal) -> None:
        text = "".join(c if c.isprintable() else " " for c in refusal.text.encode("ascii", "replace").decode())[
            :MAX_TEXT
        ]
        super().__init__(text)
        self.refusal = refusal._replace(text=text)


def is_checked(envelope: Envelope) -> bool:
    """Mail of our own users, and of trusted peers, is not."""
    return envelope.sender_id is None and not is_exempt(envelope.peer_address)


async def form_opinion(envelope: Envelope, content: Content) -> None:
    """Sets the envelope's `opinion` and `junk_ids`. Raises `MessageRefused`, a `StoreError`."""
    peer = peer_address(envelope.peer_address)
    assert peer is not None  # it would be exempt
    facts = Facts(
        envelope.trace_id,
        peer,
        envelope.helo,
        envelope.reverse_path,
        tuple(recipient.address for recipient in envelope.recipients),
        tuple(Reader(target.user_id, target.login) for _, target in envelope.local_targets()),
        bool(envelope.remote_addresses()),
        content,
    )
    opinion = envelope.opinion = await examine(facts)
    count_for_report(facts, opinion)
    if opinion.refusal is not None:
        raise MessageRefused(opinion.refusal)
    junk_readers = [reader.user_id for reader in facts.readers if opinion.is_junk(reader.user_id)]
    if junk_readers:
        envelope.junk_ids = await store.read(junk_mailboxes, junk_readers)
    _keep_junk_here(envelope, opinion)


def _keep_junk_here(envelope: Envelope, opinion: Opinion) -> None:
    """Who sends junk on is taken for its source. It stays in the Junk of whoever reads here; where nobody does, an
    administrator decides, or (when that is so for all recipients) it is refused: then its sender knows."""
    wanted: set[str] = set()
    kept: set[str] = set()
    held: set[str] = set()
    for recipient in envelope.recipients:
        local, remote = recipient.resolution.local, recipient.resolution.remote
        readers: list[int | None] = [target.user_id for target in local]
        if not all(opinion.is_junk(reader) for reader in readers or [None]):
            wanted.update(remote)
        elif local:
            kept.update(remote)
        else:
            held.update(remote)
    envelope.kept_back = frozenset(kept - wanted)
    envelope.junk_held = frozenset(held - wanted - kept)
    if envelope.junk_held and not wanted and not any(r.resolution.local for r in envelope.recipients):
        raise MessageRefused(JUNK_NOT_SENT_ON)


def junk_mailboxes(user_ids: list[int]) -> dict[int, int]:
    """By user; who has removed theirs is not there, and gets it in INBOX."""
    rows = Mailbox.objects.filter(owner_id__in=user_ids, special_use="\\Junk").order_by("-pk")
    return dict(rows.values_list("owner_id", "id"))


def without_forged_results(content: bytes) -> bytes:
    """RFC 8601 section 5: nobody but us says what we have found out. Fields whose author cannot be told go, too."""
    end = header_end(content)
    header = content[:end]
    if _FIELD not in header.lower():
        return content
    return without_fields(header, _FIELD, _claims_to_be_ours) + content[end:]


def _claims_to_be_ours(value: bytes) -> bool:
    return parse_results(value).authserv_id.lower() in ("", settings.HOSTNAME.lower())


def verdict(opinion: Opinion | None, trace_id: str) -> Verdict | None:
    """For the message's row."""
    return None if opinion is None else Verdict(trace_id, opinion.score(), opinion.as_data())


def junk_readers(verdict: Verdict, user_ids: list[int]) -> list[int]:
    """Those of the users for whom a message with this verdict is junk; `Opinion.is_junk` for what was stored."""
    reasons = verdict.data["reasons"]
    scores = {
        user_id: sum(reason["weight"] for reason in reasons if reason.get("user") in (None, user_id))
        for user_id in user_ids
    }
    return [user_id for user_id, score in scores.items() if round(score, 2) >= settings.JUNK_SCORE]


def checked_event(envelope: Envelope) -> Event | None:
    """The step of the trace; None for what was not checked."""
    if envelope.opinion is None:
        return None
    return Event(
        envelope.trace_id,
        Step.CHECKED,
        sender=envelope.reverse_path,
        recipient=envelope.some_recipients(),
        peer=envelope.peer_address,
        detail=envelope.opinion.sentence(),
        data=envelope.opinion.as_data(),
    )
