"""What the browser shows of a message, what is typed into its search box, and settings in a language of their own."""

from __future__ import annotations

import re

from django.core.exceptions import ImproperlyConfigured

from mailservers.formats.search_keys import walk
from mailservers.outbound.routes import parse_routes
from tests.fuzz.target import only, split, target
from webmail.reading.html import TooComplex, clean_html
from webmail.reading.plain import text_to_html
from webmail.searching.query import MAX_TERMS, parse_query

# Nothing that runs, loads from elsewhere or takes input may be left.
_UNSAFE = re.compile(
    r"<\s*(?:script|iframe|object|embed|form|input|link|meta|base|svg|math|style)\b|<[^>]*\bon[a-z]+\s*=|"
    r"<[^>]*\b(?:href|src)\s*=\s*[\"']?\s*(?:javascript|vbscript)|<[^>]*\bsrc\s*=\s*[\"']?\s*(?:https?:)?//|<[^>]*url\s*\(",
    re.IGNORECASE,
)
# The markup that `text_to_html` makes.
_OURS = re.compile(
    r'<(?:a href="[^"<>]*" target="_blank" rel="noopener noreferrer nofollow"|details class="quote"|'
    r'div class="signature"|p class="muted"|/?(?:a|blockquote|details|summary|div|p))>'
)


@target(
    b'from:anna "two words" -is:unread larger:2M in:Archive before:2025-01-31 has:attachment label:x',
    words=b'from: to: subject: in: is:unread larger:2M before:2025-01-31 has:attachment label: " -',
)
def search_query(data: bytes) -> None:
    """Never refuses, and makes no more of it than MAX_TERMS."""
    query = parse_query(data.decode("utf-8", "replace"))
    if query.key is not None:
        assert sum(1 for _ in walk(query.key)) <= MAX_TERMS * 12
    assert all(query.folders)


@target(
    b'<p style="color:red;background:url(//x)">a<script>b</script><img src=//x><a href="javascript:x">c</a>',
    b"<svg><style><img src=x onerror=alert(1)></style></svg>",
    b"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=x&gt;'>",
    words=(
        b"<p> <script> <svg> <math> <style> </style> <table> <img src= onerror= href=javascript: "
        b"style=color:red url( cid: data:image/png;base64, <!-- --> <noscript> <a <title>"
    ),
    pumped_octets=16_384,
)
def html_shown(data: bytes) -> None:
    """Nothing that runs or loads from another host is left; `TooComplex` and nothing else."""
    found = only(TooComplex, clean_html, data.decode("utf-8", "replace"), lambda cid: "/part/1")
    if not isinstance(found, TooComplex):
        unsafe = _UNSAFE.search(found.markup)
        assert unsafe is None, unsafe


@target(
    b"see http://x.example/(a). <b>\n> quote\n>> more\n-- \nsig",
    words=b"http:// https:// mailto: www. > -- \n < & \" '",
)
def plain_shown(data: bytes) -> None:
    """Markup of ours only."""
    markup = text_to_html(data.decode("utf-8", "replace"))
    ours = _OURS.sub("", markup)
    assert "<" not in ours, ours


@target(b"x.example\xfe[::1]:25", b"*\xferelay.example:587", words=b": [ ] 25 65536")
def outbound_routes(data: bytes) -> None:
    domain, host = (field.decode("utf-8", "replace") for field in split(data, 2))
    found = only(ImproperlyConfigured, parse_routes, {domain: host})
    if isinstance(found, dict):
        assert all(0 < route.port < 65536 and route.host for route in found.values())
