"""Truth tables of what may be typed, and what is said about the rest."""

from __future__ import annotations

import pytest

from accounts.services import InvalidValue, names


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("harbour.test", "harbour.test"),
        (" Harbour.TEST. ", "harbour.test"),
        ("BÜCHER.example", "bücher.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("a-b.c0", "a-b.c0"),
    ],
)
def test_domains(typed: str, kept: str) -> None:
    assert names.domain_name(typed) == kept


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "missing"),
        ("anna@harbour.test", "not a domain: write its name"),
        ("[192.0.2.1]", "not a domain: write its name"),
        ("192.0.2.1", "IP address"),
        ("harbour..test", "not a domain name"),
        (".test", "not a domain name"),
        ("-a.test", "not a domain name"),
        ("a b.test", "not a domain name"),
        ("a_b.test", "not a domain name"),
        ("a\0.test", "not a domain name"),
        ("x" * 64 + ".test", "not a domain name"),
        (".".join(["x" * 60] * 5), "not a domain name"),
    ],
)
def test_bad_domains(typed: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words) as error:
        names.domain_name(typed)
    assert error.value.field == "domain"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Anna@Harbour.test", "anna@harbour.test"),
        (" anna.holm+lists@harbour.test ", "anna.holm+lists@harbour.test"),
        ("用户@例子.example", "用户@例子.example"),
        ("Ünal@harbour.test", "ünal@harbour.test"),
        ("o'neil@harbour.test", "o'neil@harbour.test"),
    ],
)
def test_own_addresses(typed: str, kept: str) -> None:
    assert names.own_address(typed) == (kept, kept.rpartition("@")[2])


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "missing"),
        ("anna", "no “@”"),
        ("@harbour.test", "not a well-formed"),
        ("anna@", "not well formed"),
        ("an na@harbour.test", "not a well-formed"),
        ('"an na"@harbour.test', "spaces, quotes"),
        ("anna@harbour@test", "not a well-formed"),
        (".anna@harbour.test", "not a well-formed"),
        ("an..na@harbour.test", "not a well-formed"),
        ("anna@[192.0.2.1]", "not a domain: write its name"),
        ("x" * 65 + "@harbour.test", "too long"),
        ("anna@harbour.test\r\nBcc: x@y.test", "not well formed|not a well-formed"),
        ("an\0na@harbour.test", "not a well-formed"),
        ("anna@" + "x" * 64 + ".test", "63 characters"),
        ("a@" + ".".join(["x" * 60] * 5), "too long"),
    ],
)
def test_bad_addresses(typed: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words) as error:
        names.own_address(typed)
    assert error.value.field == "login"
    assert "\0" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("typed", "octets"),
    [
        ("", 0),
        ("0", 0),
        ("500M", 500 * 2**20),
        ("2G", 2 * 2**30),
        ("2 GiB", 2 * 2**30),
        ("1.5 gb", 3 * 2**29),
        ("1,5G", 3 * 2**29),
        ("1048576", 2**20),
        ("10k", 10 * 2**10),
        ("1T", 2**40),
    ],
)
def test_quotas(typed: str, octets: int) -> None:
    assert names.quota(typed) == octets
    assert names.quota(names.quota_field(octets)) == octets


@pytest.mark.parametrize("typed", ["-1", "lots", "5X", "1e9", "M", "5 5", "99999999T", "0x10", "٣M9M"])
def test_bad_quotas(typed: str) -> None:
    with pytest.raises(InvalidValue) as error:
        names.quota(typed)
    assert error.value.field == "quota"


@pytest.mark.parametrize(
    ("octets", "words"), [(0, "0 octets"), (1536, "1.5 KiB"), (2**30, "1 GiB"), (1023, "1023 octets")]
)
def test_sizes_for_people(octets: int, words: str) -> None:
    assert names.format_octets(octets) == words


def test_display_names() -> None:
    assert names.display_name("  Anna \t Holm ") == "Anna Holm"
    for bad in ("x" * 201, "a\0b", "\x1b[2J"):
        with pytest.raises(InvalidValue):
            names.display_name(bad)


def test_roles() -> None:
    assert [names.role(text).value for text in ("", "user", " Admin ")] == ["user", "user", "admin"]
    with pytest.raises(InvalidValue, match="root"):
        names.role("root")
