"""The sanitiser and the pages against hostile mail: by what is left, and by what a real browser does with it when no
policy and no sandbox help."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser

import pytest
from django.test import Client
from playwright.async_api import async_playwright

from accounts.models import User
from tests.webmail.conftest import HTMX, WEB, Put
from tests.webmail.hostile import LEAK, documents
from webmail.reading.html import _ATTRIBUTES, _TAGS, TooComplex, clean_html
from webmail.reading.plain import text_to_html

_OURS = {"rel", "target"}  # set on links by the sanitiser


class Left(HTMLParser):
    """What is left, as the simplest of parsers sees it; `seen` can be compared."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[object] = []
        self.feed(markup)
        self.close()

    def handle_data(self, data: str) -> None:
        if data := data.replace("\ufeff", ""):  # a byte order mark is dropped by who reads it
            self.seen.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(f"/{tag}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, tag
        self.seen.append((tag, sorted(attrs)))
        for name, value in attrs:
            assert name in _ATTRIBUTES["*"] | _ATTRIBUTES.get(tag, set()) | _OURS, (tag, name)
            value = (value or "").lower()
            if name == "href":
                assert value.strip().startswith(("http://", "https://", "mailto:", "tel:"))
            elif name == "src":
                assert value.startswith("data:image/") and "svg" not in value
            elif name == "style":
                assert "url" not in value and "\\" not in value and "image" not in value

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def cleaned(text: str) -> str:
    try:
        return clean_html(text, lambda _: None).markup
    except TooComplex:
        return ""


@pytest.mark.parametrize("seed", range(4))
def test_what_is_left_is_on_the_list_and_stays_so(seed: int) -> None:
    for text in documents(seed, 1500):
        markup = cleaned(text)
        # nothing mutates into something else when it is read again
        assert Left(cleaned(markup)).seen == Left(markup).seen, text


@pytest.mark.browser
async def test_no_script_runs_and_nothing_is_asked_without_any_policy() -> None:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (tests/install_clients.sh needs root)")
    asked: list[str] = []
    ran: list[str] = []
    texts = documents(99, 2000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        await page.route("**/*", lambda route: (asked.append(route.request.url), route.abort())[1])
        page.on("dialog", lambda dialog: ran.append(dialog.message))
        await page.set_content("<img src=x onerror='window.hit=1'>")  # the measure itself works
        await page.wait_for_function("window.hit === 1")
        await page.evaluate("window.hit = 0")
        await page.set_content(f"<img src={LEAK}>")
        assert asked.pop() == LEAK
        asked.clear()
        for at in range(0, len(texts), 20):
            await page.set_content("<body>" + "\n".join(f"<div>{cleaned(text)}</div>" for text in texts[at : at + 20]))
            for one in texts[at : at + 20]:  # alone, as the whole of a document, and by innerHTML
                await page.evaluate(
                    "text => { const box = document.createElement('div'); box.innerHTML = text; "
                    "document.body.append(box); }",
                    cleaned(one),
                )
            if await page.evaluate("window.hit"):
                ran.append(f"one of {at}…")
        await browser.close()
    assert (asked, ran) == ([], [])


HOSTILE = (
    "<script>window.hit=1</script>",
    '"><img src=x onerror=window.hit=1>',
    "'onfocus=window.hit=1 autofocus='",
    "{{7*7}}",
)


@WEB
@pytest.mark.parametrize("bad", HOSTILE)
def test_names_subjects_and_file_names_are_text(browser: Client, anna: User, put: Put, bad: str) -> None:
    quoted = bad.replace('"', '\\"')
    raw = (
        f'From: "{quoted}" <x@far.test>\r\nTo: "{quoted}" <anna@harbour.test>\r\nReply-To: "{quoted}" <y@far.test>\r\n'
        f"Subject: {bad}\r\nMessage-ID: <{bad}@x>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/plain\r\n\r\n{bad} http://x.test/{bad}\r\n"
        f'--b\r\nContent-Type: image/png; name="{quoted}"\r\n'
        f'Content-Disposition: attachment; filename="{quoted}"\r\n\r\nx\r\n'
        "--b--\r\n"
    ).encode()
    place = put(anna, raw)
    here = f"/mail/{place.mailbox_id}/"
    for url in (here, f"{here}rows/", f"{here}{place.uid}/", f"{here}{place.uid}/why/", f"{here}{place.uid}/source/"):
        for options in ({}, HTMX):
            page = browser.get(url, **options).content.decode()
            assert (
                "<script>window" not in page and "<img src=x" not in page and "49" not in page.partition("7*7")[2][:9]
            )
            assert " autofocus=" not in page or "&#x27;onfocus" in page
    assert "<script>window" not in text_to_html(bad) and "<img" not in text_to_html(bad)
