"""Sending a message on as it is (RFC 5322 3.6.6): a block of Resent-* fields above it, and nothing else changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from mailservers.delivery.refusals import SubmissionRefused
from mailservers.delivery.submission import submit
from mailservers.delivery.undo import sender_wishes, undo_until
from mailservers.formats.mime import header_end
from mailservers.store.engine import store
from mailservers.store.errors import OverQuota
from webmail.access import MailRequest, identity_of, mail_view
from webmail.compose.building import Person, id_field, new_message_id, people_field
from webmail.compose.identities import identities
from webmail.compose.letter import choose_sender
from webmail.compose.opening import open_whole
from webmail.compose.people import NotAddresses, parse_people
from webmail.contacts.book import collect
from webmail.folders.tree import folder_tree
from webmail.marking.operations import mailbox_for
from webmail.templatetags.toasts import undo_tag

# Of the delivery to us (RFC 5321 4.4: who sends a message on takes it off), and blind copies.
_OURS = re.compile(rb"^(?:return-path|bcc|resent-bcc)[ \t]*:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*", re.I | re.M)


def resent(raw: bytes, sender: Person, to: Sequence[Person], date: datetime) -> bytes:
    """The message with its new block. One that was sent on before has further blocks below, as it must."""
    end = header_end(raw)
    domain = sender.address.rpartition("@")[2]
    block = (
        f"Resent-Date: {format_datetime(date)}\r\n"
        + people_field("Resent-From", [sender])
        + people_field("Resent-To", to)
        + id_field("Resent-Message-ID", [new_message_id(domain)])
    )
    return block.encode() + _OURS.sub(b"", raw[:end]) + raw[end:]


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def redirect_message(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """Whom it is for; POST sends it on."""
    opened, raw = open_whole(request.user.pk, mailbox_id, uid)
    own = identities(request.user)
    sender = choose_sender(own, request.POST.get("sender", ""))
    to, error = request.POST.get("to", ""), ""
    if request.method == "POST":
        try:
            people = parse_people(to)
            if people:
                _send_on(request, bytes(raw[: opened.row.size]), sender, people)
                return redirect("message", mailbox_id, uid)
            error = "Who is it for? Enter at least one address."
        except NotAddresses as refusal:
            error = str(refusal)
        except SubmissionRefused as refusal:
            error = f"{refusal}."
        except OverQuota:
            error = "Not sent: your mailbox has no room for the copy in Sent. Delete some mail first."
    context = {
        "tree": folder_tree(request.user.pk),
        "folder": None,
        "row": opened.row,
        "identities": own,
        "sender": sender,
        "to": to,
        "error": error,
    }
    return render(request, "webmail/redirect.html", context, status=422 if error else 200)


def _send_on(request: MailRequest, raw: bytes, sender: Person, people: Sequence[Person]) -> None:
    user_id = request.user.pk
    undo_s = sender_wishes(user_id).undo_s
    not_before = undo_until(timezone.now(), undo_s)
    trace_id = submit(
        identity_of(request.user),
        resent(raw, sender, people, timezone.localtime()),
        [one.address for one in people],
        reverse_path=sender.address,
        peer=request.META.get("REMOTE_ADDR", ""),
        sent_mailbox_id=store.call_sync(mailbox_for, user_id, "\\Sent"),
        not_before=not_before,
        also=lambda tx: collect(tx, user_id, people),
    )
    if not_before is not None:
        messages.info(request, "Sending…", extra_tags=undo_tag(trace_id, undo_s))
    else:
        messages.info(request, "Sent on.")
