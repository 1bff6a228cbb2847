"""Drafts are messages in the Drafts mailbox: any mail client sees them. Saving one again replaces it by a new message,
in one transaction; the UID is the version, so a draft that was saved or sent elsewhere meanwhile is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from accounts.models import User
from mailservers.formats.headers import MAX_HEADER_OCTETS, first_field
from mailservers.formats.mime import decode_body, load_parts
from mailservers.formats.octets import Octets
from mailservers.formats.text import part_source
from mailservers.models import Flag
from mailservers.store.access import access_by_id, may_change
from mailservers.store.content import NewMessage, prepare
from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.flags import FlagChange, store_flags
from mailservers.store.lists import OpenMessage, open_message
from mailservers.store.placing import Append, write_appends
from mailservers.store.queries import mailbox_by_use
from mailservers.store.removing import expunge
from mailservers.store.stored import octets_of
from mailservers.store.transaction import Transaction
from webmail.compose import rich
from webmail.compose.answering import carried_files, message_text
from webmail.compose.building import File, Person, Picture, Written, build
from webmail.compose.identities import identities, reply_to_of
from webmail.compose.letter import WHOLE, CarriedFile, Letter, Origin, choose_sender
from webmail.compose.people import NotAddresses, as_text, parse_people, people_of
from webmail.compose.quoting import html_place, leave_out_quoted, pictures_of, quote_of
from webmail.contacts.book import collect
from webmail.marking.operations import mailbox_for
from webmail.reading.html import TooComplex
from webmail.reading.layout import lay_out, part_at
from webmail.reading.parts import clean_name, content_type, file_name
from webmail.reading.views import read_fields

ORIGIN_FIELD = "X-Postroom-Origin"  # in drafts only: what is being answered
NOTIFY_FIELD = "X-Postroom-Notify"  # in drafts only: delivery is to be told
PRIORITY_FIELDS = {  # Importance is RFC 4021's and Outlook's, X-Priority everybody's
    "high": [("Importance", "high"), ("X-Priority", "1 (Highest)")],
    "low": [("Importance", "low"), ("X-Priority", "5 (Lowest)")],
}
MAX_FILES = 100


class DraftChanged(StoreError):
    """The draft was saved, sent or deleted elsewhere meanwhile."""


class TooLarge(Exception):
    """The attachments together are over the limit. The text is for the user."""


# ---------------------------------------------------------------- store operations


def replace_draft(tx: Transaction, owner_id: int, new: NewMessage, old_uid: int | None) -> tuple[int, int]:
    """Put a draft in the place of its older version; (Drafts mailbox, UID). Raises `DraftChanged`."""
    drafts_id = mailbox_for(tx, owner_id, "\\Drafts")
    if old_uid is not None:
        remove_draft(tx, owner_id, old_uid)
    flags = Flag.DRAFT | Flag.SEEN
    [placed] = write_appends(tx, [Append(owner_id, drafts_id, [(new, flags, (), None)])])
    if isinstance(placed, Exception):
        raise placed
    return drafts_id, placed[0].uid


def remove_draft(tx: Transaction, owner_id: int, uid: int, *, keep: bool = False) -> None:
    """`keep` it restorable: what the user throws away, but not versions that give way to the next.
    Raises `DraftChanged` when it is not there."""
    drafts_id = mailbox_for(tx, owner_id, "\\Drafts")
    if not expunge(tx, owner_id, drafts_id, [uid], deleted_only=False, keep=keep)[1]:
        raise DraftChanged("this draft was changed or sent elsewhere")


def after_sending(
    tx: Transaction, owner_id: int, letter: Letter, written: Written, answered: Sequence[tuple[int, int]]
) -> None:
    """In the sending transaction: the draft goes, the recipients' addresses are collected, the original is marked
    \\Answered or $Forwarded (RFC 5788)."""
    collect(tx, owner_id, [*written.to, *written.cc, *written.bcc])
    if letter.draft_uid is not None:
        remove_draft(tx, owner_id, letter.draft_uid)
    is_reply = letter.origin is not None and letter.origin.kind == "reply"
    for mailbox_id, uid in answered:
        flags, keywords = (Flag.ANSWERED.value, ()) if is_reply else (0, ("$Forwarded",))
        found = access_by_id(owner_id, mailbox_id)
        if (
            found is not None
        ):  # another's mailbox may have been closed to the sender meanwhile: the mail goes all the same
            may = may_change(found.rights)
            store_flags(tx, found.row.owner_id, mailbox_id, [uid], FlagChange.ADD, flags, keywords, may=may)


# ---------------------------------------------------------------- letters to messages and back


def save(user: User, letter: Letter, uploads: Sequence[UploadedFile], pictures: Sequence[UploadedFile] = ()) -> Letter:
    """Save a letter as a draft; the letter as it now is. Raises `DraftChanged`, `TooLarge`, `StoreError`."""
    leave_out_quoted(user.pk, letter)
    written = write(user, letter, gather_files(user, letter, uploads), pictures, for_draft=True)
    new = prepare(build(written, timezone.localtime()))
    drafts_id, uid = store.call_sync(replace_draft, user.pk, new, letter.draft_uid)
    letter.draft_uid = uid
    opened = open_message(user.pk, drafts_id, uid)
    letter.files = _attached(opened, rich.content_ids(written.html)) if opened else ()
    return letter


def _attached(opened: OpenMessage, shown: Sequence[str]) -> list[CarriedFile]:
    """Without the pictures that the HTML shows."""
    inline = lay_out(load_parts(opened.parts)).inline
    addresses = {inline[content_id].address for content_id in shown if content_id in inline}
    return [file for file in carried_files(opened) if file.address not in addresses]


def write(
    user: User, letter: Letter, files: Sequence[File], pictures: Sequence[UploadedFile] = (), *, for_draft: bool
) -> Written:
    """The message to build. For a draft, what is no address in a recipient field is left out. Raises
    `NotAddresses` otherwise."""
    origin = letter.origin.open(user.pk) if letter.origin else None
    is_reply = letter.origin is not None and letter.origin.kind == "reply"
    reply_to = letter.origin.message_id if letter.origin and is_reply else ""
    references = [*origin.references.split(), origin.message_id_field] if origin else [reply_to]
    parse = _lenient if for_draft else parse_people
    sender = choose_sender(identities(user), letter.sender)
    body = _body(user, letter, pictures, origin)
    total = sum(len(file.content) for file in [*files, *(picture.file for picture in body.pictures)])
    if total > settings.WEB_ATTACHMENTS_LIMIT:
        raise TooLarge(f"Attachments and pictures may be {settings.WEB_ATTACHMENTS_LIMIT // 2**20} MB together.")
    return Written(
        sender=sender,
        reply_to=reply_to_of(sender),
        to=parse(letter.to),
        cc=parse(letter.cc),
        bcc=parse(letter.bcc),
        subject=letter.subject,
        text=body.text,
        html=body.html,
        pictures=body.pictures,
        files=files,
        in_reply_to=reply_to,
        references=references,
        receipt_to=[sender] if letter.wants_receipt else (),
        extra=[*PRIORITY_FIELDS.get(letter.priority, ()), *(_draft_fields(letter) if for_draft else ())],
    )


@dataclass(frozen=True, slots=True)
class _Body:
    text: str
    html: str = ""
    pictures: Sequence[Picture] = ()


def _body(user: User, letter: Letter, uploads: Sequence[UploadedFile], origin: OpenMessage | None) -> _Body:
    """A plain letter's text; of a rich one the HTML with the original's in its place, and the text that says the
    same."""
    if not letter.html:
        return _Body(letter.text)
    box = mailbox_by_use(user.pk, "\\Drafts")
    draft = open_message(user.pk, box.id, letter.draft_uid) if box and letter.draft_uid is not None else None
    pictures = pictures_of(letter, uploads, [one for one in (draft, origin) if one is not None])
    has_quote = rich.EMPTY_QUOTE in letter.html and letter.origin is not None
    quote = quote_of(user.pk, letter.origin) if has_quote and letter.origin else None
    html = rich.with_quote(rich.dressed(letter.html), quote.html if quote else "")
    text = rich.to_text(letter.html, quote.text if quote else "")
    return _Body(text, html, [*pictures, *(quote.pictures if quote else ())])


def _draft_fields(letter: Letter) -> list[tuple[str, str]]:
    fields = [(ORIGIN_FIELD, str(letter.origin))] if letter.origin else []
    return [*fields, (NOTIFY_FIELD, "SUCCESS,FAILURE,DELAY")] if letter.wants_delivery else fields


def _lenient(text: str) -> list[Person]:
    people: list[Person] = []
    for piece in text.replace(";", ",").split(","):
        try:
            people += parse_people(piece)
        except NotAddresses:
            continue
    try:
        return parse_people(text)
    except NotAddresses:
        return people


def load(user: User, opened: OpenMessage, raw: Octets) -> Letter:
    """A draft, ours or another client's, as a letter."""
    return _load(user, opened, raw, is_answer=True)


