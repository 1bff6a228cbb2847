"""Whole sessions over a connection in memory, with the real store behind them: octets in any state, cut anywhere.

They need a database with Anna in it: tests have one, and `run` makes one (`serving`). No octets may end in an internal
error, in a log line of a failure, or in a session that does not end when its client has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from unittest import mock

from django.test.utils import get_runner

from accounts.auth.door import AuthenticationFailed, Identity
from accounts.models import Domain, User
from mailservers.imap import access as imap_access
from mailservers.pop3 import access as pop3_access
from mailservers.smtp import defences
from mailservers.smtp.session import Session as SmtpSession
from mailservers.smtp.wire import Role
from mailservers.store.engine import store
from mailservers.store.mailboxes import create_standard_mailboxes
from tests.fuzz.imap_targets import ITEMS, KEYS, NAMES
from tests.fuzz.target import pieces, target
from tests.imap.conftest import Client as ImapClient
from tests.pop3.conftest import Client as Pop3Client

LOGIN = "anna@harbour.test"
END_S = 60
MESSAGE = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbody\r\n--b--\r\n"


@contextlib.contextmanager
def serving() -> Iterator[None]:
    """A database of its own, with Anna."""
    from django.conf import settings

    runner = get_runner(settings)(verbosity=0, interactive=False)
    old = runner.setup_databases()
    domain = Domain.objects.create(name="harbour.test")
    user = User.objects.create(login=LOGIN, domain=domain, password="!")
    store.call_sync(create_standard_mailboxes, [user.pk])
    try:
        yield
    finally:
        runner.teardown_databases(old)


class Complaints(logging.Handler):
    """What was logged while it is in use."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))

    def __enter__(self) -> Complaints:
        logging.getLogger("mailservers").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("mailservers").removeHandler(self)


def identity() -> Identity:
    user = User.objects.get(login=LOGIN)
    return Identity(user.pk, user.login, user.name, False)


def _nobody(*_: object, **__: object) -> None:
    raise AuthenticationFailed  # Argon2 is not what is looked at here


IMAP_STATES = (
    b"",
    b"",
    b"p SELECT INBOX\r\n",
    b"p ENABLE QRESYNC UIDONLY IMAP4rev2\r\nq SELECT INBOX\r\n",
    b"p NOTIFY SET (selected (MessageNew (uid body.peek[]) MessageExpunge FlagChange)) (personal (MailboxName))\r\n",
    b"p SELECT INBOX\r\nq IDLE\r\n",
)


@target(
    b"\x02\x01\x05a APPEND INBOX (\\Seen) {10+}\r\nSubject: x\r\nb FETCH 1:* (UID FLAGS BODY[] ENVELOPE)\r\n",
    b"\x00\x03\x03a LOGIN {4}\r\nanna {3+}\r\nabc\r\nb AUTHENTICATE PLAIN\r\nAGEAYg==\r\n",
    b"\x03\x02\x02a UID STORE 1:* +FLAGS (\\Deleted)\r\nb EXPUNGE\r\nc CREATE x\r\nd RENAME x y\r\ne DELETE y\r\n",
    b"\x05\x01\x01DONE\r\na UID SEARCH RETURN (SAVE) ALL\r\nb UID MOVE $ Archive\r\n",
    words=NAMES + b" " + KEYS + b" " + ITEMS + b" {3} {3+} ~{4+} \r\n INBOX (\\Seen) 1:* a b",
    max_octets=400,
    pumped_octets=0,
    serves=True,
)
def imap_session(data: bytes) -> None:
    state, lengths, said = IMAP_STATES[data[0] % 6 if data else 0], data[1:3], data[3:]

    async def talk() -> bytes:
        client = ImapClient()
        if data and data[0] % 6:
            client.dialogue.session.enter(await store.read(identity))
        for piece in [state, *pieces(said, lengths)]:
            client.send(piece)
        client.dialogue.finish()
        async with asyncio.timeout(END_S):
            await client.rest()
        client.dialogue.lost()
        return await client.rest()

    with Complaints() as complaints, mock.patch.object(imap_access, "authenticate", _nobody):
        output = asyncio.run(talk())
    assert b"Internal error" not in output and not complaints.found, complaints.found


