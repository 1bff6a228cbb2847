"""Many users at once: a thousand in a few seconds, also while the server runs.

All rows are checked first; by default one bad row stops everything (`skip_bad` imports the good ones). Passwords of
small imports are hashed with Argon2 at once. In larger ones each gets a quick salted hash (`ImportHasher`), replaced at
the first login, or by `accounts.auth.strengthen` before that. Rows are written CHUNK users to a transaction, so that
mail never waits long; if a later chunk is refused (somebody took a login meanwhile), the earlier ones stand and the
report says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from django.contrib.auth.hashers import make_password

from accounts import keys
from accounts.models import Address, Domain, User
from accounts.services import audit, names
from accounts.services.domains import create_domain
from accounts.services.errors import AccountError, AlreadyExists
from accounts.services.passwords import check_storable
from mailservers.delivery import routing
from mailservers.store.engine import store
from mailservers.store.mailboxes import create_standard_mailboxes
from mailservers.store.transaction import Transaction

CHUNK = 250  # users in one transaction
ARGON2_UP_TO = 50  # users; more are hashed quickly
QUERY = 500  # values in one IN (...)


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One line as given; `line` is its number in the file, for the report."""

    line: int
    login: str
    password: str = ""  # "": none can sign in with it; `invites` of `import_users` says whether that is meant
    name: str = ""
    quota: str = ""
    role: str = ""


@dataclass(slots=True)
class ImportReport:
    """What was done. `problems`: (line, reason) of each row that was not imported. `invited`: (id, login) of those who
    have no password yet."""

    users: int = 0
    invited: list[tuple[int, str]] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Checked:
    line: int
    user: User  # not saved, without password and domain_id
    domain: str
    password: str


def import_users(
    rows: Iterable[ImportRow],
    create_domains: bool = False,
    *,
    actor: str,
    skip_bad: bool = False,
    invites: bool = False,
    dry_run: bool = False,
    problems: Iterable[tuple[int, str]] = (),
) -> ImportReport:
    """Not for the event loop. With problems (`problems`: those the reader of the file found already) and without
    `skip_bad` nothing is written and `users` is 0. `invites`: a row may be without a password. `dry_run`: only checks;
    `users` and `domains` are what would be made."""
    report = ImportReport(problems=list(problems))
    checked = list(_check(rows, create_domains, invites, report))
    report.problems.sort()
    if report.problems and not skip_bad:
        return report
    if dry_run:
        report.users, report.domains = len(checked), _missing_domains(checked)
        return report
    report.domains = _make_domains(checked, actor)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "import") as threads:
        hasher = "import_pbkdf2" if len(checked) > ARGON2_UP_TO else "default"
        hashes = threads.map(lambda item: make_password(item.password or None, hasher=hasher), checked)
        for item, password_hash in zip(checked, hashes):
            item.user.password = password_hash
    for start in range(0, len(checked), CHUNK):
        chunk = checked[start : start + CHUNK]
        try:
            store.call_sync(_write, chunk, actor)
        except AccountError as error:
            report.problems += [(item.line, f"not imported: {error}") for item in chunk]
        else:
            report.users += len(chunk)
            report.invited += [(item.user.pk, item.user.login) for item in chunk if not item.password]
    return report


def _check(rows: Iterable[ImportRow], create_domains: bool, invites: bool, report: ImportReport) -> Iterator[_Checked]:
    """The good rows; each bad one becomes a problem."""
    rows = list(rows)
    domains = set(Domain.objects.values_list("name", flat=True))
    taken = _taken([row.login.strip().lower() for row in rows])
    first_line: dict[str, int] = {}
    for row in rows:
        try:
            item = _check_row(row, invites)
            if item.domain not in domains and not create_domains:
                raise AlreadyExists(f"{item.domain} is not one of our domains, and missing ones are not to be made.")
            if item.user.login in taken:
                raise AlreadyExists(f"{item.user.login} is here already.")
            if item.user.login in first_line:
                raise AlreadyExists(f"{item.user.login} was on line {first_line[item.user.login]} already.")
        except AccountError as error:
            report.problems.append((row.line, str(error)))
        else:
            first_line[item.user.login] = row.line
            yield item


def _check_row(row: ImportRow, invites: bool) -> _Checked:
    login, domain = names.own_address(row.login)
    if row.password or not invites:
        check_storable(row.password)
    user = User(
        login=login, name=names.display_name(row.name), role=names.role(row.role), quota_octets=names.quota(row.quota)
    )
    return _Checked(row.line, user, domain, row.password)


def _taken(logins: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(logins), QUERY):
        some = logins[start : start + QUERY]
        found.update(User.objects.filter(login__in=some).values_list("login", flat=True))
        found.update(Address.objects.filter(address__in=some).values_list("address", flat=True))
    return found


def _missing_domains(checked: Sequence[_Checked]) -> list[str]:
    here = set(Domain.objects.values_list("name", flat=True))
    return [name for name in dict.fromkeys(item.domain for item in checked) if name not in here]


def _make_domains(checked: Sequence[_Checked], actor: str) -> list[str]:
    missing = _missing_domains(checked)
    for name in missing:
        store.call_sync(create_domain, name, keys.generate(), actor=actor)
    return missing


def _write(tx: Transaction, chunk: Sequence[_Checked], actor: str) -> None:
    domain_ids = dict(Domain.objects.values_list("name", "pk"))
    gone = taken = None
    for item in chunk:
        item.user.pk = None
        item.user._state.adding = True
        if item.domain not in domain_ids:
            gone = item.domain
        else:
            item.user.domain_id = domain_ids[item.domain]
    taken = _taken([item.user.login for item in chunk])
    if gone or taken:
        raise AlreadyExists(f"{gone} was deleted meanwhile" if gone else f"{min(taken)} was taken meanwhile")
    users = User.objects.bulk_create([item.user for item in chunk])
    create_standard_mailboxes(tx, [user.pk for user in users])
    audit.record(actor, "user.import", f"{len(users)} users", logins=[user.login for user in users])
    tx.after_commit.append(routing.forget)
