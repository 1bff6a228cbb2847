"""Display, storage use, and what other mail programs need to know to connect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import segno
from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import Density, Theme
from accounts.published.documents import configuration_profile
from accounts.published.offers import Offer, offers
from accounts.services.display import set_display, time_zones
from mailservers.store import lists
from mailservers.store.engine import store
from webmail.access import MailRequest, mail_view
from webmail.folders.tree import Folder, folder_tree
from webmail.listing.lines import Line, line_of

LARGEST = 25  # messages shown
PROFILE_PATH = "/mail.mobileconfig"  # of accounts.published, for devices that are signed in nowhere
PROFILE_TYPE = "application/x-apple-aspen-config"
_KINDS = {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}

# ---------------------------------------------------------------- display


class DisplayForm(forms.Form):
    theme = forms.ChoiceField(
        label="Theme", choices=Theme.choices, required=False, widget=forms.Select(attrs={"class": "input"})
    )
    density = forms.ChoiceField(
        label="Message lists", choices=Density.choices, required=False, widget=forms.Select(attrs={"class": "input"})
    )
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=lambda: [("", "As this browser has it"), *((name, name.replace("_", " ")) for name in time_zones())],
        required=False,
        widget=forms.Select(attrs={"class": "input"}),
    )


@mail_view
@require_http_methods(["GET", "HEAD", "POST"])
def display(request: MailRequest) -> HttpResponse:
    user = request.user
    initial = {"theme": user.theme, "density": user.density, "time_zone": user.time_zone}
    form = DisplayForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        store.call_sync(set_display, user.pk, **form.cleaned_data)
        messages.info(request, "Saved.")
        return redirect("display")
    return render(request, "webmail/display.html", {"form": form}, status=422 if form.errors else 200)


# ---------------------------------------------------------------- storage


@dataclass(frozen=True, slots=True)
class FolderUse:
    """`percent` of all the user's mail."""

    folder: Folder
    percent: int


def folder_uses(folders: Sequence[Folder]) -> list[FolderUse]:
    """The fullest first."""
    total = sum(folder.box.size for folder in folders) or 1
    fullest = sorted(folders, key=lambda folder: -folder.box.size)
    return [FolderUse(folder, round(100 * folder.box.size / total)) for folder in fullest]


@mail_view
@require_safe
def storage(request: MailRequest) -> HttpResponse:
    """How much each folder holds, and the largest messages."""
    tree = folder_tree(request.user.pk)
    lines: list[Line] = [
        line_of(row, tree.by_id(row.mailbox_id), show_folder=True) for row in lists.largest(request.user.pk, LARGEST)
    ]
    context = {"tree": tree, "uses": folder_uses(tree.folders), "lines": lines}
    return render(request, "webmail/storage.html", context)


# ---------------------------------------------------------------- other programs


@dataclass(frozen=True, slots=True)
class Server:
    """One row of the table."""

    offer: Offer

    @property
    def what(self) -> str:
        kind = _KINDS[self.offer.kind]
        return f"Outgoing mail ({kind})" if self.offer.kind == "smtp" else f"Incoming mail ({kind})"

    @property
    def security(self) -> str:
        return "SSL/TLS" if self.offer.is_implicit else "STARTTLS"


@mail_view
@require_safe
def connecting(request: MailRequest) -> HttpResponse:
    """Server names and ports; a QR code that opens the profile on a phone."""
    address = request.user.login
    profile = request.build_absolute_uri(f"{PROFILE_PATH}?{urlencode({'emailaddress': address})}")
    context = {
        "servers": [Server(offer) for offer in offers()],
        "qr": segno.make(profile, error="m").svg_inline(scale=4, border=2, omitsize=True, dark="#000", light="#fff"),
        "profile": profile,
    }
    return render(request, "webmail/connecting.html", context)


@mail_view
@require_safe
def profile(request: MailRequest) -> HttpResponse:
    """The configuration profile with the user's name, for this device."""
    content = configuration_profile(request.user.login, request.user.get_full_name())
    answer = HttpResponse(content, content_type=PROFILE_TYPE)
    answer["Content-Disposition"] = 'attachment; filename="mail.mobileconfig"'
    return answer
