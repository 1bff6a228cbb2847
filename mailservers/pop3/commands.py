"""The commands of POP3 as data. CAPA (RFC 2449 section 5) is read off the same rows."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from mailservers.formats import pop3 as grammar
from mailservers.formats.pop3 import Command, Pop3SyntaxError
from mailservers.pop3 import access, transaction
from mailservers.pop3.replies import Answer, Reply
from mailservers.pop3.session import Session


class State(enum.Enum):
    """RFC 1939 section 3. (In the UPDATE state no command is taken.)"""

    AUTHORIZATION = enum.auto()
    TRANSACTION = enum.auto()
    BOTH = enum.auto()  # for commands only


def _always(_: Session) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Row:
    """One command. `capability` is its line in CAPA, if any, given while `is_offered`."""

    name: str
    state: State
    parse: Callable[[Command], Any]
    handler: Callable[[Session, Any], Answer]
    capability: str | Callable[[Session], str] = ""
    is_offered: Callable[[Session], bool] = _always


def capa(session: Session, _: None) -> Reply:
    texts = [row.capability for row in _ROWS if row.capability and row.is_offered(session)]
    lines = [text if isinstance(text, str) else text(session) for text in texts]
    if settings.POP3_LOGIN_DELAY_S:
        lines.append(f"LOGIN-DELAY {settings.POP3_LOGIN_DELAY_S}")
    return "\r\n".join(["+OK Capability list follows", *lines, *BEHAVIOUR, ".", ""]).encode("ascii")


# Capabilities that are no commands.
BEHAVIOUR = (
    "PIPELINING",
    "RESP-CODES",  # RFC 2449 section 8
    "AUTH-RESP-CODE",  # RFC 3206
    "EXPIRE NEVER",
    "UTF8 USER",  # RFC 6856: logins and passwords are UTF-8 at all times
    "IMPLEMENTATION Postroom",
)

_ROWS = (
    Row("CAPA", State.BOTH, grammar.no_argument, capa),
    Row("QUIT", State.BOTH, grammar.no_argument, access.quit_command),
    Row(
        "STLS",
        State.AUTHORIZATION,
        grammar.no_argument,
        access.stls,
        capability="STLS",
        is_offered=lambda session: not session.wire.is_tls,
    ),
    Row(
        "USER",
        State.AUTHORIZATION,
        grammar.login_name,
        access.user,
        capability="USER",
        is_offered=access.may_send_password,
    ),
    Row("UTF8", State.AUTHORIZATION, grammar.no_argument, access.utf8),
    Row("LANG", State.BOTH, grammar.language_range, access.lang, capability="LANG"),
    Row("PASS", State.AUTHORIZATION, grammar.password, access.password),
    Row(
        "AUTH",
        State.AUTHORIZATION,
        grammar.sasl_request,
        access.auth,
        capability=access.sasl_capability,
        is_offered=access.may_send_password,
    ),
    Row("STAT", State.TRANSACTION, grammar.no_argument, transaction.stat),
    Row("LIST", State.TRANSACTION, grammar.optional_message_number, transaction.list_command),
    Row("UIDL", State.TRANSACTION, grammar.optional_message_number, transaction.uidl, capability="UIDL"),
    Row("RETR", State.TRANSACTION, grammar.message_number, transaction.retr),
    Row("TOP", State.TRANSACTION, grammar.number_and_lines, transaction.top, capability="TOP"),
    Row("DELE", State.TRANSACTION, grammar.message_number, transaction.dele),
    Row("NOOP", State.TRANSACTION, grammar.no_argument, transaction.noop),
    Row("RSET", State.TRANSACTION, grammar.no_argument, transaction.rset),
)
COMMANDS = {row.name: row for row in _ROWS}


def run(session: Session, line: bytes) -> Answer:
    """Carry out a command line. Raises `Pop3SyntaxError`, and what the handler raises."""
    command = grammar.parse_command(line)
    row = COMMANDS.get(command.keyword)
    if row is None:
        raise Pop3SyntaxError("Unknown command")
    state = State.AUTHORIZATION if session.maildrop is None else State.TRANSACTION
    if row.state is not state and row.state is not State.BOTH:
        raise Pop3SyntaxError("Sign in first" if row.state is State.TRANSACTION else "Already signed in")
    return row.handler(session, row.parse(command))
