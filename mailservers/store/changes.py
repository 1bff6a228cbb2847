"""Change hints: who is told that a mailbox has moved on, that folders changed, that an event was written.

The truth is the modseq in the database; a hint only says "look now". Within a process hints go straight to the
subscribers' callbacks on the event loop. Between processes they go over the Channels layer (POSTROOM_REDIS_URL);
without one, the hub notices that another connection has written to the database and looks itself, every
CHANGE_POLL_S seconds. A lost hint therefore costs a short delay, never an error.

Callbacks run on the event loop, must not block, and must not raise.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.conf import settings
from django.db import connection
from django.db.models import Count, Max

from accounts.models import AddressTarget, User
from mailservers.models import AclEntry, DeliveryEvent, Mailbox
from mailservers.store.event_position import EventPosition
from mailservers.store.transaction import EVERYBODY, Change, Event, Transaction

log = logging.getLogger(__name__)
GROUP = "postroom.changes"
MAX_UNDER_WAY = 2000
POLL_WITH_LAYER_S = 30.0
EVENTS_AT_ONCE = 500
LATEST = 1000  # mailboxes whose last change is remembered

OnChange = Callable[[Change], None]
OnEvent = Callable[[Event], None]
_Seen = tuple[int, str, bool, int]  # a mailbox's owner, name, is_subscribed, modseq


class ChangeHub:
    """One per process (`hub` below). Subscribe and unsubscribe on the event loop only."""

    def __init__(self) -> None:
        self._mailboxes: dict[int, set[OnChange]] = {}
        self._owners: dict[int, set[OnChange]] = {}
        self._watched: dict[int, int] = {}  # owner -> number of subscriptions, for the poll
        self._latest: OrderedDict[int, int] = OrderedDict()  # mailbox -> modseq that was announced last
        self._events: set[OnEvent] = set()
        self._seen: dict[int, _Seen] = {}  # mailbox -> what it was at the last poll
        self._seen_access: object = None
        self._position = EventPosition()
        self._origin = uuid.uuid4().hex
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._under_way: OrderedDict[tuple[str, str], Event] = OrderedDict()  # by trace and recipient

    # ------------------------------------------------------------ life

    def attach(self) -> None:
        """Begin to announce on the running loop; a second call on the same loop does nothing."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        self._position = EventPosition()
        layer = get_channel_layer()
        shared = layer is not None and not isinstance(layer, InMemoryChannelLayer)
        poll_s = max(settings.CHANGE_POLL_S, POLL_WITH_LAYER_S) if shared else settings.CHANGE_POLL_S
        self._tasks = [loop.create_task(self._poll(poll_s), name="change poll")]
        if shared:
            self._tasks.append(loop.create_task(self._listen(layer), name="change listener"))

    async def detach(self) -> None:
        """Stop announcing on this loop."""
        tasks, self._tasks, self._loop = self._tasks, [], None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------ subscribing

    def watch_mailbox(self, owner_id: int, mailbox_id: int, callback: OnChange) -> int:
        """The modseq that was announced last, 0 where that is long ago: who has read the mailbox just now and then
        begins to watch it sees whether it moved on in between."""
        self._mailboxes.setdefault(mailbox_id, set()).add(callback)
        self._watched[owner_id] = self._watched.get(owner_id, 0) + 1
        return self._latest.get(mailbox_id, 0)

    def unwatch_mailbox(self, owner_id: int, mailbox_id: int, callback: OnChange) -> None:
        _discard(self._mailboxes, mailbox_id, callback)
        self._release(owner_id)

    def watch_owner(self, owner_id: int, callback: OnChange) -> None:
        """Every change in any mailbox of the owner; `mailbox_id` 0 when the list of mailboxes changed. EVERYBODY as
        owner: changes of who may do what."""
        self._owners.setdefault(owner_id, set()).add(callback)
        self._watched[owner_id] = self._watched.get(owner_id, 0) + 1

    def unwatch_owner(self, owner_id: int, callback: OnChange) -> None:
        _discard(self._owners, owner_id, callback)
        self._release(owner_id)

    def watch_events(self, callback: OnEvent) -> None:
        self._events.add(callback)

    def unwatch_events(self, callback: OnEvent) -> None:
        self._events.discard(callback)

    def _release(self, owner_id: int) -> None:
        left = self._watched.get(owner_id, 0) - 1
        if left > 0:
            self._watched[owner_id] = left
        else:
            self._watched.pop(owner_id, None)

    # ------------------------------------------------------------ announcing

    def publish(self, tx: Transaction) -> None:
        """Announce what a committed batch did. Called from the store thread."""
        changes = [*tx.changes.values(), *(Change(owner, 0, 0) for owner in tx.folders), *tx.keys]
        if not changes and not tx.events:
            return
        layer = get_channel_layer()
        shared = layer is not None and not isinstance(layer, InMemoryChannelLayer)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._dispatch, changes, list(tx.events))
            except RuntimeError:  # closed just now
                pass
        if not shared:
            return
        message = {
            "type": "changes",
            "origin": self._origin,
            "changes": [[c.owner_id, c.mailbox_id, c.modseq] for c in changes],
            "last_event": tx.events[-1].id if tx.events else 0,
        }
        try:
            async_to_sync(layer.group_send)(GROUP, message)
        except Exception:
            log.warning("a change hint was not sent to the other processes", exc_info=True)

    def _dispatch(self, changes: Iterable[Change], events: Sequence[Event] = ()) -> None:
        """What this process wrote, or what it knows of others' mailboxes."""
        for change in changes:
            self._remember(change)
            for callback in (
                *self._mailboxes.get(change.mailbox_id, ()),
                *self._owners.get(change.owner_id, ()),
            ):
                _guarded(callback, change)
        self._tell(self._position.own(events))

    def _remember(self, change: Change) -> None:
        if change.mailbox_id:
            self._latest[change.mailbox_id] = change.modseq
            self._latest.move_to_end(change.mailbox_id)
            if len(self._latest) > LATEST:
                self._latest.popitem(last=False)

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.id:
                self._under_way.pop((event.trace_id, event.recipient), None)
            for on_event in tuple(self._events):
                _guarded(on_event, event)

    def progress(self, event: Event) -> None:
        """Tell those who watch what is being done and not done yet: nothing is stored, `event.id` is 0. On the event
        loop. Other processes are told over the Channels layer, where there is one."""
        self._note_progress(event)
        layer = get_channel_layer()
        if self._loop is None or layer is None or isinstance(layer, InMemoryChannelLayer):
            return
        message = {
            "type": "changes",
            "origin": self._origin,
            "changes": [],
            "last_event": 0,
            "progress": [event.trace_id, event.step, "ok", "", event.recipient, event.peer, event.detail],
        }
        self._telling.add(task := self._loop.create_task(_send(layer, message)))
        task.add_done_callback(self._telling.discard)

    def _note_progress(self, event: Event) -> None:
        self._under_way[event.trace_id, event.recipient] = event
        if len(self._under_way) > MAX_UNDER_WAY:
            self._under_way.popitem(last=False)
        self._tell([event])

    def under_way(self, traces: Collection[str]) -> list[Event]:
        """The last progress told of these traces, of what has not ended yet."""
        return [event for (trace_id, _), event in self._under_way.items() if trace_id in traces]

    # ------------------------------------------------------------ other processes

    async def _listen(self, layer: Any) -> None:
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                while True:
                    message = await layer.receive(channel)
                    if message.get("origin") == self._origin:
                        continue
                    self._dispatch([Change(*c) for c in message["changes"]])
                    if "progress" in message:
                        self._note_progress(Event(*message["progress"]))
                    if message["last_event"]:
                        await self._read_events()
            except asyncio.CancelledError:
                raise
            except Exception:
                log.warning("the channel layer failed; trying again", exc_info=True)
                await asyncio.sleep(1)

    async def _poll(self, every_s: float) -> None:
        from mailservers.store.engine import store  # engine imports this module

        version = None
        while True:
            try:
                if self._position.last is None:
                    self._position.begin(await store.read(_newest_event))
                await asyncio.sleep(every_s)
                newest_own = self._position.newest_own
                now = await store.call(_foreign_writes)
                if now is None or now != version:
                    version = now
                    await self._look()
                    await self._read_events()
                else:
                    self._position.pass_own(newest_own)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.warning("looking for changes of other processes failed", exc_info=True)
                await asyncio.sleep(every_s)

    async def _look(self) -> None:
        from mailservers.store.engine import store

        owners = list(self._watched)
        seen: dict[int, _Seen] = {}
        for start in range(0, len(owners), 500):
            for mailbox_id, *state in await store.read(_mailbox_states, owners[start : start + 500]):
                owner_id, name, is_subscribed, modseq = seen[mailbox_id] = tuple(state)
                before = self._seen.get(mailbox_id)
                if before is None or before[:3] != (owner_id, name, is_subscribed):
                    self._dispatch([Change(owner_id, 0, 0)])
                if before is None or before[3] != modseq:
                    self._dispatch([Change(owner_id, mailbox_id, modseq)])
        for mailbox_id, (owner_id, _, _, modseq) in self._seen.items():
            if mailbox_id not in seen and owner_id in owners:
                self._dispatch([Change(owner_id, 0, 0), Change(owner_id, mailbox_id, modseq + 1)])
        self._seen = seen
        if EVERYBODY in self._owners:
            access = await store.read(_access_state)
            if access != self._seen_access:
                self._seen_access = access
                self._dispatch([Change(EVERYBODY, 0, 0)])

    async def _read_events(self) -> None:
        from mailservers.store.engine import store

        position = self._position
        if not self._events or position.last is None:  # nobody wants to know what there was before
            position.begin(await store.read(_newest_event))
            return
        is_full = True
        while is_full and self._position is position:
            found = await store.read(_events_after, position.last, position.gaps)
            is_full = len(found) >= EVENTS_AT_ONCE
            self._tell(position.read(found, time.monotonic()))


