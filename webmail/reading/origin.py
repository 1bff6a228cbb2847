"""Why a message is here: who vouches for it, what spoke for and against it, and its way from the connection to the
folder. Everything is one user's view: reasons, rules and steps that concern others are left out.

The way is found by the trace id in our own Received field; it counts only if that trace put mail into this user's
mailbox, so a field that somebody made up shows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from accounts.models import User
from mailservers.formats.addresses import Address
from mailservers.formats.search_keys import Header
from mailservers.models import DeliveryEvent
from mailservers.store.events import Step
from mailservers.store.lists import ListRow
from mailservers.store.searching.newest import search
from mailservers.store.sender_rules import InvalidPattern, RuleRow, find_rules, normal_pattern
from mailservers.store.verdicts import read_verdict
from webmail.reading.lookalike import looks_like, mixes_scripts, readable

MAX_STEPS = 100
_TRACE_ID = re.compile(rb"\bid ([0-9a-hjkmnp-tv-z]{16})\b")  # as `new_trace_id` makes them
_NAMED_ADDRESS = re.compile(r"[^\s<>@\"']+@[^\s<>@\"']+\.[^\s<>@\"']+")

# how a reason's name begins -> what it means; the longest beginning counts
WORDS = {
    "spf.pass": "The sending server may send for this domain (SPF)",
    "spf.fail": "The domain forbids this server to send for it (SPF)",
    "spf.softfail": "The domain does not expect mail from this server (SPF)",
    "spf.helo_fail": "The server introduced itself with a name it may not use (SPF)",
    "spf": "The domain does not say which servers may send for it (SPF)",
    "dkim.pass": "The signature is good (DKIM)",
    "dkim": "It is signed, but no signature is good (DKIM)",
    "dmarc.pass": "The domain in From vouches for it (DMARC)",
    "dmarc.fail": "The domain in From does not vouch for it (DMARC)",
    "dmarc.none": "The domain in From publishes no rule about its mail (DMARC)",
    "dmarc.reject": "The domain in From asks to refuse such mail (DMARC)",
    "dmarc.quarantine": "The domain in From asks to put such mail into Junk (DMARC)",
    "dmarc.forwarded": "It was forwarded by a server that we trust",
    "dmarc": "What the domain in From says of its mail (DMARC)",
    "arc": "What forwarding servers saw (ARC)",
    "iprev.pass": "The server's address and name fit together",
    "iprev": "The server's address and name do not fit together",
    "from.missing": "There is no sender's address",
    "from.many": "It names senders of several domains",
    "rule.allow": "On a list of trusted senders",
    "rule.block": "On a list of blocked senders",
    "dns_list": "The server's address is on a public list",
    "greylist": "The server was asked to try again",
    "rspamd": "The spam filter's opinion",
    "clamav.clean": "No virus was found",
    "clamav": "The virus scanner's opinion",
}
STEPS = {
    Step.RECEIVED: ("download", "Another server brought it"),
    Step.SUBMITTED: ("send", "A user of this server sent it"),
    Step.CHECKED: ("shield-check", "It was checked"),
    Step.QUEUED: ("clock", "It had to wait"),
    Step.ATTEMPTED: ("refresh-cw", "It was tried again"),
    Step.FILED: ("inbox", "It was delivered"),
}


@dataclass(frozen=True, slots=True)
class Why:
    """One reason as the template draws it; `weight` above 0 speaks against the message."""

    words: str
    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class LifeStep:
    at: datetime
    icon: str
    words: str
    detail: str


@dataclass(frozen=True, slots=True)
class Origin:
    """`score` None: it was not checked. `rule` "block" or "trust" if the sender or the domain is on the user's list."""

    sentence: str
    warnings: tuple[str, ...]
    whys: tuple[Why, ...]
    score: float | None
    junk_score: float
    steps: tuple[LifeStep, ...]
    rules: tuple[RuleRow, ...]
    address: str
    domain: str
    earlier: int | None  # mails from this address before; None: nobody counted them all


def origin_of(user: User, row: ListRow, header_block: bytes, people: dict[str, list[Address]]) -> Origin:
    """Reads the verdict, the trace, the user's rules and their earlier mail: a handful of queries."""
    sender = people["from"][0] if people["from"] else None
    address = sender.spec.lower() if sender else ""
    domain = address.rpartition("@")[2]
    verdict = read_verdict(row.message_id)
    whys = tuple(_whys(verdict.data["reasons"] if verdict else (), user.pk))
    traces = [m[1].decode() for m in _TRACE_ID.finditer(header_block)][:1] + ([verdict.trace_id] if verdict else [])
    events = _events_for(user, traces)
    rules = own_rules(user, address)
    earlier = earlier_mails(user.pk, address, row) if address else None
    submitted = next((event for event in events if event.step == Step.SUBMITTED), None)
    said = [_who_vouches(verdict.data if verdict else None, whys, submitted)]
    said += [] if earlier is None else ["you have had mail from this address before" if earlier else _FIRST]
    said += [_listed(rules)]
    return Origin(
        f"{'; '.join(said)}.",
        tuple(_warnings(user, sender, people["reply_to"], earlier == 0 and submitted is None)) if sender else (),
        whys,
        round(sum(why.weight for why in whys), 2) if verdict else None,
        settings.JUNK_SCORE,
        tuple(_step(event) for event in events),
        rules,
        address,
        domain,
        earlier,
    )


