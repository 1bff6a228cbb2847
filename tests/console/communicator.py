"""A WebSocket client for a consumer, without a server (Channels' own needs daphne, which we do not use)."""

from __future__ import annotations

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator


class WebsocketCommunicator(ApplicationCommunicator):
    """Speaks the ASGI WebSocket messages to `application`; `scope` holds what middleware would have put there."""

    def __init__(
        self,
        application: Any,
        path: str,
        scope: dict[str, Any] | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        base = {"type": "websocket", "path": path, "query_string": b"", "headers": list(headers), "subprotocols": []}
        super().__init__(application, {**base, **(scope or {})})

    async def connect(self, timeout_s: float) -> tuple[bool, int | None]:
        """(accepted, close code)."""
        await self.send_input({"type": "websocket.connect"})
        output = await self.receive_output(timeout_s)
        return output["type"] == "websocket.accept", output.get("code")

    async def send_text(self, text: str) -> None:
        await self.send_input({"type": "websocket.receive", "text": text})

    async def send_json(self, value: Any) -> None:
        await self.send_text(json.dumps(value))

    async def receive_json(self, timeout_s: float) -> Any:
        output = await self.receive_output(timeout_s)
        assert output["type"] == "websocket.send", output
        return json.loads(output["text"])

    async def disconnect(self, timeout_s: float) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(timeout_s)
