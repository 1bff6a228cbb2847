"""How long another mail host may take."""

from __future__ import annotations

from django.conf import settings

# RFC 5321 section 4.5.3.2, in seconds; multiplied by OUTBOUND_TIMEOUT_SCALE.
CONNECT_S = 30.0  # not in the RFC
GREETING_S = 300.0
COMMAND_S = 300.0  # EHLO, MAIL, RCPT, and a pipelined group of them
TLS_S = 60.0  # not in the RFC
DATA_START_S = 120.0
DATA_BLOCK_S = 180.0
DATA_END_S = 600.0
QUIT_S = 2.0  # the mail is delivered: nobody waits longer for a goodbye


def scaled(seconds: float) -> float:
    return seconds * settings.OUTBOUND_TIMEOUT_SCALE
