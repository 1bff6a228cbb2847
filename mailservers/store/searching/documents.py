"""Words inside PDF and office attachments, for the search index. For the background feeder only: it takes time.

Each document goes, decoded, into an unnamed file and from there to a process that has little time and memory
(`document_program.py`). Whatever happens to that process, the message is indexed with what it had found.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mailservers.formats.octets import Octets, chunks
from mailservers.formats.parts import Part, walk
from mailservers.formats.transfer_stream import cut, decoded
from mailservers.store.errors import StoreUnavailable
from mailservers.store.spool import Spool

log = logging.getLogger(__name__)

MAX_DOCUMENTS = 8  # of one message
MAX_OCTETS = 32 * 1024 * 1024  # of one, decoded; larger ones are not looked into
CPU_S = 5  # of its reader
WITHIN_S = 30.0
ALL_WITHIN_S = 45.0  # of one message; no other is begun after that
LOOK_EVERY_S = 0.5
HEAD_OCTETS = 1024
PROGRAM = Path(__file__).with_name("document_program.py")

ending = threading.Event()  # the server stops: no document is worth waiting for

_OPEN_XML = "vnd.openxmlformats-officedocument."
_KINDS = {
    "pdf": "pdf", "x-pdf": "pdf", "docx": "docx", "xlsx": "xlsx", "pptx": "pptx", "odt": "odf", "ods": "odf",
    "odp": "odf", f"{_OPEN_XML}wordprocessingml.document": "docx", f"{_OPEN_XML}spreadsheetml.sheet": "xlsx",
    f"{_OPEN_XML}presentationml.presentation": "pptx", "vnd.oasis.opendocument.text": "odf",
    "vnd.oasis.opendocument.spreadsheet": "odf", "vnd.oasis.opendocument.presentation": "odf",
}  # fmt: skip


def document_texts(raw: Octets, root: Part) -> Iterator[str]:
    """The texts of a message's documents. Raises `StoreFull`, `StoreUnavailable`."""
    found = [(part, kind) for _, part in walk(root) if (kind := kind_of(part))]
    until = time.monotonic() + ALL_WITHIN_S
    for part, kind in found[:MAX_DOCUMENTS]:
        if part.size_octets <= 2 * MAX_OCTETS and time.monotonic() < until:
            yield _text(raw, part, kind)


def kind_of(part: Part) -> str:
    """By the declared type, else by the file name; "" for no document."""
    if part.is_multipart or part.is_message:
        return ""
    by_type = _KINDS.get(part.subtype.decode("latin-1")) if part.maintype == b"application" else None
    return by_type or _KINDS.get((part.filename or "").rpartition(".")[2].lower(), "")


def _text(raw: Octets, part: Part, kind: str) -> str:
    content = decoded(chunks(raw, part.body_start, part.end), part.encoding)
    spool = Spool()
    spool.write(cut(content, 0, MAX_OCTETS))
    if not _begins_as(kind, os.pread(spool.file.fileno(), HEAD_OCTETS, 0)):
        return ""  # a process for it would cost 40 ms
    os.lseek(spool.file.fileno(), 0, os.SEEK_SET)
    return _run(kind, spool.file.fileno())


def _begins_as(kind: str, head: bytes) -> bool:
    """Readers of PDF look for its mark in the first 1,024 octets; the others are zip files."""
    return b"%PDF-" in head if kind == "pdf" else b"PK\x03\x04" in head


def _run(kind: str, document: int) -> str:
    command = [sys.executable, "-I", str(PROGRAM), kind, str(CPU_S)]
    until = time.monotonic() + WITHIN_S
    with subprocess.Popen(command, stdin=document, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:
        while True:
            try:
                output, _ = reader.communicate(timeout=LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                if ending.is_set() or time.monotonic() > until:
                    reader.kill()
    if ending.is_set():
        raise StoreUnavailable("the server is shutting down")
    if reader.returncode:
        log.info("a document of kind %s was not read to its end: its reader ended with %d", kind, reader.returncode)
    return output.decode("utf-8", "replace")
