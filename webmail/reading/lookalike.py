"""Domains that look like others: letters of several scripts in one label, and letters that pass for Latin ones.

`skeleton` is the idea of Unicode TR 39 section 4 with the letters that are used for it: two names with one skeleton
look alike. It never says that a name is good.
"""

from __future__ import annotations

import unicodedata

# What passes for the Latin letter; Cyrillic and Greek first, then digits and pairs.
_LATIN = {
    "а": "a", "с": "c", "ԁ": "d", "е": "e", "һ": "h", "і": "i", "ј": "j", "ӏ": "l", "о": "o", "р": "p", "ԛ": "q",
    "ѕ": "s", "у": "y", "х": "x", "ԝ": "w", "к": "k", "м": "m", "т": "t", "в": "b", "н": "h", "г": "r",
    "α": "a", "ε": "e", "ι": "i", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "τ": "t", "υ": "u", "χ": "x", "ω": "w",
    "ı": "i", "ɡ": "g", "ł": "l", "ø": "o", "đ": "d", "0": "o", "1": "l", "3": "e", "5": "s",
}  # fmt: skip
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_USED_TOGETHER = frozenset({"HIRAGANA", "KATAKANA", "CJK", "KATAKANA-HIRAGANA", "LATIN"})  # as Japanese does
MAX_DOMAIN = 253


def readable(domain: str) -> str:
    """With the letters that a person is shown; A-labels that mean nothing stay."""
    return ".".join(_label(label) for label in domain[:MAX_DOMAIN].lower().split("."))


def _label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def mixes_scripts(domain: str) -> bool:
    """Letters of scripts that nobody writes in one word."""
    for label in readable(domain).split("."):
        scripts = {unicodedata.name(c, "?").partition(" ")[0] for c in label if c.isalpha()}
        if len(scripts) > 1 and not scripts <= _USED_TOGETHER:
            return True
    return False


def skeleton(domain: str) -> str:
    """Equal for names that look alike."""
    text = "".join(
        _LATIN.get(c, c) for c in unicodedata.normalize("NFKD", readable(domain)) if not unicodedata.combining(c)
    )
    for pair, letter in _PAIRS:
        text = text.replace(pair, letter)
    return text


def looks_like(domain: str, known: str) -> bool:
    """It is another name than `known`, and could be taken for it."""
    return readable(domain) != readable(known) and skeleton(domain) == skeleton(known)
