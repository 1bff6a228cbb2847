"""Importing users: the file, the rows, a thousand of them, and the command."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.auth.door import check
from accounts.models import AuditEntry, DkimKey, Domain, User
from accounts.services import ImportRow, create_address, import_users
from accounts.services.user_file import UnreadableFile, read_users
from mailservers.models import Mailbox
from mailservers.store.engine import store
from tests.accounts.conftest import ACTOR

HEADER = "login,password,name,quota,role\n"


def rows(*logins: str) -> list[ImportRow]:
    return [ImportRow(n + 2, login, "secret") for n, login in enumerate(logins)]


class TestFile:
    def test_columns_in_any_order_quotes_and_byte_order_mark(self) -> None:
        data = (
            '\ufeffname,Login,password\r\n"Holm, Anna",anna@h.test," s p,a ""c""e "\r\n\r\n,ben@h.test,x\r\n'.encode()
        )
        read = read_users(data)
        assert read.rows == [
            ImportRow(2, "anna@h.test", ' s p,a "c"e ', "Holm, Anna"),
            ImportRow(4, "ben@h.test", "x", ""),
        ]
        assert not read.problems

    def test_semicolons(self) -> None:
        assert read_users(b"login;password\na@h.test;x,y\n").rows == [ImportRow(2, "a@h.test", "x,y")]

    def test_lines_of_quoted_newlines(self) -> None:
        read = read_users(b'login,password\na@h.test,"x\ny"\nb@h.test,z,too,many\n')
        assert read.rows[0].password == "x\ny"
        assert read.problems == [(4, "4 values for 2 columns")]

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "must name the columns"),
            (b"anna@h.test,secret\n", "missing: login"),
            (b"password,name\n", "missing: login"),
            (b"login,password,shoe\n", "unknown column “shoe”"),
            (b"login,password,login\n", "twice"),
            (b"login,password\nx\xff,y\n", "line 2 is not UTF-8"),
            (b'login,password\n"' + b"x" * 200_000 + b"\n", "line"),
        ],
    )
    def test_unreadable(self, data: bytes, words: str) -> None:
        with pytest.raises(UnreadableFile, match=words):
            read_users(data)


class TestImport:
    def test_small_imports_are_strong_at_once(self, harbour: Domain) -> None:
        report = import_users(
            [ImportRow(2, "Anna@harbour.test", " spaced ", "Anna Holm", "500M", "admin")], actor=ACTOR
        )
        assert (report.users, report.problems, report.domains) == (1, [], [])
        user = User.objects.get()
        assert (user.login, user.name, user.quota_octets, user.role) == (
            "anna@harbour.test", "Anna Holm", 500 * 2**20, "admin",
        )  # fmt: skip
        assert user.password.startswith("argon2$")
        assert Mailbox.objects.filter(owner=user).count() == 6
        check("anna@harbour.test", " spaced ", address="192.0.2.1", service="test")
        entry = AuditEntry.objects.get(action="user.import")
        assert entry.detail == {"logins": ["anna@harbour.test"]}

    BAD = (
        (ImportRow(3, "nobody", "x"), "no “@”"),
        (ImportRow(4, "x@elsewhere.test", "x"), "not one of our domains"),
        (ImportRow(5, "ben@harbour.test", "x"), "here already"),
        (ImportRow(6, "info@harbour.test", "x"), "here already"),
        (ImportRow(7, "ok@harbour.test", "x"), "on line 2"),
        (ImportRow(8, "OK@harbour.test", "x"), "on line 2"),
        (ImportRow(9, "y@harbour.test", ""), "password is missing"),
        (ImportRow(10, "y@harbour.test", "x", quota="much"), "not a size"),
        (ImportRow(11, "y@harbour.test", "x", role="chief"), "not a role"),
        (ImportRow(12, "y@harbour.test", "a\0b"), "cannot be typed"),
        (ImportRow(13, "y@harbour.test", "x", name="z" * 300), "longer than"),
        (ImportRow(14, "", ""), "address is missing"),
    )

    def test_all_or_nothing(self, harbour: Domain, ben: User) -> None:
        store.call_sync(create_address, "info@harbour.test", [ben.login], actor=ACTOR)
        report = import_users([ImportRow(2, "ok@harbour.test", "x"), *(row for row, _ in self.BAD)], actor=ACTOR)
        assert report.users == 0 and User.objects.count() == 1
        assert [line for line, _ in report.problems] == [row.line for row, _ in self.BAD]
        for (_, words), (_, reason) in zip(self.BAD, report.problems):
            assert words in reason

    def test_skip_bad(self, harbour: Domain, ben: User) -> None:
        bad = [row for row, words in self.BAD if "info" not in row.login]
        report = import_users([ImportRow(2, "ok@harbour.test", "x"), *bad], actor=ACTOR, skip_bad=True)
        assert report.users == 1 and len(report.problems) == len(bad)
        assert User.objects.filter(login="ok@harbour.test").exists()

    def test_domains_are_made(self, mail: None) -> None:
        report = import_users(rows("a@one.test", "b@two.test", "c@one.test"), True, actor=ACTOR)
        assert report.domains == ["one.test", "two.test"] and report.users == 3
        assert DkimKey.objects.count() == 4

    def test_nothing(self, mail: None) -> None:
        assert import_users([], actor=ACTOR).users == 0

    def test_a_thousand(self, harbour: Domain, capsys: pytest.CaptureFixture[str]) -> None:
        many = [ImportRow(n + 2, f"user{n}@harbour.test", f"password {n}", f"User {n}", "1G") for n in range(1000)]
        started = time.monotonic()
        report = import_users(many, actor=ACTOR)
        with capsys.disabled():
            print(f" [1000 users in {time.monotonic() - started:.1f} s] ", end="")
        assert report.users == 1000 and not report.problems
        assert User.objects.filter(quota_octets=2**30, domain=harbour).count() == 1000
        assert Mailbox.objects.count() == 6000
        hashes = set(User.objects.values_list("password", flat=True))
        assert len(hashes) == 1000 and all(h.startswith("import_pbkdf2$") for h in hashes)
        check("user999@harbour.test", "password 999", address="192.0.2.1", service="test")

    def test_a_login_taken_meanwhile(self, harbour: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
        from accounts.services import importing

        checked = list(importing._check(rows("a@harbour.test"), False, False, importing.ImportReport()))
        User.objects.create(login="a@harbour.test", domain=harbour)
        monkeypatch.setattr(importing, "_check", lambda *_: checked)
        report = import_users([], actor=ACTOR)
        assert report.users == 0 and "taken meanwhile" in report.problems[0][1]


@pytest.fixture
def kept_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands end the store's threads; tests go on with the same ones."""
    monkeypatch.setattr(store, "close", lambda: None)
    monkeypatch.setattr(store, "reopen", lambda: None)


