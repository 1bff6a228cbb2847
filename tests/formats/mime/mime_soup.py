"""Hypothesis strategies for messages: any octets, and a soup of MIME fragments that nest, overlap and break."""

from hypothesis import strategies as st

_FRAGMENTS = [
    b"From: a@b.example",
    b"Subject: =?utf-8?q?=C3=BC?= =?utf-8?b?w7w=?=",
    b'To: G: a@b, "q\\"" <c@d>;, (x) e@f',
    b"Date: Wed, 01 May 2024 10:00:00 +0200",
    b"Content-Type: multipart/mixed; boundary=b",
    b'Content-Type: multipart/alternative; boundary="b1"',
    b"Content-Type: multipart/digest; boundary=b",
    b"Content-Type: multipart/mixed",
    b"Content-Type: message/rfc822",
    b"Content-Type: message/global",
    b"Content-Type: text/html; charset=iso-8859-1",
    b'Content-Type: text; x="',
    b"Content-Type: application/pdf; name*0*=utf-8''%e2%82; name*1=\"%ac.pdf\"",
    b'Content-Disposition: attachment; filename="a\\"b"',
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable",
    b"Content-ID: <x\0y>",
    b"Content-Language: en, de",
    b"--b",
    b"--b ",
    b"--b--",
    b"--b1",
    b"--b1--",
    b"--",
    b" folded",
    b"",
    b"",
    b"text",
    b"<p>a &amp; b<script>",
    b"=C3=BC=",
    b"w7zDvA==",
    b"\xff\x00\x80",
    b"\r",
]

soup = st.lists(
    st.tuples(st.sampled_from(_FRAGMENTS), st.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r", b""])), max_size=40
).map(lambda lines: b"".join(text + end for text, end in lines))
messages = st.one_of(soup, soup, st.binary(max_size=300))


def mime_parts(depth: int = 3):
    """Well-formed entities as (header lines, body, children) trees for the comparison with the `email` package."""
    leaf = st.tuples(
        st.sampled_from(["plain", "html", "octet"]),
        st.sampled_from(["7bit", "base64", "quoted-printable"]),
        st.binary(max_size=80),
    )
    return st.recursive(
        leaf,
        lambda inner: (
            st.tuples(st.just("multipart"), st.lists(inner, min_size=1, max_size=4))
            | st.tuples(st.just("message"), inner)
        ),
        max_leaves=8,
    )
