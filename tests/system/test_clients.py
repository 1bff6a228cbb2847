"""Other people's mail programs against a running server."""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import shutil
import smtplib
import ssl
import subprocess
import uuid
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.dialog import client_context
from tests.instance import ROOT, Instance

pytestmark = pytest.mark.clients


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (tests/install_clients.sh needs root)")
    return path


def run(
    *words: str, stdin: str | None = None, ok: tuple[int, ...] = (0,), environment: dict[str, str] | None = None
) -> str:
    env = {**os.environ, **(environment or {})}
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=120, errors="replace", env=env)
    assert done.returncode in ok, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def account(demo: Instance, number: int = 0) -> tuple[str, str]:
    return demo.accounts[number]["login"], demo.accounts[number]["password"]


def token() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_swaks_submits(demo: Instance, tls: str) -> None:
    (sender, password), (recipient, theirs), word = account(demo), account(demo, 1), token()
    port = demo.ports["submissions" if tls == "implicit" else "submission"]
    options = {"none": [], "starttls": ["--tls"], "implicit": ["--tls-on-connect"]}[tls]
    run(
        program("swaks"), "--server", f"127.0.0.1:{port}", "--auth", "PLAIN", "--auth-user", sender,
        "--auth-password", password, "--from", sender, "--to", recipient, "--header", f"Subject: {word}",
        "--timeout", "30", *options,
    )  # fmt: skip
    assert word.encode() in demo.wait_for(recipient, theirs, f"SUBJECT {word}")


def test_swaks_is_not_a_relay(demo: Instance) -> None:
    words = ("--from", "a@elsewhere.test", "--to", "b@elsewhere.test", "--timeout", "30")
    said = run(program("swaks"), "--server", f"127.0.0.1:{demo.ports['smtp']}", *words, ok=(24,))
    assert "550 5.7.1" in said


@pytest.mark.parametrize("method", ["plain", "login"])
def test_msmtp_submits(demo: Instance, tmp_path: Path, method: str) -> None:
    (sender, password), (recipient, theirs), word = account(demo, 1), account(demo), token()
    settings = tmp_path / "msmtprc"
    settings.write_text(
        f"account default\nhost 127.0.0.1\nport {demo.ports['submission']}\nfrom {sender}\nauth {method}\n"
        f"user {sender}\npassword {password}\ntls on\ntls_starttls on\ntls_certcheck off\n"
    )
    settings.chmod(0o600)
    run(program("msmtp"), "-C", str(settings), recipient, stdin=f"Subject: {word}\nTo: {recipient}\n\nHello\n")
    raw = demo.wait_for(recipient, theirs, f"SUBJECT {word}")
    assert b"\r\nMessage-ID: <" in raw or b"\r\nMessage-Id: <" in raw or raw.startswith(b"Message-ID")


def test_curl_fetches_over_imaps_and_pop3s(demo: Instance) -> None:
    login, password = account(demo)
    curl = program("curl")
    imap = run(curl, "-sk", "--user", f"{login}:{password}", f"imaps://127.0.0.1:{demo.ports['imaps']}/INBOX;UID=1")
    assert "Subject:" in imap
    pop3 = run(curl, "-sk", "--user", f"{login}:{password}", f"pop3s://127.0.0.1:{demo.ports['pop3s']}/1")
    assert pop3.replace("\r", "") == imap.replace("\r", "")


