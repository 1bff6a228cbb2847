"""FETCH: every item, sections and partials, \\Seen, large answers."""

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from mailservers.models import MessageData

pytestmark = pytest.mark.asyncio

HEADER = b"From: =?utf-8?q?J=C3=B6?= <jo@harbour.test>\r\nTo: b@harbour.test\r\nSubject: Parts\r\n"
MIXED = (
    HEADER
    + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\npreamble\r\n'
    + b"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b"caf=C3=A9\r\n"
    + b"--x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n"
    + b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inner\r\n\r\nInner body\r\n"
    + b"--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\nodd\r\n"
    + b"--x--\r\n"
)
PLAIN = HEADER + b"\r\nOne line\r\n"


async def value(client, item: str) -> bytes:
    """What FETCH 1 (item) says after the item's name."""
    client.tags += 1
    tag = b"t%d" % client.tags
    client.send(tag + b" FETCH 1 (" + item.encode() + b")\r\n")
    output = await client.rest()
    head, _, tail = output.partition(b"(")
    assert head == b"* 1 FETCH ", output
    body, _, status = tail.rpartition(b")\r\n" + tag + b" ")
    assert status.startswith(b"OK"), output
    name, _, rest = body.partition(b" ")
    if b"[" in name and b"]" not in name:
        name, _, rest = body.partition(b"] ")
    return rest


def lit(data: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(data), data)


@pytest.fixture
async def mixed(client):
    await client.append("INBOX", MIXED)
    await client.ok("SELECT INBOX")
    await client.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    return client


