"""The stress run (`make stress`), short; and that its books would notice."""

from __future__ import annotations

import pytest

from tests.instance import instance
from tests.stress.book import Book
from tests.stress.ledger import Found, Ledger, Violation
from tests.stress.run import play


@pytest.mark.slow
@pytest.mark.parametrize("accounts", [1, 3])
def test_eight_random_clients(accounts: int) -> None:
    with instance(environment={"POSTROOM_LMTP_PORT": "0"}) as server:
        counts = play(server, [f"s{n}@stress.test" for n in range(accounts)], 8, 10.0, f"short {accounts}")
        server.stop()
    assert {"FETCH", "STORE", "APPEND"} <= counts.keys()


def book(*lines: bytes) -> Book:
    ledger = Ledger("a@b.test")
    ledger.names["INBOX"] = 7
    books = Book(ledger, 7, immediate=False)
    books.command = b"NOOP"
    for line in (b"* 3 EXISTS", b"* 1 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (9))", b"* 2 FETCH (UID 6)", *lines):
        books.take(line)
    return books


@pytest.mark.parametrize(
    ("during", "line"),
    [
        (b"NOOP", b"* 2 EXISTS"),
        (b"FETCH", b"* 1 EXPUNGE"),
        (b"STORE", b"* VANISHED 4"),
        (b"", b"* 1 EXPUNGE"),
        (b"NOOP", b"* 4 EXPUNGE"),
        (b"NOOP", b"* 1 FETCH (UID 6)"),
        (b"NOOP", b"* 3 FETCH (UID 5)"),
        (b"NOOP", b"* 4 FETCH (UID 9)"),
        (b"NOOP", b"* 1 FETCH (UID 4 MODSEQ (8))"),
        (b"NOOP", b"* 1 FETCH (UID 4 FLAGS () MODSEQ (9))"),
    ],
)
def test_what_a_server_must_not_say(during: bytes, line: bytes) -> None:
    books = book()
    books.command = during
    with pytest.raises(Violation):
        books.take(line)


def test_a_vanished_message_stays_away() -> None:
    books = book(b"* VANISHED 4", b"* 1 FETCH (UID 6 FLAGS ())")
    assert books.uids == [6, None]
    with pytest.raises(Violation):
        books.take(b"* 2 UIDFETCH (UID 4)".replace(b"2 UIDFETCH", b"4 UIDFETCH"))
    later = Book(books.ledger, 7, immediate=False)
    later.take(b"* 2 EXISTS")
    with pytest.raises(Violation):
        later.take(b"* 1 FETCH (UID 4)")


def audited(ledger: Ledger, **places: bytes) -> list[str]:
    """The faults, where INBOX holds these: u4=b"token"."""
    for name, token in places.items():
        ledger.content(7, int(name[1:]), token)
    return ledger.audit({7: {int(name[1:]): Found(token, frozenset()) for name, token in places.items()}})


def test_what_is_lost_and_what_is_twice() -> None:
    ledger = Ledger("a@b.test")
    ledger.names["INBOX"] = 7
    ledger.created(7, 4, b"one")
    ledger.delivered.add(b"two")
    assert audited(ledger, u4=b"one", u5=b"two") == []
    assert len(audited(ledger, u5=b"two")) == 1  # acknowledged and lost
    ledger.deleting(7, [4])
    assert len(audited(ledger, u5=b"two")) == 1  # nobody expunged
    ledger.expunging(7)
    assert audited(ledger, u5=b"two") == []
    assert len(audited(ledger, u5=b"two", u6=b"two")) == 1  # delivered twice
    ledger.delivered.add(b"three")
    assert len(audited(ledger, u5=b"two")) == 2  # and one never seen


def test_a_keyword_is_as_it_was_last_acknowledged() -> None:
    ledger = Ledger("a@b.test")
    ledger.names["INBOX"] = 7
    ledger.created(7, 4, b"one")
    ledger.keyword(7, [4], b"$K1", True)
    assert len(audited(ledger, u4=b"one")) == 1
    ledger.replacing_flags(7, [4])
    assert audited(ledger, u4=b"one") == []
