"""Files that users hand in, and reading the mail in them: `begin`, `take` piece by piece, `start` a thread.

A thread that is gone (its process was ended) leaves a row without a beat; whoever looks at it next begins again, and
what has been filed already is passed over. Functions whose first argument is `tx` are store operations.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections

from mailservers.store.engine import store
from mailservers.store.errors import StoreError
from mailservers.store.mailboxes import normal_name
from mailservers.store.transaction import Transaction
from mailservers.transfer.filing import Filed, Filing
from mailservers.transfer.importing import NothingFound, import_mail
from mailservers.transfer.unpacking import CannotUnpack, prepared
from webmail.models import MailImport

log = logging.getLogger(__name__)

MAX_AT_ONCE = 2  # threads of this process
BEAT_S = 0.5
GONE_AFTER = timedelta(seconds=20)  # without a beat
ABANDONED_AFTER_S = 24 * 3600.0
MAX_TROUBLES = 50  # that are shown
SPARE_OCTETS = 512 * 1024 * 1024  # of the disk that an import leaves alone
State = MailImport.State
_slots = threading.BoundedSemaphore(MAX_AT_ONCE)


class Refused(StoreError):
    """The text is for the user."""


class _Cancelled(Exception):
    pass


# ---------------------------------------------------------------- handing in


def begin(user_id: int, name: str, size: int, folder: str) -> str:
    """A new import; its token. Raises `Refused`, `InvalidMailboxName`."""
    if not 0 < size <= settings.IMPORT_SIZE_LIMIT:
        raise Refused(f"a file can have up to {settings.IMPORT_SIZE_LIMIT // 1024**2:,} MB")
    folder = normal_name(folder) if folder else ""
    directory = _directory()
    _forget_abandoned(directory)
    if shutil.disk_usage(directory).free < 2 * size + SPARE_OCTETS:
        raise Refused("there is not enough room on the server for this file at the moment")
    return store.call_sync(_begin, user_id, name[-255:], size, folder)


def _begin(tx: Transaction, user_id: int, name: str, size: int, folder: str) -> str:
    row = MailImport.objects.select_for_update().filter(user_id=user_id).first()
    if row is not None and row.state == State.WORKING:
        raise Refused("another file is still being read: wait for it, or stop it")
    if row is not None:
        _drop_files(row.token)
    token = secrets.token_hex(16)
    values = {"token": token, "file_name": name, "folder": folder, "size": size, "beat_at": tx.now}
    fresh = {"received": 0, "added": 0, "skipped": 0, "refused": 0, "troubles": [], "reason": ""}
    MailImport.objects.update_or_create(user_id=user_id, defaults={**values, **fresh, "state": State.RECEIVING})
    return token


def take(user_id: int, token: str, at: int, piece: bytes) -> int:
    """Write a piece of the file; how much of it is there. One that came already changes nothing. Raises `Refused`."""
    row = _receiving(user_id, token)
    if at < row.received:
        return row.received
    if at > row.received or at + len(piece) > row.size:
        raise Refused("this piece does not fit: begin again")
    with open(_file(token), "r+b" if at else "wb") as file:
        file.seek(at)
        file.write(piece)
    store.call_sync(_note_received, user_id, token, at, at + len(piece))
    return at + len(piece)


def size_of(user_id: int, token: str) -> int:
    """Raises `Refused`."""
    return _receiving(user_id, token).size


def _receiving(user_id: int, token: str) -> MailImport:
    row = MailImport.objects.filter(user_id=user_id, token=token, state=State.RECEIVING).first()
    if row is None:
        raise Refused("this import is over: begin again")
    return row


def _note_received(tx: Transaction, user_id: int, token: str, was: int, now: int) -> None:
    waiting = MailImport.objects.filter(user_id=user_id, token=token, state=State.RECEIVING, received=was)
    if not waiting.update(received=now, beat_at=tx.now):
        raise Refused("this import is over, or goes on in another window")


def cancel(tx: Transaction, user_id: int) -> None:
    """What has been filed stays."""
    row = MailImport.objects.filter(user_id=user_id, state__in=(State.RECEIVING, State.WORKING)).first()
    if row is not None:
        MailImport.objects.filter(pk=row.pk, token=row.token).update(state=State.CANCELLED, beat_at=tx.now)
        if row.state == State.RECEIVING:
            _drop_files(row.token)


# ---------------------------------------------------------------- reading


def start(user_id: int, token: str) -> None:
    """Read the file, which is all there. Raises `Refused`."""
    store.call_sync(_start, user_id, token)
    _run(user_id, token)


def _start(tx: Transaction, user_id: int, token: str) -> None:
    row = _receiving(user_id, token)
    if row.received != row.size:
        raise Refused("the file is not complete")
    MailImport.objects.filter(pk=row.pk).update(state=State.WORKING, beat_at=tx.now)


def current(user_id: int) -> MailImport | None:
    """The user's import. One whose thread is gone is begun anew."""
    row = MailImport.objects.filter(user_id=user_id).first()
    if row is not None and row.state == State.WORKING and store.call_sync(_take_over, user_id, row.token):
        _run(user_id, row.token)
    return row


