"""IMAP's ENVELOPE, BODYSTRUCTURE and BODY as ready octets (RFC 9051 section 7.5.2; the same in RFC 3501).

Strings are NIL, quoted when they are short and plain, or literals (`{n}` CRLF octets); NUL, which IMAP cannot carry,
becomes `?`. 8-bit octets stand in literals as they are, which both IMAP revisions allow.

Shown as Dovecot shows them, because clients are used to it: types and parameter names in lower case; text without a
charset as `("charset" "us-ascii")`; RFC 2231 continuations joined, extended values as they are under `name*`. A mailbox
without a domain has the empty string for its host, since NIL there would mean a group.
"""

import re

from .addresses import Address, parse_address_list
from .headers import MAX_HEADER_OCTETS, field_map, unfold
from .octets import Octets
from .parts import Part

MAX_QUOTED_OCTETS = 1000

_PLAIN = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-!#-\[\]-\x7f]*+\Z")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*+\Z")
_ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


def nstring(value: bytes | None) -> bytes:
    """`value` as an IMAP nstring."""
    if value is None:
        return b"NIL"
    if len(value) <= MAX_QUOTED_OCTETS:
        if _PLAIN.match(value):
            return b'"' + value + b'"'
        if _QUOTABLE.match(value):
            return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    if b"\0" in value:
        return nstring(value.replace(b"\0", b"?"))
    return b"{%d}\r\n%b" % (len(value), value)


def envelope(header: bytes) -> bytes:
    """The parenthesised ENVELOPE value of a message with that header block."""
    return envelope_of(field_map(header))


def envelope_of(fields: dict[bytes, bytes], parsed: dict[bytes, list[Address]] | None = None) -> bytes:
    """ENVELOPE from `headers.field_map`; `parsed` holds address lists that the caller has parsed already."""
    # envelope = "(" date SP subject SP from SP sender SP reply-to SP to SP cc SP bcc SP in-reply-to SP message-id ")"
    known = parsed or {}
    lists = {}
    for name in _ADDRESS_FIELDS:
        if name in fields:
            lists[name] = _address_list(known[name] if name in known else parse_address_list(fields[name]))
    author = lists.get(b"from", b"NIL")
    for name in (b"sender", b"reply-to"):  # absent or empty, they default to From
        if lists.get(name, b"NIL") == b"NIL":
            lists[name] = author
    return b"(%b)" % b" ".join(
        (
            _field(fields, b"date"),
            _field(fields, b"subject"),
            *(lists.get(name, b"NIL") for name in _ADDRESS_FIELDS),
            _field(fields, b"in-reply-to"),
            _field(fields, b"message-id"),
        )
    )


def _field(fields: dict[bytes, bytes], name: bytes) -> bytes:
    value = fields.get(name)
    return b"NIL" if value is None else nstring(unfold(value).strip())


def _address_list(addresses: list[Address]) -> bytes:
    if not addresses:
        return b"NIL"
    return b"(%b)" % b"".join(
        [
            b"(%b %b %b %b)" % (nstring(a.raw_name), nstring(a.route), nstring(a.raw_local), nstring(a.raw_domain))
            for a in addresses
        ]
    )


def bodystructure(raw: Octets, root: Part, extended: bool = True) -> bytes:
    """The BODYSTRUCTURE value of the message `raw` with that tree; without `extended` the BODY value."""
    if root.is_multipart:
        return _multipart(raw, root, extended)
    return _single(raw, root, extended)


def _multipart(raw: Octets, part: Part, extended: bool) -> bytes:
    #   body-type-mpart = 1*body SP media-subtype [SP body-fld-param [SP dsp [SP lang [SP loc]]]]
    items = [b"".join([bodystructure(raw, child, extended) for child in part.children]), nstring(part.subtype)]
    if extended:
        items += [_params(part.params), _disposition(part), _language(part), nstring(part.location)]
    return b"(%b)" % b" ".join(items)


def _single(raw: Octets, part: Part, extended: bool) -> bytes:
    #   body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets
    params = part.params
    is_text = part.maintype == b"text"
    if is_text and b"charset" not in params and b"charset*" not in params:
        params = {b"charset": b"us-ascii", **params}
    items = [
        nstring(part.maintype),
        nstring(part.subtype),
        _params(params),
        nstring(part.content_id),
        nstring(part.description),
        nstring(part.encoding),
        b"%d" % part.size_octets,
    ]
    if part.is_message:
        embedded = part.children[0]
        header_end = min(embedded.body_start, embedded.header_start + MAX_HEADER_OCTETS)
        items.append(envelope(raw[embedded.header_start : header_end]))
        items.append(bodystructure(raw, embedded, extended))
    if part.is_message or is_text:
        items.append(b"%d" % part.lines)
    if extended:
        items += [nstring(part.md5), _disposition(part), _language(part), nstring(part.location)]
    return b"(%b)" % b" ".join(items)


def _params(params: dict[bytes, bytes]) -> bytes:
    if not params:
        return b"NIL"
    return b"(%b)" % b" ".join([nstring(name) + b" " + nstring(value) for name, value in params.items()])


def _disposition(part: Part) -> bytes:
    if part.disposition is None:
        return b"NIL"
    return b"(%b %b)" % (nstring(part.disposition), _params(part.disposition_params))


def _language(part: Part) -> bytes:
    if part.language is None:
        return b"NIL"
    return b"(%b)" % b" ".join([nstring(tag) for tag in part.language])
