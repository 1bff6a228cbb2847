"""What is said: every command in every state, as C: and S: lines."""

import base64
from collections.abc import Callable

import pytest

from accounts.auth.door import Throttled
from accounts.models import User
from mailservers.pop3 import access
from mailservers.pop3.session import MAX_BAD_COMMANDS
from mailservers.store.engine import store
from mailservers.store.queries import mailbox_by_name
from tests.conftest import PASSWORD
from tests.pop3.conftest import Client, left_in

Connect = Callable[..., Client]


def plain(login: str, password: str, act_as: str = "") -> str:
    return base64.b64encode(f"{act_as}\0{login}\0{password}".encode()).decode()


# ---------------------------------------------------------------- signing in


async def test_user_and_pass(connect: Connect, inbox: User) -> None:
    client = await connect()
    await client.dialog(f"""
        C: USER anna@harbour.test
        S: +OK ...
        C: PASS {PASSWORD}
        S: +OK Maildrop has 3 messages (165 octets)
        C: STAT
        S: +OK 3 165
        C: QUIT
        S: +OK ...
    """)
    assert client.closed


async def test_auth_plain(connect: Connect, inbox: User) -> None:
    client = await connect()
    await client.dialog(f"""
        C: AUTH PLAIN {plain("anna@harbour.test", PASSWORD)}
        S: +OK Maildrop has 3 messages (165 octets)
        C: QUIT
        S: +OK ...
    """)
    client = await connect()
    await client.dialog(f"""
        C: auth plain
        S: +...
        C: {plain("ANNA@harbour.test", PASSWORD, "anna@harbour.test")}
        S: +OK Maildrop has 3 messages (165 octets)
    """)


async def test_auth_goes_wrong(connect: Connect, inbox: User) -> None:
    client = await connect()
    await client.dialog(f"""
        C: AUTH
        S: -ERR A SASL mechanism is needed
        C: AUTH CRAM-MD5
        S: -ERR Unsupported authentication mechanism
        C: AUTH PLAIN
        S: +...
        C: *
        S: -ERR Authentication cancelled
        C: AUTH PLAIN
        S: +...
        C: not base64
        S: -ERR Invalid base64
        C: AUTH PLAIN =
        S: -ERR Malformed PLAIN response
        C: AUTH PLAIN {plain("anna@harbour.test", "wrong")}
        S: -ERR [AUTH] Authentication failed
        C: AUTH PLAIN {plain("anna@harbour.test", PASSWORD, "ben@harbour.test")}
        S: -ERR [AUTH] Authentication failed
        C: STAT
        S: -ERR Sign in first
    """)
    assert await client.command("AUTH PLAIN") == b"+ \r\n"
    assert await client.command("A" * 5000) == b"-ERR Line too long\r\n"
    assert (await client.command("CAPA")).startswith(b"+OK")


async def test_auth_challenge_is_a_plus_and_a_space(connect: Connect, anna: User) -> None:
    client = await connect()
    assert await client.command("AUTH PLAIN") == b"+ \r\n"


async def test_failed_logins_are_answered_alike(connect: Connect, inbox: User) -> None:
    client = await connect()
    answers = []
    for login in ("anna@harbour.test", "nobody@harbour.test", "nobody@elsewhere.test", "åse@harbour.test"):
        answers.append((await client.command(f"USER {login}"), await client.command("PASS wrong")))
    assert set(answers) == {(b"+OK Send the password\r\n", b"-ERR [AUTH] Authentication failed\r\n")}
    assert await client.command(f"PASS {PASSWORD}") == b"-ERR Send USER first\r\n"  # not one of the five
    await client.ok("USER anna@harbour.test")
    assert await client.command("PASS wrong") == b"-ERR [AUTH] Too many failed logins\r\n"
    assert client.closed


