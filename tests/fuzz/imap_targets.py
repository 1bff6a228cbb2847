"""The IMAP grammar: the reader, the arguments of every command, and the small languages inside them."""

from __future__ import annotations

import re
from itertools import pairwise

from mailservers.formats.imap import urls, writer
from mailservers.formats.imap.fetch import parse_section
from mailservers.formats.imap.lexer import ImapSyntaxError, Lexer
from mailservers.formats.imap.listing import matches
from mailservers.formats.imap.mailbox_names import decode_name, decode_utf7, encode_name, encode_utf7
from mailservers.formats.imap.reader import BEFORE_LOGIN, Command, CommandReader, Event, Fatal, Limits
from mailservers.formats.imap.search import parse_program, parse_search
from mailservers.formats.imap.sequences import parse_sequence_set, within, write_ranges
from mailservers.formats.imap.sort import parse_sort, parse_thread
from mailservers.formats.search_keys import walk
from mailservers.imap.commands import COMMANDS
from tests.fuzz.target import only, pieces, split, target

SMALL = Limits(64, 16, 32, 40, 400)
NAMES = b" ".join(sorted(name.encode() for name in COMMANDS))
KEYS = (
    b"ALL OR NOT UID SEEN FROM TEXT BODY HEADER KEYWORD LARGER SMALLER SINCE BEFORE ON SENTSINCE SAVEDBEFORE YOUNGER "
    b"OLDER MODSEQ EMAILID THREADID RETURN SAVE MIN MAX COUNT PARTIAL CHARSET UTF-8 1-Jan-2020 $ ( ) 1:* -1:-9 CONTEXT "
    b"REVERSE ARRIVAL SUBJECT DATE REFERENCES ORDEREDSUBJECT REFS DISPLAYFROM /flags/ priv"
)
ITEMS = (
    b"FLAGS UID BODY.PEEK[] BODY[1.2.MIME] HEADER.FIELDS.NOT <0.7> BINARY.SIZE[1] BINARY[ ENVELOPE BODYSTRUCTURE "
    b"PREVIEW (LAZY) EMAILID MODSEQ CHANGEDSINCE VANISHED PARTIAL ALL FAST FULL RFC822.HEADER SAVEDATE"
)


def events(data: list[bytes], limits: Limits) -> list[Event]:
    reader = CommandReader(limits)
    found: list[Event] = []
    for piece in data:
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            found.append(event)
            if isinstance(event, Fatal):
                return found
    return found


@target(
    b"\x03a NOOP\r\nb LOGIN {3}\r\nabc {1+}\r\nx\r\n",
    b"\x01a APPEND INBOX ~{5+}\r\n\r\n\0xx\r\n",
    b"\x02a X {99+}\r\n" + b"y" * 99 + b"\r\nb UID FETCH 1 FLAGS\r\n",
    words=NAMES + b" {3} {3+} ~{4+} {17} {41} \r\n",
    max_octets=600,
    pumped_octets=8192,
)
def imap_reader(data: bytes) -> None:
    """The same commands however the octets are cut; no more is kept than the limits allow."""
    lengths, text = data[:3], data[3:]
    for limits in (SMALL, BEFORE_LOGIN):
        whole = events([text] if text else [], limits)
        assert events(pieces(text, lengths), limits) == whole
        for command in whole:
            if isinstance(command, Command):
                assert len(command.parts) % 2 == 1
                assert sum(map(len, command.parts[::2])) <= limits.line_octets
                assert sum(map(len, command.parts[1::2])) <= limits.literals_octets + limits.append_octets


@target(
    b"a LOGIN anna {3+}\r\nx\0y\r\n",
    b'a LIST (SUBSCRIBED) "" (INBOX "W%") RETURN (STATUS (MESSAGES SIZE))\r\n',
    b"a UID STORE 1:* (UNCHANGEDSINCE 3) -FLAGS.SILENT (\\Seen $x)\r\n",
    b'a APPEND x (\\Seen) "01-Jan-2024 00:00:00 +0000" CATENATE (URL /a;UID=1 TEXT {2+}\r\nab)\r\n',
    b"a NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge)) (subtree (a b) (FlagChange))\r\n",
    b"a SELECT x (QRESYNC (1 2 3:4 (5:6 7:8)))\r\na SETMETADATA x (/private/a {1+}\r\nb /shared/c NIL)\r\n",
    b"a SETACL x anyone +lrs\r\na SETQUOTA x (STORAGE 5)\r\na ESEARCH IN (subtree x) RETURN (MIN) UID 1 SEEN\r\n",
    words=NAMES + b" " + KEYS + b" " + ITEMS,
)
def imap_command(data: bytes) -> None:
    """The arguments of every command of the table: `ImapSyntaxError` and nothing else."""
    for event in events([data] if data else [], BEFORE_LOGIN):
        row = COMMANDS.get(event.name) if isinstance(event, Command) else None
        if row is not None and isinstance(event, Command):
            for utf8 in (False, True):
                only(ImapSyntaxError, row.parse, Lexer(event.parts, utf8, charset_allowed=not utf8))


