"""An ASGI layer that refuses request bodies over a limit: Django writes whatever comes to a temporary file first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _TooLarge(Exception):
    pass


def limit_bodies(app: App, limit_octets: int) -> App:
    """`app`, with 413 for requests whose body is declared or turns out to be over `limit_octets`."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if _declared(scope) > limit_octets:
            await _refuse(send)
            return
        taken = 0
        has_begun = False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit_octets:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await app(scope, counted, watched)
        except _TooLarge:
            if not has_begun:
                await _refuse(send)

    return limited


def _declared(scope: Scope) -> int:
    value = dict(scope.get("headers", ())).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"The request is too large.\n"})
