"""Domains, users and addresses through the store: what is done, what is refused, what is recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts import keys
from accounts.auth.door import AuthenticationFailed, check
from accounts.models import Address, AuditEntry, DkimKey, Domain, User
from accounts.services import (
    AlreadyExists,
    InvalidValue,
    NotAllowed,
    NotFound,
    StillInUse,
    create_address,
    create_domain,
    create_user,
    delete_address,
    delete_domain,
    generate_password,
    hash_given,
    hash_typed,
    remove_user,
    set_domain_active,
    set_password,
    set_user_active,
    update_address,
    update_user,
)
from mailservers.delivery.routing import NotOurDomain, UnknownRecipient, resolve_address
from mailservers.models import Mailbox, Message, MessageData
from mailservers.store.bodies import file_path
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.placing import Delivery, Placement, deliver
from tests.accounts.conftest import ACTOR, last_audit
from tests.conftest import mailbox_id

GOOD = "a good long password"


def add_user(login: str, **values: object) -> int:
    return store.call_sync(create_user, login, actor=ACTOR, **values)


def add_address(address: str, *targets: str) -> int:
    return store.call_sync(create_address, address, targets, actor=ACTOR)


class TestDomains:
    def test_create(self, harbour: Domain) -> None:
        assert harbour.name == "harbour.test"
        assert sorted(DkimKey.objects.filter(domain=harbour).values_list("selector", flat=True)) == ["test1", "test1e"]
        assert last_audit() == (ACTOR, "domain.create", "harbour.test")

    @pytest.mark.parametrize("again", ["harbour.test", "HARBOUR.test."])
    def test_once_only(self, harbour: Domain, key_pair: keys.KeyPair, again: str) -> None:
        with pytest.raises(AlreadyExists):
            store.call_sync(create_domain, again, key_pair, actor=ACTOR)
        assert AuditEntry.objects.count() == 1

    def test_a_labels_and_u_labels_are_one_domain(self, mail: None, key_pair: keys.KeyPair) -> None:
        store.call_sync(create_domain, "bücher.test", key_pair, actor=ACTOR)
        with pytest.raises(AlreadyExists, match="bücher"):
            store.call_sync(create_domain, "xn--bcher-kva.test", key_pair, actor=ACTOR)

    def test_delete_is_refused_while_it_has_users(self, harbour: Domain) -> None:
        user_id = add_user("anna@harbour.test")
        with pytest.raises(StillInUse, match="1 user:"):
            store.call_sync(delete_domain, harbour.pk, actor=ACTOR)
        remove_user(user_id, actor=ACTOR)
        add_address("info@harbour.test", "someone@elsewhere.test")
        store.call_sync(delete_domain, harbour.pk, actor=ACTOR)
        assert not Domain.objects.exists() and not Address.objects.exists() and not DkimKey.objects.exists()
        assert last_audit() == (ACTOR, "domain.delete", "harbour.test")

    def test_delete_is_refused_while_others_lead_into_it(self, harbour: Domain, key_pair: keys.KeyPair) -> None:
        quay = store.call_sync(create_domain, "quay.test", key_pair, actor=ACTOR)
        add_address("info@quay.test", "someone@elsewhere.test")
        add_address("info@harbour.test", "info@quay.test")
        with pytest.raises(StillInUse, match=r"info@harbour\.test leads to"):
            store.call_sync(delete_domain, quay, actor=ACTOR)

    def test_switched_off(self, harbour: Domain) -> None:
        add_user("anna@harbour.test", password_hash=hash_given(GOOD))
        store.call_sync(set_domain_active, harbour.pk, False, actor=ACTOR)
        with pytest.raises(NotOurDomain):
            resolve_address("anna@harbour.test")
        with pytest.raises(AuthenticationFailed):
            check("anna@harbour.test", GOOD, address="192.0.2.1", service="test")
        store.call_sync(set_domain_active, harbour.pk, True, actor=ACTOR)
        assert check("anna@harbour.test", GOOD, address="192.0.2.1", service="test").login == "anna@harbour.test"

    def test_the_last_administrators_domain_stays_on(self, boss: User) -> None:
        with pytest.raises(NotAllowed):
            store.call_sync(set_domain_active, boss.domain_id, False, actor=ACTOR)
        assert Domain.objects.get().is_active


class TestUsers:
    def test_create(self, harbour: Domain) -> None:
        user_id = add_user("Anna@Harbour.test", name=" Anna  Holm ", role="admin", quota_octets=10)
        user = User.objects.get(pk=user_id)
        assert (user.login, user.name, user.role, user.quota_octets) == ("anna@harbour.test", "Anna Holm", "admin", 10)
        assert not user.has_usable_password()
        assert sorted(Mailbox.objects.filter(owner=user).values_list("name", flat=True)) == [
            "Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash",
        ]  # fmt: skip
        assert last_audit() == (ACTOR, "user.create", "anna@harbour.test")
        assert resolve_address("ANNA@harbour.test").local[0].user_id == user_id

    @pytest.mark.parametrize(
        ("login", "values", "error", "field"),
        [
            ("nobody", {}, InvalidValue, "login"),
            ("a@elsewhere.test", {}, NotFound, "login"),
            ("info@harbour.test", {}, AlreadyExists, "login"),
            ("ben@harbour.test", {}, AlreadyExists, "login"),
            ("BEN@harbour.test", {}, AlreadyExists, "login"),
            ("x@harbour.test", {"role": "god"}, InvalidValue, "role"),
            ("x@harbour.test", {"quota_octets": -1}, InvalidValue, "quota"),
            ("x@harbour.test", {"name": "a\0b"}, InvalidValue, "name"),
        ],
    )
    def test_bad_input(
        self, harbour: Domain, login: str, values: dict[str, object], error: type[Exception], field: str
    ) -> None:
        add_user("ben@harbour.test")
        add_address("info@harbour.test", "ben@harbour.test")
        before = (User.objects.count(), Mailbox.objects.count(), AuditEntry.objects.count())
        with pytest.raises(error) as caught:
            add_user(login, **values)
        assert caught.value.field == field  # type: ignore[attr-defined]
        assert (User.objects.count(), Mailbox.objects.count(), AuditEntry.objects.count()) == before

    def test_update_records_what_changed(self, boss: User, anna: User) -> None:
        store.call_sync(update_user, anna.pk, name="Anna H.", role="user", quota_octets=5, actor=ACTOR)
        entry = AuditEntry.objects.get()
        assert entry.detail == {"name": ["Anna Holm", "Anna H."], "quota_octets": [0, 5]}
        store.call_sync(update_user, anna.pk, name="Anna H.", role="user", quota_octets=5, actor=ACTOR)
        assert AuditEntry.objects.count() == 1

    def test_somebody_stays_administrator(self, boss: User, anna: User) -> None:
        def demote(user: User, actor: str) -> None:
            store.call_sync(update_user, user.pk, name=user.name, role="user", quota_octets=0, actor=actor)

        for act in (
            lambda: demote(boss, ACTOR),
            lambda: demote(boss, boss.login),
            lambda: store.call_sync(set_user_active, boss.pk, False, actor=ACTOR),
            lambda: remove_user(boss.pk, actor=ACTOR),
        ):
            with pytest.raises(NotAllowed):
                act()
        boss.refresh_from_db()
        assert boss.is_admin and boss.is_active and not AuditEntry.objects.exists()
        store.call_sync(update_user, anna.pk, name="", role="admin", quota_octets=0, actor=ACTOR)
        demote(boss, ACTOR)

    @pytest.mark.parametrize("act", ["disable", "delete"])
    def test_nobody_locks_themselves_out(self, boss: User, make_user: Callable[..., User], act: str) -> None:
        make_user("other@harbour.test", role="admin")
        with pytest.raises(NotAllowed, match="your own"):
            if act == "delete":
                remove_user(boss.pk, actor=boss.login)
            else:
                store.call_sync(set_user_active, boss.pk, False, actor=boss.login)

    def test_password_ends_remembered_logins(self, anna: User) -> None:
        check(anna.login, "correct horse 9", address="192.0.2.1", service="test")
        version = User.objects.get(pk=anna.pk).credential_version
        store.call_sync(set_password, anna.pk, hash_typed(GOOD, anna), actor=ACTOR)
        assert User.objects.get(pk=anna.pk).credential_version == version + 1
        assert last_audit() == (ACTOR, "user.password", anna.login)
        assert GOOD not in str(list(AuditEntry.objects.values()))
        with pytest.raises(AuthenticationFailed):
            check(anna.login, "correct horse 9", address="192.0.2.1", service="test")
        assert check(anna.login, GOOD, address="192.0.2.1", service="test").user_id == anna.pk

    def test_switched_off(self, boss: User, anna: User) -> None:
        check(anna.login, "correct horse 9", address="192.0.2.1", service="test")
        store.call_sync(set_user_active, anna.pk, False, actor=ACTOR)
        with pytest.raises(AuthenticationFailed):
            check(anna.login, "correct horse 9", address="192.0.2.1", service="test")
        with pytest.raises(UnknownRecipient):
            resolve_address(anna.login)
        store.call_sync(set_user_active, anna.pk, True, actor=ACTOR)
        assert check(anna.login, "correct horse 9", address="192.0.2.1", service="test")

    @pytest.mark.parametrize("act", ["update", "password", "active", "delete"])
    def test_gone(self, mail: None, act: str) -> None:
        with pytest.raises(NotFound):
            match act:
                case "update":
                    store.call_sync(update_user, 99, name="", role="user", quota_octets=0, actor=ACTOR)
                case "password":
                    store.call_sync(set_password, 99, "x", actor=ACTOR)
                case "active":
                    store.call_sync(set_user_active, 99, False, actor=ACTOR)
                case "delete":
                    remove_user(99, actor=ACTOR)


class TestPasswords:
    @pytest.mark.parametrize(
        ("password", "words"),
        [
            ("", "missing"),
            ("tiny pw", "at least 10"),
            ("password123", "common"),
            ("nul\0in the middle", "cannot be typed"),
            ("x" * 1025, "longer"),
            ("lone surrogate \ud800", "cannot be typed"),
        ],
    )
    def test_bad(self, password: str, words: str) -> None:
        with pytest.raises(InvalidValue, match=words) as error:
            hash_typed(password)
        assert error.value.field == "password"
        assert password == "" or password not in str(error.value)

    def test_made_ones_are_good_and_different(self) -> None:
        made = {generate_password() for _ in range(50)}
        assert len(made) == 50
        assert all(len(password) == 24 for password in made)
        assert hash_typed(made.pop()).startswith("argon2")


class TestRemoval:
    def test_everything_goes_but_what_others_have(
        self, boss: User, anna: User, ben: User, settings, monkeypatch
    ) -> None:
        monkeypatch.setattr("accounts.services.removal.STEP", 3)
        settings.STORE_INLINE_LIMIT = 100
        shared = prepare(b"Subject: both\r\n\r\n" + bytes(range(256)) * 4)
        store.call_sync(deliver, Delivery(shared, (Placement(mailbox_id(anna)), Placement(mailbox_id(ben)))))
        for n in range(8):
            content = prepare(
                b"Subject: %d\r\n\r\n" % n + b"".join(b"%d %d\r\n" % (n, i * i * 7919) for i in range(99))
            )
            store.call_sync(deliver, Delivery(content, (Placement(mailbox_id(anna)),)))
        files = list(MessageData.objects.exclude(file="").values_list("file", flat=True))
        assert len(files) == 9
        alias = add_address("a@harbour.test", anna.login)
        group = add_address("team@harbour.test", anna.login, ben.login)
        add_address("chain@harbour.test", "a@harbour.test")

        remove_user(anna.pk, actor=ACTOR)

        assert not User.objects.filter(pk=anna.pk).exists()
        assert not Mailbox.objects.filter(owner_id=anna.pk).exists()
        assert Message.objects.count() == 1
        assert sum(file_path(name).exists() for name in files) == 1
        assert not Address.objects.filter(pk=alias).exists()
        assert list(Address.objects.values_list("pk", flat=True)) == [group]
        assert [t.user.login for t in Address.objects.get(pk=group).targets.all() if t.user] == [ben.login]
        assert last_audit() == (ACTOR, "user.delete", anna.login)
        with pytest.raises(UnknownRecipient):
            resolve_address(anna.login)

    def test_finished_after_a_crash(self, boss: User, anna: User) -> None:
        from accounts.services.removal import begin_removal

        store.call_sync(begin_removal, anna.pk, actor=ACTOR)
        remove_user(anna.pk, actor=ACTOR)
        assert not User.objects.filter(pk=anna.pk).exists()


class TestAddresses:
    def test_alias_and_group(self, anna: User, ben: User) -> None:
        add_address("info@harbour.test", "Anna@harbour.test", "Some.One@Elsewhere.test", "anna@harbour.test")
        resolution = resolve_address("info@harbour.test")
        assert [t.login for t in resolution.local] == [anna.login]
        assert resolution.remote == ("Some.One@elsewhere.test",)
        assert last_audit() == (ACTOR, "address.create", "info@harbour.test")

    def test_update_and_delete(self, anna: User, ben: User) -> None:
        pk = add_address("info@harbour.test", anna.login)
        store.call_sync(update_address, pk, [ben.login], actor=ACTOR)
        assert [t.login for t in resolve_address("info@harbour.test").local] == [ben.login]
        assert AuditEntry.objects.order_by("-pk")[0].detail == {"before": [anna.login], "after": [ben.login]}
        count = AuditEntry.objects.count()
        store.call_sync(update_address, pk, [ben.login], actor=ACTOR)
        assert AuditEntry.objects.count() == count
        store.call_sync(delete_address, pk, actor=ACTOR)
        with pytest.raises(UnknownRecipient):
            resolve_address("info@harbour.test")
        for act in (update_address, delete_address):
            with pytest.raises(NotFound):
                store.call_sync(act, pk, *([[ben.login]] if act is update_address else []), actor=ACTOR)

    @pytest.mark.parametrize(
        ("address", "targets", "error", "field"),
        [
            ("anna@harbour.test", ["ben@elsewhere.test"], AlreadyExists, "address"),
            ("ANNA@harbour.test", ["ben@elsewhere.test"], AlreadyExists, "address"),
            ("taken@harbour.test", ["anna@harbour.test"], AlreadyExists, "address"),
            ("info@elsewhere.test", ["anna@harbour.test"], NotFound, "address"),
            ("info", ["anna@harbour.test"], InvalidValue, "address"),
            ("info@harbour.test", [], InvalidValue, "targets"),
            ("info@harbour.test", [" ", ""], InvalidValue, "targets"),
            ("info@harbour.test", ["nobody@harbour.test"], InvalidValue, "targets"),
            ("info@harbour.test", ["not an address"], InvalidValue, "targets"),
            ("info@harbour.test", ["info@harbour.test"], InvalidValue, "targets"),
            ("info@harbour.test", [f"x{n}@elsewhere.test" for n in range(1001)], InvalidValue, "targets"),
        ],
    )
    def test_bad_input(self, anna: User, address: str, targets: list[str], error: type[Exception], field: str) -> None:
        add_address("taken@harbour.test", anna.login)
        with pytest.raises(error) as caught:
            add_address(address, *targets)
        assert caught.value.field == field  # type: ignore[attr-defined]
        assert Address.objects.count() == 1

    def test_no_loops(self, anna: User) -> None:
        first = add_address("a@harbour.test", anna.login)
        add_address("b@harbour.test", "a@harbour.test")
        add_address("c@harbour.test", "b@harbour.test", "x@elsewhere.test")
        with pytest.raises(InvalidValue, match="back to itself"):
            store.call_sync(update_address, first, ["c@harbour.test"], actor=ACTOR)
        assert [t.login for t in resolve_address("c@harbour.test").local] == [anna.login]

    def test_chains_are_bounded(self, anna: User) -> None:
        add_address("a0@harbour.test", anna.login)
        with pytest.raises(InvalidValue, match="aliases that lead to aliases"):
            for n in range(1, 20):
                add_address(f"a{n}@harbour.test", f"a{n - 1}@harbour.test")
        last = Address.objects.order_by("-pk")[0]
        assert resolve_address(last.address).local

    def test_not_deleted_while_others_lead_here(self, anna: User) -> None:
        first = add_address("a@harbour.test", anna.login)
        add_address("b@harbour.test", "a@harbour.test")
        with pytest.raises(StillInUse, match=r"b@harbour\.test leads to"):
            store.call_sync(delete_address, first, actor=ACTOR)
