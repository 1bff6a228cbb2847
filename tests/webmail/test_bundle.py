"""All attachments as one zip file."""

from __future__ import annotations

import asyncio
import io
import zipfile

from django.test import AsyncClient, Client

from accounts.models import User
from tests.webmail.conftest import WEB, Put

pytestmark = WEB
ONE = (
    b'--b\r\nContent-Type: image/png; name="%s"\r\nContent-Disposition: attachment\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
)
TWICE = (
    b"From: a@far.test\r\nSubject: Pictures\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\ntext\r\n" + ONE % b"../../a.png" + ONE % b"A.png" + b"--b--\r\n"
)


async def test_saved_together(browser: Client, stranger: Client, anna: User, put: Put) -> None:
    place = await asyncio.to_thread(put, anna, TWICE)
    url = f"/mail/{place.mailbox_id}/{place.uid}/zip/"
    client = AsyncClient()
    client.cookies = browser.cookies
    answer = await client.get(url)
    content = b"".join([piece async for piece in answer])
    assert answer["Content-Type"] == "application/zip" and 'filename="Pictures.zip"' in answer["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.png", "3-A.png"]
        assert {archive.read(name) for name in archive.namelist()} == {b"hello"}
    assert (await asyncio.to_thread(stranger.get, url)).status_code == 404
