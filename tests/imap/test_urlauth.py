"""URLs that authorize (RFC 4467), after its examples."""

from __future__ import annotations

import re

import pytest

from mailservers.formats.imap.urls import BadUrl, parse_authorized_url

MESSAGE = (
    b'Subject: x\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--b\r\n\r\nSi vis pacem, para bellum.\r\n\r\n--b--\r\n"
)
URL = "imap://anna%40harbour.test@example.com/INBOX/;uid=1/;section=2"


@pytest.fixture
async def both(connect, anna, ben):
    one, two = await connect(anna), await connect(ben)
    await one.append("INBOX", MESSAGE)
    return one, two


async def made(client, url: str) -> str:
    lines = await client.ok(f'GENURLAUTH "{url}" INTERNAL')
    return re.fullmatch(rb'\* GENURLAUTH "?([^"]+)"?', lines[0])[1].decode()


async def fetched(client, url: str) -> bytes | None:
    client.send(f'u URLFETCH "{url}"\r\n')
    got = await client.until(rb"u OK URLFETCH completed")
    match = re.fullmatch(rb'\* URLFETCH "?[^" ]+"? (?:NIL|\{(\d+)\}\r\n(.*))\r\nu OK[^\r]*\r\n', got, re.DOTALL)
    assert match, got
    if match[1] is None:
        return None
    assert int(match[1]) == len(match[2])
    return match[2]


def test_grammar():
    url = parse_authorized_url(
        b"imap://joe@example.com/INBOX/;uid=20/;section=1.2;EXPIRE=2030-01-02T03:04:05Z"
        b";urlauth=submit+fred:internal:91354a473744909de610943775f92038"
    )
    assert (url.user, url.access, url.who, url.mechanism) == ("joe", "SUBMIT", "fred", "INTERNAL")
    assert url.message.mailbox == "INBOX" and url.message.uid == 20 and url.expires.year == 2030
    assert url.token == "91354a473744909de610943775f92038" and url.rump.endswith(b";urlauth=submit+fred")
    plain = parse_authorized_url(b"imap://joe;AUTH=*@example.com:143/a;UIDVALIDITY=3/;UID=1;URLAUTH=anonymous")
    assert plain.mechanism == plain.token == plain.who == "" and plain.message.uid_validity == 3


@pytest.mark.parametrize(
    "url",
    [
        b"", b"imap://joe@h/INBOX/;UID=1", b"imap://h/INBOX/;UID=1;URLAUTH=authuser",
        b"imap://joe@h/INBOX;URLAUTH=authuser", b"imap://joe@h/;UID=1;URLAUTH=authuser",
        b"imap://joe@h/a/;UID=1;URLAUTH=user", b"imap://joe@h/a/;UID=1;URLAUTH=authuser+x",
        b"imap://joe@h/a/;UID=1;URLAUTH=other", b"imap://joe@h/a/;UID=1;URLAUTH=authuser:internal:12",
        b"imap://joe@h/a/;UID=1;URLAUTH=authuser:internal", b"imap://joe@h/a/;UID=1;EXPIRE=soon;URLAUTH=authuser",
        b"imap://joe@h/a/;UID=1;EXPIRE=2030-01-02T03:04:05;URLAUTH=authuser",
        b"imap://joe@h/a/;UID=1;EXPIRE=2030-13-02T03:04:05Z;URLAUTH=authuser",
        b"imap://j%ff@h/a/;UID=1;URLAUTH=authuser", b"imap://joe@h/a?x/;UID=1;URLAUTH=authuser",
        b"http://joe@h/a/;UID=1;URLAUTH=authuser", b"imap://joe@h/a/;UID=1;URLAUTH=user+%zz",
        b"imap://joe@h/a/;UID=1;URLAUTH=authuser:internal:" + b"a" * 32 + b"x",
    ],
)  # fmt: skip
def test_what_is_no_authorized_url(url):
    with pytest.raises(BadUrl):
        parse_authorized_url(url)


