"""ESEARCH over several mailboxes (RFC 7377), and UID FETCH with PARTIAL (RFC 9394)."""

import pytest

from mailservers.models import Mailbox


@pytest.fixture
async def filled(client):
    for name in ("folder1", "folder2/banana", "folder2/peach/pit", "other"):
        await client.ok(f"CREATE {name}")
    for name, count in (("INBOX", 3), ("folder1", 2), ("folder2/peach", 1), ("folder2/peach/pit", 1), ("other", 1)):
        for number in range(count):
            await client.append(name, b"Subject: fruit %d\r\n\r\nx\r\n" % number)
    return client


async def asked(client, command: str) -> list[str]:
    """Which mailboxes answer with what."""
    lines = await client.ok(command)
    return [line.decode().split(" MAILBOX ")[1].replace('"', "") for line in lines[:-1]]


def answer(validities: dict[str, int], name: str, rest: str) -> str:
    return f"{name} UIDVALIDITY {validities[name]}) {rest}"


async def test_mailboxes(filled, anna):
    v = {
        name: validity
        async for name, validity in Mailbox.objects.filter(owner=anna).values_list("name", "uid_validity")
    }
    pit, peach = answer(v, "folder2/peach/pit", "UID ALL 1"), answer(v, "folder2/peach", "UID ALL 1")
    one = answer(v, "folder1", "UID ALL 1:2")
    assert await asked(filled, 'ESEARCH IN (mailboxes "folder1" subtree "folder2") SUBJECT fruit') == [one, peach, pit]
    assert await asked(filled, "ESEARCH IN (mailboxes folder1 subtree-one folder2) ALL") == [one, peach]
    assert await asked(filled, "ESEARCH IN (mailboxes (folder1 nowhere)) RETURN (COUNT MAX) UID 1") == [
        answer(v, "folder1", "UID MAX 1 COUNT 1")
    ]
    assert len(await asked(filled, "ESEARCH IN (personal) RETURN (PARTIAL 1:1) ALL")) == 5
    assert len(await asked(filled, "ESEARCH IN (inboxes subscribed) ALL")) == 5
    assert await asked(filled, "ESEARCH IN (personal) RETURN (COUNT) SUBJECT nothing") == []


async def test_selected(filled):
    await filled.ok("SELECT INBOX")
    validity = (await filled.ok("STATUS INBOX (UIDVALIDITY)"))[0].split()[-1][:-1].decode()
    await filled.dialog(
        f"""
        C: a ESEARCH RETURN (COUNT SAVE) 2:3
        S: * ESEARCH (TAG "a" MAILBOX INBOX UIDVALIDITY {validity}) UID COUNT 2
        S: a OK ESEARCH completed
        C: b ESEARCH IN (selected) UID $
        S: * ESEARCH (TAG "b" MAILBOX INBOX UIDVALIDITY {validity}) UID ALL 2:3
        S: b OK ESEARCH completed
        C: c ESEARCH IN (selected mailboxes folder1) RETURN (MIN) ALL
        S: * ESEARCH (TAG "c" MAILBOX INBOX UIDVALIDITY {validity}) UID MIN 1
        S: * ESEARCH (TAG "c" MAILBOX folder1 UIDVALIDITY ...) UID MIN 1
        S: c OK ESEARCH completed
        """
    )


async def test_refusals(filled):
    await filled.dialog(
        """
        C: a ESEARCH ALL
        S: a BAD No mailbox is selected
        C: b ESEARCH IN (selected personal) ALL
        S: b BAD No mailbox is selected
        C: c ESEARCH IN () ALL
        S: c BAD Expected mailboxes to search
        C: d ESEARCH IN (selected-delayed) ALL
        S: d BAD Unknown mailbox filter
        C: e ESEARCH IN (personal) RETURN (SAVE) ALL
        S: e BAD Only a search of the selected mailbox can be saved
        C: f ESEARCH IN (personal) 1:2
        S: f BAD Message numbers mean nothing outside the selected mailbox
        C: g ESEARCH IN (personal (depth 1)) ALL
        S: g BAD ...
        """
    )


async def test_partial_fetches(filled):
    await filled.ok("SELECT INBOX")
    await filled.dialog(
        """
        C: a UID FETCH 1:* (UID) (PARTIAL -1:-2)
        S: * 2 FETCH (UID 2)
        S: * 3 FETCH (UID 3)
        S: a OK FETCH completed
        C: b UID FETCH 2:9 (UID) (PARTIAL 1:1)
        S: * 2 FETCH (UID 2)
        S: b OK FETCH completed
        C: c UID FETCH 1:* (UID) (PARTIAL 7:9)
        S: c OK FETCH completed
        C: d FETCH 1:* (UID) (PARTIAL 1:1)
        S: d BAD [CLIENTBUG] PARTIAL is for UID FETCH
        C: e UID FETCH 1:* (UID) (PARTIAL 1:-1)
        S: e BAD Expected a range of results
        """
    )
