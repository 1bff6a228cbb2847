"""Mail that could not be delivered, was late, or met somebody on holiday."""

from ..letter import Letter, Report

LETTERS = (
    Letter(
        "bounce-gone-original", "150d 09:00", "marta", "gone", "Logbooks in the reading room",
        """
        Dear Mr Vane,

        Harriet Osei says that you look after the logbooks. May Tomás photograph two of them?

        Marta Lindqvist
        """,
    ),
    Letter(
        "bounce-gone", "150d 09:01", "daemon", "marta", "Undelivered mail: Logbooks in the reading room",
        """
        Your message could not be delivered to this recipient:

            p.vane@ellery-museum.example

        The server mail.ellery-museum.example answered:

            550 5.1.1 No such person here; he sails now

        We do not try again. Your message is attached.
        """,
        answers="bounce-gone-original", reverse_path="", headers=(("Auto-Submitted", "auto-replied"),),
        report=Report(
            "bounce-gone-original", "p.vane@ellery-museum.example", "failed", "5.1.1",
            "550 5.1.1 No such person here; he sails now", "mail.ellery-museum.example",
        ),
    ),
    Letter(
        "bounce-typo-original", "46d 09:40", "marta", "typo", "Receipts for the quarter",
        "Gwen, the two receipts are in the next letter, as soon as I have found them.",
    ),
    Letter(
        "bounce-typo", "46d 09:41", "daemon", "marta", "Undelivered mail: Receipts for the quarter",
        """
        Your message could not be delivered to this recipient:

            accounts@pritchard-ledgr.example

        There is no such domain. Perhaps a letter is missing?
        """,
        answers="bounce-typo-original", reverse_path="", headers=(("Auto-Submitted", "auto-replied"),),
        report=Report(
            "bounce-typo-original", "accounts@pritchard-ledgr.example", "failed", "5.1.2",
            "550 5.1.2 Domain does not exist", "pritchard-ledgr.example", headers_only=True,
        ),
    ),
    Letter(
        "bounce-full-original", "13d 14:00", "tomas", "full", "May we borrow your long steam box?",
        """
        Hello neighbours,

        Ours is 40 centimetres too short for the last covering board. We bring it back with the
        cobwebs in the same places.

        Tomás Ferreira, Kittiwake
        """,
    ),
    Letter(
        "bounce-full-late", "13d 18:05", "daemon", "tomas", "Delayed: May we borrow your long steam box?",
        """
        Your message has been waiting for four hours and is not delivered yet. You need not do
        anything: we try again for five days.

            yard@northern-slipways.example
            452 4.2.2 Mailbox full
        """,
        answers="bounce-full-original", reverse_path="", headers=(("Auto-Submitted", "auto-replied"),),
        report=Report(
            "bounce-full-original", "yard@northern-slipways.example", "delayed", "4.2.2", "452 4.2.2 Mailbox full",
            "mx1.northern-slipways.example", headers_only=True,
        ),
    ),
    Letter(
        "bounce-full-relief", "12d 07:10", "daemon", "tomas", "Delivered: May we borrow your long steam box?",
        "Your message has now been delivered to yard@northern-slipways.example.",
        answers="bounce-full-original", reverse_path="", headers=(("Auto-Submitted", "auto-replied"),),
        report=Report(
            "bounce-full-original", "yard@northern-slipways.example", "delivered", "2.1.5",
            "250 2.1.5 Recipient has made room", "mx1.northern-slipways.example", headers_only=True,
        ),
    ),
    Letter(
        "vacation-gwen-original", "20d 08:15", "marta", "gwen", "A question about the van",
        "Gwen, may I write off a van that I intend to keep driving? Tomás says no, I say it depends.",
    ),
    Letter(
        "vacation-gwen", "20d 08:16", "gwen", "marta", "Auto: A question about the van",
        """
        I am walking along a cliff until {date-14} and read no mail there. Sums that cannot wait
        can be sent to office@pritchard-ledger.example.

        Gwen Pritchard
        """,
        answers="vacation-gwen-original", reverse_path="",
        headers=(("Auto-Submitted", "auto-replied (vacation)"), ("Precedence", "bulk")),
    ),
    Letter(
        "vacation-aiko-original", "34d 10:12", "thandi", "aiko", "Are you at the regatta already?",
        "I have two questions about the converter, both small, both about umlauts.",
    ),
    Letter(
        "vacation-aiko", "34d 10:13", "aiko", "thandi", "Auto: Are you at the regatta already?",
        "I am on the water today and answer tomorrow. If it is about the boat, please ask Tomás.",
        answers="vacation-aiko-original", reverse_path="",
        headers=(("Auto-Submitted", "auto-replied (vacation)"),), client="service",
    ),
)  # fmt: skip
