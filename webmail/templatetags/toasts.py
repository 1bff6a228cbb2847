"""Messages that offer Undo: `messages.info(request, "…", extra_tags=undo_tag(trace_id, seconds))`."""

from __future__ import annotations

from django import template
from django.contrib.messages.storage.base import Message
from django.urls import reverse

register = template.Library()
_PREFIX = "undo-sending"


def undo_tag(trace_id: str, seconds: int) -> str:
    return f"{_PREFIX}:{trace_id}:{seconds}"


def _parts(message: Message) -> list[str]:
    parts = str(message.extra_tags or "").split(":")
    return parts if parts[0] == _PREFIX and len(parts) == 3 and parts[1].isalnum() else []


@register.filter
def undo_url(message: Message) -> str:
    """Where its Undo goes; "" for other messages."""
    parts = _parts(message)
    return reverse("undo-sending", args=[parts[1]]) if parts else ""


@register.filter
def undo_seconds(message: Message) -> str:
    """For how long it is shown."""
    parts = _parts(message)
    return parts[2] if parts else ""