_FIRST = "first mail from this address"


def _who_vouches(data: dict[str, Any] | None, whys: Sequence[Why], submitted: DeliveryEvent | None) -> str:
    if submitted is not None:
        return f"Sent by {submitted.sender}, who has an account on this server"
    if data is None:
        return "It did not come through our checks: a mail program, an import or a notice put it here"
    result = data["results"]
    signed = next((why.text for why in whys if why.text.startswith("signed by ")), "")
    if signed:
        said = f"S{signed[1:]}"
    else:
        said = "Not signed" if result.get("dkim", "none") == "none" else "Its signature is not good"
    return said if result.get("dmarc") != "fail" else f"{said}; the domain in From does not vouch for it"


def _listed(rules: Sequence[RuleRow]) -> str:
    if not rules:
        return "not on your lists"
    return f"{rules[0].pattern} is {'blocked' if rules[0].is_block else 'trusted'} by you"


def _whys(reasons: Iterable[dict[str, Any]], user_id: int) -> list[Why]:
    mine = [reason for reason in reasons if reason.get("user") in (None, user_id)]
    found = [Why(_words(reason["name"]), reason["text"], reason["weight"]) for reason in mine]
    return sorted(found, key=lambda why: -abs(why.weight))


def _words(name: str) -> str:
    return next((WORDS[start] for start in sorted(WORDS, key=len, reverse=True) if name.startswith(start)), name)


# ---------------------------------------------------------------- the way


def _events_for(user: User, trace_ids: list[str]) -> list[DeliveryEvent]:
    """The steps of the first of these traces that put mail into the user's mailbox."""
    about_all = Q(step__in=(Step.RECEIVED, Step.SUBMITTED, Step.CHECKED))
    for trace_id in dict.fromkeys(trace_ids):
        events = DeliveryEvent.objects.filter(trace_id=trace_id).filter(about_all | Q(recipient=user.login))
        found = [event for event in events.order_by("at", "pk")[:MAX_STEPS] if event.step in STEPS]
        if any(event.step == Step.FILED for event in found):
            return found
    return []


def _step(event: DeliveryEvent) -> LifeStep:
    icon, words = STEPS[event.step]
    results = event.data.get("results", {}) if event.step == Step.CHECKED else {}
    detail = ", ".join(f"{method}={result}" for method, result in results.items()) if results else event.detail
    return LifeStep(event.at, icon, words, "" if event.step == Step.CHECKED and not results else detail)


# ---------------------------------------------------------------- the sender


def own_rules(user: User, address: str) -> tuple[RuleRow, ...]:
    """The user's own rules for an address, its domain and the domains above; the most exact first."""
    try:
        domain = normal_pattern(address).rpartition("@")[2] if address else ""
    except InvalidPattern:
        return ()
    labels = domain.split(".")
    patterns = [address, *(".".join(labels[at:]) for at in range(min(len(labels), 8)))] if domain else []
    rules = [rule for rule in find_rules([(user.pk, "")], patterns) if rule.user_id == user.pk] if patterns else []
    return tuple(sorted(rules, key=lambda rule: ("@" not in rule.pattern, -len(rule.pattern))))


def earlier_mails(user_id: int, address: str, row: ListRow) -> int | None:
    """How many earlier messages from an address the user has; None when not all could be looked at."""
    found = search(user_id, Header("from", address))
    before = [one for one in found.rows if one.internal_date < row.internal_date]
    count = sum(one.from_address.lower() == address for one in before)
    return None if not count and (found.is_cut or found.is_partial) else count


def _warnings(user: User, sender: Address, reply_to: list[Address], is_first: bool) -> Iterable[str]:
    address, name = sender.spec, " ".join(sender.name.split())
    domain = address.rpartition("@")[2].lower()
    own = user.login.rpartition("@")[2]
    named = _NAMED_ADDRESS.search(name)
    if named and named[0].lower() != address.lower():
        yield f"The name says {named[0]}, but the address is {address}."
    if mixes_scripts(domain):
        yield f"The domain {readable(domain)} mixes letters of several alphabets, as forged names do."
    elif looks_like(domain, own):
        yield f"The domain {readable(domain)} looks like yours ({own}), and is another."
    if not is_first:
        return
    colleague = (
        User.objects.filter(name__iexact=name, domain_id=user.domain_id, is_active=True).first() if name else None
    )
    if colleague is not None and domain != own:
        yield f"{colleague.name} is a colleague's name ({colleague.login}), but this first mail comes from {address}."
    elsewhere = [one.spec for one in reply_to if one.spec.rpartition("@")[2].lower() != domain]
    if elsewhere:
        yield f"Your answer would go to {elsewhere[0]}, another domain than the sender's."
