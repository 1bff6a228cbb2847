"""Truth tables and properties of the argument parsers and writers."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailservers.formats.dates import format_internal_date
from mailservers.formats.imap import arguments, fetch, listing, mailbox_names, search, sequences, writer
from mailservers.formats.imap.appending import (
    AppendMessage,
    AppendRequest,
    ReplaceRequest,
    Url,
    parse_append,
    parse_replace,
)
from mailservers.formats.imap.lexer import BadCharset, BadMailboxName, ImapSyntaxError, Lexer
from mailservers.formats.imap.notify import EventGroup, NotifyRequest, parse_notify
from mailservers.formats.imap.selecting import KnownState, SelectRequest, parse_select
from mailservers.formats.imap.sequences import SequenceSet

# A loaded machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PARSERS = [
    arguments.parse_nothing, arguments.parse_login, arguments.parse_authenticate, arguments.parse_enable,
    arguments.parse_compress, parse_notify, arguments.parse_id, arguments.parse_mailbox, parse_select,
    arguments.parse_create,
    arguments.parse_rename, parse_append, parse_replace, arguments.parse_store, arguments.parse_copy,
    arguments.parse_messages, fetch.parse_fetch, search.parse_search, listing.parse_list, listing.parse_lsub,
    listing.parse_status,
]  # fmt: skip


def parse(parser, *parts: bytes, utf8: bool = False):
    return parser(Lexer(parts, utf8))


# ------------------------------------------------------------------ sequences


@pytest.mark.parametrize(
    ("text", "largest", "expected"),
    [
        (b"1", 9, [(1, 1)]),
        (b"2,4:7,9,12:*", 15, [(2, 2), (4, 7), (9, 9), (12, 15)]),
        (b"*:4,5:7", 10, [(4, 10)]),
        (b"3291:*", 3000, [(3000, 3291)]),
        (b"4:2", 9, [(2, 4)]),
        (b"*", 7, [(7, 7)]),
        (b"1:*", 1, [(1, 1)]),
        (b"4294967295", 1, [(4294967295, 4294967295)]),
        (b"3,1,2", 9, [(1, 3)]),
    ],
)
def test_sequence_sets(text, largest, expected):
    assert sequences.parse_sequence_set(text).resolve(largest) == expected


@pytest.mark.parametrize(
    "text",
    [b"", b"0", b"1:0", b"01", b"1,", b",1", b"1::2", b"1:2:3", b"4294967296", b"1,$", b"$$", b"-1", b"a"],
)
def test_bad_sequence_sets(text):
    assert sequences.parse_sequence_set(text) is None


def test_saved_result():
    assert sequences.parse_sequence_set(b"$").saved


@UNHURRIED
@given(st.sets(st.integers(1, 300)))
def test_written_numbers_come_back(numbers):
    text = sequences.write_numbers(sorted(numbers))
    if numbers:
        ranges = sequences.parse_sequence_set(text).resolve(1)
        assert {n for low, high in ranges for n in range(low, high + 1)} == numbers
    else:
        assert text == b""


# -------------------------------------------------------------- mailbox names


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"INBOX", "INBOX"),
        (b"iNbOx", "INBOX"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"&-", "&"),
        (b"a&-b", "a&b"),
        (b"&2D3eCg-", "😊"[:0] + "\U0001f60a"),
        (b"&Jjo-!", "☺!"),
    ],
)
def test_names(raw, name):
    assert mailbox_names.decode_name(raw, utf8=False) == name
    if name != "INBOX":
        assert mailbox_names.encode_name(name, utf8=False) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"&Jjo!",
        b"&U,BTFw-&ZeVnLIqe-",
        b"&",
        b"&A",
        b"&AGE-",
        b"&2D0-",
        b"&ZeVn=LIqe-",
        b"&Jjp-",
        b"&!-",
        b"&ACY-",
        b"\xff",
    ],
)
def test_bad_names(raw):
    with pytest.raises(ValueError):
        mailbox_names.decode_name(raw, utf8=False)


@UNHURRIED
@given(st.text(max_size=30))
def test_names_round_trip(name):
    raw = mailbox_names.encode_utf7(name)
    assert raw.isascii()
    assert mailbox_names.decode_utf7(raw) == name


@UNHURRIED
@given(st.binary(max_size=20) | st.text("&-ABCabc+,/ =", max_size=12).map(str.encode))
def test_decoder_accepts_only_what_the_encoder_writes(raw):
    try:
        name = mailbox_names.decode_name(raw, utf8=False)
    except ValueError:
        return
    if name != "INBOX" and raw.isascii():
        assert mailbox_names.encode_utf7(name) == raw


# --------------------------------------------------------------------- tokens


@UNHURRIED
@given(st.binary(max_size=2000).filter(lambda value: b"\0" not in value))
def test_strings_round_trip(value):
    for write in (writer.string, writer.astring):
        octets = write(value)
        head, crlf, rest = octets.partition(b"\r\n")
        parts = (b" ", value, b"") if crlf else (b" " + octets,)
        lexer = Lexer(parts)
        lexer.sp()
        assert lexer.astring() == value
        lexer.end()
        if crlf:
            assert head == b"{%d}" % len(value)
            assert rest == value


@UNHURRIED
@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)), st.integers(-1439, 1439))
def test_dates_round_trip(moment, offset):
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    assert Lexer((b'"' + format_internal_date(aware) + b'"',)).date_time() == aware
    assert Lexer((b'"' + format_internal_date(aware) + b'"',)).date_time().utcoffset() == timedelta(minutes=offset)


@UNHURRIED
@given(st.text(max_size=20), st.booleans())
def test_mailboxes_round_trip(name, utf8):
    octets = writer.mailbox(name, utf8)
    _, crlf, rest = octets.partition(b"\r\n")
    lexer = Lexer((b"", rest, b"") if crlf else (octets,), utf8)
    if "\0" in name:
        if utf8:
            with pytest.raises(ImapSyntaxError):
                lexer.mailbox()
        return
    assert lexer.mailbox() == ("INBOX" if name.upper() == "INBOX" else name)


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("parser", "parts", "expected"),
    [
        (arguments.parse_nothing, (b"",), None),
        (arguments.parse_nothing, (b" ",), None),
        (arguments.parse_login, (b' joe "a \\"b\\\\"',), arguments.LoginRequest(b"joe", b'a "b\\')),
        (arguments.parse_login, (b" ", b"joe", b" ", b"\xc3\xa9", b""), arguments.LoginRequest(b"joe", b"\xc3\xa9")),
        (arguments.parse_authenticate, (b" plain",), arguments.AuthenticateRequest("PLAIN", None)),
        (arguments.parse_authenticate, (b" PLAIN =",), arguments.AuthenticateRequest("PLAIN", b"=")),
        (arguments.parse_authenticate, (b" PLAIN AGEAYg==",), arguments.AuthenticateRequest("PLAIN", b"AGEAYg==")),
        (arguments.parse_enable, (b" condstore IMAP4rev2 x",), ("CONDSTORE", "IMAP4REV2", "X")),
        (arguments.parse_id, (b" NIL",), ()),
        (arguments.parse_id, (b' ("name" "x" "os" NIL)',), (("name", "x"), ("os", None))),
        (parse_select, (b" INBOX (CONDSTORE)",), SelectRequest("INBOX", True)),
        (parse_select, (b" x (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",),
         SelectRequest("x", known=KnownState(67890007, 20050715194045000,
                                             SequenceSet(((41, 41), (43, 211), (214, 541)))))),
        (parse_select, (b" x (QRESYNC (1 2 (3:4 7:8)) CONDSTORE)",),
         SelectRequest("x", True, KnownState(1, 2, None, SequenceSet(((3, 4),)), SequenceSet(((7, 8),))))),
        (parse_select, (b" x (QRESYNC (1 2))",), SelectRequest("x", known=KnownState(1, 2))),
        (arguments.parse_create, (b" x (USE (\\drafts))",), arguments.CreateRequest("x", ("\\Drafts",))),
        (arguments.parse_rename, (b' a "b c"',), arguments.RenameRequest("a", "b c")),
        (
            parse_append,
            (b' x (\\seen $Fwd) " 1-Feb-2020 10:11:12 +0100" ~', b"\0x", b""),
            AppendRequest(
                "x",
                (AppendMessage(("\\Seen", "$Fwd"), datetime(2020, 2, 1, 9, 11, 12, tzinfo=UTC), (b"\0x",), True),),
            ),
        ),
        (
            parse_append,
            (b" x ", b"one", b" (\\Draft) ", b"two", b" "),
            AppendRequest("x", (AppendMessage((), None, (b"one",)), AppendMessage(("\\Draft",), None, (b"two",)))),
        ),
        (
            parse_append,
            (b" ", b"x", b' CATENATE (URL "/Drafts/;UID=1" text ', b"t", b" URL a) CATENATE (TEXT ", b"", b")"),
            AppendRequest(
                "x",
                (
                    AppendMessage((), None, (Url(b"/Drafts/;UID=1"), b"t", Url(b"a"))),
                    AppendMessage((), None, (b"",)),
                ),
            ),
        ),
        (
            parse_notify,
            (b" set Status (Selected (MessageNew (uid Flags) MESSAGEEXPUNGE)) (subtree (a inbox) NONE)",),
            NotifyRequest(
                True,
                EventGroup(
                    "SELECTED",
                    (),
                    frozenset({"MessageNew", "MessageExpunge"}),
                    (fetch.Attribute("UID"), fetch.Attribute("FLAGS")),
                ),
                (EventGroup("SUBTREE", ("a", "INBOX"), frozenset()),),
            ),
        ),
        (parse_notify, (b" none",), NotifyRequest()),
        (
            parse_replace,
            (b" 4 x (\\Seen) ", b"m", b""),
            ReplaceRequest(SequenceSet(((4, 4),)), "x", AppendMessage(("\\Seen",), None, (b"m",))),
        ),
        (
            arguments.parse_store,
            (b" 1:2 (UNCHANGEDSINCE 0) -FLAGS.SILENT \\Deleted x",),
            arguments.StoreRequest(SequenceSet(((1, 2),)), "-", True, ("\\Deleted", "x"), 0),
        ),
        (arguments.parse_store, (b" $ FLAGS ()",), arguments.StoreRequest(sequences.SAVED, "=", False, ())),
        (arguments.parse_copy, (b" 1 x",), arguments.CopyRequest(SequenceSet(((1, 1),)), "x")),
        (listing.parse_status, (b" x (messages UNSEEN)",), listing.StatusRequest("x", ("MESSAGES", "UNSEEN"))),
        (listing.parse_list, (b' "" %',), listing.ListRequest("", ("%",))),
        (listing.parse_lsub, (b' "" *',), listing.ListRequest("", ("*",), frozenset({"SUBSCRIBED"}))),
        (
            listing.parse_list,
            (b' (SUBSCRIBED RECURSIVEMATCH) "" ("INBOX" "a%") RETURN (CHILDREN STATUS (MESSAGES))',),
            listing.ListRequest(
                "", ("INBOX", "a%"), frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}),
                frozenset({"CHILDREN", "STATUS"}), ("MESSAGES",), True,
            ),
        ),
    ],
)  # fmt: skip
def test_arguments(parser, parts, expected):
    assert parse(parser, *parts) == expected


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        (arguments.parse_nothing, b" x"),
        (arguments.parse_login, b" a"),
        (arguments.parse_login, b'  a b'),
        (arguments.parse_login, b' a "b'),
        (arguments.parse_login, b' a "\\b"'),
        (arguments.parse_login, b' a b c'),
        (arguments.parse_enable, b""),
        (arguments.parse_id, b' ("a")'),
        (parse_select, b" x (QRESYNC (1 2 *))"),
        (parse_select, b" x (QRESYNC (1 2 1:*))"),
        (parse_select, b" x (QRESYNC (1 2 $))"),
        (parse_select, b" x (QRESYNC (0 2))"),
        (parse_select, b" x (QRESYNC (1))"),
        (parse_select, b" x (QRESYNC (1 2 1:5 (1,2 3)))"),
        (parse_select, b" x (QRESYNC (1 2 1:5 (2,1 3,4)))"),
        (parse_select, b" x (QRESYNC (1 2) QRESYNC (1 2))"),
        (parse_select, b" x (QRESYNC (1 2)"),
        (parse_select, b" x (QRESYNC 1 2)"),
        (parse_select, b" x ()"),
        (fetch.parse_fetch, b" 1 FLAGS (VANISHED)"),
        (fetch.parse_fetch, b" 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)"),
        (fetch.parse_fetch, b" 1 PREVIEW (EAGER)"),
        (fetch.parse_fetch, b" 1 (PREVIEW ())"),
        (fetch.parse_fetch, b" 1 (PREVIEW (LAZY)"),
        (search.parse_search, b" EMAILID a=b"),
        (search.parse_search, b" THREADID"),
        (search.parse_search, b" SAVEDON x"),
        (parse_append, b" x (\\Seen) hello"),
        (parse_append, b" x"),
        (parse_append, b" x CATENATE ()"),
        (parse_append, b" x CATENATE (URL a"),
        (parse_append, b" x CATENATE (TEXT a)"),
        (parse_append, b" x CATENATE (MAIL a)"),
        (parse_replace, b" 1:2 x CATENATE (URL a)"),
        (parse_replace, b" 1,2 x CATENATE (URL a)"),
        (parse_replace, b" $ x CATENATE (URL a)"),
        (parse_replace, b" 1 CATENATE (URL a)"),
        (arguments.parse_store, b" 1 FLAGS"),
        (arguments.parse_store, b" 1 FLAGS (\\Seen"),
        (arguments.parse_store, b" 1 FLAGS (\\Seen  x)"),
        (arguments.parse_store, b" 0 FLAGS ()"),
        (arguments.parse_store, b" 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()"),
        (fetch.parse_fetch, b" 1 ()"),
        (fetch.parse_fetch, b" 1 BODY[0]"),
        (fetch.parse_fetch, b" 1 BODY[1.]"),
        (fetch.parse_fetch, b" 1 BODY[MIME]"),
        (fetch.parse_fetch, b" 1 BODY[HEADER.FIELDS ()]"),
        (fetch.parse_fetch, b" 1 BODY[]<0.0>"),
        (fetch.parse_fetch, b" 1 BODY[]<1>"),
        (fetch.parse_fetch, b" 1 BODY.PEEK"),
        (fetch.parse_fetch, b" 1 BINARY[TEXT]"),
        (fetch.parse_fetch, b" 1 BINARY.SIZE[1]<0.1>"),
        (fetch.parse_fetch, b" 1 (FLAGS ALL)"),
        (fetch.parse_fetch, b" 1 FLAGS (CHANGEDSINCE)"),
        (search.parse_search, b""),
        (search.parse_search, b" NOT"),
        (search.parse_search, b" OR SEEN"),
        (search.parse_search, b" ()"),
        (search.parse_search, b" SINCE 31-Feb-2020"),
        (search.parse_search, b" RETURN (FOO) ALL"),
        (search.parse_search, b" " + b"NOT " * 100 + b"SEEN"),
        (search.parse_search, b" " + b"(" * 100 + b"SEEN" + b")" * 100),
        (listing.parse_status, b" x ()"),
        (listing.parse_status, b" x (FOO)"),
        (listing.parse_list, b' (RECURSIVEMATCH) "" *'),
        (listing.parse_list, b' "" * RETURN (FOO)'),
    ],
)  # fmt: skip
def test_bad_arguments(parser, text):
    with pytest.raises(ImapSyntaxError):
        parse(parser, text)


def test_names_that_cannot_be():
    with pytest.raises(BadMailboxName):
        parse(arguments.parse_mailbox, b" a&b")
    assert parse(arguments.parse_mailbox, b" a&b", utf8=True) == "a&b"


# ---------------------------------------------------------------------- fetch


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (b"BODY[]", [b"BODY[]"]),
        (b"BODY.PEEK[]<0.10>", [b"BODY[]<0>"]),
        (b"body[1.2.mime]", [b"BODY[1.2.MIME]"]),
        (b"(UID BODY[HEADER.FIELDS (From \"To x\")])", [b'BODY[HEADER.FIELDS (From "To x")]']),
        (b"BODY[1.HEADER.FIELDS.NOT (X)]<5.1>", [b"BODY[1.HEADER.FIELDS.NOT (X)]<5>"]),
        (b"BINARY.PEEK[1.2]<3.4>", [b"BINARY[1.2]<3>"]),
        (b"(BINARY.SIZE[1] RFC822 RFC822.HEADER RFC822.TEXT)",
         [b"BINARY.SIZE[1]", b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT"]),
        (b"BINARY[]", [b"BINARY[]"]),
    ],
)  # fmt: skip
def test_fetch_labels(text, labels):
    items = parse(fetch.parse_fetch, b" 1 " + text).items
    assert [item.label for item in items if hasattr(item, "label")] == labels


def test_fetch_details():
    request = parse(fetch.parse_fetch, b" 1:* (FLAGS FLAGS BODY BODY.PEEK[1.TEXT]<7.9>) (CHANGEDSINCE 12)")
    assert request.changed_since == 12
    flags, body, section = request.items
    assert (flags.name, body.name) == ("FLAGS", "BODY")
    assert (section.part, section.what, section.partial, section.peek) == ((1,), "TEXT", (7, 9), True)
    assert [item.name for item in parse(fetch.parse_fetch, b" 1 full").items] == [
        "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY",
    ]  # fmt: skip


# --------------------------------------------------------------------- search


S = search


@pytest.mark.parametrize(
    ("parts", "returns", "key"),
    [
        ((b" ALL",), None, S.All()),
        ((b" UNSEEN",), None, S.Not(S.Flag("\\Seen"))),
        ((b" CHARSET utf-8 SUBJECT ", "é".encode(), b""), None, S.Header("subject", "é")),
        ((b' FROM "a" OR SEEN (1:2 NOT KEYWORD $x)',), None,
         S.And((S.Header("from", "a"), S.Or(S.Flag("\\Seen"), S.And((S.Numbers(SequenceSet(((1, 2),))),
                                                                   S.Not(S.Flag("$x")))))))),
        ((b" RETURN () $",), {"ALL"}, S.Numbers(sequences.SAVED)),
        ((b" RETURN (min COUNT) UID 1",), {"MIN", "COUNT"}, S.Uids(SequenceSet(((1, 1),)))),
        ((b' SENTON "1-feb-2020"',), None, S.DateIs("sent", "on", date(2020, 2, 1))),
        ((b" HEADER X-Y \"\"",), None, S.Header("x-y", "")),
        ((b' MODSEQ "/flags/\\\\draft" all 620162338',), None, S.ModSeq(620162338)),
        ((b" NEW",), None, S.And((S.Flag("\\Recent"), S.Not(S.Flag("\\Seen"))))),
        ((b" LARGER 5 YOUNGER 3",), None, S.And((S.Larger(5), S.Within(True, 3)))),
        ((b" SEEN ",), None, S.Flag("\\Seen")),
        ((b" FUZZY (SUBJECT x FILTER on-the-road)",), None,
         S.Fuzzy(S.And((S.Header("subject", "x"), S.StoredFilter("on-the-road"))))),
    ],
)  # fmt: skip
def test_search(parts, returns, key):
    request = parse(search.parse_search, *parts)
    assert request == search.SearchRequest(search.ReturnOptions(None if returns is None else frozenset(returns)), key)


def test_search_charsets():
    with pytest.raises(BadCharset):
        parse(search.parse_search, b' CHARSET KOI8-R SUBJECT "x"')
    with pytest.raises(ImapSyntaxError):
        parse(search.parse_search, b" SUBJECT ", b"\xff", b"")


# -------------------------------------------------------------------- listing


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "a/b", True),
        ("%", "a/b", False),
        ("%", "a", True),
        ("a/%", "a/b", True),
        ("a/%", "a/b/c", False),
        ("%/c", "a/b/c", False),
        ("*/c", "a/b/c", True),
        ("%*", "a/b", True),
        ("inbox", "INBOX", True),
        ("InBoX/%", "INBOX/x", True),
        ("i%", "INBOX", False),
        ("", "a", False),
        ("a", "A", False),
        ("%a%b%", "xaxbx", True),
        ("*a*", "", False),
        ("inboxes", "INBOXes", False),
    ],
)
def test_patterns(pattern, name, expected):
    assert listing.matches(pattern, name) is expected


def test_patterns_take_bounded_time():
    assert not listing.matches("%a" * 500, "a" * 1000 + "b")
    assert not listing.matches("*%" * 400 + "x", "a" * 1000)


# ----------------------------------------------------------------------- fuzz


words = st.sampled_from(
    b' |(|)|"|\\|NIL|1|1:*|$|0|x|INBOX|FLAGS|+FLAGS|BODY[|]|HEADER.FIELDS|<0.1>|<|>|.|RETURN|CHARSET|UTF-8|ALL|OR|'
    b'NOT|SUBJECT|UID|MODSEQ|CHANGEDSINCE|UNCHANGEDSINCE|"x"|"1-Jan-2020"|"01-Jan-2020 00:00:00 +0000"|STATUS|'
    b"MESSAGES|USE|\\Seen|\\*|~|*|%|&|&-|BINARY.SIZE|[|99999999999999999999|HEADER|{|}".split(b"|")
)
texts = st.lists(words | st.just(b" ") | st.binary(max_size=4), max_size=20).map(b"".join)


@UNHURRIED
@given(st.lists(texts | st.binary(max_size=8), min_size=1, max_size=7), st.booleans())
def test_only_the_documented_error_escapes(parts, utf8):
    parts = parts if len(parts) % 2 else [*parts, b""]
    for parser in PARSERS:
        try:
            hash(parse(parser, *parts, utf8=utf8))
        except ImapSyntaxError as error:
            assert str(error)
