"""MIME entities as bytes (RFC 2045, RFC 2046), with CRLF line endings and boundaries given by the caller.

The standard library's generator draws boundaries from the global random state and writes every header in
UTF-8; the demo must be the same for the same seed and show many charsets, hence these few writers.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from .header_fields import file_name_parameters, parameterised


@dataclass(frozen=True, slots=True)
class Entity:
    """Header fields (each folded, without its last CRLF) and the encoded body, which ends in CRLF."""

    fields: tuple[bytes, ...]
    body: bytes

    @property
    def eight_bit(self) -> bool:
        return not self.body.isascii()

    def to_bytes(self) -> bytes:
        return b"\r\n".join(self.fields) + b"\r\n\r\n" + self.body


def text(content: str, *, charset: str, cte: str, subtype: str = "plain", parameters: Iterable[str] = ()) -> Entity:
    """A text part; plain US-ASCII content is labelled so and sent as it is, whatever `charset` says."""
    if content.isascii() and max(map(len, content.split("\n"))) < 900:
        charset, cte = "us-ascii", "7bit"
    data = content.rstrip("\n").replace("\n", "\r\n").encode(charset) + b"\r\n"
    content_type = parameterised("Content-Type", f"text/{subtype}", [f"charset={charset}", *parameters])
    return Entity((content_type, _cte_field(cte)), _transfer_encoded(data, cte))


def file(
    name: str,
    content_type: str,
    data: bytes,
    *,
    naming: str = "rfc2231",
    charset: str = "utf-8",
    cid: str = "",
) -> Entity:
    """An attachment in base64; with a `cid` an inline one.

    Programs that write extended parameters (RFC 2231) leave out the outdated `name` unless it is US-ASCII.
    """
    named = file_name_parameters("name", name, naming, charset) if name.isascii() or naming != "rfc2231" else []
    if content_type.startswith("text/"):
        named = ["charset=utf-8", *named]
    disposition = "inline" if cid else "attachment"
    fields = [
        parameterised("Content-Type", content_type, named),
        parameterised("Content-Disposition", disposition, file_name_parameters("filename", name, naming, charset)),
        _cte_field("base64"),
    ]
    if cid:
        fields.append(b"Content-ID: <" + cid.encode("ascii") + b">")
    return Entity(tuple(fields), _transfer_encoded(data, "base64"))


def message(raw: bytes, *, headers_only: bool = False) -> Entity:
    """A message inside a message, unchanged, or only its header section (RFC 3462 section 2)."""
    if headers_only:
        raw = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
    content_type = b"text/rfc822-headers" if headers_only else b"message/rfc822"
    cte = "7bit" if raw.isascii() else "8bit"
    return Entity((b"Content-Type: " + content_type, _cte_field(cte)), raw)


def multipart(
    subtype: str, boundary: str, parts: Iterable[Entity], parameters: Iterable[str] = (), preamble: str = ""
) -> Entity:
    """The parts between boundary lines; labelled 8bit if one of them is (RFC 2045 section 6.4)."""
    delimiter = b"--" + boundary.encode("ascii")
    chunks = [preamble.encode("ascii") + b"\r\n"] if preamble else []
    chunks += [delimiter + b"\r\n" + part.to_bytes() + b"\r\n" for part in parts]
    body = b"".join(chunks) + delimiter + b"--\r\n"
    fields = [parameterised("Content-Type", f"multipart/{subtype}", [*parameters, f'boundary="{boundary}"'])]
    if not body.isascii():
        fields.append(_cte_field("8bit"))
    return Entity(tuple(fields), body)


def _cte_field(cte: str) -> bytes:
    return b"Content-Transfer-Encoding: " + cte.encode("ascii")


def _transfer_encoded(data: bytes, cte: str) -> bytes:
    if cte == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if cte == "quoted-printable":
        return binascii.b2a_qp(data.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    return data
