"""Addresses of one's own account, below /account/."""

from django.urls import path

from accounts.security import views

app_name = "security"
urlpatterns = [
    path("", views.home, name="home"),
    path("password/", views.password, name="password"),
    path("authenticator/", views.totp_new, name="totp"),
    path("passkey/options/", views.passkey_options, name="passkey-options"),
    path("passkey/", views.passkey_add, name="passkey-add"),
    path("factor/<int:factor_id>/remove/", views.factor_remove, name="factor-remove"),
    path("recovery-codes/", views.codes, name="codes"),
    path("app-passwords/", views.app_password_add, name="app-password-add"),
    path("app-passwords/revoke/", views.app_password_revoke, name="app-password-revoke"),
    path("api-tokens/", views.api_token_add, name="api-token-add"),
    path("api-tokens/revoke/", views.api_token_revoke, name="api-token-revoke"),
    path("sessions/<int:session_id>/end/", views.session_end, name="session-end"),
    path("sessions/end-others/", views.session_end_others, name="session-end-others"),
]
