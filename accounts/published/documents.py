"""The documents themselves, each in the format of whoever reads it.

- autoconfig: Thunderbird, K-9, Evolution (Mozilla's `config-v1.1.xml`).
- Autodiscover: Outlook ("POX", the `outlook/responseschema/2006a` of MS-OXDSCLI).
- configuration profile: Apple's devices (`com.apple.mail.managed`).

None of them says whether an address exists: all addresses of a domain get the same answer.
"""

from __future__ import annotations

import plistlib
import uuid
import xml.etree.ElementTree as ET
from typing import Any

from accounts.published.offers import Offer, best, offers

_DISCOVERY = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_PROFILES = uuid.UUID("5a0f2b4e-6b5c-4a8e-9d3e-2f1f6f0f7c11")  # name space of our profiles' identifiers
_PAYLOAD_VERSION = 1


def autoconfig(domain: str) -> bytes:
    """For every address of `domain` (U-labels or A-labels, as kept)."""
    root = ET.Element("clientConfig", version="1.1")
    provider = ET.SubElement(root, "emailProvider", id=domain)
    _text(provider, "domain", domain)
    _text(provider, "displayName", domain)
    _text(provider, "displayShortName", domain)
    for offer in offers():
        name = "outgoingServer" if offer.kind == "smtp" else "incomingServer"
        server = ET.SubElement(provider, name, type=offer.kind)
        _text(server, "hostname", offer.host)
        _text(server, "port", str(offer.port))
        _text(server, "socketType", "SSL" if offer.is_implicit else "STARTTLS")
        _text(server, "authentication", "password-cleartext")  # its word for a password inside TLS
        _text(server, "username", "%EMAILADDRESS%")
    return _xml(root)


def autodiscover(address: str) -> bytes:
    """Outlook takes the first protocol of each type."""
    root = ET.Element("Autodiscover", xmlns=_DISCOVERY)
    response = ET.SubElement(root, "Response", xmlns=_OUTLOOK)
    _text(ET.SubElement(response, "User"), "DisplayName", address)
    account = ET.SubElement(response, "Account")
    _text(account, "AccountType", "email")
    _text(account, "Action", "settings")
    for kind in ("imap", "pop3", "smtp"):
        offer = best(kind)
        protocol = ET.SubElement(account, "Protocol")
        for name, value in (
            ("Type", kind.upper()),
            ("Server", offer.host),
            ("Port", str(offer.port)),
            ("DomainRequired", "off"),
            ("LoginName", address),
            ("SPA", "off"),
            ("SSL", "on"),
            ("AuthRequired", "on"),
        ):
            _text(protocol, name, value)
    return _xml(root)


def autodiscover_error(code: int, message: str, at: str) -> bytes:
    """`code`: 500 no such address, 600 not a request, 601 a schema that is not offered. `at`: HH:MM:SS.f"""
    root = ET.Element("Autodiscover", xmlns=_DISCOVERY)
    error = ET.SubElement(ET.SubElement(root, "Response"), "Error", Time=at, Id="1")
    _text(error, "ErrorCode", str(code))
    _text(error, "Message", message)
    ET.SubElement(error, "DebugData")
    return _xml(root)


def asked_of_autodiscover(body: bytes) -> tuple[str, str]:
    """(address, wanted schema) of a request. Raises ValueError for what is no request: no DTD is read, nothing else
    than UTF-8."""
    text = body.decode("utf-8-sig")
    if "<!" in text.replace("<!--", ""):
        raise ValueError("a document type is not accepted")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    values = {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in root.iter()}
    return values.get("EMailAddress", ""), values.get("AcceptableResponseSchema", "")


def knows_schema(schema: str) -> bool:
    return schema == _OUTLOOK


def configuration_profile(address: str, name: str = "") -> bytes:
    """`name`: the person's, "" where nobody has signed in. The password is asked for by the device."""
    domain = address.rpartition("@")[2]
    imap, smtp = best("imap"), best("smtp")
    account: dict[str, Any] = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadIdentifier": f"{domain}.postroom.mail.account",
        "PayloadUUID": _uuid("account", address),
        "PayloadVersion": _PAYLOAD_VERSION,
        "PayloadDisplayName": address,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": address,
        "EmailAddress": address,
        **({"EmailAccountName": name} if name else {}),
        **_server("IncomingMailServer", imap, address),
        **_server("OutgoingMailServer", smtp, address),
        "OutgoingPasswordSameAsIncomingPassword": True,
        "SMIMEEnabled": False,
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadIdentifier": f"{domain}.postroom.mail",
        "PayloadUUID": _uuid("profile", address),
        "PayloadVersion": _PAYLOAD_VERSION,
        "PayloadDisplayName": f"Mail for {address}",
        "PayloadDescription": f"Sets up mail for {address}. You will be asked for the password.",
        "PayloadOrganization": domain,
        "PayloadRemovalDisallowed": False,
        "PayloadContent": [account],
    }
    return plistlib.dumps(profile)


def _server(prefix: str, offer: Offer, address: str) -> dict[str, Any]:
    return {
        f"{prefix}HostName": offer.host,
        f"{prefix}PortNumber": offer.port,
        f"{prefix}UseSSL": offer.is_implicit,
        f"{prefix}Username": address,
        f"{prefix}Authentication": "EmailAuthPassword",
    }


def _uuid(what: str, address: str) -> str:
    """The same for an address each time: a device then replaces its profile instead of adding another."""
    return str(uuid.uuid5(_PROFILES, f"{what}:{address}")).upper()


def _text(parent: ET.Element, name: str, value: str) -> None:
    ET.SubElement(parent, name).text = value


def _xml(root: ET.Element) -> bytes:
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)
