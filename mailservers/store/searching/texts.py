"""The texts that searches look through: kept ones, and those made on the spot for contents not reached yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from django.conf import settings
from django.db.models import Exists, Max, OuterRef

from mailservers.formats.mime import Part, load_parts
from mailservers.formats.octets import Octets
from mailservers.formats.search_absence import header_may_hold, may_hold
from mailservers.formats.searchable import Searchable, searchable, searchable_body, searchable_header
from mailservers.models import Message, MessageText, SearchIndex
from mailservers.store.content import compress, decompress, read_headers, read_messages
from mailservers.store.searching import fulltext
from mailservers.store.searching.documents import document_texts
from mailservers.store.statements import fetch, marks
from mailservers.store.stored import open_stored
from mailservers.store.transaction import Transaction

LOOK_BACK = 5000  # ids
LARGE_OCTETS = 512 * 1024  # of text: more is not put into the full-text index


@dataclass(frozen=True, slots=True)
class NewText:
    """A text on its way into the index."""

    message_id: int
    text: Searchable
    header: bytes  # compressed
    body: bytes

    @property
    def is_large(self) -> bool:
        return len(self.text.header) + len(self.text.body) > LARGE_OCTETS


# ---------------------------------------------------------------- reading


def headers_of(
    message_ids: Sequence[int], fields: frozenset[bytes] | None, tokens: Sequence[bytes] | None = None
) -> dict[int, bytes]:
    """Searchable headers by content, with these fields at least (None: all); those gone are missing. A header that
    holds none of the tokens may come as an empty one."""
    kept = fetch(f"SELECT id, header FROM mailservers_messagetext WHERE id IN ({marks(len(message_ids))})", message_ids)
    found = {pk: decompress(header) for pk, header in kept}
    missing = [pk for pk in message_ids if pk not in found]
    if missing:
        for pk, header in read_headers(missing).items():
            is_out = tokens is not None and not header_may_hold(header, tokens)
            found[pk] = b"" if is_out else searchable_header(header, fields)
    return found


def bodies_of(message_ids: Sequence[int], tokens: Sequence[bytes] | None) -> Iterator[tuple[int, bytes]]:
    """(content, searchable body), one at a time; those gone are missing. A body that holds none of the tokens may come
    as an empty one."""
    seen = set()
    for pk, body in MessageText.objects.filter(pk__in=message_ids).values_list("pk", "body").iterator(chunk_size=100):
        seen.add(pk)
        yield pk, decompress(body)
    for pk, raw, root in _scanned([pk for pk in message_ids if pk not in seen]):
        is_out = tokens is not None and isinstance(raw, bytes) and not may_hold(raw, root, tokens)
        yield pk, b"" if is_out else searchable_body(raw, root)


def make_texts(message_ids: Sequence[int]) -> Iterator[tuple[int, Searchable]]:
    """From the octets, with what documents among the attachments say; those gone are missing."""
    for pk, raw, root in _scanned(message_ids):
        yield pk, searchable(raw, root, document_texts(raw, root))


def _scanned(message_ids: Sequence[int]) -> Iterator[tuple[int, Octets, Part]]:
    if not message_ids:
        return
    rows = {pk: (parts, size) for pk, parts, size in _trees(message_ids)}
    large = [pk for pk, (_, size) in rows.items() if size > settings.STREAM_OVER]
    for pk, raw in chain(read_messages([pk for pk in rows if pk not in large]), _opened(large)):
        yield pk, raw, load_parts(bytes(rows[pk][0]))


def _trees(message_ids: Sequence[int]) -> Iterable[tuple[int, bytes | memoryview, int]]:
    return Message.objects.filter(pk__in=message_ids).values_list("pk", "parts", "size")


def _opened(message_ids: Sequence[int]) -> Iterator[tuple[int, Octets]]:
    """Large messages, of which only the texts are read."""
    for pk in message_ids:
        raw = open_stored(pk)
        if raw is not None:
            yield pk, raw


# ---------------------------------------------------------------- the index


def indexed_up_to() -> int:
    """Every content up to this id has its text."""
    return SearchIndex.objects.aggregate(top=Max("indexed_id"))["top"] or 0


def last_message() -> int:
    return Message.objects.aggregate(top=Max("id"))["top"] or 0


def gone_texts() -> bool:
    return MessageText.objects.filter(is_gone=True).exists()


def prepare_texts(limit: int, octets: int) -> tuple[list[NewText], int]:
    """The next contents that have no text yet, at most `limit` and about `octets` of them, and up to which id all
    have one then. For a thread of its own: documents take time."""
    after = indexed_up_to()
    # Without one writer, ids can appear out of order: look back a little.
    waiting = Message.objects.filter(pk__gt=after if fulltext.is_here() else after - LOOK_BACK)
    waiting = waiting.exclude(Exists(MessageText.objects.filter(pk=OuterRef("pk")))).order_by("pk")
    rows = list(waiting.values_list("pk", "size")[:limit])
    wanted: list[int] = []
    for pk, size in rows:
        if wanted and octets < size:
            break
        octets -= size
        wanted.append(pk)
    texts = [NewText(pk, text, compress(text.header), compress(text.body)) for pk, text in make_texts(wanted)]
    return texts, max(after, wanted[-1]) if wanted else after


def write_texts(tx: Transaction, texts: Sequence[NewText], up_to: int) -> int:
    """Put texts into the index; how many. Contents that went meanwhile, or that another process indexed, are left."""
    ids = [new.message_id for new in texts]
    here = set(Message.objects.filter(pk__in=ids).values_list("pk", flat=True))
    here -= set(MessageText.objects.filter(pk__in=ids).values_list("pk", flat=True))
    fresh = [new for new in texts if new.message_id in here]
    MessageText.objects.bulk_create(
        MessageText(pk=new.message_id, header=new.header, body=new.body, is_large=new.is_large) for new in fresh
    )
    fulltext.add((new.message_id, _joined(new.text)) for new in fresh if not new.is_large)
    state, _ = SearchIndex.objects.get_or_create(pk=1)
    if state.indexed_id < up_to:
        SearchIndex.objects.filter(pk=1).update(indexed_id=up_to)
    return len(fresh)


def remove_gone_texts(tx: Transaction, limit: int) -> int:
    """Take the texts of deleted contents out of the index, at most `limit`; how many."""
    gone = list(MessageText.objects.filter(is_gone=True).values_list("pk", "header", "body", "is_large")[:limit])
    fulltext.remove(
        (pk, _joined(Searchable(decompress(header), decompress(body))))
        for pk, header, body, is_large in gone
        if not is_large
    )
    MessageText.objects.filter(pk__in=[pk for pk, *_ in gone]).delete()
    return len(gone)


def _joined(text: Searchable) -> str:
    return (text.header + b"\n" + text.body).decode("utf-8", "replace")


def find_text_faults(limit: int = 100) -> Iterator[str]:
    """Texts without a content, contents the index should know and does not."""
    orphans = MessageText.objects.filter(is_gone=False).exclude(pk__in=Message.objects.values("pk"))
    for pk in orphans.values_list("pk", flat=True)[:limit]:
        yield f"search text {pk}: its message is gone"
    if not fulltext.is_here():
        return  # nothing depends on it
    missing = Message.objects.filter(pk__lte=indexed_up_to()).exclude(pk__in=MessageText.objects.values("pk"))
    for pk in missing.values_list("pk", flat=True)[:limit]:
        yield f"message {pk}: its search text is missing"
