"""Two organisations, a route between them, no DNS: mail arrives, and bounces come back."""

from __future__ import annotations

import re
import smtplib
from pathlib import Path

import dkim
import pytest

from tests.instance import Instance, instance

pytestmark = pytest.mark.slow
PASSWORD = "well made 5"


@pytest.fixture
def pair(tmp_path: Path):
    """A at a.example, routed to B at b.example, and back."""
    (tmp_path / "b").mkdir()
    with instance(environment={"POSTROOM_HOSTNAME": "mx.a.example"}) as a:
        b = Instance(
            tmp_path / "b",
            environment={
                "POSTROOM_HOSTNAME": "mx.b.example",
                "POSTROOM_ROUTES": f"a.example=127.0.0.1:{a.ports['smtp']}",
            },
        )
        try:
            b.start()
            a.import_users(["anna@a.example"], PASSWORD)
            b.import_users(["ben@b.example"], PASSWORD)
            a.stop()
            a.environment["POSTROOM_ROUTES"] = f"b.example=127.0.0.1:{b.ports['smtp']}"
            a.start()
            yield a, b
            a.stop()
            b.stop()
            for server in (a, b):
                assert "sound" in server.manage("check").stdout
                assert "Traceback" not in server.log(), server.log()
        finally:
            b.kill()


def submit(server: Instance, recipient: str, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=60) as client:
        client.login("anna@a.example", PASSWORD)
        text = f"From: anna@a.example\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nFrom A to B.\r\n.dot\r\n"
        client.sendmail("anna@a.example", [recipient], text)


def test_a_message_crosses_and_a_bounce_comes_back(pair: tuple[Instance, Instance]) -> None:
    a, b = pair
    submit(a, "ben@b.example", "crossing")
    raw = b.wait_for("ben@b.example", PASSWORD, "SUBJECT crossing")
    assert raw.count(b"Return-Path:") == 1 and b"Return-Path: <anna@a.example>" in raw
    assert b"From A to B.\r\n.dot\r\n" in raw
    key = a.manage("domains", "list").stdout
    assert _signature_holds(raw, key), key
    submit(a, "nobody@b.example", "lost")
    bounce = a.wait_for("anna@a.example", PASSWORD, 'HEADER Content-Type "delivery-status"')
    assert b"nobody@b.example" in bounce and b"550 5.1.1" in bounce and b"Return-Path: <>" in bounce


def _signature_holds(raw: bytes, listing: str) -> bool:
    """Both signatures are verified by dkimpy with the keys that `domains list` tells the admin to publish."""
    records = {
        name.encode(): "".join(re.findall(r'"([^"]*)"', value)).encode()
        for name, value in re.findall(r"^(\S+) IN TXT \((.*)\)$", listing, re.MULTILINE)
    }
    assert len(records) == 2
    checker = dkim.DKIM(raw[raw.index(b"DKIM-Signature:") :])
    return all(checker.verify(at, dnsfunc=lambda name, timeout=5: records[name]) for at in (0, 1))
