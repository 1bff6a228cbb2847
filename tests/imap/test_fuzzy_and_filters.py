"""FUZZY (RFC 6203), FILTERS (RFC 5466) and LIST-METADATA (RFC 9590), after the RFCs' examples."""

import pytest

from mailservers.formats.fuzzy import Closeness, at_closeness, is_fuzzy
from mailservers.formats.search_keys import All, And, Body, Fuzzy, Header, Not, Or


@pytest.fixture
async def filled(client):
    for subject, sender, size in (
        (b"broken IMAP", b"boss@example.com", 10),
        (b"IMAP break", b"user@example.com", 6000),
        (b"Breaking news of IMAPS", b"boss@example.com", 6000),
        (b"work", b"user@example.com", 10),
    ):
        await client.append("INBOX", b"Subject: %b\r\nFrom: %b\r\n\r\n%b\r\n" % (subject, sender, b"x" * size))
    await client.ok("SELECT INBOX")
    return client


def test_closeness():
    key = And((Fuzzy(Or(Header("subject", "two  letters"), Not(Body("x")))), All()))
    assert is_fuzzy(key) and not is_fuzzy(All())
    exact = And((Or(Header("subject", "two  letters"), Not(Body("x"))), All()))
    assert at_closeness(key, Closeness.EXACT) == exact
    words = And((Header("subject", "two"), Header("subject", "letters")))
    assert at_closeness(key, Closeness.WORDS) == And((Or(words, Not(And((Body("x"),)))), All()))
    cut = And((Header("subject", "two"), Header("subject", "letter")))
    assert at_closeness(key, Closeness.BEGINNINGS).keys[0].first == cut
    assert at_closeness(Fuzzy(Fuzzy(Body(""))), Closeness.WORDS) == Body("")


async def test_fuzzy(filled):
    await filled.dialog(
        """
        C: A0 SEARCH SUBJECT "IMAP break"
        S: * SEARCH 2
        S: A0 OK SEARCH completed
        C: A1 SEARCH FUZZY (SUBJECT "IMAP break")
        S: * SEARCH 2 3
        S: A1 OK SEARCH completed
        C: A2 SEARCH FUZZY SUBJECT works FROM user@example.com
        S: * SEARCH 4
        S: A2 OK SEARCH completed
        C: B1 SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT "IMAP breaks"
        S: * ESEARCH (TAG "B1") ALL 2:3 RELEVANCY (33 33)
        S: B1 OK SEARCH completed
        C: B2 UID SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT "IMAP break"
        S: * ESEARCH (TAG "B2") UID ALL 2:3 RELEVANCY (100 66)
        S: B2 OK SEARCH completed
        C: C1 SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "news of break"
        S: * SORT 3
        S: C1 OK SORT completed
        C: C2 SORT RETURN (RELEVANCY ALL) (REVERSE RELEVANCY) UTF-8 FUZZY SUBJECT "IMAP break"
        S: * ESEARCH (TAG "C2") ALL 3,2 RELEVANCY (66 100)
        S: C2 OK SORT completed
        C: C3 SORT RETURN (PARTIAL 1:1 RELEVANCY) (RELEVANCY) UTF-8 FUZZY SUBJECT "IMAP break"
        S: * ESEARCH (TAG "C3") PARTIAL (1:1 2) RELEVANCY (100)
        S: C3 OK SORT completed
        C: C4 ESEARCH IN (personal) RETURN (RELEVANCY) FUZZY SUBJECT "IMAP break"
        S: * ESEARCH (TAG "C4" MAILBOX INBOX UIDVALIDITY ...) UID RELEVANCY (100 66)
        S: C4 OK ESEARCH completed
        C: D1 SEARCH RETURN (RELEVANCY) SUBJECT x
        S: D1 BAD RELEVANCY needs a FUZZY search key
        C: D2 SORT (RELEVANCY) UTF-8 SUBJECT x
        S: D2 BAD RELEVANCY needs a FUZZY search key
        C: D3 SEARCH FUZZY
        S: D3 BAD Expected a space
        """
    )


