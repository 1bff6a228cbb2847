"""SORT and THREAD (RFC 5256, 5957), ESORT and PARTIAL (RFC 5267, 9394)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from mailservers.formats.imap.threading import Threaded, thread, write_threads


def letter(subject: str, sent: str, sender: str, to: str, own: str = "", *references: str, size: int = 0) -> bytes:
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Date: {sent}"]
    lines += [f"Message-ID: <{own}>"] if own else []
    lines += ["References: " + " ".join(f"<{name}>" for name in references)] if references else []
    return "\r\n".join([*lines, "", "x" * size, ""]).encode()


@pytest.fixture
async def filled(client):
    people = ("Zoe <anna@x.test>", "Ärla <carl@x.test>", "ben@x.test", "carl@x.test")
    for message, options in (
        (letter("Re: beta", "Wed, 03 Jan 2024 10:00:00 +0000", people[0], people[1], "b2", "b1", size=90), "5"),
        (letter("alpha", "Wed, 03 Jan 2024 09:00:00 -0500", people[1], people[2], "a1", size=5), "4"),
        (letter("[list] BETA", "Tue, 02 Jan 2024 10:00:00 +0000", people[2], people[0], "b1", size=50), "3"),
        (letter("gamma", "nonsense", people[3], people[0], "g", "z", size=20), "2"),
    ):
        await client.append("INBOX", message, f'"0{options}-Jan-2024 08:00:00 +0000"')
    await client.ok("SELECT INBOX")
    return client


SORTS = [
    ("(ARRIVAL)", "4 3 2 1"),
    ("(REVERSE ARRIVAL)", "1 2 3 4"),
    ("(DATE)", "4 3 1 2"),  # without a date that can be read, the internal one; zones count
    ("(SUBJECT)", "2 1 3 4"),  # equal base subjects: in the order of the mailbox
    ("(REVERSE SUBJECT)", "4 1 3 2"),  # not reversed among equals
    ("(SUBJECT DATE)", "2 3 1 4"),
    ("(REVERSE SUBJECT REVERSE DATE)", "4 1 3 2"),
    ("(SIZE)", "2 4 3 1"),
    ("(FROM)", "1 3 2 4"),  # the local part
    ("(FROM REVERSE SIZE)", "1 3 4 2"),
    ("(TO)", "3 4 2 1"),
    ("(CC)", "1 2 3 4"),
    ("(DISPLAYFROM)", "2 3 4 1"),
    ("(DISPLAYTO)", "1 2 3 4"),
]


@pytest.mark.parametrize(("criteria", "expected"), SORTS)
async def test_sort(filled, criteria, expected):
    lines = await filled.ok(f"SORT {criteria} UTF-8 ALL")
    assert lines[0].decode() == f"* SORT {expected}"


async def test_sort_answers(filled):
    await filled.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    await filled.ok("UID EXPUNGE 2")
    await filled.dialog(
        """
        C: a UID SORT (SIZE) US-ASCII ALL
        S: * SORT 4 3 1
        S: a OK SORT completed
        C: b SORT (SIZE) US-ASCII SUBJECT nothing
        S: * SORT
        S: b OK SORT completed
        C: c SORT RETURN () (SIZE) UTF-8 ALL
        S: * ESEARCH (TAG "c") ALL 3,2,1
        S: c OK SORT completed
        C: d UID SORT RETURN (MIN MAX COUNT) (SIZE) UTF-8 ALL
        S: * ESEARCH (TAG "d") UID MIN 4 MAX 1 COUNT 3
        S: d OK SORT completed
        C: e SORT RETURN (PARTIAL 2:9 COUNT) (REVERSE SIZE) UTF-8 ALL
        S: * ESEARCH (TAG "e") PARTIAL (2:9 2,3) COUNT 3
        S: e OK SORT completed
        C: f SORT RETURN (SAVE) (SIZE) UTF-8 SUBJECT beta
        S: f OK SORT completed
        C: g FETCH $ UID
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 3)
        S: g OK FETCH completed
        C: h SORT (SIZE) KOI8-R ALL
        S: h NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset
        C: i SORT () UTF-8 ALL
        S: i BAD ...
        C: j SORT (WEIGHT) UTF-8 ALL
        S: j BAD Unknown sort key
        C: k SORT (REVERSE) UTF-8 ALL
        S: k BAD ...
        C: l SORT (SIZE) UTF-8
        S: l BAD ...
        C: m THREAD BY-MOOD UTF-8 ALL
        S: m BAD Unknown threading algorithm
        """
    )


async def test_partial_searches(filled):
    await filled.dialog(
        """
        C: a SEARCH RETURN (PARTIAL 1:2) ALL
        S: * ESEARCH (TAG "a") PARTIAL (1:2 1:2)
        S: a OK SEARCH completed
        C: b UID SEARCH RETURN (PARTIAL -1:-3 COUNT) ALL
        S: * ESEARCH (TAG "b") UID PARTIAL (-1:-3 2:4) COUNT 4
        S: b OK SEARCH completed
        C: c SEARCH RETURN (PARTIAL 100:5) ALL
        S: * ESEARCH (TAG "c") PARTIAL (100:5 NIL)
        S: c OK SEARCH completed
        C: d SEARCH RETURN (PARTIAL 3:9 SAVE) ALL
        S: * ESEARCH (TAG "d") PARTIAL (3:9 3:4)
        S: d OK SEARCH completed
        C: e SEARCH $
        S: * SEARCH 3 4
        S: e OK SEARCH completed
        C: f SEARCH RETURN (PARTIAL 1:2 ALL) ALL
        S: f BAD PARTIAL and ALL exclude each other
        C: g SEARCH RETURN (PARTIAL 0:2) ALL
        S: g BAD Expected a range of results
        C: h SEARCH RETURN (PARTIAL 1:-2) ALL
        S: h BAD Expected a range of results
        C: i SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL
        S: i BAD Unknown search return option
        """
    )


async def test_thread(filled):
    await filled.dialog(
        """
        C: a THREAD ORDEREDSUBJECT UTF-8 ALL
        S: * THREAD (4)(3 1)(2)
        S: a OK THREAD completed
        C: b UID THREAD REFERENCES UTF-8 ALL
        S: * THREAD (4)(3 1)(2)
        S: b OK THREAD completed
        C: c THREAD REFS US-ASCII SUBJECT beta
        S: * THREAD (3 1)
        S: c OK THREAD completed
        C: d THREAD REFERENCES UTF-8 SUBJECT nothing
        S: * THREAD
        S: d OK THREAD completed
        """
    )


START = datetime(2024, 1, 1, tzinfo=UTC)


def threaded(*messages: tuple[str, str, str]) -> list[Threaded]:
    """(own id, references, subject), one an hour."""
    return [
        Threaded(n, own, tuple(references.split()), subject, START + timedelta(hours=n))
        for n, (own, references, subject) in enumerate(messages, 1)
    ]


THREADS = [
    ("REFERENCES", [("a", "", "x"), ("b", "a", "Re: x"), ("c", "a b", "Re: x"), ("d", "a", "Re: x")], "(1 (2 3)(4))"),
    ("REFERENCES", [("a", "q", "x"), ("b", "q", "y")], "((1)(2))"),  # their parent was not found
    ("REFERENCES", [("a", "q", "x")], "(1)"),
    ("REFERENCES", [("a", "b", "x"), ("b", "a", "x")], "(2 1)"),  # no loops
    ("REFERENCES", [("a", "a", "x")], "(1)"),
    ("REFERENCES", [("a", "", "x"), ("a", "", "y")], "(1)(2)"),  # one identifier, two messages
    ("REFERENCES", [("a", "", "x"), ("b", "", "Re: x")], "(1 2)"),  # by subject
    ("REFERENCES", [("a", "", "Re: x"), ("b", "", "x")], "(2 1)"),
    ("REFERENCES", [("a", "", "x"), ("b", "", "x")], "((1)(2))"),
    ("REFERENCES", [("a", "", "x"), ("b", "", "x"), ("c", "", "x")], "((1)(2)(3))"),
    ("REFERENCES", [("a", "q", "x"), ("b", "q", "x"), ("c", "", "x")], "((1)(2)(3))"),
    ("REFERENCES", [("a", "", ""), ("b", "", "")], "(1)(2)"),  # no subject joins nothing
    ("REFS", [("a", "", "x"), ("b", "", "Re: x")], "(1)(2)"),
    ("REFS", [("a", "", "x"), ("b", "", "y"), ("c", "a", "x")], "(2)(1 3)"),  # by the latest
    ("ORDEREDSUBJECT", [("", "", "x"), ("", "", "Re: X"), ("", "", "y"), ("", "", "x")], "(1 (2)(4))(3)"),
]


@pytest.mark.parametrize(("algorithm", "messages", "expected"), THREADS)
def test_threads(algorithm: str, messages: list[tuple[str, str, str]], expected: str) -> None:
    assert write_threads(thread(algorithm, threaded(*messages))).decode() == expected


@pytest.mark.parametrize("algorithm", ["ORDEREDSUBJECT", "REFERENCES", "REFS"])
def test_every_message_is_in_one_place_of_one_thread(algorithm: str) -> None:
    dice = random.Random(3)
    for _ in range(200):
        ids, subjects = [f"i{n}" for n in range(8)], ["x", "Re: x", "y", ""]
        messages = threaded(
            *(
                (
                    dice.choice(ids),
                    " ".join(dice.choices(ids, k=dice.randint(0, 4))),
                    dice.choice(subjects),
                )
                for _ in range(12)
            )
        )
        written = write_threads(thread(algorithm, messages)).decode()
        assert sorted(map(int, written.replace("(", " ").replace(")", " ").split())) == list(range(1, 13)), written
        assert written.count("(") == written.count(")")


def test_a_thread_may_be_as_deep_as_a_mailbox() -> None:
    messages = threaded(*((f"m{n}", f"m{n - 1}" if n else "", "x") for n in range(1500)))
    assert write_threads(thread("REFERENCES", messages)).startswith(b"(1 2 3 ")
