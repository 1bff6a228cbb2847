"""From a letter's text as it stands in the content modules to the text that its writer's program sends."""

import re
from datetime import datetime
from textwrap import dedent

from .clients import Client
from .moments import date_time, fill_dates

_PARAGRAPH_LINE = 50  # characters: a line at least this long goes on in the next one
_STANDS_ALONE = re.compile(r"$|\s|[-*>]|\(?\w{1,2}[.)]\s")  # list items, quotations, tables

_ATTRIBUTIONS = {
    "en": "On {date}, {name} wrote:",
    "de": "Am {date} schrieb {name}:",
    "fr": "Le {date}, {name} a écrit :",
    "es": "El {date}, {name} escribió:",
    "pt": "Em {date}, {name} escreveu:",
    "pl": "W dniu {date} {name} napisał(a):",
    "ru": "{date} {name} написал(а):",
    "el": "Στις {date} έγραψε {name}:",
    "ja": "{date} {name}:",
    "zh": "{date} {name}:",
    "ar": "{date} {name}:",
}


def written(text: str, client: Client, now: datetime) -> str:
    """The text without its indentation and with its dates, one line a paragraph where the program does so."""
    plain = fill_dates(dedent(text).strip("\n"), now)
    return _long_lines(plain) if client.long_lines else plain


def quotation(text: str, language: str, name: str, date: datetime) -> str:
    """What was answered, each line marked, under a line that says whose it is."""
    marked = (f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in text.split("\n"))
    return "\n".join([_ATTRIBUTIONS[language].format(date=date_time(date), name=name), *marked])


def may_flow(text: str) -> bool:
    """Whether format=flowed reads back as the same text without space-stuffing (RFC 3676 section 4.4)."""
    return not any(line.startswith((" ", "From ")) or line.endswith(" ") for line in text.split("\n"))


def _long_lines(text: str) -> str:
    lines: list[str] = []
    previous = ""
    for line in text.split("\n"):
        goes_on = len(previous) >= _PARAGRAPH_LINE and not _STANDS_ALONE.match(line) and previous[0] not in ">-*"
        if goes_on:
            lines[-1] += " " + line
        else:
            lines.append(line)
        previous = line
    return "\n".join(lines)
