"""Mail programs: what each leaves in the messages it writes."""

from dataclasses import dataclass
from random import Random
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Client:
    """`field` names the program; the makers take a source of randomness, and a domain for Message-IDs."""

    field: tuple[str, str] | None
    id_style: str = "uuid"
    boundary_style: str = "dashes"
    html: bool = False  # writes an HTML alternative of every text
    long_lines: bool = False  # one line a paragraph, left to the transfer encoding
    flowed: bool = False  # format=flowed (RFC 3676)
    reply_prefix: str = "Re: "


CLIENTS: dict[str, Client] = {
    "postroom": Client(("User-Agent", "Postroom Webmail"), boundary_style="hex"),
    "thunderbird": Client(("User-Agent", "Mozilla Thunderbird"), flowed=True),
    "outlook": Client(("X-Mailer", "Microsoft Outlook 16.0"), "dollar", "nextpart", html=True, long_lines=True),
    "outlook-de": Client(("X-Mailer", "Microsoft Outlook 16.0"), "dollar", "nextpart", True, True, reply_prefix="AW: "),
    "apple": Client(("X-Mailer", "Apple Mail (2.3774.600.62)"), "upper", "apple", long_lines=True),
    "phone": Client(("X-Mailer", "iPhone Mail (21F90)"), "upper", "apple", long_lines=True),
    "k9": Client(("User-Agent", "K-9 Mail for Android"), boundary_style="dashes", long_lines=True),
    "mutt": Client(("User-Agent", "Mutt/2.2.12 (2023-09-09)"), "timed", "mutt"),
    "evolution": Client(("User-Agent", "Evolution 3.46.4-2"), "camel", "equals"),
    "kmail": Client(("User-Agent", "KMail/5.22.3"), "timed", "nextpart"),
    "becky": Client(("X-Mailer", "Becky! ver. 2.81.04 [ja]"), "timed", "hex"),
    "bat": Client(("X-Mailer", "The Bat! (v10.5.2) Professional"), "number", "hex"),
    "foxmail": Client(("X-Mailer", "Foxmail 7.2.25.259[cn]"), "dollar", "nextpart"),
    "service": Client(None, "hex", "hex"),
}


def message_id(client: Client, rng: Random, domain: str) -> str:
    """A msg-id with its angle brackets, in the program's own manner."""
    uuid = str(UUID(int=rng.getrandbits(128), version=4))
    left = {
        "uuid": uuid,
        "upper": uuid.upper(),
        "dollar": f"{rng.getrandbits(48):012x}${rng.getrandbits(32):08x}${rng.getrandbits(32):08x}$",
        "timed": f"{rng.getrandbits(44):011x}.GA{rng.randrange(1000, 9999)}",
        "camel": f"{rng.getrandbits(160):040x}.camel",
        "number": str(rng.randrange(10**9, 10**10)),
        "hex": f"{rng.getrandbits(96):024x}",
    }[client.id_style]
    return f"<{left}@{domain}>"


def boundary(client: Client, rng: Random) -> str:
    """A boundary that cannot occur in quoted-printable or base64 text, nor by chance elsewhere."""
    return {
        "dashes": f"------------{rng.getrandbits(92):023X}",
        "nextpart": f"----=_NextPart_000_{rng.getrandbits(16):04X}_{rng.getrandbits(64):016X}",
        "apple": f"Apple-Mail=_{str(UUID(int=rng.getrandbits(128), version=4)).upper()}",
        "mutt": f"mutt{rng.getrandbits(60):015x}=",
        "equals": f"=-{rng.getrandbits(80):020x}",
        "hex": f"=_{rng.getrandbits(128):032x}",
    }[client.boundary_style]
