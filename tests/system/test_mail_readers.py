"""Programs that read and synchronise mail over IMAP; each ends with the same content on both sides."""

from __future__ import annotations

import json
import re
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.instance import ROOT, Instance
from tests.system.test_clients import account, program, run, token

pytestmark = pytest.mark.clients

# imapclient 4.1.0's own live test-suite: what fails for a reason of its own.
LIVE_SUITE_ALSO_FAILS = {
    "test_getacl": "subscripts a Namespace",
    "test_move": "MOVE without UID is unknown to Python's imaplib",
    "test_fetch": "takes its Envelope for a sequence; and does not expect the UID that RFC 7162 section 3.2.4 wants",
    "test_small_connection_timeout_fail": "loopback connects faster than its time-out",
    "test_small_read_timeout_fail": "loopback answers faster than its time-out",
}


def python_with(module: str) -> str:
    python = ROOT / "build" / "clients" / "python" / "bin" / "python"
    if not python.exists() or not list(python.parent.parent.glob(f"lib/*/site-packages/{module}")):
        pytest.skip(f"{module} is not installed (tests/install_clients.sh needs PyPI)")
    return str(python)


def user(demo: Instance, name: str) -> tuple[str, str]:
    login, password = f"{name}@readers.example", "readers read 7"
    demo.import_users([login], password)
    return login, password


def letter(word: str) -> bytes:
    head = f"From: a@b.test\r\nTo: c@d.test\r\nSubject: {word}\r\nMessage-ID: <{word}@b.test>\r\n"
    return f"{head}\r\nThis is {word}\r\n".encode()


def server_side(demo: Instance, login: str, password: str, mailbox: str) -> dict[str, set[str]]:
    """Subject -> flags, of all messages."""
    found = {}
    with demo.imap(login, password) as client:
        client.select(mailbox, readonly=True)
        for uid in client.uid("SEARCH", "ALL")[1][0].split():
            flags, message = client.uid("FETCH", uid.decode(), "(FLAGS BODY.PEEK[])")[1][0][:2]
            letters = {b"\\Seen": "S", b"\\Flagged": "F", b"\\Answered": "R", b"\\Draft": "D"}
            marks = re.search(rb"FLAGS \(([^)]*)\)", flags)
            assert marks is not None
            subject = str(message_from_bytes(message)["Subject"])
            assert subject not in found
            found[subject] = {letters[flag] for flag in marks[1].split() if flag in letters}
    return found


def maildir_side(folder: Path) -> dict[str, set[str]]:
    found = {}
    for path in [*(folder / "cur").iterdir(), *(folder / "new").iterdir()]:
        subject = str(message_from_bytes(path.read_bytes())["Subject"])
        assert subject not in found
        found[subject] = set(path.name.partition(":2,")[2]) & set("SFRD")
    return found


def test_the_live_test_suite_of_imapclient(demo: Instance, tmp_path: Path) -> None:
    python = python_with("imapclient")
    login, password = user(demo, "live")
    settings = tmp_path / "live.ini"
    settings.write_text(
        f"[DEFAULT]\nhost=127.0.0.1\nport={demo.ports['imap']}\nusername={login}\npassword={password}\n"
        "ssl=false\nstarttls=false\ntimeout=60\n"
    )
    said = run("sh", "-c", f"{python} -m imapclient.livetest {settings} 2>&1", ok=(0, 1))
    assert "Ran 59 tests" in said, said
    failed = set(re.findall(r"^(?:FAIL|ERROR): (\w+)", said, re.MULTILINE))
    assert failed <= LIVE_SUITE_ALSO_FAILS.keys(), said


def test_imap_tools(demo: Instance) -> None:
    python = python_with("imap_tools")
    login, password = user(demo, "tools")
    script = str(Path(__file__).with_name("imap_tools_session.py"))
    said = json.loads(run(python, script, str(demo.ports["imap"]), login, password, "Häfen"))
    assert said["exists"] and said["subjects"] == [f"n{n}" for n in range(6)]
    assert said["bulk"] == [f"body {n}" for n in range(6)]
    assert said["flagged"] == ["n1", "n3", "n5"] and said["reverse"] == ["n5", "n4"] and said["numbers"] == ["4"]
    assert said["unseen"] == ["n2", "n3", "n4", "n5"] and said["keyword"] == 2
    assert said["left"] == ["n0", "n4", "n5", "n0"] and said["status"] == 2 and said["delimiter"] == "/"
    assert any("6 EXISTS" in line or "5 EXISTS" in line for line in said["idle"])
    assert said["folders"] == ["Häfen"]


