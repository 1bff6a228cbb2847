"""HTML bodies: what mail programs make of plain text, and the layouts of newsletters, receipts and notices.

Remote pictures point at hosts under example.com, so that a reader which fetches them unasked is easily seen.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

IMAGES = "https://images.example.com"
TRACKER = "https://track.example.com"


def from_text(text: str) -> str:
    """Plain text as a mail program writes it in HTML: paragraphs, line breaks, quotations."""
    style = "p { margin: 0 0 0.8em; font-family: Calibri, sans-serif }"
    blocks = "\n".join(_blocks(text.split("\n")))
    return f"<html><head><style>{style}</style></head>\n<body>\n{blocks}\n</body></html>"


def _blocks(lines: list[str]) -> Iterator[str]:
    """Paragraphs, and for lines that begin with ">" a quotation of what they quote."""
    for quoted, group in groupby(lines, key=lambda line: line.startswith(">")):
        if quoted:
            yield '<blockquote type="cite">'
            yield from _blocks([line.removeprefix(">").removeprefix(" ") for line in group])
            yield "</blockquote>"
            continue
        for filled, paragraph in groupby(group, key=bool):
            if filled:
                yield "<p>" + "<br>\n".join(escape(line, quote=False) for line in paragraph) + "</p>"


def newsletter(
    title: str,
    colour: str,
    intro: str,
    stories: Sequence[tuple[str, str, str]],
    *,
    footer: str,
    banner: str,
    reader: str,
) -> str:
    """A table layout; `stories` are (heading, text, picture file or "")."""
    rows = "\n".join(_story(heading, text, picture, colour) for heading, text, picture in stories)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<style>
body {{ margin: 0; background: #eef2f4; font-family: Georgia, serif }}
h1, h2 {{ color: {colour} }}
a {{ color: {colour} }}
.paper {{ background: #fff url("{IMAGES}/texture/{banner}.png") repeat-x bottom }}
@media (max-width: 480px) {{ .story-picture {{ display: none }} }}
</style></head>
<body>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">
<table role="presentation" width="600" cellpadding="24" cellspacing="0" class="paper">
<tr><td colspan="2" bgcolor="{colour}"><img src="{IMAGES}/banners/{banner}.jpg" width="552" height="120"
 alt="{escape(title)}" style="display:block;color:#fff;font-size:24px"></td></tr>
<tr><td colspan="2"><h1>{escape(title)}</h1><p>{escape(intro)}</p></td></tr>
{rows}
<tr><td colspan="2" style="font-size:12px;color:#667">{escape(footer)}<br>
<a href="https://news.example.com/unsubscribe?r={reader}">Unsubscribe</a> ·
<a href="https://news.example.com/view?r={reader}">Read in your browser</a>
<img src="{TRACKER}/open.gif?r={reader}" width="1" height="1" alt=""></td></tr>
</table></td></tr></table>
</body></html>"""


def _story(heading: str, text: str, picture: str, colour: str) -> str:
    link = f'<a href="https://news.example.com/{heading.lower().replace(" ", "-")[:24]}">Read on</a>'
    words = f"<h2>{escape(heading)}</h2><p>{escape(text)} {link}</p>"
    if not picture:
        return f'<tr><td colspan="2" style="border-top:1px solid {colour}">{words}</td></tr>'
    shown = f'<img src="{IMAGES}/stories/{picture}" width="160" height="120" alt="" class="story-picture">'
    return f'<tr><td valign="top" width="160">{shown}</td><td valign="top">{words}</td></tr>'


def receipt(
    title: str,
    lead: str,
    items: Iterable[tuple[str, str, str]],
    total: str,
    *,
    note: str = "",
    logo: str = "",
) -> str:
    """An order or invoice: `items` are (what, quantity, amount); `logo` is a picture's URL, cid: included."""
    rows = "\n".join(
        f'<tr><td>{escape(what)}</td><td align="right">{escape(quantity)}</td>'
        f'<td align="right">{escape(amount)}</td></tr>'
        for what, quantity, amount in items
    )
    mark = f'<p><img src="{logo}" width="64" height="64" alt=""></p>' if logo else ""
    return f"""<html><body style="font-family:Arial,Helvetica,sans-serif;color:#222">
{mark}<h2 style="color:#18304f">{escape(title)}</h2>
<p>{escape(lead)}</p>
<table width="520" cellpadding="6" cellspacing="0" border="1" style="border-collapse:collapse;border-color:#cdd6dd">
<tr bgcolor="#e8eef2"><th align="left">Item</th><th align="right">Quantity</th><th align="right">Amount</th></tr>
{rows}
<tr><td colspan="2"><b>Total</b></td><td align="right"><b>{escape(total)}</b></td></tr>
</table>
<p style="color:#556">{escape(note)}</p>
</body></html>"""


def notice(title: str, paragraphs: Iterable[str], button: tuple[str, str], *, colour: str = "#1c5d82") -> str:
    """A short notice with one button, given as (label, URL)."""
    text = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    label, url = button
    return f"""<html><body style="background:#f3f5f7;font-family:Verdana,sans-serif">
<div style="max-width:480px;margin:16px auto;padding:24px;background:#ffffff;border-top:6px solid {colour}">
<h2>{escape(title)}</h2>
{text}
<p><a href="{escape(url)}" style="background:{colour};color:#fff;padding:10px 18px;text-decoration:none">{label}</a></p>
</div>
<img src="{TRACKER}/pixel.png?m={len(title) * 7919}" width="1" height="1" alt="">
</body></html>"""


def with_pictures(paragraphs: Iterable[str], cids: Iterable[tuple[str, str]]) -> str:
    """Text followed by pictures that travel in the message; `cids` are (Content-ID, caption)."""
    text = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    shown = "\n".join(
        f'<figure><img src="cid:{cid}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
        for cid, caption in cids
    )
    return f"<html><body>\n{text}\n{shown}\n</body></html>"