def _load(user: User, opened: OpenMessage, raw: Octets, *, is_answer: bool) -> Letter:
    """`is_answer`: to what it was an answer to, if it was to anything."""
    header = raw[: min(load_parts(opened.parts).body_start, MAX_HEADER_OCTETS)]
    fields = read_fields(raw, opened)
    origin = _origin(opened, first_field(header, ORIGIN_FIELD.encode())) if is_answer else None
    sender = people_of(fields["from"])
    stored = _stored_html(opened, raw)
    html = _for_editor(user, origin, stored)
    return Letter(
        sender=sender[0].address if sender else "",
        to=as_text(people_of(fields["to"])),
        cc=as_text(people_of(fields["cc"])),
        bcc=as_text(people_of(fields["bcc"])),
        subject=opened.row.subject,
        text=message_text(opened, raw).removesuffix("\n"),
        html=html,
        priority=_priority(header),
        wants_receipt=first_field(header, b"disposition-notification-to") is not None,
        wants_delivery=first_field(header, NOTIFY_FIELD.encode()) is not None,
        draft_uid=opened.row.uid,
        origin=origin,
        files=_attached(opened, rich.content_ids(stored)),
    )


def _stored_html(opened: OpenMessage, raw: Octets) -> str:
    """Of a draft, ours or another program's, cleaned; "" when it is plain."""
    place = html_place(opened)
    try:
        return rich.clean_written(part_source(raw, place.part)).strip() if place else ""
    except TooComplex:
        return ""


