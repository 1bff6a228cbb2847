"""The manifest, the service worker and the page it shows without a network: the same for everybody."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

SHELL = ("css/tokens.css", "css/base.css", "css/components.css", "favicon.svg")  # what the page without a network needs
ICONS = (("icons/icon-192.png", "192x192", "any"), ("icons/icon-512.png", "512x512", "any"),
         ("icons/maskable-512.png", "512x512", "maskable"))  # fmt: skip


@require_safe
@cache_control(max_age=3600, public=True)
def manifest(request: HttpRequest) -> JsonResponse:
    icons = [{"src": static(path), "sizes": s, "type": "image/png", "purpose": p} for path, s, p in ICONS]
    about = {
        "name": "Postroom",
        "short_name": "Postroom",
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f1f3f1",
        "theme_color": "#0d6b60",
        "icons": icons,
        "shortcuts": [{"name": "New message", "url": reverse("compose")}],
    }
    return JsonResponse(about, content_type="application/manifest+json")


@cache
def _program() -> str:
    return Path(__file__).with_name("service_worker.js").read_text()


@require_safe
@cache_control(no_cache=True)
def service_worker(request: HttpRequest) -> HttpResponse:
    """At the top, so that it is in charge of every page."""
    files = [static(path) for path in SHELL]
    page = render(request, "webmail/offline.html").content
    version = hashlib.sha256("".join((*files, _program())).encode() + page).hexdigest()[:16]
    shell = json.dumps({"version": version, "page": reverse("offline"), "files": files})
    return HttpResponse(f"const SHELL = {shell};\n{_program()}", content_type="text/javascript; charset=utf-8")


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    return render(request, "webmail/offline.html")
