"""NOTIFY's arguments (RFC 5465 section 8).

notify      = "NOTIFY" SP ("SET" [SP "STATUS"] SP event-group *(SP event-group) / "NONE")
event-group = "(" filter-mailboxes SP events ")"
filter-mailboxes = "selected" / "selected-delayed" / "inboxes" / "personal" / "subscribed" /
              ("subtree" / "mailboxes") SP (mailbox / "(" mailbox *(SP mailbox) ")")
events      = "(" event *(SP event) ")" / "NONE"
event       = "MessageNew" [SP "(" fetch-att *(SP fetch-att) ")"] / "MessageExpunge" / ... / atom
"""

from dataclasses import dataclass

from .fetch import FetchItem, parse_items
from .lexer import ImapSyntaxError, Lexer

MESSAGE_EVENTS = ("MessageNew", "MessageExpunge", "FlagChange", "AnnotationChange")
OTHER_EVENTS = ("MailboxName", "SubscriptionChange", "MailboxMetadataChange", "ServerMetadataChange")
MAX_GROUPS = 100
_EVENTS = {name.upper(): name for name in (*MESSAGE_EVENTS, *OTHER_EVENTS)}
_SELECTED = ("SELECTED", "SELECTED-DELAYED")
_PLAIN = ("INBOXES", "PERSONAL", "SUBSCRIBED")
_WITH_NAMES = ("SUBTREE", "MAILBOXES")


@dataclass(frozen=True, slots=True)
class EventGroup:
    """``filter`` in upper case; ``events`` as the RFC spells them, unknown ones as they came; ``items`` are what is
    to be fetched of new messages."""

    filter: str
    names: tuple[str, ...]
    events: frozenset[str]
    items: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class NotifyRequest:
    """``selected`` None: no message events of the selected mailbox. NOTIFY NONE has neither it nor groups."""

    with_status: bool = False
    selected: EventGroup | None = None
    groups: tuple[EventGroup, ...] = ()

    @property
    def events(self) -> frozenset[str]:
        """All events asked for."""
        every = self.groups if self.selected is None else (*self.groups, self.selected)
        return frozenset().union(*(group.events for group in every))


def parse_notify(lexer: Lexer) -> NotifyRequest:
    """The arguments of NOTIFY. What an event asks for besides itself (section 5) is seen to here."""
    lexer.sp()
    form = lexer.label("SET or NONE")
    if form == "NONE":
        lexer.end()
        return NotifyRequest()
    if form != "SET":
        raise ImapSyntaxError("Expected SET or NONE")
    lexer.sp()
    with_status = lexer.peek() != b"("
    if with_status:
        if lexer.label("STATUS") != "STATUS":
            raise ImapSyntaxError("Expected STATUS")
        lexer.sp()
    groups = [_group(lexer)]
    while lexer.peek() == b" " and not lexer.at_end:
        lexer.sp()
        groups.append(_group(lexer))
        if len(groups) > MAX_GROUPS:
            raise ImapSyntaxError("Too many event groups")
    lexer.end()
    selected = [group for group in groups if group.filter in _SELECTED]
    if len(selected) > 1:
        raise ImapSyntaxError("SELECTED and SELECTED-DELAYED may be given once")
    others = tuple(group for group in groups if group.filter not in _SELECTED)
    return NotifyRequest(with_status, selected[0] if selected else None, others)


def _group(lexer: Lexer) -> EventGroup:
    lexer.expect(b"(", "an event group")
    kind = lexer.label("a mailbox filter")
    names: tuple[str, ...] = ()
    if kind in _WITH_NAMES:
        lexer.sp()
        names = parse_names(lexer)
    elif kind not in _PLAIN and kind not in _SELECTED:
        raise ImapSyntaxError("Unknown mailbox filter")
    lexer.sp()
    events, items = _events(lexer)
    lexer.expect(b")", "a closing parenthesis")
    _check(kind, events, items)
    return EventGroup(kind, names, events, items or ())


def parse_names(lexer: Lexer) -> tuple[str, ...]:
    if not lexer.skip(b"("):
        return (lexer.mailbox(),)
    names = [lexer.mailbox()]
    while not lexer.skip(b")"):
        lexer.sp()
        names.append(lexer.mailbox())
    return tuple(names)


def _events(lexer: Lexer) -> tuple[frozenset[str], tuple[FetchItem, ...] | None]:
    if not lexer.skip(b"("):
        if lexer.label("events") != "NONE":
            raise ImapSyntaxError("Expected a list of events, or NONE")
        return frozenset(), None
    events: set[str] = set()
    items: tuple[FetchItem, ...] | None = None
    while not events or not lexer.skip(b")"):
        if events:
            lexer.sp()
        name = lexer.atom("an event").decode("ascii")
        event = _EVENTS.get(name.upper(), name)
        events.add(event)
        if event == "MessageNew" and lexer.skip(b" ("):
            items = parse_items(lexer)
    return frozenset(events), items


def _check(kind: str, events: frozenset[str], items: tuple[FetchItem, ...] | None) -> None:
    """What goes with what (sections 5 and 6.1, and the comments of the grammar)."""
    if kind in _SELECTED:
        if events & set(OTHER_EVENTS):
            raise ImapSyntaxError("Only message events can be asked for of the selected mailbox")
    elif items is not None:
        raise ImapSyntaxError("Only of the selected mailbox can messages be fetched")
    if events & set(MESSAGE_EVENTS) and not events >= {"MessageNew", "MessageExpunge"}:
        raise ImapSyntaxError("MessageNew and MessageExpunge go together, and all other message events with them")
