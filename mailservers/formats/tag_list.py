"""Tag lists: DKIM and ARC fields, their keys, DMARC records (RFC 6376 section 3.2).

tag-list  =  tag-spec *( ";" tag-spec ) [ ";" ]
tag-spec  =  [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
tag-name  =  ALPHA *( ALPHA / DIGIT / "_" )
tag-value =  [ tval *( 1*(WSP / FWS) tval ) ]          ; tval = 1*VALCHAR
"""

from __future__ import annotations

import base64
import binascii
import re

MAX_OCTETS = 32_768
MAX_TAGS = 100

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_VALUE = re.compile(r"[!-:<-~\u0080-\U0010ffff \t\r\n]*\Z")
_BLANK = " \t\r\n"


class TagListError(ValueError):
    """No tag list, or a tag's value is not what it must be. The text is fit for strangers."""


def parse_tag_list(text: str) -> dict[str, str]:
    """Values by name, as written, in order. Raises `TagListError`; a tag that is there twice makes all invalid."""
    if len(text) > MAX_OCTETS:
        raise TagListError("the tag list is too long")
    tags: dict[str, str] = {}
    specs = text.split(";", MAX_TAGS)
    if not specs[-1].strip(_BLANK) and len(specs) > 1:
        specs.pop()
    for spec in specs:
        name, equals, value = (piece.strip(_BLANK) for piece in spec.partition("="))
        if not equals or not _NAME.match(name) or not _VALUE.match(value):
            raise TagListError("a tag is malformed")
        if name in tags:
            raise TagListError(f"{name}= is there twice")
        tags[name] = value
    return tags


def parse_base64(value: str, name: str) -> bytes:
    """Blanks between the characters do not count. Raises `TagListError`."""
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise TagListError(f"{name}= is not base64") from None


def parse_number(value: str, name: str, digits: int) -> int:
    """1*DIGIT, at most so many. Raises `TagListError`."""
    if not (value.isascii() and value.isdigit() and len(value) <= digits):
        raise TagListError(f"{name}= is not a number")
    return int(value)


def colon_list(value: str) -> list[str]:
    return [item.strip(_BLANK) for item in value.split(":")]
