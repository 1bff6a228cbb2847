"""DATA's framing: any chunking gives the same, and the same as what is said in one line of code."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from mailservers.formats.smtp_data import DataReader, LineEnds, Received

LIMIT = 40
_pieces = st.sampled_from([b"\r\n", b"\r\n", b".", b".", b"a", b"\r", b"\n", b"\0", b"\r\n.\r\n", b"xyz"])
_wire = st.lists(_pieces, max_size=40).map(lambda pieces: b"".join(pieces) + b"\r\n.\r\nQUIT\r\n")


_UNSAFE = re.compile(rb"(?<!\r)\n|\r(?!\n)|^(?=[.\0]*\.)(?=[.\0]*\0)[.\0]+\r?$", re.MULTILINE)


def _are_unsafe(*pieces: bytes) -> bool:
    ends = LineEnds()
    for piece in pieces:
        ends.feed(piece)
    return ends.are_unsafe()


def _plainly(wire: bytes) -> Received:
    whole, _, rest = (b"\r\n" + wire).partition(b"\r\n.\r\n")
    stuffed = (whole + b"\r\n")[2:]
    content = (b"\r\n" + stuffed).replace(b"\r\n.", b"\r\n")[2:]
    if len(content) > LIMIT:
        return Received(None, rest)
    return Received(content, rest, _are_unsafe(stuffed))


def _in_chunks(wire: bytes, cuts: list[int], *, takes: bool) -> Received:
    reader, taken, start = DataReader(LIMIT), b"", 0
    for cut in [*sorted(cuts), len(wire)]:
        received = reader.feed(wire[start:cut])
        if received is not None:
            content = None if received.content is None else taken + received.content
            return Received(content, received.rest + wire[cut:], received.has_bare_line_end)
        if takes:
            taken += b"".join(reader.take())
        start = max(start, cut)
    raise AssertionError("the end was not seen")


@given(_wire, st.lists(st.integers(0, 120), max_size=20), st.booleans())
@example(b".\r\n", [], False)
@example(b"a\r\n..\0\r\n.\r\n", [1, 4, 5, 6, 7], True)
@example(b"a\n.\n\r\n.\r\n", [3], True)
@example(b"\0\r\n\r\nxyz.\0\r\n.\r\nQUIT\r\n", [3, 8], False)
def test_any_chunking_gives_the_same(wire: bytes, cuts: list[int], takes: bool) -> None:
    known, found = _plainly(wire), _in_chunks(wire, cuts, takes=takes)
    assert found.rest == known.rest
    assert found.content == known.content
    if known.content is not None:
        assert found.has_bare_line_end == known.has_bare_line_end


def test_what_is_thrown_away_still_ends() -> None:
    reader = DataReader(LIMIT)
    assert reader.feed(b"abc\r\n") is None
    reader.throw_away()
    assert reader.feed(b"def\r\n.\r\nNOOP\r\n") == Received(None, b"NOOP\r\n")


@given(st.lists(_pieces, max_size=12))
@example([b"\r\n.", b"\0"])
@example([b"a\r", b"\n"])
@example([b"\0", b".", b"\r\n"])
@example([b"a", b".\0\r\n"])
def test_unsafe_line_ends_are_found_however_they_are_cut(pieces: list[bytes]) -> None:
    assert _are_unsafe(*pieces) == (_UNSAFE.search(b"".join(pieces)) is not None)
