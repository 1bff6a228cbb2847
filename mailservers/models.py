"""Mail tables. Only `mailservers.store` and the services' store operations write them.

A message's content is one immutable row however many mailboxes hold it (`Message`), its octets lie apart
(`MessageData`), and a place in a mailbox is a `MailboxMessage`. See docs/architecture.md for the picture.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Message(models.Model):
    """One distinct content and everything that lists need, computed once, at acceptance."""

    sha256 = models.BinaryField(max_length=32, unique=True)
    size = models.BigIntegerField()  # octets, header and body
    header_size = models.IntegerField()  # octets, with the empty line
    envelope = models.BinaryField()  # IMAP ENVELOPE, ready to send
    bodystructure = models.BinaryField()  # IMAP BODYSTRUCTURE, ready to send
    parts = models.BinaryField()  # formats.mime.dump_parts: the part tree with octet offsets
    subject = models.TextField()
    from_name = models.TextField()
    from_address = models.TextField()
    to = models.TextField()
    cc = models.TextField()
    message_id = models.TextField(db_index=True)
    in_reply_to = models.TextField()
    references = models.TextField()  # message identifiers, separated by spaces
    date = models.DateTimeField(null=True)  # the Date field
    preview = models.TextField()
    has_attachment = models.BooleanField()
    created_at = models.DateTimeField()


class MessageData(models.Model):
    """The octets, compressed with zstd: header and body apart, so that header fields do not cost bodies.

    A body over STORE_INLINE_LIMIT compressed octets lies in a file instead, named `file`.
    """

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="data")
    header = models.BinaryField()
    file = models.CharField(max_length=100, blank=True)  # under MESSAGE_FILES_DIR; "" when the body is here
    body = models.BinaryField()  # empty when `file` is set


class Flag(models.IntegerChoices):
    """System flags as bits of `MailboxMessage.flags` (RFC 9051 2.3.2)."""

    SEEN = 1, "\\Seen"
    ANSWERED = 2, "\\Answered"
    FLAGGED = 4, "\\Flagged"
    DELETED = 8, "\\Deleted"
    DRAFT = 16, "\\Draft"


OUTBOX_USE = "\\Scheduled"  # IANA's special use for "mail that is to be sent later": see store.outbox


class Mailbox(models.Model):
    """A mailbox of one user. Its counters change in the transaction that changes what they count."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mailboxes")
    name = models.CharField(max_length=500)  # UTF-8, "/" between levels; INBOX in upper case
    uid_validity = models.BigIntegerField()
    uid_next = models.BigIntegerField(default=1)
    highest_modseq = models.BigIntegerField(default=1)
    special_use = models.CharField(max_length=20, blank=True)  # e.g. "\\Sent" (RFC 6154)
    is_subscribed = models.BooleanField(default=True)
    messages = models.IntegerField(default=0)
    unseen = models.IntegerField(default=0)
    deleted = models.IntegerField(default=0)
    size = models.BigIntegerField(default=0)  # octets
    recent_uid = models.BigIntegerField(default=1)  # the first UID no session has been told of as \Recent
    forgotten_modseq = models.BigIntegerField(default=0)  # expunges up to here may be forgotten: store.forgetting
    keywords = models.TextField(blank=True)  # every keyword ever used here, separated by spaces

    class Meta:
        constraints = (models.UniqueConstraint(fields=("owner", "name"), name="mailbox_name_once"),)


class AclEntry(models.Model):
    """Who else may do what with a mailbox (RFC 4314, `mailservers.store.access`)."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="acl")
    identifier = models.CharField(max_length=321, db_index=True)  # a login, a group's address, or "anyone"
    is_negative = models.BooleanField(default=False)  # takes rights away
    rights = models.CharField(max_length=20)  # of "lrswipkxtea"

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("mailbox", "identifier", "is_negative"), name="acl_identifier_once"),
        )


class UrlKey(models.Model):
    """A user's secret for URLs of messages in a mailbox (IMAP URLAUTH, `mailservers.store.url_keys`)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="url_keys")
    key = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "mailbox"), name="url_key_once"),)


