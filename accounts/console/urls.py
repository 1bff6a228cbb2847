"""Addresses of the console, below /console/."""

from django.urls import path

from accounts.console import addresses, audit, domains, log, overview, queue, reports, roles, routes, senders, users

app_name = "console"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("domains/", domains.domain_list, name="domains"),
    path("domains/new/", domains.domain_new, name="domain-new"),
    path("domains/<int:domain_id>/", domains.domain, name="domain"),
    path("domains/<int:domain_id>/active/", domains.domain_active, name="domain-active"),
    path("domains/<int:domain_id>/mta-sts/", domains.domain_mta_sts, name="domain-mta-sts"),
    path("domains/<int:domain_id>/delete/", domains.domain_delete, name="domain-delete"),
    path("users/", users.user_list, name="users"),
    path("users/new/", users.user_new, name="user-new"),
    path("users/<int:user_id>/", users.user, name="user"),
    path("users/<int:user_id>/password/", users.user_password, name="user-password"),
    path("users/<int:user_id>/second-factor/", users.user_second_factor, name="user-second-factor"),
    path("users/<int:user_id>/link/", users.user_link, name="user-link"),
    path("users/<int:user_id>/active/", users.user_active, name="user-active"),
    path("users/<int:user_id>/delete/", users.user_delete, name="user-delete"),
    path("addresses/", addresses.address_list, name="addresses"),
    path("addresses/new/", addresses.address_new, name="address-new"),
    path("addresses/<int:address_id>/", addresses.address, name="address"),
    path("addresses/<int:address_id>/delete/", addresses.address_delete, name="address-delete"),
    path("senders/", senders.sender_list, name="senders"),
    path("senders/forget/", senders.sender_forget, name="sender-forget"),
    path("routes/", routes.route_list, name="routes"),
    path("routes/new/", routes.route_new, name="route-new"),
    path("routes/<int:route_id>/", routes.route, name="route"),
    path("routes/<int:route_id>/delete/", routes.route_delete, name="route-delete"),
    path("queue/", queue.queue, name="queue"),
    path("queue/act/", queue.queue_act, name="queue-act"),
    path("log/", log.log, name="log"),
    path("trace/<str:trace_id>/", log.trace, name="trace"),
    path("roles/", roles.roles, name="roles"),
    path("reports/", reports.report_list, name="reports"),
    path("reports/<int:report_id>/", reports.report, name="report"),
    path("audit/", audit.audit, name="audit"),
]
