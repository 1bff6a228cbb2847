"""Pages of the address book, and what the compose form asks of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mailservers.store.engine import store
from mailservers.store.transaction import Transaction
from webmail.access import MailRequest, mail_view
from webmail.compose.people import as_text
from webmail.contacts import book
from webmail.contacts.completion import check_typed, complete, listed_colleagues, members_of
from webmail.contacts.vcard import VERSIONS, Card, NotVCards, read_cards, write_cards
from webmail.folders.tree import folder_tree
from webmail.models import Contact, ContactGroup, ListedUser

PAGE = 100
MAX_IMPORT_OCTETS = 20 * 1024 * 1024
MAX_CHECKED = 200


@mail_view
@require_safe
def contacts(request: MailRequest) -> HttpResponse:
    """People, with `?q=` those in whom all its words are, with `?group=` those in that group."""
    user = request.user
    people = Contact.objects.filter(user=user).prefetch_related("addresses").order_by("name", "pk")
    query = request.GET.get("q", "").replace("\0", "")[:200]
    for word in query.casefold().split():
        people = people.filter(search__contains=word)
    group = None
    if number := request.GET.get("group", ""):
        group = get_object_or_404(ContactGroup, user=user, pk=_number(number))
        people = people.filter(groups=group)
    page = Paginator(people, PAGE).get_page(request.GET.get("page"))
    return _render(
        request,
        "contacts",
        page=page,
        people=[(one, next((row.address for row in one.addresses.all()), "")) for one in page],
        query=query,
        group=group,
        group_line=as_text(members_of(group)) if group else "",
        groups=ContactGroup.objects.filter(user=user).annotate(size=Count("members")).order_by("name"),
        colleagues=listed_colleagues(user) if not query and not group else [],
        is_listed=ListedUser.objects.filter(user=user).exists(),
        versions=VERSIONS,
    )


def _number(text: str) -> int:
    """An id as sent by a form; 0, which is nobody's, when it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _render(request: MailRequest, page_name: str, status: int = 200, **context: Any) -> HttpResponse:
    shell = {"tree": folder_tree(request.user.pk), "folder": None, "is_contacts_page": True}
    return render(request, f"webmail/{page_name}.html", {**shell, **context}, status=status)


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def contact(request: MailRequest, contact_id: int | None = None) -> HttpResponse:
    """Make or change a person (`?email=`, `?name=` begin a new one)."""
    user = request.user
    known = get_object_or_404(Contact, user=user, pk=contact_id) if contact_id is not None else None
    error = ""
    if request.method == "POST":
        card = _typed(request)
        try:
            store.call_sync(book.save_contact, user.pk, card, contact_id)
            messages.info(request, "Saved.")
            return redirect("contacts")
        except book.Refused as refusal:
            error = _sentence(refusal)
    elif known is not None:
        card = book.as_card(known)
        card.name = known.name
    else:
        email, name = request.GET.get("email", "")[:320], request.GET.get("name", "")[:200]
        card = Card(name=name, addresses=[email] if email else [])
    lines = {"addresses": "\n".join(card.addresses), "phones": "\n".join(card.phones)}
    return _render(request, "contact", 422 if error else 200, card=card, known=known, error=error, **lines)


def _typed(request: MailRequest) -> Card:
    post = request.POST
    return Card(
        name=post.get("name", ""),
        organisation=post.get("organisation", ""),
        addresses=[line.strip() for line in post.get("addresses", "")[:20_000].splitlines() if line.strip()],
        phones=[line.strip() for line in post.get("phones", "")[:20_000].splitlines() if line.strip()],
        note=post.get("note", ""),
    )


def _sentence(refusal: Exception) -> str:
    text = str(refusal)
    return f"{text[:1].upper()}{text[1:]}."


@mail_view
@require_POST
def act(request: MailRequest) -> HttpResponse:
    """`action` on the people `item`: delete, add to or take from `group`."""
    user_id = request.user.pk
    ids = [_number(one) for one in request.POST.getlist("item")[:1000]]
    action = request.POST.get("action", "")
    if action == "delete":
        count = store.call_sync(book.delete_contacts, user_id, ids)
        messages.info(request, f"{count} {'person' if count == 1 else 'people'} deleted.")
    elif action == "merge":
        try:
            store.call_sync(book.merge, user_id, ids)
            messages.info(request, "Merged into one.")
        except book.Refused as refusal:
            messages.error(request, _sentence(refusal))
        return redirect("contact-doubles")
    elif action == "list":
        store.call_sync(_set_listed, user_id, request.POST.get("is_listed") == "yes")
        messages.info(request, "Saved.")
    else:
        raise Http404
    return redirect("contacts")


