"""Address lists, and the check of one mailbox address."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailservers.formats import addresses
from mailservers.formats.addresses import (
    GROUP_END,
    Address,
    InvalidAddress,
    domain_to_ascii,
    format_mailbox_address,
    parse_address_list,
    parse_mailbox_address,
)


def box(local: bytes, domain: bytes, name: bytes | None = None, route: bytes | None = None) -> Address:
    return Address(name, route, local, domain)


def group(name: bytes | None) -> Address:
    return Address(None, None, name, None)


LISTS = [
    (b"", []),
    (b" , ,", []),
    (b"a@b", [box(b"a", b"b")]),
    (b"a@b, c@d", [box(b"a", b"b"), box(b"c", b"d")]),
    (b"<a@b>", [box(b"a", b"b")]),
    (b"N. One <a.x@b.c>,\r\n Two <c@d>", [box(b"a.x", b"b.c", b"N. One"), box(b"c", b"d", b"Two")]),
    (b'"Doe, J. \\"x\\"" <a@b>', [box(b"a", b"b", b'Doe, J. "x"')]),
    (b'"A"  "B" C <a@b>', [box(b"a", b"b", b"A B C")]),
    (b"a@b (Full Name)", [box(b"a", b"b", b"Full Name")]),
    (b"(ignored) Name (too) <a@b> (x)", [box(b"a", b"b", b"Name")]),
    (b"(nested (comment \\) x) y) <a@b>", [box(b"a", b"b", b"nested (comment ) x) y")]),
    (b'"a b"@c', [box(b"a b", b"c")]),
    (b'<"a\\@b"@c>', [box(b"a@b", b"c")]),
    (b"a@[192.0.2.1]", [box(b"a", b"[192.0.2.1]")]),
    (b"a . b @ c . d", [box(b"a.b", b"c.d")]),
    (b"a.(x)b@c(y).d", [box(b"a.b", b"c.d", b"y")]),
    (b"<@x,@y:a@b>", [box(b"a", b"b", route=b"@x,@y")]),
    (b"N <@x:a@b>, c@d", [box(b"a", b"b", b"N", b"@x"), box(b"c", b"d")]),
    (b"G:;", [group(b"G"), GROUP_END]),
    (
        b"My Group: a@b, N <c@d>;, e@f",
        [group(b"My Group"), box(b"a", b"b"), box(b"c", b"d", b"N"), GROUP_END, box(b"e", b"f")],
    ),
    (b"G: a@b", [group(b"G"), box(b"a", b"b"), GROUP_END]),
    (b"root", [box(b"root", b"")]),
    (b"No Address", [box(b"", b"", b"No Address")]),
    (b"<>", [box(b"", b"")]),
    (b"x@y <a@b>", [box(b"a", b"b", b"x@y")]),
    (b"N <a@b, c@d", [box(b"a", b"b", b"N"), box(b"c", b"d")]),
    (b"N a@b", [box(b"a", b"b", b"N")]),
    (b"<a@b> <c@d>", [box(b"a", b"b"), box(b"c", b"d")]),
    (b"=?utf-8?q?=C3=BC=2C?= X <a@b>", [box(b"a", b"b", b"=?utf-8?q?=C3=BC=2C?= X")]),
    ("Jürgen <jü@exämple.org>".encode(), [box("jü".encode(), "exämple.org".encode(), "Jürgen".encode())]),
    (b'"open <a@b>', [box(b"open <a@b>", b"")]),
    (b"a@b@c", [box(b"a", b"b")]),
    (b"<a@b@c>", [box(b"a@b", b"c")]),
    (b"a;b@c", [box(b"a", b""), box(b"b", b"c")]),
]


@pytest.mark.parametrize("value, expected", LISTS)
def test_list(value, expected):
    assert parse_address_list(value) == expected


def test_decoded():
    (address,) = parse_address_list(b'"=?utf-8?q?J=C3=BC?=" <a@b>')
    assert (address.name, address.local, address.domain, address.spec) == ("Jü", "a", "b", "a@b")
    start, end = parse_address_list(b"=?utf-8?q?=C3=BC?=:;")
    assert (start.name, start.spec, start.is_mailbox, end.name) == ("ü", "", False, "")
    assert parse_address_list(b"root")[0].spec == "root"


_pieces = st.lists(
    st.sampled_from(
        [
            b"a",
            b"b.c",
            b'"q w"',
            b'"',
            b"\\",
            b"(",
            b")",
            b"<",
            b">",
            b"@",
            b".",
            b",",
            b";",
            b":",
            b" ",
            b"\r\n ",
            b"[x]",
            b"[",
            b"\xff",
            b"\0",
            b"=?utf-8?q?a?=",
        ]
    )
).map(b"".join)


@given(st.binary() | _pieces)
@example(b"a <b@c>")
@settings(max_examples=300, deadline=None)
def test_any_value_is_a_list_and_the_short_cut_changes_nothing(value):
    found = parse_address_list(value)
    assert [address.is_mailbox for address in found if address.raw_domain is not None] == [True] * sum(
        a.is_mailbox for a in found
    )
    for address in found:
        f"{address.name}{address.local}{address.domain}{address.spec}".encode()
    assert addresses._parse_any(addresses.unfold(value), 0, addresses.MAX_ADDRESSES) == found


_label = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=10)
_local = st.text("abcxyzABC0189!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=12)


@given(_local, _local, st.lists(_label, min_size=1, max_size=4), st.booleans())
@settings(deadline=None)
def test_a_written_list_is_read_back(name, local, labels, bare):
    domain = ".".join(labels)
    value = f"{local}@{domain}" if bare else f'"{name}" <{local}@{domain}>'
    expected = box(local.encode(), domain.encode(), None if bare else name.encode())
    assert parse_address_list(f"{value}, {value}".encode()) == [expected, expected]


VALID = [
    ("a@b", ("a", "b")),
    ("User.Name+tag@Example.ORG", ("User.Name+tag", "example.org")),
    ("!#$%&'*+/=?^_`{|}~-@x.y", ("!#$%&'*+/=?^_`{|}~-", "x.y")),
    ('"john smith"@x', ("john smith", "x")),
    ('"john"@x', ("john", "x")),
    ('"a\\"\\\\@b"@x', ('a"\\@b', "x")),
    ("a@[192.0.2.1]", ("a", "[192.0.2.1]")),
    ("a@[ipv6:2001:DB8::1]", ("a", "[IPv6:2001:db8::1]")),
    ("jürgen@BÜCHER.example", ("jürgen", "bücher.example")),
    ("a@bu\u0308cher.example", ("a", "bücher.example")),
    ("a@STRASSE.example", ("a", "strasse.example")),
    ("a@straße.example", ("a", "straße.example")),
    ("用户@例子.中国", ("用户", "例子.中国")),
    ("a@xn--BCHER-KVA.example", ("a", "xn--bcher-kva.example")),
    ("x" * 64 + "@y", ("x" * 64, "y")),
    ("a@" + "y" * 63, ("a", "y" * 63)),
    ("1@1", ("1", "1")),
]


@pytest.mark.parametrize("text, parsed", VALID)
def test_valid_mailbox_address(text, parsed):
    assert parse_mailbox_address(text) == parsed
    assert parse_mailbox_address(format_mailbox_address(*parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a",
        "a@",
        "@b",
        "a@@b",
        "a b@c",
        "a@b c",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a@b.",
        "a@.b",
        "a@b..c",
        "a@-b",
        "a@b-",
        "a@b_c",
        "<a@b>",
        "a@b\n",
        "a@b\r\nRCPT TO:<c@d>",
        "a\n@b",
        '""@b',
        '"a@b',
        '"a"b"@c',
        '"a\nb"@c',
        "a\x00@b",
        "a,b@c",
        "a;b@c",
        "a(c)@b",
        "a@[192.0.2]",
        "a@[192.0.2.1",
        "a@[IPv6:zz]",
        "a@[]",
        "a@[tag:]",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@y",
        "a@yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        "a@y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.y.yy",
        "\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc@y",
        "a@\u0308x",
        "a@x\u2028y",
        "\x85a@b",
        "\ud800@b",
        "a@\ud800",
        "a@b\u200b",
        "a@\uff0e",
        "a@\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc.example",
    ],
)
def test_invalid_mailbox_address(text):
    with pytest.raises(InvalidAddress) as caught:
        parse_mailbox_address(text)
    assert text not in str(caught.value) or len(text) < 3


@given(st.text())
@settings(deadline=None)
def test_only_the_documented_error(text):
    try:
        local, domain = parse_mailbox_address(text)
    except InvalidAddress:
        return
    assert parse_mailbox_address(format_mailbox_address(local, domain)) == (local, domain)


def test_domain_to_ascii():
    assert domain_to_ascii("BÜCHER.example") == "xn--bcher-kva.example"
    assert domain_to_ascii("Example.ORG") == "example.org"
    assert domain_to_ascii("[192.0.2.1]") == "[192.0.2.1]"
