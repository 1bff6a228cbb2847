"""What a session is given and what it can be: its connection, its role, its mode."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from enum import Enum
from typing import Any, Protocol

Waiting = Coroutine[Any, Any, None]  # a handler that has to wait for a service before it can answer


class Wire(Protocol):
    """What a session needs of its connection."""

    peer_address: str
    is_tls: bool

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def hang_up(self) -> None: ...
    def expect_within(self, seconds: float) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def start_tls(self) -> Awaitable[None]: ...
    def tls_description(self) -> str: ...
    def channel_binding(self, kind: str) -> bytes | None: ...
    @property
    def is_trusted(self) -> bool: ...
    @property
    def may_send_password(self) -> bool: ...


class Role(Enum):
    RELAY = "relay"  # port 25: mail for our users from anybody
    SUBMISSION = "submission"  # mail from our users to anybody, after AUTH
    LMTP = "lmtp"  # RFC 2033: mail for our users from an MTA beside us, answered by recipient


class Mode(Enum):
    LINE = 1
    DATA = 2
    ANSWER = 3
    CHUNK = 4
    SILENCE = 5  # the greeting has not been sent
