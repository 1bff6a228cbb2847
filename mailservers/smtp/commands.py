"""SMTP commands: the table of verbs, and what each does (RFC 5321 4.1, 3030, 3207, 3461)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from mailservers.delivery.envelope import Envelope, Recipient
from mailservers.delivery.routing import (
    NotOurDomain,
    Resolution,
    UnknownRecipient,
    postmaster_address,
    remembered,
    resolve,
    sends_as,
)
from mailservers.delivery.submission import check_sender
from mailservers.formats.esmtp import NO_OPTIONS, NOTHING_ASKED, DsnRequest, MailOptions, dsn_request, mail_options
from mailservers.formats.smtp import PathCommand, SmtpSyntaxError, parse_helo_name, parse_mail, parse_rcpt
from mailservers.formats.smtp_chunks import parse_bdat
from mailservers.smtp import replies
from mailservers.smtp.arrival import note_refusal
from mailservers.smtp.authentication import do_auth
from mailservers.smtp.defences import refusal_of_message
from mailservers.smtp.offers import ehlo_lines, unknown_parameter
from mailservers.smtp.replies import Reply
from mailservers.smtp.wire import Role, Waiting
from mailservers.store.engine import store
from mailservers.store.events import new_trace_id
from mailservers.store.quota import lacking_room

if TYPE_CHECKING:
    from mailservers.smtp.session import Session

log = logging.getLogger(__name__)


def do_ehlo(session: Session, rest: str) -> None:
    session.helo = parse_helo_name(rest)
    session.esmtp = True
    session.reset()
    session.reply((250, "", "\n".join([settings.HOSTNAME, *ehlo_lines(session)])))


def do_helo(session: Session, rest: str) -> None:
    session.helo = parse_helo_name(rest)
    session.esmtp = False
    session.reset()
    session.reply((250, "", settings.HOSTNAME))


def do_mail(session: Session, rest: str) -> Waiting | None:
    command = parse_mail(rest)
    refusal = _check_mail_parameters(session, command)
    if refusal is not None:
        session.reply(refusal)
        return None
    refusal = refusal_of_message(session)
    if refusal is not None:
        session.end(refusal)
        return None
    options = mail_options(command.parameters, timezone.now()) if command.parameters else NO_OPTIONS
    refusal = _check_mail_options(command, options)
    if refusal is not None:
        session.reply(refusal)
        return None
    if session.identity is not None and not sends_as(session.identity.user_id, command.path.address):
        return _mail_from_user(session, command, options)
    _begin(session, command, options)
    return None


async def _mail_from_user(session: Session, command: PathCommand, options: MailOptions) -> None:
    assert session.identity is not None
    await store.read(check_sender, session.identity.user_id, command.path.address)
    _begin(session, command, options)


def _begin(session: Session, command: PathCommand, options: MailOptions) -> None:
    most = settings.SUBMISSION_PRIORITY if session.identity is not None else 0
    reply = (250, "2.1.0", "Sender OK")
    if options.priority > most:  # RFC 6710 4.1: strangers may ask for less only
        options = replace(options, priority=most)
        reply = (250, "2.3.6", f"Sender OK, with priority {most}")
    protocol = "UTF8SMTP" if options.smtputf8 else "ESMTP" if session.esmtp else "SMTP"
    if session.role is Role.LMTP:
        protocol = "UTF8LMTP" if options.smtputf8 else "LMTP"  # RFC 3848, 6531 4.3
    if session.esmtp:
        protocol += ("S" if session.wire.is_tls else "") + ("A" if session.identity else "")
    session.envelope = Envelope(
        new_trace_id(),
        command.path.address,
        session.wire.peer_address,
        session.helo,
        protocol,
        session.wire.tls_description() if session.wire.is_tls else "",
        session.identity.user_id if session.identity else None,
        session.identity.login if session.identity else "",
        options.smtputf8,
        int(command.parameters.get("SIZE") or 0),
        options=options,
        connection_id=session.trace.id,
    )
    session.reply(reply)


def _check_mail_parameters(session: Session, command: PathCommand) -> Reply | None:
    unknown = unknown_parameter(session, command.parameters, "mail")
    if unknown is not None:
        return (555, "5.5.4", f"Parameter {unknown} is not supported")
    if "SIZE" in command.parameters:
        value = command.parameters["SIZE"]
        if value is None or not value.isascii() or not value.isdigit() or len(value) > 20:
            return (501, "5.5.4", "SIZE needs a number")
        if int(value) > settings.MESSAGE_SIZE_LIMIT:
            return replies.TOO_LARGE
    return None


def _check_mail_options(command: PathCommand, options: MailOptions) -> Reply | None:
    if not command.path.is_ascii and not options.smtputf8:
        return (553, "5.6.7", "A non-ASCII address needs SMTPUTF8")
    if options.not_before is not None and options.not_before > _latest_release():
        return (501, "5.5.4", f"Mail is held for no longer than {settings.FUTURE_RELEASE_MAX_S} seconds")
    return None


def _latest_release() -> datetime:
    return timezone.now() + timedelta(seconds=settings.FUTURE_RELEASE_MAX_S)


def do_rcpt(session: Session, rest: str) -> Waiting | None:
    assert session.envelope is not None
    command = parse_rcpt(rest)
    unknown = unknown_parameter(session, command.parameters, "rcpt")
    if unknown is not None:
        session.reply((555, "5.5.4", f"Parameter {unknown} is not supported"))
        return None
    request = dsn_request(command.parameters) if command.parameters else NOTHING_ASKED
    if not command.path.is_ascii and not session.envelope.smtputf8:
        session.reply((553, "5.6.7", "A non-ASCII address needs SMTPUTF8"))
        return None
    if len(session.envelope.recipients) >= settings.MAX_RECIPIENTS:
        session.reply(replies.TOO_MANY_RECIPIENTS)
        return None
    address = command.path.address
    known = remembered(address)
    if known is not None:
        return _add(session, address, known, request)
    return _resolve(session, address, bool(command.path.domain), request)


async def _resolve(session: Session, address: str, has_domain: bool, request: DsnRequest) -> None:
    envelope = session.envelope
    assert envelope is not None
    if not has_domain:
        address = await store.read(postmaster_address, address, settings.HOSTNAME)
    try:
        resolution = await resolve(address)
    except UnknownRecipient:
        _refuse_recipient(session, replies.NO_USER, address)
    except NotOurDomain:
        if session.identity is None:
            _refuse_recipient(session, replies.NO_RELAY, address)
        else:
            _take(session, address, Resolution((), (address,)), request)
    else:
        waiting = _add(session, address, resolution, request)
        if waiting is not None:
            await waiting


def _add(session: Session, address: str, resolution: Resolution, request: DsnRequest) -> Waiting | None:
    """Take the recipient; where a quota applies, it is looked at first."""
    limited = [target.user_id for target in resolution.local if target.is_limited]
    if limited:
        return _add_if_room(session, address, resolution, request, limited)
    _take(session, address, resolution, request)
    return None


async def _add_if_room(
    session: Session, address: str, resolution: Resolution, request: DsnRequest, owner_ids: list[int]
) -> None:
    """A first look, so that the others of a message are not held up by a full mailbox: only what MAIL has declared
    (RFC 1870 section 6.1.2) is known here. The exact decision is the store's, at the end of the data."""
    envelope = session.envelope
    assert envelope is not None
    if await store.read(lacking_room, owner_ids, max(envelope.declared_octets, 1)):
        _refuse_recipient(session, replies.MAILBOX_FULL, address)
    else:
        _take(session, address, resolution, request)


