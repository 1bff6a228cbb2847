"""Who is who: the three people of Kittiwake Boatyard, everyone they write with, and the lists they read."""

from .letter import Correspondent, MailingList

DOMAIN = "kittiwake.example"
OWN_KEYS = ("marta", "tomas", "aiko")

ALIASES: dict[str, tuple[str, ...]] = {
    f"team@{DOMAIN}": (f"marta@{DOMAIN}", f"tomas@{DOMAIN}", f"aiko@{DOMAIN}"),
    f"info@{DOMAIN}": (f"marta@{DOMAIN}", f"aiko@{DOMAIN}"),
    f"workshop@{DOMAIN}": (f"tomas@{DOMAIN}",),
    f"orders@{DOMAIN}": (f"aiko@{DOMAIN}",),
}

C = Correspondent
CAST: dict[str, Correspondent] = {
    # Kittiwake Boatyard, Skerrow: wooden boats, since a grandfather
    "marta": C("Marta Lindqvist", f"marta@{DOMAIN}", "postroom", zone="+0100"),
    "tomas": C("Tomás Ferreira", f"tomas@{DOMAIN}", "thunderbird", zone="+0100"),
    "aiko": C("Aiko Brandt", f"aiko@{DOMAIN}", "mutt", cte="8bit", zone="+0100"),
    "team": C("Kittiwake team", f"team@{DOMAIN}"),
    "info": C("Kittiwake Boatyard", f"info@{DOMAIN}"),
    "workshop": C("Workshop", f"workshop@{DOMAIN}"),
    "orders": C("", f"orders@{DOMAIN}"),
    "daemon": C("Mail Delivery System", f"MAILER-DAEMON@{DOMAIN}", "service", zone="+0100"),
    "gone": C("Peter Vane", "p.vane@ellery-museum.example"),
    "typo": C("", "accounts@pritchard-ledgr.example"),
    "full": C("Northern Slipways", "yard@northern-slipways.example"),
    # customers and neighbours
    "harriet": C("Harriet Osei", "h.osei@ellery-museum.example", "outlook", zone="+0100"),
    "callum": C("Callum Drever", "callum.drever@skerrow-harbour.example", "outlook", zone="+0100"),
    "isla": C("Isla Moncrieff", "isla.moncrieff@skerrow-harbour.example", "apple", zone="+0100"),
    "priya": C("Raman, Priya (Marine Survey)", "priya.raman@fathom-mutual.example", "outlook", zone="+0100"),
    "gwen": C("Gwen Pritchard", "gwen@pritchard-ledger.example", "apple", zone="+0100"),
    "josie": C("Josie Blackwood", "josie@blackwood-rigging.example", "k9", zone="+0100"),
    "ewan": C("Ewan Tait", "ewan.tait@mailhaven.example", "phone", zone="+0100"),
    # suppliers
    "jurgen": C(
        "Jürgen Nordholz", "juergen@nordholz-bootsholz.example", "outlook-de", "iso-8859-1",
        language="de", zone="+0200",
    ),
    "anke": C(
        "Anke Süßmilch", "versand@nordholz-bootsholz.example", "evolution", "iso-8859-15",
        "8bit", language="de", zone="+0200",
    ),
    "yannick": C(
        "Yannick Le Goff", "contact@voilerie-legoff.example", "thunderbird", "iso-8859-15",
        language="fr", zone="+0200",
    ),
    "maelle": C("Maëlle Kervella", "maelle@voilerie-legoff.example", "apple", language="fr", zone="+0200"),
    "pilar": C("Pilar Núñez Ibáñez", "pilar@pinturas-marisma.example", "kmail", language="es", zone="+0200"),
    "miura": C(
        "三浦 健一", "k-miura@miura-sengu.example", "becky", "iso-2022-jp", "7bit", language="ja", zone="+0900"
    ),
    "chen": C(
        "陈晓燕", "chen.xy@yuezhou-marine.example", "foxmail", "gb18030", "base64", language="zh", zone="+0800"
    ),
    "kasia": C(
        "Katarzyna Wiśniewska", "kasia@powroznik-gdansk.example", "thunderbird", "iso-8859-2",
        language="pl", zone="+0200",
    ),
    # family, friends and letters from far away
    "rui": C("Rui Ferreira", "rui.ferreira@correio.example", "k9", language="pt", zone="+0100"),
    "ines": C("Inês 🌊", "ines.f@correio.example", "phone", language="pt", zone="+0100"),
    "sachiko": C(
        "田中 幸子", "sachiko.tanaka@umikaze.example", "apple", "shift_jis", "base64", language="ja", zone="+0900"
    ),
    "kenta": C("健太", "健太@船の会.example", "postroom", cte="8bit", language="ja", zone="+0900"),
    "elena": C(
        "Елена Соколова", "sokolova@belomor-museum.example", "bat", "koi8-r", "8bit", language="ru", zone="+0300"
    ),
    "dmitri": C(
        "Дмитрий Волков", "d.volkov@parusnik.example", "outlook", "windows-1251", language="ru", zone="+0300"
    ),
    "nikos": C("Νίκος Παπαδάκης", "nikos@karnagio-samos.example", "thunderbird", language="el", zone="+0300"),
    "eleni": C(
        "Ελένη Μαυρίδου", "eleni@karnagio-samos.example", "kmail", "iso-8859-7", language="el", zone="+0300"
    ),
    "salim": C(
        "سالم الحارثي", "salim@sawari-workshop.example", "outlook", "windows-1256", "base64", "ar", "+0400"
    ),
    "lin": C(
        "林志明", "lin.cm@model-junk-club.example", "thunderbird", "big5", "base64", language="zh", zone="+0800"
    ),
    # programs
    "chandlers": C("Chandlers' Row", "orders@chandlersrow.example", "service"),
    "chandlers-news": C("Chandlers' Row Offers", "hello@news.chandlersrow.example", "service"),
    "parcelgull": C("Parcelgull", "tracking@parcelgull.example", "service"),
    "bank": C("Northquay Bank", "no-reply@northquay-bank.example", "service"),
    "hosting": C("Brightwater Hosting", "billing@brightwater-hosting.example", "service"),
    "ferry": C("Skerrow Sound Ferries", "bookings@sound-ferries.example", "service"),
    "caulking": C("The Caulking Iron", "editor@caulking-iron.example", "service"),
    "museum-news": C("Port Ellery Maritime Museum", "news@ellery-museum.example", "service"),
    "forge": C("Tidewater Forge", "notifications@tidewater.example", "service"),
    "backup": C("backup on yardbox", f"root@yardbox.{DOMAIN}", "service"),
    # the slipway list
    "slipway": C("slipway-maintainers", "maintainers@lists.tidewater.example"),
    "oskar": C("Oskar Hjelm", "oskar@hjelm.example", "mutt", cte="8bit", zone="+0200"),
    "dana": C("Dana Whitlock", "dana.whitlock@quaycode.example", "thunderbird", zone="-0500"),
    "thandi": C("Thandi Mokoena", "thandi@mokoena.example", "evolution", zone="+0200"),
    # nobody we know
    "fake-bank": C("Northquay Bank Security", "alerts@northquay-bank-secure.example", "service"),
    "fake-parcel": C("ParceIguII Delivery", "redelivery@parcelgu11.example", "service"),
    "fake-marta": C("Marta Lindqvist", "marta.lindqvist@office-mailbox.example", "phone"),
    "fake-post": C("Mailbox Administrator", "admin@kittiwake-webmail.example", "service"),
    "watches": C("Premium Chronometers", "vip@chrono-bargain.example", "service"),
    "seo": C("Rank Booster Team", "grow@rank-booster.example", "service"),
    "prince": C("Barrister A. Quill", "quill.chambers@legacy-trust.example", "service"),
    "lottery": C("Coastal Lottery Office", "winner@coastal-lottery.example", "service"),
    "pills": C("Дёшево и быстро", "sale@skidka-vsem.example", "service", "windows-1251"),
    "invoice-scam": C("Accounts Dept", "billing@invoice-portal.example", "service"),
}  # fmt: skip

LISTS: dict[str, MailingList] = {
    "slipway": MailingList(
        "Slipway maintainers", "maintainers.lists.tidewater.example", "lists.tidewater.example",
        post="maintainers@lists.tidewater.example", prefix="[slipway] ",
        footer="_______________________________________________\nslipway-maintainers mailing list\n"
        "https://lists.tidewater.example/maintainers",
        members="aiko",
    ),
    "caulking": MailingList(
        "The Caulking Iron", "weekly.caulking-iron.example", "news.caulking-iron.example", one_click=True
    ),
    "museum": MailingList(
        "Museum news", "news.ellery-museum.example", "news.ellery-museum.example", one_click=True
    ),
    "chandlers": MailingList(
        "Chandlers' Row Offers", "offers.chandlersrow.example", "news.chandlersrow.example", one_click=True
    ),
    "forge": MailingList("slipway/slipway", "slipway.slipway.tidewater.example", "tidewater.example"),
}  # fmt: skip


def correspondent(token: str) -> Correspondent:
    """Who a key or a bare address in a letter's `to` means."""
    return CAST.get(token) or Correspondent("", token)
