"""Parameters of MAIL and RCPT that stay with a message: what they may look like, and what they mean.

DSN (RFC 3461), BODY (RFC 6152, 3030), SMTPUTF8 (6531), REQUIRETLS (8689), FUTURERELEASE (4865),
DELIVERBY (2852), MT-PRIORITY (6710). Keyword parameters
come from `smtp.parse_mail` and `parse_rcpt`; whether a parameter is offered at all is the session's business. Raises
`SmtpSyntaxError`, whose text may be sent to the client.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .smtp import SmtpSyntaxError

MAX_ENVID = 100  # characters, RFC 3461 4.4
MAX_ORCPT = 500  # characters, RFC 3461 4.2
MAX_PRIORITY = 9  # RFC 6710 3
BODIES = ("7BIT", "8BITMIME", "BINARYMIME")

#   xtext = *( xchar / hexchar )   xchar = "!" to "~" but "+" and "="   hexchar = "+" 2HEXDIG   (RFC 3461 4)
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
#   EmbeddedUnicodeChar = "\x{" HEXPOINT "}"   (RFC 6533 3)
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_SECONDS = re.compile(r"[0-9]{1,9}")
#   by-value = by-time ";" by-mode [by-trace]   (RFC 2852 4)
_BY = re.compile(r"([+-]?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)
#   priority-value = (["-"] NZDIGIT) / "0"   (RFC 6710 3)
_PRIORITY = re.compile(r"-?[1-9]|0")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DeliverBy:
    """When a message has to be there (RFC 2852), and what happens when it is not: it is returned (mode "R"), or the
    sender is told (mode "N"). `is_traced`: the sender is told of each host that it is passed on to."""

    at: datetime
    mode: str
    is_traced: bool = False

    @property
    def returns(self) -> bool:
        return self.mode == "R"

    def left_s(self, now: datetime) -> int:
        """Whole seconds that are left; below 0 when the time is over."""
        return math.floor((self.at - now).total_seconds())

    def parameter(self, now: datetime) -> str:
        """For the next host. The grammar has nine digits."""
        seconds = max(min(self.left_s(now), 999_999_999), -999_999_999)
        return f"BY={seconds};{self.mode}{'T' if self.is_traced else ''}"


@dataclass(frozen=True, slots=True)
class MailOptions:
    """What MAIL asked for the whole message. `envid` is decoded; `ret` is "FULL", "HDRS" or ""."""

    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    require_tls: bool = False
    not_before: datetime | None = None
    deliver_by: DeliverBy | None = None
    priority: int = 0
    tls_optional: bool = False  # said by the message, not by MAIL

    @property
    def is_binary(self) -> bool:
        return self.body == "BINARYMIME"


@dataclass(frozen=True, slots=True)
class DsnRequest:
    """What RCPT asked for one recipient. `notify` is "NEVER", a list such as "SUCCESS,DELAY", or "" when not given;
    `orcpt` the parameter's value as it came, "" without one."""

    notify: str = ""
    orcpt: str = ""

    def wants(self, event: str) -> bool:
        """Is "SUCCESS", "FAILURE" or "DELAY" to be told? Without NOTIFY, failures and delays are (RFC 3461 4.1)."""
        return event in self.notify.split(",") if self.notify else event != "SUCCESS"

    def without_success(self) -> DsnRequest:
        """For the members of a group (RFC 3461 5.2.7.3 c)."""
        left = ",".join(word for word in self.notify.split(",") if word != "SUCCESS")
        return DsnRequest(left or ("NEVER" if self.notify else ""), self.orcpt)


NOTHING_ASKED = DsnRequest()
NO_OPTIONS = MailOptions()


def mail_options(parameters: Mapping[str, str | None], now: datetime) -> MailOptions:
    """The options of MAIL; parameters that are not about the message are passed over."""
    body = (parameters.get("BODY") or "").upper()
    if "BODY" in parameters and body not in BODIES:
        raise SmtpSyntaxError("BODY is 7BIT, 8BITMIME or BINARYMIME")
    ret = (parameters.get("RET") or "").upper()
    if "RET" in parameters and ret not in ("FULL", "HDRS"):
        raise SmtpSyntaxError("RET is FULL or HDRS")
    for keyword in ("SMTPUTF8", "REQUIRETLS"):
        if parameters.get(keyword) is not None:
            raise SmtpSyntaxError(f"{keyword} has no value")
    not_before = _release_time(parameters, now)
    deliver_by = _deliver_by(parameters["BY"], now) if "BY" in parameters else None
    if deliver_by is not None and not_before is not None and deliver_by.at <= not_before:
        raise SmtpSyntaxError("BY ends before the message is let go")
    return MailOptions(
        body or "7BIT",
        "SMTPUTF8" in parameters,
        ret,
        _envid(parameters["ENVID"]) if "ENVID" in parameters else "",
        "REQUIRETLS" in parameters,
        not_before,
        deliver_by,
        _priority(parameters["MT-PRIORITY"]) if "MT-PRIORITY" in parameters else 0,
    )


