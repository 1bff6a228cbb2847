"""SMTP on both sides and POP3: command lines, addresses, the framing of messages, replies."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mailservers.formats import esmtp, pop3, smtp
from mailservers.formats.mailbox_address import (
    InvalidAddress,
    canonical_domain,
    domain_to_ascii,
    format_mailbox_address,
    parse_mailbox_address,
)
from mailservers.formats.outgoing import data_blocks, domain_on_wire, to_wire
from mailservers.formats.proxy_header import ProxyHeaderError, parse_v1, parse_v2, v2_length
from mailservers.formats.sasl import (
    SaslSyntaxError,
    parse_oauthbearer,
    parse_plain,
    parse_scram_final,
    parse_scram_first,
    parse_xoauth2,
)
from mailservers.formats.saslprep import saslprep
from mailservers.formats.smtp import SmtpSyntaxError
from mailservers.formats.smtp_chunks import ChunkReader, parse_bdat
from mailservers.formats.smtp_data import DataReader, Received
from mailservers.formats.smtp_reply import Reply, ReplyReader, parse_extensions
from tests.fuzz.target import only, pieces, split, target

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LIMIT = 300  # octets of a message


@target(
    b"MAIL FROM:<a@b.example> SIZE=9 BODY=8BITMIME RET=HDRS ENVID=x+20y",
    b'RCPT TO:<"a b"@[IPv6:::1]> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b',
    b"MAIL FROM:<> HOLDUNTIL=2026-12-24T18:00:00Z REQUIRETLS SMTPUTF8",
    b"BDAT 86 LAST",
    "RCPT TO:<@x,@y:jürgen@bücher.example>".encode(),
    words=(
        b"MAIL FROM:< RCPT TO:< > @ BODY=BINARYMIME SMTPUTF8 ENVID= ORCPT=utf-8; \\x{20} NOTIFY=NEVER "
        b"HOLDFOR= BDAT EHLO +2B"
    ),
)
def smtp_command(data: bytes) -> None:
    """`SmtpSyntaxError` and nothing else; a path is read back as it is written."""
    line = only(SmtpSyntaxError, smtp.decode_line, data)
    if not isinstance(line, str):
        return
    _, rest = smtp.split_command(line)
    only(SmtpSyntaxError, smtp.parse_helo_name, rest)
    only(SmtpSyntaxError, parse_bdat, rest)
    for parse, before in ((smtp.parse_mail, "FROM:"), (smtp.parse_rcpt, "TO:")):
        command = only(SmtpSyntaxError, parse, rest)
        if not isinstance(command, smtp.PathCommand):
            continue
        path = command.path
        assert parse(f"{before}<{path.address}>").path == path
        assert "\r" not in path.address and "\n" not in path.address
        only(SmtpSyntaxError, esmtp.mail_options, command.parameters, NOW)
        request = only(SmtpSyntaxError, esmtp.dsn_request, command.parameters)
        if isinstance(request, esmtp.DsnRequest) and request.orcpt:
            shown = esmtp.original_recipient(request.orcpt)
            assert "\r" not in shown and "\n" not in shown and ";" in shown
        only(InvalidAddress, parse_mailbox_address, path.address)


@target(
    b"a.b@example.com",
    b'"a\\"b"@[192.0.2.1]',
    "ü@bücher.example".encode(),
    b"x@[IPv6:::1]",
    words=b'@ " \\ [IPv6: xn-- . -',
)
def mailbox_address(data: bytes) -> None:
    """An address is read back as it is written; a domain's canonical form is its own."""
    text = data.decode("utf-8", "surrogateescape")
    found = only(InvalidAddress, parse_mailbox_address, text)
    if isinstance(found, tuple):
        assert parse_mailbox_address(format_mailbox_address(*found)) == found
        found[0].encode("utf-8")
        assert domain_to_ascii(found[1]).isascii() or found[1].startswith("[")
    domain = only(InvalidAddress, canonical_domain, text)
    if isinstance(domain, str):
        assert canonical_domain(domain) == domain
    wire = only(InvalidAddress, domain_on_wire, text)
    assert not isinstance(wire, str) or wire.isascii()


def content_of(data: bytes) -> tuple[bytes, bytes] | None:
    """(content, rest) by the rule of RFC 5321 4.5.2: CRLF "." CRLF and nothing else ends the data."""
    if data.startswith(b".\r\n"):
        return b"", data[3:]
    end = data.find(b"\r\n.\r\n")
    if end < 0:
        return None
    lines = data[: end + 2].split(b"\r\n")
    return b"\r\n".join(line.removeprefix(b".") for line in lines), data[end + 5 :]


def is_unsafe(data: bytes) -> bool:
    """A bare CR or LF, or a line of nothing but dots and NULs with one of each."""
    bare = data.replace(b"\r\n", b"")
    return (
        b"\r" in bare
        or b"\n" in bare
        or any(set(line) <= {0, 46} and 0 in line and 46 in line for line in re.split(rb"\r\n|\n", data))
    )


