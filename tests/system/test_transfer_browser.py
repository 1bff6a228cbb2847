"""One's mail out of the browser and into it again, the file sent in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.instance import Instance
from tests.system.test_browser import chromium, complaints, new_page, sign_in  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.browser]
PAGE = "/mail/settings/transfer/"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("transfer"), demo=True)
    yield instance.start()
    instance.stop()


@pytest.fixture
def page(chromium: Browser, demo: Instance, complaints: list[str]) -> Iterator[Page]:  # noqa: F811
    page = new_page(chromium, demo, complaints)
    sign_in(page, demo.accounts[1])
    yield page
    page.context.close()
    assert complaints == []


def test_all_mail_goes_out_and_nothing_of_it_is_doubled(page: Page, tmp_path: Path) -> None:
    page.goto(PAGE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    archive = tmp_path / download.value.suggested_filename
    download.value.save_as(archive)
    page.get_by_label("File", exact=True).set_input_files(archive)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text(f"{archive.name} has been read.")).to_be_visible()
    expect(page.locator("#import [role=status]")).to_contain_text("0 messages filed")


def test_a_file_of_many_pieces_becomes_a_folder(page: Page, tmp_path: Path) -> None:
    mbox = tmp_path / "The old harbour.mbox"
    with open(mbox, "wb") as file:
        for number in range(200):
            file.write(b"From x Thu Jan  1 00:00:00 1970\nSubject: Log %d\n\n%b\n\n" % (number, b"wind\n" * 10_000))
    assert mbox.stat().st_size > 2 * 4 * 1024 * 1024, "more than two pieces"
    page.goto(PAGE)
    page.get_by_label("File", exact=True).set_input_files(mbox)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("The old harbour.mbox has been read.")).to_be_visible()
    expect(page.locator("#import [role=status]")).to_contain_text("200 messages filed")
    page.goto("/")
    page.get_by_role("link", name="The old harbour").first.click()
    expect(page.locator(".row-subject", has_text="Log 199")).to_be_visible()


def test_what_is_no_mail_is_said_to_be_none(page: Page, tmp_path: Path) -> None:
    picture = tmp_path / "cat.zip"
    picture.write_bytes(b"\x89PNG not a zip")
    page.goto(PAGE)
    page.get_by_label("File", exact=True).set_input_files(picture)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("neither a zip file, nor an mbox file, nor a message")).to_be_visible()