def _for_editor(user: User, origin: Origin | None, html: str) -> str:
    quote = quote_of(user.pk, origin) if origin is not None and rich.QUOTE_MARK in html else None
    return rich.undressed(rich.without_quote(html, quote.html if quote else ""))


def as_new(user: User, opened: OpenMessage, raw: Octets) -> Letter:
    """A message, sent or received, as a letter that has not been written before."""
    letter = _load(user, opened, raw, is_answer=False)
    letter.draft_uid = None
    return letter


def _priority(header: bytes) -> str:
    said = (first_field(header, b"importance") or b"").strip().lower()
    number = (first_field(header, b"x-priority") or b"").strip()[:1]
    if said == b"high" or number in (b"1", b"2"):
        return "high"
    return "low" if said == b"low" or number in (b"4", b"5") else ""


def _origin(opened: OpenMessage, field: bytes | None) -> Origin | None:
    """What a draft answers: our own field says it, else (another program's, or one taken back) In-Reply-To."""
    if field is not None:
        return Origin.parse(" ".join(field.decode("utf-8", "replace").split()))
    named = opened.in_reply_to.split()
    return Origin("reply", 0, 0, named[0]) if named else None


# ---------------------------------------------------------------- attachments


def gather_files(user: User, letter: Letter, uploads: Sequence[UploadedFile]) -> list[File]:
    """The contents of what is attached already and of what has just been uploaded. Raises `TooLarge`; `DraftChanged`
    when a message that holds one of them is gone."""
    files = _carried_contents(user, letter.files)
    total = sum(len(file.content) for file in files)
    for upload in uploads:
        total += upload.size or 0
        if total > settings.WEB_ATTACHMENTS_LIMIT or len(files) >= MAX_FILES:
            break
        files.append(File(clean_name(upload.name or ""), upload.content_type or "", upload.read()))
    if total > settings.WEB_ATTACHMENTS_LIMIT:
        limit = settings.WEB_ATTACHMENTS_LIMIT // (1024 * 1024)
        raise TooLarge(f"Attachments may be {limit} MB together.")
    if len(files) > MAX_FILES or len(files) < len(letter.files) + len(uploads):
        raise TooLarge(f"A message may have {MAX_FILES} attachments.")
    return files


def _carried_contents(user: User, carried: Sequence[CarriedFile]) -> list[File]:
    opened: dict[tuple[int, int], tuple[OpenMessage, Octets]] = {}
    files = []
    for one in carried[: MAX_FILES + 1]:
        place = (one.mailbox_id, one.uid)
        if place not in opened:
            found = open_message(user.pk, *place)
            raw = octets_of(found.row.message_id, found.row.size) if found else None
            if found is None or raw is None:
                raise DraftChanged("the message that holds an attachment is gone")
            opened[place] = found, raw
        message, raw = opened[place]
        if one.address == WHOLE:
            name = clean_name(f"{message.row.subject or 'message'}.eml")
            files.append(File(name, "message/rfc822", bytes(raw[: message.row.size])))
            continue
        part = part_at(load_parts(message.parts), one.address)
        if part is None:
            raise DraftChanged("an attachment is gone")
        files.append(File(file_name(part, one.address), content_type(part), decode_body(raw, part)))
    return files
