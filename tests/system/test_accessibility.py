"""axe over every page, in light and in dark: no violation of WCAG 2.2 AA nor of axe's own best practices."""

# ruff: noqa: F811
from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.instance import Instance
from tests.system.test_browser import PAGES, chromium, complaints, new_page, sign_in  # noqa: F401

pytestmark = pytest.mark.browser
MORE_PAGES = (
    "/mail/sending/options/",
    "/console/users/new/",
    "/console/domains/new/",
    "/console/routes/",
    "/console/routes/new/",
    "/console/addresses/new/",
)
FOLLOWED = {  # a page and the links on it that lead to one of its things
    "/console/users/": r"/console/users/\d+/",
    "/console/domains/": r"/console/domains/\d+/",
    "/console/addresses/": r"/console/addresses/\d+/",
    "/console/log/": r"/console/trace/.+",
    "/mail/folders/": r"/mail/folders/\d+/sharing/",
}


def _faults(page: Page, where: str) -> Iterator[str]:
    results = Axe().run(page).response
    assert len(results["passes"]) > 10, where  # it has looked
    for fault in results["violations"]:
        for node in fault["nodes"]:
            yield f"{where}: {fault['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:200]}"


def _linked(page: Page, pattern: str) -> str | None:
    hrefs = page.locator("main a[href]").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    return next((href for href in hrefs if re.fullmatch(pattern, href)), None)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_violation(chromium: Browser, demo: Instance, complaints: list[str], scheme: str) -> None:
    page = new_page(chromium, demo, complaints, color_scheme=scheme)
    page.goto("/sign-in/")
    faults = list(_faults(page, "sign-in"))
    sign_in(page, demo.accounts[0])
    faults += _faults(page, "the inbox")
    page.locator(".row .row-link").first.click()
    page.locator(".message").wait_for()
    faults += _faults(page, "a message")
    for path in (*PAGES, *MORE_PAGES):
        page.goto(path)
        faults += _faults(page, path)
        linked = _linked(page, FOLLOWED[path]) if path in FOLLOWED else None
        if linked is not None:
            page.goto(linked)
            faults += _faults(page, linked)
    assert faults == []


def test_a_spoiled_page_is_noticed(chromium: Browser, demo: Instance, complaints: list[str]) -> None:
    page = new_page(chromium, demo, complaints)
    page.goto("/sign-in/")
    page.evaluate("document.querySelector('label').remove(); document.documentElement.removeAttribute('lang')")
    assert {fault.split(": ")[1] for fault in _faults(page, "spoiled")} >= {"label", "html-has-lang"}
