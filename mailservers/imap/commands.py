"""The commands of IMAP as data, and how one is carried out.

A row says when a command is allowed, how its arguments are read, who carries it out, and what it must
not forget: whether EXPUNGE may be sent with it (RFC 9051 section 7.5.1: never with FETCH, STORE,
SEARCH by sequence number). The table of commands in docs/protocols.md is made of the rows.
"""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mailservers.formats.imap import arguments as args
from mailservers.formats.imap.acl import parse_identifier, parse_setacl
from mailservers.formats.imap.appending import parse_append, parse_replace
from mailservers.formats.imap.fetch import parse_fetch
from mailservers.formats.imap.lexer import Lexer
from mailservers.formats.imap.listing import parse_list, parse_lsub, parse_status
from mailservers.formats.imap.metadata import parse_getmetadata, parse_setmetadata
from mailservers.formats.imap.multisearch import parse_multisearch
from mailservers.formats.imap.notify import parse_notify
from mailservers.formats.imap.quotas import parse_getquota, parse_setquota
from mailservers.formats.imap.reader import Command
from mailservers.formats.imap.search import parse_search
from mailservers.formats.imap.selecting import parse_select
from mailservers.formats.imap.sort import parse_sort, parse_thread
from mailservers.imap import (
    access,
    appending,
    contexts,
    fetching,
    listing,
    mailboxes,
    messages,
    metadata,
    multisearching,
    notifying,
    quotas,
    searching,
    sharing,
    sorting,
    urlauth,
)
from mailservers.imap.notifying import announce_all
from mailservers.imap.replies import Disconnect, Refusal, Reply, refusal_for
from mailservers.imap.session import Session

log = logging.getLogger(__name__)


class State(enum.Flag):
    """RFC 9051 section 3. (The logout state has no commands.)"""

    NOT_AUTHENTICATED = enum.auto()
    AUTHENTICATED = enum.auto()
    SELECTED = enum.auto()
    SIGNED_IN = AUTHENTICATED | SELECTED
    ANY = NOT_AUTHENTICATED | AUTHENTICATED | SELECTED


