"""`/mail/act/`: what is done to chosen messages. Works as a plain form and, with htmx, without leaving the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from mailservers.models import Flag
from mailservers.store.access import reach
from mailservers.store.engine import store
from mailservers.store.flags import FlagChange
from mailservers.store.queries import list_mailboxes
from webmail.access import MailRequest, mail_view, wants_part
from webmail.folders.tree import arrange, shown_name
from webmail.labels import is_label, keyword_of
from webmail.marking import operations
from webmail.marking.operations import Chosen, Moved

MAX_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Done:
    """What the user is told. `moved` offers Undo; `left` says that the messages are no longer where they were."""

    text: str
    moved: tuple[Moved, ...] = ()
    left: bool = False


@mail_view
@require_POST
def act(request: MailRequest) -> HttpResponse:
    """`action` on every `item` ("mailbox-uid"), or `move_to` a mailbox, or a label (`add_label`, `drop_label`: its
    keyword; `new_label`: its text, with the action "label"); `target` is the mailbox to empty."""
    action = next((one for name, one in BY_FIELD.items() if name in request.POST), None)
    action = action or ACTIONS.get(request.POST.get("action", ""))
    if action is None:
        raise Http404
    items = request.POST.getlist("item")[:MAX_ITEMS]
    done = action(request, _chosen(items)) if items or action in (_undo, _empty) else Done("Nothing is selected.")
    if not wants_part(request):
        if done.text:
            messages.info(request, done.text)
        return redirect(_next(request))
    context = {"text": done.text, "undo_url": reverse("act") if done.moved else "", "undo_fields": _undo_fields(done)}
    response = render(request, "parts/toast_oob.html", context) if done.text else HttpResponse()
    response["HX-Trigger"] = json.dumps({"mail-changed": {"left": items if done.left else []}})
    return response


def _chosen(items: list[str]) -> Chosen:
    chosen: dict[int, list[int]] = {}
    for item in items:
        mailbox_id, uid = _numbers(item, 2)
        chosen.setdefault(mailbox_id, []).append(uid)
    return chosen


def _numbers(text: str, count: int) -> list[int]:
    numbers = text.split("-")
    if len(numbers) != count or not all(n.isascii() and n.isdecimal() and len(n) < 16 for n in numbers):
        raise Http404
    return [int(n) for n in numbers]


def _next(request: MailRequest) -> str:
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return target
    return reverse("home")


def _undo_fields(done: Done) -> list[tuple[str, str]]:
    back = [("back", f"{one.mailbox_id}-{one.uid}-{one.from_mailbox_id}") for one in done.moved]
    return [("action", "undo"), *back]


def _count(number: int, what: str = "message") -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _deleted() -> str:
    return "deleted" if settings.UNDELETE_DAYS > 0 else "deleted for good"


# ---------------------------------------------------------------- the actions

Action = Callable[[MailRequest, Chosen], Done]


def _marking(change: FlagChange, flag: Flag) -> Action:
    def action(request: MailRequest, chosen: Chosen) -> Done:
        store.call_sync(operations.mark, request.user.pk, chosen, change, flag)
        return Done("")

    return action


def _moving(use: str, words: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Action:
    """To the mailbox of a special use ("" is the inbox)."""

    def action(request: MailRequest, chosen: Chosen) -> Done:
        moved = store.call_sync(operations.move_to_use, request.user.pk, chosen, use, add, remove)
        return _moved(moved, words)

    return action


def _moved(moved: list[Moved], words: str) -> Done:
    return Done(f"{_count(len(moved))} {words}.", tuple(moved), left=True)


def _move(request: MailRequest, chosen: Chosen) -> Done:
    target_id = _numbers(request.POST.get("move_to", ""), 1)[0]
    target = reach(request.user.pk, target_id, "i")
    moved = store.call_sync(operations.move_chosen, request.user.pk, chosen, target_id)
    return _moved(moved, f"moved to {shown_name(target)}")


def _labelling(change: FlagChange, field: str) -> Action:
    def action(request: MailRequest, chosen: Chosen) -> Done:
        value = request.POST.get(field, "")
        keyword = keyword_of(value) if field == "new_label" else value
        if not is_label(keyword):
            raise Http404
        store.call_sync(operations.label, request.user.pk, chosen, change, keyword)
        return Done("")

    return action


def _erase(request: MailRequest, chosen: Chosen) -> Done:
    erased = store.call_sync(operations.erase, request.user.pk, chosen)
    return Done(f"{_count(erased)} {_deleted()}.", left=True)


def _unsend(request: MailRequest, chosen: Chosen) -> Done:
    done, late = store.call_sync(operations.unsend, request.user.pk, chosen)
    text = f"{_count(done)} not sent: back in Drafts." if done else ""
    if late:
        text += f" Too late for {late}: being sent right now."
    return Done(text.strip() or "Too late: sent already.", left=done > 0 and not late)


def _send_now(request: MailRequest, chosen: Chosen) -> Done:
    tried = store.call_sync(operations.send_now, request.user.pk, chosen)
    return Done("Sending now." if tried else "Nothing to send: it is being tried, was tried a moment ago, or is held.")


def _undo(request: MailRequest, chosen: Chosen) -> Done:
    moved = [Moved(*_numbers(text, 3)) for text in request.POST.getlist("back")[:MAX_ITEMS]]
    return Done(f"{_count(store.call_sync(operations.put_back, request.user.pk, moved))} put back.")


def _empty(request: MailRequest, chosen: Chosen) -> Done:
    """Everything in Trash or Junk, for good."""
    mailbox_id = _numbers(request.POST.get("target", ""), 1)[0]
    folder = arrange(list_mailboxes(request.user.pk)).by_id(mailbox_id)
    if folder is None or folder.use not in ("trash", "junk"):
        raise Http404
    erased = store.call_sync(operations.empty, request.user.pk, mailbox_id)
    return Done(f"{_count(erased)} {_deleted()}.", left=True)


BY_FIELD: dict[str, Action] = {
    "move_to": _move,
    "add_label": _labelling(FlagChange.ADD, "add_label"),
    "drop_label": _labelling(FlagChange.REMOVE, "drop_label"),
}
ACTIONS: dict[str, Action] = {
    "label": _labelling(FlagChange.ADD, "new_label"),
    "read": _marking(FlagChange.ADD, Flag.SEEN),
    "unread": _marking(FlagChange.REMOVE, Flag.SEEN),
    "star": _marking(FlagChange.ADD, Flag.FLAGGED),
    "unstar": _marking(FlagChange.REMOVE, Flag.FLAGGED),
    "archive": _moving("\\Archive", "archived"),
    "trash": _moving("\\Trash", "moved to Trash"),
    "junk": _moving("\\Junk", "moved to Junk", add=("$Junk",), remove=("$NotJunk",)),
    "not-junk": _moving("", "moved to Inbox", add=("$NotJunk",), remove=("$Junk",)),
    "erase": _erase,
    "unsend": _unsend,
    "send-now": _send_now,
    "undo": _undo,
    "empty": _empty,
}
