"""Base subjects (RFC 5256 section 2.1) and what messages are threaded by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservers.formats.subjects import base_subject
from mailservers.formats.threads import Threader, thread_keys, thread_subject

TABLE = [
    # subject, base subject, is it an answer's
    ("", "", False),
    ("hello", "hello", False),
    ("  hello \t world  ", "hello world", False),  # step 1
    ("Re: hello", "hello", True),
    ("RE: hello", "hello", True),
    ("re:hello", "hello", True),
    ("Re : hello", "hello", True),
    ("Fw: hello", "hello", True),
    ("Fwd: hello", "hello", True),
    ("Fwdd: hello", "Fwdd: hello", False),
    ("Re: Fwd: RE: hello", "hello", True),
    ("Re: [list] hello", "hello", True),
    ("[list] Re: hello", "hello", True),
    ("[list] [other] Re: hello", "hello", True),
    ("[list] hello", "hello", False),  # step 4
    ("[list]", "[list]", False),  # a blob can be the base
    ("[a] [b]", "[b]", False),  # the last one is, where nothing else is left
    ("Re[2]: hello", "hello", True),
    ("Re [2] : hello", "hello", True),
    ("Re[[2]]: hello", "Re[[2]]: hello", False),  # no blob has a bracket inside
    ("hello (fwd)", "hello", True),  # step 2
    ("hello (FWD) (fwd) ", "hello", True),
    ("hello(fwd)", "hello", True),
    ("hello (fwd) more", "hello (fwd) more", False),
    ("[fwd: hello]", "hello", True),  # step 6
    ("[Fwd: Re: [list] hello (fwd)]", "hello", True),
    ("Re: [fwd: [fwd: hello]]", "hello", True),
    ("[fwd: hello] (fwd)", "hello", True),
    ("[fwd: hello", "[fwd: hello", False),
    ("[fwd: hello] x", "x", False),  # then it is a blob like another
    ("Re:", "", True),
    ("(fwd)", "", True),
    ("Reason: none", "Reason: none", False),
    ("AW: hello", "AW: hello", False),  # RFC 5256 knows English only
    ("Re: Grüße", "Grüße", True),
]


@pytest.mark.parametrize(("subject", "base", "is_answer"), TABLE)
def test_base_subject(subject: str, base: str, is_answer: bool) -> None:
    found = base_subject(subject)
    assert (found.text, found.is_answer) == (base, is_answer)


PIECES = st.sampled_from(["re", "Re:", "fw", "fwd:", "[fwd:", "]", "[", "(fwd)", " ", "x", ":", "[list]", "\t", "ß"])


@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200))
def test_a_base_subject_is_its_own(subject: str) -> None:
    base = base_subject(subject).text
    assert base_subject(base).text == base
    assert base == base.strip(" \t")


def test_it_is_linear() -> None:
    for piece in ("[", "[a]", "re", "[fwd:", "(fwd)", "re[", " "):
        base_subject(piece * 200_000)
        thread_subject(piece * 200_000)


@pytest.mark.parametrize("prefix", ["AW: ", "Antw: ", "SV: Re: ", "Re: AW: [list] ", "WG: "])
def test_threads_know_foreign_replies(prefix: str) -> None:
    assert thread_subject(prefix + "Der  Kran") == ("derkran", True)


def keys(own: str, *references: str, subject: str = "x", reply_to: str = "", content: bytes = b"\0" * 32):
    return thread_keys(own, reply_to, references, subject, content)


# each row: messages as (own id, references), and their threads; the n-th message would begin thread n
THREADS = [
    ([("a", ()), ("b", ("a",)), ("c", ("b",))], [1, 1, 1]),
    ([("b", ("a",)), ("a", ())], [1, 1]),  # the answer came first
    ([("b", ("a",)), ("c", ("a",))], [1, 1]),  # their question never came
    ([("a", ()), ("b", ())], [1, 2]),
    ([("a", ()), ("a", ())], [1, 1]),  # one identifier, two contents
    ([("a", ()), ("b", ()), ("c", ("a", "b")), ("b", ())], [1, 2, 1, 2]),  # joined, but none changes its thread
]


@pytest.mark.parametrize(("messages", "threads"), THREADS)
def test_threads(messages: list[tuple[str, tuple[str, ...]]], threads: list[int]) -> None:
    threader = Threader({})
    placed = [threader.place(7, keys(own, *refs), n) for n, (own, refs) in enumerate(messages, 1)]
    assert placed == threads


def test_joins_are_told() -> None:
    threader = Threader({})
    threader.place(7, keys("a"), 1)
    threader.place(7, keys("b"), 2)
    threader.place(7, keys("c", "a", "b"), 3)
    assert threader.joins == [(7, 2, 1)]


def test_owners_have_threads_of_their_own() -> None:
    threader = Threader({})
    assert threader.place(7, keys("a"), 1) == 1
    assert threader.place(8, keys("b", "a"), 2) == 2


def test_only_a_bare_reply_goes_by_its_subject() -> None:
    place = Threader({}).place
    assert place(7, keys("b", subject="Re: x"), 2, by_subject=1) == 1
    assert place(7, keys("c", subject="x"), 3, by_subject=1) == 3
    assert place(7, keys("d", "z", subject="Re: x"), 4, by_subject=1) == 4


def test_a_content_without_identifier_stands_for_itself() -> None:
    first, again, other = (keys("", content=bytes([n]) * 32).ids for n in (1, 1, 2))
    assert first == again != other
