"""A passkey, from the account page to signing in with it alone: Debian's chromium with a virtual authenticator."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.instance import Instance

from .test_browser import chromium, complaints, new_page

pytestmark = pytest.mark.browser
__all__ = ["chromium", "complaints"]


def test_a_passkey(chromium: Browser, demo: Instance, complaints: list[str]) -> None:
    person = demo.accounts[-1]
    page = new_page(chromium, demo, complaints)
    page.goto(f"http://localhost:{demo.ports['web']}/")  # WebAuthn asks for a name, not an address
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**options, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    here = f"http://localhost:{demo.ports['web']}"
    page.locator("input[name=login]").fill(person["login"])
    page.locator("input[type=password]").fill(person["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator(".row").first).to_be_visible()

    page.goto(f"{here}/account/")
    page.get_by_label("Name", exact=True).fill("This laptop")
    page.locator("#id_passkey-current").fill(person["password"])
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("This laptop")).to_be_visible()

    page.get_by_label("Account:").click()
    page.get_by_role("button", name="Sign out", exact=True).last.click()
    page.get_by_role("button", name="Use a passkey instead").click()
    expect(page.locator(".row").first).to_be_visible()

    page.context.clear_cookies()
    page.goto(f"{here}/sign-in/")
    page.locator("input[name=login]").fill(person["login"])
    page.locator("input[type=password]").fill(person["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.locator(".row").first).to_be_visible()

    page.goto(f"{here}/account/")
    page.get_by_role("button", name="Remove This laptop").click()
    page.get_by_role("button", name="Remove", exact=True).last.click()
    expect(page.get_by_text("Off", exact=True)).to_be_visible()
    assert not complaints
