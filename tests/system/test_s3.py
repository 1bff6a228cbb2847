"""A server that keeps large bodies in a bucket: mail in and out, an outage, `kill -9` beside it."""

from __future__ import annotations

import random
import smtplib
from email import message_from_bytes
from email.message import EmailMessage

import pytest

from tests.instance import instance
from tests.s3 import s3_server

pytestmark = pytest.mark.slow
LOGIN, PASSWORD = "anna@bucket.test", "correct horse 9"
CONTENT = random.Random(3).randbytes(3_000_000)


def letter(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "far@away.test", LOGIN, subject
    message.set_content("The plans.")
    message.add_attachment(CONTENT, "application", "octet-stream", filename="plans.bin")
    return message


def content_of(raw: bytes) -> bytes:
    attached = list(message_from_bytes(raw).walk())[-1].get_payload(decode=True)
    assert isinstance(attached, bytes)
    return attached


def test_mail_goes_through_a_bucket_and_waits_while_it_is_gone() -> None:
    with s3_server() as s3, instance(environment=s3.env()) as server:
        server.import_users([LOGIN], PASSWORD)

        def send(subject: str) -> None:
            with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as client:
                client.send_message(letter(subject))

        send("First")
        assert content_of(server.wait_for(LOGIN, PASSWORD, "SUBJECT First")) == CONTENT
        send("Unread")
        assert len(s3.stored()) == 2
        server.kill()
        server.start()
        assert content_of(server.wait_for(LOGIN, PASSWORD, "SUBJECT First")) == CONTENT
        s3.stop()
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send("Second")
        assert 400 <= refused.value.smtp_code < 500
        with server.imap(LOGIN, PASSWORD) as client:
            client.select()
            answer, _ = client.fetch("1:2", "(ENVELOPE FLAGS)")
            assert answer == "OK", "lists need no bucket"
            answer, text = client.fetch("2", "(BODY.PEEK[])")
            assert answer == "NO" and b"reached" in text[0]
            assert client.noop()[0] == "OK"
        s3.start()
        send("Third")
        assert content_of(server.wait_for(LOGIN, PASSWORD, "SUBJECT Third")) == CONTENT
        assert "Traceback" not in server.log()
        server.stop()
