"""`manage.py queue …`: mail that waits to be sent, as the console shows it: list, show, and what can be done to it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.api.sending import QueuedOut
from accounts.management.accounts_command import AccountsCommand
from accounts.services import COMMAND_LINE, names
from accounts.services.queue import MAX_IDS, Act, act
from mailservers.models import DeliveryEvent, QueuedRecipient, RecipientState
from mailservers.outbound.queue import SCHEDULED, QueueFilter, QueueRow, list_queue, queue_totals
from mailservers.store.engine import store

STATES = (SCHEDULED, RecipientState.QUEUED.value, RecipientState.DEFERRED.value, RecipientState.HELD.value)
HELP = {
    Act.RETRY: "try them at once; held ones too",
    Act.HOLD: "keep them until they are released",
    Act.RELEASE: "let held ones go",
    Act.REROUTE: "send them by another host",
    Act.REMOVE: "take them out without a word to their senders",
    Act.BOUNCE: "take them out, with a bounce to their senders",
}


class Command(AccountsCommand):
    help = "The queue of mail that waits to be sent: look at it and act on it."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(metavar="ACTION", required=True)
        one = actions.add_parser("list", help="what waits, the newest first")
        self.json_argument(one)
        _add_filters(one)
        one.add_argument("--ids", action="store_true", help="only the numbers, for other commands")
        one.set_defaults(act=self.list_waiting)

        one = actions.add_parser("show", help="one recipient, and all that has happened to the message")
        one.add_argument("id", type=int, metavar="ID")
        one.set_defaults(act=self.show)

        for what in Act:
            one = actions.add_parser(what, help=HELP[what])
            one.add_argument("ids", metavar="ID", nargs="*", type=int, help="as `queue list` shows them")
            _add_filters(one)
            one.add_argument("--all", action="store_true", help="everything that waits")
            if what is Act.REROUTE:
                one.add_argument("--via", default="", metavar="HOST[:PORT]", help="left out: the ordinary way again")
            one.set_defaults(act=partial(self.carry_out, what))

    def list_waiting(self, ids: bool, as_json: bool, **options: Any) -> None:
        rows = every(_filter(options))
        if as_json:
            self.write_json(QueuedOut, rows)
            return
        if ids:
            for row in rows:
                self.stdout.write(str(row.id))
            return
        self.table(("ID", "STATE", "TRIED", "NEXT", "SIZE", "FROM", "TO", "LAST REPLY"), [_cells(row) for row in rows])
        totals = queue_totals()
        self.stdout.write(f"{totals.waiting} recipients wait, {totals.deferred} deferred, {totals.held} held.")

    def show(self, id: int, **_: Any) -> None:
        row = QueuedRecipient.objects.filter(pk=id).select_related("queued__message").first()
        if row is None:
            raise CommandError(f"There is no {id} in the queue.")
        queued = row.queued
        self.stdout.write(f"{row.address} ({row.state}) from {queued.reverse_path or '<>'}: {queued.message.subject}")
        if row.route:
            self.stdout.write(f"By way of {row.route}")
        for event in DeliveryEvent.objects.filter(trace_id=queued.trace_id).order_by("pk")[:500]:
            peer = f" {event.peer}" if event.peer else ""
            self.stdout.write(f"{_moment(event.at)}  {event.step:9}  {event.recipient}{peer}: {event.detail}")

    def carry_out(self, what: Act, ids: list[int], all: bool, via: str = "", **options: Any) -> None:
        wanted = _filter(options)
        if not ids and wanted == QueueFilter() and not all:
            raise CommandError("Say which: numbers, a filter, or --all.")
        chosen = ids or [row.id for row in every(wanted)]
        done = in_flight = 0
        for start in range(0, len(chosen), MAX_IDS):
            acted = store.call_sync(act, what, chosen[start : start + MAX_IDS], actor=COMMAND_LINE, target=via)
            done, in_flight = done + acted.done, in_flight + acted.in_flight
        left = f"; {in_flight} are being tried right now and were left alone" if in_flight else ""
        self.stdout.write(f"{what}: {done} recipient{'' if done == 1 else 's'}{left}.")


def _add_filters(parser: CommandParser) -> None:
    parser.add_argument("--state", choices=STATES, default="")
    parser.add_argument("--domain", default="", metavar="DOMAIN", help="of the recipients")
    parser.add_argument("--sender", default="", metavar="WORDS", help="part of the sender's address")
    parser.add_argument("--older", type=int, default=0, metavar="HOURS", help="accepted at least so long ago")
    parser.add_argument("--text", default="", metavar="WORDS", help="in an address, the subject, or the last reply")


def _filter(options: dict[str, Any]) -> QueueFilter:
    return QueueFilter(options["state"], options["domain"], options["sender"], options["older"] * 3600, options["text"])


def every(wanted: QueueFilter) -> Iterator[QueueRow]:
    """All pages."""
    before: int | None = None
    while rows := list_queue(wanted, before=before, limit=500):
        yield from rows
        before = rows[-1].id


def _cells(row: QueueRow) -> tuple[str, ...]:
    state = "trying" if row.is_in_progress else SCHEDULED if row.is_scheduled else row.state
    return (
        str(row.id),
        state,
        str(row.attempts),
        "-" if row.state == RecipientState.HELD else _moment(row.next_attempt),
        names.format_octets(row.size),
        row.sender or "<>",
        row.recipient,
        row.last_reply[:70].replace("\n", " ") or "-",
    )


def _moment(moment: Any) -> str:
    return f"{timezone.localtime(moment):%m-%d %H:%M}"
