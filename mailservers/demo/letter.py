"""The vocabulary in which the demo's content is written: plain frozen data, no behaviour.

A `Letter` names people by their key in `cast.CAST` and other letters by their `key`. Its `when` is relative to
the moment the demo is made: "41d 09:12" is that time (UTC) 41 days ago, "35m" and "30h" are minutes and hours
ago. Texts may hold dates relative to the same moment, such as `{day+9}` (see `moments.fill_dates`).
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Correspondent:
    """Someone who writes or receives mail, and how their mail program writes it."""

    name: str
    address: str
    client: str = "thunderbird"  # key into `clients.CLIENTS`
    charset: str = "utf-8"
    cte: str = "quoted-printable"  # used where the text is not plain US-ASCII
    language: str = "en"
    zone: str = "+0000"


@dataclass(frozen=True, slots=True)
class MailingList:
    """A list that a letter came through (RFC 2919, RFC 2369; one_click: RFC 8058)."""

    name: str
    list_id: str
    host: str
    post: str = ""  # the posting address, empty for announcements
    prefix: str = ""  # put in front of each subject
    footer: str = ""
    one_click: bool = False
    members: str = ""  # keys of those of us who are subscribed, where letters name only the list


@dataclass(frozen=True, slots=True)
class File:
    """An attachment, or with a `cid` a picture shown inside the HTML text (RFC 2392)."""

    name: str
    content_type: str
    data: bytes
    cid: str = ""
    naming: str = "rfc2231"  # or "encoded-word": what many programs do instead
    charset: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Report:
    """A delivery status notification about the letter `of` (RFC 3464)."""

    of: str
    recipient: str
    action: str  # failed, delayed or delivered
    status: str
    diagnostic: str
    remote_mta: str
    headers_only: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A calendar object (RFC 5545, RFC 5546); `day` counts from now, `start` is "HH:MM" in UTC."""

    uid: str
    method: str  # REQUEST, REPLY or CANCEL
    summary: str
    day: int
    start: str
    hours: int
    location: str
    organizer: str
    attendees: str  # keys, parted by spaces
    partstat: str = "NEEDS-ACTION"
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of the story. `to`, `cc` and `flagged` hold keys (or bare addresses) parted by spaces."""

    key: str
    when: str
    sender: str
    to: str
    subject: str = ""  # empty in an answer: "Re: " and the subject it answers
    text: str = ""
    answers: str = ""
    cc: str = ""
    quote: bool = False  # the answered text follows, quoted
    html: str = ""
    files: tuple[File, ...] = ()
    forwards: str = ""  # a letter attached as message/rfc822
    report: Report | None = None
    event: Event | None = None
    via: str = ""  # key into `cast.LISTS`
    client: str = ""
    charset: str = ""
    cte: str = ""
    smtputf8: bool = False  # header fields in raw UTF-8 (RFC 6532)
    headers: tuple[tuple[str, str], ...] = ()
    reverse_path: str | None = None  # where it is not the sender's address
    folder: str = "INBOX"  # where it lies for those of us who received it
    filed: dict[str, str] = field(default_factory=dict)  # the same, for one person
    flagged: str = ""
    unread: bool = False
    keywords: tuple[str, ...] = ()
