"""Slips of a finger in the names of well-known mail domains."""

from __future__ import annotations

import pytest

from webmail.contacts.completion import is_one_slip, likely_slip


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("ggmail.com", "gmail.com"),
        ("gmail.com", ""),
        ("outlok.com", "outlook.com"),
        ("example.com", ""),
        ("gmx.com", ""),
        ("email.com", ""),
    ],
)
def test_slips(typed: str, meant: str) -> None:
    assert likely_slip(typed) == meant
    assert not is_one_slip(typed, typed)