def _take(session: Session, address: str, resolution: Resolution, request: DsnRequest) -> None:
    assert session.envelope is not None
    session.envelope.recipients.append(Recipient(address, resolution, request))
    session.reply((250, "2.1.5", "Recipient OK"))


def _refuse_recipient(session: Session, reply: Reply, address: str) -> None:
    assert session.envelope is not None
    session.reply(reply)
    note_refusal(session, reply, session.envelope.trace_id, session.envelope.reverse_path, address)


def do_data(session: Session, rest: str) -> None:
    if rest:
        raise SmtpSyntaxError("DATA has no argument")
    session.begin_data()
    session.reply((354, "", "End data with <CR><LF>.<CR><LF>"))


def do_bdat(session: Session, rest: str) -> None:
    """RFC 3030 2. A chunk that cannot come now is read all the same, and then refused."""
    size, is_last = parse_bdat(rest)
    session.begin_chunk(size, is_last, BDAT_STATE.refusal(session))


def do_rset(session: Session, rest: str) -> None:
    if rest:
        raise SmtpSyntaxError("RSET has no argument")
    session.reset()
    session.reply(replies.OK)


def do_noop(session: Session, rest: str) -> None:
    session.reply(replies.OK)


def do_vrfy(session: Session, rest: str) -> None:
    """RFC 5321 7.3: who is here is told at RCPT, not to the curious."""
    if not rest:
        raise SmtpSyntaxError("VRFY needs an address")
    session.reply((252, "2.5.0", "Send some mail, I will try my best"))


