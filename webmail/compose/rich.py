"""Written HTML: what an editor may send us, what goes out, and the plain text that is made of it.

A letter's HTML names its pictures by Content-ID (`cid:`), never by address, and holds the quoted original as an empty
`<div data-mail-quote="1">`: only when the message is built does the original's own HTML, sanitised, take its place.
So a quote keeps its tables and colours though the editor knows none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import nh3
from selectolax.lexbor import LexborHTMLParser, LexborNode

from webmail.reading.html import check_complexity, clean_style

QUOTE_MARK = "data-mail-quote"
EMPTY_QUOTE = f'<div {QUOTE_MARK}="1"></div>'
QUOTED = "margin:0 0 0 0.8ex;border-left:1px solid #ccc;padding-left:1ex"
MAX_DEPTH = 100  # of what becomes text
_TAG_NAMES = """
    a b blockquote br code col colgroup dd del div dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins li ol p pre s small span
    strike strong sub sup table tbody td tfoot th thead tr tt u ul
"""
_TAGS = set(_TAG_NAMES.split())
_DROPPED_WHOLE = {"script", "style", "title", "template", "svg", "math", "iframe", "object", "noscript", "textarea"}
_ATTRIBUTES = {
    "*": {"style", "align", "valign", "dir", "width", "height", "bgcolor"},
    "a": {"href"},
    "img": {"src", "alt"},
    "div": {QUOTE_MARK},
    "blockquote": {"type"},
    "font": {"color", "face", "size"},
    "ol": {"start"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_LINK = re.compile(r"\s*(?:https?://|mailto:|tel:)", re.IGNORECASE)
CONTENT_ID = re.compile(r"[A-Za-z0-9._@+=$-]{1,120}\Z")
_CID = re.compile(r'<img\b[^>]*?\bsrc="cid:([^"]*)"')
_BLOCK_NAMES = "p div h1 h2 h3 h4 h5 h6 ul ol li blockquote pre table tr hr dl dt dd"
_BLOCKS = frozenset(_BLOCK_NAMES.split())


def clean_written(source: str) -> str:
    """What a person wrote, or another program's draft: known elements, pictures by Content-ID alone. Raises
    `TooComplex`."""
    check_complexity(source)

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "style":
            return clean_style(value)
        if attribute == "href":
            return value.strip() if _LINK.match(value) else None
        if attribute == "src":
            is_ours = value[:4].lower() == "cid:" and CONTENT_ID.match(value[4:])
            return f"cid:{value[4:]}" if is_ours else None
        return value

    cleaned = nh3.clean(
        source.replace("\0", ""),
        tags=_TAGS,
        clean_content_tags=_DROPPED_WHOLE,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        link_rel=None,
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        url_relative="deny",
    )
    return re.sub(r"<img(?![^>]* src=)[^>]*>", "", cleaned)


def content_ids(html: str) -> list[str]:
    """Of the pictures in cleaned HTML, in their order."""
    return list(dict.fromkeys(_CID.findall(html)))


def without_picture(html: str, content_id: str) -> str:
    """Cleaned HTML without one whose content is gone."""
    return re.sub(rf'<img\b[^>]*?\bsrc="cid:{re.escape(content_id)}"[^>]*>', "", html)


def dressed(html: str) -> str:
    """Cleaned HTML as a document that mail programs show as it was written: a paragraph is a line."""
    html = html.replace("<p></p>", "<p><br></p>").replace("<p>", '<p style="margin:0">')
    html = html.replace("<blockquote>", f'<blockquote style="{QUOTED}">')
    return f'<!DOCTYPE html>\r\n<html><head><meta charset="utf-8"></head><body>{html}</body></html>\r\n'


def undressed(html: str) -> str:
    """What `dressed` made, cleaned, as it was before."""
    return (
        html.replace('<p style="margin:0">', "<p>").replace("<p><br></p>", "<p></p>").replace(f' style="{QUOTED}"', "")
    )


def with_quote(html: str, quote: str) -> str:
    """Cleaned HTML with the original in its place, once. The mark stays: a letter that comes back to be written on can
    be taken apart again."""
    before, found, after = html.partition(EMPTY_QUOTE)
    return before + _marked(quote) + after.replace(EMPTY_QUOTE, "") if found else html


def without_quote(html: str, quote: str) -> str:
    """The opposite, where the cleaned HTML holds this very quote; one that another program has changed stays as it is,
    without the mark."""
    before, found, after = html.partition(_marked(clean_written(quote))) if quote else (html, "", "")
    mark = f' {QUOTE_MARK}="1"'
    return before.replace(mark, "") + (EMPTY_QUOTE if found else "") + after.replace(mark, "")


def _marked(quote: str) -> str:
    return f'<div {QUOTE_MARK}="1">{quote}</div>'


def from_text(text: str) -> str:
    """Plain text as HTML: each line a paragraph's line, quoted lines a quotation."""
    parts: list[str] = []
    for is_quoted, lines in _runs(text.replace("\r\n", "\n").rstrip("\n").split("\n")):
        if is_quoted:
            inner = from_text("\n".join(line[1:].removeprefix(" ") for line in lines))
            parts.append(f"<blockquote>{inner}</blockquote>")
        else:
            parts += [f"<p>{nh3.clean_text(line).replace('&#32;', ' ')}</p>" for line in lines]
    return "".join(parts)


