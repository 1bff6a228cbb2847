"""Parameters of MAIL and RCPT (RFC 3461, 3030, 4865, 8689), as values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.downgrade import without_binary
from mailservers.formats.esmtp import (
    DsnRequest,
    decode_xtext,
    dsn_request,
    encode_xtext,
    mail_options,
    orcpt_for,
    original_recipient,
)
from mailservers.formats.mime import scan, walk
from mailservers.formats.sections import decode_body
from mailservers.formats.smtp import SmtpSyntaxError

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@given(st.text(alphabet=[chr(n) for n in range(0x20, 0x7F)]))
def test_xtext_there_and_back(text: str) -> None:
    assert decode_xtext(encode_xtext(text)) == text


@given(st.text(max_size=40))
def test_parameters_raise_one_error_only(value: str) -> None:
    for parse in (
        lambda: mail_options({"ENVID": value}, NOW),
        lambda: mail_options({"RET": value, "BODY": value}, NOW),
        lambda: mail_options({"HOLDFOR": value}, NOW),
        lambda: mail_options({"HOLDUNTIL": value}, NOW),
        lambda: dsn_request({"NOTIFY": value}),
        lambda: original_recipient(dsn_request({"ORCPT": f"rfc822;{value}"}).orcpt),
        lambda: original_recipient(dsn_request({"ORCPT": f"utf-8;{value}"}).orcpt),
    ):
        try:
            parse()
        except SmtpSyntaxError:
            continue


@pytest.mark.parametrize(
    ("parameters", "moment"),
    [
        ({"HOLDFOR": "90"}, datetime(2026, 11, 24, 12, 1, 30, tzinfo=UTC)),
        ({"HOLDUNTIL": "2026-12-24T18:00:00Z"}, datetime(2026, 12, 24, 18, tzinfo=UTC)),
        ({"HOLDUNTIL": "2026-12-24T18:00:00+02:00"}, datetime(2026, 12, 24, 16, tzinfo=UTC)),
        ({"HOLDFOR": "-1"}, None),
        ({"HOLDFOR": None}, None),
        ({"HOLDFOR": "1", "HOLDUNTIL": "2026-12-24T18:00:00Z"}, None),
        ({"HOLDUNTIL": "2026-12-24"}, None),
        ({"HOLDUNTIL": "2026-13-24T18:00:00Z"}, None),
        ({"HOLDUNTIL": "0001-01-01T00:00:00+23:59"}, None),
    ],
)
def test_future_release(parameters: dict[str, str | None], moment: datetime | None) -> None:
    if moment is None:
        with pytest.raises(SmtpSyntaxError):
            mail_options(parameters, NOW)
    else:
        assert mail_options(parameters, NOW).not_before == moment


@pytest.mark.parametrize(
    ("notify", "wanted"),
    [("", "FAILURE DELAY"), ("NEVER", ""), ("SUCCESS,DELAY", "SUCCESS DELAY"), ("FAILURE", "FAILURE")],
)
def test_what_is_wanted(notify: str, wanted: str) -> None:
    request = DsnRequest(notify)
    assert [event for event in ("SUCCESS", "FAILURE", "DELAY") if request.wants(event)] == wanted.split()
    assert not request.without_success().wants("SUCCESS")
    assert request.without_success().wants("FAILURE") == request.wants("FAILURE")


def test_original_recipients() -> None:
    assert original_recipient("rfc822;a+2Bb@x.test") == "rfc822;a+b@x.test"
    assert original_recipient(r"utf-8;j\x{fc}rgen@x.test") == "utf-8;jürgen@x.test"
    assert original_recipient(r"utf-8;\x{d800}@x.test") == r"utf-8;\x{d800}@x.test"
    assert orcpt_for("a+b@x.test") == "rfc822;a+2Bb@x.test"
    assert orcpt_for("jürgen@x.test") == "utf-8;jürgen@x.test"


MIXED = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nplain words\r\n"
    b"--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding:\r\n binary\r\nX-Y: z\r\n\r\n\0\n\r\xff\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"Subject: inner\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\r\n"
    b"--b--\r\n"
)


def test_binary_parts_become_base64_and_the_rest_stays() -> None:
    out = without_binary(MIXED)
    root = scan(out)
    assert b"\0" not in out and out.count(b"\n") == out.count(b"\r\n") == out.count(b"\r")
    assert b"plain words\r\n--b" in out
    leaves = [part for _, part in walk(root) if not part.children]
    assert [part.encoding for part in leaves] == [b"7bit", b"base64", b"base64"]
    assert [decode_body(out, part) for part in leaves[1:]] == [b"\0\n\r\xff", b"\r"]
    assert [part.encoding for _, part in walk(root) if part.children] == [b"8bit", b"8bit"]


@given(st.binary(max_size=300))
def test_any_binary_body_survives(body: bytes) -> None:
    out = without_binary(b"Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + body)
    part = scan(out)
    assert decode_body(out, part) == body
    assert b"MIME-Version: 1.0\r\n" in out and out.isascii()


def test_utf8_in_an_rfc822_orcpt_as_postfix_writes_it() -> None:
    orcpt = dsn_request({"ORCPT": "rfc822;j+C3+BCrgen@room.test"}).orcpt
    assert original_recipient(orcpt) == "utf-8;jürgen@room.test"
    for value in ("rfc822;a+C3b", "rfc822;a+0Ab", "rfc822;a+C2+85b"):  # no UTF-8, a line feed, a control character
        with pytest.raises(SmtpSyntaxError):
            dsn_request({"ORCPT": value})
