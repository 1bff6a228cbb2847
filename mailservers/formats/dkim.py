"""Making a DKIM-Signature (RFC 6376, 8463), relaxed/relaxed. The RSA or Ed25519 itself is the caller's.

All of it is linear in the octets of the message, whatever they are. (dkimpy's canonicalisation is not: 40,000 blanks
in a line of the body take it 8 s, 200,000 continuation lines in the header 66 s. It checks our signatures in tests.)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence

from .dkim_body import body_digest
from .headers import header_block, header_end, iter_fields, unfold
from .octets import Octets

# RFC 6376 section 5.4.1, without what relays change. Fields that are not there are not named, From excepted.
SIGNED_FIELDS = (
    b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id", b"in-reply-to", b"references",
    b"mime-version", b"content-type", b"content-transfer-encoding", b"content-id", b"content-description",
    b"list-id", b"list-help", b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe", b"list-post",
    b"list-owner", b"list-archive",
)  # fmt: skip
MAX_INSTANCES = 10  # of one field; more would make h= as long as the header

_BLANKS = re.compile(rb"[ \t]+")


def canonical_field(name: bytes, value: bytes) -> bytes:
    """RFC 6376 section 3.4.2, without the CRLF. `value` is raw, folds included."""
    return name.lower() + b":" + _BLANKS.sub(b" ", unfold(value)).strip(b" ")


class Covered:
    """What signatures of a message cover, made once for all of them: the `wanted` fields and the body."""

    def __init__(self, message: Octets, wanted: Sequence[bytes] = SIGNED_FIELDS) -> None:
        body_start = header_end(message)
        names, chosen = _choose(list(iter_fields(header_block(message))), wanted)
        body_hash = base64.b64encode(body_digest(message, body_start, is_relaxed=True)[0])
        self._tags = b"; h=" + _fold_names(names) + b";\r\n\tbh=" + body_hash + b";\r\n\tb="
        self._fields = b"".join(canonical_field(*field) + b"\r\n" for field in chosen)

    def signed(self, name: bytes, tags: str, sign: Callable[[bytes], bytes]) -> bytes:
        """A signature field of this name. `tags`: those before h=."""
        value = tags.encode("ascii") + self._tags
        return with_signature(name, value, sign(self._fields + canonical_field(name, value)))


def sign_message(
    message: Octets | Covered,
    *,
    domain: str,
    selector: str,
    signed_at: int,
    sign: Callable[[bytes], bytes],
    algorithm: str = "rsa-sha256",
) -> bytes:
    """The DKIM-Signature field, CRLF included, to be put in front of `message` (CRLF line ends only).

    `domain` in A-labels; `signed_at` in seconds since 1970; `sign` gives the signature of its argument: for
    "rsa-sha256" RSASSA-PKCS1-v1_5 with SHA-256, for "ed25519-sha256" Ed25519 over the SHA-256 digest. From is signed
    once more than it occurs, so that another one cannot be added (section 8.15)."""
    tags = f" v=1; a={algorithm}; c=relaxed/relaxed; d={domain}; s={selector};\r\n\tt={signed_at}"
    covered = message if isinstance(message, Covered) else Covered(message)
    return covered.signed(b"DKIM-Signature", tags, sign)


def sign_fields(
    message: Octets, name: bytes, tags: str, wanted: Sequence[bytes], sign: Callable[[bytes], bytes]
) -> bytes:
    """A signature field of this name over the body and the `wanted` fields. `tags`: those before h=."""
    return Covered(message, wanted).signed(name, tags, sign)


def with_signature(name: bytes, value: bytes, signature: bytes) -> bytes:
    """The whole field; `value` ends in "b="."""
    encoded = base64.b64encode(signature)
    folded = b"\r\n\t ".join(encoded[at : at + 72] for at in range(0, len(encoded), 72))
    return name + b":" + value + folded + b"\r\n"


def _choose(
    fields: Sequence[tuple[bytes, bytes]], wanted: Sequence[bytes]
) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """(names for h=, the fields they stand for): of each name the last instances, from the bottom up (5.4.2)."""
    by_name: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for name, value in fields:
        by_name.setdefault(name.lower(), []).append((name, value))
    names: list[bytes] = []
    chosen: list[tuple[bytes, bytes]] = []
    for name in wanted:
        present = by_name.get(name, [])
        instances = present[: -MAX_INSTANCES - 1 : -1]
        chosen += instances
        names += [name] * len(instances)
        if name == b"from" and len(instances) == len(present):
            names.append(name)
    return names, chosen


def _fold_names(names: Sequence[bytes]) -> bytes:
    lines: list[bytes] = []
    line = b""
    for name in names:
        line += (b":" if line or lines else b"") + name
        if len(line) > 60:
            lines.append(line)
            line = b""
    return b"\r\n\t ".join([*lines, line] if line else lines)
