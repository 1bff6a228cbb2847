"""LMTP (RFC 2033), and connections that a proxy hands on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailservers.formats.proxy_header import V2_SIGNATURE, ProxyHeaderError, parse_v1, parse_v2, v2_length
from mailservers.imap.server import SERVICES as IMAP
from mailservers.serving.certificates import server_context
from mailservers.serving.listener import Listener
from mailservers.smtp.server import SERVICES
from tests.dialog import client_context, listening, play

from .test_relay import contents, delivered

RELAY, _, SUBMISSIONS, LMTP = SERVICES

LMTP_TALK = """
    S: 220 * LMTP Postroom
    C: EHLO c
    S: 500 5.5.2 *
    C: MAIL FROM:<>
    S: 503 5.5.1 Say LHLO first
    C: LHLO mx.next.test
    S: 250-mx.postroom.test
    S: 250-PIPELINING
    S: ...
    S: 250 STARTTLS
    C: MAIL FROM:<a@b.test>
    S: 250 2.1.0 *
    C: DATA
    S: 503 5.5.1 RCPT first
    C: RCPT TO:<anna@harbour.test>
    S: 250 2.1.5 *
    C: RCPT TO:<nobody@harbour.test>
    S: 550 5.1.1 *
    C: RCPT TO:<someone@elsewhere.test>
    S: 550 5.7.1 *
    C: RCPT TO:<ben@harbour.test>
    S: 250 2.1.5 *
    C: DATA
    S: 354 *
    C: over LMTP
    C: .
    S: 250 2.0.0 OK: *
    S: 250 2.0.0 OK: *
    C: QUIT
    S: 221 *
    S: <closed>
"""


async def test_lmtp_answers_for_each_recipient(anna: User, ben: User) -> None:
    async with listening(LMTP) as port:
        await play(port, LMTP_TALK)
    raw = (await asyncio.to_thread(delivered, anna))[0]
    assert b"with LMTP id" in raw
    assert await asyncio.to_thread(contents, ben) == [b"over LMTP\r\n"]


async def test_lmtp_takes_those_it_can(make_user: Callable[..., User]) -> None:
    """One recipient over quota does not cost the other their copy."""
    await asyncio.to_thread(make_user, "anna@harbour.test")
    await asyncio.to_thread(make_user, "full@harbour.test", quota_octets=10)
    async with listening(LMTP) as port:
        await play(
            port,
            """
            S: 220 *
            C: LHLO c
            S: ...
            S: 250 *
            C: MAIL FROM:<a@b.test>
            S: 250 *
            C: RCPT TO:<full@harbour.test>
            S: 250 *
            C: RCPT TO:<anna@harbour.test>
            S: 250 *
            C! b'BDAT 8 LAST\\r\\nwords.\\r\\n'
            S: 452 4.2.2 *
            S: 250 2.0.0 OK: *
            """,
        )


async def test_lmtp_on_a_unix_socket(anna: User, tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    with override_settings(PORTS={}, LMTP_SOCKET=str(path)):
        listener = Listener(LMTP, server_context())
        await listener.start()
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<anna@harbour.test>\r\nBDAT 4 LAST\r\nhi\r\nQUIT\r\n")
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await listener.stop()
    assert said.split(b"\r\n")[-3].startswith(b"250 2.0.0 OK")
    assert b"([local])" in (await asyncio.to_thread(delivered, anna))[0]


# ---------------------------------------------------------------- the PROXY protocol


def v2(command: int, family: int, addresses: bytes) -> bytes:
    return V2_SIGNATURE + bytes([command, family]) + len(addresses).to_bytes(2, "big") + addresses


IPV4 = bytes([192, 0, 2, 9, 127, 0, 0, 1, 200, 0, 0, 25])
IPV6 = bytes.fromhex("20010db8000000000000000000000007") + bytes(15) + b"\1" + bytes([200, 0, 0, 25])
HEADERS = [
    (b"PROXY TCP4 192.0.2.9 127.0.0.1 51200 25\r\n", b"([192.0.2.9])"),
    (b"PROXY TCP6 2001:db8::7 ::1 51200 25\r\n", b"([IPv6:2001:db8::7])"),
    (b"PROXY UNKNOWN\r\n", b"([127.0.0.1])"),
    (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", b"([127.0.0.1])"),
    (v2(0x21, 0x11, IPV4), b"([192.0.2.9])"),
    (v2(0x21, 0x11, IPV4 + b"\x03\0\x04abcd"), b"([192.0.2.9])"),
    (v2(0x21, 0x21, IPV6), b"([IPv6:2001:db8::7])"),
    (v2(0x20, 0x00, b""), b"([127.0.0.1])"),
    (b"PROXY TCP4 192.0.2.9 127.0.0.1 51200\r\n", None),
    (b"PROXY TCP4 2001:db8::7 ::1 51200 25\r\n", None),
    (b"PROXY TCP4 192.0.2.9 127.0.0.1 51200 99999\r\n", None),
    (b"PROXY " + b"x" * 200 + b"\r\n", None),
    (b"EHLO client.test\r\n", None),
    (v2(0x31, 0x11, IPV4), None),
    (v2(0x21, 0x11, IPV4[:8]), None),
    (V2_SIGNATURE + b"\x21\x11\xff\xff", None),
]
SENDING = b"EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<anna@harbour.test>\r\nBDAT 4 LAST\r\nhi\r\nQUIT\r\n"


@pytest.mark.parametrize(("header", "trace"), HEADERS)
async def test_the_client_behind_a_proxy(anna: User, header: bytes, trace: bytes | None) -> None:
    with override_settings(PROXY_FROM=["127.0.0.0/8"], CHECK_EXEMPT=["192.0.2.0/24", "2001:db8::/32"]):
        async with listening(RELAY) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(header + SENDING)
            try:
                said = await asyncio.wait_for(reader.read(), 20)
            except ConnectionError:
                said = b""
            writer.close()
    if trace is None:
        assert said == b""
    else:
        assert trace in (await asyncio.to_thread(delivered, anna))[0]


async def test_a_header_from_strangers_is_not_believed(anna: User) -> None:
    with override_settings(PROXY_FROM=["192.0.2.0/24"]):
        async with listening(RELAY) as port:
            await play(port, "S: 220 *\nC: PROXY TCP4 192.0.2.9 127.0.0.1 51200 25\nS: 500 5.5.2 *")


@pytest.mark.parametrize("service", [SUBMISSIONS, next(s for s in IMAP if s.implicit_tls)])
async def test_the_header_stands_before_tls(mail: None, service: object) -> None:
    def talk(port: int) -> bytes:
        import socket

        plain = socket.create_connection(("127.0.0.1", port), 20)
        plain.sendall(HEADERS[0][0])
        with client_context().wrap_socket(plain) as tls:
            return tls.recv(3)

    with override_settings(PROXY_FROM=["127.0.0.1/32"]):
        async with listening(service) as port:  # type: ignore[arg-type]
            assert await asyncio.to_thread(talk, port) in (b"220", b"* O")


@given(st.binary(max_size=60))
def test_one_error_only(data: bytes) -> None:
    for start in (b"", b"PROXY TCP4 ", V2_SIGNATURE):
        whole = start + data
        try:
            parse_v1(whole)
        except ProxyHeaderError:
            pass
        try:
            rest = whole[16:][: v2_length(whole[:16])]
            parse_v2(whole[:16], rest)
        except ProxyHeaderError:
            pass