class Annotation(models.Model):
    """IMAP METADATA (`mailservers.store.annotations`): of a mailbox or the server, a user's or everybody's."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)
    mailbox = models.ForeignKey(Mailbox, null=True, on_delete=models.CASCADE, related_name="annotations")
    entry = models.CharField(max_length=250)  # in lower case, e.g. "/private/comment"
    value = models.BinaryField()
    changed_us = models.BigIntegerField()  # strictly rising for each entry

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("mailbox", "user", "entry"),
                condition=models.Q(mailbox__isnull=False, user__isnull=False),
                name="annotation_of_user_once",
            ),
            models.UniqueConstraint(
                fields=("mailbox", "entry"),
                condition=models.Q(mailbox__isnull=False, user__isnull=True),
                name="annotation_of_all_once",
            ),
            models.UniqueConstraint(
                fields=("user", "entry"),
                condition=models.Q(mailbox__isnull=True, user__isnull=False),
                name="server_annotation_of_user_once",
            ),
            models.UniqueConstraint(
                fields=("entry",),
                condition=models.Q(mailbox__isnull=True, user__isnull=True),
                name="server_annotation_of_all_once",
            ),
        )


class Subscription(models.Model):
    """A subscribed name without a mailbox (RFC 9051 6.3.7: deleting does not unsubscribe)."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=500)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("owner", "name"), name="subscription_once"),)


class MailboxMessage(models.Model):
    """A message's place in a mailbox."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="places", db_index=False)
    uid = models.BigIntegerField()
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="places")
    modseq = models.BigIntegerField()
    flags = models.SmallIntegerField(default=0)
    keywords = models.TextField(default="", blank=True)  # separated by spaces, as first spelt
    internal_date = models.DateTimeField()
    save_date = models.DateTimeField()
    thread_id = models.BigIntegerField(default=0)  # of the owner's threads; never changes. See store.threads

    class Meta:
        constraints = (models.UniqueConstraint(fields=("mailbox", "uid"), name="uid_once"),)
        indexes = (
            models.Index(fields=("mailbox", "modseq"), name="place_modseq"),
            models.Index(fields=("mailbox", "-internal_date", "-id"), name="place_date"),
            models.Index(fields=("thread_id", "mailbox"), name="place_thread"),
        )


class MessageText(models.Model):
    """A content's text as searches look through it (formats.searchable), zstd-compressed; written in the background.

    The id is the `Message`'s, without a reference: the text is taken out of the index after its content has gone."""

    header = models.BinaryField()
    body = models.BinaryField()
    is_large = models.BooleanField(default=False)  # not in the full-text index: always looked through
    is_gone = models.BooleanField(default=False)  # its content was deleted

    class Meta:
        indexes = (
            models.Index(fields=("id",), condition=models.Q(is_large=True), name="text_large"),
            models.Index(fields=("id",), condition=models.Q(is_gone=True), name="text_gone"),
        )


class SearchIndex(models.Model):
    """One row: every content up to `indexed_id` has its `MessageText`."""

    indexed_id = models.BigIntegerField(default=0)


class ThreadKey(models.Model):
    """What a message identifier or a base subject stands for: one of the owner's threads.

    The id is a 64-bit digest of owner and text (formats.threads.owner_key): the table is its own index."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    thread_id = models.BigIntegerField()
    seen_on = models.IntegerField()  # days since 1970, when the key was written


class JoinedThread(models.Model):
    """A thread that turned out to be part of an older one. Messages keep their number; `into_id` was never joined."""

    pk = models.CompositePrimaryKey("owner", "thread_id")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    thread_id = models.BigIntegerField()
    into_id = models.BigIntegerField()


class Expunged(models.Model):
    """A UID that is gone, and when: what QRESYNC and waking sessions ask for."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, db_index=False)
    uid = models.BigIntegerField()
    modseq = models.BigIntegerField()

    class Meta:
        indexes = (models.Index(fields=("mailbox", "modseq"), name="expunged_modseq"),)


