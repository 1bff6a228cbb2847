"""Messages made to hurt: each is summarised within two seconds of CPU and a bounded amount of memory.

Quadratic time would take minutes on these, so a busy machine is given more time.
"""

import time
import tracemalloc
from collections.abc import Callable

import pytest

from mailservers.formats.addresses import parse_address_list
from mailservers.formats.headers import decode_words
from mailservers.formats.html_text import html_to_text
from mailservers.formats.mime import MAX_PARTS, scan, walk
from mailservers.formats.parameters import MAX_PARAMETERS, parse_content_type
from mailservers.formats.summary import summarise

MAX_SECONDS = 2.0
ATTEMPTS = 3
IDLE_SPIN_SECONDS = 0.02  # what `spin` takes on an idle core of 2024
MAX_MEMORY_OCTETS = 256 * 1024 * 1024
HTML_CHARACTERS = 600_000
MIB = 1024 * 1024


def spin() -> float:
    """CPU seconds that a fixed loop takes now: a busy machine counts far more than the work needs."""
    started = time.process_time()
    for _ in range(1_000_000):
        pass
    return time.process_time() - started


def assert_quick(work: Callable[[], object]) -> None:
    """`work` takes at most MAX_SECONDS of CPU, or as much longer as this machine is slower than an idle one now."""
    for _ in range(ATTEMPTS):
        before = spin()
        started = time.process_time()
        work()
        taken = time.process_time() - started
        if taken < MAX_SECONDS * max(1.0, before / IDLE_SPIN_SECONDS, spin() / IDLE_SPIN_SECONDS):
            return
    pytest.fail(f"too slow: {taken:.1f} s")


def nested_multiparts(levels: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels))


def siblings_without_end(count: int) -> bytes:
    """Multiparts that announce boundaries which never come, one after the other."""
    parts = b"".join(
        b"--b\r\nContent-Type: multipart/mixed; boundary=never%d\r\n\r\n%b\r\n" % (n, b"-" * 400) for n in range(count)
    )
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts


MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
BOMBS = {
    "depth": lambda: nested_multiparts(100_000),
    "messages in messages": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 100_000 + b"\n" * 4 * MIB,
    "a million parts": lambda: MULTIPART + b"--b\r\n\r\n" * 1_000_000,
    "a million parts without a body": lambda: MULTIPART + b"--b\n" * 1_000_000,
    "parts whose headers have no end": lambda: MULTIPART + b"--b\nA: b\n" * 400_000,
    "multiparts without end": lambda: siblings_without_end(20_000),
    "lines that look like delimiters": lambda: (
        nested_multiparts(50).replace(b"=b", b'="').replace(b"\r\n\r\n", b'"\r\n\r\n') + b"\r\n--" * 2 * MIB
    ),
    "lines that look like delimiters of two": lambda: (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n"
        + b"--\n" * 2 * MIB
    ),
    "an endless header": lambda: b"Subject: x\r\n" * MIB,
    "an endless field": lambda: b"Subject: x" + b"\r\n x" * 2 * MIB,
    "an endless line": lambda: b"x" * 4 * MIB,
    "an endless name": lambda: b"A: b\r\n" + b"x" * 4 * MIB + b": b\r\n\r\n",
    "nothing but line ends": lambda: b"A: b" + b"\r\n" * 4 * MIB,
    "nothing but carriage returns": lambda: b"A: b" + b"\r" * 4 * MIB,
    "nothing but NUL": lambda: b"\0" * 4 * MIB,
    "16,000 parameters": lambda: (
        b"Content-Type: text/plain" + b"".join(b"; a%d=b" % n for n in range(16_000)) + b"\n\n"
    ),
    "16,000 continuations": lambda: (
        b"Content-Type: text/plain" + b"".join(b"; a*%d*=%%20" % n for n in range(16_000)) + b"\n\n"
    ),
    "semicolons": lambda: b"Content-Type: text/plain" + b";" * 1_000_000 + b'"=' * 1000 + b"\n\n",
    "blanks": lambda: b"Content-Type:" + b" " * 1_000_000 + b"\nDate:" + b" " * 500_000 + b"(" * 1000 + b"\n\n",
    "open quotes": lambda: b"Content-Type: text/plain; a=" + b'"\\' * 400_000 + b"\n\n",
    "comments": lambda: b"Content-Type: text/plain " + b"(" * 400_000 + b"\nFrom: " + b"(" * 500_000 + b"\n\n",
    "many comments": lambda: b"From: " + b"(a) " * 200_000 + b"\nContent-Type: " + b"() " * 60_000 + b"\n\n",
    "32,000 encoded words": lambda: b"Subject: " + b"=?utf-8?q?=C3=BC?= " * 32_000 + b"\n\n",
    "32,000 encoded words in turns": lambda: b"Subject: " + b"=?utf-8?q?a?= =?koi8-r?b?/w?= " * 16_000 + b"\n\n",
    "encoded words without end": lambda: b"Subject: " + b"=?utf-8?q?" * 100_000 + b"\n\n",
    "encoded words of unknown charsets": lambda: (
        b"Subject: " + b"".join(b"=?x%d?q?=FC?= " % n for n in range(40_000)) + b"\n\n"
    ),
    "addresses": lambda: b"From: " + b"a@b," * 250_000 + b"\n\n",
    "odd addresses": lambda: b"To: " + b'"\\"" . a @ b (c),' * 55_000 + b"\n\n",
    "groups": lambda: b"To: " + b"a:b;" * 250_000 + b"\n\n",
    "angles": lambda: b"To: " + b"<" * 900_000 + b"\n\n",
    "routes": lambda: b"To: <" + b"@a," * 300_000 + b"\n\n",
    "one address of dots": lambda: b"To: " + b"." * 400_000 + b"@" + b"." * 400_000 + b"\n\n",
    "references": lambda: b"References: " + b"<a@b>" * 180_000 + b"\n\n",
    "references that are none": lambda: b"References: " + b"<a" * 450_000 + b"\n\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_summary_is_quick(name):
    raw = BOMBS[name]()
    assert_quick(lambda: summarise(raw))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_summary_is_small(name):
    raw = BOMBS[name]()
    tracemalloc.start()
    try:
        summarise(raw)
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY_OCTETS
    finally:
        tracemalloc.stop()


HTML_BOMBS = {
    "tags": "<b>" * 1_000_000,
    "open tags": "<b " * 1_000_000,
    "angles": "<" * 2_000_000,
    "comments": "<!--" * 1_000_000,
    "empty comments": "<!---->" * 500_000,
    "scripts": "<script>" * 500_000,
    "scripts with end": "<script></script>" * 200_000,
    "quotes": "<a \"'>" * 600_000,
    "one quote and no end": '<a "' + ">" * 3_000_000,
    "open quotes": '<a b=">' * 500_000,
    "references": "&#x26;amp;" * 300_000,
    "huge references": "&#" + "1" * 2_000_000 + ";",
    "huge hexadecimal references": "&#x" + "1" * 2_000_000 + ";",
    "zero references": ("&#" + "0" * 5000 + "65;") * 400,
    "ampersands": "&" * 3_000_000,
    "blanks": "<b> </b>" * 400_000,
    "divs": "<div>" * 600_000,
    "line ends": "\n" * 3_000_000,
}


@pytest.mark.parametrize("name", HTML_BOMBS)
def test_html_is_quick(name):
    source = HTML_BOMBS[name][:HTML_CHARACTERS]
    assert_quick(lambda: html_to_text(source))


def test_caps_are_kept():
    assert len(list(walk(scan(BOMBS["a million parts"]())))) <= MAX_PARTS
    assert len(list(walk(scan(BOMBS["multiparts without end"]())))) <= MAX_PARTS
    declared = parse_content_type(b"text/plain" + b"".join(b"; a%d=b" % n for n in range(16_000)))
    assert declared is not None and len(declared[2]) == MAX_PARAMETERS


@pytest.mark.parametrize("function", [decode_words, parse_address_list, parse_content_type])
@pytest.mark.parametrize(
    "piece",
    [
        b"=?",
        b"?=",
        b"=?a?b?",
        b'"',
        b"\\",
        b"(",
        b"()",
        b"<",
        b"<>",
        b"@",
        b".",
        b",",
        b";",
        b":",
        b"a ",
        b"[",
        b"*0*=",
        b"a*1=;",
        b"\t",
        b"\r",
        b"=",
        b"\xff",
    ],
)
def test_repetition_is_linear(function, piece):
    assert_quick(lambda: function(piece * (300_000 // len(piece))))
