"""From a `Letter` to the bytes of a message, as it left its writer and as it reached us.

Letters are composed in the order of their dates, because an answer takes its references and its quotation from
the message it answers, and a bounce or a forward holds the bytes of another.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from . import header_fields, layouts, mime, moments, notices, prose, trace
from .cast import CAST, LISTS, OWN_KEYS, correspondent
from .clients import CLIENTS, Client, boundary, message_id
from .letter import Letter


@dataclass(frozen=True, slots=True)
class Composed:
    """`sent` is what the writer's program made; `received` has the trace and list fields of the way to us."""

    letter: Letter
    message_id: str
    references: tuple[str, ...]
    subject: str
    text: str
    date: datetime
    sent: bytes
    received: bytes


class Composer:
    """Makes messages for one moment `now` from one seed; `composed` holds all that were made, by key."""

    def __init__(self, now: datetime, seed: int) -> None:
        self._now = now
        self._seed = seed
        self.composed: dict[str, Composed] = {}

    def compose_all(self, letters: tuple[Letter, ...]) -> None:
        for letter in sorted(letters, key=self.date_of):
            self.composed[letter.key] = self._compose(letter)

    def date_of(self, letter: Letter) -> datetime:
        """The letter's date in UTC; one that is given to the minute gets some seconds."""
        exact = moments.moment(letter.when, self._now)
        if ":" in letter.when:
            exact += timedelta(seconds=Random(f"{self._seed}/{letter.key}/seconds").randrange(60))
        return exact

    def _compose(self, letter: Letter) -> Composed:
        rng = Random(f"{self._seed}/{letter.key}")
        writer = CAST[letter.sender]
        client = _client(letter)
        date = moments.in_zone(self.date_of(letter), writer.zone)
        answered = self.composed.get(letter.answers)
        text = self._text(letter, client, answered)
        subject = letter.subject
        if answered and not subject:
            subject = client.reply_prefix + answered.subject.removeprefix("Re: ").removeprefix("AW: ")
        subject = moments.fill_dates(subject, self._now)
        ident = message_id(client, rng, _ascii_domain(writer.address))
        references = (*answered.references, answered.message_id) if answered else ()

        def as_bytes(subject: str, text: str, added: list[bytes]) -> bytes:
            fields = [*added, *self._fields(letter, subject, date, ident, references)]
            entity = self._entity(letter, text, date, Random(f"{self._seed}/{letter.key}/parts"))
            return b"\r\n".join(fields) + b"\r\n" + entity.to_bytes()

        sent = received = as_bytes(subject, text, [])
        if letter.via or letter.sender not in OWN_KEYS:
            received = as_bytes(*_through_list(letter, subject, text), trace.fields(letter, writer, date, rng))
        return Composed(letter, ident, references, subject, text, date, sent, received)

    def _text(self, letter: Letter, client: Client, answered: Composed | None) -> str:
        text = prose.written(letter.text, client, self._now)
        if letter.quote and answered:
            language, name = CAST[letter.sender].language, CAST[answered.letter.sender].name
            text += "\n\n" + prose.quotation(answered.text, language, name, answered.date)
        return text

    def _fields(
        self, letter: Letter, subject: str, date: datetime, ident: str, references: tuple[str, ...]
    ) -> list[bytes]:
        """The header section, but for the trace and list fields in front and the MIME fields after it."""
        writer = CAST[letter.sender]
        charset = header_fields.RAW_UTF8 if letter.smtputf8 else letter.charset or writer.charset
        fields = [header_fields.address_list("From", [(writer.name, writer.address)], charset)]
        for name, keys in (("To", letter.to), ("Cc", letter.cc)):
            if keys:
                people = [correspondent(key) for key in keys.split()]
                fields.append(header_fields.address_list(name, [(p.name, p.address) for p in people], charset))
        fields.append(header_fields.unstructured("Subject", subject, charset))
        fields.append(header_fields.unstructured("Date", moments.date_time(date)))
        fields.append(header_fields.tokens("Message-ID", [ident]))
        if references:
            fields.append(header_fields.tokens("In-Reply-To", references[-1:]))
            fields.append(header_fields.tokens("References", references))
        program = _client(letter).field
        extra = (program, *letter.headers) if program else letter.headers
        fields += [header_fields.unstructured(name, value, charset) for name, value in extra]
        return [*fields, b"MIME-Version: 1.0"]

    def _entity(self, letter: Letter, text: str, date: datetime, rng: Random) -> mime.Entity:
        """The body: the text in its forms, and around it what goes with it."""
        client = _client(letter)
        if letter.report:
            original = self.composed[letter.report.of]
            parts = notices.report_parts(
                letter.report, text, original.sent, arrived=original.date, tried=date - timedelta(seconds=2)
            )
            return mime.multipart(
                "report", boundary(client, rng), parts, ["report-type=delivery-status"],
                preamble="This is a MIME-encapsulated message.",
            )  # fmt: skip
        body = self._forms(letter, text, client, date, rng)
        attached = [
            mime.file(f.name, f.content_type, f.data, naming=f.naming, charset=f.charset)
            for f in letter.files
            if not f.cid
        ]
        if letter.forwards:
            attached.append(mime.message(self.composed[letter.forwards].received))
        if not attached:
            return body
        return mime.multipart("mixed", boundary(client, rng), [body, *attached])

    def _forms(self, letter: Letter, text: str, client: Client, date: datetime, rng: Random) -> mime.Entity:
        """The text, alone or with its HTML and calendar alternatives."""
        writer = CAST[letter.sender]
        charset, cte = letter.charset or writer.charset, letter.cte or writer.cte
        flowed = ["format=flowed"] if client.flowed and prose.may_flow(text) else []
        forms = [mime.text(text, charset=charset, cte=cte, parameters=flowed)] if text or not letter.html else []
        html = moments.fill_dates(letter.html, self._now)
        if not html and client.html:
            html = layouts.from_text(text)
        if html:
            shown = mime.text(html, charset=charset, cte=cte, subtype="html")
            pictures = [
                mime.file(f.name, f.content_type, f.data, naming=f.naming, cid=f.cid) for f in letter.files if f.cid
            ]
            if pictures:
                shown = mime.multipart("related", boundary(client, rng), [shown, *pictures], ['type="text/html"'])
            forms.append(shown)
        if letter.event:
            forms.append(notices.calendar_part(letter.event, date, self._now))
        return forms[0] if len(forms) == 1 else mime.multipart("alternative", boundary(client, rng), forms)


def _client(letter: Letter) -> Client:
    return CLIENTS[letter.client or CAST[letter.sender].client]


def _through_list(letter: Letter, subject: str, text: str) -> tuple[str, str]:
    """The subject and text as the letter's list, if it has one, hands them on."""
    if not letter.via:
        return subject, text
    mailing_list = LISTS[letter.via]
    if mailing_list.prefix not in subject:
        subject = mailing_list.prefix + subject
    return subject, f"{text}\n\n{mailing_list.footer}" if mailing_list.footer else text


def _ascii_domain(address: str) -> str:
    return address.rpartition("@")[2].encode("idna").decode("ascii")