@target(
    b" RETURN (SAVE MIN) OR 1:* NOT (SUBJECT x SINCE 1-Jan-2020)",
    b" CHARSET UTF-8 HEADER a {2}\xfe\xc3\xbc",
    words=KEYS,
)
def imap_search(data: bytes) -> None:
    """SEARCH, SORT and THREAD, with literals after each mark."""
    parts = split(data, 1 + 2 * data.count(b"\xfe"))[: 1 + 2 * min(data.count(b"\xfe"), 4)]
    for parse in (parse_search, parse_program, parse_sort, parse_thread):
        for utf8 in (False, True):
            found = only(ImapSyntaxError, parse, Lexer(tuple(parts), utf8))
            key = getattr(found, "key", None)
            if key is not None:
                assert sum(1 for _ in walk(key)) <= len(data) * 6 + 6


@target(b" 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (A B)]<0.5>)", b"\xfe1.2.MIME", words=ITEMS)
def imap_fetch(data: bytes) -> None:
    """FETCH's arguments, and a section by itself."""
    line, section = split(data, 2)
    for name in ("FETCH", "UID FETCH"):
        only(ImapSyntaxError, COMMANDS[name].parse, Lexer((line,), False))
    only(ImapSyntaxError, parse_section, section)


@target(
    b"\x051,3:5,9:*", b"\x004294967295:*,$", b"\x09*:2,7", words=b"1 * : , $ 4294967295 4294967296", pumped_octets=0
)
def imap_sequence_set(data: bytes) -> None:
    """A set means what its numbers say, and is read back as it is written."""
    largest, text = (data[0] if data else 0) + 1, data[1:]
    found = parse_sequence_set(text)
    if found is None or found.saved:
        return
    ranges = found.resolve(largest)
    assert all(low <= high for low, high in ranges)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(ranges))
    meant = set()
    for item in text.split(b","):
        ends = [largest if end == b"*" else int(end) for end in item.split(b":")]
        meant |= set(range(min(ends), min(max(ends), 600) + 1))
    assert {n for low, high in ranges for n in range(low, min(high, 600) + 1)} == meant
    assert list(within(range(1, 600), ranges)) == sorted(n for n in meant if n < 600)
    again = parse_sequence_set(write_ranges(ranges))
    assert again is not None and again.resolve(1) == ranges


@target(b"INBOX", b"&AOk-&-", b"a/&ZeVnLIqe-", b"\xc3\xbc", words=b"& - &- &AOk- , inbox")
def imap_mailbox_name(data: bytes) -> None:
    """Decoding and encoding are each other's inverse; what is no name is a ValueError."""
    name = only(ValueError, decode_utf7, data)
    if isinstance(name, str):
        assert encode_utf7(name) == data
        assert name.encode("utf-8").decode("utf-8") == name
    for utf8 in (False, True):
        name = only(ValueError, decode_name, data, utf8)
        if isinstance(name, str):
            assert decode_name(encode_name(name, utf8), utf8) == name
            if "\r" not in name and "\n" not in name and "\0" not in name:
                written = writer.mailbox(name, utf8)
                assert written.startswith(b"{") or Lexer((written,), utf8).mailbox() == name


@target(b"a%b*\xfea/b/c", b"%/%\xfeInbox/x", words=b"% * / a INBOX %/* *%", max_octets=120, pumped_octets=0)
def imap_list_pattern(data: bytes) -> None:
    """`*` is any text, `%` any without the delimiter."""
    pattern, name = (field.decode("latin-1") for field in split(data, 2))
    pattern, name = pattern[:12], name[:24]
    regex = "".join(".*" if c == "*" else "[^/]*" if c == "%" else re.escape(c) for c in pattern)
    if "INBOX" not in (pattern + name).upper():
        assert matches(pattern, name) == (re.fullmatch(regex, name, re.DOTALL) is not None)
    matches(pattern, name)


@target(
    b"/INBOX;UIDVALIDITY=3/;UID=20/;SECTION=1.2/;PARTIAL=0.5", b"../x/;UID=1", words=b"/;UID= ;SECTION= %2F UIDVALIDITY"
)
def imap_url(data: bytes) -> None:
    for selected in ("", "a/b"):
        found = only(urls.BadUrl, urls.parse_message_url, data, selected)
        if isinstance(found, urls.MessageUrl):
            assert 0 < found.uid <= 0xFFFFFFFF and found.offset >= 0


@target(b"plain", b'with "quotes" \\', b"\xff\r\n", b"")
def imap_string(data: bytes) -> None:
    """What the writer writes the reader and the lexer read back."""
    for written, read in (
        (writer.string(data), lambda lexer: lexer.string()),
        (writer.astring(data), lambda lexer: lexer.astring()),
        (writer.nstring(data), lambda lexer: lexer.nstring()),
    ):
        if b"\0" in data:
            continue
        line = b"a X " + written.replace(b"}\r\n", b"+}\r\n", 1 if written.startswith(b"{") else 0) + b"\r\n"
        found = events([line], Limits(1 << 18, 1 << 18, 1 << 18, 0, 1 << 18))
        assert len(found) == 1 and isinstance(found[0], Command), (line, found)
        lexer = Lexer(found[0].parts, True)
        lexer.sp()
        if written.startswith(b'"') and not data.isascii():
            continue
        assert read(lexer) == data
        lexer.end()
