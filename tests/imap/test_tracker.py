"""The client's view of a mailbox, without a session."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from mailservers.imap.tracker import View


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_numbers_of_many_are_those_of_each(uids: set[int], asked: set[int]) -> None:
    view = View(array("I", sorted(uids)))
    assert view.numbers_of(sorted(asked)) == [view.number_of(uid) for uid in sorted(asked)]
