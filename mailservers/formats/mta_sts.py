"""MTA-STS records and policies (RFC 8461 section 3): text in, values out, `InvalidPolicy` the only error.

sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
sts-version     = %s"v=STSv1"
sts-id          = %s"id" equal sts-id-value          ; 1*32(ALPHA / DIGIT)

policy lines    = key ":" *WSP value, ended by LF or CRLF; all keys but mx count once, the first time
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_POLICY_OCTETS = 64 * 1024  # section 3.3
MAX_AGE_S = 31_557_600
MAX_MX = 500
MODES = ("enforce", "testing", "none")
_VERSION = re.compile(rb"v=STSv1[ \t]*(?:;|\Z)")
_ID = re.compile(rb"[A-Za-z0-9]{1,32}")
_MX = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class InvalidPolicy(ValueError):
    """Text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """`mx`: host names in lower case, "*." in front for any one label."""

    mode: str
    max_age_s: int
    mx: tuple[str, ...]

    def admits(self, host: str) -> bool:
        """Section 4.1: is this host one that the policy names?"""
        name = host.lower().rstrip(".")
        rest = name.partition(".")[2]
        return any(rest == mx[2:] if mx.startswith("*.") else name == mx for mx in self.mx)


def policy_id(records: Iterable[bytes]) -> str | None:
    """The id of the one record that is an MTA-STS record; None where there is none, or more than one."""
    ours = [record for record in records if _VERSION.match(record)]
    if len(ours) != 1:
        return None
    for field in ours[0].split(b";")[1:]:
        name, equal, value = field.strip(b" \t").partition(b"=")
        if name == b"id" and equal and _ID.fullmatch(value):
            return value.decode("ascii")
    return None


def parse_policy(body: bytes) -> StsPolicy:
    """Raises `InvalidPolicy`."""
    if len(body) > MAX_POLICY_OCTETS:
        raise InvalidPolicy("the policy is too long")
    values: dict[str, str] = {}
    mx: list[str] = []
    for line in body.decode("utf-8", "replace").splitlines():
        key, colon, value = line.partition(":")
        key, value = key.strip(" \t"), value.strip(" \t")
        if not colon:
            if line.strip():
                raise InvalidPolicy("a line has no colon")
        elif key == "mx":
            mx.append(value.lower().rstrip("."))
        else:
            values.setdefault(key, value)
    return _policy(values, mx)


def _policy(values: dict[str, str], mx: list[str]) -> StsPolicy:
    if values.get("version") != "STSv1":
        raise InvalidPolicy("the version is not STSv1")
    mode, age = values.get("mode", ""), values.get("max_age", "")
    if mode not in MODES:
        raise InvalidPolicy("the mode is none of enforce, testing and none")
    if not re.fullmatch(r"[0-9]{1,10}", age, re.ASCII):
        raise InvalidPolicy("max_age is no number of seconds")
    if len(mx) > MAX_MX or not all(_MX.fullmatch(name) for name in mx):
        raise InvalidPolicy("an mx is no host name")
    if not mx and mode != "none":
        raise InvalidPolicy("no mx is named")
    return StsPolicy(mode, min(int(age), MAX_AGE_S), tuple(dict.fromkeys(mx)))
