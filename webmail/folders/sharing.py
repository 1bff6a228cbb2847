"""The page that shares a folder: who may do what with it (RFC 4314), for whoever has the right "a"."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mailservers.store.access import ANYONE, RIGHTS, Access, delete_entry, entries_of, reach, set_entry
from mailservers.store.engine import store
from mailservers.store.errors import MailboxProtected, StoreError
from webmail.access import MailRequest, mail_view
from webmail.folders.rights import LEVELS, WORDS, level_of, rights_in_words
from webmail.folders.tree import folder_tree, shown_name

MAX_WHO = 320


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list. `identifier` as it is stored; with "-" before it, what is taken away."""

    identifier: str
    rights: str

    @property
    def who(self) -> str:
        bare = self.identifier.removeprefix("-")
        return "Everybody here" if bare == ANYONE else bare

    @property
    def is_denial(self) -> bool:
        return self.identifier.startswith("-")

    @property
    def words(self) -> str:
        return rights_in_words(self.rights)

    @property
    def level(self) -> str:
        return level_of(self.rights)


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def sharing(request: MailRequest, mailbox_id: int) -> HttpResponse:
    """The list; POST `action` share (`who` or `everybody`, `level`, `right`s) or withdraw (`identifier`)."""
    access = reach(request.user.pk, mailbox_id, "a")
    error = ""
    if request.method == "POST":
        try:
            messages.info(request, _act(request, access))
            return redirect("folder-sharing", mailbox_id)
        except StoreError as refusal:
            if refusal.temporary:
                raise
            error = f"{str(refusal)[:1].upper()}{str(refusal)[1:]}."
    tree = folder_tree(request.user.pk)
    context = {
        "tree": tree,
        "folder": None,
        "shared_folder": tree.by_id(mailbox_id),
        "name": shown_name(access),
        "entries": [Entry(*entry) for entry in entries_of(mailbox_id)[1]],
        "levels": [(value, label) for value, (_, label) in LEVELS.items()],
        "words": [(right, WORDS[right]) for right in RIGHTS],
        "chosen": request.POST.getlist("right") or list(LEVELS["read"][0]),
        "level": request.POST.get("level", "read"),
        "who": request.POST.get("who", "")[:MAX_WHO],
        "is_everybody": "everybody" in request.POST,
        "error": error,
    }
    return render(request, "webmail/sharing.html", context, status=422 if error else 200)


def _act(request: MailRequest, access: Access) -> str:
    """What has been done, in words. Raises a `StoreError`."""
    user_id, action = request.user.pk, request.POST.get("action", "")
    if action == "withdraw":
        identifier = request.POST.get("identifier", "")[: MAX_WHO + 1]
        store.call_sync(delete_entry, user_id, access.row.name, identifier)
        return f"Not shared with {Entry(identifier, '').who} any more."
    if action != "share":
        raise Http404
    who = ANYONE if "everybody" in request.POST else request.POST.get("who", "").strip().lower()[:MAX_WHO]
    rights = _rights(request)
    if not rights:
        raise MailboxProtected("choose at least one thing they may do")
    store.call_sync(set_entry, user_id, access.row.name, who.removeprefix("-"), "=", rights)
    return f"Shared with {Entry(who, '').who}: {rights_in_words(rights).lower()}."


def _rights(request: MailRequest) -> frozenset[str]:
    level = request.POST.get("level", "")
    if level in LEVELS:
        return frozenset(LEVELS[level][0])
    return frozenset(right for right in request.POST.getlist("right") if right in WORDS)
