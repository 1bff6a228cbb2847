"""Sentences that are nearly right, in every mode a session can be in: no internal error, and one answer each."""

from __future__ import annotations

import logging
import random
import re

import pytest

from mailservers.imap.commands import COMMANDS

pytestmark = pytest.mark.asyncio

MESSAGE = (
    b"Message-ID: <a@b>\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbody\r\n--b--\r\n"
)
MODES = ("NOOP", "ENABLE IMAP4rev2", "ENABLE CONDSTORE", "ENABLE QRESYNC", "ENABLE UIDONLY", "NOTIFY NONE",
         "NOTIFY SET (selected (MessageNew (uid body.peek[]) MessageExpunge FlagChange)) (personal (MailboxName))",
         "NOTIFY SET (selected-delayed (MessageNew MessageExpunge)) (inboxes (MessageNew MessageExpunge FlagChange))",
         "ENABLE QRESYNC UIDONLY IMAP4rev2")  # fmt: skip
ENDING = ("STARTTLS", "LOGOUT", "IDLE", "UNAUTHENTICATE")
# What each symbol may become: pieces and further symbols.
RULES = {
    "COMMAND": [f"{name} ARGUMENTS" for name in sorted(COMMANDS) if name not in ENDING] + [
        "FETCH SET ITEMS", "UID FETCH SET ITEMS", "UID FETCH SET ITEMS (CHANGEDSINCE 1 VANISHED)",
        "STORE SET +FLAGS (FLAG)", "UID STORE SET (UNCHANGEDSINCE 3) -FLAGS.SILENT (FLAG FLAG)",
        "SEARCH KEY", "UID SEARCH KEY KEY", "SEARCH RETURN (SAVE) KEY", "UID SEARCH RETURN (MIN MAX COUNT ALL) KEY",
        "COPY SET BOX", "UID MOVE SET BOX", "UID EXPUNGE SET", "EXPUNGE", "SELECT BOX", "EXAMINE BOX (CONDSTORE)",
        "SELECT INBOX", "SELECT INBOX", "SELECT INBOX (QRESYNC (1 1 SET))", "SELECT BOX (QRESYNC (1 1 1:9 (SET SET)))",
        "APPEND BOX (FLAG) LITERAL", "APPEND BOX LITERAL (FLAG) LITERAL", "APPEND BOX CATENATE (URL /;UID=1)",
        "APPEND INBOX ~LITERAL", "REPLACE 1 BOX LITERAL", "UID REPLACE 2 INBOX CATENATE (URL /INBOX/;UID=1)",
        "NOTIFY SET STATUS (FILTER EVENTS)", "NOTIFY SET (FILTER EVENTS) (FILTER EVENTS)", "NOTIFY NONE",
        'LIST "" PATTERN', "LIST (SUBSCRIBED) BOX PATTERN RETURN (STATUS (MESSAGES MAILBOXID))", "LSUB BOX PATTERN",
        "CREATE BOX", "DELETE BOX", "RENAME BOX BOX", "RENAME INBOX BOX", "SUBSCRIBE BOX", "STATUS BOX (MESSAGES SIZE)",
        "IDLE\r\nDONE", "IDLE\r\nNOOP",
    ],
    "ARGUMENTS": ["", "", "WORD", "WORD WORD", "(WORD)", "SET WORD", "BOX (WORD WORD)", "LITERAL"],
    "WORD": ["SET", "BOX", "FLAG", "KEY", "ITEMS", "(", ")", '"', "{3}", "NIL", "RETURN (SAVE)", "\\", "[", "x"],
    "SET": ["1", "1:*", "*", "2,1", "$", "0", "1:3", "9999", "4294967295:*", "5:2"],
    "ITEMS": ["FLAGS", "(UID FLAGS MODSEQ)", "ALL", "BODY[]", "BODY.PEEK[1.MIME]<0.7>", "(ENVELOPE BODYSTRUCTURE)",
              "(EMAILID THREADID SAVEDATE PREVIEW (LAZY))", "BINARY[1]", "BODY[HEADER.FIELDS (Subject X)]", "RFC822"],
    "FLAG": ["\\Seen", "\\Deleted", "\\Deleted", "$Word", "x", "\\Recent"],
    "KEY": ["ALL", "SET", "UID SET", "OR KEY KEY", "NOT KEY", "(KEY KEY)", "SEEN", "FROM a", "TEXT x", "MODSEQ 1",
            "KEYWORD FLAG", "SAVEDSINCE 1-Jan-2020", "EMAILID M1", "LARGER 1", "YOUNGER 60", "BODY LITERAL", "$"],
    "BOX": ["INBOX", "Work", "Work", "Work/Sub", "inbox", "Nowhere", '"a b"', "&AOk-", '""', "x//y", "LITERAL"],
    "PATTERN": ["*", "%", '""', "Work/%", "(INBOX W*)"],
    "LITERAL": ["{4+}\r\nWork", "{0+}\r\n", "{5+}\r\na\r\n\r\nb", "{3+}\r\n\0xx"],
    "FILTER": ["selected", "selected-delayed", "personal", "subscribed", "subtree BOX", "mailboxes (BOX BOX)"],
    "EVENTS": ["NONE", "(MessageNew MessageExpunge)", "(MessageNew (ITEMS) MessageExpunge FlagChange)", "(MailboxName)",
               "(SubscriptionChange MailboxName)", "(WORD)"],
}  # fmt: skip
SYMBOL = re.compile("|".join(sorted(RULES, key=len, reverse=True)))


def sentence(choose: random.Random) -> bytes:
    text = choose.choice(RULES["COMMAND"])
    for _ in range(4):
        # Symbols are replaced where they stand as such, not within command names that hold them.
        text = " ".join(_grown(choose, word) for word in text.split(" "))
    if choose.random() < 0.1:
        at = choose.randrange(len(text) + 1)
        text = (
            text[:at] + choose.choice(("", " ", "(", ")", '"', "\0", "{", "\xff")) + text[at + choose.randint(0, 1) :]
        )
    return text.encode("latin-1")


def _grown(choose: random.Random, word: str) -> str:
    return re.sub(r"(?<![A-Za-z.])(" + SYMBOL.pattern + r")(?![A-Za-z])", lambda m: choose.choice(RULES[m[1]]), word)


async def converse(connect, user, seed: int, commands: int) -> None:
    choose = random.Random(seed)
    client, second = await connect(user), await connect(user)
    await client.command("CREATE Work/Sub")
    for mailbox in ("INBOX", "INBOX", "Work"):
        await client.append(mailbox, MESSAGE)
    for one in (client, second):
        for mode in choose.sample(MODES, k=choose.randint(1, 3)):
            await one.command(mode)
        await one.command("SELECT INBOX")
    for number in range(commands):
        one = choose.choice((client, client, second))
        if one.closed:
            break
        one.send(b"n%d " % number + sentence(choose) + b"\r\n")
        if choose.random() < 0.8:
            await one.rest()
    for one in (client, second):
        if not one.closed:
            one.send(b"\r\nDONE\r\nlast NOOP\r\n")
            assert b"last " in await one.rest() or one.closed


@pytest.mark.parametrize("seed", range(5))
async def test_nearly_right(connect, anna, caplog, seed):
    with caplog.at_level(logging.WARNING, logger="mailservers.imap"):
        await converse(connect, anna, seed, 60)
    assert not caplog.records


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1010))
async def test_nearly_right_for_long(connect, anna, caplog, seed):
    with caplog.at_level(logging.WARNING, logger="mailservers.imap"):
        await converse(connect, anna, seed, 800)
    assert not caplog.records
