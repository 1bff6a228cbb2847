"""Unwanted mail. Believable, and harmless: every address and link is under a reserved top-level domain."""

from ..documents import archive
from ..layouts import notice
from ..letter import File, Letter

JUNK = "Junk"

LETTERS = (
    Letter(
        "junk-bank", "110d 03:12", "fake-bank", "marta", "Unusual sign-in to your account: action required",
        """
        Dear Customer,

        We noticed a sign-in to your account from a new device. Confirm that it was you within 24
        hours, or your account will be restricted:

        https://northquay-bank-secure.example/confirm?id=77120

        Northquay Bank Security Team
        """,
        html=notice(
            "Unusual sign-in", ["Dear Customer,", "We noticed a sign-in to your account from a new device.",
                                "Confirm that it was you within 24 hours, or your account will be restricted."],
            ("Confirm at northquay-bank.example", "https://northquay-bank-secure.example/confirm?id=77120"),
            colour="#8a1f2d",
        ),
        folder=JUNK, unread=True, keywords=("$Junk", "$Phishing"),
    ),
    Letter(
        "junk-parcel", "76d 04:44", "fake-parcel", "orders", "Your parcel could not be delivered (unpaid fee 1.99)",
        "A fee of 1.99 is due for your parcel. Pay now: https://parcelgu11.example/pay",
        html=notice(
            "Parcel on hold", ["Your parcel is waiting in our depot.", "A fee of 1.99 is due before delivery."],
            ("Pay 1.99 now", "https://parcelgu11.example/pay"), colour="#d08700",
        ),
        folder=JUNK, unread=True, keywords=("$Junk", "$Phishing"),
    ),
    Letter(
        "junk-watches", "59d 22:31", "watches", "marta", "★ Swiss-style chronometers ★ 90% OFF ★ today only ★",
        "Time waits for no one! Genuine-looking chronometers from 39.90. Waterproof near water.",
        html='<html><body bgcolor="#000000"><center><font color="#ffd700" size="6"><b>90% OFF</b></font><br>'
        '<a href="https://chrono-bargain.example/buy"><img src="https://images.example.com/promo/watch.gif" '
        'width="320" height="240" alt="BUY"></a><br><font color="#ffffff">Genuine-looking. Waterproof near water.'
        '<script>document.location="https://chrono-bargain.example/"</script></font></center></body></html>',
        folder=JUNK, unread=True, keywords=("$Junk",),
    ),
    Letter(
        "junk-boss", "50d 06:17", "fake-marta", "tomas", "quick favour",
        """
        Tomás, are you at your desk? I am in a meeting and need you to buy four gift cards for a
        client. I will pay you back today. Please keep this between us.

        Marta
        Sent from my phone
        """,
        folder=JUNK, keywords=("$Junk", "$Phishing"),
    ),
    Letter(
        "junk-prince", "48d 23:58", "prince", "marta", "Confidential: the estate of a late namesake",
        """
        Dear Beneficiary,

        A person of your family name has passed away and has left a sum of 14.6 million with no
        heir. As her barrister I propose that you shall be that heir, and that we share in equal
        parts. Kindly send your full name, which I seem to have mislaid.

        A. Quill, Barrister
        """,
        folder=JUNK, unread=True, keywords=("$Junk",),
    ),
    Letter(
        "junk-seo", "36d 05:25", "seo", "marta", "kittiwake.example is not on page one",
        """
        Hi there Webmaster,

        I was on your website kittiwake.example and saw that it is not on page one. We guarantee
        page one, or page two. Shall we jump on a call?
        """,
        folder=JUNK, unread=True, keywords=("$Junk",),
    ),
    Letter(
        "junk-lottery", "26d 01:40", "lottery", "aiko", "YOU HAVE WON!!! Ticket 000117",
        "Congratulations! Your e-mail address has won our second prize without taking part. Reply with this code: 117.",
        folder=JUNK, unread=True, keywords=("$Junk",),
    ),
    Letter(
        "junk-russian", "17d 00:20", "pills", "marta", "Только сегодня: скидки до 95%",
        """
        Лодочные моторы, часы и чудо-клей по ценам ниже себестоимости!
        Торопитесь: предложение действует вчера и сегодня.
        """,
        folder=JUNK, unread=True, keywords=("$Junk",),
    ),
    Letter(
        "junk-invoice", "10d 04:05", "invoice-scam", "orders", "Overdue invoice INV-00291 (final notice)",
        "Please find attached the overdue invoice. Open the archive and enable editing.",
        files=(
            File("INV-00291.zip", "application/zip",
                 archive({"INV-00291.txt": b"There is no invoice. There never was an invoice.\n"})),
        ),
        folder=JUNK, unread=True, keywords=("$Junk",),
    ),
    Letter(
        "junk-quota", "33h", "fake-post", "aiko", "Your mailbox is 99% full: keep your password",
        """
        Your mailbox at kittiwake.example will be closed today. To go on with your current
        password, enter it here: https://kittiwake-webmail.example/keep
        """,
        html=notice(
            "Your mailbox is 99% full", ["Your mailbox at kittiwake.example will be closed today.",
                                         "To go on with your current password, enter it below."],
            ("Keep my password", "https://kittiwake-webmail.example/keep"), colour="#4a4f57",
        ),
        folder=JUNK, unread=True, keywords=("$Junk", "$Phishing"),
    ),
)  # fmt: skip
