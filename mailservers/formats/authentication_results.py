"""Authentication-Results fields (RFC 8601 section 2.2): writing ours, reading those of others.

    authres-header = "Authentication-Results:" [CFWS] authserv-id [ CFWS version ] ( no-result / 1*resinfo )
    resinfo        = [CFWS] ";" method "=" result [ CFWS "reason" "=" value ] [ CFWS 1*propspec ]
    propspec       = ptype "." property "=" pvalue

Reading is linear, lenient, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_OCTETS = 64 * 1024
MAX_RESULTS = 100

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+\Z")  # RFC 2045 5.1
_KEYWORD = re.compile(r"[A-Za-z0-9_-]+")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]*@[A-Za-z0-9.-]+\Z")
_SPECIAL = re.compile(r"[()\"\\;]")
_UNQUOTE = re.compile(r"\\(.)", re.DOTALL)
# Possessive, and from the start of a word only: a long word that is no name is looked at once, not from each octet on.
_PAIR = re.compile(
    r'(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]++)(?:\s*+/\s*+\d++)?+\s*+=\s*+("(?:[^"\\]++|\\.)*+"|[^\s";]++)', re.DOTALL
)
_ID = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s";]+)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One resinfo. `properties`: ("smtp.mailfrom", value)…"""

    method: str
    result: str
    reason: str = ""
    properties: tuple[tuple[str, str], ...] = ()

    def property(self, name: str) -> str:
        return next((value for key, value in self.properties if key == name), "")


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """`authserv_id` "" when there is none to be read."""

    authserv_id: str
    results: tuple[MethodResult, ...] = field(default=())


def format_results(authserv_id: str, results: Sequence[MethodResult]) -> bytes:
    """The whole field with its CRLF, one result a line."""
    lines = [_resinfo(result) for result in results] or ["none"]
    body = "".join(f";\r\n\t{line}" for line in lines)
    return f"Authentication-Results: {_value(authserv_id)}{body}\r\n".encode("utf-8", "replace")


def _resinfo(result: MethodResult) -> str:
    words = [f"{result.method}={result.result}"]
    if result.reason:
        words.append(f'reason="{_quotable(result.reason)}"')
    words += [f"{name}={_value(value)}" for name, value in result.properties if value]
    return " ".join(words)


def _value(text: str) -> str:
    return text if _TOKEN.match(text) or _ADDRESS.match(text) else f'"{_quotable(text)}"'


def _quotable(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)[:200]
    return clean.replace("\\", "\\\\").replace('"', '\\"')


# ---------------------------------------------------------------- reading


def parse_results(value: bytes | str) -> AuthenticationResults:
    """The field's value, folds included."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    pieces = _pieces(text[:MAX_OCTETS])
    found = _ID.match(pieces[0])
    authserv_id = _unquoted(found[1]) if found else ""
    results = (_parse_resinfo(piece) for piece in pieces[1 : MAX_RESULTS + 1])
    return AuthenticationResults(authserv_id, tuple(result for result in results if result is not None))


def _parse_resinfo(piece: str) -> MethodResult | None:
    pairs = [(name.lower(), _unquoted(value)) for name, value in _PAIR.findall(piece)]
    if not pairs or "." in pairs[0][0]:
        return None
    method, result = pairs[0]
    if not _KEYWORD.fullmatch(result):  # RFC 8601 2.2: what is no keyword is no result
        return None
    reason = next((value for name, value in pairs[1:] if name == "reason"), "")
    return MethodResult(method, result.lower(), reason, tuple(pair for pair in pairs[1:] if "." in pair[0]))


def _unquoted(text: str) -> str:
    return _UNQUOTE.sub(r"\1", text[1:-1]) if text.startswith('"') else text


def _pieces(text: str) -> list[str]:
    """The text between semicolons, comments made a blank; semicolons in quotes and comments do not count."""
    pieces: list[str] = []
    current: list[str] = []
    for part, is_end in _walk(text):
        current.append(part)
        if is_end:
            pieces.append("".join(current))
            current = []
    return [*pieces, "".join(current)]


def _walk(text: str) -> Iterable[tuple[str, bool]]:
    """(text, whether a semicolon follows it)."""
    at, depth, in_quotes = 0, 0, False
    while True:
        match = _SPECIAL.search(text, at)
        end = match.start() if match else len(text)
        if depth == 0:
            yield text[at:end], False
        if match is None:
            return
        at = match.end()
        mark = match[0]
        if mark == "\\":
            if depth == 0:
                yield text[end : at + 1], False
            at += 1
        elif mark == '"' and depth == 0:
            in_quotes = not in_quotes
            yield mark, False
        elif mark == "(" and not in_quotes:
            depth += 1
        elif mark == ")" and not in_quotes and depth:
            depth -= 1
            yield " ", False
        elif mark == ";" and depth == 0 and not in_quotes:
            yield "", True
        elif depth == 0:
            yield mark, False
