"""HTML from a message, made safe to show: sanitised here, and isolated by the frame and policy it is shown in.

Three layers, each enough against the usual attacks: `clean_html` keeps a list of known elements, attributes and
style properties and nothing that names another host; the answer has a policy of its own (`BODY_POLICY`: no scripts,
no forms, no requests but to this host's images); the frame is sandboxed without scripts.

Bounds: `clean_html` raises `TooComplex` before the sanitiser is given anything that would cost it more than linear
time (its time grows with the depth of nesting and with elements left open).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import nh3

MAX_CHARACTERS = 1_500_000
MAX_TAGS = 60_000
MAX_DEPTH = 300
MAX_REOPENED = 400_000  # formatting elements that the parser would open again, over the document
BODY_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)

_TAG_NAMES = """
    a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn
    div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q
    rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul
    var wbr
"""
_TAGS = set(_TAG_NAMES.split())
_DROPPED_WHOLE = {
    "script", "style", "title", "template", "svg", "math", "iframe", "object", "embed", "applet", "noscript",
    "noembed", "noframes", "textarea", "select", "xmp", "audio", "video", "canvas",
}  # fmt: skip
_ANYWHERE = {"style", "align", "valign", "dir", "lang", "title", "width", "height", "bgcolor"}
_ATTRIBUTES: dict[str, set[str]] = {
    "*": _ANYWHERE,
    "a": {"href", "name"},
    "img": {"src", "alt", "border", "hspace", "vspace"},
    "font": {"color", "face", "size"},
    "table": {"border", "cellpadding", "cellspacing", "rules", "frame", "summary"},
    "td": {"colspan", "rowspan", "nowrap", "headers", "scope", "abbr"},
    "th": {"colspan", "rowspan", "nowrap", "headers", "scope", "abbr"},
    "col": {"span"},
    "colgroup": {"span"},
    "ol": {"start", "type", "reversed"},
    "ul": {"type"},
    "li": {"value", "type"},
    "blockquote": {"type"},
    "details": {"open"},
    "hr": {"size", "noshade", "color"},
    "br": {"clear"},
    "time": {"datetime"},
}
_STYLE_NAMES = """
    background background-color border border-bottom border-bottom-color border-bottom-left-radius
    border-bottom-right-radius border-bottom-style border-bottom-width border-collapse border-color border-left
    border-left-color border-left-style border-left-width border-radius border-right border-right-color
    border-right-style border-right-width border-spacing border-style border-top border-top-color
    border-top-left-radius border-top-right-radius border-top-style border-top-width border-width box-sizing
    caption-side clear color direction display float font font-family font-size font-style font-variant font-weight
    height letter-spacing line-height list-style list-style-position list-style-type margin margin-bottom margin-left
    margin-right margin-top max-height max-width min-height min-width overflow overflow-wrap padding padding-bottom
    padding-left padding-right padding-top table-layout text-align text-decoration text-indent text-transform
    unicode-bidi vertical-align visibility white-space width word-break word-spacing word-wrap
"""
_STYLES = set(_STYLE_NAMES.split())
# Anything that can name an address, escape a check, or run: such a declaration is dropped whole.
_UNFIT_STYLE = re.compile(
    r"[\\@<>{}=\x00-\x08\x0b\x0e-\x1f\x7f]|/\*|url|image|expression|import|javascript|behavior|-moz-|element\s*\(", re.I
)
_DATA_IMAGE = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/=\s]+\Z", re.IGNORECASE)
_LINK = re.compile(r"\s*(?:https?://|mailto:|tel:)", re.IGNORECASE)
_REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_COLOURED = re.compile(r"(?:bgcolor|background|color)\s*[=:]", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
_CLOSED_BY_PARSER = {
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "colgroup", "html", "head", "body",
}  # fmt: skip
_FORMATTING = {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}


class TooComplex(Exception):
    """The document is too large or too deeply nested to be shown as HTML."""


@dataclass(frozen=True, slots=True)
class CleanHtml:
    """`markup` is safe within the frame; `blocked_images` counts what would have been fetched from other hosts;
    `is_coloured`: it sets colours of its own, so it is shown on white."""

    markup: str
    blocked_images: int
    is_coloured: bool


def clean_html(
    source: str,
    image_address: Callable[[str], str | None],
    picture_address: Callable[[str], str | None] | None = None,
) -> CleanHtml:
    """`image_address` gives our address of the part with a Content-ID, or None; `picture_address` ours of a picture on
    another host, where the reader wants them. Raises `TooComplex`."""
    check_complexity(source)
    blocked = 0

    def keep(tag: str, attribute: str, value: str) -> str | None:
        nonlocal blocked
        if attribute == "style":
            return clean_style(value)
        if attribute == "href":
            return value if _LINK.match(value) else None
        if attribute == "src":
            if value[:4].lower() == "cid:":
                return image_address(value[4:])
            if _DATA_IMAGE.match(value):
                return value
            if not _REMOTE.match(value):
                return None
            ours = picture_address(value.strip()) if picture_address is not None else None
            blocked += ours is None
            return ours
        return value

    markup = nh3.clean(
        source,
        tags=_TAGS,
        clean_content_tags=_DROPPED_WHOLE,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        strip_comments=True,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        url_relative="pass_through",  # `keep` decides about every address
    )
    return CleanHtml(markup, blocked, bool(_COLOURED.search(markup)))


def clean_style(value: str) -> str | None:
    """The declarations that only set looks; None when none is left."""
    kept = []
    for declaration in value.split(";"):
        name, colon, setting = declaration.partition(":")
        name, setting = name.strip().lower(), setting.strip()
        if colon and name in _STYLES and setting and not _UNFIT_STYLE.search(setting):
            kept.append(f"{name}:{setting}")
    return ";".join(kept) or None


def check_complexity(source: str) -> None:
    """One linear pass that bounds the parser's work; see the module. Raises `TooComplex`."""
    if len(source) > MAX_CHARACTERS:
        raise TooComplex("the HTML is too large")
    open_elements: dict[str, int] = {}
    depth = reopened = formatting = 0
    for count, match in enumerate(_TAG.finditer(source)):
        name = match[2].lower()
        if name in _VOID or name in _CLOSED_BY_PARSER:
            reopened += formatting
        elif match[1]:
            if open_elements.get(name):
                open_elements[name] -= 1
                depth -= 1
                formatting -= name in _FORMATTING
        else:
            reopened += formatting
            open_elements[name] = open_elements.get(name, 0) + 1
            depth += 1
            formatting += name in _FORMATTING
        if count > MAX_TAGS or depth > MAX_DEPTH or reopened > MAX_REOPENED:
            raise TooComplex("the HTML is nested too deeply")
