"""Putting the demo organisation into an empty installation, and remembering its passwords for the next start.

Run before the listeners start. A seeding that was cut short is finished by the next one: people who are there are
kept, and a mailbox that holds messages is left alone.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from accounts import keys
from accounts.models import Address, Domain, User
from accounts.services import (
    COMMAND_LINE,
    create_address,
    create_domain,
    create_user,
    generate_password,
    hash_given,
    scram_keys_for,
    set_password,
)
from mailservers.demo import ALIASES, DOMAIN, DemoMessage, DemoPerson, messages, people
from mailservers.models import Flag, Mailbox
from mailservers.store.content import NewMessage, prepare
from mailservers.store.engine import store
from mailservers.store.mailboxes import create_mailbox, subscribe
from mailservers.store.placing import Append, append

FLAG_BITS = {flag.label: flag.value for flag in Flag}


def seed_demo() -> list[dict[str, str]]:
    """The demo accounts, as [{"login", "password"}]; on a second start the same ones, read back.

    An installation that already has another organisation's domains is left alone: []."""
    if Domain.objects.exclude(name=DOMAIN).exists() and not Domain.objects.filter(name=DOMAIN).exists():
        return []
    accounts = _read_accounts()
    if accounts is None:
        accounts = {person.login: generate_password() for person in people()}
        _make_people(accounts)
        _file_messages()
        _write_accounts(accounts)  # last: its presence says that the rest is complete
    return [{"login": login, "password": password} for login, password in accounts.items()]


def _make_people(passwords: dict[str, str]) -> None:
    if not Domain.objects.filter(name=DOMAIN).exists():
        store.call_sync(create_domain, DOMAIN, keys.generate(), actor=COMMAND_LINE)
    for person in people():
        _make_person(person, passwords[person.login])
    for address, targets in ALIASES.items():
        if not Address.objects.filter(address=address).exists():
            store.call_sync(create_address, address, targets, actor=COMMAND_LINE)


def _make_person(person: DemoPerson, password: str) -> None:
    hashed, scram_keys = hash_given(password), scram_keys_for(person.login, password)
    user = User.objects.filter(login=person.login).first()
    if user is not None:
        store.call_sync(set_password, user.pk, hashed, actor=COMMAND_LINE, scram_keys=scram_keys)
        return
    store.call_sync(
        create_user,
        person.login,
        name=person.name,
        role=person.role,
        password_hash=hashed,
        scram_keys=scram_keys,
        actor=COMMAND_LINE,
    )


def _file_messages() -> None:
    by_mailbox: dict[tuple[str, str], list[DemoMessage]] = defaultdict(list)
    for message in messages(timezone.now() - timedelta(minutes=1)):
        by_mailbox[message.owner, message.mailbox].append(message)
    owners = dict(User.objects.filter(domain__name=DOMAIN).values_list("login", "pk"))
    prepared: dict[bytes, NewMessage] = {}
    for (login, name), items in by_mailbox.items():
        mailbox = _mailbox(owners[login], name)
        if mailbox.messages:
            continue
        for item in items:
            if item.raw not in prepared:
                prepared[item.raw] = prepare(item.raw)
        marked = [
            (
                prepared[item.raw],
                sum(FLAG_BITS[flag] for flag in item.flags),
                item.keywords,
                item.internal_date,
            )
            for item in items
        ]
        store.call_sync(append, Append(owners[login], mailbox.pk, marked))


def _mailbox(owner_id: int, name: str) -> Mailbox:
    if not Mailbox.objects.filter(owner_id=owner_id, name=name).exists():
        store.call_sync(create_mailbox, owner_id, name)
        for level in range(1, name.count("/") + 2):
            store.call_sync(subscribe, owner_id, "/".join(name.split("/")[:level]))
    return Mailbox.objects.get(owner_id=owner_id, name=name)


# ---------------------------------------------------------------- the accounts, for the next start


def _path() -> Path:
    return Path(settings.DATA_DIR) / "demo-accounts.json"


def _read_accounts() -> dict[str, str] | None:
    try:
        return json.loads(_path().read_text())
    except FileNotFoundError:
        return None


def _write_accounts(accounts: dict[str, str]) -> None:
    draft = _path().with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        json.dump(accounts, file, indent=1)
    draft.rename(_path())
