"""Dialogs that anyone can read, played against a real server on loopback.

C: EHLO client.test          what the client sends (CRLF is added)
S: 250-mx.postroom.test      a line the server must send: compared by glob (`*` is anything)
S: ...                       any number of lines, up to the one that follows
C! <Python bytes literal>    octets sent as they are
S: <closed>                  the server closes the connection
"""

from __future__ import annotations

import ast
import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fnmatch import translate

from django.test import override_settings

from mailservers.serving.certificates import server_context
from mailservers.serving.listener import Listener, Service

WAIT_S = 20


@asynccontextmanager
async def listening(service: Service) -> AsyncIterator[int]:
    """The service on a free port of 127.0.0.1."""
    ports = {service.name: 0}
    with override_settings(PORTS=ports, BIND=["127.0.0.1"]):
        listener = Listener(service, server_context())
        await listener.start()
        try:
            yield listener.port
        finally:
            await listener.stop()


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def play(port: int, script: str, *, tls: bool = False) -> None:
    """Run one dialog; raises AssertionError naming the line that went otherwise."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context() if tls else None)
    skipping = False
    try:
        for line in filter(None, (part.strip() for part in script.splitlines())):
            kind, _, text = line.partition(" ")
            if kind == "C:":
                writer.write(text.encode() + b"\r\n")
            elif kind == "C!":
                writer.write(ast.literal_eval(text))
            elif text == "...":
                skipping = True
            elif text == "<closed>":
                rest = await asyncio.wait_for(reader.read(), WAIT_S)
                assert not rest, f"more was said before the end: {rest!r}"
            else:
                await _expect(reader, text, skipping)
                skipping = False
    finally:
        writer.close()


async def _expect(reader: asyncio.StreamReader, wanted: str, skipping: bool) -> None:
    pattern = re.compile(translate(wanted.replace("[", "[[]")))
    while True:
        got = await asyncio.wait_for(reader.readline(), WAIT_S)
        text = got.decode("utf-8", "backslashreplace").rstrip("\r\n")
        if pattern.fullmatch(text):
            return
        assert skipping and got, f"expected {wanted!r}, got {text!r}"
