"""Compose: the form, its autosave, sending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect, replace_url

from mailservers.delivery.submission import SubmissionRefused, submit
from mailservers.delivery.undo import sender_wishes, undo_until
from mailservers.formats.mime import load_parts
from mailservers.store.engine import store
from mailservers.store.errors import OverQuota
from mailservers.store.lists import OpenMessage, open_message
from mailservers.store.queries import mailbox_by_use
from webmail.access import MailRequest, identity_of, mail_view, wants_part
from webmail.compose import answering, drafts, rich
from webmail.compose.building import Person, Written, build
from webmail.compose.identities import Sender, identities, sign
from webmail.compose.letter import Letter, choose_sender
from webmail.compose.mailto import parse_mailto
from webmail.compose.opening import open_whole
from webmail.compose.people import NotAddresses, parse_people
from webmail.compose.quoting import frame_of, html_place, leave_out_quoted, quote_of
from webmail.folders.tree import folder_tree
from webmail.marking.operations import mailbox_for
from webmail.models import CannedAnswer
from webmail.reading.layout import lay_out
from webmail.reading.views import read_fields
from webmail.sending.moments import BadMoment, bounds, parse_moment, presets
from webmail.templatetags.toasts import undo_tag


@dataclass(frozen=True, slots=True)
class EditorButton:
    """`act`: what rich.mjs does."""

    act: str
    icon: str
    label: Any  # text, translated when it is shown
    keys: str = ""
    toggles: bool = True


EDITOR_BUTTONS = (
    EditorButton("bold", "bold", gettext_lazy("Bold"), "Ctrl+B"),
    EditorButton("italic", "italic", gettext_lazy("Italic"), "Ctrl+I"),
    EditorButton("underline", "underline", gettext_lazy("Underlined"), "Ctrl+U"),
    EditorButton("strike", "strikethrough", gettext_lazy("Struck out"), "Ctrl+Shift+S"),
    EditorButton("heading", "heading", gettext_lazy("Heading"), "Ctrl+Alt+2"),
    EditorButton("bulletList", "list", gettext_lazy("List"), "Ctrl+Shift+8"),
    EditorButton("orderedList", "list-ordered", gettext_lazy("Numbered list"), "Ctrl+Shift+7"),
    EditorButton("blockquote", "text-quote", gettext_lazy("Quotation"), "Ctrl+Shift+B"),
    EditorButton("link", "link", gettext_lazy("Link"), "Ctrl+K", toggles=False),
    EditorButton("picture", "image", gettext_lazy("Picture"), toggles=False),
    EditorButton("clear", "remove-formatting", gettext_lazy("Without formatting"), toggles=False),
)
SHOWN_S = 10  # for so long Undo is shown for mail that is sent later
MAX_PREFILL = 10_000  # characters of a field given in the address


@mail_view
@require_safe
def new(request: MailRequest) -> HttpResponse:
    """An empty letter, or one begun by a link (`?to=…&subject=…`, or `?mailto=` a URI of that kind)."""
    given = parse_mailto(request.GET["mailto"]) if "mailto" in request.GET else request.GET
    to, cc, bcc, subject, text = (given.get(name, "")[:MAX_PREFILL] for name in ("to", "cc", "bcc", "subject", "body"))
    own = identities(request.user)
    letter = Letter(sender=own[0].address, to=to, cc=cc, bcc=bcc, subject=subject, text=text + sign("", own[0]))
    return _page(request, letter, is_begun=False)


@mail_view
@require_safe
def reply(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    return _answer(request, mailbox_id, uid, to_all=False)


@mail_view
@require_safe
def reply_all(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    return _answer(request, mailbox_id, uid, to_all=True)


@mail_view
@require_safe
def reply_list(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """To the mailing list that the message came by."""
    return _answer(request, mailbox_id, uid, to_all=False, to_list=True)


def _answer(request: MailRequest, mailbox_id: int, uid: int, *, to_all: bool, to_list: bool = False) -> HttpResponse:
    opened, raw = open_whole(request.user.pk, mailbox_id, uid)
    fields = read_fields(raw, opened)
    own = identities(request.user)
    letter = answering.reply(opened, raw, fields, own, to_all=to_all)
    list_address = answering.list_address(answering.header_of(opened, raw))
    if to_list:
        if not list_address:
            raise Http404
        letter.to, letter.cc = list_address, ""
    link = reverse("reply-list", args=[mailbox_id, uid]) if list_address and not to_list else ""
    return _page(request, _with_rich_quote(letter, opened, own), list_link=link, is_begun=False)


def _with_rich_quote(letter: Letter, opened: OpenMessage, own: Sequence[Sender]) -> Letter:
    """For the editor: the original in its own HTML, where it has any."""
    if html_place(opened) is not None:
        letter.html = rich.from_text(sign("", choose_sender(own, letter.sender))) + rich.EMPTY_QUOTE
    return letter


@mail_view
@require_safe
def forward(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    opened, raw = open_whole(request.user.pk, mailbox_id, uid)
    own = identities(request.user)
    letter = answering.forward(opened, raw, read_fields(raw, opened), own)
    return _page(request, _with_rich_quote(letter, opened, own), is_begun=False)


@mail_view
@require_safe
def forward_whole(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    opened, _ = open_whole(request.user.pk, mailbox_id, uid)
    return _page(request, answering.forward_whole(opened, identities(request.user)), is_begun=False)


@mail_view
@require_safe
def edit_as_new(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """A message as the beginning of another."""
    return _page(request, drafts.as_new(request.user, *open_whole(request.user.pk, mailbox_id, uid)))


@mail_view
@require_safe
def draft(request: MailRequest, mailbox_id: int, uid: int) -> HttpResponse:
    """Go on with a draft."""
    box = mailbox_by_use(request.user.pk, "\\Drafts")
    if box is None or box.id != mailbox_id:
        raise Http404
    return _page(request, drafts.load(request.user, *open_whole(request.user.pk, mailbox_id, uid)))


@mail_view
@require_POST
def save(request: MailRequest) -> HttpResponse:
    """Save the draft; answers with the part of the form that changed (version, attachments, words about it)."""
    letter = Letter.from_post(request.POST)
    uploads = request.FILES.getlist("upload")
    status, note = 200, ""
    try:
        if not letter.is_blank or uploads or letter.draft_uid is not None:
            drafts.save(request.user, letter, uploads, request.FILES.getlist("picture"))
            note = f"Draft saved {timezone.localtime():%H:%M}"
    except drafts.DraftChanged:
        letter.draft_uid, letter.files, status = None, (), 409
    except drafts.TooLarge as error:
        letter.errors["files"], status = str(error), 422
    except OverQuota:
        letter.errors["files"], status = "Your mailbox is full: this draft is not saved. Delete some mail first.", 422
    if not wants_part(request):
        return redirect(_draft_address(request, letter)) if status == 200 else _page(request, letter, status)
    answer = render(request, "webmail/_draft_state.html", _context(request, letter, note, status), status=status)
    return replace_url(answer, _draft_address(request, letter)) if status == 200 and letter.draft_uid else answer


@mail_view
@require_POST
def send(request: MailRequest) -> HttpResponse:
    """Send; on refusal the form comes back with the reasons."""
    letter = Letter.from_post(request.POST)
    status = 422
    try:
        _check(letter)
        if not letter.errors:
            _send_off(request, letter)
            return _leave(request)
    except drafts.DraftChanged:
        letter.draft_uid, letter.files, status = None, (), 409
    except drafts.TooLarge as error:
        letter.errors["files"] = str(error)
    except OverQuota:
        letter.errors["send"] = "Not sent: your mailbox has no room for the copy in Sent. Delete some mail first."
    except SubmissionRefused as refusal:
        letter.errors[_field_of(letter, refusal.recipient)] = f"{refusal}."
    template = "webmail/_compose_form.html" if wants_part(request) else "webmail/compose.html"
    return render(request, template, _context(request, letter, "", status), status=status)


@mail_view
@require_POST
def discard(request: MailRequest) -> HttpResponse:
    """Throw the draft away."""
    letter = Letter.from_post(request.POST)
    if letter.draft_uid is not None:
        try:
            store.call_sync(drafts.remove_draft, request.user.pk, letter.draft_uid, keep=True)
        except drafts.DraftChanged:
            pass  # gone already, which is what was asked for
        messages.info(request, "Draft discarded.")
    return _leave(request)


# ---------------------------------------------------------------- sending


def _send_off(request: MailRequest, letter: Letter) -> None:
    """Submit, and say what happens now: with Undo while the message waits."""
    chosen = parse_moment(letter.send_at)
    undo_s = sender_wishes(request.user.pk).undo_s
    not_before = chosen or undo_until(timezone.now(), undo_s)
    trace_id = _submit(request, letter, not_before)
    if chosen is not None:
        moment = formats.date_format(timezone.localtime(chosen), "l j F, H:i")
        messages.info(request, f"Will be sent on {moment}.", extra_tags=undo_tag(trace_id, max(undo_s, SHOWN_S)))
    elif not_before is not None:
        messages.info(request, "Sending…", extra_tags=undo_tag(trace_id, undo_s))
    else:
        messages.info(request, "Message sent.")


def _check(letter: Letter) -> None:
    for name in ("to", "cc", "bcc"):
        try:
            parse_people(getattr(letter, name))
        except NotAddresses as error:
            letter.errors[name] = str(error)
    if not letter.errors and not (letter.to.strip() or letter.cc.strip() or letter.bcc.strip()):
        letter.errors["to"] = "Who is it for? Enter at least one address."
    try:
        parse_moment(letter.send_at)
    except BadMoment as error:
        letter.errors["send_at"] = str(error)


def _submit(request: MailRequest, letter: Letter, not_before: datetime | None) -> str:
    user = request.user
    leave_out_quoted(user.pk, letter)
    files = drafts.gather_files(user, letter, request.FILES.getlist("upload"))
    written = drafts.write(user, letter, files, request.FILES.getlist("picture"), for_draft=False)
    answered = letter.origin.find(user.pk) if letter.origin else []
    return submit(
        identity_of(user),
        build(written, timezone.localtime()),
        _envelope(written),
        reverse_path=written.sender.address,
        peer=request.META.get("REMOTE_ADDR", ""),
        sent_mailbox_id=store.call_sync(mailbox_for, user.pk, "\\Sent"),
        not_before=not_before,
        notify="SUCCESS,FAILURE,DELAY" if letter.wants_delivery else "",
        also=lambda tx: drafts.after_sending(tx, user.pk, letter, written, answered),
    )


def _envelope(written: Written) -> list[str]:
    everyone: list[Person] = [*written.to, *written.cc, *written.bcc]
    return list({one.address.lower(): one.address for one in everyone}.values())


def _field_of(letter: Letter, recipient: str | None) -> str:
    """The recipient field that holds the refused address."""
    if recipient:
        for name in ("to", "cc", "bcc"):
            if recipient.lower() in getattr(letter, name).lower():
                return name
    return "send"


def _leave(request: MailRequest) -> HttpResponse:
    target = reverse("home")
    return HttpResponseClientRedirect(target) if wants_part(request) else redirect(target)


# ---------------------------------------------------------------- the form


@mail_view
@require_POST
def convert(request: MailRequest) -> HttpResponse:
    """The letter's text in the other form: JSON with `text` for what came as HTML, with `html` for plain text."""
    letter = Letter.from_post(request.POST)
    if not letter.html:
        return JsonResponse({"html": rich.from_text(letter.text)})
    quote = quote_of(request.user.pk, letter.origin) if letter.origin else None
    return JsonResponse({"text": rich.to_text(letter.html, quote.text if quote else "")})


