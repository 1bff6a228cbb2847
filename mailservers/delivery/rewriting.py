"""SRS addresses (`formats/srs.py`) sealed with this installation's secret, and what they stand for."""

from __future__ import annotations

import functools
import hashlib
import hmac
import time

from django.conf import settings

from mailservers.formats.srs import NotReversible, is_srs, reverse, rewrite

__all__ = ["NotReversible", "is_srs", "onward_path", "way_back"]

DAY_S = 86_400


def onward_path(reverse_path: str, domain: str) -> str | None:
    """The reverse-path for mail sent on in the name of `domain`; None when it would be too long for SMTP."""
    return rewrite(reverse_path, domain, _key(settings.SECRET_KEY), _today())


def way_back(address: str) -> str:
    """Whose reverse-path this was. Raises `NotReversible` for what was not made here, or too long ago."""
    return reverse(address, _key(settings.SECRET_KEY), _today(), settings.SRS_DAYS)


def _today() -> int:
    return int(time.time()) // DAY_S


@functools.lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hmac.new(secret.encode(), b"postroom srs v1", hashlib.sha256).digest()
