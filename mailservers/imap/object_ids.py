"""Object identifiers (RFC 8474): F of mailboxes, M of contents, T of threads.

A mailbox's row is kept when it is renamed, and row numbers are never given out twice. A content is named after its
digest, which says nothing that its reader could not find out, where a row number would tell whether somebody else
here had the same message before.
"""


def mailbox_object_id(mailbox_id: int) -> bytes:
    return b"F%d" % mailbox_id


def email_object_id(sha256: bytes | memoryview) -> bytes:
    return b"M" + bytes(sha256)[:16].hex().encode("ascii")


def thread_object_id(thread_id: int) -> bytes | None:
    """None for a message without a thread."""
    return b"T%d" % thread_id if thread_id else None
