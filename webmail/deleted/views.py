"""The page of deleted messages: restore the chosen ones, or give them up for good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from mailservers.store.engine import store
from mailservers.store.errors import OverQuota
from mailservers.store.undeleting import PAGE, DeletedRow, deleted_page, purge, restore
from webmail.access import MailRequest, mail_view
from webmail.folders.tree import folder_tree
from webmail.listing.lines import short_date

MAX_ITEMS = 500


@dataclass(frozen=True, slots=True)
class DeletedLine:
    """One row. `days_left`: for how long it is kept at least."""

    row: DeletedRow
    who: str
    when: str
    folder: str
    days_left: int


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def deleted(request: MailRequest) -> HttpResponse:
    """What was deleted lately; POST with `action` restore or purge on every `item`, or purge-all."""
    if request.method == "POST":
        return _act(request)
    before = request.GET.get("before", "")
    rows = deleted_page(request.user.pk, int(before) if _is_number(before) else 0, PAGE + 1)
    context = {
        "tree": folder_tree(request.user.pk),
        "folder": None,
        "is_deleted_page": True,
        "lines": list(_lines(rows[:PAGE])),
        "more": rows[PAGE - 1].id if len(rows) > PAGE else 0,
        "is_first": not before,
        "days": settings.UNDELETE_DAYS,
    }
    return render(request, "webmail/deleted.html", context)


def _act(request: MailRequest) -> HttpResponse:
    owner_id = request.user.pk
    action = request.POST.get("action", "")
    items = [int(item) for item in request.POST.getlist("item")[:MAX_ITEMS] if _is_number(item)]
    if action == "purge-all":
        gone = 0
        while step := store.call_sync(purge, owner_id):
            gone += step
        messages.info(request, f"{_count(gone)} gone for good.")
    elif action not in ("restore", "purge"):
        raise Http404
    elif not items:
        messages.info(request, "Nothing is selected.")
    elif action == "purge":
        messages.info(request, f"{_count(store.call_sync(purge, owner_id, items))} gone for good.")
    else:
        try:
            messages.info(request, f"{_count(store.call_sync(restore, owner_id, items))} restored.")
        except OverQuota:
            messages.error(request, "Your mailbox has no room for these messages. Nothing was restored.")
    return redirect("deleted")


def _lines(rows: list[DeletedRow]) -> Iterator[DeletedLine]:
    now = timezone.now()
    for row in rows:
        left = row.deleted_at + timedelta(days=settings.UNDELETE_DAYS) - now
        yield DeletedLine(
            row,
            row.from_name or row.from_address or "(unknown sender)",
            short_date(row.deleted_at),
            "Inbox" if row.mailbox_name == "INBOX" else row.mailbox_name,
            max(0, min(left.days, settings.UNDELETE_DAYS)),
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _count(number: int) -> str:
    return f"{number} message{'' if number == 1 else 's'}"
