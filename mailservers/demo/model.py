"""What the demo hands over to the service that stores it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One account; `login` is also the address, `role` is "admin" for one of them, else "user"."""

    login: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """One message in one mailbox of `owner` (a login). Two of them may have the same `raw` bytes.

    `flags` are IMAP system flags such as "\\\\Seen", `keywords` IMAP keywords; `internal_date` is aware.
    """

    owner: str
    mailbox: str
    raw: bytes
    flags: frozenset[str]
    keywords: tuple[str, ...]
    internal_date: datetime
