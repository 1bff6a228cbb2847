"""The text of one document, as a program: `python -I document_program.py KIND CPU_S < document` (UTF-8 out).

It is run by `documents.py` in a process of its own, because a hostile document may make any reader of such formats
loop or swell. So it stands alone, takes away its own means first, and writes as it goes: what it had found when it
was stopped counts. KIND is "pdf", "docx", "xlsx", "pptx" or "odf". Exit code 0, or the document was not understood.

Limits: CPU_S seconds, MEMORY, MAX_PAGES; of a ZIP file MAX_MEMBERS, MAX_UNPACKED in all, MAX_RATIO for each member.
"""

from __future__ import annotations

import io
import os
import re
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

MEMORY = 512 * 1024 * 1024  # octets of address space
MAX_PAGES = 300
MAX_MEMBERS = 2000
MAX_UNPACKED = 64 * 1024 * 1024
MAX_RATIO = 200
MAX_CHARACTERS = 1024 * 1024  # of text
CHUNK = 64 * 1024

# The members of each kind that hold text, and the elements that end a line of it.
MEMBERS = {
    "docx": re.compile(r"word/(document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml"),
    "xlsx": re.compile(r"xl/(sharedStrings|worksheets/sheet\d+|comments\d*)\.xml"),
    "pptx": re.compile(r"ppt/(slides/slide|notesSlides/notesSlide)\d+\.xml"),
    "odf": re.compile(r"content\.xml|styles\.xml"),
}
LINE_ENDS = frozenset({"p", "br", "tab", "tr", "tc", "si", "row", "c", "h", "table-cell", "line-break", "is"})
UNREAD = frozenset({"instrText", "f", "style", "master-styles", "automatic-styles"})  # field codes, formulas


def limit_means(cpu_s: int) -> None:
    """No more processor time, memory or files than a document may cost."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def pdf_texts(file: BinaryIO) -> Iterator[str]:
    import pypdf

    reader = pypdf.PdfReader(file, strict=False)
    if reader.is_encrypted:
        reader.decrypt("")
    for number, page in enumerate(reader.pages):
        if number >= MAX_PAGES:
            return
        try:
            yield page.extract_text()
        except Exception:  # one page that cannot be read
            continue


class TextTarget:
    """Takes what an XML parser finds. In a sheet, numbers count unless they stand for a shared string."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._unread = 0
        self._is_reference = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if name == "c":
            self._is_reference = attributes.get("t") == "s"
        if name in UNREAD or (name == "v" and self._is_reference):
            self._unread += 1

    def end(self, tag: str) -> None:
        name = tag.rpartition("}")[2]
        if name in UNREAD or (name == "v" and self._is_reference):
            self._unread -= 1
        if name in LINE_ENDS:
            self.pieces.append("\n")

    def data(self, data: str) -> None:
        if not self._unread:
            self.pieces.append(data)

    def close(self) -> None:
        pass


def zip_texts(file: BinaryIO, members: re.Pattern[str]) -> Iterator[str]:
    from defusedxml.ElementTree import DefusedXMLParser

    left = MAX_UNPACKED
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist()[:MAX_MEMBERS]:
            if not members.fullmatch(entry.filename) or entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
                continue
            target = TextTarget()
            parser = DefusedXMLParser(target=target, forbid_dtd=True)
            with archive.open(entry) as member:
                while (chunk := member.read(CHUNK)) and left > 0:
                    left -= len(chunk)
                    parser.feed(chunk)
                    yield "".join(target.pieces)
                    target.pieces.clear()
            yield "\n"


def write(texts: Iterator[str], out: Callable[[bytes], object]) -> None:
    left = MAX_CHARACTERS
    for text in texts:
        out(text[:left].encode("utf-8", "replace"))
        left -= len(text)
        if left <= 0:
            return


def main(kind: str, cpu_s: int) -> None:
    limit_means(cpu_s)
    file = io.BufferedReader(io.FileIO(0))
    texts = pdf_texts(file) if kind == "pdf" else zip_texts(file, MEMBERS[kind])
    write(texts, io.FileIO(1, "w").write)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
