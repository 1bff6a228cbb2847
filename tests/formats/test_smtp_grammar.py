"""SMTP command lines (RFC 5321 4.1): any line gives values or the one error, and values that can go out again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.smtp import (
    MAX_LOCAL_PART,
    PathCommand,
    SmtpSyntaxError,
    decode_line,
    parse_helo_name,
    parse_mail,
    parse_rcpt,
    split_command,
)

BITS = st.lists(
    st.sampled_from(
        ["<", ">", "@", ":", ",", '"', "\\", ".", "a", "b.test", "[127.0.0.1]", " ", "SIZE=1", "=", "é", "\t"]
    ),
    max_size=14,
).map("".join)
Parser = Callable[[str], PathCommand]


@given(st.binary(max_size=120))
def test_any_octets_give_a_line_or_the_one_error(octets: bytes) -> None:
    try:
        verb, rest = split_command(decode_line(octets))
    except SmtpSyntaxError:
        return
    assert verb == verb.upper() and not {"\r", "\n", "\0"} & set(verb + rest)


@pytest.mark.parametrize(("parse", "keyword"), [(parse_mail, "FROM:"), (parse_rcpt, "TO:")])
@given(bits=BITS | st.text(max_size=60))
def test_any_argument_gives_a_path_or_the_one_error(parse: Parser, keyword: str, bits: str) -> None:
    for text in (bits, f"{keyword}{bits}", f"{keyword}<{bits}>", f"{keyword}<a@b.test> {bits}"):
        try:
            path = parse(text).path
        except SmtpSyntaxError:
            continue
        assert len(path.local.encode()) <= MAX_LOCAL_PART
        assert path.domain == path.domain.lower() and "@" not in path.domain
        assert not {"\r", "\n", "\0"} & set(path.address)
        if path.address and path.domain:  # what was understood is written so that it is understood the same way
            assert parse(f"{keyword}<{path.address}>").path == path


@given(st.text(max_size=40))
def test_helo_names(text: str) -> None:
    try:
        name = parse_helo_name(text)
    except SmtpSyntaxError:
        return
    assert (name and " " not in name and name.isprintable()) or not name.isascii()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("TO:<a@b.test>", "a@b.test"),
        ("to:<a@B.Test.>", "a@b.test"),
        ("TO:<@x.test,@y.test:a@b.test>", "a@b.test"),
        (r'TO:<"a\"b"@b.test>', r'"a\"b"@b.test'),
        ('TO:<"plain"@b.test>', "plain@b.test"),
        ("TO:<a@[IPv6:::1]>", "a@[ipv6:::1]"),
        ("TO:<jürgen@grün.test>", "jürgen@grün.test"),
        ("TO:<Postmaster>", "Postmaster"),
    ],
)
def test_paths(text: str, address: str) -> None:
    assert parse_rcpt(text).path.address == address
