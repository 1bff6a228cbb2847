"""The message that tells an owner that the quota is nearly used up: once, and again only after it fell below.

It is written in a transaction of its own, which also sets `Usage.is_warned`: if that never comes, because of a crash
or a full queue, the next message that arrives is a new occasion. It takes room like any other message: where there
is none left it is not written, so that a quota is never overshot.
"""

from __future__ import annotations

import secrets
from email.utils import format_datetime

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from mailservers.models import Mailbox, Usage
from mailservers.store.content import prepare
from mailservers.store.errors import StoreError
from mailservers.store.placing import Append, lock_mailboxes, write_appends
from mailservers.store.quota import Allowance, lock_accounts
from mailservers.store.transaction import Transaction


def warn(tx: Transaction, owner_id: int) -> None:
    """Put the warning into the INBOX, unless it was given meanwhile or the usage fell again."""
    inboxes = lock_mailboxes(Mailbox.objects.filter(owner_id=owner_id, name="INBOX").values_list("pk", flat=True))
    account = lock_accounts([owner_id]).get(owner_id)
    if account is None or not inboxes or account.is_warned or not account.own.is_filling():
        return
    login = User.objects.values_list("login", flat=True).get(pk=owner_id)
    message = prepare(warning_text(login, account.own))
    Usage.objects.filter(pk=owner_id).update(is_warned=True)
    outcome = write_appends(tx, [Append(owner_id, next(iter(inboxes)), [(message, 0, (), None)])])[0]
    if isinstance(outcome, StoreError):
        Usage.objects.filter(pk=owner_id).update(is_warned=False)


def warning_text(login: str, own: Allowance) -> bytes:
    """The whole message, CRLF line ends."""
    percent = max(
        used * 100 // limit
        for used, limit in ((own.octets, own.limit_octets), (own.messages, own.limit_messages))
        if limit
    )
    holds = [f"{own.messages:,} messages" + (f" of {own.limit_messages:,}" if own.limit_messages else "")]
    holds.append(_size(own.octets) + (f" of {_size(own.limit_octets)}" if own.limit_octets else ""))
    lines = (
        "Return-Path: <>",
        f"From: Mail system <postmaster@{login.rpartition('@')[2]}>",
        f"To: <{login}>",
        f"Subject: Your mailbox is {percent} % full",
        f"Date: {format_datetime(timezone.localtime())}",
        f"Message-ID: <quota-{secrets.token_hex(12)}@{settings.HOSTNAME}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        f"Your mailbox holds {' and '.join(holds)}.",
        "",
        "When it is full, mail for you is turned away until there is room again, and you",
        "cannot save drafts or sent messages. To make room, delete what you no longer",
        "need: large attachments first, then empty Trash and Junk. If you need more room,",
        "ask your administrator.",
        "",
    )
    return "\r\n".join(lines).encode()


def _size(octets: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if octets >= unit:
            return f"{octets / unit:.1f} {name}"
    return f"{octets} bytes"
