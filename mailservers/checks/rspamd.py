"""rspamd: another filter's opinion, asked over HTTP (RSPAMD_ADDRESS, `POST /checkv2`).

Its action counts, not its score: what it would mark as junk weighs JUNK_SCORE, `reject` refuses, `soft reject` has the
message come again, and `greylist` makes it doubtful. When it cannot be asked, RSPAMD_REQUIRED decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from django.conf import settings

from mailservers.checks.clamav import chunks_of, connection
from mailservers.checks.opinion import Check, Facts, Reason, Refusal

MAX_ANSWER = 1024 * 1024
MAX_SYMBOLS = 12  # named in the reason

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_AGAIN = Refusal(451, "4.7.1", "Please try again later")


class Rspamd(Check):
    name = "rspamd"

    def is_on(self) -> bool:
        return bool(settings.RSPAMD_ADDRESS)

    async def examine(self, facts: Facts) -> Iterable[Reason]:
        return [verdict(await ask(settings.RSPAMD_ADDRESS, facts))]

    def when_failed(self) -> Reason:
        refusal = Refusal(451, "4.7.1", "The filter is not available; please try again later")
        return Reason("rspamd.error", 0.0, "could not be asked", refusal=refusal if settings.RSPAMD_REQUIRED else None)


def verdict(answer: dict[str, Any]) -> Reason:
    """Raises ValueError when that is no answer of rspamd's."""
    action, score, symbols = answer.get("action"), answer.get("score"), answer.get("symbols")
    if not isinstance(action, str) or not isinstance(score, int | float) or not isinstance(symbols, dict):
        raise ValueError("rspamd gave no verdict")
    ranked = sorted(symbols, key=lambda name: -abs(_score(symbols[name])))[:MAX_SYMBOLS]
    text = f"{action}, {score:g} of {_score(answer, 'required_score'):g}: {', '.join(ranked)}"
    name = f"rspamd.{action.replace(' ', '_')}"
    if action == "reject":
        return Reason(name, settings.JUNK_SCORE * 2, text, refusal=Refusal(550, "5.7.1", "Refused as spam"))
    if action in ("greylist", "soft reject"):
        return Reason(name, settings.GREYLIST_SCORE, text, refusal=_AGAIN if action == "soft reject" else None)
    if action in ("add header", "rewrite subject", "quarantine"):
        return Reason(name, settings.JUNK_SCORE, text)
    return Reason(name, 0.0, text)


def _score(symbol: Any, name: str = "score") -> float:
    value = symbol.get(name) if isinstance(symbol, dict) else None
    return float(value) if isinstance(value, int | float) else 0.0


# ---------------------------------------------------------------- HTTP


async def ask(address: str, facts: Facts) -> dict[str, Any]:
    """The answer's JSON object. Raises OSError, TimeoutError, ValueError."""
    async with connection(address) as (reader, writer):
        writer.write(_request(address, facts))
        async for chunk in chunks_of(facts.content):
            writer.write(chunk)
            await writer.drain()
        answer = b""
        while len(answer) <= MAX_ANSWER:  # "Connection: close": the end of the stream is the end of the answer
            more = await reader.read(64 * 1024)
            if not more:
                break
            answer += more
    status, body = _parse_response(answer)
    if status != 200:
        raise OSError(f"rspamd answered {status}")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("rspamd gave no object")
    return found


def _request(address: str, facts: Facts) -> bytes:
    fields = [
        ("Host", "localhost" if address.startswith("/") else address),
        ("Connection", "close"),
        ("Content-Length", str(len(facts.content))),
        ("IP", str(facts.peer)),
        ("Helo", facts.helo),
        ("From", facts.reverse_path),
        ("Queue-Id", facts.trace_id),
        ("MTA-Name", settings.HOSTNAME),
        *(("Rcpt", recipient) for recipient in facts.recipients[:100]),
    ]
    lines = "".join(f"{name}: {_CONTROLS.sub(' ', value)}\r\n" for name, value in fields)
    return f"POST /checkv2 HTTP/1.1\r\n{lines}\r\n".encode("utf-8", "replace")


def _parse_response(answer: bytes) -> tuple[int, bytes]:
    """(status, body), chunked or not. Raises ValueError."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if status is None:
        raise ValueError("that is no HTTP answer")
    if re.search(rb"\r\ntransfer-encoding:[ \t]*chunked", head, re.IGNORECASE):
        body = b"".join(_chunks(body))
    return int(status[1]), body


def _chunks(body: bytes) -> Iterable[bytes]:
    at = 0
    while True:
        end = body.find(b"\r\n", at)
        if end < 0:
            raise ValueError("the answer was cut off")
        size = int(body[at:end].partition(b";")[0], 16)
        if size == 0:
            return
        yield body[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
