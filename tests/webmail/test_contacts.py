"""The address book: its pages, import and export, doubles, groups, completion."""

from __future__ import annotations

import html
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from mailservers.models import KnownRecipient
from mailservers.store.engine import store
from tests.webmail.conftest import WEB, Put, letter
from webmail.compose.building import Person
from webmail.contacts import book
from webmail.contacts.vcard import read_cards
from webmail.models import CollectedAddress, Contact, ContactGroup

pytestmark = WEB
HERE = "/mail/contacts/"


def add(browser: Client, name: str, *addresses: str, **more: str) -> Contact:
    answer = browser.post(f"{HERE}new/", {"name": name, "addresses": "\n".join(addresses), **more})
    assert answer.status_code == 302, answer.content
    return Contact.objects.latest("pk")


def completed(browser: Client, typed: str) -> list[str]:
    return [one["value"] for one in browser.get(f"{HERE}complete/", {"q": typed}).json()["found"]]


def checked(browser: Client, *pieces: str) -> list[dict[str, object]]:
    return browser.post(f"{HERE}check/", {"a": pieces}).json()["checked"]


def test_a_person_is_made_changed_found_and_deleted(browser: Client, stranger: Client, anna: User) -> None:
    carla = add(browser, "Carla Núñez", "Carla@Far.TEST", "c2@far.test", organisation="Far & Co", phones="+1 2\n+3")
    assert [one.address for one in carla.addresses.all()] == ["Carla@far.test", "c2@far.test"]
    assert carla.phones == ["+1 2", "+3"]
    page = browser.get(f"{HERE}{carla.pk}/").content.decode()
    assert "Carla@far.test\nc2@far.test" in page and "Far &amp; Co" in page
    browser.post(f"{HERE}{carla.pk}/", {"name": "Carla N", "addresses": "new@far.test"})
    carla.refresh_from_db()
    assert carla.name == "Carla N" and [one.address for one in carla.addresses.all()] == ["new@far.test"]
    assert "Carla N" in browser.get(HERE, {"q": "NEW@ carla"}).content.decode()
    assert "Nobody here is like that" in browser.get(HERE, {"q": "zzz"}).content.decode()
    assert stranger.get(f"{HERE}{carla.pk}/").status_code == 404
    assert stranger.get(f"{HERE}export/?contact={carla.pk}").status_code == 404
    stranger.post(f"{HERE}act/", {"action": "delete", "item": carla.pk})
    assert Contact.objects.count() == 1
    browser.post(f"{HERE}act/", {"action": "delete", "item": [carla.pk, "x", "9" * 400]})
    assert not Contact.objects.exists()


@pytest.mark.parametrize("fields", [{"addresses": "no address"}, {"name": ""}, {"name": "A", "addresses": "a@b\nb@"}])
def test_what_is_nobody_is_refused(browser: Client, anna: User, fields: dict[str, str]) -> None:
    answer = browser.post(f"{HERE}new/", fields)
    assert answer.status_code == 422 and "contact-error" in answer.content.decode()
    assert not Contact.objects.exists()


def test_groups_and_their_completion(browser: Client, stranger: Client, anna: User) -> None:
    carla, dan = add(browser, "Carla", "carla@far.test"), add(browser, 'Dan "D"', "dan@far.test", "d2@far.test")
    silent = add(browser, "No Mail")
    theirs = add(stranger, "Foreign", "f@far.test")
    browser.post(f"{HERE}groups/new/", {"name": "Crew", "member": [carla.pk, dan.pk, silent.pk, theirs.pk]})
    crew = ContactGroup.objects.get()
    assert set(crew.members.all()) == {carla, dan, silent}
    assert completed(browser, "cre") == ['Carla <carla@far.test>, "Dan \\"D\\"" <dan@far.test>']
    assert browser.post(f"{HERE}groups/new/", {"name": "CREW"}).status_code == 422
    assert stranger.get(f"{HERE}groups/{crew.pk}/").status_code == 404
    assert "2 of" not in browser.get(HERE, {"group": crew.pk}).content.decode()
    browser.post(f"{HERE}groups/{crew.pk}/", {"action": "delete"})
    assert not ContactGroup.objects.exists() and Contact.objects.filter(user=anna).count() == 3


def test_export_and_import_bring_everything_back(browser: Client, stranger: Client, anna: User, ben: User) -> None:
    card = (
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u1\r\nN:Holm;Anna;;;\r\nFN:Anna Holm\r\nEMAIL:a@far.test\r\n"
        b"PHOTO;ENCODING=b;TYPE=JPEG:/9j/AAA\r\nNOTE:one\\ntwo\r\nEND:VCARD\r\n"
        b"BEGIN:VCARD\r\nVERSION:4.0\r\nKIND:group\r\nUID:g\r\nFN:Crew\r\nMEMBER:urn:uuid:u1\r\nEND:VCARD\r\n"
        b"BEGIN:VCARD\r\nVERSION:4.0\r\nN:;Only;;;\r\nFN:Only\r\nEMAIL:not an address\r\nEND:VCARD\r\n"
    )

    def bring(who: Client, content: bytes) -> str:
        upload = SimpleUploadedFile("c.vcf", content, "text/vcard")
        return who.post(f"{HERE}import/", {"file": upload}, follow=True).content.decode()

    assert "2 new, 0 replaced, 3 read" in bring(browser, card)
    assert "0 new, 1 replaced" in bring(browser, card.split(b"BEGIN:VCARD\r\nVERSION:4.0")[0])
    for version in ("3.0", "4.0"):
        exported = browser.get(f"{HERE}export/", {"version": version})
        assert exported["Content-Type"].startswith("text/vcard")
        bring(stranger, exported.content)
        again = [book.as_card(one) for one in Contact.objects.filter(user=ben).order_by("name")]
        assert again == [book.as_card(one) for one in Contact.objects.filter(user=anna).order_by("name")]
        assert [one.uid for one in ContactGroup.objects.get(user=ben).members.all()] == ["u1"]
    assert browser.get(f"{HERE}export/?version=9").status_code == 404
    assert "There is no vCard" in bring(browser, b"PK\x03\x04")


