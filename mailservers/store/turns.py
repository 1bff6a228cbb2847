"""Whose message is sent first when more is due than can be sent: senders take turns.

Each recipient queued gets a moment, its turn; the queue is worked through in the order of turns. A sender's turns are
at least STEP apart, so a bulk sender's messages reach far into the future while another's first message has its turn
now. Nobody waits for a turn: it only orders what is due. Kept in memory by the process that accepts: after a restart
the order starts anew. A message's priority (RFC 6710) moves its turn: a step of it is worth AHEAD of waiting.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

STEP = timedelta(milliseconds=20)
AHEAD = timedelta(hours=1)
MAX_SENDERS = 10_000

_last: OrderedDict[object, datetime] = OrderedDict()


def take_turn(sender: object, now: datetime, priority: int = 0) -> datetime:
    """The turn of the sender's next recipient. Called in the store thread only."""
    turn = max(now, _last.pop(sender, now) + STEP)
    _last[sender] = turn
    if len(_last) > MAX_SENDERS:
        _last.popitem(last=False)
    return turn - priority * AHEAD
