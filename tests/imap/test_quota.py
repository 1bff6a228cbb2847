"""QUOTA (RFC 9208) as a client sees it, and what over quota means to APPEND, COPY and MOVE."""

import asyncio

import pytest

from accounts.auth.door import Identity
from accounts.models import Domain, User
from mailservers.formats.imap.lexer import ImapSyntaxError, Lexer
from mailservers.formats.imap.quotas import parse_setquota, quota_response
from mailservers.store.engine import store

MESSAGE = b"Subject: Hello\r\n\r\n" + b"x" * 1000 + b"\r\n"
ANNA = "#user/anna@harbour.test"


def limit(**fields: int) -> None:
    User.objects.filter(login="anna@harbour.test").update(**fields)


async def test_usage_and_limits_are_told(client) -> None:
    await client.dialog(
        f"""
        C: a GETQUOTAROOT INBOX
        S: * QUOTAROOT INBOX {ANNA}
        S: * QUOTA {ANNA} ()
        S: a OK GETQUOTAROOT completed
        """
    )
    await asyncio.to_thread(limit, quota_octets=10_000, quota_messages=5)
    await asyncio.to_thread(Domain.objects.update, quota_messages=100)
    await client.append("INBOX", MESSAGE, "(\\Deleted)")
    await client.append("INBOX", MESSAGE)
    await client.dialog(
        f"""
        C: a GETQUOTA "{ANNA}"
        S: * QUOTA {ANNA} (STORAGE 2 10 MESSAGE 2 5)
        S: a OK GETQUOTA completed
        C: b GETQUOTAROOT "Not there yet"
        S: * QUOTAROOT "Not there yet" {ANNA} #domain/harbour.test
        S: * QUOTA {ANNA} (STORAGE 2 10 MESSAGE 2 5)
        S: * QUOTA #domain/harbour.test (MESSAGE 2 100)
        S: b OK GETQUOTAROOT completed
        C: c GETQUOTA #user/ben@harbour.test
        S: c NO [NONEXISTENT] No such quota root
        C: d SETQUOTA {ANNA} (STORAGE 1000)
        S: d NO [NOPERM] Only administrators set quotas
        C: e STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)
        S: * STATUS INBOX (MESSAGES 2 DELETED 1 DELETED-STORAGE {len(MESSAGE)})
        S: e OK STATUS completed
        C: f GETQUOTA
        S: f BAD Expected a space
        """
    )
    capability = (await client.ok("CAPABILITY"))[0]
    assert b" QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE" in capability and b"QUOTASET" not in capability


async def test_over_quota(client) -> None:
    await asyncio.to_thread(limit, quota_octets=2 * len(MESSAGE))
    await client.append("INBOX", MESSAGE)
    await client.append("INBOX", MESSAGE)
    lines = await client.command(b"APPEND INBOX {%d+}\r\n" % len(MESSAGE) + MESSAGE)
    assert lines[-1] == b"NO [OVERQUOTA] The mailbox is full"
    await client.ok("SELECT INBOX")
    assert (await client.command("COPY 1 Archive"))[-1].startswith(b"NO [OVERQUOTA]")
    await client.ok("MOVE 1:2 Archive")  # adds nothing
    await client.ok("SELECT Archive")
    await client.ok("STORE 1 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    await client.append("INBOX", MESSAGE)


async def test_administrators_set_quotas(connect, anna: User) -> None:
    client = await connect(anna)
    client.dialogue.session.identity = Identity(anna.pk, anna.login, "", True)
    assert b" QUOTASET" in (await client.ok("CAPABILITY"))[0]
    await client.dialog(
        f"""
        C: a SETQUOTA {ANNA} (STORAGE 500 MESSAGE 20)
        S: * QUOTA {ANNA} (STORAGE 0 500 MESSAGE 0 20)
        S: a OK SETQUOTA completed
        C: b SETQUOTA {ANNA} (MESSAGE 30)
        S: * QUOTA {ANNA} (MESSAGE 0 30)
        S: b OK SETQUOTA completed
        C: c SETQUOTA {ANNA} ()
        S: * QUOTA {ANNA} ()
        S: c OK SETQUOTA completed
        C: d SETQUOTA #domain/harbour.test (STORAGE 9)
        S: * QUOTA #domain/harbour.test (STORAGE 0 9)
        S: d OK SETQUOTA completed
        C: e SETQUOTA {ANNA} (MAILBOX 9)
        S: e NO [CANNOT] Only STORAGE and MESSAGE can be limited, to 1 or more
        C: f SETQUOTA #user/nobody@harbour.test (STORAGE 9)
        S: f NO [NONEXISTENT] No such quota root
        C: g SETQUOTA nonsense (STORAGE 9)
        S: g NO [NONEXISTENT] No such quota root
        C: h SETQUOTA {ANNA} (STORAGE 9223372036854775807)
        S: h NO [CANNOT] The quota is out of range.
        C: i GETQUOTA #domain/harbour.test
        S: * QUOTA #domain/harbour.test (STORAGE 0 9)
        S: i OK GETQUOTA completed
        """
    )
    columns = ("quota_octets", "quota_messages", "domain__quota_octets")
    limits = await store.read(lambda: User.objects.values_list(*columns).get(pk=anna.pk))
    assert limits == (0, 0, 9 * 1024)


@pytest.mark.parametrize(
    ("arguments", "limits"),
    [
        (b' "" ()', {}),
        (b" x (storage 5 MESSAGE 6)", {"STORAGE": 5, "MESSAGE": 6}),
        (b" x (STORAGE 5 STORAGE 6)", None),
        (b" x (STORAGE)", None),
        (b" x (STORAGE -1)", None),
        (b" x (STORAGE 5", None),
        (b" x STORAGE 5", None),
        (b" (STORAGE 5)", None),
        (b" x (STORAGE 99999999999999999999)", None),
    ],
)
def test_setquota_arguments(arguments: bytes, limits: dict | None) -> None:
    if limits is None:
        with pytest.raises(ImapSyntaxError):
            parse_setquota(Lexer((arguments,)))
    else:
        assert parse_setquota(Lexer((arguments,))).limits == limits


def test_a_root_is_quoted_where_it_must_be() -> None:
    assert quota_response("", []) == b'QUOTA "" ()'
    assert quota_response("a b", [("STORAGE", 1, 2)]) == b'QUOTA "a b" (STORAGE 1 2)'
