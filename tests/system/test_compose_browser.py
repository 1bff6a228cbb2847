"""Writing mail in a real browser, under the CSP that everybody has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.instance import Instance
from tests.system.test_browser import EDITOR, chromium  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    demo = Instance(tmp_path_factory.mktemp("compose"), demo=True)
    demo.start()
    yield demo
    demo.stop()


@pytest.fixture
def page(chromium: Browser, instance: Instance) -> Iterator[Page]:  # noqa: F811
    context = chromium.new_context(base_url=f"http://127.0.0.1:{instance.ports['web']}")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    anna = instance.accounts[1]
    page.goto("/")
    page.get_by_label("E-mail address").fill(anna["login"])
    page.get_by_label("Password", exact=True).fill(anna["password"])
    page.get_by_role("button", name="Sign in").click()
    yield page
    context.close()
    assert [text for text in complaints if "net::ERR_FAILED" not in text] == []


def test_recipients_are_completed_and_checked(page: Page) -> None:
    page.goto("/mail/contacts/new/")
    page.get_by_label("Name").fill("Carla Núñez")
    page.get_by_label("E-mail addresses").fill("carla@far.test")
    page.get_by_role("button", name="Save").click()
    page.goto("/mail/compose/")
    to = page.get_by_role("combobox", name="To")
    to.press_sequentially("núñ")
    expect(page.locator(".completion")).to_have_count(1)
    to.press("Enter")
    expect(to).to_have_attribute("aria-expanded", "false")
    to.press_sequentially("z@gmial.com,")
    page.get_by_role("button", name="Did you mean gmail.com?").click()
    expect(page.locator(".recipient-chip")).to_have_text([re.compile("Carla Núñez"), re.compile("z@gmail.com")])
    expect(page.locator(".chip-outside")).to_have_count(2)
    to.press_sequentially("half typed")
    assert page.locator("input[name=to]").input_value() == '"Carla Núñez" <carla@far.test>, z@gmail.com, half typed'
    to.fill("")
    to.press("Backspace")
    assert to.input_value() == "z@gmail.com"


def test_a_forgotten_attachment_is_asked_about(page: Page, instance: Instance) -> None:
    page.goto("/mail/templates/")
    page.get_by_label("Name").fill("Plans")
    page.get_by_label("Text").fill("The plans are attached.")
    page.get_by_role("button", name="Save").click()
    page.goto("/mail/compose/")
    page.get_by_role("combobox", name="To").fill(instance.accounts[2]["login"])
    page.get_by_text("Template", exact=True).click()
    page.get_by_role("button", name="Plans").click()
    expect(page.locator(EDITOR)).to_have_text("The plans are attached.")
    page.locator(".send-button").click()
    expect(page.locator("#confirm-text")).to_contain_text("none is here")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#compose")).to_be_visible()
    page.locator("#upload").set_input_files([{"name": "plan.txt", "mimeType": "text/plain", "buffer": b"x" * 100_000}])
    expect(page.locator(".file-chip")).to_have_count(1)
    page.locator(".send-button").click()
    expect(page.locator("#compose")).to_have_count(0)


def _until(page: Page, expression: str) -> None:
    """`wait_for_function` would need eval, which the CSP forbids."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


def test_what_was_not_saved_is_offered_again(page: Page) -> None:
    page.goto("/mail/compose/")
    page.route("**/mail/compose/save/", lambda route: route.abort())  # no connection
    page.get_by_role("combobox", name="To").fill("zed@far.test")
    page.get_by_label("Subject").fill("Precious")
    page.locator(EDITOR).fill("Many words")
    _until(page, "Object.values(localStorage).some((text) => text.includes('Many words'))")
    page.on("dialog", lambda dialog: dialog.accept())
    page.unroute("**/mail/compose/save/")
    page.goto("/mail/compose/")
    page.get_by_role("button", name="Restore it").click()
    expect(page.get_by_label("Subject")).to_have_value("Precious")
    expect(page.locator(EDITOR)).to_have_text("Many words")
    expect(page.locator(".recipient-chip")).to_have_count(1)
    expect(page.locator("#draft-note")).to_contain_text("Draft saved")
    _until(page, "!Object.keys(localStorage).some((key) => key.startsWith('unsaved-letter'))")
    page.goto("/mail/compose/")
    expect(page.locator("#unsaved")).to_be_hidden()
