"""Content-transfer-encodings (RFC 2045 section 6): tolerant decoders in linear time; none of them raises."""

import binascii

_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64_ALPHABET))

IDENTITY = frozenset({b"7bit", b"8bit", b"binary"})
KNOWN = IDENTITY | {b"base64", b"quoted-printable"}


def decode_base64(data: bytes) -> bytes:
    """Decode, ignoring octets outside the alphabet; what follows the padding is not part of the data."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:  # padding missing, or one stray digit at the end
        digits = data.translate(None, _NOT_BASE64)
        whole = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
        return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def decode_quoted_printable(data: bytes) -> bytes:
    """Decode; a `=` that starts no valid escape is kept as it is."""
    return binascii.a2b_qp(data)


def decode_transfer(data: bytes, encoding: bytes) -> bytes:
    """Decode `data`; an encoding that is not known (RFC 2045 section 6.4) leaves it as it is."""
    if encoding == b"base64":
        return decode_base64(data)
    if encoding == b"quoted-printable":
        return decode_quoted_printable(data)
    return data
