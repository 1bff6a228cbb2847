"""One of the user's messages with its octets."""

from __future__ import annotations

from django.http import Http404

from mailservers.formats.octets import Octets
from mailservers.store.lists import OpenMessage, open_message
from mailservers.store.stored import octets_of


def open_whole(owner_id: int, mailbox_id: int, uid: int) -> tuple[OpenMessage, Octets]:
    """Raises `Http404` when it is gone or not theirs."""
    opened = open_message(owner_id, mailbox_id, uid)
    raw = octets_of(opened.row.message_id, opened.row.size) if opened else None
    if opened is None or raw is None:
        raise Http404
    return opened, raw
