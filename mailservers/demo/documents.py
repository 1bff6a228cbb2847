"""Small documents to attach: one-page PDF files (ISO 32000-1), CSV tables and zip archives."""

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping


def pdf(title: str, lines: Iterable[str]) -> bytes:
    """One A4 page: a title, then lines of Helvetica. Text must fit windows-1252."""
    shown = ["BT", "/F1 18 Tf", "56 780 Td", f"({_escaped(title)}) Tj", "/F1 11 Tf", "0 -34 Td"]
    for line in lines:
        shown += [f"({_escaped(line)}) Tj", "0 -17 Td"]
    stream = "\n".join([*shown, "ET"]).encode("cp1252")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Title (%s) /Producer (Kittiwake) >>" % _escaped(title).encode("cp1252"),
    )
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 6 0 R >>\n" % (len(objects) + 1)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % xref)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def table(rows: Iterable[Iterable[object]]) -> bytes:
    """A CSV file (RFC 4180) in UTF-8."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def archive(members: Mapping[str, bytes]) -> bytes:
    """A zip file whose members carry a fixed date, so that the same members give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 12, 0, 0))
            info.create_system = 3  # Unix, wherever this runs
            info.external_attr = 0o644 << 16
            file.writestr(info, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()