def test_mbsync_mirrors_both_ways(demo: Instance, tmp_path: Path) -> None:
    mbsync = program("mbsync")
    login, password = account(demo, 2)
    maildir = tmp_path / "mail"
    maildir.mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        f"IMAPAccount here\nHost 127.0.0.1\nPort {demo.ports['imap']}\nUser {login}\nPass {password}\n"
        "SSLType None\nAuthMechs PLAIN\n\nIMAPStore far\nAccount here\n\n"
        f"MaildirStore near\nPath {maildir}/\nInbox {maildir}/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    sync = (mbsync, "-c", str(settings), "-a")
    run(*sync)
    with demo.imap(login, password) as client:
        total = int(client.select("INBOX")[1][0] or b"0")
        inbox = [p for d in ("new", "cur") for p in (maildir / "INBOX" / d).iterdir()]
        assert len(inbox) == total > 0
        word = token()
        (maildir / "INBOX" / "new" / f"1.{word}.here").write_bytes(f"Subject: {word}\nFrom: a@b.test\n\nx\n".encode())
        seen = next(p for p in inbox if p.name.endswith(":2,S") or p.name.endswith(":2,RS"))
        seen.rename(seen.with_name(seen.name.replace(":2,", ":2,F").replace(":2,FRS", ":2,FRS")))
        client.store("1", "+FLAGS", "(\\Deleted)")
        client.expunge()
    run(*sync)
    run(*sync)
    with demo.imap(login, password) as client:
        assert int(client.select("INBOX")[1][0] or b"0") == total  # one came, one went
        assert client.search(None, f"SUBJECT {word}")[1][0]
        assert client.search(None, "FLAGGED")[1][0]
    assert len([p for d in ("new", "cur") for p in (maildir / "INBOX" / d).iterdir()]) == total


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_imapflow_with_all_that_it_enables(demo: Instance, kind: str) -> None:
    node = program("node")
    modules = ROOT / "build" / "clients" / "node_modules"
    if not (modules / "imapflow").is_dir():
        pytest.skip("imapflow is not installed (tests/install_clients.sh needs npm)")
    login, password = account(demo, 1)
    port = str(demo.ports["imaps" if kind == "tls" else "imap"])
    script = str(Path(__file__).with_name("imapflow_session.js"))
    said = json.loads(
        run(node, script, port, kind, login, password, f"Büro {kind}", environment={"NODE_PATH": str(modules)})
    )
    assert {"CONDSTORE", "QRESYNC"} <= set(said["enabled"]) and said["created"] and said["deleted"]
    assert [message[:3] for message in said["messages"]] == [[n, n, f"n{n}"] for n in range(1, 6)]
    assert all(parts == 2 and has_id for *_, parts, has_id in said["messages"])
    assert said["attachment"] == "000102"
    assert said["search"] == [[3], [2, 4]]
    assert said["copied"] == [[1, 6], [2, 7]]
    assert "vanished 2" in said["events"] and "exists 8" in said["events"]
    assert {"vanished 2", "flags 1"} <= set(said["resynchronised"])


def test_fetchmail_drains(demo: Instance, tmp_path: Path) -> None:
    fetchmail = program("fetchmail")
    demo.import_users(["drain@fetch.example"], "drain drain 7")
    words = [token() for _ in range(3)]
    with smtplib.SMTP("127.0.0.1", demo.ports["smtp"], timeout=60) as client:
        for word in words:
            client.sendmail("a@b.test", ["drain@fetch.example"], f"Subject: {word}\r\n\r\n{word}\r\n")
    out = tmp_path / "out"
    settings = tmp_path / "fetchmailrc"
    settings.write_text(
        f'poll 127.0.0.1 protocol POP3 port {demo.ports["pop3"]} auth password username "drain@fetch.example" '
        f'password "drain drain 7" sslproto "" fetchall mda "cat >> {out}"\n'
    )
    settings.chmod(0o600)
    run(fetchmail, "-f", str(settings), "--pidfile", str(tmp_path / "pid"), "--nosyslog")
    drained = out.read_text()
    assert all(f"Subject: {word}" in drained for word in words)
    with demo.imap("drain@fetch.example", "drain drain 7") as imap:
        assert imap.select("INBOX")[1] == [b"0"]


def test_python_smtplib_imaplib_poplib(demo: Instance) -> None:
    (sender, password), (recipient, theirs), word = account(demo), account(demo, 1), token()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, recipient, word
    message.set_content("Grüße aus dem Hafen")
    with smtplib.SMTP_SSL("127.0.0.1", demo.ports["submissions"], context=client_context(), timeout=60) as smtp:
        smtp.login(sender, password)
        smtp.send_message(message)
    with imaplib.IMAP4("127.0.0.1", demo.ports["imap"], timeout=60) as imap:
        imap.starttls(client_context())
        imap.login(recipient, theirs)
        imap.select("INBOX")
        assert imap.search(None, "SUBJECT", word)[1][0]
    pop = poplib.POP3("127.0.0.1", demo.ports["pop3"], timeout=60)
    pop.stls(client_context())
    pop.user(recipient)
    pop.pass_(theirs)
    newest = pop.stat()[0]
    assert f"Subject: {word}".encode() in pop.retr(newest)[1]
    pop.quit()


@pytest.mark.parametrize("name", ["submission", "imap", "pop3"])
def test_a_wrong_password_is_refused(demo: Instance, name: str) -> None:
    login, _ = account(demo)
    port = demo.ports[name]
    if name == "submission":
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as smtp, pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login(login, "wrong")
    elif name == "imap":
        with imaplib.IMAP4("127.0.0.1", port, timeout=60) as imap, pytest.raises(imaplib.IMAP4.error):
            imap.login(login, "wrong")
    else:
        pop = poplib.POP3("127.0.0.1", port, timeout=60)
        pop.user(login)
        with pytest.raises(poplib.error_proto):
            pop.pass_("wrong")
        pop.close()


def test_tls_is_modern(demo: Instance) -> None:
    context = client_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        imaplib.IMAP4_SSL("127.0.0.1", demo.ports["imaps"], ssl_context=context, timeout=30)
