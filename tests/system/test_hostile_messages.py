"""Messages made to hurt, through the whole server: in by SMTP, out by IMAP, POP3 and the webmail.

Each is accepted and given back octet for octet; no reader of it takes much of the server's time or memory, and a
neighbour's session is answered meanwhile. What was measured is printed (`pytest -s`).
"""

from __future__ import annotations

import http.cookiejar
import imaplib
import os
import poplib
import re
import smtplib
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.instance import Instance, instance
from tests.system.test_large_messages import Watch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

LOGIN, NEIGHBOUR, PASSWORD = "target@hostile.test", "neighbour@hostile.test", "correct horse 9"
MIB = 1024 * 1024
MAX_CPU_S = 30.0  # of the server, for one message and all readers; a busy machine counts more than an idle one
MAX_GROWTH = 512 * MIB
MAX_WAIT_S = 10.0  # of the neighbour
HEAD = b"From: a@far.test\r\nTo: target@hostile.test\r\nSubject: %b\r\nMIME-Version: 1.0\r\n"


def wrapped(octets: bytes, width: int = 76) -> bytes:
    return b"".join(octets[at : at + width] + b"\r\n" for at in range(0, len(octets), width))


def nested_multiparts() -> bytes:
    return (
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(10_000))
        + b"\r\ninnermost\r\n"
    )


def similar_boundaries() -> bytes:
    """Each boundary begins like the one around it, and the text like all of them."""
    text = b""
    for n in range(90):
        line = b"=" * (n % 60 + 1)
        text += b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n' % (line, line)
    return text + b"\r\n" + (b"--" + b"=" * 61 + b"x\r\n") * 100_000


def lying_charsets() -> bytes:
    parts = b""
    for charset, octets in (
        (b"utf-16", b"plain ascii, odd in number " * 20_000),
        (b"iso-2022-jp", bytes(range(128, 256)) * 4_000),
        (b"utf-7", b"+AOk" * 100_000),
        (b"hz-gb-2312", b"~{" * 200_000),
        (b"utf-8", b"\xed\xa0\x80\xff" * 100_000),
        (b"no-such-charset", b"\xe4" * 200_000),
        (b"base64", b"abcd" * 50_000),
    ):
        parts += b"--c\r\nContent-Type: text/plain; charset=%b\r\n\r\n%b\r\n" % (charset, wrapped(octets, 900))
    return b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + parts + b"--c--\r\n"


def html(body: bytes) -> bytes:
    return b"Content-Type: text/html; charset=utf-8\r\n\r\n" + wrapped(body, 900)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "10,000 nested multiparts": nested_multiparts,
    "100,000 parts": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: text/plain; name=x\r\n\r\nx\r\n" * 100_000
        + b"--b--\r\n"
    ),
    "100,000 attachments": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Disposition: attachment; filename*0*=utf-8''%c3; filename*1=.pdf\r\n\r\nx\r\n" * 100_000
        + b"--b--\r\n"
    ),
    "8 MB of header lines": lambda: b"X-Filler: some words in a line\r\n" * 260_000 + b"\r\nbody\r\n",
    "a header line of 50 MB": lambda: b"X-Long: " + b"x" * 50_000_000 + b"\r\n\r\nbody\r\n",
    "a body line of 50 MB": lambda: b"\r\n" + b"x" * 50_000_000 + b"\r\n",
    "boundaries that resemble each other": similar_boundaries,
    "50,000 messages in messages": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 50_000 + b"\r\ninnermost\r\n",
    "40 MB of base64 that say nothing": lambda: (
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped(b"AAAA" * 10_000_000)
    ),
    "20 MB of quoted-printable": lambda: (
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + wrapped(b"=3D" * 6_600_000, 75)
    ),
    "charsets that lie": lying_charsets,
    "300,000 encoded words": lambda: (
        b"X-Words: " + b"=?utf-8?q?=C3=BC?= =?koi8-r?b?/w?=\r\n " * 150_000 + b"\r\n\r\nbody\r\n"
    ),
    "20,000 encoded words in the subject": lambda: (
        b"Subject: " + b"=?iso-2022-jp?b?GyRCJCIbKEI=?=\r\n =?utf-8?q?=C3=BC?=\r\n " * 10_000 + b"\r\n\r\nbody\r\n"
    ),
    "100,000 addresses": lambda: (
        b"Cc: " + b'"J. \\"X\\" D" <j@far.test>,\r\n ' * 100_000 + b"z@far.test\r\n\r\nbody\r\n"
    ),
    "100,000 references": lambda: b"References: " + b"<a.b@far.test>\r\n " * 100_000 + b"\r\n\r\nbody\r\n",
    "100,000 parameters": lambda: b"Content-Type: text/plain" + b";\r\n a*0*=%20" * 100_000 + b"\r\n\r\nbody\r\n",
    "authentication results": lambda: (
        b"Authentication-Results: x;" + b"a" * 900_000 + b"\r\n" + b"Authentication-Results: mx.far.test;" * 9_000
        + b"\r\n\r\nbody\r\n"
    ),
    "signatures": lambda: (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=far.test; s=s; h=from; bh=AA==; b=AA==\r\n" * 5_000 + b"\r\nbody\r\n"
    ),
    "200,000 open elements": lambda: html(b"<div><b><table><a href=x>" * 50_000),
    "styles and quotes": lambda: (
        html(b"<p style='" + b"color:red;" * 200_000 + b"'>" + b"<blockquote>\"'<!--" * 50_000)
    ),
    "2 MB of quoted text": lambda: b"\r\n" + (b">" * 60 + b" http://x.test/((((\r\n") * 25_000,
}  # fmt: skip


