"""The manifest and the service worker: public, complete, and with nothing of anybody's."""

from __future__ import annotations

import json
import re

from django.contrib.staticfiles import finders
from django.test import Client

from tests.webmail.conftest import WEB
from webmail.app.views import ICONS, SHELL

pytestmark = WEB


def test_manifest(client: Client, mail: None) -> None:
    answer = client.get("/app.webmanifest")
    assert answer["Content-Type"] == "application/manifest+json"
    about = answer.json()
    assert about["display"] == "standalone" and about["scope"] == "/"
    assert {icon["sizes"] for icon in about["icons"]} == {"192x192", "512x512"}
    for path, size, _ in ICONS:
        found = finders.find(path)
        assert found is not None
        with open(found, "rb") as file:
            header = file.read(24)
        assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == tuple(map(int, size.split("x")))


def test_service_worker_keeps_the_shell_only(client: Client, browser: Client) -> None:
    answer = client.get("/service-worker.js")
    text = answer.content.decode()
    assert answer["Content-Type"].startswith("text/javascript") and "no-cache" in answer["Cache-Control"]
    assert text == browser.get("/service-worker.js").content.decode()  # whoever asks
    match = re.match(r"const SHELL = (\{.*\});\n", text)
    assert match is not None
    shell = json.loads(match[1])
    assert len(shell["files"]) == len(SHELL)
    page = client.get(shell["page"]).content.decode()
    assert "No connection" in page and "<script" not in page and "csrf" not in page
    assert all(path in page for path in shell["files"])