def test_a_new_name_replaces_the_name_in_parts(browser: Client, anna: User) -> None:
    [card] = read_cards("BEGIN:VCARD\nUID:u\nN:Holm;Anna\nFN:Anna Holm\nBDAY:1985\nEND:VCARD")
    store.call_sync(book.import_people, anna.pk, [card])
    one = Contact.objects.get()
    browser.post(f"{HERE}{one.pk}/", {"name": "Anna Berg"})
    text = browser.get(f"{HERE}export/").content.decode()
    assert "N:Berg;Anna;;;" in text and "Holm" not in text and "BDAY:1985" in text


def test_doubles_are_found_and_merged(browser: Client, stranger: Client, anna: User) -> None:
    one = add(browser, "Carla Far", "carla@far.test", note="first")
    two = add(browser, "C.", "CARLA@far.test", "c@far.test", organisation="Far")
    three = add(browser, "carla FAR", "other@far.test", note="second")
    add(browser, "Carla", "someone@else.test")
    browser.post(f"{HERE}groups/new/", {"name": "Crew", "member": [three.pk]})
    assert [{each.pk for each in found} for found in book.find_doubles(anna.pk)] == [{one.pk, two.pk, three.pk}]
    stranger.post(f"{HERE}act/", {"action": "merge", "item": [one.pk, two.pk]})
    assert Contact.objects.count() == 4
    browser.post(f"{HERE}act/", {"action": "merge", "item": [one.pk, two.pk, three.pk]})
    kept = Contact.objects.get(pk=one.pk)
    assert [each.address for each in kept.addresses.all()] == ["carla@far.test", "c@far.test", "other@far.test"]
    assert (kept.name, kept.organisation, kept.note) == ("Carla Far", "Far", "first\nsecond")
    assert list(ContactGroup.objects.get().members.all()) == [kept] and not book.find_doubles(anna.pk)


def test_whom_one_wrote_to_is_collected(browser: Client, anna: User, ben: User) -> None:
    for _ in range(2):
        browser.post("/mail/compose/send/", {"to": "Dora Q <Dora@far.test>", "cc": "ben@harbour.test", "subject": "x"})
    row = CollectedAddress.objects.get(address="dora@far.test")
    assert (row.user, row.name, row.times) == (anna, "Dora Q", 2)
    assert completed(browser, "dor") == ["Dora Q <dora@far.test>"]
    KnownRecipient.objects.create(user=anna, address="zed@far.test")
    assert completed(browser, "zed") == ["zed@far.test"] and completed(browser, " ") == []


def test_collected_addresses_have_a_bound(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "MAX_COLLECTED", 3)
    for n in range(5):
        store.call_sync(book.collect, anna.pk, [Person("", f"p{n}@far.test")])
    assert set(CollectedAddress.objects.values_list("address", flat=True)) == {f"p{n}@far.test" for n in (2, 3, 4)}


def test_colleagues_are_shown_when_they_want(browser: Client, stranger: Client, anna: User, make_user) -> None:
    assert completed(browser, "ben") == []
    stranger.post(f"{HERE}act/", {"action": "list", "is_listed": "yes"})
    assert completed(browser, "oka") == ["Ben Okafor <ben@harbour.test>"]
    assert "ben@harbour.test" in browser.get(HERE).content.decode()
    stranger.post(f"{HERE}act/", {"action": "list", "is_listed": "no"})
    assert completed(browser, "oka") == []


def test_own_people_come_first_and_words_begin(browser: Client, anna: User) -> None:
    store.call_sync(book.collect, anna.pk, [Person("", "xcar@far.test"), Person("Old", "carla@far.test")])
    add(browser, "Carla New", "carla@far.test")
    assert completed(browser, "car") == ["Carla New <carla@far.test>", "xcar@far.test"]


def test_checks(browser: Client, anna: User) -> None:
    inside, nobody, outside, slip, wrong = checked(
        browser, "Anna <anna@harbour.test>", "nobody@harbour.test", "x@far.test", "Z Z <z@gmial.com>", "a b@"
    )
    assert inside["label"] == "Anna" and not inside["is_outside"] and not inside["problem"]
    assert nobody["problem"] == "There is no nobody@harbour.test here."
    assert outside["is_outside"] and not outside["hint"]
    assert slip["hint"] == "Did you mean gmail.com?" and slip["instead"] == "Z Z <z@gmail.com>"
    assert wrong["problem"]


def test_pages_ask_for_sign_in() -> None:
    for path in ("", "new/", "doubles/", "groups/new/", "export/", "complete/?q=a"):
        assert Client().get(HERE + path).status_code == 302


def test_a_sender_is_added(browser: Client, anna: User, put: Put) -> None:
    place = put(anna, letter(**{"from": "Carla & Søn <c+1@far.test>"}))
    page = browser.get(f"/mail/{place.mailbox_id}/{place.uid}/").content.decode()
    [link] = re.findall(r'href="(/mail/contacts/new/[^"]*)"', page)
    form = browser.get(html.unescape(link)).content.decode()
    assert 'value="Carla &amp; Søn"' in form and "\nc+1@far.test</textarea>" in form
