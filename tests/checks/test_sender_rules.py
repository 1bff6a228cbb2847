"""Allow and block lists: how rules are written, and the command that keeps them."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from mailservers.models import SenderRule
from mailservers.store.sender_rules import InvalidPattern, normal_pattern


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("Boss@Example.ORG", "boss@example.org"),
        ("@Example.org", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("2001:DB8::1/32", "2001:db8::/32"),
    ],
)
def test_patterns(text: str, pattern: str) -> None:
    assert normal_pattern(text) == pattern


@pytest.mark.parametrize("text", ["", "a b", "a@", "300.1.1.1", "10.0.0.0/4", "x/y", "-.test"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(InvalidPattern):
        normal_pattern(text)


def senders(*words: str) -> str:
    out = StringIO()
    call_command("senders", *words, stdout=out)
    return out.getvalue()


def test_the_command(anna: User) -> None:
    assert "everybody" in senders("block", "Evil.test")
    senders("allow", "friend@evil.test", "--for", "anna@harbour.test")
    senders("block", "192.0.2.0/24", "--for", "harbour.test")
    senders("allow", "192.0.2.0/24", "--for", "harbour.test")  # replaces
    assert [line.split() for line in senders("list").splitlines()[1:]] == [
        ["evil.test", "block", "everybody"],
        ["192.0.2.0/24", "allow", "harbour.test"],
        ["friend@evil.test", "allow", "anna@harbour.test"],
    ]
    senders("forget", "evil.test")
    assert SenderRule.objects.count() == 2
    for words in (("forget", "evil.test"), ("block", "nonsense!"), ("block", "a.test", "--for", "nobody@harbour.test")):
        with pytest.raises(CommandError):
            senders(*words)
