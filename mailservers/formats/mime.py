"""The MIME scanner: any octets in, a tree of byte offsets out (RFC 2045, RFC 2046), in one pass and linear time.

How it works. The scanner keeps the path of parts that are open at its position, outermost first. It looks for the next
line that is a delimiter of one of the open multiparts; everything up to there belongs to the innermost open part. The
delimiter of an outer multipart closes the inner ones, so a missing close delimiter costs nothing. The line end before
a delimiter belongs to the delimiter (RFC 2046 section 5.1.1), not to the part.

Invariants: a part lies within its parent; siblings do not overlap; every multipart has a child and every
message/rfc822 or message/global part exactly one; `scan` never raises.

Choices where the RFCs leave room or mail is broken:
- Lines end in LF, with or without CR. A bare CR is an ordinary octet.
- A multipart without a boundary parameter is text/plain (RFC 2045 section 5.2); one in which no delimiter is found has
  one implicit text/plain child that is its whole body.
- A delimiter line is `--boundary`, then nothing but blanks; if no open boundary equals the whole line, its first word
  counts. Deviation: RFC 2046 section 5.1.1 lets any line match that begins with the boundary, but then a part with
  boundary `b` would be cut at the line `--b1` of a text that quotes another message.
- Beyond the caps a part is kept whole as application/octet-stream, and no further parts are split off.
"""

from typing import NamedTuple

from .headers import MAX_HEADER_OCTETS, field_map, header_end, header_fields, next_blank_line, starts_body, unfold
from .octets import Octets
from .parameters import decode_parameter, parse_content_type, parse_disposition, parse_token
from .parts import Part, dump_parts, find_part, load_parts, walk
from .sections import UnknownEncoding, decode_body, decode_strict, has_valid_encoding, section

__all__ = [
    "MAX_DEPTH",
    "MAX_PARTS",
    "Part",
    "UnknownEncoding",
    "decode_body",
    "decode_strict",
    "dump_parts",
    "find_part",
    "has_valid_encoding",
    "header_end",
    "header_fields",
    "load_parts",
    "scan",
    "section",
    "walk",
]

MAX_DEPTH = 100  # levels of multiparts and embedded messages
MAX_PARTS = 10_000
MAX_LANGUAGES = 32
MAX_FALSE_DELIMITERS = 500_000  # lines that begin like a delimiter and are none; the scan ends there


def scan(raw: Octets) -> Part:
    """The MIME tree of a message. Never raises."""
    return scan_with_fields(raw)[0]


def scan_with_fields(raw: Octets) -> tuple[Part, dict[bytes, bytes]]:
    """The MIME tree and the message's header fields (see `headers.field_map`), read once for both."""
    scanner = _Scanner(raw)
    scanner.run()
    return scanner.root, scanner.root_fields


class _Delimiter(NamedTuple):
    line_start: int
    next_line: int
    level: int  # of its multipart in the path of open parts
    closes: bool  # whether it is the close delimiter