@target(
    b"\x00\x02\x02USER anna@harbour.test\r\nPASS x y\r\nAUTH PLAIN =\r\nCAPA\r\n",
    b"\x01\x03\x01STLS\r\nUSER a\r\nLANG *\r\nUTF8\r\nQUIT\r\n",
    words=b"USER PASS TOP RETR DELE UIDL LIST AUTH PLAIN LANG UTF8 STLS CAPA STAT NOOP RSET QUIT \r\n *",
    max_octets=400,
    pumped_octets=0,
    serves=True,
)
def pop3_session(data: bytes) -> None:
    """Before sign-in; what comes after is played in tests/pop3/test_fuzz.py."""

    async def talk() -> bytes:
        client = Pop3Client(tls=bool(data[:1]) and data[0] % 2 == 1)
        for piece in pieces(data[3:], data[1:3]):
            client.send(piece)
        client.session.finish()
        return await client.rest()

    patches = (
        mock.patch.object(pop3_access, "authenticate", _nobody),
        mock.patch.object(pop3_access, "FAILED_LOGIN_DELAY_S", 0),
    )
    with Complaints() as complaints, patches[0], patches[1]:
        output = asyncio.run(talk())
    assert not complaints.found, complaints.found
    assert output.endswith(b"\r\n")


class SmtpWire:
    """The other end of an SMTP session."""

    peer_address = "127.0.0.1"
    is_tls = False
    is_trusted = True
    may_send_password = True

    def __init__(self) -> None:
        self.output = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.output += data

    def close(self) -> None:
        self.is_closed = True

    hang_up = close

    def expect_within(self, seconds: float) -> None:
        assert seconds > 0

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    async def start_tls(self) -> None:
        self.is_tls = True

    def tls_description(self) -> str:
        return "TLS"

    def channel_binding(self, kind: str) -> bytes | None:
        return None


@target(
    b"\x00\x02\x09EHLO x\r\nMAIL FROM:<a@b.test>\r\n"
    b"RCPT TO:<anna@harbour.test>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n",
    b"\x02\x01\x05LHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\n"
    b"RCPT TO:<anna@harbour.test>\r\nBDAT 3\r\nabcBDAT 0 LAST\r\n",
    b"\x01\x07\x01EHLO x\r\nAUTH PLAIN AGEAYg==\r\nSTARTTLS\r\nRSET\r\nVRFY x\r\nNOOP\r\n",
    words=b"EHLO HELO LHLO MAIL FROM:<a@b.test> RCPT TO:<anna@harbour.test> DATA BDAT LAST RSET NOOP QUIT VRFY EXPN "
    b"HELP STARTTLS AUTH PLAIN LOGIN = \r\n.\r\n \r\n SIZE=9 BODY=BINARYMIME NOTIFY=NEVER",
    max_octets=400,
    pumped_octets=0,
    serves=True,
)
def smtp_session(data: bytes) -> None:
    role = (Role.RELAY, Role.SUBMISSION, Role.LMTP)[data[0] % 3 if data else 0]

    async def talk() -> SmtpWire:
        wire = SmtpWire()
        session = SmtpSession(wire, role)
        session.greet()
        for piece in pieces(data[3:], data[1:3]):
            if not wire.is_closed:
                session.receive(piece)
        session.end_of_input()
        async with asyncio.timeout(END_S):
            while (task := session._task) is not None:
                await asyncio.wait({task})
        session.closed()
        return wire

    with Complaints() as complaints:
        wire = asyncio.run(talk())
    defences.errors_by_address.clear()
    assert not complaints.found, complaints.found
    lines = wire.output.split(b"\r\n")
    assert lines.pop() == b"" and all(line[:3].isdigit() and line[3:4] in (b" ", b"-") for line in lines), lines
