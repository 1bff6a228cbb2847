"""Undo, the tracker with its acts, and the page of sending options."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from accounts.services.sending import set_sending_wishes
from mailservers.delivery.refusals import SubmissionRefused
from mailservers.delivery.undo import MAX_UNDO_S, sender_wishes
from mailservers.formats.addresses import InvalidAddress, format_mailbox_address
from mailservers.formats.mailbox_address import parse_mailbox_address
from mailservers.outbound.acts import cancel_own, send_own_now
from mailservers.outbound.correcting import correct_address
from mailservers.outbound.holding import TooLate, undo
from mailservers.outbound.tracking import Tracked, is_over, track
from mailservers.store.content import read_message
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.lists import OpenMessage, open_message, places_of_message_id
from mailservers.store.transaction import Transaction
from webmail.access import MailRequest, identity_of, mail_view, wants_part
from webmail.compose.identities import identities
from webmail.folders.tree import folder_tree
from webmail.marking.operations import mailbox_for
from webmail.sending.words import line_of, summary

UNDO_CHOICES = (0, 5, 10, 20, 30, 60, 120)  # seconds


@mail_view
@require_POST
def undo_sending(request: MailRequest, trace_id: str) -> HttpResponse:
    """Take a message back: it opens as a draft again, or it is said why that is too late."""
    user = request.user

    def operation(tx: Transaction) -> tuple[int, int]:
        drafts_id = mailbox_for(tx, user.pk, "\\Drafts")
        return drafts_id, undo(tx, user.pk, trace_id, drafts_id, user.login)

    try:
        place = store.call_sync(operation)
    except TooLate as error:
        text = f"Too late to undo: {error}."
        if wants_part(request):
            return render(request, "parts/toast_oob.html", {"text": text, "level": "error"})
        messages.error(request, text)
        return redirect("home")
    messages.info(request, "Not sent: here it is again.")
    target = reverse("compose-draft", args=place)
    return HttpResponseClientRedirect(target) if wants_part(request) else redirect(target)


# ---------------------------------------------------------------- the tracker


def tracker_context(user: User, message_id: str) -> dict[str, Any]:
    """What `webmail/_tracker.html` needs; without lines when the user has sent no such message from here.

    By its Message-ID: a message leaves the Outbox while somebody looks at what becomes of it."""
    tracked = track(user.pk, message_id)
    return {
        "tracked": [line_of(one) for one in tracked],
        "tracked_summary": summary(tracked),
        "tracked_id": message_id,
        "tracked_is_over": is_over(tracked),
    }


@mail_view
@require_safe
def tracker(request: MailRequest) -> HttpResponse:
    """`?id=` the Message-ID."""
    return _tracker(request, request.GET.get("id", ""))


@mail_view
@require_POST
def tracker_act(request: MailRequest) -> HttpResponse:
    """`action` "cancel", "now" or "correct" on the recipient `key` of the message `id`, with the new `address`."""
    message_id = request.POST.get("id", "")
    tracked = {f"{one.trace_id} {one.address}": one for one in track(request.user.pk, message_id)}
    one = tracked.get(request.POST.get("key", ""))
    act = ACTS.get(request.POST.get("action", ""))
    if one is None or act is None:
        raise Http404
    note, level = "", "error"
    try:
        note, level = act(request, message_id, one), "info"
    except (StoreError, SubmissionRefused) as error:
        note = f"{str(error)[:1].upper()}{str(error)[1:]}."
    if not wants_part(request):
        messages.add_message(request, messages.ERROR if level == "error" else messages.INFO, note)
        place = next(iter(places_of_message_id(request.user.pk, message_id)), None)
        return redirect("message", *place) if place is not None else redirect("home")
    return _tracker(request, message_id, note, level)


def _cancel(request: MailRequest, message_id: str, one: Tracked) -> str:
    acted = store.call_sync(cancel_own, request.user.pk, [one.recipient_id], request.user.login)
    if not acted.done:
        raise TooLate(f"too late: it has gone to {one.address}, or is being sent there right now")
    return f"{one.address} will not get it."


def _now(request: MailRequest, message_id: str, one: Tracked) -> str:
    acted = store.call_sync(send_own_now, request.user.pk, [one.recipient_id], request.user.login)
    return f"Trying {one.address} now." if acted.done else "It is being tried, or was tried a moment ago."


def _correct(request: MailRequest, message_id: str, one: Tracked) -> str:
    typed = request.POST.get("address", "").strip()
    try:
        address = format_mailbox_address(*parse_mailbox_address(typed))
    except InvalidAddress as error:
        raise SubmissionRefused(f"“{typed}” is not an e-mail address ({error})") from None
    if address.lower() == one.address.lower():
        raise SubmissionRefused("That is the address it was sent to")
    opened, raw = _own_copy(request.user, message_id)
    own = {person.address.lower(): person.address for person in identities(request.user)}
    correct_address(
        identity_of(request.user),
        raw,
        one,
        address,
        peer=request.META.get("REMOTE_ADDR", ""),
        reverse_path=own.get(opened.row.from_address.lower(), request.user.login),
    )
    return f"Sent to {address}."


ACTS = {"cancel": _cancel, "now": _now, "correct": _correct}


def _tracker(request: MailRequest, message_id: str, note: str = "", level: str = "info") -> HttpResponse:
    context = {**tracker_context(request.user, message_id), "tracker_note": note, "tracker_level": level}
    if not context["tracked"]:
        raise Http404
    return render(request, "webmail/_tracker.html", context)


def _own_copy(user: User, message_id: str) -> tuple[OpenMessage, bytes]:
    """In whichever of the user's folders it is."""
    for place in places_of_message_id(user.pk, message_id):
        opened = open_message(user.pk, *place)
        raw = read_message(opened.row.message_id) if opened is not None else None
        if opened is not None and raw is not None:
            return opened, raw
    raise SubmissionRefused("There is no copy of the message left to be sent")


# ---------------------------------------------------------------- options


class SendingForm(forms.Form):
    undo_s = forms.TypedChoiceField(
        label="Time to undo",
        coerce=int,
        choices=[(s, "None: send at once" if not s else f"{s} seconds") for s in UNDO_CHOICES],
        help_text="Mail waits so long before it goes, and can be taken back.",
        widget=forms.Select(attrs={"class": "input"}),
    )
    undo_submitted = forms.BooleanField(
        label="Hold mail from my phone and other mail programs for that time, too",
        required=False,
        help_text="Meanwhile it is in the folder Outbox, in every program: delete it there, and it is not sent.",
    )
    stores_sent = forms.BooleanField(
        label="Put a copy of mail from mail programs into Sent",
        required=False,
        help_text="For programs that do not do that themselves.",
    )


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def options(request: MailRequest) -> HttpResponse:
    wishes = sender_wishes(request.user.pk)
    nearest = min(UNDO_CHOICES, key=lambda seconds: abs(seconds - min(wishes.undo_s, MAX_UNDO_S)))
    initial = {"undo_s": nearest, "undo_submitted": wishes.undo_submitted, "stores_sent": wishes.stores_sent}
    form = SendingForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        store.call_sync(set_sending_wishes, request.user.pk, **form.cleaned_data)
        messages.info(request, "Saved.")
        return redirect("sending-options")
    context = {"form": form, "tree": folder_tree(request.user.pk), "folder": None}
    return render(request, "webmail/sending_options.html", context, status=422 if form.errors else 200)
