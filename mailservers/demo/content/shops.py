"""Orders, shipping notices, invoices and the other mail that programs write."""

from ..documents import pdf
from ..layouts import notice, receipt
from ..letter import File, Letter
from ..pictures import emblem

LETTERS = (
    Letter(
        "shop-screws", "137d 14:02", "chandlers", "orders", "Your order CR-88213 is confirmed",
        """
        Thank you for your order CR-88213.

          Bronze screws 5 x 60, box of 200      4     139.60
          Bedding compound, grey, 1 l           6      83.40
          Delivery                              1       9.50

          Total                                       232.50

        We send it within two working days.
        Chandlers' Row
        """,
        html=receipt(
            "Thank you for your order CR-88213", "We send it within two working days.",
            [("Bronze screws 5 x 60, box of 200", "4", "139.60"), ("Bedding compound, grey, 1 l", "6", "83.40"),
             ("Delivery", "1", "9.50")],
            "232.50", note="Screws may be returned as long as they are straight.",
            logo="https://images.example.com/shops/chandlers-row.png",
        ),
        folder="Archive",
    ),
    Letter(
        "shop-screws-sent", "136d 07:15", "parcelgull", "orders", "Parcel PG 4410 2297 is on its way",
        """
        Your parcel from Chandlers' Row (3.8 kg) is on its way and will reach you on {day-134}
        between 9 and 12.

        Follow it: https://parcelgull.example/t/44102297
        """,
        html=notice(
            "Your parcel is on its way",
            ["From Chandlers' Row, 3.8 kg.", "It will reach you on {day-134} between 9 and 12."],
            ("Follow the parcel", "https://parcelgull.example/t/44102297"),
        ),
        folder="Archive",
    ),
    Letter(
        "shop-hosting", "120d 03:00", "hosting", "marta", "Invoice BH-20771 for kittiwake.example",
        "Your yearly invoice for the name kittiwake.example is attached. It is paid from your account on {date-110}.",
        files=(
            File("BH-20771.pdf", "application/pdf",
                 pdf("Invoice BH-20771", ["Domain kittiwake.example, one year", "18.00", "Secondary name server: 6.00",
                                          "Total 24.00"])),
        ),
        html=receipt(
            "Invoice BH-20771", "It is paid from your account on {date-110}.",
            [("Domain kittiwake.example, one year", "1", "18.00"), ("Secondary name server", "1", "6.00")], "24.00",
        ),
    ),
    Letter(
        "shop-ferry", "70d 12:12", "ferry", "tomas", "Booking SF7Q2K: Skerrow to Port Ellery and back",
        """
        1 van up to 6 m, 2 persons
        Out:  {date-66}, 07:20
        Back: {date-66}, 18:05

        Please be at the quay 25 minutes before.
        """,
        html=receipt(
            "Booking SF7Q2K", "Out {date-66} at 07:20, back at 18:05. Please be at the quay 25 minutes before.",
            [("Van up to 6 m, return", "1", "64.00"), ("Passenger, return", "2", "22.00")], "86.00",
            logo="https://images.example.com/ferries/sound.png",
        ),
    ),
    Letter(
        "shop-paper", "55d 09:32", "chandlers", "orders", "Your order CR-90117 is confirmed",
        "",
        html=receipt(
            "Thank you for your order CR-90117", "We pack it today and send it tomorrow.",
            [("Sandpaper, 120, roll of 50 m", "3", "71.70"), ("Dust masks, box of 20", "2", "37.00"),
             ("Varnish brush, oval, 50 mm", "6", "58.20")],
            "166.90", logo="https://images.example.com/shops/chandlers-row.png",
        ),
    ),
    Letter(
        "shop-ledger", "46d 08:05", "gwen", "marta", "Quarter closed",
        """
        Marta, the quarter is closed. You are owed 1,204.18 in tax, which has never happened to
        you before, so please sit down.

        Two receipts are missing: something from a bakery for 61.00, and a bell?

        Gwen
        """,
    ),
    Letter(
        "shop-ledger-reply", "46d 09:48", "marta", "gwen",
        text="""
        The bakery was cake for the school class. The bell was not bought: it was on the wall, and
        is on a boat now. I do not know how one writes that into a ledger.
        """,
        answers="shop-ledger", quote=True,
    ),
    Letter(
        "shop-ledger-bell", "45d 16:30", "gwen", "marta",
        text="One writes: gift, one bell, value sentimental. Done.",
        answers="shop-ledger-reply",
    ),
    Letter(
        "shop-invoice-logo", "31d 06:40", "hosting", "marta", "Certificate for mail.kittiwake.example renewed",
        "The certificate for mail.kittiwake.example was renewed and is good for 90 days.",
        html=receipt(
            "Certificate renewed", "mail.kittiwake.example is good for another 90 days.",
            [("Certificate, 90 days", "1", "0.00")], "0.00", logo="cid:brightwater@brightwater-hosting.example",
        ),
        files=(
            File("brightwater.png", "image/png", emblem((30, 110, 96)), cid="brightwater@brightwater-hosting.example"),
        ),
        unread=True,
    ),
    Letter(
        "shop-backup", "7d 02:15", "backup", "aiko", "yardbox: backup finished, 0 errors",
        """
        started   02:00:03
        finished  02:14:41
        files     48112 (31 new, 12 changed)
        bytes     61.2 GB
        errors    0

        oldest snapshot kept: {ymd-180}
        """,
        folder="Trash",
    ),
    Letter(
        "shop-backup-warning", "11h", "backup", "aiko", "yardbox: disk 81 % full",
        """
        /srv has 81 % in use, which is over the warning level of 80 %.

        largest: /srv/pictures/sanderling   212 GB
        """,
    ),
    Letter(
        "shop-glass", "2h", "parcelgull", "orders", "A parcel from far away arrives on {day+1}",
        "Fragile, glass, 2.1 kg, from: C.-M. Lin. Somebody has to sign for it.",
        html=notice(
            "A parcel from far away", ["Fragile, glass, 2.1 kg, from: C.-M. Lin.",
                                       "It arrives on {day+1}, and somebody has to sign for it."],
            ("Follow the parcel", "https://parcelgull.example/t/44203310"),
        ),
    ),
)  # fmt: skip
