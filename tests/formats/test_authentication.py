"""Records and fields of SPF, DKIM, ARC, DMARC and Authentication-Results: round trips, truth tables, and anything."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailservers.formats.arc import collect_sets, parse_seal
from mailservers.formats.authentication_results import MethodResult, format_results, parse_results
from mailservers.formats.dkim_signature import parse_arc_signature, parse_key, parse_signature, without_signature
from mailservers.formats.dmarc import is_dmarc, parse_dmarc
from mailservers.formats.headers import fields_by_name, without_fields
from mailservers.formats.spf import SpfSyntaxError, is_spf, parse_spf
from mailservers.formats.spf_macros import MAX_DOMAIN, expand_domain, parse_domain_spec, parse_explanation
from mailservers.formats.tag_list import TagListError, parse_tag_list

PIECES = st.sampled_from(
    ["v=spf1", " ", "a", "mx", "ptr", ":", "/", "//", "24", "=", "include:", "exists:", "%{", "}", "%{d}", "%{l1r+-}",
     "%%", "redirect=", "exp=", "ip4:", "ip6:", "1.2.3.4", "::1", "all", "-", "~", "?", "+", "example.org", ".", "é",
     "\t", "v=1", "v=DKIM1", "v=DMARC1", ";", "p=", "k=rsa", "h=from:to", "b=", "bh=", "c=relaxed/simple", "d=a.test",
     "i=1", "cv=pass", "t=1", "x=2", "l=0", "s=s1", "a=rsa-sha256", "AAAA", "\r\n\t", '"', "\\", "(", ")", "none",
     "spf=pass", "smtp.mailfrom", "\x00"]
)  # fmt: skip
SOUP = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=200)


@given(SOUP)
@example("v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all")
def test_spf_records_raise_only_their_error(text: str) -> None:
    record = text.encode()
    is_spf(record)
    for parse in (lambda: parse_spf(record), lambda: parse_domain_spec(text), lambda: parse_explanation(text)):
        try:
            parse()
        except SpfSyntaxError:
            pass


@given(st.text("abc.-%", max_size=600), st.sampled_from(["%{s}", "%{s2r}.x.test", "%{S}.%{l-}.y.test"]))
def test_expanded_domains_are_bounded(value: str, spec: str) -> None:
    name = expand_domain(parse_domain_spec(spec), {"s": value, "l": value})
    assert len(name) <= MAX_DOMAIN or "." not in name


@given(SOUP)
def test_tag_lists_raise_only_their_error(text: str) -> None:
    value = text.encode()
    fields = {b"arc-seal": [b"ARC-Seal:" + value], b"arc-message-signature": [b"A:" + value]}
    for parse in (
        lambda: parse_tag_list(text),
        lambda: parse_signature(value),
        lambda: parse_arc_signature(value),
        lambda: parse_key(value),
        lambda: parse_seal(value),
        lambda: collect_sets(fields),
        lambda: parse_dmarc(value),
    ):
        try:
            parse()
        except TagListError:
            pass
    is_dmarc(value)
    without_signature(b"DKIM-Signature:" + value, is_relaxed=True)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,6}", fullmatch=True), st.text("abc=:/ +", max_size=10), min_size=1
    )
)
def test_tag_lists_round_trip(tags: dict[str, str]) -> None:
    text = ";\r\n\t".join(f"{name} = {value}" for name, value in tags.items())
    assert parse_tag_list(text) == {name: value.strip() for name, value in tags.items()}


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=("Cc", "Zs", "Cf")), max_size=30)
RESULTS = st.builds(
    MethodResult,
    st.sampled_from(["spf", "dkim", "dmarc", "iprev", "arc"]),
    st.sampled_from(["pass", "fail", "none", "temperror"]),
    TEXT,
    st.lists(
        st.tuples(st.sampled_from(["smtp.mailfrom", "header.d", "policy.iprev"]), TEXT.filter(bool)), max_size=3
    ).map(tuple),
)


@given(st.from_regex(r"[a-z]+(\.[a-z]+)+", fullmatch=True), st.lists(RESULTS, max_size=4))
def test_authentication_results_round_trip(authserv_id: str, results: list[MethodResult]) -> None:
    field = format_results(authserv_id, results)
    assert field.endswith(b"\r\n")
    parsed = parse_results(field.partition(b":")[2])
    assert parsed.authserv_id == authserv_id
    assert list(parsed.results) == results


@given(SOUP)
def test_authentication_results_never_raise(text: str) -> None:
    parse_results(text)


@pytest.mark.parametrize(
    ("value", "authserv_id", "results"),
    [
        (" example.org 1; none", "example.org", []),
        (" (a (nested) comment; here) example.org; spf=pass", "example.org", [("spf", "pass")]),
        (' "example.org"; dkim=fail reason="a;b" header.d=x.test', "example.org", [("dkim", "fail")]),
        (" example.org;\r\n\tauth=pass (cram) smtp.auth=a@b.c;\r\n\tspf/1 = fail smtp.mailfrom=b.c", "example.org",
         [("auth", "pass"), ("spf", "fail")]),
        ("", "", []),
        (" ; spf=pass", "", [("spf", "pass")]),
    ],
)  # fmt: skip
def test_authentication_results_of_others(value: str, authserv_id: str, results: list[tuple[str, str]]) -> None:
    parsed = parse_results(value)
    assert parsed.authserv_id == authserv_id
    assert [(r.method, r.result) for r in parsed.results] == results


def test_what_is_quoted_cannot_end_the_field() -> None:
    field = format_results("a.test", [MethodResult("spf", "fail", 'x" \r\nSubject: forged\r\n\r\n', ())])
    assert field.count(b"\r\n") == 2
    assert b'\\"' in field


def test_fields_by_name_and_without_fields() -> None:
    header = b"A: 1\r\nB: 2\r\n\tmore\r\na : 3\r\nC: 4\r\n\r\n"
    assert fields_by_name(header) == {
        b"a": [b"A: 1\r\n", b"a : 3\r\n"],
        b"b": [b"B: 2\r\n\tmore\r\n"],
        b"c": [b"C: 4\r\n"],
    }
    assert without_fields(header, b"b", lambda value: b"more" in value) == b"A: 1\r\na : 3\r\nC: 4\r\n\r\n"
    assert without_fields(header, b"b", lambda value: False) == header


def test_a_long_expansion_loses_whole_labels() -> None:
    """RFC 7208 section 7.3; in no time, however many labels there are."""
    spec = parse_domain_spec("%{l}" * 2000 + ".example.org")
    name = expand_domain(spec, {"l": "a.b." * 60})
    assert name.endswith(".b..example.org") and 250 <= len(name) <= MAX_DOMAIN