async def test_generate_and_fetch(both):
    one, two = both
    text = b"Si vis pacem, para bellum.\r\n"
    assert (await one.command(f'GENURLAUTH "{URL}" INTERNAL'))[-1].startswith(b"BAD ")  # no access identifier
    assert (await one.command(f'GENURLAUTH "{URL};urlauth=authuser" XSAMPLE'))[-1].startswith(b"NO [CANNOT] ")
    assert (await two.command(f'GENURLAUTH "{URL};urlauth=authuser" INTERNAL'))[-1].startswith(b"BAD ")  # not his
    missing = URL.replace("INBOX", "Nope")
    assert (await one.command(f'GENURLAUTH "{missing};urlauth=authuser" INTERNAL'))[-1].startswith(b"BAD ")
    anyone = await made(one, f"{URL};urlauth=authuser")
    assert re.fullmatch(re.escape(f"{URL};urlauth=authuser:internal:") + "[0-9a-f]{32,}", anyone)
    for_ben = await made(one, f"{URL};URLAUTH=user+ben%40harbour.test")
    for_anna = await made(one, f"{URL};URLAUTH=user+anna%40harbour.test")
    for_fred = await made(one, f"{URL};urlauth=submit+fred")
    assert await fetched(two, anyone) == text and await fetched(one, anyone) == text
    assert await fetched(two, for_ben) == text and await fetched(one, for_ben) is None
    assert await fetched(two, for_anna) is None and await fetched(one, for_anna) == text
    assert await fetched(two, for_fred) is None
    # Not a letter of it may differ.
    changes = (("uid=1", "uid=2"), ("authuser", "anonymous"), ("example.com", "EXAMPLE.com"), ("internal", "other"))
    others = [anyone.replace(*change) for change in changes]
    others += [anyone[:-1], anyone[:-1] + ("0" if anyone[-1] != "0" else "1")]
    for other in (*others, f"{URL};urlauth=authuser", "imap://example.com/", URL):
        assert await fetched(two, other) is None, other
    assert (await one.ok("STATUS INBOX (UNSEEN)"))[0] == b"* STATUS INBOX (UNSEEN 1)"
    # What is gone is gone.
    await one.ok("SELECT INBOX")
    await one.ok(r"STORE 1 +FLAGS (\Deleted)")
    await one.ok("EXPUNGE")
    assert await fetched(two, anyone) is None


async def test_submission(both, settings):
    one, two = both
    url = await made(one, f"{URL.replace('2', '1')};urlauth=submit+fred")
    settings.IMAP_SUBMIT_USER = "Ben@harbour.test"
    assert await fetched(two, url) == b"first" and await fetched(one, url) is None


async def test_several_at_once_and_expiry(both):
    one, two = both
    late = await made(one, f"{URL};EXPIRE=2099-01-01T00:00:00Z;URLAUTH=authuser")
    early = await made(one, f"{URL};EXPIRE=2001-01-01T00:00:00+01:00;URLAUTH=authuser")
    assert await fetched(two, late) is not None and await fetched(two, early) is None
    lines = await one.ok(f'GENURLAUTH "{URL};URLAUTH=anonymous" INTERNAL "{URL};URLAUTH=authuser" internal')
    assert lines[0].count(b":internal:") == 2
    lines = await two.ok(f'URLFETCH "{early}" "{late}"')
    assert sum(line.startswith(b"* URLFETCH ") for line in lines) == 2
    assert (await two.command("URLFETCH " + " ".join(["x"] * 101)))[-1].startswith(b"NO [LIMIT] ")
    for bad in ("URLFETCH", "GENURLAUTH", "GENURLAUTH x", "RESETKEY (", "RESETKEY INBOX INTERNAL ("):
        assert (await one.command(bad))[-1].startswith(b"BAD "), bad


async def test_keys_are_reset(both, connect, anna):
    one, two = both
    watcher = await connect(anna)
    lines = await watcher.ok("SELECT INBOX")
    assert b"* OK [URLMECH INTERNAL] Mechanisms of URLAUTH" in lines
    first = await made(one, f"{URL};URLAUTH=authuser")
    assert await fetched(two, first) is not None
    await one.dialog(
        """
        C: a32 RESETKEY INBOX
        S: a32 OK [URLMECH INTERNAL] RESETKEY completed
        C: a33 RESETKEY INBOX XSAMPLE
        S: a33 NO [CANNOT] The only mechanism is INTERNAL
        C: a34 RESETKEY Nope
        S: a34 NO [NONEXISTENT] The mailbox does not exist
        """
    )
    assert (await watcher.ok("NOOP"))[0] == b"* OK [URLMECH INTERNAL] Mechanisms of URLAUTH"
    assert await fetched(two, first) is None
    second = await made(one, f"{URL};URLAUTH=authuser")
    assert await fetched(two, second) is not None
    assert await one.ok("RESETKEY") == [b"OK All keys removed"]
    assert await fetched(two, second) is None


async def test_a_shared_mailbox(both):
    """The URL gives what its maker may read, as long as they may."""
    one, two = both
    await one.ok("SETACL INBOX ben@harbour.test lr")
    url = await made(two, "imap://ben%40harbour.test@h/Shared/anna%40harbour.test/INBOX/;UID=1;URLAUTH=authuser")
    assert await fetched(one, url) == MESSAGE
    await one.ok("SETACL INBOX ben@harbour.test l")
    assert await fetched(one, url) is None
