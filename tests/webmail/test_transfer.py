"""Mail out of the browser as a zip file, and files of mail into it: whole, in pieces, stopped, hostile."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.models import User
from mailservers.models import Flag, MailboxMessage
from mailservers.store.content import read_messages
from mailservers.transfer.unpacking import CannotUnpack, prepared
from tests.webmail.conftest import WEB, Put, letter
from webmail.models import MailImport
from webmail.transfer import imports

pytestmark = WEB
PAGE = "/mail/settings/transfer/"
State = MailImport.State


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def contents(user: User) -> dict[str, list[tuple[bytes, int]]]:
    found: dict[str, list[tuple[bytes, int]]] = {}
    for place in MailboxMessage.objects.filter(mailbox__owner=user).select_related("mailbox").order_by("id"):
        ((_, raw),) = read_messages([place.message_id])
        found.setdefault(place.mailbox.name, []).append((raw, place.flags))
    return found


def ended(user: User) -> MailImport:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        row = MailImport.objects.get(user=user)
        if row.state not in (State.RECEIVING, State.WORKING):
            return row
        time.sleep(0.02)
    raise AssertionError("it does not end")


def zip_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def upload(client: Client, name: str, content: bytes, folder: str = "") -> Any:
    return client.post(f"{PAGE}whole/", {"file": SimpleUploadedFile(name, content), "folder": folder})


def exported(client: Client, **query: str) -> bytes:
    answer = client.get(f"{PAGE}export/", query)
    assert answer.status_code == 200 and answer["Content-Type"] == "application/zip"

    async def all_of_it() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    return async_to_sync(all_of_it)()


@pytest.mark.parametrize("form", ["mbox", "eml"])
def test_what_went_out_comes_back_octet_for_octet(form: str, anna: User, ben: User, client: Client, put: Put) -> None:
    put(anna, letter(subject="One", text="From the sea\r\nand back"), flags=Flag.SEEN)
    put(anna, letter(subject="Two", text="no end of line").rstrip(b"\r\n"), "Sent")
    client.force_login(anna)
    archive = exported(client, form=form)
    assert zipfile.ZipFile(io.BytesIO(archive)).testzip() is None
    client.force_login(ben)
    assert upload(client, "mail.zip", archive).url == PAGE
    row = ended(ben)
    assert (row.state, row.added, row.refused) == (State.DONE, 2, 0)
    assert {k: v for k, v in contents(ben).items() if v} == contents(anna)
    upload(client, "mail.zip", archive)
    assert (ended(ben).added, MailImport.objects.get(user=ben).skipped) == (0, 2)
    assert list(imports._directory().iterdir()) == []


def test_one_folder_alone(anna: User, ben: User, client: Client, put: Put) -> None:
    place = put(anna, letter(), "Sent")
    put(anna, letter())
    client.force_login(anna)
    names = zipfile.ZipFile(io.BytesIO(exported(client, folder=str(place.mailbox_id)))).namelist()
    assert names == ["Sent.mbox", "Sent.mbox.jsonl"]
    client.force_login(ben)
    assert client.get(f"{PAGE}export/", {"folder": str(place.mailbox_id)}).status_code == 404


def test_a_large_file_comes_in_pieces_and_lost_answers_do_no_harm(anna: User, client: Client) -> None:
    client.force_login(anna)
    mbox = b"".join(b"From x Thu Jan  1 00:00:00 1970\nSubject: %d\n\ntext\n\n" % n for n in range(500))
    token = client.post(f"{PAGE}begin/", {"name": "Old mail.mbox", "size": len(mbox), "folder": ""}).json()["token"]
    half = len(mbox) // 2
    for at, piece in ((0, mbox[:half]), (0, mbox[:half]), (half, mbox[half:])):
        answer = client.post(f"{PAGE}piece/{token}/{at}/", piece, content_type="application/octet-stream")
        assert answer.status_code == 200
    assert ended(anna).added == 500
    assert len(contents(anna)["Old mail"]) == 500
    assert "500 messages filed" in client.get(PAGE).content.decode()


def test_what_does_not_fit_is_refused(anna: User, ben: User, client: Client, settings: Any) -> None:
    client.force_login(anna)
    settings.IMPORT_SIZE_LIMIT = 1000
    assert "MB" in client.post(f"{PAGE}begin/", {"name": "a", "size": 1001}).json()["reason"]
    token = client.post(f"{PAGE}begin/", {"name": "a", "size": 10}).json()["token"]

    def piece(at: int, content: bytes) -> int:
        kind = "application/octet-stream"
        return client.post(f"{PAGE}piece/{token}/{at}/", content, content_type=kind).status_code

    assert piece(5, b"12345") == 400 and piece(0, b"12345678901") == 400
    client.force_login(ben)
    assert piece(0, b"1234567890") == 400, "somebody else's"
    client.force_login(anna)
    assert piece(0, b"1234567890") == 200
    row = ended(anna)
    assert row.state == State.FAILED and "neither a zip file" in row.reason


def test_it_can_be_stopped_and_what_was_filed_stays(
    anna: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(anna)
    reached, go_on = threading.Event(), threading.Event()
    beat = imports._beat

    def slow(tx: Any, *arguments: Any) -> None:
        beat(tx, *arguments)

    def read(*arguments: Any) -> Any:
        reached.set()
        assert go_on.wait(10)
        return prepared(*arguments)

    monkeypatch.setattr(imports, "_beat", slow)
    monkeypatch.setattr(imports, "prepared", read)
    upload(client, "a.eml", letter())
    assert reached.wait(10)
    assert 'hx-trigger="every 1s"' in client.get(PAGE).content.decode()
    client.post(f"{PAGE}cancel/")
    go_on.set()
    assert ended(anna).state == State.CANCELLED
    assert "stopped" in client.get(PAGE).content.decode()


def test_one_whose_process_is_gone_is_begun_anew(anna: User, client: Client) -> None:
    client.force_login(anna)
    token = imports.begin(anna.pk, "a.eml", len(letter()), "Found")
    imports.take(anna.pk, token, 0, letter())
    long_ago = timezone.now() - 2 * imports.GONE_AFTER
    MailImport.objects.filter(user=anna).update(state=State.WORKING, beat_at=long_ago)
    client.get(f"{PAGE}state/")
    assert ended(anna).added == 1 and contents(anna)["Found"]


def test_one_at_a_time(anna: User) -> None:
    imports.begin(anna.pk, "a.eml", 10, "")
    MailImport.objects.filter(user=anna).update(state=State.WORKING)
    with pytest.raises(imports.Refused):
        imports.begin(anna.pk, "b.eml", 10, "")


# ---------------------------------------------------------------- hostile files


def test_nothing_gets_out_of_its_directory(tmp_path: Path) -> None:
    file = tmp_path / "x"
    hostile = {
        "../../out.eml": b"a: b",
        "/etc/out.eml": b"a: b",
        "a\\..\\..\\out.eml": b"a: b",
        "ok/1.eml": b"a: b\r\n\r\n",
    }
    file.write_bytes(zip_of(**hostile, **{"evil.sh": b"#!"}))
    into = tmp_path / "in" / "here"
    into.parent.mkdir()
    prepared(file, "x.zip", into)
    assert [path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()] == ["ok/1.eml"]
    assert not list(tmp_path.rglob("out.eml"))


def test_a_bomb_is_stopped(tmp_path: Path, settings: Any) -> None:
    settings.IMPORT_UNPACKED_LIMIT = 1024 * 1024
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.mbox", b"0" * 5_000_000)
    file = tmp_path / "x"
    file.write_bytes(buffer.getvalue())
    with pytest.raises(CannotUnpack, match="more than"):
        prepared(file, "x.zip", tmp_path / "in")


@pytest.mark.parametrize("cut", range(1, 300, 37))
def test_a_damaged_archive_is_said_to_be_so(cut: int, anna: User, client: Client) -> None:
    client.force_login(anna)
    whole = bytearray(zip_of(**{"INBOX.mbox": b"From a Thu Jan  1 00:00:00 1970\nSubject: x\n\ny\n\n" * 5}))
    whole[cut % len(whole)] ^= 0xFF
    upload(client, "a.zip", bytes(whole))
    row = ended(anna)
    assert row.state in (State.DONE, State.FAILED) and row.reason != "something went wrong on the server"


def test_a_message_over_the_limit_is_named_and_not_read(anna: User, client: Client, settings: Any) -> None:
    settings.MESSAGE_SIZE_LIMIT = 10_000
    client.force_login(anna)
    large = b"Subject: x\n\n" + b"y" * 30_000 + b"\n\n"
    small = b"Subject: small\n\ntext\n\n"
    line = b"From a Thu Jan  1 00:00:00 1970\n"
    upload(client, "a.mbox", line + large + line + small)
    row = ended(anna)
    assert (row.added, row.refused) == (1, 1)
    assert row.troubles == [["a.mbox message 1", "larger than 10000 octets"]]
    assert json.dumps(row.troubles) and "What was refused" in client.get(PAGE).content.decode()
