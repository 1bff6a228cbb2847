"""WebSockets of the webmail."""

from django.urls import path

from webmail.live import MailConsumer

websocket_urlpatterns = [path("live/mail/", MailConsumer.as_asgi())]
