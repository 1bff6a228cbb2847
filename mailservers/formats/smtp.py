"""SMTP command grammar (RFC 5321 4.1): a line in, a verb with its path and parameters out.

Raises one error, `SmtpSyntaxError`, whose text may be sent to the client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .mailbox_address import InvalidAddress, canonical_domain

MAX_LOCAL_PART = 64  # octets, RFC 5321 4.5.3.1.1
MAX_DOMAIN = 255  # octets, RFC 5321 4.5.3.1.2
MAX_LABEL = 63  # octets, RFC 1035 2.3.4; of a U-label its UTF-8
MAX_PATH = 256  # octets with the brackets, RFC 5321 4.5.3.1.3


class SmtpSyntaxError(Exception):
    """The line does not follow the grammar. `code` and `enhanced_status` (RFC 3463, 5248) of the reply to it."""

    def __init__(self, text: str, enhanced_status: str = "5.5.4", code: int = 501) -> None:
        super().__init__(text)
        self.enhanced_status = enhanced_status
        self.code = code


BAD_SENDER = "5.1.7"  # RFC 3463 3.2: bad sender's mailbox address syntax
BAD_RECIPIENT = "5.1.3"  # bad destination mailbox address syntax


@dataclass(frozen=True, slots=True)
class Path:
    """A reverse-path or forward-path. `address` is "" for <>; the domain in lower case, "" for <Postmaster>."""

    address: str
    local: str
    domain: str
    is_ascii: bool = True


@dataclass(frozen=True, slots=True)
class PathCommand:
    """MAIL or RCPT: the path and the esmtp-params, keywords in upper case, value None without "="."""

    path: Path
    parameters: dict[str, str | None]


# atext with UTF-8 (RFC 6531 3.3); quoted-string with quoted-pairs; a domain, or an address literal.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
_LOCAL = rf'(?P<local>{_ATOM}(?:\.{_ATOM})*|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*")'
_LABEL = r"[A-Za-z0-9\x80-\U0010ffff](?:[A-Za-z0-9\x80-\U0010ffff_-]*[A-Za-z0-9\x80-\U0010ffff])?"
_DOMAIN = rf"(?P<domain>{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Za-z:.\x2d]+\])"
_ROUTE = r"(?:@[^,:<>@\s]+(?:,@[^,:<>@\s]+)*:)?"  # source routes are accepted and ignored (RFC 5321 4.1.1.3)
_PATH = re.compile(rf"<{_ROUTE}{_LOCAL}(?:@{_DOMAIN})?>")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\x80-\U0010ffff]+))?")
_HELO_NAME = re.compile(r"[\x21-\x7e\x80-\U0010ffff]{1,255}")


def decode_line(line: bytes) -> str:
    """A command line without its CRLF. Raises `SmtpSyntaxError` on NUL, bare CR, or what is not UTF-8."""
    if b"\0" in line or b"\r" in line or b"\n" in line:
        raise SmtpSyntaxError("Control characters are not allowed", "5.5.2", 500)
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise SmtpSyntaxError("The command is not valid UTF-8", "5.5.2", 500) from None


def split_command(line: str) -> tuple[str, str]:
    """The verb in upper case and the rest without surrounding white space."""
    verb, _, rest = line.strip(" \t").partition(" ")
    return verb.upper(), rest.strip(" \t")


def parse_helo_name(text: str) -> str:
    """The client's domain or address literal; lenient, since it is only written down."""
    name = text.split(" ", 1)[0]
    if not _HELO_NAME.fullmatch(name):
        raise SmtpSyntaxError("A domain name or address literal is needed")
    return name


def parse_mail(rest: str) -> PathCommand:
    """`FROM:<reverse-path> [parameters]`."""
    return _path_command(rest, "FROM:", BAD_SENDER, may_be_empty=True)


def parse_rcpt(rest: str) -> PathCommand:
    """`TO:<forward-path> [parameters]`; <Postmaster> needs no domain (RFC 5321 4.1.1.3)."""
    command = _path_command(rest, "TO:", BAD_RECIPIENT, may_be_empty=False)
    if not command.path.domain and command.path.local.lower() != "postmaster":
        raise SmtpSyntaxError("The address has no domain", BAD_RECIPIENT)
    return command


def _path_command(rest: str, keyword: str, bad_address: str, *, may_be_empty: bool) -> PathCommand:
    if rest[: len(keyword)].upper() != keyword:
        raise SmtpSyntaxError(f"Syntax: {keyword}<address>")
    rest = rest[len(keyword) :].lstrip(" \t")  # a space after the colon is wrong but common
    if may_be_empty and rest.startswith("<>"):
        path, end = Path("", "", ""), 2
    else:
        match = _PATH.match(rest)
        if match is None:
            raise SmtpSyntaxError(f"Syntax: {keyword}<address>", bad_address)
        path, end = _path(match, bad_address), match.end()
    if may_be_empty and path.address and not path.domain:
        raise SmtpSyntaxError("The address has no domain", bad_address)
    return PathCommand(path, _parameters(rest[end:]))


def _path(match: re.Match[str], bad_address: str) -> Path:
    local, domain = match["local"], (match["domain"] or "").rstrip(".")
    if len(local.encode()) > MAX_LOCAL_PART:
        raise SmtpSyntaxError("The local part is longer than 64 octets", bad_address)
    if len(domain.encode()) > MAX_DOMAIN or len(match[0].encode()) > MAX_PATH * 2:
        raise SmtpSyntaxError("The address is too long", bad_address)
    if not _is_domain(domain):
        raise SmtpSyntaxError("That is no domain name or address literal", bad_address)
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    domain = domain.lower()
    address = f"{quote_local(local)}@{domain}" if domain else local
    return Path(address, local, domain, address.isascii())


def _is_domain(domain: str) -> bool:
    """What the pattern of paths leaves open: how long labels are, and whether an address literal is one."""
    if not domain.startswith("["):
        return all(len(label.encode()) <= MAX_LABEL for label in domain.split("."))
    try:
        canonical_domain(domain)
    except InvalidAddress:
        return False
    return True


_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")


def quote_local(local: str) -> str:
    """The local part as it stands in a path: quoted when it has to be (RFC 5321 4.1.2)."""
    if _DOT_STRING.fullmatch(local):
        return local
    escaped = re.sub(r'(["\\])', r"\\\1", local)
    return f'"{escaped}"'


def _parameters(text: str) -> dict[str, str | None]:
    if text and text[0] not in " \t":
        raise SmtpSyntaxError("A space is needed after the address")
    parameters: dict[str, str | None] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise SmtpSyntaxError("Malformed parameter")
        keyword = match[1].upper()
        if keyword in parameters:
            raise SmtpSyntaxError(f"Parameter {keyword} is given twice")
        parameters[keyword] = match[2]
    return parameters
