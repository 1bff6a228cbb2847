"""Plain text as HTML: escaped, with links, and with long quotes folded away. Linear in the length of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

FOLD_QUOTES_OVER = 4  # lines
MAX_SHOWN = 500_000  # characters
_URL = re.compile(r"(?:https?://|mailto:|www\.)[^\s<>\"'`\u00a0-\u00a0\\^{|}]{1,2000}", re.IGNORECASE)
_TRAILING = ".,;:!?'\")]}>*_"
_QUOTE = re.compile(r"(?:> ?)+")
_SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)


def text_to_html(text: str) -> SafeString:
    """Safe HTML; line breaks are kept by the style `white-space: pre-wrap`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    cut = len(text) > MAX_SHOWN
    text = text[:MAX_SHOWN]
    signatures = [match.start() for match in _SIGNATURE.finditer(text)]
    body, tail = (text[: signatures[-1]], text[signatures[-1] :]) if signatures else (text, "")
    out = "".join(_blocks(body))
    if tail:
        out += f'<div class="signature">{_linked(tail)}</div>' if tail.count("\n") <= 12 else "".join(_blocks(tail))
    if cut:
        out += '<p class="muted">The text is cut here; the message source has all of it.</p>'
    return mark_safe(out)  # every piece of the message went through `escape`


def _blocks(text: str) -> Iterator[str]:
    for is_quote, group in groupby(text.split("\n"), lambda line: line.startswith(">")):
        lines = list(group)
        if not is_quote:
            yield _linked("\n".join(lines)) + "\n"
            continue
        quoted = _linked("\n".join(_QUOTE.sub(lambda m: "▏" * m[0].count(">"), line, count=1) for line in lines))
        if len(lines) > FOLD_QUOTES_OVER:
            yield (
                f'<details class="quote"><summary>Quoted text ({len(lines)} lines)</summary>'
                f"<blockquote>{quoted}</blockquote></details>"
            )
        else:
            yield f"<blockquote>{quoted}</blockquote>"


def _linked(text: str) -> str:
    out: list[str] = []
    at = 0
    for match in _URL.finditer(text):
        url = match[0]
        bare = url.rstrip(_TRAILING)
        if url[len(bare) : len(bare) + 1] == ")" and bare.count("(") > bare.count(")"):
            bare += ")"
        if len(bare) <= 8:
            continue
        out.append(escape(text[at : match.start()]))
        target = bare if not bare.lower().startswith("www.") else f"https://{bare}"
        out.append(f'<a href="{escape(target)}" target="_blank" rel="noopener noreferrer nofollow">{escape(bare)}</a>')
        at = match.start() + len(bare)
    out.append(escape(text[at:]))
    return "".join(out)
