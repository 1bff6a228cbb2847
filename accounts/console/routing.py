"""WebSockets of the console."""

from django.urls import path

from accounts.console.live import LogConsumer

websocket_urlpatterns = [path("live/console/", LogConsumer.as_asgi())]
