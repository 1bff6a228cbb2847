"""The arguments of the commands that have no module of their own.

Each ``parse_*`` takes a :class:`~mailservers.formats.imap.lexer.Lexer` at the octet after the command's
name, reads to the end of the command, and gives a frozen value.
"""

from dataclasses import dataclass

from .lexer import MAX_NUMBER64, ImapSyntaxError, Lexer
from .sequences import SequenceSet

MAX_ENABLE = 64
MAX_ID_FIELDS = 30  # RFC 2971 section 3.3
MAX_ID_FIELD_OCTETS = 30
MAX_ID_VALUE_OCTETS = 1024
SPECIAL_USES = ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")


def parse_nothing(lexer: Lexer) -> None:
    """A command without arguments."""
    lexer.end()


def parse_tags(lexer: Lexer) -> tuple[bytes, ...]:
    """1*(SP quoted), as CANCELUPDATE has them (RFC 5267 section 5)."""
    tags: list[bytes] = []
    while not tags or not lexer.at_end:
        lexer.sp()
        if lexer.peek() != b'"':
            raise ImapSyntaxError("Expected a quoted tag")
        tags.append(lexer.string())
    lexer.end()
    return tuple(tags)


def parse_urls(lexer: Lexer) -> tuple[bytes, ...]:
    """URLFETCH: 1*(SP url-full) (RFC 4467 section 9)"""
    urls: list[bytes] = []
    while not urls or not lexer.at_end:
        lexer.sp()
        urls.append(lexer.astring("a URL"))
    lexer.end()
    return tuple(urls)


def parse_genurlauth(lexer: Lexer) -> tuple[tuple[bytes, str], ...]:
    """GENURLAUTH: 1*(SP url-rump SP mechanism)"""
    pairs: list[tuple[bytes, str]] = []
    while not pairs or not lexer.at_end:
        lexer.sp()
        url = lexer.astring("a URL")
        lexer.sp()
        pairs.append((url, lexer.label("a mechanism")))
    lexer.end()
    return tuple(pairs)