@pytest.mark.usefixtures("kept_store")
class TestCommands:
    def run(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
        call_command(*words)
        return capsys.readouterr()

    def test_import(self, mail: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "users.csv"
        file.write_text(HEADER + "anna@harbour.test,secret,Anna,2G,admin\nben@harbour.test,secret,,,\n")
        with pytest.raises(CommandError, match="2 bad lines, nothing was imported"):
            call_command("users", "import", str(file))
        assert "line 2: harbour.test is not one of our domains" in capsys.readouterr().err
        out, _ = self.run(capsys, "users", "import", str(file), "--create-domains")
        assert "New domains: harbour.test" in out and "Imported 2 users" in out
        out, _ = self.run(capsys, "users", "list")
        assert [line.split()[:2] for line in out.splitlines()[1:]] == [
            ["anna@harbour.test", "Anna"],
            ["ben@harbour.test", "-"],
        ]

    def test_no_such_file(self, mail: None) -> None:
        with pytest.raises(CommandError, match=r"nowhere\.csv: No such file"):
            call_command("users", "import", "nowhere.csv")

    def test_add_password_link(self, harbour: Domain, capsys: pytest.CaptureFixture[str]) -> None:
        out, _ = self.run(capsys, "users", "add", "anna@harbour.test", "--name", "Anna", "--admin")
        password = out.split("Password: ")[1].strip()
        assert check("anna@harbour.test", password, address="192.0.2.1", service="test").is_admin
        out, _ = self.run(capsys, "users", "password", "ANNA@harbour.test")
        newer = out.split("Password: ")[1].strip()
        assert newer != password
        check("anna@harbour.test", newer, address="192.0.2.1", service="test")
        out, _ = self.run(capsys, "users", "link", "anna@harbour.test")
        assert "/sign-in/link/" in out
        actions = list(AuditEntry.objects.order_by("pk").values_list("actor", "action"))
        assert actions[1:] == [("command line", f"user.{what}") for what in ("create", "password", "link")]

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (("users", "add", "a@nowhere.test"), "not one of our domains"),
            (("users", "add", "a"), "no “@”"),
            (("users", "password", "nobody@harbour.test"), "there is no user"),
            (("users", "link", "nobody@harbour.test"), "there is no user"),
            (("domains", "delete", "nowhere.test"), "there is no domain"),
            (("domains", "add", "no domain"), "not a domain name"),
        ],
    )
    def test_errors_are_one_line(self, harbour: Domain, words: tuple[str, ...], reason: str) -> None:
        with pytest.raises(CommandError, match=reason) as error:
            call_command(*words)
        assert "\n" not in str(error.value) and error.value.returncode == 1

    def test_domains(self, mail: None, capsys: pytest.CaptureFixture[str]) -> None:
        out, _ = self.run(capsys, "domains", "add", "Harbour.TEST")
        assert "_domainkey.harbour.test. IN TXT" in out
        out, _ = self.run(capsys, "domains", "list")
        assert "harbour.test" in out and "v=DKIM1" in out
        self.run(capsys, "domains", "delete", "harbour.test")
        assert not Domain.objects.exists()