def _runs(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    run: list[str] = []
    for line in lines:
        if run and run[0].startswith(">") != line.startswith(">"):
            yield run[0].startswith(">"), run
            run = []
        run.append(line)
    if run:
        yield run[0].startswith(">"), run


# ---------------------------------------------------------------- to text


def to_text(html: str, quote: str = "") -> str:
    """Cleaned HTML as a person would have written it in plain text; `quote` stands for the empty quote."""
    body = LexborHTMLParser(html).body
    if body is None:
        return ""
    writer = _Writer(quote)
    writer.children(body, 0)
    return writer.text()


class _Writer:
    """Lines; `_prefix` is what each begins with (quotes, lists)."""

    def __init__(self, quote: str) -> None:
        self._quote = quote
        self._lines: list[str] = []
        self._line = ""
        self._prefix = ""
        self._first = ""  # instead of the prefix, on the next line

    def text(self) -> str:
        self._end_line()
        return "\n".join(self._lines).strip("\n") + "\n" if any(self._lines) else ""

    def children(self, node: LexborNode, depth: int) -> None:
        for child in node.iter(include_text=True):
            if child.tag == "-text":
                self._add(child.text_content or "", is_kept=node.tag == "pre")
            elif depth < MAX_DEPTH:
                self._element(child, depth + 1)

    def _element(self, node: LexborNode, depth: int) -> None:
        tag = node.tag or ""
        if tag in _BLOCKS:
            self._end_line()
        if QUOTE_MARK in node.attributes:
            self._lines += ["", *self._quote.strip("\n").split("\n")]
        elif tag == "br":
            self._break()
        elif tag == "hr":
            self._lines.append(f"{self._prefix}---")
        elif tag == "img":
            self._add(f"[{node.attributes.get('alt') or 'image'}]")
        elif tag in ("blockquote", "li"):
            self._indented(node, depth)
        elif tag == "a":
            self._link(node, depth)
        else:
            began = len(self._lines)
            self.children(node, depth)
            if tag == "p" and not self._line.strip() and len(self._lines) == began:
                self._break()
        if tag in _BLOCKS:
            self._end_line()

    def _indented(self, node: LexborNode, depth: int) -> None:
        before = self._prefix
        if node.tag == "blockquote":
            self._prefix += "> "
        else:
            self._first = self._prefix + _bullet(node)
            self._prefix += "  " if self._first.endswith("- ") else "   "
        self.children(node, depth)
        self._end_line()
        self._prefix, self._first = before, ""

    def _link(self, node: LexborNode, depth: int) -> None:
        began = len(self._line)
        self.children(node, depth)
        address = node.attributes.get("href") or ""
        label = self._line[began:].strip()
        if address and address.removeprefix("mailto:") != label and address.rstrip("/") != label:
            self._add(f" <{address}>")

    def _add(self, text: str, *, is_kept: bool = False) -> None:
        if is_kept:
            first, *others = text.split("\n")
            self._line += first
            for line in others:
                self._break()
                self._line += line
            return
        folded = " ".join(text.split())
        if text[:1].isspace() and self._line and not self._line.endswith(" "):
            folded = f" {folded}" if folded else " "
        if text[-1:].isspace() and folded.strip():
            folded += " "
        self._line += folded

    def _break(self) -> None:
        self._lines.append(f"{self._first or self._prefix}{self._line}".rstrip())
        self._line = self._first = ""

    def _end_line(self) -> None:
        if self._line.strip():
            self._break()
        self._line = ""


def _bullet(node: LexborNode) -> str:
    parent = node.parent
    if parent is None or parent.tag != "ol":
        return "- "
    number = 1
    before = node.prev
    while before is not None:
        number += before.tag == "li"
        before = before.prev
    return f"{number}. "
