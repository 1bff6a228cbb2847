"""One mailbox address as SMTP has it (RFC 5321 section 4.1.2, with UTF-8 from RFC 6531): check, take apart, write.

Mailbox        = Local-part "@" ( Domain / address-literal )
Local-part     = Dot-string / Quoted-string
Domain         = sub-domain *("." sub-domain)
sub-domain     = Let-dig [Ldh-str] / U-label
"""

import ipaddress
import re
import unicodedata

MAX_LOCAL_OCTETS = 64  # RFC 5321 section 4.5.3.1.1
MAX_DOMAIN_OCTETS = 255
MAX_ADDRESS_OCTETS = 254  # a path, RFC 5321 section 4.5.3.1.3, is 256 octets with its angle brackets
MAX_LABEL_OCTETS = 63

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATOM}++(?:\.{_ATOM}++)*+\Z")
_QUOTED_STRING = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]++|\\[ -~])*+)"\Z')
_QUOTED_PAIR = re.compile(r"\\(.)")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")
_GENERAL_LITERAL = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]:[!-Z^-~]+\Z")
# Unicode categories that no name has: controls, surrogates, unassigned, private use, separators.
_UNFIT_CATEGORIES = frozenset({"Cc", "Cs", "Cn", "Co", "Zs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d\u00b7\u0375\u05f3\u05f4\u30fb"


class InvalidAddress(ValueError):
    """The text is no mailbox address. The message is fit for strangers and does not repeat the input."""


def parse_mailbox_address(text: str) -> tuple[str, str]:
    """(local part without quoting, canonical domain) of an address; raises InvalidAddress.

    The local part keeps its case: only the owner of the domain may judge that. The domain is in canonical form, see
    `canonical_domain`; an address literal comes back with its brackets.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_ADDRESS_OCTETS:
        raise InvalidAddress("address too long")
    local, at, domain = text.rpartition("@")
    if not at:
        raise InvalidAddress("address without @")
    return _parse_local(local), canonical_domain(domain)


def canonical_domain(domain: str) -> str:
    """The domain in lower case and Unicode form NFC, checked; raises InvalidAddress.

    Lower case per code point, never case folding, which would turn `straße.example` into another domain (RFC 5894).
    """
    if domain.startswith("["):
        return _parse_literal(domain)
    labels = [_canonical_label(label) for label in domain.split(".")]
    result = ".".join(labels)
    if len(".".join(_ascii_label(label) for label in labels)) > MAX_DOMAIN_OCTETS:
        raise InvalidAddress("domain too long")
    return result


def domain_to_ascii(domain: str) -> str:
    """A domain for DNS and for comparing: U-labels as `xn--…` (RFC 5891); raises InvalidAddress."""
    domain = canonical_domain(domain)
    return domain if domain.startswith("[") else ".".join(_ascii_label(label) for label in domain.split("."))


def domain_to_unicode(domain: str) -> str:
    """A domain with its A-labels as U-labels; raises InvalidAddress."""
    return canonical_domain(".".join(_unicode_label(label) for label in domain.split(".")))


def _unicode_label(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        raise InvalidAddress("domain not well formed") from None


def domain_spellings(domain: str) -> set[str]:
    """A domain in lower case, as A-labels and as U-labels; only the first where it cannot be in the DNS."""
    domain = domain.lower()
    try:
        return {domain, domain_to_ascii(domain), domain_to_unicode(domain)}
    except InvalidAddress:
        return {domain}


def format_mailbox_address(local: str, domain: str) -> str:
    """`local@domain` as it stands in a path or header, the local part quoted where it must be."""
    if not _DOT_STRING.match(local):
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{local}@{domain}"


def _parse_local(local: str) -> str:
    quoted = _QUOTED_STRING.match(local)
    if quoted is None and not _DOT_STRING.match(local):
        raise InvalidAddress("local part not well formed")
    if quoted is not None:
        local = _QUOTED_PAIR.sub(r"\1", quoted[1])
    if not local:
        raise InvalidAddress("local part empty")
    if any(ord(c) > 0x7F and unicodedata.category(c) in _UNFIT_CATEGORIES for c in local):
        raise InvalidAddress("local part holds unfit characters")
    if len(local.encode("utf-8")) > MAX_LOCAL_OCTETS:
        raise InvalidAddress("local part too long")
    return local


def _canonical_label(label: str) -> str:
    if label.isascii():
        lowered = label.lower()
        if not _LABEL.match(lowered):
            raise InvalidAddress("domain not well formed")
    else:
        lowered = unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).lower())
        if any(not _fits_label(c) for c in lowered) or lowered[0] == "-" or lowered[-1] == "-":
            raise InvalidAddress("domain not well formed")
        if unicodedata.category(lowered[0]).startswith("M"):  # RFC 5891 section 4.2.3.2
            raise InvalidAddress("domain not well formed")
    if len(_ascii_label(lowered)) > MAX_LABEL_OCTETS:
        raise InvalidAddress("domain label too long")
    return lowered


def _fits_label(c: str) -> bool:
    """Letters, digits and marks, the hyphen, and the joiners and dots of RFC 5892 appendix A."""
    if c.isascii():
        return c.isalnum() or c == "-"
    return (
        unicodedata.category(c) in ("Ll", "Lo", "Lm", "Mn", "Mc", "Nd")
        or c in "\u200c\u200d\u00b7\u0375\u05f3\u05f4\u30fb"
    )


def _ascii_label(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")


def _parse_literal(domain: str) -> str:
    #   address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"
    if not domain.endswith("]"):
        raise InvalidAddress("address literal not well formed")
    inner = domain[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        if ":" not in inner:
            return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError:
        raise InvalidAddress("address literal not well formed") from None
    if not _GENERAL_LITERAL.match(inner):
        raise InvalidAddress("address literal not well formed")
    return domain
