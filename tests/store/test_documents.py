"""Words inside attachments: found where a document says them, and no document stops the index."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import zipfile
import zlib

import pytest

from accounts.models import User
from mailservers.formats import search_keys as keys
from mailservers.formats.mime import scan
from mailservers.store.errors import StoreUnavailable
from mailservers.store.searching import document_program, documents, indexer
from mailservers.store.searching.documents import document_texts, kind_of
from tests.store.test_engine import put
from tests.store.test_searching import found

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def packed(members: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def pdf(*pages: str, compress: bool = True) -> bytes:
    """A document of one font and a line on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    out = [o.encode() for o in objects]
    for page in pages:
        content = f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET".encode()
        data = zlib.compress(content) if compress else content
        head = b"<< /Length %d%b >>" % (len(data), b" /Filter /FlateDecode" if compress else b"")
        out.append(head + b"\nstream\n" + data + b"\nendstream")
        stream = len(out)
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        out.append(f"<< /Type /Page /Parent 2 0 R {resources} /Contents {stream} 0 R >>".encode())
        kids.append(f"{len(out)} 0 R")
    out[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    file, places = b"%PDF-1.4\n", []
    for number, body in enumerate(out, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(out) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(file))
    return file + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + trailer


DOCX = packed(
    {
        "word/document.xml": f"<w:document {W}><w:p><w:r><w:t>Zeb</w:t></w:r><w:r><w:t>ras run</w:t></w:r></w:p>"
        f"<w:p><w:r><w:instrText>HIDDEN</w:instrText><w:t>second</w:t></w:r></w:p></w:document>",
        "word/header1.xml": f"<w:hdr {W}><w:p><w:t>letterhead</w:t></w:p></w:hdr>",
        "word/settings.xml": "<s>setting</s>",
    }
)
XLSX = packed(
    {
        "xl/sharedStrings.xml": "<sst><si><t>harbour dues</t></si><si><t>mooring</t></si></sst>",
        "xl/worksheets/sheet1.xml": "<s><row><c t='s'><v>777</v></c><c><v>4711</v></c>"
        "<c><f>SUM(A1)</f><v>12</v></c></row></s>",
    }
)
PPTX = packed({"ppt/slides/slide1.xml": "<p><t>slide words</t></p>", "ppt/slides/_rels/x.xml": "<p>rel</p>"})
ODT = packed({"content.xml": "<o><h>Title</h><p>Some <span>mixed</span> words</p></o>", "mimetype": "x"})
DOCUMENTS = {
    "application/pdf": (pdf("Pelican on page one", "and page two"), ["Pelican on page one", "and page two"], []),
    "application/octet-stream; name=a.DOCX": (DOCX, ["Zebras run\n", "second", "letterhead"], ["HIDDEN", "setting"]),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (
        XLSX, ["harbour dues", "mooring", "4711", "12"], ["777", "SUM"],
    ),
    "application/x; name=t.pptx": (PPTX, ["slide words"], ["rel"]),
    "application/vnd.oasis.opendocument.text": (ODT, ["Title\n", "Some mixed words"], []),
}  # fmt: skip


def message(content: bytes, content_type: str) -> bytes:
    head = (
        f"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + base64.encodebytes(content)


def text_of(content: bytes, content_type: str) -> str:
    raw = message(content, content_type)
    return "".join(document_texts(raw, scan(raw)))


@pytest.mark.parametrize("content_type", DOCUMENTS)
def test_what_documents_say(content_type: str, mail: None) -> None:
    content, there, not_there = DOCUMENTS[content_type]
    text = text_of(content, content_type)
    assert all(words in text for words in there), text
    assert not any(words in text for words in not_there), text


LOOP = (
    b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    b"2 0 obj\n<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n"
)
BILLION = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
HOSTILE = {
    "nothing": (b"", "pdf"),
    "no PDF": (b"\x00" * 5000, "pdf"),
    "half a PDF": (pdf("first", "second")[:400], "pdf"),
    "a tree of pages that holds itself": (LOOP, "pdf"),
    "a bomb in a PDF": (pdf("a" * 30_000_000), "pdf"),
    "no ZIP": (b"PK\x03\x04" + b"x" * 100, "docx"),
    "a ZIP bomb": (packed({"word/document.xml": b"<a>" + b"a" * 50_000_000}), "docx"),
    "entities": (packed({"word/document.xml": BILLION}), "docx"),
    "no XML": (packed({"word/document.xml": b"\xff\xfe<<<"}), "docx"),
    "deep XML": (packed({"content.xml": "".join(f"<a{n}>" for n in range(200_000))}), "odt"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_costs_little_and_the_message_is_indexed(anna: User, name: str, monkeypatch) -> None:
    monkeypatch.setattr(documents, "CPU_S", 1)
    content, extension = HOSTILE[name]
    put(anna, message(content, f"application/octet-stream; name=odd.{extension}"))
    put(anna, b"Subject: next\r\n\r\nzebra\r\n")
    assert asyncio.run(indexer.index_waiting()) == 2
    assert found(anna, keys.Body("odd.")) == [1] and found(anna, keys.Body("zebra")) == [2]


def test_a_reader_that_hangs_is_ended_and_what_it_found_counts(anna: User, tmp_path, monkeypatch) -> None:
    program = tmp_path / "hangs.py"
    program.write_text("import sys, time\nsys.stdout.write('early words')\nsys.stdout.flush()\ntime.sleep(1000)\n")
    monkeypatch.setattr(documents, "PROGRAM", program)
    monkeypatch.setattr(documents, "WITHIN_S", 2.0)
    put(anna, message(b"%PDF-1.4", "application/pdf"))
    assert asyncio.run(indexer.index_waiting()) == 1
    assert found(anna, keys.Body("early words")) == [1]


def test_words_of_attachments_are_found_by_search(anna: User) -> None:
    put(anna, message(DOCX, "application/octet-stream; name=a.docx"))
    assert found(anna, keys.Body("zebras run")) == []  # not before the background has been there
    asyncio.run(indexer.index_waiting())
    assert found(anna, keys.Body("zebras run")) == [1]


@pytest.mark.parametrize("kind", ["pdf", "docx", "msword"])
def test_what_does_not_begin_as_a_document_costs_no_process(
    mail: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(documents.subprocess, "Popen", no_process)
    assert "words" not in text_of(b"words of no document", f"application/octet-stream; name=a.{kind}")


def test_kinds() -> None:
    def kind(content_type: str) -> str:
        return kind_of(scan(f"Content-Type: {content_type}\r\n\r\nx".encode()))

    assert [kind(t) for t in ("application/pdf", "image/png; name=x.pdf", "text/plain; name=x.txt")] == [
        "pdf",
        "pdf",
        "",
    ]
    assert kind("application/x; name=noextension") == kind("multipart/mixed; boundary=x; name=a.pdf") == ""


def test_limits_hold_for_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_program, "MAX_CHARACTERS", 10)
    out: list[bytes] = []
    document_program.write(iter(["abcdef", "ghijkl", "mnop"]), out.append)
    assert b"".join(out) == b"abcdefghij"


def test_the_end_of_the_server_waits_for_no_document(mail: None, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "hangs.py"
    program.write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setattr(documents, "PROGRAM", program)
    timer = threading.Timer(0.5, documents.ending.set)
    timer.start()
    try:
        with pytest.raises(StoreUnavailable):
            text_of(b"%PDF-1.4", "application/pdf")
    finally:
        timer.join()
        documents.ending.clear()
