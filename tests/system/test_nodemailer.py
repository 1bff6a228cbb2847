"""nodemailer, which most Node programs send with: STARTTLS, TLS and DSN. Installed with npm, where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.instance import ROOT, Instance

from .test_clients import account, token

pytestmark = pytest.mark.clients
VERSION = "7.0.10"  # needs nothing newer than Debian's Node
SEND = """
const nodemailer = require("nodemailer");
const o = JSON.parse(process.argv[1]);
const transport = nodemailer.createTransport({host: "127.0.0.1", port: o.port, secure: o.secure, requireTLS: true,
  auth: {type: "login", user: o.user, pass: o.pass, method: o.method}, tls: {rejectUnauthorized: false}});
transport.sendMail({from: o.user, to: o.to, subject: o.word, text: "Grüße, ünd ein Punkt:\\n.\\n..\\n",
  attachments: [{filename: "ö.bin", content: Buffer.from([0, 10, 13, 255])}],
  dsn: {id: o.word, return: "headers", notify: ["success", "failure"], recipient: o.to}})
  .then(info => { console.log(info.response); transport.close(); },
    error => { console.error(error); process.exit(1); });
"""


@pytest.fixture(scope="module")
def modules() -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    directory = ROOT / "build" / "node"
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "node_modules" / "nodemailer").is_dir():
        words = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"nodemailer@{VERSION}"]
        done = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=180)
        if done.returncode:
            pytest.skip(f"nodemailer could not be installed: {done.stderr[-200:]}")
    return directory


@pytest.mark.parametrize(("service", "method"), [("submission", "PLAIN"), ("submissions", "LOGIN")])
def test_nodemailer_submits(demo: Instance, modules: Path, service: str, method: str) -> None:
    (sender, password), (recipient, theirs), word = account(demo), account(demo, 1), token()
    options = {
        "port": demo.ports[service],
        "secure": service == "submissions",
        "user": sender,
        "pass": password,
        "to": recipient,
        "word": word,
        "method": method,
    }
    done = subprocess.run(
        ["node", "-e", SEND, json.dumps(options)], cwd=modules, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("250 2.0.0 OK")
    assert word.encode() in demo.wait_for(recipient, theirs, f"SUBJECT {word}")
    report = demo.wait_for(sender, password, f"TEXT {word} FROM MAILER-DAEMON")
    assert f"Original-Envelope-Id: {word}".encode() in report
