"""Addresses of the sign-in pages."""

from django.urls import path

from accounts.sign_in import set_up, views

urlpatterns = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-in/second/", views.second, name="second-step"),
    path("sign-in/passkey/", views.sign_in_with_passkey, name="sign-in-passkey"),
    path("sign-in/passkey/options/", views.passkey_options, name="sign-in-passkey-options"),
    path("sign-in/link/<str:token>/", views.sign_in_with_link, name="sign-in-link"),
    path("sign-in/password/<str:token>/", views.choose_password, name="choose-password"),
    path("set-up/<str:token>/", set_up.first_set_up, name="set-up"),
    path("sign-out/", views.sign_out, name="sign-out"),
]
