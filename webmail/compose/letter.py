"""What the compose form holds, from whichever side it comes: a request, a draft, a message to answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.http import QueryDict

from mailservers.formats.html_text import html_to_text
from mailservers.store.lists import OpenMessage, open_message, places_of_message_id
from webmail.compose import rich
from webmail.compose.identities import Sender
from webmail.reading.html import TooComplex

MAX_TEXT = 2_000_000  # characters
WHOLE = "whole"  # instead of a part's address: the message itself
PRIORITIES = ("", "high", "low")
_ORIGIN = re.compile(r"(reply|forward) (\d{1,15}) (\d{1,15})(?: (<[^<>\s]{1,900}>))?\Z")
_CARRIED = re.compile(r"(\d{1,15})-(\d{1,15})-(whole|[0-9.]{1,200})\Z")


@dataclass(frozen=True, slots=True)
class Origin:
    """The message that is answered or forwarded: where it was, and its Message-ID in case it was moved."""

    kind: str  # "reply" or "forward"
    mailbox_id: int
    uid: int
    message_id: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.mailbox_id} {self.uid} {self.message_id}".rstrip()

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        match = _ORIGIN.match(text.strip())
        return cls(match[1], int(match[2]), int(match[3]), match[4] or "") if match else None

    def find(self, owner_id: int) -> list[tuple[int, int]]:
        """(mailbox id, UID) of the message, or of its copies when it is no longer where it was."""
        if open_message(owner_id, self.mailbox_id, self.uid) is not None:
            return [(self.mailbox_id, self.uid)]
        return places_of_message_id(owner_id, self.message_id)

    def open(self, owner_id: int) -> OpenMessage | None:
        return next((open_message(owner_id, *place) for place in self.find(owner_id)), None)


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """An attachment that lies in a stored message: in the draft, or in the message that is forwarded."""

    mailbox_id: int
    uid: int
    address: str
    name: str = ""
    size: int = 0

    def __str__(self) -> str:
        return f"{self.mailbox_id}-{self.uid}-{self.address}"

    @classmethod
    def parse(cls, text: str) -> CarriedFile | None:
        match = _CARRIED.match(text)
        return cls(int(match[1]), int(match[2]), match[3]) if match else None


@dataclass(slots=True)
class Letter:
    """Recipient fields are as typed. `draft_uid`: in the Drafts mailbox; None before the first save."""

    sender: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""  # cleaned; "" when it is written in plain text
    send_at: str = ""  # a local date and time as typed; "": at once
    priority: str = ""  # one of PRIORITIES
    wants_receipt: bool = False  # that it was read (RFC 8098)
    wants_delivery: bool = False  # that it was delivered (RFC 3461)
    draft_uid: int | None = None
    origin: Origin | None = None
    files: Sequence[CarriedFile] = ()
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_post(cls, post: QueryDict) -> Letter:
        draft, priority = post.get("draft", ""), post.get("priority", "")
        html = _written_html(post.get("html", ""))
        carried = (CarriedFile.parse(text) for text in post.getlist("file")[:500])
        return cls(
            sender=post.get("sender", ""),
            to=post.get("to", ""),
            cc=post.get("cc", ""),
            bcc=post.get("bcc", ""),
            subject=post.get("subject", ""),
            text=rich.to_text(html) if html else post.get("text", "")[:MAX_TEXT],
            html=html,
            send_at=post.get("when", "") if post.get("send") == "later" else post.get("send_at", ""),
            priority=priority if priority in PRIORITIES else "",
            wants_receipt=post.get("receipt") == "yes",
            wants_delivery=post.get("delivery") == "yes",
            draft_uid=int(draft) if draft.isascii() and draft.isdecimal() and len(draft) < 16 else None,
            origin=Origin.parse(post.get("origin", "")),
            files=[one for one in carried if one is not None],
        )

    @property
    def is_blank(self) -> bool:
        has_content = self.text.strip() or self.files or "<img" in self.html
        return not (self.to or self.cc or self.bcc or self.subject or has_content)


def _written_html(source: str) -> str:
    """What is too large or too deeply nested to be cleaned comes as its text."""
    source = source[:MAX_TEXT]
    try:
        return rich.clean_written(source)
    except TooComplex:
        return rich.from_text(html_to_text(source)) if source else ""


def choose_sender(own: Sequence[Sender], wanted: str) -> Sender:
    """The identity with that address, else the first."""
    return next((one for one in own if one.address.lower() == wanted.lower()), own[0])
