"""LOGIN-DELAY (RFC 2449 section 6.5): how soon a user may come back. In memory, of this process."""

from __future__ import annotations

import time
from collections import OrderedDict

from django.conf import settings

MAX_REMEMBERED = 100_000


class LoginDelays:
    def __init__(self) -> None:
        self._last: OrderedDict[int, float] = OrderedDict()  # user id: when the last session began

    def is_too_soon(self, user_id: int) -> bool:
        last = self._last.get(user_id)
        return last is not None and time.monotonic() < last + settings.POP3_LOGIN_DELAY_S

    def note(self, user_id: int) -> None:
        if settings.POP3_LOGIN_DELAY_S:
            self._last[user_id] = time.monotonic()
            self._last.move_to_end(user_id)
            if len(self._last) > MAX_REMEMBERED:
                self._last.popitem(last=False)


login_delays = LoginDelays()
