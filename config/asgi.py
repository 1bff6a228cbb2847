"""The web side for an ASGI server: pages over HTTP, live updates over WebSocket.

`gunicorn config.asgi:application` serves it alone; `manage.py serve` serves it next to the mail listeners.
"""

import os
import warnings

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application

from config.body_limit import limit_bodies

# WhiteNoise hands small files over as a synchronous iterator, which is read in a thread: meant so.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
pages = get_asgi_application()  # sets Django up: consumers may be imported after this

from accounts.console.routing import websocket_urlpatterns as console_sockets  # noqa: E402
from webmail.routing import websocket_urlpatterns as webmail_sockets  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": limit_bodies(pages, settings.WEB_BODY_LIMIT),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter([*webmail_sockets, *console_sockets]))),
    }
)
