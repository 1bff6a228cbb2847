"""Writing with formatting in a real browser: bold, lists, links, a picture, the quoted original, a draft on two
devices, hostile text from the clipboard."""

from __future__ import annotations

import email
import uuid
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.instance import Instance
from tests.system.test_browser import EDITOR, chromium, complaints, new_page, sign_in  # noqa: F401
from tests.webmail.test_rich import PNG

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("rich"), demo=True)
    yield instance.start()
    instance.stop()


@pytest.fixture
def pages(chromium: Browser, demo: Instance, complaints: list[str]) -> Iterator[tuple[Page, Page]]:  # noqa: F811
    """Tomás and Aiko."""
    both = new_page(chromium, demo, complaints), new_page(chromium, demo, complaints)
    for page, account in zip(both, demo.accounts[1:3], strict=True):
        sign_in(page, account)
    yield both
    for page in both:
        page.context.close()
    assert complaints == []


def received(demo: Instance, person: int, subject: str) -> EmailMessage:
    account = demo.accounts[person]
    raw = demo.wait_for(account["login"], account["password"], f'SUBJECT "{subject}"')
    return email.message_from_bytes(raw, policy=policy.default)  # type: ignore[return-value]


def begin(page: Page, to: str, subject: str) -> None:
    page.goto("/mail/compose/")
    page.locator("#to").fill(to)
    page.locator("#subject").fill(subject)
    page.locator(EDITOR).click()


def press(page: Page, name: str) -> None:
    page.get_by_role("toolbar").get_by_role("button", name=name, exact=True).click()


def test_a_formatted_letter_with_a_picture_and_its_answer(demo: Instance, pages: tuple[Page, Page]) -> None:
    tomas, aiko = pages
    subject = f"Sails {uuid.uuid4().hex[:8]}"
    begin(tomas, demo.accounts[2]["login"], subject)
    press(tomas, "Bold")
    tomas.keyboard.type("Dear Aiko")
    tomas.keyboard.press("Control+b")
    tomas.keyboard.press("Enter")
    press(tomas, "List")
    tomas.keyboard.type("jib")
    tomas.keyboard.press("Enter")
    tomas.keyboard.type("main")
    tomas.keyboard.press("Enter")
    tomas.keyboard.press("Enter")
    tomas.keyboard.press("Control+k")
    tomas.get_by_label("Address", exact=True).fill("loft.test/prices")
    tomas.get_by_role("button", name="Set").click()
    tomas.locator("#picture-input").set_input_files([{"name": "loft.png", "mimeType": "image/png", "buffer": PNG}])
    expect(tomas.locator(f"{EDITOR} img[src]")).to_have_count(1)
    expect(tomas.locator("#draft-note")).to_contain_text("Draft saved")
    expect(tomas.locator(".file-chip")).to_have_count(0)
    tomas.locator(".send-button").click()
    expect(tomas.locator("#compose")).to_have_count(0)

    message = received(demo, 2, subject)
    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")  # type: ignore[union-attr]
    assert text.startswith("Dear Aiko\n- jib\n- main\nhttps://loft.test/prices")
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<strong>Dear Aiko</strong>" in html and 'href="https://loft.test/prices"' in html
    (picture,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content() == PNG and f"cid:{picture['Content-ID'][1:-1]}" in html

    aiko.goto("/")
    aiko.locator(".row", has_text=subject).locator(".row-link").click()
    aiko.locator(".message .reply-button").click()
    expect(aiko.locator(".quote-box iframe")).to_be_visible()
    expect(aiko.frame_locator(".quote-box iframe").locator("strong")).to_have_text("Dear Aiko")
    aiko.locator(EDITOR).click(position={"x": 5, "y": 5})
    aiko.keyboard.type("Agreed.")
    aiko.locator(".send-button").click()
    expect(aiko.locator("#compose")).to_have_count(0)
    answer = received(demo, 1, f"Re: {subject}")
    html = answer.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "Agreed." in html.partition("<blockquote")[0] and "<strong>Dear Aiko</strong>" in html
    assert [part.get_content() for part in answer.walk() if part.get_content_type() == "image/png"] == [PNG]
    assert "> Dear Aiko" in answer.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_draft_goes_on_at_another_device(demo: Instance, pages: tuple[Page, Page], chromium: Browser) -> None:  # noqa: F811
    page, _ = pages
    subject = f"Draft {uuid.uuid4().hex[:8]}"
    begin(page, "far@away.test", subject)
    press(page, "Italic")
    page.keyboard.type("Slanted")
    page.locator("#picture-input").set_input_files([{"name": "a.png", "mimeType": "image/png", "buffer": PNG}])
    expect(page.locator("#draft-note")).to_contain_text("Draft saved")
    second = new_page(chromium, demo, [])
    sign_in(second, demo.accounts[1])
    second.get_by_role("link", name="Drafts").first.click()
    second.locator(".row", has_text=subject).locator(".row-link").click()
    expect(second.locator(f"{EDITOR} em")).to_have_text("Slanted")
    expect(second.locator(f"{EDITOR} img[src]")).to_have_count(1)
    second.locator(EDITOR).press("End")
    second.keyboard.type(" more")
    expect(second.locator("#draft-note")).to_contain_text("Draft saved")
    second.reload()
    expect(second.locator(f"{EDITOR} img[src]")).to_have_count(1)
    second.context.close()


def test_hostile_text_from_the_clipboard(pages: tuple[Page, Page], complaints: list[str]) -> None:  # noqa: F811
    page, _ = pages
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    begin(page, "far@away.test", "x")
    page.evaluate(
        """() => {
        const data = new DataTransfer();
        data.setData("text/html", '<p onclick="window.ran=1">Pasted'
            + '<img src="https://evil.test/x.png" onerror="window.ran=1"><script>window.ran=1<\\/script>'
            + '<svg onload="window.ran=1"></svg><a href="javascript:window.ran=1">link</a></p>');
        document.querySelector("#rich [role=textbox]").dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    }"""
    )
    expect(page.locator(EDITOR)).to_contain_text("Pasted")
    expect(page.locator("#draft-note")).to_contain_text("Draft saved")
    assert page.evaluate("window.ran") is None
    assert not [url for url in asked if "evil.test" in url]
    assert page.locator(f"{EDITOR} a[href^=javascript]").count() == 0
    complaints[:] = [one for one in complaints if "Executing inline event handler" not in one]  # as it should not be


def test_plain_text_by_choice(demo: Instance, pages: tuple[Page, Page]) -> None:
    page, _ = pages
    subject = f"Plain {uuid.uuid4().hex[:8]}"
    begin(page, demo.accounts[2]["login"], subject)
    page.keyboard.type("one")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    page.get_by_role("button", name="Plain text").click()
    expect(page.locator("#text")).to_have_value("one\ntwo\n")
    page.locator(".send-button").click()
    expect(page.locator("#compose")).to_have_count(0)
    assert received(demo, 2, subject).get_content_type() == "text/plain"
    page.goto("/mail/compose/")
    expect(page.locator("#text")).to_be_visible()
    page.get_by_role("button", name="Formatting").click()
    expect(page.locator(EDITOR)).to_be_visible()