Handler = Callable[[Session, Any], Awaitable[Reply | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One command."""

    name: str
    source: str  # the RFC and its section
    states: State
    parse: Callable[[Lexer], Any]
    handler: Handler
    expunge: bool = True  # EXPUNGE may be sent while it is in progress
    is_idle: bool = False  # its tagged reply comes with DONE


_uid = partial  # _uid(handler, by_uid=True): the same command with UIDs for numbers

_ROWS = (
    Row("CAPABILITY", "9051 6.1.1", State.ANY, args.parse_nothing, access.capability),
    Row("NOOP", "9051 6.1.2", State.ANY, args.parse_nothing, access.noop),
    Row("LOGOUT", "9051 6.1.3", State.ANY, args.parse_nothing, access.logout),
    Row("ID", "2971 3.1", State.ANY, args.parse_id, access.identify),
    Row("STARTTLS", "9051 6.2.1", State.NOT_AUTHENTICATED, args.parse_nothing, access.starttls),
    Row("LOGIN", "9051 6.2.3", State.NOT_AUTHENTICATED, args.parse_login, access.login),
    Row("AUTHENTICATE", "9051 6.2.2", State.NOT_AUTHENTICATED, args.parse_authenticate, access.authenticate_command),
    Row("UNAUTHENTICATE", "8437 3", State.SIGNED_IN, args.parse_nothing, access.unauthenticate),
    Row("COMPRESS", "4978 3", State.SIGNED_IN, args.parse_compress, access.compress),
    Row("ENABLE", "9051 6.3.1", State.SIGNED_IN, args.parse_enable, access.enable),
    Row("NAMESPACE", "9051 6.3.10", State.SIGNED_IN, args.parse_nothing, access.namespace),
    Row("NOTIFY", "5465 3", State.SIGNED_IN, parse_notify, notifying.notify_command),
    Row("IDLE", "9051 6.3.13", State.SIGNED_IN, args.parse_nothing, access.idle, is_idle=True),
    Row("SELECT", "9051 6.3.2", State.SIGNED_IN, parse_select, mailboxes.select),
    Row("EXAMINE", "9051 6.3.3", State.SIGNED_IN, parse_select, partial(mailboxes.select, is_examine=True)),
    Row("CREATE", "9051 6.3.4", State.SIGNED_IN, args.parse_create, mailboxes.create),
    Row("DELETE", "9051 6.3.5", State.SIGNED_IN, args.parse_mailbox, mailboxes.delete),
    Row("RENAME", "9051 6.3.6", State.SIGNED_IN, args.parse_rename, mailboxes.rename),
    Row("SUBSCRIBE", "9051 6.3.7", State.SIGNED_IN, args.parse_mailbox, mailboxes.subscribe),
    Row("UNSUBSCRIBE", "9051 6.3.8", State.SIGNED_IN, args.parse_mailbox, mailboxes.unsubscribe),
    Row("LIST", "9051 6.3.9", State.SIGNED_IN, parse_list, listing.list_command),
    Row("LSUB", "3501 6.3.9", State.SIGNED_IN, parse_lsub, listing.lsub),
    Row("STATUS", "9051 6.3.11", State.SIGNED_IN, parse_status, listing.status),
    Row("APPEND", "9051 6.3.12", State.SIGNED_IN, parse_append, appending.append_command),
    Row("GETACL", "4314 3.3", State.SIGNED_IN, args.parse_mailbox, sharing.getacl),
    Row("SETACL", "4314 3.1", State.SIGNED_IN, parse_setacl, sharing.setacl),
    Row("DELETEACL", "4314 3.2", State.SIGNED_IN, parse_identifier, sharing.deleteacl),
    Row("LISTRIGHTS", "4314 3.4", State.SIGNED_IN, parse_identifier, sharing.listrights),
    Row("MYRIGHTS", "4314 3.5", State.SIGNED_IN, args.parse_mailbox, sharing.myrights),
    Row("GETMETADATA", "5464 4.2", State.SIGNED_IN, parse_getmetadata, metadata.getmetadata),
    Row("SETMETADATA", "5464 4.3", State.SIGNED_IN, parse_setmetadata, metadata.setmetadata),
    Row("GETQUOTA", "9208 4.1.1", State.SIGNED_IN, parse_getquota, quotas.getquota),
    Row("GETQUOTAROOT", "9208 4.1.2", State.SIGNED_IN, args.parse_mailbox, quotas.getquotaroot),
    Row("SETQUOTA", "9208 4.1.3", State.SIGNED_IN, parse_setquota, quotas.setquota),
    Row("GENURLAUTH", "4467 7", State.SIGNED_IN, args.parse_genurlauth, urlauth.genurlauth),
    Row("URLFETCH", "4467 7", State.SIGNED_IN, args.parse_urls, urlauth.urlfetch),
    Row("RESETKEY", "4467 7", State.SIGNED_IN, args.parse_resetkey, urlauth.resetkey),
    Row("CHECK", "3501 6.4.1", State.SELECTED, args.parse_nothing, access.noop),
    Row("CLOSE", "9051 6.4.1", State.SELECTED, args.parse_nothing, mailboxes.close),
    Row("UNSELECT", "9051 6.4.2", State.SELECTED, args.parse_nothing, mailboxes.unselect),
    Row("EXPUNGE", "9051 6.4.3", State.SELECTED, args.parse_nothing, messages.expunge_command),
    Row("SEARCH", "9051 6.4.4", State.SELECTED, parse_search, searching.search, expunge=False),
    Row("FETCH", "9051 6.4.5", State.SELECTED, parse_fetch, fetching.fetch, expunge=False),
    Row("STORE", "9051 6.4.6", State.SELECTED, args.parse_store, messages.store_command, expunge=False),
    Row("COPY", "9051 6.4.7", State.SELECTED, args.parse_copy, messages.copy_command),
    Row("MOVE", "9051 6.4.8", State.SELECTED, args.parse_copy, messages.move_command),
    Row("REPLACE", "8508 3.2", State.SELECTED, parse_replace, appending.replace_command),
    Row("UID EXPUNGE", "9051 6.4.9", State.SELECTED, args.parse_messages, messages.uid_expunge),
    Row("ESEARCH", "7377 2", State.SIGNED_IN, parse_multisearch, multisearching.multisearch),
    Row("CANCELUPDATE", "5267 4.3.5", State.SELECTED, args.parse_tags, contexts.cancelupdate),
    Row("SORT", "5256 3", State.SELECTED, parse_sort, sorting.sort, expunge=False),
    Row("THREAD", "5256 3", State.SELECTED, parse_thread, sorting.thread_command, expunge=False),
    Row("UID SORT", "5256 3", State.SELECTED, parse_sort, _uid(sorting.sort, by_uid=True)),
    Row("UID THREAD", "5256 3", State.SELECTED, parse_thread, _uid(sorting.thread_command, by_uid=True)),
    Row("UID SEARCH", "9051 6.4.9", State.SELECTED, parse_search, _uid(searching.search, by_uid=True)),
    Row("UID FETCH", "9051 6.4.9", State.SELECTED, parse_fetch, _uid(fetching.fetch, by_uid=True)),
    Row("UID STORE", "9051 6.4.9", State.SELECTED, args.parse_store, _uid(messages.store_command, by_uid=True)),
    Row("UID COPY", "9051 6.4.9", State.SELECTED, args.parse_copy, _uid(messages.copy_command, by_uid=True)),
    Row("UID MOVE", "9051 6.4.9", State.SELECTED, args.parse_copy, _uid(messages.move_command, by_uid=True)),
    Row("UID REPLACE", "8508 3.3", State.SELECTED, parse_replace, _uid(appending.replace_command, by_uid=True)),
)
COMMANDS = {row.name: row for row in _ROWS}


def state_of(session: Session) -> State:
    if session.identity is None:
        return State.NOT_AUTHENTICATED
    return State.AUTHENTICATED if session.selected is None else State.SELECTED


async def run(session: Session, command: Command) -> Reply | None:
    """Carry out one command and queue all its responses, the tagged one last.

    Raises Disconnect where the session must end, ConnectionResetError where the client has gone.
    """
    row = COMMANDS.get(command.name)
    session.tag, session.told_progress_at = command.tag, time.monotonic()
    try:
        if row is None:
            raise Refusal(None, "Unknown command", "BAD")
        reply = await _carry_out(session, row, command)
    except (Disconnect, ConnectionResetError):
        raise
    except Exception as error:
        refusal = refusal_for(error)
        if refusal is None:
            log.exception("%s failed", command.name)
            refusal = Refusal("SERVERBUG", "Internal error")
        await _announce_after(session, row)
        session.bad_commands = session.bad_commands + 1 if refusal.status == "BAD" else 0
        tagged(session, command.tag, refusal.status, refusal.code, refusal.text)
        return None
    session.bad_commands = 0
    if row.is_idle:
        session.idle_tag = command.tag
        return None
    await _announce_after(session, row)
    code = reply.code.decode("ascii") if reply is not None and reply.code is not None else None
    text = reply.text if reply is not None else f"{row.name} completed"
    tagged(session, command.tag, "OK", code, text)
    return reply


async def _carry_out(session: Session, row: Row, command: Command) -> Reply | None:
    state = state_of(session)
    if not row.states & state:
        raise Refusal(None, _STATE_TEXTS.get(row.states, "Not now"), "BAD")
    if session.uidonly and row.name != "EXPUNGE" and f"UID {row.name}" in COMMANDS:
        raise Refusal("UIDREQUIRED", "Message numbers are not in use", "BAD")
    await sharing.judge_anew(session)
    request = row.parse(Lexer(command.parts, session.utf8, charset_allowed=not session.utf8_accept))
    return await row.handler(session, request)


_STATE_TEXTS = {
    State.NOT_AUTHENTICATED: "Already signed in",
    State.SIGNED_IN: "Sign in first",
    State.SELECTED: "No mailbox is selected",
}


async def _announce_after(session: Session, row: Row | None) -> None:
    """Changes are told before the tagged response; a failure to look is no failure of the command."""
    if session.selected is None and session.notifier is None and session.metadata is None:
        return
    try:
        await announce_all(session, expunge=row is not None and row.expunge)
    except (Disconnect, ConnectionResetError):
        raise
    except Exception:
        log.warning("looking for changes failed", exc_info=True)


def tagged(session: Session, tag: bytes | None, status: str, code: str | None, text: str) -> None:
    """Queue a status response; untagged where the tag could not be read."""
    bracketed = f"[{code}] " if code else ""
    session.raw((tag or b"*") + f" {status} {bracketed}{text}\r\n".encode("ascii", "replace"))
