"""Every page's address."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("accounts.sign_in.urls")),
    path("account/", include("accounts.security.urls")),
    path("console/", include("accounts.console.urls")),
    path("", include("webmail.urls")),
]
