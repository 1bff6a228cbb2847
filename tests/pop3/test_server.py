"""Over real sockets: poplib, TLS, packets as they come, connections that break."""

from __future__ import annotations

import asyncio
import poplib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings

from accounts.models import User
from mailservers.pop3 import session as session_module
from mailservers.pop3.lock import maildrop_locks
from mailservers.pop3.server import SERVICES
from mailservers.serving.certificates import server_context
from mailservers.serving.listener import Listener
from tests.conftest import PASSWORD
from tests.pop3.conftest import WAIT_S, inbox_flags

Ports = dict[str, int]


@pytest.fixture
def ports(mail: None, monkeypatch: pytest.MonkeyPatch, no_delay: None) -> Iterator[Ports]:
    """Both services on a loop in a thread of its own: {"pop3": port, "pop3s": port}."""
    monkeypatch.setitem(settings.PORTS, "pop3", 0)
    monkeypatch.setitem(settings.PORTS, "pop3s", 0)
    started, found, stop = threading.Event(), {}, asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        listeners = [Listener(service, server_context()) for service in SERVICES]
        for listener in listeners:
            await listener.start()
            found[listener.service.name] = listener.port
        started.set()
        await stop.wait()
        await asyncio.gather(*(listener.stop() for listener in listeners))
        while session_module._last_acts:
            await asyncio.wait(session_module._last_acts)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(WAIT_S)
    yield found
    loop.call_soon_threadsafe(stop.set)
    thread.join(WAIT_S)
    loop.close()


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.DATA_DIR / "tls" / "self-signed.pem")


def sign_in(pop: poplib.POP3) -> None:
    pop.user("anna@harbour.test")
    pop.pass_(PASSWORD)


def drain(pop: poplib.POP3) -> list[bytes]:
    count, octets = pop.stat()
    _, listing, _ = pop.list()
    assert sum(int(line.split()[1]) for line in listing) == octets
    got = []
    for number in range(1, count + 1):
        _, lines, size = pop.retr(number)
        assert size == int(listing[number - 1].split()[1])
        got.append(b"\r\n".join(lines))
        pop.dele(number)
    return got


def test_poplib_in_clear_on_this_machine(ports: Ports, inbox: User) -> None:
    pop = poplib.POP3("127.0.0.1", ports["pop3"], timeout=WAIT_S)
    assert "STLS" in pop.capa()
    sign_in(pop)
    assert pop.top(3, 1)[1] == [b"Subject: three", b"", b"1"]
    assert len(pop.uidl()[1]) == 3
    got = drain(pop)
    assert got[1] == b"Subject: two\r\n\r\n.dot\r\n..\r\n.\r\nabout dots, the end\r\n"
    pop.quit()
    assert inbox_flags(inbox) == {}


def test_poplib_with_stls(ports: Ports, inbox: User) -> None:
    pop = poplib.POP3("localhost", ports["pop3"], timeout=WAIT_S)
    pop.stls(client_context())
    capabilities = pop.capa()
    assert "STLS" not in capabilities and "PLAIN" in capabilities["SASL"]
    sign_in(pop)
    assert len(drain(pop)) == 3
    pop.quit()


def test_poplib_with_implicit_tls(ports: Ports, inbox: User) -> None:
    pop = poplib.POP3_SSL("localhost", ports["pop3s"], context=client_context(), timeout=WAIT_S)
    sign_in(pop)
    assert len(drain(pop)) == 3
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        sign_in(poplib.POP3("127.0.0.1", ports["pop3"], timeout=WAIT_S))
    pop.quit()


def test_a_wrong_password(ports: Ports, inbox: User) -> None:
    pop = poplib.POP3("127.0.0.1", ports["pop3"], timeout=WAIT_S)
    pop.user("anna@harbour.test")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        pop.pass_("wrong")
    pop.quit()


def read_to_end(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


SCRIPT = f"USER anna@harbour.test\r\nPASS {PASSWORD}\r\nLIST\r\nRETR 2\r\nTOP 1 1\r\nXYZZ\r\nQUIT\r\n".encode()


def test_pipelined_and_octet_by_octet(ports: Ports, inbox: User) -> None:
    answers = set()
    for pieces in ([SCRIPT], [SCRIPT[i : i + 1] for i in range(len(SCRIPT))]):
        with socket.create_connection(("127.0.0.1", ports["pop3"]), WAIT_S) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                sock.sendall(piece)
            answers.add(read_to_end(sock))
    assert len(answers) == 1
    assert answers.pop().endswith(b"-ERR Unknown command\r\n+OK Goodbye\r\n")


def test_half_closed(ports: Ports, inbox: User) -> None:
    with socket.create_connection(("127.0.0.1", ports["pop3"]), WAIT_S) as sock:
        sock.sendall(SCRIPT.removesuffix(b"QUIT\r\n"))
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock).endswith(b"-ERR Unknown command\r\n")


def test_commands_smuggled_before_tls(ports: Ports, inbox: User) -> None:
    """CVE-2011-0411: what came in clear with STLS must not be answered under TLS."""
    with socket.create_connection(("localhost", ports["pop3"]), WAIT_S) as sock:
        sock.recv(1000)
        sock.sendall(b"STLS\r\nXYZZ\r\n")
        assert sock.recv(1000) == b"+OK Begin TLS negotiation\r\n"
        with client_context().wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(b"QUIT\r\n")
            assert tls.recv(1000) == b"+OK Goodbye\r\n"


def test_no_tls_after_stls(ports: Ports, mail: None) -> None:
    with socket.create_connection(("127.0.0.1", ports["pop3"]), WAIT_S) as sock:
        sock.sendall(b"STLS\r\n")
        while b"Begin" not in sock.recv(1000):
            pass
        sock.sendall(b"USER anna@harbour.test\r\n" * 10)
        try:
            assert b"+OK" not in read_to_end(sock)  # an alert, perhaps
        except ConnectionResetError:
            pass


def test_a_connection_that_breaks(ports: Ports, inbox: User) -> None:
    pop = poplib.POP3("127.0.0.1", ports["pop3"], timeout=WAIT_S)
    sign_in(pop)
    drain(pop)
    pop.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
    pop.file.close()
    pop.sock.close()
    for _ in range(100):  # the server may see the reset a moment later than we do
        again = poplib.POP3("127.0.0.1", ports["pop3"], timeout=WAIT_S)
        try:
            sign_in(again)
            break
        except poplib.error_proto:
            threading.Event().wait(0.1)
            again.close()
    assert again.stat() == (3, 165)
    again.quit()
    assert len(inbox_flags(inbox)) == 3
    assert inbox.pk not in maildrop_locks._held


def test_silence_ends_a_session(ports: Ports, inbox: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "POP3_TIMEOUT_S", 0.05)
    with socket.create_connection(("127.0.0.1", ports["pop3"]), WAIT_S) as sock:
        assert read_to_end(sock) == b"+OK Postroom POP3 server ready\r\n"


def test_a_full_server(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_CONNECTIONS", 0)
    with socket.create_connection(("127.0.0.1", ports["pop3"]), WAIT_S) as sock:
        assert read_to_end(sock) == b"-ERR [SYS/TEMP] Too many connections; try again later\r\n"