def read_data(cut: list[bytes], limit: int, *, taking: bool) -> tuple[bytes | None, bytes, bool] | None:
    reader = DataReader(limit)
    taken: list[bytes] = []
    for at, piece in enumerate(cut):
        received = reader.feed(piece)
        if isinstance(received, Received):
            rest = received.rest + b"".join(cut[at + 1 :])
            content = None if received.content is None else b"".join(taken) + received.content
            return content, rest, received.has_bare_line_end
        if taking:
            taken += reader.take()
    return None


@target(
    b"\x01\x02\x03Subject: x\r\n\r\n..dots\r\n.\r\nQUIT\r\n",
    b"\x00\x00\x00.\r\n",
    b"\x05\x01\x02a\n.\r\nb\r\n.\n\r\n.\r\r\n\r\n.\r\n",
    b"\x01\x01\x01a\r\n\0.\r\n..\0\r\n.\r\n",
    words=b"\r\n.\r\n . .. \r\n \n.\n \r.\r \0",
    max_octets=200,
    pumped_octets=2048,
)
def smtp_data(data: bytes) -> None:
    """What DATA gives is what the RFC says, wherever the octets are cut and however often they are taken."""
    lengths, data = data[:3], data[3:]
    meant = content_of(data)
    for cut in ([data], pieces(data, lengths), pieces(data, b"\0")):
        for taking in (False, True):
            found = read_data(cut if data else [], LIMIT, taking=taking)
            if meant is None:
                assert found is None
                continue
            assert found is not None and found[1] == meant[1]
            if len(meant[0]) > LIMIT:
                assert found[0] is None
            else:
                assert found[0] == meant[0]
                raw = data[: len(data) - len(meant[1])][:-3]
                assert found[2] == is_unsafe(raw), (raw, found)


@target(b"\x03\x02\x01\x05\x00a\r\nb\rc\n", b"\x00\x00\x00\x20\xffxyz", max_octets=400, pumped_octets=0)
def smtp_chunks(data: bytes) -> None:
    """Counted chunks give back their octets, and say the same of line ends, however they are cut."""
    lengths, sizes, content = data[:3], data[3:6], data[6:]
    told = []
    for cut in ([content], pieces(content, lengths)):
        reader, got, rest = ChunkReader(LIMIT), [], list(cut)
        for turn, size in enumerate(sizes):
            reader.begin(size, turn == len(sizes) - 1)
            while not reader.is_complete and rest:
                left = reader.feed(rest.pop(0))
                if left:
                    rest.insert(0, left)
                if turn % 2:
                    got += reader.take()
        got += reader.take()
        told.append((b"".join(got), b"".join(rest), reader.is_too_large, reader.line_ends.are_unsafe()))
    assert told[0][1:3] == told[1][1:3]
    if not told[0][2]:
        assert told[0] == told[1]
        assert told[0][0] + told[0][1] == content
        assert told[0][3] == is_unsafe(told[0][0])


@target(
    b"\x01\x02\x03250-mx.example\r\n250-SIZE 1000\r\n250 PIPELINING\r\n",
    b"\x01\x02\x03550 5.1.1 <x> no\n421 4.3.2 bye\r\n",
    words=b"250- 250 354 5.1.1 421 \r\n SIZE STARTTLS",
    max_octets=600,
    pumped_octets=8192,
)
def smtp_reply(data: bytes) -> None:
    """The same replies and the same error however the octets are cut; every reply can be shown."""
    lengths, data = data[:3], data[3:]
    told: list[tuple[list[Reply], str]] = []
    for cut in ([data], pieces(data, lengths)):
        reader = ReplyReader()
        replies = [reply for piece in cut for reply in reader.feed(piece)]
        told.append((replies, reader.error))
    assert told[0] == told[1]
    for reply in told[0][0]:
        assert 200 <= reply.code <= 599 and reply.lines
        assert all(ord(c) >= 32 or c in "\t\n" for c in reply.text)
        assert reply.enhanced_status == "" or reply.text[4:].startswith(reply.enhanced_status)
        parse_extensions(reply)


@target(b"Subject: x\r\n\r\n.dot\n..\rtext", b"Return-Path: <a>\r\n\0.\r\n", words=b"\r\n. \r\n .\r\n Return-Path: \0")
def smtp_outgoing(data: bytes) -> None:
    """What goes out has CRLF line ends only, and arrives as it was sent."""
    wire = to_wire(data)
    assert not is_unsafe(wire)
    assert to_wire(wire) == wire or wire[:12].lower() == b"return-path:" or b"eturn-path" in wire[:40].lower()
    for block_octets in (5, 64 * 1024):
        received = DataReader(10**6).feed(b"".join(data_blocks(wire, block_octets)))
        assert received is not None and received.rest == b"" and not received.has_bare_line_end
        assert received.content == wire


