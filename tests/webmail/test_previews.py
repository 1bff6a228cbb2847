"""Attachments looked at without saving them: pictures as pictures, texts as text, nothing else."""

from __future__ import annotations

import re
from email.message import EmailMessage

import pytest
from django.test import Client

from accounts.models import User
from tests.webmail.conftest import WEB, Put
from tests.webmail.test_rich import PNG

pytestmark = WEB


def message(*files: tuple[str, str, bytes]) -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@far.test", "anna@harbour.test", "Files"
    made.set_content("See these.")
    for name, kind, content in files:
        made.add_attachment(content, *kind.split("/"), filename=name)
    return made.as_bytes(policy=made.policy.clone(linesep="\r\n"))


def test_pictures_and_texts(browser: Client, anna: User, put: Put) -> None:
    hostile = b"<script>alert(1)</script>\r\n" + "Grüße\r\n".encode()
    place = put(anna, message(("a.png", "image/png", PNG), ("notes.txt", "text/plain", hostile)))
    address = f"/mail/{place.mailbox_id}/{place.uid}/"
    page = browser.get(address).content.decode()
    picture = re.search(r'<img src="([^"]+/part/2/)" alt="a.png" loading="lazy">', page)
    assert picture is not None
    answer = browser.get(picture[1])
    assert answer["Content-Type"] == "image/png" and answer.content == PNG
    preview = browser.get(f"{address}part/3/text/").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in preview and "<script" not in preview


@pytest.mark.parametrize("kind", ["image/svg+xml", "image/x-odd", "text/html", "application/pdf"])
def test_nothing_else_is_drawn(kind: str, browser: Client, anna: User, put: Put) -> None:
    place = put(anna, message(("x", kind, b"<svg onload=alert(1)>")))
    page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/").content.decode()
    assert 'class="preview"' not in page


def test_a_long_text_is_cut_and_says_so(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, message(("log.txt", "text/plain", b"a line of the log\r\n" * 20_000)))
    preview = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/part/2/text/").content.decode()
    assert len(preview) < 70_000 and "This is the beginning." in preview


def test_only_ones_own_and_only_texts(browser: Client, anna: User, ben: User, put: Put) -> None:
    theirs = put(ben, message(("a.txt", "text/plain", b"secret")))
    assert browser.get(f"/mail/{theirs.mailbox_id}/{theirs.uid}/part/2/text/").status_code == 404
    place = put(anna, message(("a.png", "image/png", PNG)))
    for part in ("2", "0", "9", "1.1"):
        assert browser.get(f"/mail/{place.mailbox_id}/{place.uid}/part/{part}/text/").status_code == 404
