"""The search index: it loses nothing, forgets what goes, and agrees with looking through everything."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from accounts.models import User
from mailservers.formats import search_keys as keys
from mailservers.formats.search_keys import Key
from mailservers.models import MessageText
from mailservers.store.engine import store
from mailservers.store.removing import expunge
from mailservers.store.searching import finding, fulltext, indexer, texts
from mailservers.store.searching.finding import find_some, scope_now
from mailservers.store.soundness import find_faults
from tests.conftest import mailbox_id
from tests.store.test_engine import put

WORDS = ["boat", "Sail", "MAST", "grüße", "日本語のメール", "rope", "a", "bo"]


def letter(dice: random.Random) -> bytes:
    def some(count: int) -> str:
        return " ".join(dice.choice(WORDS) for _ in range(count))

    head = f"From: {some(1)} <{dice.choice('abc')}@x.test>\r\nSubject: {some(2)}\r\n"
    head += f"Date: {dice.randint(1, 28)} Feb 2024 {dice.randint(0, 23)}:00:00 {dice.choice(['-1100', '+1200'])}\r\n"
    return (head + f"Content-Type: text/plain; charset=utf-8\r\n\r\n{some(dice.randint(0, 6))}\r\n").encode()


TEXTS = st.sampled_from([*WORDS, "oat", "ope ", "nowhere", "本語の", 'b"', "sail boat", ""])
LEAVES = st.one_of(
    st.builds(keys.Body, TEXTS),
    st.builds(keys.Text, TEXTS),
    st.builds(keys.Header, st.sampled_from(["from", "subject", "x-none"]), TEXTS),
    st.builds(keys.Flag, st.sampled_from(["\\Seen", "\\Flagged", "\\Odd", "work"])),
    st.builds(keys.DateIs, st.just("sent"), st.sampled_from(["before", "on", "since"]), st.dates().map(
        lambda day: day.replace(year=2024, month=2, day=min(day.day, 28)))),
    st.builds(keys.Larger, st.integers(100, 250)),
    st.just(keys.HasAttachment()),
    st.just(keys.All()),
)  # fmt: skip
KEYS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(keys.Not, inner),
        st.builds(keys.Or, inner, inner),
        st.builds(lambda a, b: keys.And((a, b)), inner, inner),
    ),
    max_leaves=5,
)


def found(user: User, key: Key, narrowed: bool = True) -> list[int]:
    scope = scope_now()
    box = mailbox_id(user)
    uids: list[int] = []
    after: int | None = 0
    while after is not None:
        if narrowed:
            page = find_some(box, key, scope, after)
        else:
            judge = finding.Judge(key, scope)
            rows = [row for row in everything(box, judge) if row.uid > after]
            return [row.uid for row in finding.judge_rows(rows, judge)]
        uids += [match.uid for match in page.matches]
        after = page.after
    return uids


def everything(box: int, judge: finding.Judge) -> list[finding.Row]:
    return finding.select_rows(judge, finding.EVERYTHING, "p.mailbox_id = %s", (box,), "p.uid")


def test_narrowing_loses_nothing_and_adds_nothing(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "ROWS", 7)  # several pages
    dice = random.Random(5)
    for flags in range(20):
        put(anna, letter(dice), flags=flags % 8)
    asyncio.run(indexer.index_waiting())
    for flags in range(5):
        put(anna, letter(dice), flags=flags)  # not indexed yet
    compared = []

    @given(KEYS)
    @bounded(max_examples=150)
    def agree(key: Key) -> None:
        uids = found(anna, key)
        assert uids == found(anna, key, narrowed=False)
        compared.append(len(uids))

    agree()
    assert any(compared)


def test_what_goes_leaves_the_index(anna: User, settings: Any) -> None:
    settings.UNDELETE_DAYS = 0
    put(anna, b"Subject: one\r\n\r\nzebra\r\n")
    put(anna, b"Subject: two\r\n\r\nzebra\r\n")
    assert asyncio.run(indexer.index_waiting()) == 2
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1], deleted_only=False)
    assert found(anna, keys.Body("zebra")) == [2]
    assert texts.gone_texts()
    assert asyncio.run(indexer.index_waiting()) == 0
    assert MessageText.objects.count() == 1
    if fulltext.is_here():
        assert matching("zebra") == list(MessageText.objects.values_list("pk", flat=True))


def matching(text: str) -> list[int]:
    from django.db import connection

    sql, params = fulltext.condition(text) or ("", [])
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [row[0] for row in cursor.fetchall()]


def test_a_message_that_goes_while_its_text_is_made_is_not_indexed(anna: User, settings: Any) -> None:
    settings.UNDELETE_DAYS = 0
    put(anna)
    made, up_to = texts.prepare_texts(10, 10**6)
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1], deleted_only=False)
    assert store.call_sync(texts.write_texts, made, up_to) == 0
    assert not MessageText.objects.exists()


def test_two_processes_index_a_message_once(anna: User) -> None:
    put(anna)
    made, up_to = texts.prepare_texts(10, 10**6)
    assert store.call_sync(texts.write_texts, made, up_to) == 1
    assert store.call_sync(texts.write_texts, made, up_to) == 0


def test_large_texts_are_looked_through(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "LARGE_OCTETS", 1000)
    put(anna, b"Subject: long\r\n\r\n" + b"word " * 400 + b"zebra\r\n")
    assert asyncio.run(indexer.index_waiting()) == 1
    assert MessageText.objects.get().is_large
    assert found(anna, keys.Body("zebra")) == [1]
    store.call_sync(expunge, anna.pk, mailbox_id(anna), [1], deleted_only=False)
    asyncio.run(indexer.index_waiting())


def test_the_check_finds_what_the_index_lacks(anna: User) -> None:
    put(anna)
    asyncio.run(indexer.index_waiting())
    row = MessageText.objects.get()
    MessageText.objects.all().delete()
    missing = [fault for fault in find_faults() if "search text" in fault]
    assert len(missing) == (1 if fulltext.is_here() else 0)
    MessageText.objects.create(pk=row.pk + 1, header=row.header, body=row.body)
    assert any("its message is gone" in fault for fault in find_faults())
    MessageText.objects.all().delete()
    row.save(force_insert=True)
