"""Blocked and trusted senders: of everybody, and of each domain."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.console.access import StaffRequest, add_store_error, attempt, found, needs, page
from accounts.console.paging import number, page_before, words_of
from accounts.roles import Permission, Scope
from accounts.services import list_sender, unlist_sender
from mailservers.store.engine import store
from mailservers.store.errors import StoreError

EVERYBODY = ("0", "Everybody")


class SenderForm(forms.Form):
    pattern = forms.CharField(
        label="Sender",
        max_length=320,
        help_text="An address, a domain (with those below it), an IP address or a network.",
        widget=forms.TextInput(
            attrs={
                "class": "input", "placeholder": "example.org", "autocapitalize": "none", "spellcheck": "false",
            }
        ),
    )  # fmt: skip
    kind = forms.ChoiceField(
        label="Rule",
        choices=(("block", "Block: refused"), ("trust", "Trust: never Junk")),
        help_text="Trust counts only for mail that is proven to be the sender’s.",
        widget=forms.Select(attrs={"class": "input"}),
    )
    domain = forms.ChoiceField(label="For", widget=forms.Select(attrs={"class": "input"}))

    def __init__(self, scope: Scope, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        domains = [(str(pk), name) for pk, name in scope.domains().order_by("name").values_list("pk", "name")]
        field = self.fields["domain"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [EVERYBODY, *domains] if scope.is_everything else domains


@needs(Permission.SENDERS)
def sender_list(request: StaffRequest) -> HttpResponse:
    """All lists that are not one user's own, the newest rule first; POST adds a rule."""
    words, domain_id = words_of(request, "q"), number(request.GET.get("domain", "")) or None
    form = SenderForm(request.remit, request.POST or None, initial={"domain": domain_id or 0})
    if request.method == "POST" and form.is_valid() and _add(request, form):
        return redirect(request.get_full_path())
    rows = request.remit.sender_rules().select_related("domain")
    rows = rows.filter(domain_id=domain_id) if domain_id else rows
    rows = rows.filter(pattern__icontains=words.lower()) if words else rows
    context = {
        "page": page_before(request, rows),
        "form": form,
        "q": words,
        "chosen": request.remit.domains().filter(pk=domain_id).first() if domain_id else None,
        "here": request.get_full_path(),
    }
    return page(request, "senders.html", "senders", context, 422 if form.errors else 200)


def _add(request: StaffRequest, form: SenderForm) -> bool:
    is_block = form.cleaned_data["kind"] == "block"
    domain_id = number(form.cleaned_data["domain"]) or None
    try:
        pattern = store.call_sync(
            list_sender, form.cleaned_data["pattern"], is_block=is_block, domain_id=domain_id, actor=request.user.login
        )
    except StoreError as error:
        add_store_error(form, error)
        return False
    messages.success(request, f"{pattern} is {'blocked' if is_block else 'trusted'}.")
    return True


@needs(Permission.SENDERS)
@require_POST
def sender_forget(request: StaffRequest) -> HttpResponse:
    pattern, domain_id = request.POST.get("pattern", ""), number(request.POST.get("domain", "")) or None
    found(request.remit.sender_rules(), pattern=pattern, domain_id=domain_id)
    attempt(
        request,
        lambda: store.call_sync(unlist_sender, pattern, domain_id=domain_id, actor=request.user.login),
        f"{pattern} is on the list no more.",
    )
    return redirect(f"{reverse('console:senders')}{f'?domain={domain_id}' if request.POST.get('back') else ''}")
