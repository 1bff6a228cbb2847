"""Who got the text of a message first: noted in memory when it is read, written a few times a minute as a step of the
message's trace, so that reading costs no write and no query. Once for each message and owner.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mailservers.models import Mailbox, Message, TraceSummary, TraceTerm
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.tracing import terms
from mailservers.store.tracing.summary import State
from mailservers.store.transaction import Event, Transaction

MAX_WAITING = 5000  # what is read beyond is not noted: somebody fetches a whole mailbox
MAX_REMEMBERED = 50_000
AFTER_S = 10.0  # its delivery has been summed up by then
AT_ONCE = 200
MAX_TRACES = 20  # of one Message-ID


class Place(NamedTuple):
    mailbox_id: int
    message_id: int  # of the row


class Opener(NamedTuple):
    login: str  # "" for the owner
    protocol: str  # as people know it
    client: str  # what the program calls itself
    address: str


class OpeningBook:
    """One per process."""

    def __init__(self) -> None:
        self._waiting: dict[Place, tuple[Opener, float]] = {}
        self._known: OrderedDict[Place, None] = OrderedDict()

    def note(self, mailbox_id: int, message_ids: Iterable[int], opener: Opener) -> None:
        """These messages' texts were handed out."""
        for message_id in message_ids:
            place = Place(mailbox_id, message_id)
            if place in self._known or len(self._waiting) >= MAX_WAITING:
                continue
            self._known[place] = None
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
            self._waiting[place] = (opener, time.monotonic())

    async def write(self, after_s: float = AFTER_S) -> None:
        """What was noted more than so long ago. Raises a `StoreError`; what was in hand is lost then."""
        until = time.monotonic() - after_s
        due = {place: opener for place, (opener, at) in self._waiting.items() if at <= until}
        for place in due:
            del self._waiting[place]
        places = list(due)
        for start in range(0, len(places), AT_ONCE):
            some = {place: due[place] for place in places[start : start + AT_ONCE]}
            events = await store.read(opened_first, some)
            if events:
                await store.call(write_opened, events)

    def clear(self) -> None:
        self._waiting.clear()
        self._known.clear()


openings = OpeningBook()


def opened_first(seen: Mapping[Place, Opener]) -> list[Event]:
    """The steps to write: of messages whose trace is known, and says that they were delivered and not opened yet."""
    logins = dict(Mailbox.objects.filter(pk__in={p.mailbox_id for p in seen}).values_list("pk", "owner__login"))
    names = dict(Message.objects.filter(pk__in={p.message_id for p in seen}).values_list("pk", "message_id"))
    keys = {pk: terms.key(terms.message_id(name)) for pk, name in names.items() if name}
    found: dict[int, list[TraceSummary]] = {}
    for term in TraceTerm.objects.filter(key__in=set(keys.values())).select_related("trace").order_by("-pk")[:1000]:
        found.setdefault(term.key, []).append(term.trace)
    events = []
    for place, opener in seen.items():
        login = logins.get(place.mailbox_id, "").lower()
        for summary in found.get(keys.get(place.message_id, 0), ())[:MAX_TRACES]:
            if summary.places.get(login, ("",))[0] == State.DELIVERED:
                events.append(_event(summary, login, opener))
                break
    return events


def _event(summary: TraceSummary, login: str, opener: Opener) -> Event:
    client = f" with {opener.client}" if opener.client else ""
    who = f" by {opener.login}" if opener.login.lower() not in ("", login) else ""
    detail = f"opened over {opener.protocol}{client} [{opener.address}]{who}"
    return Event(summary.trace_id, Step.OPENED, "ok", summary.sender, login, opener.address, detail)


def write_opened(tx: Transaction, events: list[Event]) -> None:
    """Store operation. Those that another process has written meanwhile are passed over."""
    summaries = {row.trace_id: row for row in TraceSummary.objects.filter(trace_id__in={e.trace_id for e in events})}
    for event in events:
        summary = summaries.get(event.trace_id)
        if summary is None or summary.places.get(event.recipient, ("",))[0] != State.DELIVERED:
            continue
        summary.places[event.recipient][0] = State.OPENED.value
        TraceSummary.objects.filter(pk=summary.pk).update(places=summary.places)
        tx.events.append(event)