def do_expn(session: Session, rest: str) -> None:
    session.reply((502, "5.5.1", "EXPN is not available"))


def do_help(session: Session, rest: str) -> None:
    session.reply((214, "2.0.0", "See RFC 5321"))


def do_quit(session: Session, rest: str) -> None:
    if rest:
        raise SmtpSyntaxError("QUIT has no argument")
    session.end((221, "2.0.0", "Goodbye"))


def do_starttls(session: Session, rest: str) -> Waiting | None:
    if rest:
        raise SmtpSyntaxError("STARTTLS has no argument")
    session.reply((220, "2.0.0", "Go ahead"))
    session.forget_input()  # RFC 3207 4.2: nothing from before counts
    return _start_tls(session)


async def _start_tls(session: Session) -> None:
    try:
        await session.wire.start_tls()
    except OSError as error:
        log.info("STARTTLS with %s failed: %s", session.wire.peer_address, error)
        session.trace.note(f"STARTTLS failed: {error}")
        session.is_over = True
        return
    session.forget_input()
    session.helo, session.esmtp, session.identity = "", False, None
    session.reset()


# ---------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Command:
    """A verb: its handler, and what must have come before."""

    handler: Callable[[Session, str], Waiting | None]
    needs_helo: bool = False
    needs_auth: bool = False  # on submission
    needs: str = ""  # "mail", "rcpt", or "none": no transaction may be open
    extra: Callable[[Session], Reply | None] | None = None
    roles: frozenset[Role] = frozenset(Role)

    def refusal(self, session: Session) -> Reply | None:
        """Why the command cannot come now; None when it can."""
        envelope = session.envelope
        if session.role not in self.roles:
            return replies.UNKNOWN_COMMAND
        if self.needs_helo and not session.helo:
            return replies.NEED_LHLO if session.role is Role.LMTP else replies.NEED_HELO
        if self.needs_auth and session.role is Role.SUBMISSION and session.identity is None:
            return replies.NEED_AUTH
        if self.needs == "none" and envelope is not None:
            return replies.BAD_SEQUENCE
        if self.needs in ("mail", "rcpt") and envelope is None:
            return replies.NEED_MAIL
        if self.needs == "rcpt" and envelope is not None and not envelope.recipients:
            return replies.NEED_RCPT
        return self.extra(session) if self.extra else None


def _may_start_tls(session: Session) -> Reply | None:
    return (503, "5.5.1", "TLS is already in use") if session.wire.is_tls else None


def _may_authenticate(session: Session) -> Reply | None:
    if session.role is not Role.SUBMISSION:
        return (502, "5.5.1", "AUTH is for the submission ports")
    if session.identity is not None:
        return (503, "5.5.1", "Already authenticated")
    return None if session.wire.may_send_password else replies.NEED_TLS


def _is_data_allowed(session: Session) -> Reply | None:
    """RFC 3030 2, 3: DATA and BDAT do not mix, and binary content comes in chunks."""
    if session.chunks is not None:
        return replies.MIXED_DATA
    binary = session.envelope is not None and session.envelope.options.is_binary
    return (503, "5.5.1", "BODY=BINARYMIME needs BDAT") if binary else None


def _no_chunks(session: Session) -> Reply | None:
    return replies.MIXED_DATA if session.chunks is not None else None


SMTP_ONLY = frozenset({Role.RELAY, Role.SUBMISSION})
BDAT_STATE = Command(do_bdat, needs_helo=True, needs="rcpt")

COMMANDS: dict[str, Command] = {
    "EHLO": Command(do_ehlo, roles=SMTP_ONLY),
    "HELO": Command(do_helo, roles=SMTP_ONLY),
    "LHLO": Command(do_ehlo, roles=frozenset({Role.LMTP})),
    "MAIL": Command(do_mail, needs_helo=True, needs_auth=True, needs="none"),
    "RCPT": Command(do_rcpt, needs_helo=True, needs="mail", extra=_no_chunks),
    "DATA": Command(do_data, needs_helo=True, needs="rcpt", extra=_is_data_allowed),
    "BDAT": Command(do_bdat),
    "RSET": Command(do_rset),
    "NOOP": Command(do_noop),
    "VRFY": Command(do_vrfy),
    "EXPN": Command(do_expn),
    "HELP": Command(do_help),
    "QUIT": Command(do_quit),
    "STARTTLS": Command(do_starttls, needs_helo=True, extra=_may_start_tls),
    "AUTH": Command(do_auth, needs_helo=True, needs="none", extra=_may_authenticate),
}
