"""HTML to readable text, for search and previews: one pass, linear time, no tree. Never raises.

Not for display: nothing here makes HTML safe. Tags go, block elements become line breaks, scripts, styles and comments
are left out, character references are decoded, white space is folded.
"""

import html
import re

MAX_HTML_CHARACTERS = 2 * 1024 * 1024
_MAX_ATTRIBUTE_CHARACTERS = 4096  # how far a quoted `>` inside a tag is believed

_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:-]{0,30})|<[!?/]")
_CLOSING = {
    name: re.compile(rf"</{name}", re.IGNORECASE)
    for name in ("script", "style", "title", "template", "noembed", "iframe", "svg")
}
_BLOCK_NAMES = """
    address article aside blockquote body br center dd div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 head header hr html legend li main nav ol option p pre section select table tbody
    tfoot thead tr ul
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})
# html.unescape would convert these through int(), which refuses thousands of digits; no character has so many.
_HUGE_REFERENCE = re.compile(r"&#\d{8,};?")


def html_to_text(source: str) -> str:
    """The readable text of an HTML document or fragment; at most MAX_HTML_CHARACTERS of it are read."""
    source = source[:MAX_HTML_CHARACTERS]
    out: list[str] = []
    at = 0
    while (start := source.find("<", at)) >= 0:
        if start > at:
            out.append(_fold(source[at:start]))
        tag = _TAG.match(source, start)
        if tag is None:
            out.append("<")
            at = start + 1
            continue
        name = (tag[1] or "").lower()
        if not name and source.startswith("<!--", start):
            at = source.find("-->", start + 2) + 3
        else:
            at = _tag_end(source, tag.end())
        if at < 3:  # no end: browsers take the rest as part of the tag
            return _finish(out)
        if name in _BLOCKS:
            out.append("\n")
        elif name in _CELLS:
            out.append(" ")
        elif name in _CLOSING and source[start + 1] != "/":
            closing = _CLOSING[name].search(source, at)
            if closing is None:
                return _finish(out)
            at = closing.start()
    out.append(_fold(source[at:]))
    return _finish(out)


def _tag_end(source: str, at: int) -> int:
    """Offset past the `>` that ends the tag, not one in a quoted attribute; 0 when there is none."""
    end = source.find(">", at)
    if end < 0:
        return 0
    while end - at < _MAX_ATTRIBUTE_CHARACTERS and source.count('"', at, end) % 2:
        quote = source.find('"', end, at + _MAX_ATTRIBUTE_CHARACTERS)
        after = source.find(">", quote, at + _MAX_ATTRIBUTE_CHARACTERS) if quote >= 0 else -1
        if after < 0:
            break
        end = after
    return end + 1


def _fold(text: str) -> str:
    """White space in the source is one blank; a line break only where a block begins or ends."""
    folded = " ".join(text.split(None))
    if not folded:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{folded}{' ' if text[-1].isspace() else ''}"


def _finish(out: list[str]) -> str:
    text = "".join(out)
    if "&" in text:
        text = html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
