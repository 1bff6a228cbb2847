"""What EHLO offers, and which parameters of MAIL and RCPT that allows. One row an extension: when it is offered, its
EHLO line, the MAIL and RCPT keywords that come with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from accounts.auth.sasl import offered
from mailservers.smtp.wire import Role

if TYPE_CHECKING:
    from mailservers.smtp.session import Session


@dataclass(frozen=True, slots=True)
class Extension:
    line: Callable[[Session], str]
    mail: frozenset[str] = frozenset()
    rcpt: frozenset[str] = frozenset()
    is_offered: Callable[[Session], bool] = lambda session: True


def _size(session: Session) -> str:
    return f"SIZE {settings.MESSAGE_SIZE_LIMIT}"


def _limits(session: Session) -> str:
    """RFC 9422."""
    return f"LIMITS RCPTMAX={settings.MAX_RECIPIENTS}"


def _future_release(session: Session) -> str:
    """RFC 4865 3: the longest time, and the last moment."""
    latest = timezone.now() + timedelta(seconds=settings.FUTURE_RELEASE_MAX_S)
    return f"FUTURERELEASE {settings.FUTURE_RELEASE_MAX_S} {latest:%Y-%m-%dT%H:%M:%SZ}"


def _mechanisms(session: Session) -> str:
    return " ".join(["AUTH", *offered(is_tls=session.wire.is_tls)])


def _is_submission(session: Session) -> bool:
    return session.role is Role.SUBMISSION


def _may_authenticate(session: Session) -> bool:
    return _is_submission(session) and session.wire.may_send_password


def _is_not_lmtp(session: Session) -> bool:
    """There mail is delivered when it is taken: nothing to be in time for, or in order."""
    return session.role is not Role.LMTP


def _is_tls(session: Session) -> bool:
    return session.wire.is_tls


def _is_clear(session: Session) -> bool:
    return not session.wire.is_tls


def _named(line: str) -> Callable[[Session], str]:
    return lambda session: line


EXTENSIONS = (
    Extension(_named("PIPELINING")),
    Extension(_size, mail=frozenset({"SIZE"})),
    Extension(_named("8BITMIME"), mail=frozenset({"BODY"})),
    Extension(_named("SMTPUTF8"), mail=frozenset({"SMTPUTF8"})),
    Extension(_named("CHUNKING")),
    Extension(_named("BINARYMIME"), mail=frozenset({"BODY"})),
    Extension(_named("DSN"), mail=frozenset({"RET", "ENVID"}), rcpt=frozenset({"NOTIFY", "ORCPT"})),
    Extension(_named("ENHANCEDSTATUSCODES")),
    Extension(_limits),
    Extension(_future_release, mail=frozenset({"HOLDFOR", "HOLDUNTIL"}), is_offered=_is_submission),
    Extension(_named("DELIVERBY"), mail=frozenset({"BY"}), is_offered=_is_not_lmtp),
    Extension(_named("MT-PRIORITY"), mail=frozenset({"MT-PRIORITY"}), is_offered=_is_not_lmtp),
    # RFC 8689 2: only over TLS.
    Extension(_named("REQUIRETLS"), mail=frozenset({"REQUIRETLS"}), is_offered=_is_tls),
    Extension(_named("STARTTLS"), is_offered=_is_clear),
    # RFC 4954 5: AUTH= is accepted, and not trusted.
    Extension(_mechanisms, mail=frozenset({"AUTH"}), is_offered=_may_authenticate),
)


def ehlo_lines(session: Session) -> list[str]:
    return [extension.line(session) for extension in EXTENSIONS if extension.is_offered(session)]


def unknown_parameter(session: Session, keywords: Iterable[str], command: str) -> str | None:
    """The first keyword that nothing offered here brings; `command` is "mail" or "rcpt"."""
    for keyword in keywords:
        if not any(keyword in (e.mail if command == "mail" else e.rcpt) and e.is_offered(session) for e in EXTENSIONS):
            return keyword
    return None