def _page(
    request: MailRequest, letter: Letter, status: int = 200, list_link: str = "", *, is_begun: bool = True
) -> HttpResponse:
    """`is_begun`: it was plain or rich before, so it stays that; else the browser's choice decides."""
    context = {**_context(request, letter, "", status), "list_link": list_link}
    if not is_begun:
        context["form"] = ""
    return render(request, "webmail/compose.html", {**context, "tree": folder_tree(request.user.pk)}, status=status)


def _context(request: MailRequest, letter: Letter, note: str, status: int) -> dict[str, Any]:
    own: Sequence[Sender] = identities(request.user)
    return {
        "letter": letter,
        "identities": own,
        "sender": choose_sender(own, letter.sender),
        "answers": CannedAnswer.objects.filter(user=request.user).order_by("name"),
        "note": note,
        "editor_buttons": EDITOR_BUTTONS,
        "form": "rich" if letter.html else "plain",
        "html": letter.html or rich.from_text(letter.text),
        **_origins(request, letter),
        "presets": presets(),
        "send_bounds": bounds(),
        "zone": timezone.get_current_timezone_name(),
        "has_conflict": status == 409,
        "limit_mb": settings.WEB_ATTACHMENTS_LIMIT // (1024 * 1024),
        "folder": None,
    }


def _origins(request: MailRequest, letter: Letter) -> dict[str, Any]:
    """Where the editor finds the quoted original and the pictures of the draft."""
    original = letter.origin.open(request.user.pk) if letter.origin and rich.EMPTY_QUOTE in letter.html else None
    box = mailbox_by_use(request.user.pk, "\\Drafts") if rich.content_ids(letter.html) else None
    draft = open_message(request.user.pk, box.id, letter.draft_uid) if box and letter.draft_uid is not None else None
    inline = lay_out(load_parts(draft.parts)).inline if draft else {}
    pictures = {
        name: reverse("message-part", args=[draft.row.mailbox_id, draft.row.uid, place.address])
        for name, place in inline.items()
        if draft is not None
    }
    return {"quote_frame": frame_of(original) if original else "", "pictures": pictures}


def _draft_address(request: MailRequest, letter: Letter) -> str:
    box = mailbox_by_use(request.user.pk, "\\Drafts")
    if box is None or letter.draft_uid is None:
        return reverse("compose")
    return reverse("compose-draft", args=[box.id, letter.draft_uid])