async def test_sections(mixed):
    header = MIXED[: MIXED.index(b"\r\n\r\n") + 4]
    for item, expected in (
        ("BODY[]", MIXED),
        ("BODY.PEEK[]", MIXED),
        ("RFC822", MIXED),
        ("BODY[HEADER]", header),
        ("RFC822.HEADER", header),
        ("BODY[TEXT]", MIXED[len(header) :]),
        ("RFC822.TEXT", MIXED[len(header) :]),
        ("BODY[1]", b"caf=C3=A9"),
        ("BODY[1.MIME]",
         b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
        ("BODY[3]", b"Subject: Inner\r\n\r\nInner body"),
        ("BODY[3.HEADER]", b"Subject: Inner\r\n\r\n"),
        ("BODY[3.TEXT]", b"Inner body"),
        ("BODY[3.1]", b"Inner body"),
        ("BODY[3.HEADER.FIELDS (subject)]", b"Subject: Inner\r\n\r\n"),
        ("BODY[HEADER.FIELDS (SUBJECT to)]", b"To: b@harbour.test\r\nSubject: Parts\r\n\r\n"),
        ("BODY[HEADER.FIELDS.NOT (From To MIME-Version Content-Type)]", b"Subject: Parts\r\n\r\n"),
        ("BODY[HEADER.FIELDS (X-None)]", b"\r\n"),
        ("BODY[]<0.4>", b"From"),
        ("BODY[]<5.3>", MIXED[5:8]),
        ("BODY[]<99999.3>", b""),
        ("BINARY[1]", "café".encode()),
        ("BINARY.PEEK[1]<3.9>", "é".encode()),
        ("BINARY[]", MIXED),
        ("BINARY[3.1]", b"Inner body"),
    ):  # fmt: skip
        assert await value(mixed, item) == lit(expected), item
    for item in ("BODY[5]", "BODY[1.1]", "BODY[1.HEADER]", "BODY[9.MIME]", "BINARY[7]"):
        assert await value(mixed, item) == b"NIL", item
    assert await value(mixed, "BINARY[2]") == b"~" + lit(b"\0\1\2")
    assert await value(mixed, "BINARY.SIZE[2]") == b"3"
    assert await value(mixed, "RFC822.SIZE") == b"%d" % len(MIXED)


async def test_unknown_transfer_encoding(mixed):
    assert (await mixed.command("FETCH 1 BINARY[4]"))[-1].startswith(b"NO [UNKNOWN-CTE]")
    assert (await mixed.command("FETCH 1 BINARY.SIZE[4]"))[-1].startswith(b"NO [UNKNOWN-CTE]")
    assert await value(mixed, "BODY[4]") == lit(b"odd")


async def test_structure(mixed):
    body = await value(mixed, "BODY")
    structure = await value(mixed, "BODYSTRUCTURE")
    assert body.lower().startswith(b'(("text" "plain" ("charset" "utf-8") nil nil "quoted-printable" 9 0)')
    assert b'"boundary"' in structure.lower() and b'"boundary"' not in body.lower()
    assert (await value(mixed, "ENVELOPE")).startswith(
        b'(NIL "Parts" (("=?utf-8?q?J=C3=B6?=" NIL "jo" "harbour.test"))'
    )


async def test_labels_and_macros(client):
    await client.append("INBOX", PLAIN, r'(\Seen) "01-Feb-2020 10:00:00 +0000"')
    await client.ok("SELECT INBOX")
    await client.dialog(
        rf"""
        C: a FETCH 1 FAST
        S: * 1 FETCH (FLAGS (\Seen \Recent) INTERNALDATE "01-Feb-2020 10:00:00 +0000" RFC822.SIZE {len(PLAIN)})
        S: a OK FETCH completed
        C: b UID FETCH 1 (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent))
        S: b OK FETCH completed
        C: c FETCH 1 body.peek[header.fields (subject)]<0.7>
        S: * 1 FETCH (BODY[HEADER.FIELDS (subject)]<0> {{7}}
        S: Subject)
        S: c OK FETCH completed
        C: d FETCH 2 FLAGS
        S: d BAD No message has that number
        C: e FETCH 1:* FLAGS
        S: * 1 FETCH (FLAGS (\Seen \Recent))
        S: e OK FETCH completed
        C: f UID FETCH 5:9 FLAGS
        S: f OK FETCH completed
        C: g UID FETCH 9:* FLAGS
        S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent))
        S: g OK FETCH completed
        C: h FETCH 1 (FLAGS
        S: h BAD Expected a space
        C: i FETCH 1 (FOO)
        S: i BAD Unknown FETCH item
        """
    )
    assert b"ENVELOPE (" in (await client.ok("FETCH 1 ALL"))[0]
    assert b" BODY (" in (await client.ok("FETCH 1 FULL"))[0]


async def test_seen_is_set_and_told(client):
    for _ in range(3):
        await client.append("INBOX", PLAIN)
    await client.ok("SELECT INBOX")
    await client.ok("FETCH 1 (BODY.PEEK[TEXT] BINARY.PEEK[1] RFC822.HEADER)")
    assert await client.ok("SEARCH SEEN") == [b"* SEARCH", b"OK SEARCH completed"]
    await client.dialog(
        r"""
        C: a FETCH 1 BODY[TEXT]<0.3>
        S: * 1 FETCH (FLAGS (\Seen \Recent) BODY[TEXT]<0> {3}
        S: One)
        S: a OK FETCH completed
        C: b FETCH 1 BODY[TEXT]<0.3>
        S: * 1 FETCH (BODY[TEXT]<0> {3}
        S: One)
        S: b OK FETCH completed
        C: c UID FETCH 2 BINARY[1]<0.3>
        S: * 2 FETCH (UID 2 FLAGS (\Seen \Recent) BINARY[1]<0> {3}
        S: One)
        S: c OK FETCH completed
        C: d SEARCH SEEN
        S: * SEARCH 1 2
        S: d OK SEARCH completed
        """
    )
    await client.ok("EXAMINE INBOX")
    await client.ok("FETCH 3 BODY[]")
    assert await client.ok("SEARCH UNSEEN") == [b"* SEARCH 3", b"OK SEARCH completed"]


async def test_any_octets_come_back_unchanged(client):
    odd = bytes(range(256)) * 3 + b"\n\r\r\n\0"
    await client.append("INBOX", odd)
    await client.append("INBOX", b"\n")
    await client.ok("SELECT INBOX")
    assert await value(client, "BODY.PEEK[]") == lit(odd)
    client.send(b"z FETCH 2 (BODY.PEEK[] BODY.PEEK[TEXT] RFC822.SIZE ENVELOPE BODYSTRUCTURE)\r\n")
    assert b"RFC822.SIZE 1" in await client.rest()


async def test_many_messages_in_chunks(client):
    big = HEADER + b"\r\n" + b"x" * 300_000 + b"\r\n"
    for n in range(8):
        await client.append("INBOX", big + b"%d\r\n" % n)
    await client.ok("SELECT INBOX")
    client.send(b"a FETCH 1:* (UID BODY[])\r\n")
    output = await client.rest()
    assert output.count(b" FETCH (UID ") == 8
    assert output.count(b"BODY[] {%d}\r\n" % (len(big) + 3)) == 8
    assert output.count(b"\\Seen") == 8
    assert output.endswith(b"a OK FETCH completed\r\n")


async def test_damaged_content(client, monkeypatch):
    """Octets that are lost are no empty message, which clients would keep: NO [CORRUPTION] (RFC 5530)."""
    await client.append("INBOX", b"Subject: x\r\n\r\nbody\r\n")
    await client.append("INBOX", b"Subject: y\r\n\r\nbody\r\n")
    await client.ok("SELECT INBOX")
    whole = await sync_to_async(list)(MessageData.objects.order_by("pk").values_list("pk", "header", "body"))
    pk, header, body = whole[0]
    for damage in ({"body": b"no zstandard"}, {"body": b"", "file": "00nothing"}):
        await sync_to_async(MessageData.objects.filter(pk=pk).update)(**damage)
        for items in ("BODY.PEEK[]", "BODY.PEEK[TEXT]", "BINARY.PEEK[1]"):
            assert (await client.command(f"FETCH 1 {items}"))[-1].startswith(b"NO [CORRUPTION] "), items
    assert (await client.ok("FETCH 1 (ENVELOPE BODY.PEEK[HEADER])"))[-1].startswith(b"OK")
    assert (await client.ok("FETCH 2 BODY.PEEK[]"))[-1].startswith(b"OK")
    monkeypatch.setattr(settings, "STREAM_OVER", 1)
    assert (await client.command("FETCH 1 BODY.PEEK[]"))[-1].startswith(b"NO [CORRUPTION] ")
    monkeypatch.undo()
    await sync_to_async(MessageData.objects.filter(pk=pk).delete)()
    for items in ("BODY.PEEK[]", "BODY.PEEK[HEADER]"):
        assert (await client.command(f"FETCH 1 {items}"))[-1].startswith(b"NO [CORRUPTION] "), items
    await sync_to_async(MessageData.objects.create)(pk=pk, header=header, body=body)
    await client.ok("FETCH 1 BODY.PEEK[]")
