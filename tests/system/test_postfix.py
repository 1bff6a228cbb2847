"""Postfix from Debian as the peer, both ways over loopback: plain and TLS, with DSN, 8-bit and binary content.

Postroom (room.test)  <── port 25 ──>  Postfix (fix.test, a Maildir)
"""

from __future__ import annotations

import email
import email.policy
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.dialog import client_context
from tests.instance import Instance, instance

pytestmark = pytest.mark.clients
PASSWORD = "well made 5"
MAIL_UID = 30_000  # of nobody in particular

MAIN = """
compatibility_level = 3.6
config_directory = {dir}/etc
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.fix.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
virtual_mailbox_domains = fix.test
virtual_mailbox_maps = inline:{{ {{ dora@fix.test = dora/ }}, {{ dörte@fix.test = dora/ }} }}
virtual_mailbox_base = {dir}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
transport_maps = inline:{{ {{ room.test = smtp:[127.0.0.1]:{room} }} }}
smtp_tls_security_level = {tls}
smtp_tls_secure_cert_match = mx.room.test
smtp_tls_CAfile = {authority}
smtp_tls_loglevel = 1
smtputf8_enable = yes
smtpd_tls_security_level = {server_tls}
smtpd_tls_chain_files = {dir}/both.pem
smtpd_tls_received_header = yes
smtpd_delay_reject = no
maillog_file = {dir}/maillog
maillog_file_prefixes = {dir}
"""


@dataclass
class Peers:
    room: Instance
    directory: Path
    port: int
    tls: bool

    def maildir(self, wanted: str) -> EmailMessage:
        """Dora's first message whose octets have `wanted` in them, waited for."""
        until = time.monotonic() + 60
        while True:
            for path in sorted((self.directory / "mail" / "dora" / "new").glob("*")):
                if wanted.encode() in (raw := path.read_bytes()):
                    message = email.message_from_bytes(raw, policy=email.policy.default)
                    assert isinstance(message, EmailMessage)
                    return message
            assert time.monotonic() < until, f"{(self.directory / 'maillog').read_text()}\n{self.room.log()}"
            time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start_postfix(directory: Path, port: int, room_port: int, *, tls: bool, authority: Path | None = None) -> None:
    """`room_port`: where it sends to; `authority`: whose certificates it then believes."""
    for name, mode, owner in (("etc", 0o755, 0), ("spool", 0o755, 0), ("data", 0o700, -1), ("mail", 0o700, MAIL_UID)):
        path = directory / name
        path.mkdir(mode=mode, parents=True)
        if owner == -1:
            shutil.chown(path, "postfix")
        else:
            os.chown(path, owner, owner)
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    key, certificate = directory / "key.pem", directory / "cert.pem"
    names = ["-subj", "/CN=mx.fix.test", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words, *names], check=True, capture_output=True)
    (directory / "both.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    (directory / "etc" / "main.cf").write_text(
        MAIN.format(
            dir=directory,
            uid=MAIL_UID,
            room=room_port,
            authority=authority or "",
            tls="secure" if tls else "none",
            server_tls="may" if tls else "none",
        )
    )
    rows = [f"127.0.0.1:{port} inet n - n - - smtpd", "postlog unix-dgram n - n - 1 postlogd"]
    for line in Path("/etc/postfix/master.cf").read_text().splitlines():
        fields = line.split()
        if line[:1] not in ("#", " ", "\t", "") and fields[1] != "inet" and fields[0] != "postlog":
            rows.append(" ".join([*fields[:4], "n", *fields[5:]]))
    (directory / "etc" / "master.cf").write_text("\n".join(rows) + "\n")
    control(directory, "start")


