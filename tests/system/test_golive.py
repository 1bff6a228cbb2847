"""From nothing to a checked domain with a certificate, in a browser: set-up link, Go live, DNS, ACME from pebble."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dnslib import RR
from playwright.sync_api import Page, expect, sync_playwright

from tests.instance import Instance
from tests.outbound.stub_dns import Zone, name_server
from tests.system.test_acme import HOST, free_port, make_authority, pebble, presented
from tests.system.test_browser import FLAGS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed (Debian: pebble)"),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
ZONE = f"harbour.test. 60 IN NS ns.x.test.\nns.x.test. 60 IN A 127.0.0.1\n{HOST}. 60 IN A 127.0.0.1\n"
WAIT_MS = 60_000


def test_from_nothing_to_live(tmp_path: Path) -> None:
    port, ca = free_port(), make_authority(tmp_path)
    with name_server(ZONE) as (dns, zone):
        server = Instance(
            tmp_path,
            environment={
                "POSTROOM_HOSTNAME": HOST,
                "POSTROOM_DNS_SERVERS": dns,
                "POSTROOM_AUTHORITATIVE_DNS_PORT": dns.rpartition(":")[2],
                "POSTROOM_EGRESS_TEST": f"127.0.0.1:{free_port()}",
                "POSTROOM_ACME_DIRECTORY": f"https://localhost:{port}/dir",
                "POSTROOM_ACME_CA_FILE": str(ca),
            },
        )
        complaints: list[str] = []
        try:
            server.start()
            with sync_playwright() as playwright, pebble(tmp_path, port, server.ports["web"], dns):
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                page = browser.new_page()
                page.set_default_timeout(WAIT_MS)
                page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
                _set_up(page, server)
                _outside(page)
                _certificate(page)
                _domain(page, zone)
                browser.close()
            assert "Pebble" in presented(server.ports["imaps"]).issuer
            assert complaints == []
            server.stop()
        finally:
            server.kill()


def _set_up(page: Page, server: Instance) -> None:
    page.goto(server.set_up_link)
    page.get_by_label("Your e-mail address").fill("anna@harbour.test")
    page.get_by_label("Your name").fill("Anna Holm")
    page.get_by_label("Password").fill("well made 5 times")
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Go live")).to_be_visible()


def _outside(page: Page) -> None:
    page.get_by_role("button", name="Test now").click()
    expect(page.locator("#outside")).to_contain_text("See your firewall", timeout=WAIT_MS)
    expect(page.locator("#golive-dns")).to_contain_text("missing or wrong", timeout=WAIT_MS)


def _certificate(page: Page) -> None:
    certificate = page.locator("#certificate")
    expect(certificate).to_contain_text("Self-signed")
    page.get_by_label("I agree to the authority’s terms").check()
    page.get_by_role("button", name="Get a certificate").click()
    expect(certificate).to_contain_text("Got by ACME", timeout=WAIT_MS)
    expect(certificate).to_contain_text("Pebble")


def _domain(page: Page, zone: Zone) -> None:
    page.locator("#golive-dns").get_by_role("link", name="harbour.test").first.click()
    records = page.locator("#dns-records")
    expect(records).to_contain_text("Missing", timeout=WAIT_MS)
    with page.expect_download() as download:
        page.get_by_role("link", name="Zone file").click()
    zone.records += RR.fromZone(Path(download.value.path()).read_text())
    expect(records).to_contain_text("Every record is there", timeout=WAIT_MS)
    expect(records.get_by_text("Missing")).to_have_count(0)