@target(b"a+2B", b"+20", words=b"+2B +3D")
def xtext(data: bytes) -> None:
    decoded = only(SmtpSyntaxError, esmtp.decode_xtext, data.decode("latin-1"))
    if isinstance(decoded, str):
        assert esmtp.decode_xtext(esmtp.encode_xtext(decoded)) == decoded


ARGUMENTS = (
    pop3.no_argument,
    pop3.message_number,
    pop3.optional_message_number,
    pop3.number_and_lines,
    pop3.login_name,
    pop3.password,
    pop3.language_range,
    pop3.sasl_request,
)


def pop3_lines(cut: list[bytes]) -> list[bytes | str]:
    reader = pop3.LineReader()
    found: list[bytes | str] = []
    for piece in cut:
        reader.feed(piece)
        while True:
            try:
                line = reader.next_line()
            except pop3.Pop3SyntaxError as error:
                found.append(str(error))
                continue
            if line is None:
                break
            found.append(line)
        assert reader.buffered_octets <= pop3.MAX_LINE
    return found


@target(
    b"\x02\x01\x05USER anna\r\nPASS x y\nTOP 1 5\r\nAUTH PLAIN =\r\n",
    b"\x01\x01\x01LANG de-DE\r\nUIDL 4294967296\r\nAUTH PLAIN AGEAYg==\r\n*\r\n",
    words=b"USER PASS TOP RETR DELE UIDL LIST AUTH PLAIN LANG UTF8 STLS \r\n *",
    pumped_octets=8192,
)
def pop3_command(data: bytes) -> None:
    """The same lines however they are cut; `Pop3SyntaxError` and nothing else."""
    lengths, data = data[:3], data[3:]
    lines = pop3_lines([data])
    assert pop3_lines(pieces(data, lengths)) == lines
    for line in lines:
        if isinstance(line, str):
            continue
        only(pop3.Pop3SyntaxError, pop3.sasl_response, line)
        command = only(pop3.Pop3SyntaxError, pop3.parse_command, line)
        if isinstance(command, pop3.Command):
            for parse in ARGUMENTS:
                only(pop3.Pop3SyntaxError, parse, command)


@target(b"\x05a\r\n.b\n..\n\n", b"\x01\r\n.", words=b"\r\n. \n. .\r\n")
def pop3_wire(data: bytes) -> None:
    """A client that undoes the byte-stuffing has the message, with CRLF line ends, and its size as LIST told."""
    lines, raw = (data[0] if data else 0) % 8, data[1:]
    wire = pop3.to_wire(raw)
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    assert wire.endswith(b"\r\n") or not wire
    bare = b"".join(line.removeprefix(b".") + b"\r\n" for line in wire.split(b"\r\n")[:-1])
    assert bare.replace(b"\r\n", b"\n").rstrip(b"\n") == raw.replace(b"\r\n", b"\n").rstrip(b"\n")
    assert len(bare) == pop3.wire_size(raw)
    assert raw.startswith(pop3.cut_body(raw, min(3, len(raw)), lines))


@target(
    b"\0anna\0secret",
    b"n,a=x,n=user,r=abc",
    b"c=biws,r=abc,p=AAAA",
    b"n,a=u,\x01auth=Bearer x\x01\x01",
    b"user=u\x01auth=Bearer x\x01\x01",
)
def sasl(data: bytes) -> None:
    for parse in (parse_plain, parse_scram_first, parse_scram_final, parse_oauthbearer, parse_xoauth2):
        only(SaslSyntaxError, parse, data)
    text = data.decode("utf-8", "replace")
    prepared = only(ValueError, saslprep, text)
    if isinstance(prepared, str):
        assert only(ValueError, saslprep, prepared) == prepared


@target(
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    b"PROXY TCP6 ::1 ::2 1 2\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x02\0\x01\0\x02",
    words=b"PROXY TCP4 TCP6 UNKNOWN 65535 ffff::",
    pumped_octets=0,
)
def proxy_header(data: bytes) -> None:
    for call in (lambda: parse_v1(data), lambda: v2_length(data[:16])):
        found = only(ProxyHeaderError, call)
        assert isinstance(found, str | int | ProxyHeaderError)
    length = only(ProxyHeaderError, v2_length, data[:16])
    if isinstance(length, int) and len(data) >= 16 + length:
        only(ProxyHeaderError, parse_v2, data[:16], data[16 : 16 + length])


@target(b"a\xfeb.example\xfe", words=b"@ .")
def original_recipient(data: bytes) -> None:
    """ORCPT for any of our addresses is one that we take, and says the address."""
    local, domain, _ = (field.decode("utf-8", "replace") for field in split(data, 3))
    found = only(InvalidAddress, parse_mailbox_address, f"{local}@{domain}")
    if isinstance(found, tuple):
        address = format_mailbox_address(*found)
        shown = esmtp.original_recipient(esmtp.orcpt_for(address))
        assert shown.partition(";")[2] == address or "\\x{" in address
