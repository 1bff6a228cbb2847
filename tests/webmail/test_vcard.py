"""vCards: truth tables, and properties of reading and writing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.contacts.vcard import VERSIONS, Card, NotVCards, read_cards, write_cards

LINE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=120).map(
    lambda t: " ".join(t.split())
)
FULL = LINE.filter(bool)
NOTE = st.lists(LINE, max_size=4).map("\n".join)
CARDS = st.builds(
    Card,
    uid=FULL,
    name=FULL,
    organisation=LINE,
    addresses=st.lists(FULL, max_size=4, unique=True),
    phones=st.lists(FULL.filter(lambda t: not t.startswith("tel:")), max_size=3, unique=True),
    note=NOTE,
    rest=st.just(["N:Holm;Anna;;;", "BDAY:19850412", 'X-ODD;P="a;b:c":x\\,y']),
)


@given(st.lists(CARDS, min_size=1, max_size=3), st.sampled_from(VERSIONS))
def test_what_is_written_reads_the_same(cards: list[Card], version: str) -> None:
    text = write_cards(cards, version)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert "\n" not in text.replace("\r\n", "")
    assert read_cards(text) == cards


# No line begins with a blank: it would fold onto BEGIN.
@given(st.text(max_size=400), st.lists(st.text(max_size=60).map(str.lstrip), max_size=8))
def test_any_text_reads_or_is_refused(text: str, lines: list[str]) -> None:
    whole = "BEGIN:VCARD\n" + "\n".join(lines) + "\nEND:VCARD\n"
    read_cards(whole + "\n" + text)  # apart: a text that begins with a blank would fold onto END
    try:
        read_cards(text)
    except NotVCards:
        pass


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_value_makes_a_property(name: str, note: str) -> None:
    [card] = read_cards(write_cards([Card(uid="1", name=name, note=note, addresses=["a@b.test"])]))
    assert card.addresses == ["a@b.test"] and card.phones == [] and card.uid == "1"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["FN:Anna Holm", "EMAIL;TYPE=INTERNET:a@b.test"], Card(name="Anna Holm", addresses=["a@b.test"])),
        (["N:Holm;Anna;Maria;Dr.;"], Card(name="Dr. Anna Maria Holm", rest=["N:Holm;Anna;Maria;Dr.;"])),
        (["FN:A", "item1.EMAIL:a@b", "EMAIL;TYPE=home,pref:c@d"], Card(name="A", addresses=["c@d", "a@b"])),
        (["FN:A", "EMAIL;PREF=1:c@d", "EMAIL:c@d"], Card(name="A", addresses=["c@d"])),
        (
            ["FN:A", "TEL;VALUE=uri:tel:+41-1", "ORG:Acme\\, Inc.;Sales"],
            Card(name="A", phones=["+41-1"], organisation="Acme, Inc., Sales"),
        ),
        (
            ["FN:A", "NOTE:one\\ntwo\\;", "PHOTO;ENCODING=b;TYPE=JPEG:/9j/", " AAA"],
            Card(name="A", note="one\ntwo;", rest=["PHOTO;ENCODING=b;TYPE=JPEG:/9j/AAA"]),
        ),
        (["KIND:group", "FN:Crew", "MEMBER:urn:uuid:u1"], Card(name="Crew", is_group=True, members=["u1"])),
        (
            ["X-ADDRESSBOOKSERVER-KIND:group", "FN:C", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:u1"],
            Card(name="C", is_group=True, members=["u1"]),
        ),
        (["no property at all", "FN:A"], Card(name="A")),
    ],
)
def test_reading(lines: list[str], expected: Card) -> None:
    text = "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD"])
    assert read_cards(text) == [expected]


@pytest.mark.parametrize("text", ["", "hello", "BEGIN:VCARD\nFN:A\n", "END:VCARD"])
def test_no_card(text: str) -> None:
    with pytest.raises(NotVCards):
        read_cards(text)