class DeletedMessage(models.Model):
    """A message that its owner deleted and can still have back. Holds its content; counts for no quota."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="deleted")
    mailbox_name = models.CharField(max_length=500)
    flags = models.SmallIntegerField()
    keywords = models.TextField(blank=True)
    internal_date = models.DateTimeField()
    deleted_at = models.DateTimeField()  # for people; what counts is clock_s
    clock_s = models.BigIntegerField()  # `RetentionClock.elapsed_s` then

    class Meta:
        indexes = (
            models.Index(fields=("owner", "-id"), name="deleted_owner"),
            models.Index(fields=("clock_s",), name="deleted_clock"),
        )


class RetentionClock(models.Model):
    """One row: for how long servers have been running. See `mailservers.store.retention`."""

    elapsed_s = models.BigIntegerField(default=0)
    beat = models.BigIntegerField(default=0)


class UidValidity(models.Model):
    """One row: the last UIDVALIDITY given out, so that a name made again never repeats one."""

    value = models.BigIntegerField()


class Usage(models.Model):
    """What one owner's mailboxes hold together; changed in the transaction that changes their counters."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True)
    octets = models.BigIntegerField(default=0)
    messages = models.BigIntegerField(default=0)
    is_warned = models.BooleanField(default=False)  # told that the quota is nearly used up, and still so full


class DomainUsage(models.Model):
    """What the users of a domain hold together. Kept only for domains that have a quota."""

    domain = models.OneToOneField("accounts.Domain", on_delete=models.CASCADE, primary_key=True, related_name="usage")
    octets = models.BigIntegerField(default=0)
    messages = models.BigIntegerField(default=0)


class QueuedMessage(models.Model):
    """A message on its way out: the envelope. Written in the transaction that accepted it."""

    trace_id = models.CharField(max_length=32, db_index=True)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="queued")
    reverse_path = models.CharField(max_length=320, blank=True)  # "" is <>: no bounce for it
    sender = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    smtputf8 = models.BooleanField(default=False)
    envid = models.CharField(max_length=100, blank=True, default="")  # RFC 3461 4.4, decoded
    ret = models.CharField(max_length=4, blank=True, default="")  # "FULL" or "HDRS"
    require_tls = models.BooleanField(default=False)  # RFC 8689
    is_binary = models.BooleanField(default=False)  # came as BODY=BINARYMIME: line ends are not the message's
    tls_optional = models.BooleanField(default=False)  # RFC 8689 5: "TLS-Required: No"
    deliver_by = models.DateTimeField(null=True)  # RFC 2852
    by_mode = models.CharField(max_length=2, blank=True, default="")  # "R" or "N", and "T" to be traced
    priority = models.SmallIntegerField(default=0)  # RFC 6710: -9 to 9
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # Its place in the sender's Outbox while it is held or waits (store.outbox), and where a copy of that place goes
    # when sending begins. The indexes of the keys would cost every message that never waits.
    outbox = models.ForeignKey(Mailbox, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    outbox_uid = models.BigIntegerField(null=True)
    sent_to = models.ForeignKey(Mailbox, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)

    class Meta:
        indexes = (
            models.Index(
                fields=("outbox", "outbox_uid"), condition=models.Q(outbox__isnull=False), name="queued_outbox"
            ),
        )


class RecipientState(models.TextChoices):
    QUEUED = "queued"
    DEFERRED = "deferred"
    HELD = "held"  # waits for an administrator
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class QueuedRecipient(models.Model):
    """One recipient of a queued message. Claimed by setting the lease; due when `next_attempt` has come."""

    queued = models.ForeignKey(QueuedMessage, on_delete=models.CASCADE, related_name="recipients")
    address = models.CharField(max_length=320)
    domain = models.CharField(max_length=255, db_index=True)
    state = models.CharField(max_length=10, choices=RecipientState.choices, default=RecipientState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt = models.DateTimeField()
    turn = models.DateTimeField(default=timezone.now)  # the order in which new recipients are sent to (store/turns.py)
    crashes = models.PositiveSmallIntegerField(default=0)  # runners that died while this was in their hands
    lease_until = models.DateTimeField(null=True)
    lease_token = models.CharField(max_length=32, blank=True)
    last_attempt = models.DateTimeField(null=True)
    notify = models.CharField(max_length=30, blank=True, default="")  # RFC 3461 4.1
    orcpt = models.CharField(max_length=500, blank=True, default="")  # RFC 3461 4.2, as it came
    last_reply = models.TextField(blank=True)  # the remote server's words, or why it was not reached
    route = models.CharField(max_length=300, blank=True, db_default="")  # HOST:PORT an administrator sends it by

    class Meta:
        indexes = (
            # With what a claim asks of rows it passes over, so that it need not read them.
            models.Index(fields=("state", "next_attempt", "domain", "lease_until"), name="recipient_due"),
            models.Index(fields=("state", "turn", "next_attempt", "domain", "lease_until"), name="recipient_turn"),
        )


class SentTrace(models.Model):
    """Which trace tells what became of a message that a user sent: found by its Message-ID, as copies in Sent have
    no other name for it. A message sent again to a corrected address has several. Goes with the trace's events."""

    sender = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    message_key = models.BigIntegerField()  # a 64-bit digest of the Message-ID
    trace_id = models.CharField(max_length=32)
    at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("sender", "message_key"), name="sent_trace"),)


