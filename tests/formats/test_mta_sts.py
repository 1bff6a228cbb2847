"""MTA-STS records and policies: a truth table, and nothing but `InvalidPolicy` escapes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.mta_sts import InvalidPolicy, StsPolicy, parse_policy, policy_id

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1 ;id=1"], "1"),
        ([b"other", b"v=STSv1; id=a; ext=b"], "a"),
        ([b"v=STSv1; id=a", b"v=STSv1; id=b"], None),
        ([b"v=STSv2; id=a"], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1; id="], None),
        ([b"v=STSv1; id=a b"], None),
        ([b"v=STSv1; id=" + b"a" * 33], None),
        ([b" v=STSv1; id=a"], None),
        ([], None),
    ],
)
def test_records(records: list[bytes], found: str | None) -> None:
    assert policy_id(records) == found


def test_a_policy() -> None:
    assert parse_policy(GOOD) == StsPolicy("enforce", 604800, ("mail.example.com", "*.example.net"))
    assert parse_policy(GOOD.replace(b"\r\n", b"\n") + b"unknown: x\n\n") == parse_policy(GOOD)
    assert parse_policy(b"version: STSv1\nmode: none\nmax_age: 99999999999".replace(b"99999999999", b"9999999999")) == (
        StsPolicy("none", 31557600, ())
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"STSv1", b"STSv2"),
        (b"enforce", b"maybe"),
        (b"604800", b"-1"),
        (b"604800", b"\xd9\xa1"),
        (b"mail.example.com", b"mail..com"),
        (b"mail.example.com", b"*.*.com"),
        (b"mx: mail.example.com\r\nmx: *.example.net\r\n", b""),
        (b"mode: ", b"mode "),
        (b"mode", b"made"),
    ],
)
def test_what_is_no_policy(old: bytes, new: bytes) -> None:
    with pytest.raises(InvalidPolicy):
        parse_policy(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("a.mail.example.com", False),
        ("x.example.net", True),
        ("x.y.example.net", False),
        ("example.net", False),
        ("", False),
    ],
)
def test_hosts(host: str, admitted: bool) -> None:
    assert parse_policy(GOOD).admits(host) is admitted


@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(GOOD.splitlines(True))).map(b"".join)))
def test_nothing_else_escapes(body: bytes) -> None:
    with contextlib.suppress(InvalidPolicy):
        policy = parse_policy(body)
        assert policy.mx or policy.mode == "none"
    policy_id([body])
