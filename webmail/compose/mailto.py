"""mailto: URIs (RFC 6068).

    mailtoURI = "mailto:" [ to ] [ hfields ]
    to        = addr-spec *("," addr-spec )
    hfields   = "?" hfield *( "&" hfield )
    hfield    = hfname "=" hfvalue

Only to, cc, bcc, subject and body are taken (section 4: others may be unsafe); each occurrence of an address field adds
to it. `+` is a plus sign (section 5). Any text gives an answer.
"""

from __future__ import annotations

from urllib.parse import unquote

MAX_URI = 20_000  # characters
_LISTS = ("to", "cc", "bcc")
_TEXTS = ("subject", "body")


def parse_mailto(uri: str) -> dict[str, str]:
    """Field name in lower case -> decoded text; "" for what is not there, and for another kind of URI all."""
    found = dict.fromkeys((*_LISTS, *_TEXTS), "")
    scheme, _, rest = uri[:MAX_URI].strip().partition(":")
    if scheme.lower() != "mailto":
        return found
    to, _, query = rest.partition("#")[0].partition("?")
    fields = [("to", to)] + [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
    for raw_name, raw_value in fields:
        name, value = unquote(raw_name).lower(), unquote(raw_value).replace("\0", "")
        if name in _LISTS:
            found[name] = ", ".join(filter(None, (found[name], value.strip())))
        elif name == "subject":
            found[name] = found[name] or " ".join(value.split())
        elif name == "body":
            found[name] = "\n".join(filter(None, (found[name], value.replace("\r\n", "\n").replace("\r", "\n"))))
    return found
