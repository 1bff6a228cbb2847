"""Routes of outgoing mail (`mailservers.outbound.routes`), as an administrator keeps them.

A route that carries a login is spoken to over TLS only. The password is sealed; it is never shown and never in the
audit's record.
"""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass
from typing import Any

from accounts.sealing import seal
from accounts.services import audit, names
from accounts.services.errors import AlreadyExists, InvalidValue, NotFound
from mailservers.formats.mailbox_address import InvalidAddress, domain_to_ascii
from mailservers.models import SendingRoute
from mailservers.outbound.routes import LMTP_PORT, PASSWORD_PURPOSE, SMTP_PORT
from mailservers.store.transaction import Transaction

Transport, Security = SendingRoute.Transport, SendingRoute.Security
WITH_HOST = (Transport.SMTP, Transport.LMTP)
MAX_REASON = 300  # as the model's


@dataclass(frozen=True, slots=True)
class RouteValues:
    """As typed. `recipient` and `sender`: an address, a domain, or "" for all. `password` None: as it was."""

    recipient: str = ""
    sender: str = ""
    transport: str = Transport.SMTP
    host: str = ""
    port: int | None = None  # None: the usual one
    security: str = Security.OPPORTUNISTIC
    is_implicit_tls: bool = False
    login: str = ""
    password: str | None = None
    reason: str = ""
    source: str = ""
    ehlo_name: str = ""


def create_route(tx: Transaction, values: RouteValues, *, actor: str) -> int:
    """Store operation: the new route's id. Raises `InvalidValue`, `AlreadyExists`."""
    row = SendingRoute()
    _fill(row, values)
    row.save()
    audit.record(actor, "route.create", describe(row), **_told(row))
    return row.pk


def update_route(tx: Transaction, route_id: int, values: RouteValues, *, actor: str) -> None:
    """Store operation. Raises `NotFound`, `InvalidValue`, `AlreadyExists`."""
    row = get_route(route_id)
    name, before = describe(row), _told(row)
    _fill(row, values)
    row.save()
    after = {"route": describe(row), **_told(row), "new_password": values.password is not None}
    changed = {key: [before.get(key, ""), value] for key, value in after.items() if before.get(key) != value}
    audit.record(actor, "route.update", name, **changed)


def delete_route(tx: Transaction, route_id: int, *, actor: str) -> None:
    """Store operation. Raises `NotFound`."""
    row = get_route(route_id)
    row.delete()
    audit.record(actor, "route.delete", describe(row), **_told(row))


def get_route(route_id: int) -> SendingRoute:
    row = SendingRoute.objects.filter(pk=route_id).first()
    if row is None:
        raise NotFound("This route is not here any more.")
    return row


def values_of(row: SendingRoute) -> RouteValues:
    """For a form that changes it."""
    return RouteValues(**{name: getattr(row, name) for name in asdict(RouteValues()) if name != "password"})


def describe(row: SendingRoute) -> str:
    """ "to partner.test from anna@harbour.test"."""
    words = [f"to {row.recipient}" if row.recipient else "", f"from {row.sender}" if row.sender else ""]
    return " ".join(filter(None, words)) or "all mail"


def _told(row: SendingRoute) -> dict[str, Any]:
    where = f"{row.transport} {row.host}:{row.port}" if row.host else row.transport
    return {"way": where, "security": row.security, "login": row.login, "reason": row.reason}


# ---------------------------------------------------------------- checking


def _fill(row: SendingRoute, values: RouteValues) -> None:
    row.recipient = _pattern(values.recipient, "recipient")
    row.sender = _pattern(values.sender, "sender")
    same = SendingRoute.objects.filter(recipient=row.recipient, sender=row.sender).exclude(pk=row.pk)
    if same.exists():
        raise AlreadyExists(f"There is a route for {describe(row)} already.", "recipient")
    row.transport = _chosen(values.transport, Transport.values, "transport")
    row.security = _chosen(values.security, Security.values, "security")
    row.ehlo_name = _host_name(values.ehlo_name, "ehlo_name") if values.ehlo_name.strip() else ""
    row.source = _sources(values.source)
    row.reason = _reason(row, values.reason)
    _fill_host(row, values)
    _fill_login(row, values)


def _fill_host(row: SendingRoute, values: RouteValues) -> None:
    if row.transport not in WITH_HOST:
        if values.host.strip():
            raise InvalidValue("A host is of use only when mail goes to one host.", "host")
        row.host, row.port, row.is_implicit_tls = "", SMTP_PORT, False
        return
    row.host = _host_name(values.host, "host")
    row.port = values.port or (LMTP_PORT if row.transport == Transport.LMTP else SMTP_PORT)
    if not 0 < row.port < 65536:
        raise InvalidValue("A port is a number from 1 to 65535.", "port")
    row.is_implicit_tls = values.is_implicit_tls
    if row.is_implicit_tls and row.security == Security.OPPORTUNISTIC:
        raise InvalidValue("TLS from the first octet is TLS: choose how it is checked.", "security")


def _fill_login(row: SendingRoute, values: RouteValues) -> None:
    row.login = values.login.strip()
    if not row.login:
        row.password = b""
        return
    if not row.host:
        raise InvalidValue("A login is of use only when mail goes to one host.", "login")
    if any(not c.isprintable() for c in row.login + (values.password or "")) or len(row.login) > 320:
        raise InvalidValue("The login or password has characters that cannot be sent.", "login")
    if row.security == Security.OPPORTUNISTIC:
        raise InvalidValue("A password is sent over TLS only: choose how the certificate is checked.", "security")
    if values.password is not None:
        row.password = seal(values.password.encode(), PASSWORD_PURPOSE)
    if not row.password:
        raise InvalidValue("A login needs its password.", "password")


def _pattern(text: str, field: str) -> str:
    text = text.strip()
    if text in ("", "*"):
        return ""
    return names.any_address(text, field).lower() if "@" in text.strip("@") else names.domain_name(text, field)


def _chosen(value: str, known: list[str], field: str) -> str:
    if value not in known:
        raise InvalidValue(f"“{value}” is none of {', '.join(known)}.", field)
    return value


def _host_name(text: str, field: str) -> str:
    """A name in A-labels, or an IP address."""
    name = text.strip().strip("[]").rstrip(".")
    if not name:
        raise InvalidValue("The host is missing.", field)
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return domain_to_ascii(name)
    except InvalidAddress:
        raise InvalidValue("That is neither a host name nor an IP address.", field) from None


def _sources(text: str) -> str:
    try:
        addresses = [ipaddress.ip_address(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise InvalidValue("Our own address is an IP address.", "source") from None
    if len({address.version for address in addresses}) != len(addresses):
        raise InvalidValue("One IPv4 and one IPv6 address at most.", "source")
    return " ".join(map(str, addresses))


def _reason(row: SendingRoute, text: str) -> str:
    text = " ".join(text.split())
    if len(text) > MAX_REASON:
        raise InvalidValue(f"The reason is longer than {MAX_REASON} characters.", "reason")
    return text if row.transport in (Transport.REFUSE, Transport.DISCARD) else ""