class Neighbour:
    """Somebody else's session: the longest that one of its NOOPs had to wait."""

    def __init__(self, server: Instance) -> None:
        self.longest_s = 0.0
        self._client = server.imap(NEIGHBOUR, PASSWORD)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.wait(0.05):
            began = time.monotonic()
            self._client.noop()
            self.longest_s = max(self.longest_s, time.monotonic() - began)

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.shutdown()


class Web:
    """A browser without scripts, signed in."""

    def __init__(self, server: Instance) -> None:
        self._base = f"http://127.0.0.1:{server.ports['web']}"
        cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
        page = self.get("/sign-in/").decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "login": LOGIN, "password": PASSWORD}
        request = urllib.request.Request(
            self._base + "/sign-in/", urllib.parse.urlencode(form).encode(), {"Referer": self._base}
        )
        self._opener.open(request, timeout=120).read()

    def get(self, path: str) -> bytes:
        with self._opener.open(self._base + path, timeout=300) as answer:
            assert answer.status == 200
            return answer.read()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spent(pid: int, work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What `work` gives, and the server's CPU seconds for it."""
    before = cpu_s(pid)
    return work(*arguments), cpu_s(pid) - before


@pytest.fixture(scope="module")
def server() -> Iterator[Instance]:
    with instance(environment={"POSTROOM_MESSAGE_SIZE_LIMIT": str(64 * MIB)}) as running:
        running.import_users([LOGIN, NEIGHBOUR], PASSWORD)
        with smtplib.SMTP("127.0.0.1", running.ports["smtp"]) as client:
            client.sendmail("a@far.test", LOGIN, HEAD % b"first" + b"\r\nbody\r\n")
        yield running


@pytest.fixture(scope="module")
def web(server: Instance) -> Web:
    return Web(server)


def accept(server: Instance, raw: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=300) as client:
        client.sendmail("a@far.test", LOGIN, raw)


def read_by_imap(server: Instance, raw: bytes) -> int:
    """Whatever a client asks of the newest message; its UID."""
    imaplib._MAXLINE = 200 * MIB
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=300)
    try:
        client.login(LOGIN, PASSWORD)
        number = client.select("INBOX", readonly=True)[1][0].decode()
        for items in (
            "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE PREVIEW)",
            "(BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.100> BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[1.1.1.1.1.HEADER])",
            "(BODY.PEEK[HEADER.FIELDS (FROM SUBJECT X-LONG)] BINARY.PEEK[1]<0.1000> BINARY.SIZE[1])",
        ):
            status, data = client.fetch(number, items)
            # A part in an encoding that is a lie has no binary form (RFC 3516 section 4.3).
            assert status == "OK" or "BINARY" in items, data
        whole = client.fetch(number, "(UID BODY.PEEK[])")[1]
        assert whole[0][1].endswith(raw), "IMAP gives other octets back"
        for criteria in ('SUBJECT "no such words"', 'TEXT "innermost"', 'BODY "no such words"', 'HEADER X-WORDS "ü"'):
            charset = None if criteria.isascii() else "UTF-8"
            assert client.search(charset, criteria.encode() if charset else criteria)[0] == "OK"
        assert client.sort("(SUBJECT)", "UTF-8", "ALL")[0] == "OK"
        assert client.thread("REFERENCES", "UTF-8", "ALL")[0] == "OK"
        return int(re.search(rb"UID (\d+)", whole[0][0])[1])
    finally:
        client.shutdown()


def read_by_pop3(server: Instance, raw: bytes) -> None:
    poplib._MAXLINE = 200 * MIB
    client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=300)
    client.user(LOGIN)
    client.pass_(PASSWORD)
    number = client.stat()[0]
    client.top(number, 5)
    got = b"\r\n".join(client.retr(number)[1]) + b"\r\n"
    client.quit()
    assert got.endswith(raw), "POP3 gives other octets back"


def read_in_the_browser(web: Web, uid: int) -> None:
    home = web.get("/").decode()
    mailbox = re.search(r"/mail/(\d+)/", home)
    assert mailbox
    at = f"/mail/{mailbox[1]}/{uid}/"
    page = web.get(at).decode("utf-8", "replace")
    for link in set(re.findall(rf'"({at}html/[^"]+)"', page)):
        web.get(link)
    web.get(at + "source/")
    web.get("/mail/search/?q=" + urllib.parse.quote("innermost -nothing subject:x"))


@pytest.mark.parametrize("name", HOSTILE)
def test_is_taken_and_given_back(server: Instance, web: Web, name: str) -> None:
    raw = HEAD % b"hostile" + HOSTILE[name]()
    assert server.process is not None
    pid = server.process.pid
    told = [f"{len(raw) / 1e6:5.1f} MB"]
    began = cpu_s(pid)
    with Watch(pid) as memory, Neighbour(server) as neighbour:
        told.append(f"SMTP {spent(pid, accept, server, raw)[1]:.1f} s")
        uid, imap_s = spent(pid, read_by_imap, server, raw)
        told.append(f"IMAP {imap_s:.1f} s")
        told.append(f"POP3 {spent(pid, read_by_pop3, server, raw)[1]:.1f} s")
        told.append(f"web {spent(pid, read_in_the_browser, web, uid)[1]:.1f} s")
    told.append(f"{memory.growth / MIB:.0f} MiB, neighbour {neighbour.longest_s:.2f} s")
    print(f"\n| {name} | {' | '.join(told)} |")
    assert cpu_s(pid) - began < MAX_CPU_S
    assert memory.growth < MAX_GROWTH
    assert neighbour.longest_s < MAX_WAIT_S


def test_nothing_was_logged_and_the_store_is_sound(server: Instance) -> None:
    assert "Traceback" not in server.log(), server.log()[-5000:]
    server.stop()
    assert "The mail store is sound" in server.manage("check").stdout