def parse_resetkey(lexer: Lexer) -> tuple[str, tuple[str, ...]]:
    """RESETKEY: [SP mailbox *(SP mechanism)]; "" without a mailbox"""
    mailbox, mechanisms = "", []
    if not lexer.at_end:
        lexer.sp()
        mailbox = lexer.mailbox()
        while not lexer.at_end:
            lexer.sp()
            mechanisms.append(lexer.label("a mechanism"))
    lexer.end()
    return mailbox, tuple(mechanisms)


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Octets, as sent: the authentication door decides on their encoding."""

    user: bytes
    password: bytes


def parse_login(lexer: Lexer) -> LoginRequest:
    """login = "LOGIN" SP userid SP password"""
    lexer.sp()
    user = lexer.astring("a user name")
    lexer.sp()
    password = lexer.astring("a password")
    lexer.end()
    return LoginRequest(user, password)


@dataclass(frozen=True, slots=True)
class AuthenticateRequest:
    """``initial`` is the base64 of the initial response, b"=" for an empty one, None for none."""

    mechanism: str
    initial: bytes | None


def parse_authenticate(lexer: Lexer) -> AuthenticateRequest:
    """authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]"""
    lexer.sp()
    mechanism = lexer.atom("a mechanism").decode("ascii").upper()
    initial = None
    if lexer.skip(b" ") and lexer.peek():
        initial = lexer.base64()
    lexer.end()
    return AuthenticateRequest(mechanism, initial)


def parse_compress(lexer: Lexer) -> str:
    """compress = "COMPRESS" SP algorithm (RFC 4978)"""
    lexer.sp()
    algorithm = lexer.atom("an algorithm").decode("ascii").upper()
    lexer.end()
    return algorithm


def parse_enable(lexer: Lexer) -> tuple[str, ...]:
    """enable = "ENABLE" 1*(SP capability)"""
    names: list[str] = []
    while not names or (lexer.peek() == b" " and len(names) <= MAX_ENABLE):
        lexer.sp()
        if names and not lexer.peek():
            break
        names.append(lexer.atom("a capability").decode("ascii").upper())
    lexer.end()
    return tuple(dict.fromkeys(names))


def parse_id(lexer: Lexer) -> tuple[tuple[str, str | None], ...]:
    """id = "ID" SP id_params_list (RFC 2971 section 4). Odd octets are replaced, not refused."""
    lexer.sp()
    if not lexer.skip(b"("):
        if lexer.nstring() is not None:
            raise ImapSyntaxError("Expected a list or NIL")
        lexer.end()
        return ()
    fields: list[tuple[str, str | None]] = []
    while not lexer.skip(b")"):
        if fields:
            lexer.sp()
        name = lexer.string("a field name").decode("utf-8", "replace")
        lexer.sp()
        value = lexer.nstring()
        fields.append((name, None if value is None else value.decode("utf-8", "replace")))
        if len(fields) > MAX_ID_FIELDS or len(name) > MAX_ID_FIELD_OCTETS or len(value or b"") > MAX_ID_VALUE_OCTETS:
            raise ImapSyntaxError("ID is too large")
    lexer.end()
    return tuple(fields)


def parse_mailbox(lexer: Lexer) -> str:
    """SP mailbox: DELETE, SUBSCRIBE, UNSUBSCRIBE."""
    lexer.sp()
    name = lexer.mailbox()
    lexer.end()
    return name


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """``uses`` are special-use attributes of CREATE-SPECIAL-USE (RFC 6154 section 3)."""

    mailbox: str
    uses: tuple[str, ...] = ()


def parse_create(lexer: Lexer) -> CreateRequest:
    """create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]"""
    lexer.sp()
    mailbox = lexer.mailbox()
    uses: tuple[str, ...] = ()
    if lexer.skip(b" ") and lexer.peek():
        lexer.expect(b"(", "CREATE parameters")
        if lexer.label("a CREATE parameter") != "USE":
            raise ImapSyntaxError("Unknown CREATE parameter")
        lexer.sp()
        uses = lexer.flag_list()
        lexer.expect(b")", "a closing parenthesis")
    lexer.end()
    spelling = {use.lower(): use for use in SPECIAL_USES}
    return CreateRequest(mailbox, tuple(spelling.get(use.lower(), use) for use in uses))


@dataclass(frozen=True, slots=True)
class RenameRequest:
    old: str
    new: str


def parse_rename(lexer: Lexer) -> RenameRequest:
    """rename = "RENAME" SP mailbox SP mailbox"""
    lexer.sp()
    old = lexer.mailbox()
    lexer.sp()
    new = lexer.mailbox()
    lexer.end()
    return RenameRequest(old, new)


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """``operation`` is "+" (add), "-" (remove) or "=" (replace)."""

    messages: SequenceSet
    operation: str
    silent: bool
    flags: tuple[str, ...]
    unchanged_since: int | None = None


def parse_store(lexer: Lexer) -> StoreRequest:
    """store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags (RFC 7162 section 3.1.3)"""
    lexer.sp()
    messages = lexer.sequence_set()
    lexer.sp()
    unchanged_since = None
    if lexer.skip(b"("):
        if lexer.label("a STORE modifier") != "UNCHANGEDSINCE":
            raise ImapSyntaxError("Unknown STORE modifier")
        lexer.sp()
        unchanged_since = lexer.number("a mod-sequence", MAX_NUMBER64)
        lexer.expect(b")", "a closing parenthesis")
        lexer.sp()
    operation = "+" if lexer.skip(b"+") else "-" if lexer.skip(b"-") else "="
    item = lexer.label("FLAGS")
    if item not in ("FLAGS", "FLAGS.SILENT"):
        raise ImapSyntaxError("Expected FLAGS or FLAGS.SILENT")
    lexer.sp()
    flags = lexer.flag_list() if lexer.peek() == b"(" else lexer.flags()
    lexer.end()
    return StoreRequest(messages, operation, item == "FLAGS.SILENT", flags, unchanged_since)


@dataclass(frozen=True, slots=True)
class CopyRequest:
    messages: SequenceSet
    mailbox: str


def parse_copy(lexer: Lexer) -> CopyRequest:
    """copy = "COPY" SP sequence-set SP mailbox; MOVE likewise (RFC 6851)."""
    lexer.sp()
    messages = lexer.sequence_set()
    lexer.sp()
    mailbox = lexer.mailbox()
    lexer.end()
    return CopyRequest(messages, mailbox)


def parse_messages(lexer: Lexer) -> SequenceSet:
    """uid-expunge = "EXPUNGE" SP sequence-set"""
    lexer.sp()
    messages = lexer.sequence_set()
    lexer.end()
    return messages
