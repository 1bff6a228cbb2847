"""What administrators did, newest first."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpResponse

from accounts.console.access import StaffRequest, needs, page
from accounts.console.paging import page_before, words_of
from accounts.models import AuditEntry
from accounts.roles import Permission
from accounts.services.audit import LOOKED_AT, verify

SHOWN = 20  # items of a list
ACTIONS = {
    "domain.create": "added the domain",
    "domain.enable": "switched on the domain",
    "domain.disable": "switched off the domain",
    "domain.delete": "deleted the domain",
    "user.create": "added the user",
    "user.import": "imported",
    "user.update": "changed the user",
    "user.password": "set a new password for",
    "user.link": "made a sign-in link for",
    "user.invite": "made a link to choose a password for",
    "user.enable": "switched on the user",
    "user.disable": "switched off the user",
    "user.delete": "deleted the user",
    "user.restore": "restored the user",
    "address.create": "added the alias",
    "address.update": "changed the alias",
    "address.delete": "deleted the alias",
    "api-token.add": "made an API token for",
    "api-token.revoke": "revoked an API token of",
    "route.create": "added the route",
    "route.update": "changed the route",
    "route.delete": "deleted the route",
    "second-factor.add": "added a second step for",
    "second-factor.remove": "removed a second step of",
    "second-factor.reset": "took away the second step of",
    "second-factor.codes": "made new recovery codes for",
    "second-factor.recovered": "signed in with a recovery code as",
    "role.second-factor": "changed what is asked of the role",
    "domain.mta-sts": "changed the MTA-STS mode of",
    "queue.retry": "asked to retry",
    "queue.hold": "held in the queue",
    "queue.release": "released in the queue",
    "queue.reroute": "rerouted in the queue",
    "queue.remove": "took out of the queue",
    "queue.bounce": "took out of the queue, with a bounce,",
}


@needs(Permission.AUDIT)
def audit(request: StaffRequest) -> HttpResponse:
    rows = AuditEntry.objects.all()
    words = words_of(request, "q")
    for word in words.split()[:5]:
        rows = rows.filter(Q(actor__icontains=word) | Q(subject__icontains=word) | Q(action__icontains=word))
    shown = page_before(request, rows)
    entries = [(entry, ACTIONS.get(entry.action, entry.action), details(entry)) for entry in shown.rows]
    context = {"page": shown, "entries": entries, "q": words, "proof": verify(LOOKED_AT)}
    return page(request, "audit.html", "audit", context)


def details(entry: AuditEntry) -> list[tuple[str, str]]:
    """(name, words) of each thing that was recorded; of a changed user "before → after"."""
    told = _change if entry.action in ("user.update", "route.update") else _words
    return [
        (name.replace("_", " "), told(value)) for name, value in entry.detail.items() if value not in ("", [], None)
    ]


def _change(value: object) -> str:
    if not isinstance(value, list) or len(value) != 2:  # as it was recorded before
        return _words(value)
    before, after = value
    return f"{before or '—'} → {after or '—'}"


def _words(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    more = f" and {len(value) - SHOWN} more" if len(value) > SHOWN else ""
    return ", ".join(str(item) for item in value[:SHOWN]) + more