class MtaStsPolicy(models.Model):
    """Another domain's MTA-STS policy (RFC 8461), in force until it expires."""

    domain = models.CharField(max_length=255, unique=True)  # A-labels, lower case
    record_id = models.CharField(max_length=32)  # of the TXT record it was fetched for
    mode = models.CharField(max_length=10)  # "enforce", "testing", "none"
    max_age_s = models.BigIntegerField()
    mx = models.TextField(blank=True)  # patterns, separated by spaces
    fetched_at = models.DateTimeField()
    expires_at = models.DateTimeField()


class SubmissionHour(models.Model):
    """What a user has sent within one hour: for the limits on submission."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    hour = models.DateTimeField()
    messages = models.IntegerField()
    recipients = models.IntegerField()
    strangers = models.IntegerField()  # recipients elsewhere whom the user had never written to

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "hour"), name="submission_hour_once"),)


class KnownRecipient(models.Model):
    """An address elsewhere that a user has written to."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    address = models.CharField(max_length=320)  # in lower case

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "address"), name="known_recipient_once"),)


class DeliveryEvent(models.Model):
    """One step of one message's life; append-only. `address` is the party it concerns, for filters."""

    at = models.DateTimeField(db_index=True)
    trace_id = models.CharField(max_length=32, db_index=True)
    step = models.CharField(max_length=20)  # see mailservers.store.events.Step
    sender = models.CharField(max_length=320, blank=True)
    recipient = models.CharField(max_length=320, blank=True)
    peer = models.CharField(max_length=300, blank=True)  # address of the other side, or its name
    outcome = models.CharField(max_length=10)  # "ok", "temporary", "permanent"
    detail = models.TextField(blank=True)  # a sentence for people; replies word for word
    data = models.JSONField(default=dict)


class TraceSummary(models.Model):
    """One row a trace, made from its events in the background (`store/tracing`): what a search shows. Its key is the
    trace's first event, so that rows are in the order of time."""

    id = models.BigIntegerField(primary_key=True)
    trace_id = models.CharField(max_length=32, unique=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)
    direction = models.CharField(max_length=10)  # see mailservers.store.tracing.summary.Direction
    sender = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=500, blank=True)
    message_id = models.CharField(max_length=998, blank=True)
    size = models.BigIntegerField(default=0)  # octets
    state = models.CharField(max_length=10)  # the worst of its recipients', see summary.State
    places = models.JSONField(default=dict)  # recipient, lower case: [state, where in words]; at most MAX_PLACES


class TraceTerm(models.Model):
    """What a trace is found by: a digest of an address, a domain, a word of the subject, a Message-ID, a state."""

    key = models.BigIntegerField()
    trace = models.ForeignKey(TraceSummary, on_delete=models.CASCADE)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("key", "trace"), name="trace_term_once"),)


class HourCount(models.Model):
    """How often something happened within an hour (UTC): of all (`party` ""), of a domain ("@harbour.example") or of
    one of our addresses. Kept when the events are forgotten."""

    hour = models.DateTimeField()
    measure = models.CharField(max_length=12)  # see mailservers.store.tracing.hours.Measure
    party = models.CharField(max_length=320, blank=True)
    detail = models.CharField(max_length=20, blank=True)  # why: a status code of RFC 3463
    count = models.BigIntegerField()
    amount = models.BigIntegerField()  # octets, or milliseconds

    class Meta:
        constraints = (models.UniqueConstraint(fields=("hour", "measure", "party", "detail"), name="hour_count_once"),)
        indexes = (models.Index(fields=("party", "hour"), name="hour_count_party"),)


class EventsRead(models.Model):
    """Up to which event (its id) the summaries and counts have been made. One row."""

    up_to = models.BigIntegerField()


class MessageVerdict(models.Model):
    """Why a message is where it is: what the checks said of it when it came in."""

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="verdict")
    trace_id = models.CharField(max_length=32)
    score = models.FloatField()
    data = models.JSONField()  # see mailservers.checks.opinion.Opinion.as_data