def _take_over(tx: Transaction, user_id: int, token: str) -> bool:
    gone = MailImport.objects.filter(user_id=user_id, token=token, state=State.WORKING, beat_at__lt=tx.now - GONE_AFTER)
    return bool(gone.update(beat_at=tx.now))


def _run(user_id: int, token: str) -> None:
    threading.Thread(target=_work, args=(user_id, token), name=f"import-{user_id}", daemon=True).start()


def _work(user_id: int, token: str) -> None:
    try:
        while not _slots.acquire(timeout=BEAT_S):
            store.call_sync(_beat, user_id, token, None)
        try:
            _read(user_id, token)
        finally:
            _slots.release()
    except _Cancelled:
        pass
    except (NothingFound, CannotUnpack, StoreError) as error:
        store.call_sync(_end, user_id, token, State.FAILED, str(error))
    except OSError as error:
        store.call_sync(_end, user_id, token, State.FAILED, error.strerror or "the file could not be read")
    except Exception:
        log.exception("an import failed")
        store.call_sync(_end, user_id, token, State.FAILED, "something went wrong on the server")
    finally:
        _drop_files(token)
        close_old_connections()


def _read(user_id: int, token: str) -> None:
    row = MailImport.objects.get(user_id=user_id)
    if row.token != token or row.state != State.WORKING:
        raise _Cancelled
    unpacked = _unpacked(token)
    shutil.rmtree(unpacked, ignore_errors=True)
    filing = Filing(user_id, skip_existing=True)
    beat_at = 0.0

    def beat(_done: int) -> None:
        nonlocal beat_at
        if time.monotonic() >= beat_at:
            beat_at = time.monotonic() + BEAT_S
            store.call_sync(_beat, user_id, token, filing.filed)

    filing.on_step = beat
    import_mail(prepared(_file(token), row.file_name, unpacked), filing, row.folder)
    store.call_sync(_beat, user_id, token, filing.filed)
    store.call_sync(_end, user_id, token, State.DONE, "")


def _beat(tx: Transaction, user_id: int, token: str, filed: Filed | None) -> None:
    """Raises `_Cancelled` when nobody wants it any more."""
    known = (
        {}
        if filed is None
        else {
            "added": filed.added,
            "skipped": filed.skipped,
            "refused": len(filed.refused),
            "troubles": [[Path(what).name, why] for what, why in filed.refused[:MAX_TROUBLES]],
        }
    )
    wanted = MailImport.objects.filter(user_id=user_id, token=token, state=State.WORKING)
    if not wanted.update(beat_at=tx.now, **known):
        raise _Cancelled


def _end(tx: Transaction, user_id: int, token: str, state: str, reason: str) -> None:
    MailImport.objects.filter(user_id=user_id, token=token, state=State.WORKING).update(
        state=state, reason=reason, beat_at=tx.now
    )


# ---------------------------------------------------------------- files


def _directory() -> Path:
    directory = settings.DATA_DIR / "imports"
    directory.mkdir(mode=0o700, exist_ok=True)
    return Path(directory)


def _file(token: str) -> Path:
    return _directory() / token


def _unpacked(token: str) -> Path:
    return _directory() / f"{token}.d"


def _drop_files(token: str) -> None:
    _file(token).unlink(missing_ok=True)
    shutil.rmtree(_unpacked(token), ignore_errors=True)


def _forget_abandoned(directory: Path) -> None:
    """Of uploads that were never ended."""
    oldest = time.time() - ABANDONED_AFTER_S
    for path in directory.iterdir():
        if path.lstat().st_mtime < oldest:
            _drop_files(path.name.removesuffix(".d"))
