"""What is asked of each role, and what it may do."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from accounts.console.access import StaffRequest, needs, page
from accounts.models import Role, RoleRule, User
from accounts.roles import Permission
from accounts.services.role_rules import set_role_rules
from mailservers.store.engine import store

MEANING = {
    Role.ADMIN: "Everything, for all domains.",
    Role.DOMAIN_ADMIN: "People, aliases, lists and the queue of some domains.",
    Role.SUPPORT: "Follows messages of some domains; reads none, changes nothing.",
    Role.USER: "Their own mail.",
}


@needs(Permission.SERVER)
def roles(request: StaffRequest) -> HttpResponse:
    if request.method == "POST":
        wanted = [role for role in Role if role in request.POST.getlist("second-factor")]
        store.call_sync(set_role_rules, wanted, actor=request.user.login)
        messages.success(request, "Saved. Whoever has no second step yet is asked to add one with the next page.")
        return redirect("console:roles")
    required = set(RoleRule.objects.filter(needs_second_factor=True).values_list("role", flat=True))
    rows = [
        {
            "role": role,
            "meaning": MEANING[role],
            "count": User.objects.filter(role=role).count(),
            "without": User.objects.filter(role=role, has_second_factor=False).count(),
            "is_required": role in required,
        }
        for role in Role
    ]
    return page(request, "roles.html", "roles", {"rows": rows})