class SenderRule(models.Model):
    """One line of an allow or block list: of a user, of all users of a domain, or (neither) of everybody."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)
    domain = models.ForeignKey("accounts.Domain", null=True, on_delete=models.CASCADE)
    pattern = models.CharField(max_length=320, db_index=True)  # address, domain, IP address or network; lower case
    is_block = models.BooleanField()
    created_at = models.DateTimeField()


class PictureSender(models.Model):
    """A sender whose remote pictures a user always has shown."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    address = models.CharField(max_length=320)  # lower case

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "address"), name="picture_sender_once"),)


class GreylistEntry(models.Model):
    """A first contact that was asked to come again; see mailservers.checks.greylisting."""

    key = models.BinaryField(max_length=16, unique=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField(db_index=True)
    has_passed = models.BooleanField(default=False)


class ReportTally(models.Model):
    """So often were these facts seen on a day: for the aggregate reports we send (`mailservers.reporting`)."""

    kind = models.CharField(max_length=10)  # "dmarc", "tls"
    day = models.DateField()  # UTC
    domain = models.CharField(max_length=255)  # that is reported to, A-labels
    facts = models.TextField()  # JSON
    digest = models.CharField(max_length=64, unique=True)  # of the four above
    count = models.BigIntegerField()

    class Meta:
        indexes = (models.Index(fields=("kind", "day", "domain"), name="tally_of_day"),)


class ReceivedReport(models.Model):
    """An aggregate report that others sent about one of our domains. Until it has been read it is only its message."""

    message = models.ForeignKey(Message, null=True, on_delete=models.PROTECT, related_name="reports")  # None: read
    trace_id = models.CharField(max_length=32)
    received_at = models.DateTimeField(db_index=True)
    trouble = models.CharField(max_length=300, blank=True)  # why it could not be read
    kind = models.CharField(max_length=10, blank=True)
    domain = models.CharField(max_length=255, blank=True)
    organisation = models.CharField(max_length=255, blank=True)
    report_id = models.CharField(max_length=255, blank=True)
    begins_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    good = models.BigIntegerField(default=0)  # sum of the rows that are
    bad = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "domain", "organisation", "report_id"),
                condition=~models.Q(kind=""),
                name="report_once",
            ),
        )


class ReceivedReportRow(models.Model):
    """One line of it (formats.reports.ReportRow)."""

    report = models.ForeignKey(ReceivedReport, on_delete=models.CASCADE, related_name="rows")
    source = models.CharField(max_length=255, blank=True)
    count = models.BigIntegerField()
    is_good = models.BooleanField()
    detail = models.JSONField(default=dict)


class SendingRoute(models.Model):
    """How mail for some recipients, or of some senders, is sent (`outbound.routes`). "" for all of them."""

    class Transport(models.TextChoices):
        MX = "mx", "The domain’s own mail hosts"
        SMTP = "smtp", "One host, by SMTP"
        LMTP = "lmtp", "One host, by LMTP"
        REFUSE = "refuse", "Refused: the sender gets a bounce"
        DISCARD = "discard", "Discarded: nobody is told"

    class Security(models.TextChoices):
        OPPORTUNISTIC = "opportunistic", "TLS where the host offers it"
        ENCRYPTED = "encrypted", "TLS or nothing, any certificate"
        VERIFIED = "verified", "TLS with a certificate that is checked"

    recipient = models.CharField(max_length=320, blank=True)  # a domain or an address, lower case
    sender = models.CharField(max_length=320, blank=True)
    transport = models.CharField(max_length=10, choices=Transport.choices)
    host = models.CharField(max_length=255, blank=True)
    port = models.PositiveIntegerField(default=25)
    security = models.CharField(max_length=15, choices=Security.choices, default=Security.OPPORTUNISTIC)
    is_implicit_tls = models.BooleanField(default=False)  # TLS from the first octet
    login = models.CharField(max_length=320, blank=True)
    password = models.BinaryField(default=b"")  # sealed (`accounts.sealing`)
    reason = models.CharField(max_length=300, blank=True)  # for whom it is refused or discarded
    source = models.CharField(max_length=100, blank=True)  # our addresses to send from, separated by a space
    ehlo_name = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("recipient", "sender"), name="sending_route_once"),)