async def _send(layer: Any, message: dict[str, Any]) -> None:
    try:
        await layer.group_send(GROUP, message)
    except Exception:
        log.info("progress was not told to the other processes", exc_info=True)


def _foreign_writes(tx: Transaction) -> int | None:
    """A number that changes when another connection has written to the database; None: cannot tell.

    Asked on the store thread's connection, so this process's own writes do not count (SQLite data_version)."""
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        return cursor.fetchone()[0]


def _mailbox_states(owners: list[int]) -> list[tuple[Any, ...]]:
    boxes = Mailbox.objects.filter(owner_id__in=owners)
    return list(boxes.values_list("id", "owner_id", "name", "is_subscribed", "highest_modseq"))


def _access_state() -> object:
    """Differs where rights or members of groups differ: they are never changed in place."""
    newest = Max("pk")
    return (
        AclEntry.objects.aggregate(newest, Count("pk")),
        AddressTarget.objects.aggregate(newest, Count("pk")),
        User.objects.filter(is_active=True).count(),
    )


def _newest_event() -> int:
    return DeliveryEvent.objects.aggregate(newest=Max("id"))["newest"] or 0


def _events_after(last: int, gaps: list[int]) -> list[Event]:
    """Those at the gaps, and the next EVENTS_AT_ONCE, by id."""
    late = list(DeliveryEvent.objects.filter(id__in=gaps).order_by("id")) if gaps else []
    rows = DeliveryEvent.objects.filter(id__gt=last).order_by("id")[:EVENTS_AT_ONCE]
    return [
        Event(r.trace_id, r.step, r.outcome, r.sender, r.recipient, r.peer, r.detail, r.data, r.at, r.pk)
        for r in (*late, *rows)
    ]


def _discard(registry: dict[int, set[OnChange]], key: int, callback: OnChange) -> None:
    callbacks = registry.get(key)
    if callbacks is not None:
        callbacks.discard(callback)
        if not callbacks:
            del registry[key]


def _guarded(callback: Callable[[Any], None], value: Any) -> None:
    try:
        callback(value)
    except Exception:
        log.exception("a subscriber failed")


hub = ChangeHub()