class _Scanner:
    def __init__(self, raw: Octets) -> None:
        self.raw = raw
        self.path: list[Part] = []  # open parts, outermost first
        self.boundaries: list[bytes | None] = []  # per open part: the boundary it waits for
        self.levels: dict[bytes, list[int]] = {}  # boundary waited for -> levels in the path, innermost last
        self.needle = b"\n--"  # begins every delimiter line that could matter now
        self.blank = (-1, -1)  # the next empty line, see `next_blank_line`
        self.false_delimiters = 0
        self.parts: list[Part] = []
        self.root_fields: dict[bytes, bytes] = {}

    @property
    def root(self) -> Part:
        return self.parts[0]

    def run(self) -> None:
        at = self.open_part(0, b"text", b"plain")
        while self.levels and len(self.parts) < MAX_PARTS:
            found = self.find_delimiter(at, len(self.raw))
            if found is None:
                break
            line_end = found.line_start - 1  # of the line before the delimiter
            self.close_parts(found.level + 1, line_end - (self.raw[line_end - 1 : line_end] == b"\r"))
            at = found.next_line
            if found.closes:
                self.forget_boundary(found.level)
            else:
                is_digest = self.path[-1].subtype == b"digest"
                at = self.open_part(at, *((b"message", b"rfc822") if is_digest else (b"text", b"plain")))
        self.close_parts(0, len(self.raw))
        self.count_lines()

    def open_part(self, start: int, maintype: bytes, subtype: bytes) -> int:
        """Open the part whose header begins at `start`, and the messages embedded at its head; the body's offset."""
        while True:
            body_start = self.find_body(start)
            part = self.read_header(start, body_start, maintype, subtype)
            boundary = boundary_of(part)
            may_nest = len(self.path) < MAX_DEPTH - 1 and len(self.parts) < MAX_PARTS - 1
            if (boundary or part.is_message) and not may_nest:
                part.maintype, part.subtype, part.params = b"application", b"octet-stream", {}
                boundary = None
            elif part.is_multipart and not boundary:
                part.maintype, part.subtype = b"text", b"plain"
            self.push(part, boundary)
            if not part.is_message:
                return body_start
            start, maintype, subtype = body_start, b"text", b"plain"

    def push(self, part: Part, boundary: bytes | None) -> None:
        if self.path:
            self.path[-1].children.append(part)
        self.parts.append(part)
        self.path.append(part)
        self.boundaries.append(boundary)
        if boundary:
            self.levels.setdefault(boundary, []).append(len(self.path) - 1)
            self.set_needle()

    def find_body(self, start: int) -> int:
        """Offset of the body of the part that begins at `start`; a delimiter inside its header ends the header."""
        raw = self.raw
        if starts_body(raw, start):
            return start
        if raw.startswith((b"\n", b"\r\n"), start):
            body_start = start + 1 + (raw[start : start + 1] == b"\r")
        else:
            if self.blank[0] < start:
                self.blank = next_blank_line(raw, start)
            body_start = self.blank[1]
        if self.levels:
            found = self.find_delimiter(start, body_start)
            if found is not None:
                return found.line_start
        return body_start

    def find_delimiter(self, start: int, end: int) -> _Delimiter | None:
        """The first delimiter line of an open multipart in raw[start:end], `start` being the start of a line."""
        raw, needle = self.raw, self.needle
        at = raw.find(needle, start - 1, end)
        while at >= 0:
            line_end = raw.find(b"\n", at + 1)
            if line_end < 0:
                line_end = len(raw)
            found = self.match_boundary(raw[at + 3 : line_end].rstrip())
            if found is not None:
                return _Delimiter(at + 1, min(line_end + 1, len(raw)), *found)
            self.false_delimiters += 1
            if self.false_delimiters > MAX_FALSE_DELIMITERS:
                return None
            at = raw.find(needle, line_end, end)
        return None

    def match_boundary(self, line: bytes) -> tuple[int, bool] | None:
        """(level of the open multipart, whether it is its close delimiter) for a line without its leading `--`."""
        for candidate in (line, line.split(None, 1)[0] if line else line):
            levels = self.levels.get(candidate)
            if levels:
                return levels[-1], False
            levels = self.levels.get(candidate[:-2]) if candidate.endswith(b"--") else None
            if levels:
                return levels[-1], True
        return None

    def close_parts(self, level: int, end: int) -> None:
        """Close the open parts from `level` on; their bodies end at `end`, or later where the innermost begins."""
        if level >= len(self.path):
            return
        end = max(end, self.path[-1].body_start)
        closed = self.path[level:]
        for n in range(len(self.path) - 1, level - 1, -1):
            self.forget_boundary(n)
        del self.path[level:], self.boundaries[level:]
        for part in closed:
            part.end = end
            if part.is_multipart and not part.children:
                implicit = Part(part.body_start, part.body_start, end)
                part.children.append(implicit)
                self.parts.append(implicit)

    def forget_boundary(self, level: int) -> None:
        """From now on no line is a delimiter of the multipart at that level of the open path."""
        boundary = self.boundaries[level]
        if boundary is None:
            return
        self.boundaries[level] = None
        levels = self.levels[boundary]
        levels.remove(level)
        if not levels:
            del self.levels[boundary]
        self.set_needle()

    def set_needle(self) -> None:
        """Search for what all open boundaries begin with: with one of them open, bodies are skipped at full speed."""
        if self.levels:
            low, high = min(self.levels), max(self.levels)
            common = 0
            while common < len(low) and common < len(high) and low[common] == high[common]:
                common += 1
            self.needle = b"\n--" + low[:common]

    def read_header(self, start: int, body_start: int, maintype: bytes, subtype: bytes) -> Part:
        header = self.raw[start : min(body_start, start + MAX_HEADER_OCTETS)]
        fields = field_map(header)
        if not self.parts:
            self.root_fields = fields
        return make_part(fields, start, body_start, maintype, subtype)

    def count_lines(self) -> None:
        """Fill in `lines`, reading the message once however deep the parts are nested."""
        counted = [part for part in self.parts if part.maintype == b"text" or part.is_message]
        before: dict[int, int] = {}  # offset -> LFs before it
        total = last = 0
        for offset in sorted({offset for part in counted for offset in (part.body_start, part.end)}):
            total += self.raw.count(b"\n", last, offset)
            before[offset] = total
            last = offset
        for part in counted:
            part.lines = before[part.end] - before[part.body_start]


def boundary_of(part: Part) -> bytes | None:
    """The boundary of a multipart (RFC 2046 section 5.1.1); None when it declares none or the part is no multipart."""
    if not part.is_multipart:
        return None
    boundary = part.params.get(b"boundary")
    if boundary is None:
        boundary = (decode_parameter(part.params, b"boundary") or "").encode()  # written as RFC 2231 has it
    return boundary.rstrip() or None


def make_part(fields: dict[bytes, bytes], start: int, body_start: int, maintype: bytes, subtype: bytes) -> Part:
    """A part from its header fields; the types given are those of a part that declares none."""
    part = Part(start, body_start, body_start, maintype, subtype)
    value = fields.get(b"content-type")
    if value is not None:
        declared = parse_content_type(value)
        if declared is not None:
            part.maintype, part.subtype, part.params = declared
        else:  # RFC 2045 section 5.2: what cannot be understood is text/plain
            part.maintype, part.subtype = b"text", b"plain"
    value = fields.get(b"content-transfer-encoding")
    if value is not None:
        part.encoding = parse_token(value) or b"7bit"
    value = fields.get(b"content-disposition")
    if value is not None:
        part.disposition, part.disposition_params = parse_disposition(value)
    part.content_id = _text_of(fields, b"content-id")
    part.description = _text_of(fields, b"content-description")
    part.location = _text_of(fields, b"content-location")
    part.md5 = _text_of(fields, b"content-md5")
    languages = _text_of(fields, b"content-language")
    if languages is not None:
        part.language = (
            tuple(tag for tag in (tag.strip() for tag in languages.split(b",")[:MAX_LANGUAGES]) if tag) or None
        )
    return part


MAX_LANGUAGES = 32
MAX_FALSE_DELIMITERS = 500_000  # lines that begin like a delimiter and are none; the scan ends there


def _text_of(fields: dict[bytes, bytes], name: bytes) -> bytes | None:
    value = fields.get(name)
    return (unfold(value).strip() or None) if value is not None else None
