"""A person at a browser: signs in, reads, replies with an attachment; the answer arrives without a reload, and the
administrator's live log shows each step. In Debian's chromium, under the site's strict Content-Security-Policy."""

from __future__ import annotations

import shutil
import smtplib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.instance import Instance

pytestmark = pytest.mark.browser
WAIT_MS = 60_000
EDITOR = "#rich [role=textbox]"
PAGES = (
    "/mail/compose/",
    "/mail/search/?q=the",
    "/mail/folders/",
    "/mail/deleted/",
    "/mail/senders/",
    "/mail/contacts/",
    "/mail/identities/",
    "/mail/templates/",
    "/mail/contacts/new/",
    "/mail/contacts/groups/new/",
    "/mail/contacts/doubles/",
    "/mail/settings/",
    "/mail/settings/storage/",
    "/mail/settings/connecting/",
    "/mail/settings/transfer/",
    "/console/",
    "/console/users/",
    "/console/users/import/",
    "/console/domains/",
    "/console/addresses/",
    "/console/senders/",
    "/console/queue/",
    "/console/log/",
    "/console/trace/?party=example",
    "/console/audit/",
    "/console/reports/",
    "/console/roles/",
    "/console/go-live/",
    "/account/",
    "/api/",
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (tests/install_clients.sh needs root)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browsers' consoles complained of: violations of the policy, errors of our modules."""
    return []


def new_page(chromium: Browser, demo: Instance, complaints: list[str], **options: object) -> Page:
    context: BrowserContext = chromium.new_context(base_url=f"http://127.0.0.1:{demo.ports['web']}", **options)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def sign_in(page: Page, account: dict[str, str]) -> None:
    page.goto("/")
    page.get_by_label("E-mail").or_(page.locator("input[name=login], input[name=username]")).first.fill(
        account["login"]
    )
    page.locator("input[type=password]").fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".row").first).to_be_visible(timeout=WAIT_MS)


def test_read_reply_and_watch(chromium: Browser, demo: Instance, complaints: list[str], tmp_path: Path) -> None:
    anna, ben = demo.accounts[1], demo.accounts[2]
    subject, answer = f"Question {uuid.uuid4().hex[:8]}", f"An answer {uuid.uuid4().hex[:8]}"
    with smtplib.SMTP("127.0.0.1", demo.ports["submission"], timeout=60) as client:
        client.login(ben["login"], ben["password"])
        client.sendmail(
            ben["login"],
            [anna["login"]],
            f"From: {ben['login']}\r\nTo: {anna['login']}\r\nSubject: {subject}\r\n\r\nShall we?\r\n",
        )

    admin = new_page(chromium, demo, complaints)
    admin.goto(demo.admin_link)
    admin.get_by_role("button").filter(has_text="Continue").click()
    admin.goto("/console/log/")
    expect(admin.locator(".live-dot.is-live")).to_be_visible(timeout=WAIT_MS)

    theirs = new_page(chromium, demo, complaints)
    sign_in(theirs, ben)

    page = new_page(chromium, demo, complaints)
    sign_in(page, anna)
    page.locator(".row", has_text=subject).locator(".row-link").click()
    expect(page.locator(".message")).to_contain_text("Shall we?")
    page.locator(".message .reply-button").click()
    expect(page.locator("#compose")).to_be_visible()
    page.locator(EDITOR).fill(answer)
    attachment = tmp_path / "plan für morgen.txt"
    attachment.write_text("tides and times\n")
    page.locator("#upload").set_input_files(attachment)
    expect(page.locator("#draft-state")).to_contain_text("plan für morgen.txt", timeout=WAIT_MS)
    page.locator(".send-button").click()
    expect(page.locator("#compose")).to_have_count(0, timeout=WAIT_MS)

    arrived = theirs.locator(".row", has_text=f"Re: {subject}")
    expect(arrived).to_be_visible(timeout=WAIT_MS)  # without a reload
    arrived.locator(".row-link").click()
    expect(theirs.frame_locator(".message iframe").locator("body")).to_contain_text(answer)
    with theirs.expect_download() as download:
        theirs.locator(".attachment").click()
    assert Path(download.value.path()).read_text() == "tides and times\n"
    assert download.value.suggested_filename == "plan für morgen.txt"

    events = admin.locator("#events .event", has_text=f"Re: {subject}")
    expect(events.first).to_be_visible(timeout=WAIT_MS)
    events.first.locator(".event-link").click()
    expect(admin.locator("main")).to_contain_text("INBOX")
    assert complaints == []


def test_html_mail_stays_in_its_frame(chromium: Browser, demo: Instance, complaints: list[str]) -> None:
    """No script of a message runs, and nothing is fetched from elsewhere."""
    anna = demo.accounts[1]
    subject = f"Hostile {uuid.uuid4().hex[:8]}"
    body = (
        "<h1 id=shown>Visible words</h1><script>document.title='pwned'</script>"
        "<img src=http://tracker.example/x.png onerror=\"document.title='pwned'\">"
        '<div style="background:url(http://tracker.example/y.png)">styled</div>'
        "<form action=http://tracker.example/><input name=a></form><a href='javascript:alert(1)'>link</a>"
        "<svg onload=alert(1)></svg><iframe src=http://tracker.example/></iframe><meta http-equiv=refresh content=0>"
    )
    with smtplib.SMTP("127.0.0.1", demo.ports["smtp"], timeout=60) as client:
        client.sendmail(
            "mallory@elsewhere.test",
            [anna["login"]],
            f"Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{body}\r\n",
        )
    page = new_page(chromium, demo, complaints)
    outside: list[str] = []
    page.on("request", lambda r: None if "127.0.0.1" in r.url else outside.append(r.url))
    sign_in(page, anna)
    page.locator(".row", has_text=subject).locator(".row-link").click()
    frame = page.frame_locator("iframe.message-frame").first
    expect(frame.get_by_text("Visible words")).to_be_visible(timeout=WAIT_MS)
    expect(frame.locator("script, form, svg, iframe, meta[http-equiv=refresh]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    assert outside == []
    assert "pwned" not in page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_and_break_no_policy(
    chromium: Browser, demo: Instance, complaints: list[str], scheme: str, width: int
) -> None:
    """Every main page, in both schemes and both widths: no violation, nothing wider than the screen."""
    viewport = {"width": width, "height": 844 if width < 500 else 800}
    page = new_page(chromium, demo, complaints, color_scheme=scheme, viewport=viewport)
    page.goto("/sign-in/")
    _fits(page, width)
    sign_in(page, demo.accounts[0])
    _fits(page, width)
    for path in PAGES:
        response = page.goto(path)
        assert response is not None and response.status == 200, path
        _fits(page, width)
    assert complaints == []


def _fits(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
