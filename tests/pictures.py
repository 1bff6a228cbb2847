"""The pictures of docs/webmail.md and docs/admin.md: `make pictures`. Needs chromium and ImageMagick."""

from __future__ import annotations

import shutil
import smtplib
import subprocess
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.instance import ROOT, Instance, instance
from tests.system.test_browser import FLAGS

PICTURES = ROOT / "docs" / "pictures"
OWNER, PERSON = 0, 1
LARGE, PHONE = (1280, 800), (390, 780)
# name: (who, address, colours, size)
SHOTS: dict[str, tuple[int, str, str, tuple[int, int]]] = {
    "inbox": (PERSON, "/", "light", LARGE),
    "inbox-dark": (PERSON, "/", "dark", LARGE),
    "inbox-phone": (PERSON, "/", "light", PHONE),
    "message": (PERSON, "/", "light", LARGE),
    "compose": (PERSON, "/mail/compose/", "light", LARGE),
    "search": (PERSON, "/mail/search/?q=in:inbox", "light", LARGE),
    "contacts": (PERSON, "/mail/contacts/", "light", LARGE),
    "security": (PERSON, "/account/", "light", LARGE),
    "overview": (OWNER, "/console/", "light", LARGE),
    "golive": (OWNER, "/console/go-live/", "light", LARGE),
    "trace": (OWNER, "/console/trace/", "light", LARGE),
    "overview-phone": (OWNER, "/console/", "dark", PHONE),
    "domain": (OWNER, "/console/domains/1/", "light", LARGE),
    "users": (OWNER, "/console/users/", "light", LARGE),
    "log": (OWNER, "/console/log/", "light", LARGE),
    "queue": (OWNER, "/console/queue/", "light", LARGE),
}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with instance(demo=True) as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        _send_some(demo)
        for name, (who, address, colours, size) in SHOTS.items():
            _shoot(browser, demo, name, who, address, colours, size)
        browser.close()
        demo.stop()


def _send_some(demo: Instance) -> None:
    """Something for the log and the queue to show."""
    owner, person = demo.accounts[OWNER], demo.accounts[PERSON]
    with smtplib.SMTP("127.0.0.1", demo.ports["submission"], timeout=60) as client:
        client.login(owner["login"], owner["password"])
        for recipient, subject in (
            (person["login"], "Varnish, and who brings the brushes"),
            ("yard@harbour.example", "Berths for the regatta"),
            ("office@quay.example", "The bill of October"),
        ):
            text = f"From: {owner['login']}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nShall we say Friday?\r\n"
            client.sendmail(owner["login"], [recipient], text)


def _shoot(
    browser: Browser, demo: Instance, name: str, who: int, address: str, colours: str, size: tuple[int, int]
) -> None:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{demo.ports['web']}",
        color_scheme=colours,  # type: ignore[arg-type]
        viewport={"width": size[0], "height": size[1]},
    )
    page = context.new_page()
    _sign_in(page, demo.accounts[who])
    page.goto(address)
    if name == "message":
        page.locator(".row a").first.click()
    page.wait_for_timeout(800)  # pictures, not a test: fonts and counts have come by then
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "shot.png"
        page.screenshot(path=raw)
        subprocess.run(["convert", raw, "-quality", "70", PICTURES / f"{name}.webp"], check=True)
    context.close()


def _sign_in(page: Page, account: dict[str, str]) -> None:
    page.goto("/sign-in/")
    page.locator("input[name=login]").fill(account["login"])
    page.locator("input[type=password]").first.fill(account["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/sign-in" not in url)


if __name__ == "__main__":
    main()