def _set_listed(tx: Transaction, user_id: int, is_listed: bool) -> None:
    if is_listed:
        ListedUser.objects.get_or_create(user_id=user_id)
    else:
        ListedUser.objects.filter(user_id=user_id).delete()


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def group(request: MailRequest, group_id: int | None = None) -> HttpResponse:
    """Make, change or (POST `action` delete) delete a group."""
    user = request.user
    known = get_object_or_404(ContactGroup, user=user, pk=group_id) if group_id is not None else None
    members = set(known.members.values_list("pk", flat=True)) if known else set()
    name, error = known.name if known else "", ""
    if request.method == "POST":
        if known and request.POST.get("action") == "delete":
            store.call_sync(book.delete_group, user.pk, known.pk)
            messages.info(request, f"The group “{known.name}” is deleted; its people are still here.")
            return redirect("contacts")
        name = request.POST.get("name", "")
        members = {_number(one) for one in request.POST.getlist("member")}
        try:
            store.call_sync(book.save_group, user.pk, name, sorted(members), group_id)
            messages.info(request, "Saved.")
            return redirect("contacts")
        except book.Refused as refusal:
            error = _sentence(refusal)
    people = Contact.objects.filter(user=user).prefetch_related("addresses").order_by("name", "pk")
    shown = [(one, one.pk in members) for one in people]
    return _render(request, "contact_group", 422 if error else 200, known=known, name=name, people=shown, error=error)


@mail_view
@require_safe
def doubles(request: MailRequest) -> HttpResponse:
    """Sets of people who may be one."""
    return _render(request, "contact_doubles", sets=book.find_doubles(request.user.pk)[:200])


# ---------------------------------------------------------------- vCards


@mail_view
@require_POST
def import_file(request: MailRequest) -> HttpResponse:
    """A file of vCards."""
    upload = request.FILES.get("file")
    if upload is None or (upload.size or 0) > MAX_IMPORT_OCTETS:
        limit = MAX_IMPORT_OCTETS // (1024 * 1024)
        messages.error(request, f"Choose a vCard file (.vcf) of at most {limit} MB.")
        return redirect("contacts")
    try:
        cards = read_cards(upload.read().decode("utf-8", "replace"))
    except NotVCards as error:
        messages.error(request, str(error))
        return redirect("contacts")
    added, changed = _import(request.user.pk, cards)
    messages.info(request, f"{added} new, {changed} replaced, {len(cards)} read.")
    return redirect("contacts")


def _import(user_id: int, cards: list[Card]) -> tuple[int, int]:
    people = [card for card in cards if not card.is_group]
    added = changed = 0
    for at in range(0, len(people), book.IMPORT_STEP):
        new, old = store.call_sync(book.import_people, user_id, people[at : at + book.IMPORT_STEP])
        added, changed = added + new, changed + old
    for card in cards:
        if card.is_group and card.name:
            store.call_sync(book.import_group, user_id, card)
    return added, changed


@mail_view
@require_safe
def export_file(request: MailRequest) -> HttpResponse:
    """All people and groups, or with `?contact=` one person; `?version=` 3.0 or 4.0."""
    version = request.GET.get("version", "4.0")
    if version not in VERSIONS:
        raise Http404
    user = request.user
    people = Contact.objects.filter(user=user).prefetch_related("addresses").order_by("name", "pk")
    groups = ContactGroup.objects.filter(user=user).prefetch_related("members").order_by("name")
    name = "contacts"
    if number := request.GET.get("contact", ""):
        one = get_object_or_404(Contact, user=user, pk=_number(number))
        people, groups, name = people.filter(pk=one.pk), groups.none(), slugify(one.name) or "contact"
    cards = [book.as_card(one) for one in people]
    cards += [
        Card(uid=f"group-{one.pk}", name=one.name, is_group=True, members=[each.uid for each in one.members.all()])
        for one in groups
    ]
    response = HttpResponse(write_cards(cards, version), content_type="text/vcard; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.vcf"'
    return response


# ---------------------------------------------------------------- for the compose form


@mail_view
@require_safe
def completions(request: MailRequest) -> HttpResponse:
    found = complete(request.user, request.GET.get("q", ""))
    return JsonResponse(
        {"found": [{"name": one.name, "detail": one.detail, "value": one.value, "kind": one.kind} for one in found]}
    )


@mail_view
@require_POST
def check(request: MailRequest) -> HttpResponse:
    """What is odd about each `a`, in their order."""
    return JsonResponse({"checked": check_typed(one[:1000] for one in request.POST.getlist("a")[:MAX_CHECKED])})
