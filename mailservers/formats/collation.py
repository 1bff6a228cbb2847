"""i;unicode-casemap (RFC 5051): what SORT and THREAD compare text by (RFC 5256 section 3)."""

import unicodedata


def unicode_casemap(text: str) -> str:
    """Each character in its simple title case, then fully decomposed; compare the results code point by code point."""
    if text.isascii():
        return text.upper()
    titled = "".join(title if len(title := char.title()) == 1 else char for char in text)
    return unicodedata.normalize("NFKD", titled)