async def test_failed_logins_are_delayed(connect: Connect, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(access, "FAILED_LOGIN_DELAY_S", 1.5)
    monkeypatch.setattr(access.asyncio, "sleep", sleep)
    client = await connect()
    await client.ok("USER anna@harbour.test")
    await client.err("PASS wrong")
    assert waited == [1.5]


async def test_throttled_logins(connect: Connect, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise Throttled("too many failed logins; try again later")

    monkeypatch.setattr(access, "authenticate", refuse)
    client = await connect()
    await client.ok("USER anna@harbour.test")
    reply = await client.err(f"PASS {PASSWORD}")
    assert reply == b"-ERR [SYS/TEMP] Too many failed logins; try again later\r\n"


async def test_a_broken_door_is_temporary(connect: Connect, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret details")

    monkeypatch.setattr(access, "authenticate", fail)
    client = await connect()
    await client.ok("USER anna@harbour.test")
    assert await client.command(f"PASS {PASSWORD}") == b"-ERR [SYS/TEMP] Internal error\r\n"


async def test_pass_needs_user_each_time(connect: Connect, inbox: User) -> None:
    client = await connect()
    await client.dialog(f"""
        C: PASS {PASSWORD}
        S: -ERR Send USER first
        C: USER anna@harbour.test
        S: +OK ...
        C: PASS
        S: -ERR A password is needed
        C: PASS wrong
        S: -ERR [AUTH] ...
        C: PASS {PASSWORD}
        S: -ERR Send USER first
        C: USER ben@harbour.test
        S: +OK ...
        C: USER anna@harbour.test
        S: +OK ...
        C: PASS {PASSWORD}
        S: +OK ...
    """)


async def test_no_password_in_clear(connect: Connect, inbox: User) -> None:
    client = await connect(tls=False)
    await client.dialog(f"""
        C: USER anna@harbour.test
        S: -ERR [AUTH] A password is only accepted over TLS: use STLS
        C: PASS {PASSWORD}
        S: -ERR [AUTH] A password is only accepted over TLS: use STLS
        C: AUTH PLAIN
        S: -ERR [AUTH] A password is only accepted over TLS: use STLS
        C: AUTH PLAIN {plain("anna@harbour.test", PASSWORD)}
        S: -ERR [AUTH] A password is only accepted over TLS: use STLS
    """)


async def test_a_password_in_clear_on_this_machine(connect: Connect, inbox: User) -> None:
    await connect(inbox, tls=False, loopback=True)


# ---------------------------------------------------------------- CAPA and STLS

COMMON = {b"TOP", b"UIDL", b"PIPELINING", b"RESP-CODES", b"AUTH-RESP-CODE", b"EXPIRE NEVER", b"UTF8 USER", b"LANG"}


async def test_capabilities(connect: Connect, inbox: User) -> None:
    client = await connect(tls=False)
    lines = set(await client.lines("CAPA"))
    assert lines == COMMON | {b"IMPLEMENTATION Postroom", b"STLS"}
    client = await connect(tls=False, loopback=True)
    assert set(await client.lines("CAPA")) == lines | {b"USER", b"SASL SCRAM-SHA-256 PLAIN LOGIN"}
    client = await connect()
    before = await client.lines("capa")
    assert set(before) == lines - {b"STLS"} | {b"USER", b"SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"}
    await client.ok("USER anna@harbour.test")
    await client.ok(f"PASS {PASSWORD}")
    assert await client.lines("CAPA") == before


async def test_stls(connect: Connect, inbox: User) -> None:
    client = await connect(tls=False)
    await client.dialog(f"""
        C: STLS now
        S: -ERR STLS takes no argument
        C: STLS
        S: +OK Begin TLS negotiation
        C: STLS
        S: -ERR TLS is active already
        C: USER anna@harbour.test
        S: +OK ...
        C: PASS {PASSWORD}
        S: +OK ...
        C: STLS
        S: -ERR Already signed in
    """)
    assert client.tls_started == 1


async def test_what_came_before_tls_does_not_count(connect: Connect, inbox: User) -> None:
    client = await connect(tls=False, loopback=True)
    client.send(f"USER anna@harbour.test\r\nSTLS\r\nPASS {PASSWORD}\r\nPA")
    assert await client.rest() == b"+OK Send the password\r\n+OK Begin TLS negotiation\r\n"
    assert await client.command(f"PASS {PASSWORD}") == b"-ERR Send USER first\r\n"


# ---------------------------------------------------------------- the maildrop


async def test_asking(client: Client, inbox: User) -> None:
    await client.dialog("""
        C: STAT
        S: +OK 3 165
        C: LIST
        S: +OK 3 messages (165 octets)
        S: 1 60
        S: 2 52
        S: 3 53
        S: .
        C: LIST 2
        S: +OK 2 52
        C: LIST 4
        S: -ERR No such message
        C: LIST 0
        S: -ERR No such message
        C: RETR 1
        S: +OK 60 octets
        S: From: ben@harbour.test
        S: Subject: one
        S: 
        S: First line
        S: Second
        S: .
        C: RETR 2
        S: +OK 52 octets
        S: Subject: two
        S: 
        S: ..dot
        S: ...
        S: ..
        S: about dots, the end
        S: 
        S: .
        C: RETR 4
        S: -ERR No such message
        C: RETR 99999999999999999999
        S: -ERR No such message
        C: NOOP
        S: +OK
        C: TOP 3 0
        S: +OK
        S: Subject: three
        S: 
        S: .
        C: TOP 3 2
        S: +OK
        S: Subject: three
        S: 
        S: 1
        S: 2
        S: .
        C: TOP 2 1
        S: +OK
        S: Subject: two
        S: 
        S: ..dot
        S: .
        C: TOP 4 0
        S: -ERR No such message
    """)
    whole = await client.lines("RETR 3")
    assert await client.lines("TOP 3 11") == await client.lines("TOP 3 99999999999999999999") == whole


async def test_uidl(client: Client, inbox: User) -> None:
    validity = (await store.read(mailbox_by_name, inbox.pk, "INBOX")).uid_validity
    await client.dialog(f"""
        C: UIDL
        S: +OK
        S: 1 {validity}.1
        S: 2 {validity}.2
        S: 3 {validity}.3
        S: .
        C: UIDL 2
        S: +OK 2 {validity}.2
        C: DELE 2
        S: +OK ...
        C: UIDL
        S: +OK
        S: 1 {validity}.1
        S: 3 {validity}.3
        S: .
        C: UIDL 2
        S: -ERR Message is deleted
        C: UIDL 9
        S: -ERR No such message
    """)


async def test_deleting(client: Client) -> None:
    await client.dialog("""
        C: DELE 1
        S: +OK Message deleted
        C: DELE 1
        S: -ERR Message is deleted
        C: RETR 1
        S: -ERR Message is deleted
        C: TOP 1 0
        S: -ERR Message is deleted
        C: LIST 1
        S: -ERR Message is deleted
        C: STAT
        S: +OK 2 105
        C: LIST
        S: +OK 2 messages (105 octets)
        S: 2 52
        S: 3 53
        S: .
        C: RSET
        S: +OK 3 messages (165 octets)
        C: STAT
        S: +OK 3 165
        C: DELE 3
        S: +OK ...
        C: DELE 4
        S: -ERR No such message
        C: QUIT
        S: +OK Goodbye (1 messages deleted)
    """)


async def test_an_empty_maildrop(connect: Connect, ben: User) -> None:
    client = await connect(ben)
    await client.dialog("""
        C: STAT
        S: +OK 0 0
        C: LIST
        S: +OK 0 messages (0 octets)
        S: .
        C: UIDL
        S: +OK
        S: .
        C: RETR 1
        S: -ERR No such message
        C: RSET
        S: +OK 0 messages (0 octets)
        C: QUIT
        S: +OK Goodbye
    """)


# ---------------------------------------------------------------- the wrong thing at the wrong time

TRANSACTION_ONLY = ("STAT", "LIST", "LIST 1", "UIDL", "RETR 1", "TOP 1 1", "DELE 1", "NOOP", "RSET")
AUTHORIZATION_ONLY = ("USER anna@harbour.test", "PASS x", "AUTH PLAIN", "AUTH PLAIN AGEAYg==", "STLS")
WRONG_ARGUMENTS = (
    "STAT 1",
    "QUIT now",
    "NOOP x",
    "RSET 1",
    "CAPA x",
    "RETR",
    "DELE",
    "TOP 1",
    "TOP",
    "LIST x",
    "UIDL -1",
)


@pytest.mark.parametrize("command", TRANSACTION_ONLY)
async def test_not_before_signing_in(connect: Connect, mail: None, command: str) -> None:
    client = await connect()
    assert await client.command(command) == b"-ERR Sign in first\r\n"


async def test_not_after_signing_in(client: Client) -> None:
    for command in AUTHORIZATION_ONLY:
        assert await client.command(command) == b"-ERR Already signed in\r\n"


async def test_wrong_arguments(client: Client) -> None:
    for command in WRONG_ARGUMENTS:
        await client.err(command)
        await client.ok("NOOP")
    assert not client.closed


async def test_unknown_commands(connect: Connect, mail: None) -> None:
    client = await connect()
    for command in (
        "XYZZ",
        "APOP anna c4c9334bac560ecc979e58001b3e22fb",
        "LAST",
        "GET / HTTP/1.1",
        "",
        " ",
        "\0",
    ):
        await client.err(command)


async def test_long_lines(client: Client) -> None:
    assert await client.command("RETR " + "1".zfill(248)) != b"-ERR Line too long\r\n"
    for length in (249, 4000, 5000, 100_000, 1_000_000):
        assert await client.command("RETR " + "1".zfill(length)) == b"-ERR Line too long\r\n"
        await client.ok("NOOP")


async def test_too_many_bad_commands(client: Client) -> None:
    for _ in range(MAX_BAD_COMMANDS - 1):
        await client.err("XYZZ")
    await client.ok("NOOP")
    for _ in range(MAX_BAD_COMMANDS - 1):
        await client.err("XYZZ")
    assert await client.command("XYZZ") == b"-ERR Too many bad commands\r\n"
    assert client.closed
    assert await client.command("NOOP") == b""


async def test_lines_that_end_in_lf(client: Client) -> None:
    client.send("STAT\nNOOP\n")
    assert await client.rest() == b"+OK 3 165\r\n+OK\r\n"


async def test_half_closed(connect: Connect, inbox: User) -> None:
    """What was asked for is done, then the connection ends."""
    client = await connect()
    client.send(f"USER anna@harbour.test\r\nPASS {PASSWORD}\r\nRETR 3\r\nDELE 1\r\nQUIT\r\nNO")
    client.session.finish()
    reply = await client.rest()
    assert reply.endswith(b"\r\n10\r\n11\r\n.\r\n+OK Message deleted\r\n+OK Goodbye (1 messages deleted)\r\n")
    assert client.closed
    assert sorted(await left_in(inbox)) == [2, 3]


async def test_half_closed_without_quit(connect: Connect, inbox: User) -> None:
    client = await connect()
    client.send(f"USER anna@harbour.test\r\nPASS {PASSWORD}\r\nDELE 1\r\nSTAT\r\n")
    client.session.finish()
    assert (await client.rest()).endswith(b"+OK 2 105\r\n")
    assert client.closed
    assert sorted(await left_in(inbox)) == [1, 2, 3]


async def test_goodbye_when_the_server_ends(connect: Connect, inbox: User) -> None:
    client = await connect(inbox)
    client.session.goodbye()
    assert await client.rest() == b"-ERR [SYS/TEMP] Server is shutting down\r\n"
    assert client.closed
    client = await connect(inbox)
    client.send("RETR 1\r\nRETR 2\r\n")
    client.session.goodbye()
    reply = await client.rest()
    assert reply.startswith(b"+OK 60") and reply.endswith(b"\r\n.\r\n-ERR [SYS/TEMP] Server is shutting down\r\n")


async def test_silence(client: Client) -> None:
    """RFC 1939 section 3: no response, and no UPDATE state."""
    await client.ok("DELE 1")
    client.session.time_out()
    assert await client.rest() == b""
    assert client.closed


async def test_only_commands_keep_a_session_alive(client: Client) -> None:
    client.deadlines.clear()
    client.send("NO")
    assert client.deadlines == []
    client.send("OP\r\n")
    assert len(client.deadlines) == 1
