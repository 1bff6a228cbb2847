"""A message by its place in an address, or 404."""

from __future__ import annotations

from django.http import Http404

from mailservers.formats.octets import Octets
from mailservers.store import lists
from mailservers.store.stored import octets_of
from webmail.access import MailRequest


def open_or_404(request: MailRequest, mailbox_id: int, uid: int) -> lists.OpenMessage:
    opened = lists.open_message(request.user.pk, mailbox_id, uid)
    if opened is None:
        raise Http404
    return opened


def raw_or_404(opened: lists.OpenMessage) -> Octets:
    raw = octets_of(opened.row.message_id, opened.row.size)
    if raw is None:  # expunged between the two reads
        raise Http404
    return raw