def _deliver_by(value: str | None, now: datetime) -> DeliverBy:
    match = _BY.fullmatch(value or "")
    if match is None:
        raise SmtpSyntaxError("BY is a number of seconds, a semicolon, and R or N")
    seconds, mode = int(match[1]), match[2].upper()
    if mode == "R" and seconds <= 0:
        raise SmtpSyntaxError("BY with R needs a time that is not over")
    return DeliverBy(now + timedelta(seconds=seconds), mode, bool(match[3]))


def _priority(value: str | None) -> int:
    if not _PRIORITY.fullmatch(value or ""):
        raise SmtpSyntaxError(f"MT-PRIORITY is a number from -{MAX_PRIORITY} to {MAX_PRIORITY}")
    return int(value or 0)


def _envid(value: str | None) -> str:
    if not value or len(value) > MAX_ENVID:
        raise SmtpSyntaxError("ENVID is 1 to 100 characters of xtext")
    return decode_xtext(value)


def _release_time(parameters: Mapping[str, str | None], now: datetime) -> datetime | None:
    """RFC 4865 4: HOLDFOR=seconds or HOLDUNTIL=date-time (RFC 3339)."""
    if "HOLDFOR" in parameters and "HOLDUNTIL" in parameters:
        raise SmtpSyntaxError("HOLDFOR and HOLDUNTIL cannot stand together")
    if "HOLDFOR" in parameters:
        value = parameters["HOLDFOR"] or ""
        if not _SECONDS.fullmatch(value):
            raise SmtpSyntaxError("HOLDFOR is a number of seconds")
        return now + timedelta(seconds=int(value))
    if "HOLDUNTIL" in parameters:
        value = parameters["HOLDUNTIL"] or ""
        try:
            if not _MOMENT.fullmatch(value):
                raise ValueError(value)
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise SmtpSyntaxError("HOLDUNTIL is a moment like 2026-12-24T18:00:00Z") from None
    return None


def dsn_request(parameters: Mapping[str, str | None]) -> DsnRequest:
    """NOTIFY and ORCPT of RCPT."""
    notify, orcpt = parameters.get("NOTIFY"), parameters.get("ORCPT")
    return DsnRequest(_notify(notify) if "NOTIFY" in parameters else "", _orcpt(orcpt) if "ORCPT" in parameters else "")


def _notify(value: str | None) -> str:
    #   notify-esmtp-value = "NEVER" / 1#notify-list-element
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return "NEVER"
    if not set(words) <= {"SUCCESS", "FAILURE", "DELAY"}:
        raise SmtpSyntaxError("NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return ",".join(dict.fromkeys(words))


def _orcpt(value: str | None) -> str:
    kind, semicolon, address = (value or "").partition(";")
    if not semicolon or not address or not _ADDRESS_TYPE.fullmatch(kind) or len(value or "") > MAX_ORCPT:
        raise SmtpSyntaxError("ORCPT is an address type, a semicolon and an address in xtext")
    if kind.lower() != "utf-8":  # RFC 6533 3: that type has an encoding of its own, and may be plain UTF-8
        _decode_address(address)
    return value or ""


def _decode_address(text: str) -> str:
    """xtext that may stand for UTF-8: Postfix writes an internationalized address so, with the type rfc822."""
    if not _XTEXT.fullmatch(text):
        raise SmtpSyntaxError("Malformed xtext")
    octets = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")
    try:
        decoded = octets.decode()
    except UnicodeDecodeError:
        raise SmtpSyntaxError("ORCPT is not valid UTF-8") from None
    if not decoded.isprintable():
        raise SmtpSyntaxError("ORCPT may hold printable characters only")
    return decoded


def original_recipient(orcpt: str) -> str:
    """An ORCPT value as it stands in an Original-Recipient field (RFC 3464 2.3.1, RFC 6533 4): `type; address`."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() == "utf-8":
        return f"{kind};{_EMBEDDED.sub(_embedded_character, address)}"
    decoded = _decode_address(address)
    return f"{kind if decoded.isascii() else 'utf-8'};{decoded}"


def _embedded_character(match: re.Match[str]) -> str:
    point = int(match[1], 16)
    return chr(point) if 0x20 <= point < 0xD800 or 0xE000 <= point <= 0x10FFFF else match[0]


def orcpt_for(address: str) -> str:
    """The ORCPT value of one of our addresses that leads elsewhere (RFC 3461 5.2.7.2)."""
    return f"rfc822;{encode_xtext(address)}" if address.isascii() else f"utf-8;{address}"


def decode_xtext(text: str) -> str:
    """Raises `SmtpSyntaxError`; also when what comes out is not printable ASCII (RFC 3461 4.2, 4.4)."""
    if not _XTEXT.fullmatch(text):
        raise SmtpSyntaxError("Malformed xtext")
    decoded = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text)
    if not all(" " <= character <= "~" for character in decoded):
        raise SmtpSyntaxError("xtext may hold printable ASCII only")
    return decoded


def encode_xtext(text: str) -> str:
    """For printable ASCII."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in text)
