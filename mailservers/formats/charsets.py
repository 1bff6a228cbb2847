"""Decode octets in a named charset, as mail in the wild needs it.

`decode_charset` never raises; its text holds no lone surrogates and no NUL, which PostgreSQL cannot store. Names are
resolved the way browsers do (the WHATWG supersets: `iso-8859-1` means windows-1252, `gb2312` means gb18030, …), because
that is what senders mean.
"""

import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:()+-]{0,39}\Z")

# Declared name -> Python codec, where Python knows no such name or a superset decodes more real mail.
_SUPERSETS = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "windows-874": "cp874",
    "tis-620": "cp874",
    "windows-31j": "cp932",
    "utf8mb4": "utf-8",
}

# Only these are looked up: for a name that it does not know, Python searches the disk for a module.
_KNOWN = frozenset(aliases) | frozenset(aliases.values()) | {"cp720", "cp737", "cp874", "koi8_t", "koi8_u"}

# Codecs of Python's that are no charsets; two of them (idna, punycode) take quadratic time.
_NOT_CHARSETS = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "charmap", "mbcs", "oem"}
)
# ASCII octets do not stand for themselves in these, so the ASCII short cut is not for them.
_NOT_ASCII_COMPATIBLE = re.compile(r"utf-7|utf-16|utf-32|iso2022|hz|cp037|cp273|cp424|cp500|cp875|cp1026|cp1140")


@lru_cache(maxsize=512)
def _codec(charset: str) -> str | None:
    """Python's name for a declared charset, or None when it is unknown or not a charset."""
    name = charset.strip().strip("\"'").lower()
    if not _NAME.match(name):
        return None
    for candidate in (name, name.removeprefix("x-"), name.replace("cp-", "cp")):
        wanted = _SUPERSETS.get(candidate, candidate).replace("-", "_").replace(".", "_").replace(":", "_")
        if wanted in _KNOWN:
            try:
                found = codecs.lookup(wanted).name
            except LookupError:  # `mbcs`, which exists on Windows only
                return None
            return None if found in _NOT_CHARSETS else found
    return None


def decode_charset(data: bytes, charset: str | None) -> str:
    """`data` as text: in the declared charset, else UTF-8, else windows-1252; octets without meaning become U+FFFD."""
    return _decode(data, charset).replace("\0", "\ufffd")


def keeps_ascii(charset: str | None) -> bool:
    """Whether octets that are all ASCII stand for themselves in it."""
    return _keeps_ascii(_codec(charset) if charset else None)


def _keeps_ascii(codec: str | None) -> bool:
    return codec is None or not _NOT_ASCII_COMPATIBLE.match(codec)


def _decode(data: bytes, charset: str | None) -> str:
    codec = _codec(charset) if charset else None
    if data.isascii() and _keeps_ascii(codec):
        return data.decode("ascii")
    if codec is None or codec in ("ascii", "utf-8"):
        return _decode_utf8(data)
    try:
        text = data.decode(codec)
    except UnicodeError:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode(codec, "replace")
    except (LookupError, ValueError):  # a codec that does not turn bytes into text (rot13, zlib, …)
        return _decode_utf8(data)
    if codec == "utf-7":  # the one decoder that lets lone surrogates through
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.removeprefix("\ufeff")


def _decode_utf8(data: bytes) -> str:
    """UTF-8, also when some of it is damaged or cut; windows-1252 when hardly any of it can be UTF-8."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    foreign = len(text.encode("utf-8")) - len(text) - 2 * damaged  # continuation octets of whole characters
    return text if foreign > damaged else data.decode("cp1252", "replace")
