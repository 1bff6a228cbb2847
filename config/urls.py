"""Every page's address."""

from django.urls import URLPattern, URLResolver, include, path

from accounts.console.tracing import shared_trace

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("accounts.sign_in.urls")),
    path("account/", include("accounts.security.urls")),
    path("api/", include("accounts.api.urls")),
    path("console/", include("accounts.console.urls")),
    path("trace/<str:token>/", shared_trace, name="shared-trace"),
    path("", include("webmail.urls")),
]
