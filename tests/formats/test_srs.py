"""SRS: whatever is rewritten comes back, whatever is changed does not."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailservers.formats.mailbox_address import (
    MAX_ADDRESS_OCTETS,
    MAX_LOCAL_OCTETS,
    format_mailbox_address,
    parse_mailbox_address,
)
from mailservers.formats.srs import FUTURE_DAYS, NotReversible, is_srs, reverse, rewrite

KEY, OTHER = b"k" * 32, b"o" * 32
TODAY = 20_781
MAX_DAYS = 21

locals_ = st.one_of(
    st.text(string.ascii_letters + string.digits + "+-=_.", min_size=1, max_size=60),
    st.text(string.printable[:95], min_size=1, max_size=30),
    st.text("äßñ日本ا", min_size=1, max_size=8),
)
domains = st.from_regex(r"[a-z][a-z0-9]{0,10}(-[a-z0-9]{1,5})?\.(test|example\.net|x)", fullmatch=True)
addresses = st.builds(format_mailbox_address, locals_, domains)


@given(addresses, st.integers(0, 10**6), st.integers(0, MAX_DAYS))
def test_there_and_back(address: str, day: int, later: int) -> None:
    rewritten = rewrite(address, "forward.test", KEY, day)
    assume(rewritten is not None and not is_srs(address))
    assert rewritten is not None and is_srs(rewritten)
    local, domain = parse_mailbox_address(rewritten)
    assert domain == "forward.test" and len(local.encode()) <= MAX_LOCAL_OCTETS
    assert reverse(rewritten, KEY, day + later, MAX_DAYS) == address
    assert reverse(rewritten, KEY, day - FUTURE_DAYS, MAX_DAYS) == address


@given(addresses, st.integers(MAX_DAYS + 1, 900))
def test_it_expires(address: str, later: int) -> None:
    rewritten = rewrite(address, "forward.test", KEY, TODAY)
    assume(rewritten is not None and not is_srs(address))
    with pytest.raises(NotReversible):
        reverse(rewritten or "", KEY, TODAY + later, MAX_DAYS)


@given(addresses)
def test_case_is_not_needed_to_come_back(address: str) -> None:
    rewritten = rewrite(address, "forward.test", KEY, TODAY)
    assume(rewritten is not None and rewritten.isascii())
    for spelling in ((rewritten or "").lower(), (rewritten or "").upper()):
        assert reverse(spelling, KEY, TODAY, MAX_DAYS).lower() == address.lower()


@given(addresses, st.data())
def test_nothing_changed_comes_back(address: str, data: st.DataObject) -> None:
    rewritten = rewrite(address, "forward.test", KEY, TODAY)
    assume(rewritten is not None)
    local, _, domain = (rewritten or "").rpartition("@")
    at = data.draw(st.integers(0, len(local) - 1))
    changed = local[:at] + data.draw(st.sampled_from("abcxyz234=+@ ")) + local[at + 1 :]
    assume(changed.lower() != local.lower() and changed[:5].replace("+", "=") != local[:5])
    try:
        assert reverse(f"{changed}@{domain}", KEY, TODAY, MAX_DAYS) == address  # the same, quoted in another way
    except NotReversible:
        pass


@given(addresses)
def test_another_key_is_another_house(address: str) -> None:
    rewritten = rewrite(address, "forward.test", OTHER, TODAY)
    assume(rewritten is not None)
    with pytest.raises(NotReversible):
        reverse(rewritten or "", KEY, TODAY, MAX_DAYS)


@given(st.text(max_size=80))
def test_only_the_documented_error_escapes(text: str) -> None:
    for address in (text, f"SRS0={text}@x.test", f"SRS1=a=b.test={text}@x.test"):
        rewrite(address, "forward.test", KEY, TODAY)
        with pytest.raises(NotReversible):
            reverse(address, KEY, TODAY, MAX_DAYS)


def test_through_three_forwarders() -> None:
    """The second and the third each lead to the first, which leads home."""
    first = rewrite("Carol+x=y@sender.test", "one.test", OTHER, TODAY) or ""
    second = rewrite(first, "two.test", KEY, TODAY) or ""
    third = rewrite(second, "three.test", KEY, TODAY) or ""
    assert second.startswith("SRS1=") and third.startswith("SRS1=") and "two.test" not in third
    assert reverse(third, KEY, TODAY, MAX_DAYS) == reverse(second, KEY, TODAY, MAX_DAYS) == first
    assert reverse(first, OTHER, TODAY, MAX_DAYS) == "Carol+x=y@sender.test"


def test_too_long_for_smtp() -> None:
    assert rewrite("a" * 50 + "@sender.test", "forward.test", KEY, TODAY) is None
    long = ".".join(["d" * 60] * 4)
    assert len(long) > MAX_ADDRESS_OCTETS - 20
    assert rewrite("a@b.test", long, KEY, TODAY) is None
