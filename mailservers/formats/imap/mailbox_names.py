"""Mailbox names between octets and text: modified UTF-7 for IMAP4rev1, UTF-8 for IMAP4rev2.

RFC 9051 appendix A.1 (RFC 3501 section 5.1.3). Printable US-ASCII stands for itself except ``&``,
which is ``&-``; all else is UTF-16BE in base64 with ``,`` for ``/`` and no padding, between ``&``
and ``-``. The decoder takes only the one correct form: no superfluous shift, no encoded printable
US-ASCII, no stray surrogates, zero pad bits; so decoding and encoding are each other's inverse.
"""

import base64
import re
from binascii import Error as Base64Error

_SHIFTED = re.compile(r"&([^&-]*+)-")
_UNSHIFTED_RUN = re.compile(r"[^\x20-\x7e]+|&")
_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*\Z")


def decode_utf7(raw: bytes) -> str:
    """Text of a modified UTF-7 name. Raises ValueError where ``raw`` is not exactly that."""
    if _PLAIN.match(raw):
        return raw.decode("ascii")
    name = _SHIFTED.sub(_decode_run, raw.decode("ascii"))
    if encode_utf7(name) != raw:
        raise ValueError("not modified UTF-7")
    return name


def _decode_run(match: re.Match[str]) -> str:
    run = match[1]
    if not run:
        return "&"
    try:
        octets = base64.b64decode(run.replace(",", "/") + "=" * (-len(run) % 4), validate=True)
    except Base64Error as error:
        raise ValueError("not modified UTF-7") from error
    return octets.decode("utf-16-be")


def encode_utf7(name: str) -> bytes:
    """A name as modified UTF-7."""
    return _UNSHIFTED_RUN.sub(_encode_run, name).encode("ascii")


def _encode_run(match: re.Match[str]) -> str:
    run = match[0]
    if run == "&":
        return "&-"
    encoded = base64.b64encode(run.encode("utf-16-be")).decode("ascii")
    return "&" + encoded.rstrip("=").replace("/", ",") + "-"


def decode_name(raw: bytes, utf8: bool) -> str:
    """A mailbox name or LIST pattern as the client sent it. Raises ValueError.

    In IMAP4rev1 a name with octets above 127 is wrong; a client that sends UTF-8 all the same is
    understood.
    """
    name = raw.decode("utf-8") if utf8 or not raw.isascii() else decode_utf7(raw)
    return "INBOX" if name.upper() == "INBOX" else name


def encode_name(name: str, utf8: bool) -> bytes:
    """A mailbox name for the client, not yet quoted."""
    return name.encode("utf-8") if utf8 else encode_utf7(name)
