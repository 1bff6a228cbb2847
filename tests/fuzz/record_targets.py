"""Records and fields of mail authentication, and what other servers answer."""

from __future__ import annotations

from mailservers.checks import rspamd
from mailservers.formats import arc, dkim_signature, dmarc, mta_sts, spf, spf_macros
from mailservers.formats.authentication_results import format_results, parse_results
from mailservers.formats.dkim_body import canonical_pieces
from mailservers.formats.headers import fields_by_name
from mailservers.formats.spf_macros import SpfSyntaxError
from mailservers.formats.tag_list import TagListError, parse_tag_list
from tests.fuzz.target import only, split, target

SIGNATURE = (
    b"v=1; a=rsa-sha256; c=relaxed/simple; d=example.com; s=k; i=@mail.example.com; h=From:To; l=5; t=1; x=9; "
    b"bh=AAAA; b=BBBB"
)
TAGS = (
    b"v=1 a=rsa-sha256 ed25519-sha256 c=relaxed/simple d= s= h=From b= bh= l= t= x= i= q=dns/txt "
    b"k=ed25519 p= v=DKIM1 v=DMARC1 p=reject rua=mailto:"
)


@target(
    SIGNATURE, b"v=DKIM1; k=rsa; p=AAAA; t=s:y; h=sha256; s=email", b"v=DMARC1; p=reject; pct=5; adkim=s", words=TAGS
)
def tag_lists(data: bytes) -> None:
    """DKIM signatures and keys, ARC seals, DMARC records: `TagListError` and nothing else."""
    for parse in (
        dkim_signature.parse_signature,
        dkim_signature.parse_arc_signature,
        dkim_signature.parse_key,
        arc.parse_seal,
    ):
        only(TagListError, parse, data)
    if dmarc.is_dmarc(data):
        only(TagListError, dmarc.parse_dmarc, data)
    only(TagListError, parse_tag_list, data.decode("latin-1"))


@target(
    b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=x.example; s=k; b=AA\r\nARC-Message-Signature: i=1; "
    b"a=rsa-sha256; b=AA\r\n"
    b"ARC-Authentication-Results: i=1; mx.example; spf=pass\r\n",
    words=b"ARC-Seal: ARC-Message-Signature: ARC-Authentication-Results: i=1; i=2; cv=none cv=pass " + TAGS,
)
def arc_sets(data: bytes) -> None:
    """The chain of a header: complete, or a `TagListError`."""
    found = only(TagListError, arc.collect_sets, fields_by_name(data))
    if isinstance(found, list):
        for one in found:
            one.authentication_results()


@target(
    b"\x01\x01From: a\r\n b\r\n\xfea  b \t\r\nc\r\n\r\n\r\n",
    b"\x00\x01Subject :\t x \r\n\xfe \r\n",
    words=b"\r\n \t From: \r\n\r\n",
    pumped_octets=16_384,
)
def dkim_canonical(data: bytes) -> None:
    """The canonical header and body are what a slow and plain reading of RFC 6376 3.4 gives."""
    header, body = split(data, 2)
    body = body.replace(b"\r", b"").replace(b"\n", b"\r\n")
    simple = body.rstrip(b"\r\n") + b"\r\n"
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    assert b"".join(map(bytes, canonical_pieces(body, 0, is_relaxed=False))) == simple
    lines = []
    for line in body.split(b"\r\n"):
        words = [word for word in line.replace(b"\t", b" ").split(b" ") if word]
        lines.append((b" " if line[:1] in (b" ", b"\t") and words else b"") + b" ".join(words))
    relaxed = b"\r\n".join(lines).rstrip(b"\r\n")
    assert b"".join(map(bytes, canonical_pieces(body, 0, is_relaxed=True))) == (relaxed + b"\r\n" if relaxed else b"")
    for fields in fields_by_name(header).values():
        for one in fields:
            for is_relaxed in (False, True):
                dkim_signature.canonical_field(one, is_relaxed=is_relaxed)
                dkim_signature.without_signature(one, is_relaxed=is_relaxed)


@target(
    b"v=spf1 a:x.example/24//64 mx include:%{d2r}._spf.example ip4:192.0.2.0/24 ip6:::/0 exists:%{ir}.x -all exp=e.x",
    b"v=spf1 redirect=_spf.example",
    words=b"v=spf1 a: mx include: ip4: ip6: ptr exists: redirect= exp= -all ~all %{ir} %{d2r-+} %{l1r} %% %_ %- //64",
)
def spf_record(data: bytes) -> None:
    """`SpfSyntaxError` and nothing else; every domain of a record expands to one that fits a name."""
    text = data.decode("latin-1")
    for parse in (spf_macros.parse_macro_string, spf_macros.parse_explanation, spf_macros.parse_domain_spec):
        found = only(SpfSyntaxError, parse, text)
        values = dict.fromkeys("slodiphvcrt", "a.b-c.example" + "x" * (len(data) % 300))
        if isinstance(found, spf_macros.DomainSpec):
            assert len(spf_macros.expand_domain(found, values)) <= 253
        elif isinstance(found, tuple):
            spf_macros.expand(found, values)
    if spf.is_spf(data):
        only(SpfSyntaxError, spf.parse_spf, data)


@target(
    b"v=STSv1; id=20260101;\xfeversion: STSv1\nmode: enforce\nmx: *.x.example\nmax_age: 86400\n",
    words=b"v=STSv1 id= version: mode: enforce testing none mx: max_age:",
)
def mta_sts_policy(data: bytes) -> None:
    record, policy = split(data, 2)
    mta_sts.policy_id([record])
    found = only(mta_sts.InvalidPolicy, mta_sts.parse_policy, policy)
    if isinstance(found, mta_sts.StsPolicy):
        assert found.max_age_s >= 0 if hasattr(found, "max_age_s") else True
        found.admits("a.x.example")


@target(
    b'mx.example 1; spf=pass reason="ok" smtp.mailfrom=a@b; dkim=fail (bad; sig) header.d=x',
    b"x; none",
    words=b'spf=pass dkim=fail dmarc=none reason= header.d= smtp.mailfrom= ( ) " \\ ;',
)
def authentication_results(data: bytes) -> None:
    """Reading never raises; what we write of it is read back as the same."""
    found = parse_results(data)
    written = format_results(found.authserv_id, found.results)
    assert b"\r\n" not in written.removesuffix(b"\r\n").replace(b";\r\n\t", b"")
    again = parse_results(written.partition(b":")[2])
    if all(0x20 <= octet < 0x7F for octet in data) and len(data) < 180:
        assert again.results == found.results, (found, again)


@target(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    words=b"HTTP/1.1 200 Transfer-Encoding: chunked \r\n",
)
def rspamd_answer(data: bytes) -> None:
    only(ValueError, rspamd._parse_response, data)
