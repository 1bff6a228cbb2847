"""Setting quotas: the services, and the commands."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, Domain, User
from accounts.services import InvalidValue, NotFound, names, set_domain_quota, set_user_quota
from mailservers.models import DomainUsage
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Append, append
from tests.conftest import mailbox_id


def put(user: User) -> None:
    store.call_sync(append, Append(user.pk, mailbox_id(user), [(prepare(b"Subject: x\r\n\r\n"), 0, (), None)]))


def test_a_domain_is_counted_when_it_gets_its_first_limit(anna: User, ben: User) -> None:
    put(anna)
    put(ben)
    domain = Domain.objects.get()
    store.call_sync(set_domain_quota, domain.pk, 5000, 0, actor="tests")
    assert DomainUsage.objects.values_list("octets", "messages").get() == (28, 2)
    put(ben)
    store.call_sync(set_domain_quota, domain.pk, 5000, 7, actor="tests")
    assert DomainUsage.objects.values_list("octets", "messages").get() == (42, 3)
    store.call_sync(set_domain_quota, domain.pk, 0, 0, actor="tests")
    assert not DomainUsage.objects.exists()
    store.call_sync(set_domain_quota, domain.pk, 0, 0, actor="tests")
    assert AuditEntry.objects.filter(action="domain.quota").count() == 3


@pytest.mark.parametrize("bad", [(-1, 0), (0, -1), (2**61, 0)])
def test_refusals(anna: User, bad: tuple[int, int]) -> None:
    for operation, pk in ((set_user_quota, anna.pk), (set_domain_quota, anna.domain_id)):
        with pytest.raises(InvalidValue):
            store.call_sync(operation, pk, *bad, actor="tests")
        with pytest.raises(NotFound):
            store.call_sync(operation, 999_999, 1, 1, actor="tests")


@pytest.mark.parametrize(
    ("typed", "number"), [("", 0), ("0", 0), ("20000", 20_000), ("20,000", 20_000), (" 1 000 ", 1000)]
)
def test_numbers_of_messages(typed: str, number: int) -> None:
    assert names.message_quota(typed) == number


@pytest.mark.parametrize("typed", ["many", "-1", "1e5", "٣", "9" * 20])
def test_what_is_no_number_of_messages(typed: str) -> None:
    with pytest.raises(InvalidValue):
        names.message_quota(typed)


def test_commands(anna: User) -> None:
    put(anna)
    out = StringIO()
    call_command("users", "quota", anna.login, "--quota", "2G", "--quota-messages", "5,000", stdout=out)
    call_command("domains", "quota", "harbour.test", "--quota", "1T", stdout=out)
    call_command("users", "list", stdout=out)
    call_command("domains", "list", stdout=out)
    assert "may keep 2 GiB and 5,000 messages." in out.getvalue()
    assert "harbour.test may keep 1 TiB together." in out.getvalue()
    anna.refresh_from_db()
    assert (anna.quota_octets, anna.quota_messages, anna.domain.quota_octets) == (2**31, 5000, 2**40)
    with pytest.raises(CommandError, match="not a number"):
        call_command("users", "quota", anna.login, "--quota-messages", "x")
