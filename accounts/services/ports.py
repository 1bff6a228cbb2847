"""Which ports the internet expects, which we have, and what exactly is missing to bind them."""

from __future__ import annotations

import errno
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

STANDARD = {  # service -> (port, what for, whether mail from others needs it)
    "smtp": (25, "Mail from other servers", True),
    "submissions": (465, "Mail programs send", True),
    "submission": (587, "Mail programs send, with STARTTLS", False),
    "imaps": (993, "Mail programs read", True),
    "imap": (143, "Mail programs read, with STARTTLS", False),
    "pop3s": (995, "Mail programs fetch", False),
    "pop3": (110, "Mail programs fetch, with STARTTLS", False),
    "web": (80, "The certificate authority’s question, and browsers without TLS", True),
    "https": (443, "Webmail and console", True),
}
_CAP_NET_BIND_SERVICE = 1 << 10
_FIRST_FREE = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@dataclass(frozen=True, slots=True)
class Port:
    service: str
    standard: int
    what_for: str
    is_needed: bool
    current: int | None  # None: not offered
    trouble: str  # why the standard one could not be bound; "" when it could, or is

    @property
    def is_fine(self) -> bool:
        return settings.PUBLIC_PORTS.get(self.service, self.current) == self.standard

    @property
    def setting(self) -> str:
        return f"POSTROOM_{self.service.upper()}_PORT={self.standard}"


def ports() -> list[Port]:
    found = []
    for service, (standard, what_for, is_needed) in STANDARD.items():
        current = settings.PORTS.get(service)
        trouble = "" if current == standard else _trouble(standard)
        found.append(Port(service, standard, what_for, is_needed, current, trouble))
    return found


def is_loopback_only() -> bool:
    return all(address in ("127.0.0.1", "::1") for address in settings.BIND)


def may_bind_low_ports() -> bool:
    """As root, with the capability, or where the system asks for none."""
    return os.geteuid() == 0 or bool(_effective_capabilities() & _CAP_NET_BIND_SERVICE) or _first_free_port() <= 25


def _effective_capabilities() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)


def _first_free_port() -> int:
    try:
        return int(_FIRST_FREE.read_text())
    except (OSError, ValueError):
        return 1024


def _trouble(port: int) -> str:
    """Tried with a socket that never listens."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except PermissionError:
            return "This process may not bind ports below 1024."
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "Another program has it; “ss -ltnp” says which. Stop that one first."
            return error.strerror or str(error)
    return ""


def environment_lines() -> list[str]:
    """For the environment or `.env`: everything that has to be set to serve the internet."""
    lines = [f"POSTROOM_HOSTNAME={settings.HOSTNAME}"]
    if is_loopback_only():
        lines.append("POSTROOM_BIND=0.0.0.0,::")
    return lines + [port.setting for port in ports() if not port.is_fine]


def systemd_unit() -> str:
    """A whole unit for this installation, with the one right that low ports need."""
    lines = [
        "[Unit]",
        "Description=Postroom mail system",
        "After=network-online.target",
        "Wants=network-online.target",
        "",
        "[Service]",
        "User=postroom",
        f"WorkingDirectory={settings.BASE_DIR}",
        *(f"Environment={line}" for line in environment_lines()),
        f"ExecStart={sys.executable} {settings.BASE_DIR / 'manage.py'} serve --data-dir {settings.DATA_DIR}",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "NoNewPrivileges=yes",
        "Restart=on-failure",
        "LimitNOFILE=65536",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def setcap_line() -> str:
    """The same right without systemd; it holds for every program of this Python."""
    return f"sudo setcap cap_net_bind_service=+ep {Path(sys.executable).resolve()}"