async def test_filters(filled):
    await filled.dialog(
        r"""
        C: a007 SETMETADATA "" ("/private/filters/values/on-the-road" "OR SMALLER 5000 FROM \"boss@example.com\"")
        S: a007 OK SETMETADATA completed
        C: a SEARCH UID 2:900 FILTER on-the-road SINCE "3-Dec-2002"
        S: * SEARCH 3 4
        S: a OK SEARCH completed
        C: b UID SORT (SIZE) UTF-8 NOT FILTER On-The-Road
        S: * SORT 2
        S: b OK SORT completed
        C: c SEARCH FILTER nothing
        S: c NO [UNDEFINED-FILTER nothing] There is no such filter
        C: d SETMETADATA "" (/private/filters/values/half "OR SMALLER")
        S: d NO [CANNOT] Not the criteria of a search: ...
        C: e SETMETADATA "" (/private/filters/values/half "OR SMALLER 1 SEEN")
        S: e OK SETMETADATA completed
        C: f SEARCH CHARSET KOI8-R FILTER half
        S: f BAD [BADCHARSET (US-ASCII UTF-8)] Filters are in UTF-8
        C: g SEARCH FILTER a/b
        S: g BAD ...
        C: h SETMETADATA "" (/private/filters/values/one "FILTER two" /private/filters/values/two "FILTER three")
        S: h OK SETMETADATA completed
        C: i SETMETADATA "" (/private/filters/values/three "SUBJECT work")
        S: i OK SETMETADATA completed
        C: j SEARCH FILTER one
        S: * SEARCH 4
        S: j OK SEARCH completed
        C: k SETMETADATA "" (/private/filters/values/three "FILTER one")
        S: k OK SETMETADATA completed
        C: l SEARCH RETURN (SAVE) FILTER one
        S: l NO [UNDEFINED-FILTER one] There is no such filter
        C: m SEARCH $
        S: * SEARCH
        S: m OK SEARCH completed
        C: n SETMETADATA "" (/private/filters/values/on-the-road NIL)
        S: n OK SETMETADATA completed
        C: o ESEARCH IN (personal) FILTER on-the-road
        S: o NO [UNDEFINED-FILTER on-the-road] There is no such filter
        """
    )


async def test_filters_that_grow(filled):
    """Each names the one before many times: refused before it is built."""
    many = " ".join(["FILTER b"] * 3000)
    await filled.ok(
        f'SETMETADATA "" (/private/filters/values/a "{many}" /private/filters/values/b "{"SEEN " * 3000}SEEN")'
    )
    assert (await filled.command("SEARCH FILTER a"))[-1].startswith(b"NO [LIMIT] ")


async def test_very_long_and_very_deep_searches(filled):
    """Within the bounds they are answered, whatever the database thinks of such expressions; beyond, refused."""
    await filled.ok(r"STORE 2 +FLAGS.SILENT (\Seen)")
    sets = " ".join(["UID " + ",".join(str(2 * n) for n in range(1, 49))] * 290)
    for key, found in (
        ("SEEN " * 298 + "SEEN", b" 2"),
        ("NOT " * 60 + "SEEN", b" 2"),
        ("NOT " * 61 + "SEEN", b" 1 3 4"),
        ("(" * 60 + "SEEN" + ")" * 60, b" 2"),
        ("OR SEEN " * 60 + "NOT SUBJECT work", b" 1 2 3"),
        ("OR (NOT SEEN) " * 60 + "SEEN", b" 1 2 3 4"),
        (sets, b" 2 4"),
    ):
        assert (await filled.ok(f"SEARCH {key}"))[0] == b"* SEARCH" + found, key[:40]
    assert await filled.command("SEARCH " + "SEEN " * 301) == [b"NO [LIMIT] Too many search keys"]
    assert await filled.command("SEARCH " + "NOT " * 70 + "SEEN") == [b"BAD Search keys nested too deeply"]
    assert await filled.command(r"SEARCH KEYWORD \Seen") == [b"BAD Expected a keyword"]


async def test_list_metadata(client):
    await client.ok("CREATE foo")
    await client.ok("CREATE foo/bar")
    color = "/shared/vendor/cmu/cyrus-imapd/color"
    await client.ok(f'SETMETADATA INBOX ({color} "#b71c1c")')
    await client.ok("SUBSCRIBE foo/bar")
    await client.ok(f"SETMETADATA foo/bar ({color} {{6+}}\r\n#\r\n123)")
    await client.dialog(
        f"""
        C: A01 LIST "" (INBOX foo Sent) RETURN (METADATA ("{color}" "/private/specialuse"))
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: * METADATA INBOX ({color} "#b71c1c" /private/specialuse NIL)
        S: * LIST (\\HasNoChildren \\Sent) "/" Sent
        S: * METADATA Sent ({color} NIL /private/specialuse "\\\\Sent")
        S: * LIST (\\HasChildren) "/" foo
        S: * METADATA foo ({color} NIL /private/specialuse NIL)
        S: A01 OK LIST completed
        C: A02 LIST (SUBSCRIBED RECURSIVEMATCH) "" foo% RETURN (METADATA ({color}) STATUS (MESSAGES))
        S: * LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
        S: A02 OK LIST completed
        C: A03 LIST "" foo/bar RETURN (METADATA ({color}))
        S: * LIST (\\HasNoChildren) "/" foo/bar
        S: * METADATA foo/bar ({color} {{6}}
        S: #
        S: 123)
        S: A03 OK LIST completed
        C: A04 LIST "" % RETURN (METADATA)
        S: A04 BAD Expected a space
        C: A05 LIST "" % RETURN (METADATA ())
        S: A05 BAD ...
        C: A06 LIST "" % RETURN (METADATA (/shared/*))
        S: A06 BAD Invalid entry name
        """
    )
