"""QUOTA (RFC 9208): a quota root for each user, and one for each domain that is limited as a whole.

"#user/LOGIN" covers all mailboxes of that user, "#domain/NAME" those of all its users. Everyone may look at their
own two; administrators at all, and they alone may set limits (QUOTASET is advertised to them only).
"""

from collections.abc import Iterator

from accounts.models import Domain, User
from accounts.services.quotas import set_domain_quota, set_user_quota
from mailservers.formats.imap.quotas import OCTETS_A_UNIT, SetQuotaRequest, in_units, quota_response
from mailservers.formats.imap.writer import astring
from mailservers.formats.imap.writer import mailbox as mailbox_text
from mailservers.imap.replies import Refusal
from mailservers.imap.session import Session
from mailservers.store.access import find_access
from mailservers.store.engine import store
from mailservers.store.errors import NoSuchMailbox
from mailservers.store.quota import Allowance, domain_allowance, room_of

RESOURCES = ("STORAGE", "MESSAGE")
USER_ROOT = "#user/"
DOMAIN_ROOT = "#domain/"


async def getquota(session: Session, root: str) -> None:
    """GETQUOTA: one root's usage and limits."""
    allowance = await store.read(_allowance, root) if may_see(session, root) else None
    if allowance is None:
        raise Refusal("NONEXISTENT", "No such quota root")
    session.untagged(quota_response(root, resources(allowance)))


async def getquotaroot(session: Session, mailbox: str) -> None:
    """GETQUOTAROOT: which roots cover a mailbox, whether it is there or will be (section 4.1.2)."""
    roots = await store.read(_roots_of, session.user_id, mailbox)
    names = b" ".join(astring(root.encode()) for root, _ in roots)
    session.untagged(b"QUOTAROOT %b %b" % (mailbox_text(mailbox, session.utf8), names))
    for root, allowance in roots:
        session.untagged(quota_response(root, resources(allowance)))


async def setquota(session: Session, request: SetQuotaRequest) -> None:
    """SETQUOTA: limits that are not named are taken away (section 4.1.3). A limit of 0 would forbid all mail;
    there is no such limit here."""
    if session.identity is None or not session.identity.is_admin:
        raise Refusal("NOPERM", "Only administrators set quotas")
    if any(name not in RESOURCES or limit == 0 for name, limit in request.limits.items()):
        raise Refusal("CANNOT", "Only STORAGE and MESSAGE can be limited, to 1 or more")
    octets = request.limits.get("STORAGE", 0) * OCTETS_A_UNIT
    messages = request.limits.get("MESSAGE", 0)
    actor = session.identity.login
    user_id, domain_id = await store.read(_root_ids, request.root)
    if user_id is not None:
        await store.call(set_user_quota, user_id, octets, messages, actor=actor)
    elif domain_id is not None:
        await store.call(set_domain_quota, domain_id, octets, messages, actor=actor)
    else:
        raise Refusal("NONEXISTENT", "No such quota root")
    await getquota(session, request.root)


def may_see(session: Session, root: str) -> bool:
    assert session.identity is not None
    login = session.identity.login
    own = (USER_ROOT + login, DOMAIN_ROOT + login.rpartition("@")[2])
    return session.identity.is_admin or root.lower() in own


def resources(allowance: Allowance) -> Iterator[tuple[str, int, int]]:
    """(name, usage, limit) of what is limited; STORAGE in begun units."""
    if allowance.limit_octets:
        yield "STORAGE", in_units(allowance.octets), in_units(allowance.limit_octets)
    if allowance.limit_messages:
        yield "MESSAGE", allowance.messages, allowance.limit_messages


def _roots_of(user_id: int, mailbox: str) -> list[tuple[str, Allowance]]:
    """A shared mailbox counts for its owner, whose usage is nobody else's to see: no roots."""
    try:
        owner_id = find_access(user_id, mailbox).row.owner_id
    except NoSuchMailbox:
        owner_id = user_id
    return _own_roots(user_id) if owner_id == user_id else []


def _own_roots(user_id: int) -> list[tuple[str, Allowance]]:
    room = room_of(user_id)
    login = User.objects.filter(pk=user_id).values_list("login", flat=True).first()
    if room is None or login is None:
        return []
    roots = [(USER_ROOT + login, room.own)]
    if room.domain is not None:
        roots.append((DOMAIN_ROOT + login.rpartition("@")[2], room.domain))
    return roots


def _root_ids(root: str) -> tuple[int | None, int | None]:
    """(user id, domain id), one of them None; a root that names nobody has neither."""
    root = root.lower()
    if root.startswith(USER_ROOT):
        return User.objects.filter(login=root.removeprefix(USER_ROOT)).values_list("pk", flat=True).first(), None
    if root.startswith(DOMAIN_ROOT):
        name = root.removeprefix(DOMAIN_ROOT)
        return None, Domain.objects.filter(name=name).values_list("pk", flat=True).first()
    return None, None


def _allowance(root: str) -> Allowance | None:
    user_id, domain_id = _root_ids(root)
    if user_id is not None:
        room = room_of(user_id)
        return None if room is None else room.own
    return None if domain_id is None else domain_allowance(domain_id)
