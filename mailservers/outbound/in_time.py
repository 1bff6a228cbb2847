"""Messages that have to be there in time (RFC 2852, mode R), or come back."""

from __future__ import annotations

from django.utils import timezone

from mailservers.formats.esmtp import DeliverBy
from mailservers.outbound.client import SmtpSession
from mailservers.outbound.outcomes import Outcome, Result, Unreachable

TOO_LATE = Outcome(Result.FAILED, "5.4.7", explanation="the time by which it had to be delivered is over")


def lack_of_time(by: DeliverBy | None, session: SmtpSession) -> Unreachable | None:
    """RFC 2852 4.1.4: a message that has to be there in time, or come back, goes to hosts that promise that only."""
    if by is None or not by.returns:
        return None
    least = session.extensions.get("DELIVERBY")
    text, status = "", "5.3.3"
    if least is None:
        text = "does not promise to deliver in time (DELIVERBY), which the message asks for"
    elif by.left_s(timezone.now()) < max(int(least) if least.isascii() and least.isdigit() else 0, 1):
        text, status = f"cannot deliver in the {max(by.left_s(timezone.now()), 0)} seconds that are left", "5.4.7"
    if not text:
        return None
    where = f"{session.host} [{session.address}]"
    return Unreachable(f"{where} {text}", temporary=False, status=status, host=session.host, address=session.address)


def is_over(by: DeliverBy | None) -> bool:
    """There is nothing to be tried any more."""
    return by is not None and by.returns and by.at <= timezone.now()