def control(directory: Path, action: str) -> None:
    subprocess.run(
        ["postfix", "-c", str(directory / "etc"), action], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module", params=["plain", "tls"])
def peers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    if shutil.which("postfix") is None or os.geteuid() != 0:
        pytest.skip("Postfix is not installed, or we are not root")
    directory, port, tls = (
        Path(f"/tmp/postroom-postfix-{os.getpid()}-{request.param}"),
        free_port(),
        request.param == "tls",
    )
    directory.mkdir(mode=0o755)
    environment = {"POSTROOM_HOSTNAME": "mx.room.test", "POSTROOM_ROUTES": f"fix.test=127.0.0.1:{port}"}
    try:
        with instance(environment=environment) as room:
            room.import_users(["anna@room.test", "jürgen@room.test"], PASSWORD)
            authority = room.directory / "data" / "tls" / "self-signed.pem" if tls else None
            start_postfix(directory, port, room.ports["smtp"], tls=tls, authority=authority)
            try:
                yield Peers(room, directory, port, tls)
            finally:
                control(directory, "stop")
            room.stop()
            assert "sound" in room.manage("check").stdout
            assert "Traceback" not in room.log(), room.log()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def letter(subject: str, sender: str, to: str) -> str:
    return f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\r\n.a dot\r\nand words\r\n"


def test_postfix_sends_to_us_and_our_success_notice_goes_back(peers: Peers) -> None:
    with smtplib.SMTP("127.0.0.1", peers.port, timeout=60) as client:
        client.ehlo("client.fix.test")
        client.sendmail(
            "dora@fix.test",
            ["anna@room.test"],
            letter("from postfix", "dora@fix.test", "anna@room.test"),
            mail_options=["RET=HDRS", "ENVID=E+2B1"],
            rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;old+2Bname@room.test"],
        )
    raw = peers.room.wait_for("anna@room.test", PASSWORD, 'SUBJECT "from postfix"')
    assert b"from mx.fix.test" in raw and (b"using TLSv1" in raw) is peers.tls
    assert raw.endswith(b"\r\n\r\n.a dot\r\nand words\r\n")
    log = (peers.directory / "maillog").read_text()
    assert (
        "Verified TLS connection established to 127.0.0.1" in log
    ) is peers.tls  # Postfix has checked our certificate
    report = peers.maildir("Action: delivered")
    status = report.get_payload(1)
    whole, one = status.get_payload()  # type: ignore[union-attr]
    assert whole["Original-Envelope-Id"] == "E+1"
    assert one["Original-Recipient"] == "rfc822;old+name@room.test"
    assert report["Return-Path"] == "<>"


def test_postfix_tells_of_our_refusal(peers: Peers) -> None:
    with smtplib.SMTP("127.0.0.1", peers.port, timeout=60) as client:
        text = letter("nobody home", "dora@fix.test", "nobody@room.test")
        client.sendmail("dora@fix.test", ["nobody@room.test"], text)
    assert "550 5.1.1 No such user here" in " ".join(peers.maildir("Action: failed").as_string().split())


def submit(peers: Peers, *talk: bytes) -> None:
    """Commands of a submission over TLS, each answered with success."""
    with smtplib.SMTP("127.0.0.1", peers.room.ports["submission"], timeout=60) as client:
        client.starttls(context=client_context())
        client.login("anna@room.test", PASSWORD)
        for line in talk:
            client.send(line)
            code, text = client.getreply()
            assert code < 400, (line, code, text)


def test_we_send_to_postfix_and_its_notice_comes_back(peers: Peers) -> None:
    content = letter("to postfix ü", "anna@room.test", "dora@fix.test").encode()
    submit(
        peers,
        b"MAIL FROM:<anna@room.test> BODY=8BITMIME RET=HDRS ENVID=77\r\n",
        b"RCPT TO:<dora@fix.test> NOTIFY=SUCCESS ORCPT=rfc822;dora@fix.test\r\n",
        b"BDAT %d LAST\r\n%b" % (len(content), content),
    )
    got = peers.maildir("Subject: to postfix")
    assert got.get_content().splitlines() == [".a dot", "and words"]
    assert ("TLSv1" in str(got["Received"])) is peers.tls
    report = email.message_from_bytes(
        peers.room.wait_for("anna@room.test", PASSWORD, 'SUBJECT "Successful Mail Delivery Report"')
    )
    whole, one = report.get_payload(1).get_payload()  # type: ignore[union-attr]
    assert whole["Reporting-MTA"] == "dns; mx.fix.test" and whole["Original-Envelope-Id"] == "77"
    assert one["Original-Recipient"] == "rfc822;dora@fix.test"


def test_binary_content_reaches_postfix_in_base64(peers: Peers) -> None:
    binary = bytes(range(256)) + b"\n.\r\n\r.\n"
    header = (
        b"From: anna@room.test\r\nTo: dora@fix.test\r\nSubject: binary\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    )
    submit(
        peers,
        b"MAIL FROM:<anna@room.test> BODY=BINARYMIME\r\n",
        b"RCPT TO:<dora@fix.test>\r\n",
        b"BDAT %d\r\n%b" % (len(header), header),
        b"BDAT %d LAST\r\n%b" % (len(binary), binary),
    )
    got = peers.maildir("Subject: binary")
    assert got["Content-Transfer-Encoding"] == "base64" and got.get_content() == binary


def test_what_postfix_refuses_comes_back_to_the_sender(peers: Peers) -> None:
    content = letter("to nobody there", "anna@room.test", "nobody@fix.test").encode()
    submit(
        peers,
        b"MAIL FROM:<anna@room.test> RET=FULL\r\n",
        b"RCPT TO:<nobody@fix.test>\r\n",
        b"BDAT %d LAST\r\n%b" % (len(content), content),
    )
    bounce = email.message_from_bytes(peers.room.wait_for("anna@room.test", PASSWORD, 'SUBJECT "nobody@fix.test"'))
    _, status, returned = bounce.get_payload()
    assert status.get_payload()[1]["Status"].startswith("5.1.")
    assert "and words" in returned.get_payload(0).as_string()


def test_our_chunks_and_theirs(peers: Peers) -> None:
    """Postfix takes BDAT as a server: the same octets by the same framing as ours."""
    text = b"From: dora@fix.test\r\nSubject: chunks\r\n\r\none\r\n"
    context: ssl.SSLContext | None = client_context() if peers.tls else None
    with smtplib.SMTP("127.0.0.1", peers.port, timeout=60) as client:
        if context is not None:
            client.starttls(context=context)
        client.ehlo("client.fix.test")
        for line in (
            b"MAIL FROM:<dora@fix.test>\r\n",
            b"RCPT TO:<anna@room.test>\r\n",
            b"BDAT 10\r\n" + text[:10],
            b"BDAT %d LAST\r\n" % (len(text) - 10) + text[10:],
        ):
            client.send(line)
            assert client.getreply()[0] < 400
    assert peers.room.wait_for("anna@room.test", PASSWORD, "SUBJECT chunks").endswith(b"\r\n\r\none\r\n")


def test_addresses_beyond_ascii_both_ways(peers: Peers) -> None:
    """SMTPUTF8 (RFC 6531)."""
    with smtplib.SMTP("127.0.0.1", peers.port, timeout=60) as client:
        client.ehlo("client.fix.test")
        text = letter("über Postfix", "dörte@fix.test", "jürgen@room.test").encode()
        client.sendmail("dörte@fix.test", ["jürgen@room.test"], text, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    raw = peers.room.wait_for("jürgen@room.test", PASSWORD, "SUBJECT Postfix")
    assert "with UTF8SMTP" in raw.decode() and "Subject: über Postfix" in raw.decode()
    content = letter("grüße", "anna@room.test", "dörte@fix.test").encode()
    submit(
        peers,
        b"MAIL FROM:<anna@room.test> BODY=8BITMIME SMTPUTF8\r\n",
        "RCPT TO:<dörte@fix.test>\r\n".encode(),
        b"BDAT %d LAST\r\n%b" % (len(content), content),
    )
    assert peers.maildir("Subject: grüße").get_content().splitlines() == [".a dot", "and words"]
