"""Which mailboxes a filter of NOTIFY (RFC 5465 section 6) or ESEARCH (RFC 7377 section 2.2) means."""

from collections.abc import Sequence

from mailservers.store.mailboxes import SEPARATOR
from mailservers.store.queries import MailboxRow


def is_among(kind: str, names: Sequence[str], row: MailboxRow, user_id: int) -> bool:
    """``kind`` in upper case, not SELECTED. Any of one's own mailboxes may be delivered to, so INBOXES is PERSONAL;
    others' mailboxes are neither."""
    match kind:
        case "SUBSCRIBED":
            return row.is_subscribed
        case "MAILBOXES":
            return row.name in names
        case "SUBTREE":
            return any(row.name == top or row.name.startswith(top + SEPARATOR) for top in names)
        case "SUBTREE-ONE":
            return any(row.name == top or row.name.rpartition(SEPARATOR)[0] == top for top in names)
    return row.owner_id == user_id
