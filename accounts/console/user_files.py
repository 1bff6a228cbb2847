"""Many users at once: a CSV file in, looked through before anything is done; and one out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django import forms
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from accounts.console.access import StaffRequest, needs, page
from accounts.roles import Permission, Scope
from accounts.services import ImportReport, import_users, names, note_one_time_link
from accounts.services.errors import AccountError
from accounts.services.importing import ImportRow
from accounts.services.user_file import UnreadableFile, UserFile, read_users, write_users
from accounts.sign_in.tokens import INVITATION_LIFETIME, make_password_link
from mailservers.store.engine import store

MAX_OCTETS = 4 * 1024 * 1024
MAX_PROBLEMS = 200  # that are shown


class ImportForm(forms.Form):
    """`text` is the file again, from the page that showed what would be done."""

    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        required=False,
        widget=forms.ClearableFileInput(attrs={"class": "input", "accept": ".csv,text/csv"}),
    )
    text = forms.CharField(required=False, max_length=MAX_OCTETS, strip=False, widget=forms.HiddenInput)
    create_domains = forms.BooleanField(label=gettext_lazy("Make domains that are missing"), required=False)
    skip_bad = forms.BooleanField(label=gettext_lazy("Import the good lines though others are bad"), required=False)

    def content(self) -> bytes:
        """Raises `UnreadableFile`."""
        file = self.cleaned_data["file"]
        if file is None:
            return self.cleaned_data["text"].encode()
        if file.size > MAX_OCTETS:
            raise UnreadableFile(_("the file is larger than %(limit)s MB") % {"limit": MAX_OCTETS // 2**20})
        return file.read()


@dataclass(frozen=True, slots=True)
class Invited:
    login: str
    link: str


@sensitive_post_parameters()
@needs(Permission.CHANGE_USERS)
def import_page(request: StaffRequest) -> HttpResponse:
    """Looked through first, then done: both with the same file."""
    form = ImportForm(request.POST or None, request.FILES or None)
    may_make = Permission.OWN_DOMAINS in request.remit.permissions
    context = {"form": form, "may_make_domains": may_make, "days": INVITATION_LIFETIME.days}
    if request.method != "POST" or not form.is_valid():
        return page(request, "users_import.html", "users", context)
    try:
        content = form.content()
        file = _within(request.remit, read_users(content))
    except UnreadableFile as error:
        return page(request, "users_import.html", "users", context | {"reason": str(error)}, 422)
    is_check = request.POST.get("action") != "import"
    report = import_users(
        file.rows,
        form.cleaned_data["create_domains"] and may_make,
        actor=request.user.login,
        skip_bad=form.cleaned_data["skip_bad"],
        invites=True,
        dry_run=is_check,
        problems=file.problems,
    )
    context |= {"report": report, "is_check": is_check, "problems": report.problems[:MAX_PROBLEMS]}
    if is_check:
        context["text"] = content.decode("utf-8-sig")
    else:
        context["invited"] = list(_invitations(request, report))
    return page(request, "users_import.html", "users", context)


def _within(scope: Scope, file: UserFile) -> UserFile:
    """Without the rows that are not this administrator's to make."""
    kept = UserFile(problems=list(file.problems))
    for row in file.rows:
        refusal = _refusal(scope, row)
        if refusal:
            kept.problems.append((row.line, refusal))
        else:
            kept.rows.append(row)
    return kept


def _refusal(scope: Scope, row: ImportRow) -> str:
    if not scope.holds_address(row.login):
        return _("%(domain)s is not one of your domains.") % {"domain": row.login.rpartition("@")[2] or row.login}
    try:
        role = names.role(row.role)
    except AccountError:
        return ""  # the import says it better
    return "" if role in scope.roles() else _("You may not give the role %(role)s.") % {"role": role}


def _invitations(request: StaffRequest, report: ImportReport) -> Iterator[Invited]:
    for user_id, login in report.invited:
        store.call_sync(note_one_time_link, user_id, sets_password=True, actor=request.user.login)
        yield Invited(login, request.build_absolute_uri(make_password_link(user_id)))


@needs(Permission.CHANGE_USERS)
def export(request: StaffRequest) -> HttpResponse:
    """The users of the scope, as the import takes them."""
    lines = write_users(request.remit.users().order_by("login").iterator())
    answer = HttpResponse("".join(lines), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="users-{timezone.localdate():%Y-%m-%d}.csv"'
    return answer
