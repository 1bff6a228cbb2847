"""Whose mailboxes hold which letter, and with what flags."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from .cast import ALIASES, CAST, LISTS, OWN_KEYS, correspondent
from .composer import Composed
from .letter import Letter
from .model import DemoMessage

_UNREAD_FOR = timedelta(hours=30)  # what came later than this has not been looked at yet
_ON_THE_WAY = timedelta(seconds=6)
_KEY_OF_LOGIN = {CAST[key].address: key for key in OWN_KEYS}


def placed(composed: Iterable[Composed], now: datetime) -> Iterator[DemoMessage]:
    """Every copy that one of us has: what was sent, what was received, drafts."""
    everything = list(composed)
    answered: defaultdict[str, set[str]] = defaultdict(set)
    forwarded: defaultdict[str, set[str]] = defaultdict(set)
    for item in everything:
        answered[item.letter.answers].add(item.letter.sender)
        forwarded[item.letter.forwards].add(item.letter.sender)
    for item in everything:
        letter = item.letter
        yield from _own_copy(item)
        for key in receivers(letter):
            flags = _received_flags(item, now, key in answered[letter.key], key in letter.flagged.split())
            keywords = letter.keywords + (("$Forwarded",) if key in forwarded[letter.key] else ())
            mailbox = letter.filed.get(key, letter.folder)
            arrived = min(item.date + _ON_THE_WAY, now)
            yield DemoMessage(CAST[key].address, mailbox, item.received, flags, keywords, arrived)


def receivers(letter: Letter) -> list[str]:
    """Keys of those of us whom the letter reaches, aliases and lists followed; drafts reach nobody."""
    if letter.folder == "Drafts":
        return []
    members = LISTS[letter.via].members.split() if letter.via else []
    addresses = [correspondent(token).address for token in f"{letter.to} {letter.cc}".split()]
    logins = [login for address in addresses for login in ALIASES.get(address, (address,))]
    keys = [_KEY_OF_LOGIN[login] for login in logins if login in _KEY_OF_LOGIN and login != CAST[letter.sender].address]
    return list(dict.fromkeys([*keys, *members]))


def _own_copy(item: Composed) -> Iterator[DemoMessage]:
    sender = item.letter.sender
    if sender not in OWN_KEYS:
        return
    draft = item.letter.folder == "Drafts"
    flags = frozenset({"\\Seen", "\\Draft"} if draft else {"\\Seen"})
    yield DemoMessage(CAST[sender].address, "Drafts" if draft else "Sent", item.sent, flags, (), item.date)


def _received_flags(item: Composed, now: datetime, was_answered: bool, flagged: bool) -> frozenset[str]:
    flags = set()
    if was_answered:
        flags |= {"\\Seen", "\\Answered"}
    if now - item.date > _UNREAD_FOR and not item.letter.unread:
        flags.add("\\Seen")
    if flagged:
        flags.add("\\Flagged")
    return frozenset(flags)
