"""THREAD's algorithms (RFC 5256 section 3; REFS: draft-ietf-morg-inthread) on values, and how threads are written.

A thread is a `Node`; a node without a message (number 0) stands for one that was not found. Nothing recurses: threads
can be as deep as a mailbox has messages.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ..collation import unicode_casemap
from ..subjects import base_subject


@dataclass(frozen=True, slots=True)
class Threaded:
    """A message to be threaded. `number`: what it is called in the answer; `sent`: its sent date (section 2.2)."""

    number: int
    message_id: str
    references: tuple[str, ...]  # of References, else the first of In-Reply-To
    subject: str
    sent: datetime


@dataclass(slots=True, eq=False)
class Node:
    message: Threaded | None = None
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)

    @property
    def date_key(self) -> tuple[datetime, int]:
        """Its own sent date, or its first child's; ties go by number."""
        node = self
        while node.message is None:
            node = node.children[0]
        return node.message.sent, node.message.number

    def adopt(self, child: "Node") -> None:
        if child.parent is not None:
            child.parent.children.remove(child)
        child.parent = self
        self.children.append(child)


def thread(algorithm: str, messages: Iterable[Threaded]) -> list[Node]:
    """The threads of messages given in the order of the mailbox."""
    return {"ORDEREDSUBJECT": ordered_subject, "REFERENCES": references, "REFS": refs}[algorithm](list(messages))


def ordered_subject(messages: list[Threaded]) -> list[Node]:
    """By base subject; the first by sent date is the parent of all others."""
    by_subject: dict[str, Node] = {}
    for message in sorted(messages, key=lambda one: (one.sent, one.number)):
        subject = unicode_casemap(base_subject(message.subject).text)
        root = by_subject.get(subject)
        if root is None:
            by_subject[subject] = Node(message)
        else:
            root.adopt(Node(message))
    return list(by_subject.values())


def references(messages: list[Threaded]) -> list[Node]:
    """Steps 1 to 6 of the REFERENCES algorithm."""
    roots = _pruned(_linked(messages))
    _sort_siblings(roots)
    roots = _gathered_by_subject(roots)
    _sort_siblings(roots)
    return roots


def refs(messages: list[Threaded]) -> list[Node]:
    """REFERENCES without the gathering by subject; threads go by their latest message."""
    roots = _pruned(_linked(messages))
    _sort_siblings(roots)
    roots.sort(key=lambda root: max((n.message.sent, n.message.number) for n in _nodes([root]) if n.message))
    return roots


def _linked(messages: list[Threaded]) -> list[Node]:
    """(1) Nodes by identifier, parents by reference; (2) those without a parent."""
    by_id: dict[str, Node] = {}
    nodes: list[Node] = []

    def node_of(message_id: str) -> Node:
        if message_id not in by_id:
            by_id[message_id] = Node()
            nodes.append(by_id[message_id])
        return by_id[message_id]

    for message in messages:
        own = node_of(message.message_id) if message.message_id else None
        if own is None or own.message is not None:  # none, or given to another message already: a unique one
            own = Node()
            nodes.append(own)
        own.message = message
        previous: Node | None = None
        for name in message.references:
            node = node_of(name)
            if previous is not None and node.parent is None and not _is_within(previous, node):
                previous.adopt(node)
            previous = node
        if previous is not None and not _is_within(previous, own):
            previous.adopt(own)
        elif previous is None and own.parent is not None:  # its own word counts: it answers nothing
            own.parent.children.remove(own)
            own.parent = None
    return [node for node in nodes if node.parent is None]


def _is_within(node: Node, root: Node) -> bool:
    above: Node | None = node
    while above is not None:
        if above is root:
            return True
        above = above.parent
    return False


def _nodes(roots: Iterable[Node]) -> list[Node]:
    """All nodes, parents before their children."""
    found = list(roots)
    for node in found:
        found.extend(node.children)
    return found


def _pruned(roots: list[Node]) -> list[Node]:
    """(3) Empty nodes go; their children move up, except several to the top."""
    for node in reversed(_nodes(roots)):
        kept: list[Node] = []
        for child in node.children:
            if child.message is not None:
                kept.append(child)
            else:
                kept += child.children
        for child in kept:
            child.parent = node
        node.children = kept
    result = []
    for root in roots:
        if root.message is not None or len(root.children) > 1:
            result.append(root)
        elif root.children:
            root.children[0].parent = None
            result.append(root.children[0])
    return result


def _sort_siblings(roots: list[Node]) -> None:
    """(4), (6) By sent date, from the bottom up."""
    for node in reversed(_nodes(roots)):
        node.children.sort(key=lambda child: child.date_key)
    roots.sort(key=lambda root: root.date_key)


def _subject_of(root: Node) -> tuple[str, bool]:
    message = root.message or root.children[0].message
    base = base_subject(message.subject if message else "")
    return unicode_casemap(base.text), base.is_answer


def _gathered_by_subject(roots: list[Node]) -> list[Node]:
    """(5) Threads of one base subject become one."""
    table: dict[str, Node] = {}
    subjects = {root: _subject_of(root) for root in roots}
    for root in roots:  # B
        subject, is_answer = subjects[root]
        there = table.get(subject)
        if not subject:
            continue
        if there is None or (root.message is None and there.message is not None):
            table[subject] = root
            continue
        there_is_answer = there.message is not None and subjects[there][1]
        if there_is_answer and not is_answer:
            table[subject] = root
    result: list[Node] = []
    replaced: dict[Node, Node] = {}
    for root in roots:  # C
        subject = subjects[root][0]
        there = table.get(subject, root)
        if there is root:
            result.append(root)
        else:
            table[subject] = _merged(there, root, subjects, replaced)
    return [replaced.get(root, root) for root in result]


def _merged(there: Node, root: Node, subjects: dict[Node, tuple[str, bool]], replaced: dict[Node, Node]) -> Node:
    """The thread `there` with `root` taken in."""
    if there.message is None:
        for child in list(root.children) if root.message is None else [root]:
            there.adopt(child)
        return there
    if subjects[root][1] and not subjects[there][1]:
        there.adopt(root)
        return there
    both = Node()
    both.children = [there, root]
    there.parent = root.parent = both
    replaced[there] = both
    return both


def write_threads(roots: Iterable[Node]) -> bytes:
    """1*thread-list; "" where there is none.

    thread-list    = "(" (thread-members / thread-nested) ")"
    thread-members = nz-number *(SP nz-number) [SP thread-nested]
    thread-nested  = 2*thread-list
    """
    return b"".join(piece for root in roots for piece in _pieces(root))


def _pieces(root: Node) -> Iterator[bytes]:
    todo: list[Node | bytes] = [b")", root, b"("]
    while todo:
        item = todo.pop()
        if isinstance(item, bytes):
            yield item
            continue
        if item.message is not None:
            yield b"%d" % item.message.number
            if item.children:
                yield b" "
        if len(item.children) == 1 and item.message is not None:
            todo.append(item.children[0])
        else:
            for child in reversed(item.children):
                todo += [b")", child, b"("]
