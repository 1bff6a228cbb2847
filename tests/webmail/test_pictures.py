"""Remote pictures: blocked, then through the proxy, which asks nothing private and hands out nothing but pictures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from django.test import Client

from accounts.models import User
from mailservers.models import MessageVerdict
from mailservers.outbound import pictures
from mailservers.outbound.https import FetchFailed
from mailservers.outbound.pictures import Picture, fetch_picture, picture_type
from mailservers.outbound.resolve import Found, MailHost
from tests.webmail.conftest import WEB, Put, letter
from webmail.reading import pictures as views

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
BODY = '<img src="https://far.test/a.png?x=1&amp;y=2"><img src="//far.test/b.png"><img src=\'javascript:x\'>'


class Names:
    """A resolver with a few names; counts what it is asked."""

    def __init__(self, **names: list[str]) -> None:
        self.names, self.asked = names, 0

    async def addresses(self, host: MailHost) -> Found:
        self.asked += 1
        return Found(self.names.get(host.name.partition(".")[0], [host.name]))


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, bytes]]:
    """Answers by path at the port that http has here; loopback passes for public, 10.0.0.0/8 stays private."""
    answers: dict[str, bytes] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"cookie" not in head.lower() and b"referer" not in head.lower()
        writer.write(answers.get(head.split()[1].decode(), b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"))
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setattr(pictures, "PORTS", {"http": port, "https": 443})
    monkeypatch.setattr(pictures, "is_public", lambda address: not address.startswith("10."))
    yield answers
    listening.close()
    await listening.wait_closed()


def ok(content: bytes, kind: str = "image/png") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind.encode(), len(content)) + content
    )


def moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_fetched_and_followed(server: dict[str, bytes]) -> None:
    server |= {"/a?b": ok(PNG, "text/html"), "/go": moved("/a?b"), "/round": moved("/round")}
    names = Names(far=["10.1.1.1", "127.0.0.1"])
    assert await fetch_picture(names, "http://far.test/go") == Picture(PNG, "image/png")
    with pytest.raises(FetchFailed, match="from one address to the next"):
        await fetch_picture(names, "http://far.test/round")


@pytest.mark.parametrize(
    "url",
    [
        "http://inner.test/a", "http://10.0.0.1/a", "http://far.test:22/a", "ftp://far.test/a", "file:///etc/passwd",
        "http:///a", "http://far.test/missing", "http://far.test/html", "http://far.test/svg", "http://far.test/inner",
        "http://far.test/big", "http://far.test/half", "http://far.test/a\r\nX: y", "http://fär.test/", "http://[::1",
        "",
    ],
)  # fmt: skip
async def test_what_is_not_fetched(server: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(pictures, "MAX_OCTETS", 1000)
    server |= {
        "/a": ok(PNG), "/html": ok(b"<script>"), "/svg": ok(b"<svg onload=x>", "image/svg+xml"),
        "/inner": moved("http://inner.test/a"), "/big": ok(PNG + bytes(2000)), "/half": ok(PNG)[:-3],
    }  # fmt: skip
    with pytest.raises(FetchFailed):
        await fetch_picture(Names(far=["127.0.0.1"], inner=["10.0.0.9"]), url)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1"])
async def test_private_addresses_are_refused_whatever_the_settings(address: str) -> None:
    with pytest.raises(FetchFailed, match="private"):
        await fetch_picture(Names(far=[address]), "https://far.test/a.png")


@pytest.mark.parametrize("content", [b"", b"<svg/>", b"GIF", b"RIFF0000WAVE", b"<html>GIF89a"])
def test_no_pictures(content: bytes) -> None:
    with pytest.raises(FetchFailed):
        picture_type(content)


@WEB
def test_blocked_once_always_and_never(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter(html=BODY))
    url = f"/mail/{place.mailbox_id}/{place.uid}/"
    frame = f"{url}html/0/"
    assert 'data-blocked-images="2"' in browser.get(frame).content.decode()
    shown = browser.get(f"{frame}?pictures=1").content.decode()
    assert 'data-blocked-images="0"' in shown and shown.count("/mail/picture/?of=") == 2 and "far.test" not in shown
    assert f'src="{frame}?pictures=1"' in browser.get(f"{url}?pictures=1").content.decode()
    browser.post(f"{url}pictures/", {"action": "always"})
    assert "/mail/picture/" in browser.get(frame).content.decode()
    assert "Block them again" in browser.get(url).content.decode()
    data = {"results": {"dmarc": "fail"}, "reasons": [], "score": 0}
    verdict = MessageVerdict.objects.create(message_id=place.message_id, trace_id="x", score=0, data=data)
    assert "/mail/picture/" not in browser.get(frame).content.decode()  # a forged sender is not the one that was meant
    verdict.delete()
    browser.post(f"{url}pictures/", {"action": "never"})
    assert "/mail/picture/" not in browser.get(frame).content.decode()
    assert browser.post(f"{url}pictures/", {"action": "x"}).status_code == 404


@WEB
def test_only_for_whom_the_address_was_made(
    browser: Client, stranger: Client, anna: User, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def fetch(resolver: object, url: str) -> Picture:
        asked.append(url)
        return Picture(PNG, "image/png")

    monkeypatch.setattr(views, "fetch_picture", fetch)
    place = put(anna, letter(html=BODY))
    body = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/html/0/?pictures=1").content.decode()
    [first, second] = re.findall(r'src="(/mail/picture/[^"]+)"', body)
    answer = browser.get(first)
    assert (answer.content, answer["Content-Type"]) == (PNG, "image/png")
    assert "sandbox" in answer["Content-Security-Policy"] and answer["X-Content-Type-Options"] == "nosniff"
    assert stranger.get(first).status_code == 404
    assert browser.get(first[:-1]).status_code == 404
    assert browser.get("/mail/picture/").status_code == 404
    assert Client().get(first).status_code == 302
    browser.get(second)
    assert asked == ["https://far.test/a.png?x=1&y=2", "https://far.test/b.png"]
