"""One account in two browsers and a mail program: what one does, the others show; nothing is lost without a network."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.instance import Instance
from tests.system.test_browser import WAIT_MS, chromium, complaints, new_page, sign_in

pytestmark = pytest.mark.browser
__all__ = ["chromium", "complaints"]  # fixtures


def _raw(subject: str) -> bytes:
    return f"From: a@far.test\r\nTo: b@harbour.test\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()


def _row(page: Page, subject: str):
    return page.locator("#rows .row", has_text=subject)


def _unread(page: Page) -> int:
    title = page.title()
    return int(title[1 : title.index(")")]) if title.startswith("(") else 0


def test_browsers_and_imap_stay_in_step(chromium: Browser, demo: Instance, complaints: list[str]) -> None:
    account = demo.accounts[1]
    one, two = new_page(chromium, demo, complaints), new_page(chromium, demo, complaints)
    for page in (one, two):
        sign_in(page, account)
        expect(page.locator(".live-dot.is-live")).to_be_visible(timeout=WAIT_MS)
    before = _unread(one)
    subject = f"Live {uuid.uuid4().hex[:8]}"
    client = demo.imap(account["login"], account["password"])
    client.append("INBOX", "", "", _raw(subject))
    for page in (one, two):
        expect(_row(page, subject)).to_be_visible(timeout=WAIT_MS)
        page.wait_for_function("n => document.title.startsWith(`(${n})`)", arg=before + 1, timeout=WAIT_MS)

    client.select("INBOX")
    [number] = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
    client.store(number.decode(), "+FLAGS", "(\\Seen \\Flagged)")
    for page in (one, two):
        expect(_row(page, subject)).to_have_class("row is-starred", timeout=WAIT_MS)
    _row(one, subject).locator("[data-star]").click()
    expect(_row(two, subject).locator("[data-star]")).to_have_attribute("aria-pressed", "false", timeout=WAIT_MS)

    _row(two, subject).locator(".row-check input").check()
    two.locator("#selection button[value=archive]").click()
    for page in (one, two):
        expect(_row(page, subject)).to_have_count(0, timeout=WAIT_MS)
    client.select("Archive")
    assert client.search(None, "SUBJECT", f'"{subject}"')[1][0]

    draft = f"Draft {uuid.uuid4().hex[:8]}"
    one.get_by_role("link", name="Drafts").click()
    expect(one.locator("#rows")).to_be_visible(timeout=WAIT_MS)
    expect(one.locator(".live-dot.is-live")).to_be_visible(timeout=WAIT_MS)
    client.append("Drafts", "(\\Draft \\Seen)", "", _raw(draft))
    expect(_row(one, draft)).to_be_visible(timeout=WAIT_MS)
    client.logout()
    assert complaints == []


def test_without_a_network_nothing_is_lost_and_no_mail_is_kept(
    chromium: Browser, demo: Instance, complaints: list[str]
) -> None:
    account = demo.accounts[1]
    page = new_page(chromium, demo, complaints)
    sign_in(page, account)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    expect(page.locator(".live-dot.is-live")).to_be_visible(timeout=WAIT_MS)
    assert complaints == []
    kept = page.evaluate(
        "async () => (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name))"
        ".keys()).map((one) => new URL(one.url).pathname)))).flat()"
    )
    assert "/offline/" in kept
    assert all(path == "/offline/" or path.startswith("/static/") for path in kept)

    other = page.context.new_page()
    page.context.set_offline(True)
    other.goto("/")
    expect(other.get_by_role("heading", name="No connection")).to_be_visible(timeout=WAIT_MS)
    # Chromium leaves a WebSocket that is open alone: the server ends it here.
    demo.stop()
    expect(page.locator("#offline")).to_be_visible(timeout=WAIT_MS)
    demo.start()
    subject = f"Meanwhile {uuid.uuid4().hex[:8]}"
    client = demo.imap(account["login"], account["password"])
    client.append("INBOX", "", "", _raw(subject))
    client.logout()
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden(timeout=WAIT_MS)
    expect(_row(page, subject)).to_be_visible(timeout=WAIT_MS)
