"""Mail that waits, on a whole server: killed between "250" and sending, and seen by two browsers and a mail program."""

from __future__ import annotations

import asyncio
import imaplib
import re
import smtplib
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.instance import Instance, instance
from tests.outbound.fake_smtp import FakeHost, Script
from tests.system.test_browser import EDITOR, WAIT_MS, chromium, complaints, new_page, sign_in

__all__ = ["chromium", "complaints"]  # fixtures
WAIT_S = 60
SCRIPT = Script(recipients={"<grey@remote.test>": "451 4.7.1 Greylisted", "grey@remote.test": "451 4.7.1 Greylisted"})


@pytest.fixture(scope="module")
def remote() -> Iterator[FakeHost]:
    """The mail host of remote.test, on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    host = FakeHost(SCRIPT)
    asyncio.run_coroutine_threadsafe(host.__aenter__(), loop).result()
    yield host
    asyncio.run_coroutine_threadsafe(host.__aexit__(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def server(remote: FakeHost) -> Iterator[Instance]:
    routes = {"POSTROOM_ROUTES": f"remote.test=127.0.0.1:{remote.port}", "POSTROOM_UNDO_SEND": "20"}
    with instance(demo=True, environment=routes) as one:
        yield one
        one.stop()
        assert "sound" in one.manage("check").stdout
        assert "Traceback" not in one.log(), one.log()


def submit(server: Instance, subject: str, hold_s: int) -> None:
    anna = server.accounts[1]
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=WAIT_S) as client:
        client.login(anna["login"], anna["password"])
        content = f"From: {anna['login']}\r\nTo: bob@remote.test\r\nSubject: {subject}\r\n\r\nx\r\n"
        client.sendmail(anna["login"], ["bob@remote.test"], content, mail_options=[f"HOLDFOR={hold_s}"])


def mail_program(server: Instance, mailbox: str) -> imaplib.IMAP4:
    anna = server.accounts[1]
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=WAIT_S)
    client.login(anna["login"], anna["password"])
    assert client.select(mailbox)[0] == "OK"
    return client


def arrived(remote: FakeHost, subject: str) -> int:
    return sum(subject.encode() in one.content for one in remote.transactions)


def until_arrived(remote: FakeHost, subject: str) -> None:
    end = time.monotonic() + WAIT_S
    while not arrived(remote, subject):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_killed_between_250_and_sending(server: Instance, remote: FakeHost) -> None:
    """Nothing acknowledged is lost, nothing is sent twice, and what was cancelled is never sent."""
    kept, cancelled = (f"{word} {uuid.uuid4().hex[:8]}" for word in ("kept", "cancelled"))
    submit(server, cancelled, 3)
    client = mail_program(server, "Outbox")
    client.store("1", "+FLAGS", "(\\Deleted)")
    assert client.expunge() == ("OK", [b"1"])
    submit(server, kept, 3)
    server.kill()
    server.start()
    assert mail_program(server, "Outbox").search(None, "SUBJECT", f'"{kept}"')[1] != [b""] or arrived(remote, kept)
    until_arrived(remote, kept)
    submit(server, f"last {kept}", 1)
    until_arrived(remote, f"last {kept}")  # all that was due before it has gone
    assert (arrived(remote, f"Subject: {kept}"), arrived(remote, cancelled)) == (1, 0)
    end = time.monotonic() + WAIT_S
    while mail_program(server, "Outbox").search(None, "ALL")[1] != [b""]:
        assert time.monotonic() < end


# ---------------------------------------------------------------- browsers


def compose(page: Page, to: str, subject: str) -> None:
    page.goto("/mail/compose/")
    page.locator("#to").fill(to)
    page.locator("#subject").fill(subject)
    page.locator(EDITOR).fill("High water at nine.")


def test_two_browsers_and_a_mail_program(
    chromium: Browser, server: Instance, remote: FakeHost, complaints: list[str]
) -> None:
    subject, later = (f"{word} {uuid.uuid4().hex[:8]}" for word in ("Tides", "Later"))
    one, two = new_page(chromium, server, complaints), new_page(chromium, server, complaints)
    for page in (one, two):
        sign_in(page, server.accounts[1])

    # Undo, without a mouse: the other browser sees it come into the Outbox and go.
    compose(one, "bob@remote.test", subject)
    one.locator(EDITOR).press("Control+Enter")
    expect(one.locator(".toast-timed")).to_contain_text("Sending")
    outbox = two.locator(".nav-link", has_text="Outbox")
    expect(outbox).to_be_visible(timeout=WAIT_MS)
    outbox.click()
    expect(two.locator(".row", has_text=subject)).to_be_visible(timeout=WAIT_MS)
    one.locator("body").press("z")
    expect(one.locator("#subject")).to_have_value(subject, timeout=WAIT_MS)
    expect(two.locator(".row", has_text=subject)).to_have_count(0, timeout=WAIT_MS)

    # Send later; a mail program sees it in the Outbox and deletes it: both browsers follow, and it is not sent.
    compose(one, "bob@remote.test", later)
    one.locator(".send-later summary").press("Enter")
    one.get_by_role("button", name=re.compile("Tomorrow morning")).press("Enter")
    expect(one.locator(".toast-timed")).to_contain_text("Will be sent on")
    expect(two.locator(".row", has_text=later)).to_be_visible(timeout=WAIT_MS)
    program = mail_program(server, "Outbox")
    assert program.search(None, "SUBJECT", f'"{later}"')[1] == [b"1"]
    program.store("1", "+FLAGS", "(\\Deleted)")
    program.expunge()
    expect(two.locator(".row", has_text=later)).to_have_count(0, timeout=WAIT_MS)
    expect(one.locator(".nav-link", has_text="Outbox")).to_have_count(0, timeout=WAIT_MS)

    # What becomes of a message, live: sent now from the Outbox, delivered to one, put off by the other.
    compose(one, "bob@remote.test, grey@remote.test", subject)
    one.locator(".send-button").click()
    expect(two.locator(".row", has_text=subject)).to_be_visible(timeout=WAIT_MS)
    two.locator(".row", has_text=subject).locator(".row-link").click()
    expect(two.locator(".stage-scheduled")).to_have_count(2)
    two.locator(".reader-bar button", has_text="Send now").click()
    expect(two.locator(".stage-delivered .tracked-state")).to_contain_text("Delivered to", timeout=WAIT_MS)
    expect(two.locator(".stage-deferred")).to_contain_text("451 4.7.1 Greylisted", timeout=WAIT_MS)

    # Cancel the rest in one browser: the other, which looks at the copy in Sent, is told.
    one.locator(".nav-link", has_text="Sent").click()
    one.locator(".row", has_text=subject).locator(".row-link").click()
    expect(one.locator(".stage-deferred")).to_be_visible(timeout=WAIT_MS)
    two.get_by_role("button", name="Do not send to grey@remote.test").click()
    two.locator("#confirm button[value=yes]").click()
    expect(one.locator(".stage-cancelled")).to_contain_text("grey@remote.test", timeout=WAIT_MS)

    assert (arrived(remote, subject), arrived(remote, later)) == (1, 0)
    assert not complaints, complaints