def test_offlineimap_mirrors_both_ways(demo: Instance, tmp_path: Path) -> None:
    offlineimap = program("offlineimap")
    login, password = user(demo, "offline")
    settings = tmp_path / "offlineimaprc"
    settings.write_text(
        f"[general]\naccounts = here\nmetadata = {tmp_path}/meta\nui = basic\n\n"
        "[Account here]\nlocalrepository = near\nremoterepository = far\n\n"
        f"[Repository near]\ntype = Maildir\nlocalfolders = {tmp_path}/mail\n\n"
        f"[Repository far]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {demo.ports['imap']}\n"
        f"remoteuser = {login}\nremotepass = {password}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN\n"
    )
    sync = (offlineimap, "-c", str(settings), "-o")
    words = [token() for _ in range(4)]
    with demo.imap(login, password) as client:
        for word in words:
            client.append("INBOX", "", None, letter(word))  # type: ignore[arg-type]
    run(*sync)
    inbox = tmp_path / "mail" / "INBOX"
    assert maildir_side(inbox).keys() == set(words)
    near, far = token(), token()
    with demo.imap(login, password) as client:  # the server's side: one comes, one goes, one is marked
        client.select("INBOX")
        client.append("INBOX", "", None, letter(far))  # type: ignore[arg-type]
        client.store("1", "+FLAGS", "(\\Deleted)")
        client.store("2", "+FLAGS", "(\\Flagged)")
        client.expunge()
    (inbox / "new" / f"1.{near}.here").write_bytes(letter(near).replace(b"\r\n", b"\n"))
    marked = next(path for path in inbox.glob("*/*") if f"Subject: {words[2]}".encode() in path.read_bytes())
    marked.rename(inbox / "cur" / (marked.name.partition(":")[0] + ":2,S"))
    next(path for path in inbox.glob("*/*") if f"Subject: {words[3]}".encode() in path.read_bytes()).unlink()
    run(*sync)
    run(*sync)
    there = server_side(demo, login, password, "INBOX")
    assert there.keys() == {words[1], words[2], near, far}
    assert "F" in there[words[1]] and "S" in there[words[2]]
    assert maildir_side(inbox) == there


def test_getmail_takes_all_over_imap(demo: Instance, tmp_path: Path) -> None:
    getmail = program("getmail")
    login, password = user(demo, "getmail")
    words = {token() for _ in range(3)}
    with demo.imap(login, password) as client:
        for word in words:
            client.append("INBOX", "", None, letter(word))  # type: ignore[arg-type]
    for name in ("cur", "new", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    (tmp_path / "getmailrc").write_text(
        f"[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.1\nport = {demo.ports['imap']}\n"
        f'username = {login}\npassword = {password}\nmailboxes = ("INBOX",)\n\n'
        f'[destination]\ntype = MDA_external\npath = /bin/sh\narguments = ("-c", "cat > {tmp_path}/mail/new/$$")\n'
        "allow_root_commands = true\n\n[options]\ndelete = true\nread_all = true\n"
    )
    run(getmail, f"--getmaildir={tmp_path}")
    assert maildir_side(tmp_path / "mail").keys() == words
    assert server_side(demo, login, password, "INBOX") == {}


def test_mutt_submits_and_keeps_a_copy(demo: Instance, tmp_path: Path) -> None:
    mutt = program("mutt")
    login, password = user(demo, "mutt")
    recipient, theirs = account(demo, 1)
    word = token()
    settings = tmp_path / "muttrc"
    ports = demo.ports
    settings.write_text(
        f'set from="{login}" realname="M" ssl_starttls=no ssl_force_tls=no\n'
        f'set smtp_url="smtp://{login}@127.0.0.1:{ports["submission"]}/" smtp_pass="{password}"\n'
        f'set imap_user="{login}" imap_pass="{password}" folder="imap://127.0.0.1:{ports["imap"]}/"\n'
        f'set record="+Sent" smtp_authenticators="plain" imap_authenticators="plain"\n'
        f'set header_cache="{tmp_path}/cache" certificate_file="{tmp_path}/certificates"\n'
    )
    run(
        mutt, "-F", str(settings), "-n", "-s", word, "--", recipient, stdin=f"This is {word}\n",
        environment={"HOME": str(tmp_path), "TERM": "dumb"},
    )  # fmt: skip
    raw = demo.wait_for(recipient, theirs, f"SUBJECT {word}")
    kept = demo.wait_for(login, password, f"SUBJECT {word}", "Sent")
    bodies = [message_from_bytes(octets).get_payload(decode=True) for octets in (raw, kept)]
    assert bodies[0] == bodies[1] and f"This is {word}".encode() in bodies[0]
