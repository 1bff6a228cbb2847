"""What an administrator does in the console, page by page."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.auth.door import check
from accounts.models import Address, AuditEntry, Domain, User
from mailservers.models import DeliveryEvent, QueuedRecipient
from mailservers.store.content import prepare
from mailservers.store.engine import store
from mailservers.store.events import Step
from mailservers.store.placing import Delivery, Placement, QueueEntry, deliver
from mailservers.store.transaction import Event
from tests.conftest import mailbox_id
from tests.console.conftest import WEB

pytestmark = WEB
EVE = "eve@harbour.test"


def post(browser: Client, name: str, /, *args: object, **fields: object) -> HttpResponse:
    return browser.post(reverse(f"console:{name}", args=args), fields, follow=True)


def text(answer: HttpResponse) -> str:
    """The page's words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def secret(answer: HttpResponse) -> str:
    found = re.search(r'id="secret"[^>]*>([^<]+)<', answer.content.decode())
    assert found is not None
    return html.unescape(found[1])


def actions() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "subject"))


class TestDomains:
    def test_add_look_switch_delete(self, browser: Client, boss: User) -> None:
        page = text(post(browser, "domain-new", domain="Quay.TEST"))
        quay = Domain.objects.get(name="quay.test")
        assert "test1._domainkey.quay.test" in page and "v=DKIM1; k=rsa; p=" in page and "v=spf1" in page
        assert "quay.test is off" in text(post(browser, "domain-active", quay.pk, active="0"))
        assert not Domain.objects.get(pk=quay.pk).is_active
        post(browser, "domain-active", quay.pk, active="1")
        assert "quay.test was deleted" in text(post(browser, "domain-delete", quay.pk))
        assert [action for _, action, _ in actions()] == [
            "domain.create", "domain.disable", "domain.enable", "domain.delete",
        ]  # fmt: skip
        assert {actor for actor, _, _ in actions()} == {boss.login}

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("", "required"),
            ("harbour.test", "here already"),
            ("a b", "not a domain name"),
            ("<b>x</b>", "not a domain name"),
        ],
    )
    def test_refusals_stand_at_the_field(self, browser: Client, name: str, words: str) -> None:
        answer = post(browser, "domain-new", domain=name)
        assert answer.status_code == 422 and words in text(answer)
        assert 'aria-invalid="true"' in answer.content.decode() and "<b>x</b>" not in answer.content.decode()

    def test_delete_with_users_is_refused(self, browser: Client, boss: User) -> None:
        assert "still has 1 user" in text(post(browser, "domain-delete", boss.domain_id))
        assert Domain.objects.exists()


class TestUsers:
    def test_add_with_a_made_password(self, browser: Client, boss: User) -> None:
        answer = post(browser, "user-new", login="Eve@harbour.test", name="Eve", role="user", quota="2G", password="")
        assert check(EVE, secret(answer), address="192.0.2.1", service="test").name == "Eve"
        assert User.objects.get(login=EVE).quota_octets == 2 * 2**30
        assert actions() == [(boss.login, "user.create", EVE)]
        assert EVE in text(browser.get(reverse("console:users") + "?q=eve"))

    def test_add_with_a_typed_password(self, browser: Client) -> None:
        answer = post(browser, "user-new", login=EVE, role="user", password="a good long password")
        assert "a good long password" not in answer.content.decode()
        check(EVE, "a good long password", address="192.0.2.1", service="test")

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"login": ""}, "required"),
            ({"login": "eve"}, "no “@”"),
            ({"login": "eve@nowhere.test"}, "not one of our domains"),
            ({"login": "boss@harbour.test"}, "login already"),
            ({"password": "short"}, "at least 10"),
            ({"quota": "plenty"}, "not a size"),
            ({"role": "chief"}, "valid choice"),
            ({"name": "x" * 201}, "200"),
        ],
    )
    def test_refusals_stand_at_the_field(self, browser: Client, fields: dict[str, str], words: str) -> None:
        answer = post(browser, "user-new", **{"login": EVE, "role": "user", "password": "", **fields})
        assert answer.status_code == 422 and words in text(answer)
        assert User.objects.count() == 1

    def test_change(self, browser: Client, anna: User) -> None:
        page = text(post(browser, "user", anna.pk, name="Anna H.", role="admin", quota="1,5 GB"))
        assert "is saved" in page
        anna.refresh_from_db()
        assert (anna.name, anna.role, anna.quota_octets) == ("Anna H.", "admin", 3 * 2**29)
        answer = post(browser, "user", anna.pk, name="Anna H.", role="admin", quota="?")
        assert answer.status_code == 422 and "not a size" in text(answer)

    def test_not_from_yourself(self, browser: Client, boss: User) -> None:
        assert "yourself" in text(post(browser, "user", boss.pk, name="", role="user", quota=""))
        assert "your own" in text(post(browser, "user-delete", boss.pk))
        assert "your own" in text(post(browser, "user-active", boss.pk, active="0"))
        boss.refresh_from_db()
        assert boss.is_admin and boss.is_active

    def test_passwords(self, browser: Client, boss: User, anna: User) -> None:
        made = secret(post(browser, "user-password", anna.pk, password=""))
        check(anna.login, made, address="192.0.2.1", service="test")
        assert post(browser, "user-password", anna.pk, password="short").status_code == 422
        post(browser, "user-password", boss.pk, password="a good long password")
        assert browser.get(reverse("console:overview")).status_code == 200, "own session stays"

    def test_sign_in_link(self, browser: Client, anna: User) -> None:
        link = secret(post(browser, "user-link", anna.pk))
        other = Client()
        assert other.get(link).status_code == 200
        assert other.post(link).status_code == 302
        assert other.get(reverse("console:overview")).status_code == 404
        post(browser, "user-active", anna.pk, active="0")
        assert "switched off" in text(post(browser, "user-link", anna.pk))

    def test_off_and_delete(self, browser: Client, anna: User) -> None:
        content = prepare(b"Subject: hello\r\n\r\nhello\r\n")
        store.call_sync(deliver, Delivery(content, (Placement(mailbox_id(anna)),)))
        page = browser.get(reverse("console:user", args=[anna.pk])).content.decode()
        assert "Delete anna@harbour.test with 1 message" in page
        assert "anna@harbour.test is off" in text(post(browser, "user-active", anna.pk, active="0"))
        assert "anna@harbour.test was deleted" in text(post(browser, "user-delete", anna.pk))
        assert [action for _, action, _ in actions()] == ["user.disable", "user.delete"]

    def test_pages_by_key(self, browser: Client, boss: User) -> None:
        User.objects.bulk_create(User(login=f"u{n:03}@harbour.test", domain=boss.domain) for n in range(120))
        seen: list[str] = []
        query = ""
        for _ in range(3):
            page = browser.get(reverse("console:users") + query).content.decode()
            seen += re.findall(r">(u\d+@harbour\.test)<", page)
            following = re.search(r'href="(\?after=[^"]+)"', page)
            query = html.unescape(following[1]) if following else ""
        assert len(seen) == len(set(seen)) == 120 and not query


class TestAddresses:
    def test_add_change_delete(self, browser: Client, boss: User, anna: User) -> None:
        page = text(post(browser, "address-new", address="team@harbour.test", targets=f"{anna.login}\nx@far.test, "))
        assert "Group of 2" in page
        row = Address.objects.get()
        page = text(post(browser, "address", row.pk, targets=boss.login))
        assert "is saved" in page and "Alias" in page
        assert "was deleted" in text(post(browser, "address-delete", row.pk))
        assert [a for _, a, _ in actions()] == ["address.create", "address.update", "address.delete"]

    @pytest.mark.parametrize(
        ("address", "targets", "words"),
        [
            ("anna@harbour.test", "x@far.test", "login already"),
            ("team@harbour.test", "", "required"),
            ("team@harbour.test", " ,; ", "required|at least one"),
            ("team@harbour.test", "nobody@harbour.test", "Nobody has the address"),
            ("team@nowhere.test", "x@far.test", "not one of our domains"),
        ],
    )
    def test_refusals_stand_at_the_field(
        self, browser: Client, anna: User, address: str, targets: str, words: str
    ) -> None:
        answer = post(browser, "address-new", address=address, targets=targets)
        assert answer.status_code == 422 and re.search(words, text(answer))
        assert not Address.objects.exists()


@pytest.fixture
def waiting(anna: User) -> list[int]:
    """Two recipients in the queue; their ids."""
    entry = QueueEntry("trace1", anna.login, ("x@far.test", "y@far.test"), timezone.now() + timedelta(days=5), anna.pk)
    events = (
        Event("trace1", Step.SUBMITTED, sender=anna.login, recipient="x@far.test", data={"subject": "<b>Boats</b>"}),
        Event("trace1", Step.QUEUED, sender=anna.login, recipient="x@far.test", detail="Waiting to be sent"),
    )
    content = prepare(b"Subject: <b>Boats</b>\r\n\r\nhello\r\n")
    store.call_sync(deliver, Delivery(content, queue=entry, events=events))
    later = timezone.now() + timedelta(hours=1)
    QueuedRecipient.objects.update(state="deferred", attempts=2, next_attempt=later, last_reply="451 4.3.0 <later>")
    return list(QueuedRecipient.objects.order_by("pk").values_list("pk", flat=True))


class TestQueue:
    def test_shown(self, browser: Client, waiting: list[int]) -> None:
        answer = browser.get(reverse("console:queue"))
        page = text(answer)
        assert "x@far.test" in page and "2 attempts" in page and "451 4.3.0 <later>" in page
        assert "<b>Boats</b>" not in answer.content.decode()
        assert "2 recipients wait" in page
        assert "y@far.test" not in text(browser.get(reverse("console:queue") + "?q=x@far"))
        assert "Nothing found" in text(browser.get(reverse("console:queue") + "?state=queued"))

    def test_retry(self, browser: Client, boss: User, waiting: list[int]) -> None:
        assert "1 recipient will be tried" in text(post(browser, "queue-act", one=f"retry:{waiting[0]}"))
        due = QueuedRecipient.objects.filter(next_attempt__lte=timezone.now())
        assert list(due.values_list("pk", flat=True)) == waiting[:1]
        assert actions() == [(boss.login, "queue.retry", "1 recipient")]

    def test_remove(self, browser: Client, boss: User, waiting: list[int]) -> None:
        answer = post(browser, "queue-act", act="remove", id=waiting, here="/console/queue/?q=far")
        assert "2 recipients taken out" in text(answer)
        assert answer.request["QUERY_STRING"] == "q=far"
        assert not QueuedRecipient.objects.exists()
        assert DeliveryEvent.objects.filter(step=Step.CANCELLED).count() == 2
        assert actions()[-1][1] == "queue.remove"

    @pytest.mark.parametrize("fields", [{}, {"act": "retry"}, {"act": "burn", "id": "1"}, {"one": "retry:x"}])
    def test_nothing_chosen(self, browser: Client, fields: dict[str, str]) -> None:
        assert "Choose some recipients" in text(post(browser, "queue-act", **fields))

    def test_only_back_to_the_queue(self, browser: Client, waiting: list[int]) -> None:
        answer = browser.post(reverse("console:queue-act"), {"one": "retry:1", "here": "//evil.test/"})
        assert answer["Location"] == reverse("console:queue")

    @pytest.mark.parametrize(
        ("fields", "words", "action"),
        [
            ({"act": "hold"}, "2 recipients are held.", "queue.hold"),
            ({"act": "reroute", "target": "relay.test:2525"}, "2 recipients take the new way.", "queue.reroute"),
            ({"act": "bounce"}, "2 recipients taken out of the queue; the senders are told.", "queue.bounce"),
        ],
    )
    def test_acts(
        self, browser: Client, boss: User, waiting: list[int], fields: dict[str, str], words: str, action: str
    ) -> None:
        assert words in text(post(browser, "queue-act", id=waiting, **fields))
        assert actions() == [(boss.login, action, "2 recipients")]
        assert set(DeliveryEvent.objects.filter(data__actor=boss.login).values_list("recipient", flat=True)) == {
            "x@far.test",
            "y@far.test",
        }

    def test_a_bad_host(self, browser: Client, waiting: list[int]) -> None:
        answer = post(browser, "queue-act", act="reroute", id=waiting, target="no host")
        assert "That is not HOST or HOST:PORT." in text(answer)
        assert actions() == []

    def test_what_is_being_tried_is_left_alone(self, browser: Client, waiting: list[int]) -> None:
        soon = timezone.now() + timedelta(minutes=5)
        QueuedRecipient.objects.filter(pk=waiting[0]).update(lease_until=soon, lease_token="r.1")
        page = text(post(browser, "queue-act", act="remove", id=waiting))
        assert "1 recipient taken out" in page and "1 is being tried right now" in page

    def test_filters(self, browser: Client, waiting: list[int]) -> None:
        queue = reverse("console:queue")
        for query, is_found in (
            ("domain=far.test&sender=anna&state=deferred&q=later", True),
            ("domain=near.test", False),
            ("sender=ben", False),
            ("older=3600", False),
            ("older=7&state=odd", True),  # no such choices: no filter
            ("state=scheduled", False),
        ):
            assert ("x@far.test" in text(browser.get(f"{queue}?{query}"))) is is_found, query

    def test_gone_meanwhile(self, browser: Client, boss: User) -> None:
        assert "Nothing to do" in text(post(browser, "queue-act", one="remove:77"))
        assert actions() == []


class TestLog:
    def test_trace_in_plain_sentences(self, browser: Client, waiting: list[int]) -> None:
        page = text(browser.get(reverse("console:trace", args=["trace1"])))
        assert "anna@harbour.test handed in a message for x@far.test." in page
        assert "Waits to be sent to x@far.test." in page
        assert "Still waits for y@far.test" in page and "<b>Boats</b>" in page

    def test_why_a_message_is_where_it_is(self, browser: Client) -> None:
        """Reasons by name and weight; what strangers wrote into them is text."""
        reasons = [
            {"name": "spf.fail", "weight": 3.0, "text": "<i>forged.test</i> says fail"},
            {"name": "dkim.pass", "weight": 0.0, "text": "signed by sender.test"},
        ]
        DeliveryEvent.objects.create(
            at=timezone.now(), trace_id="t1", step=Step.CHECKED, outcome="ok", data={"reasons": reasons}
        )
        page = browser.get(reverse("console:trace", args=["t1"])).content.decode()
        assert "spf.fail" in page and "<strong>+3</strong>" in page and "dkim.pass" in page and "<strong>+0" not in page
        assert "&lt;i&gt;forged.test" in page and "<i>forged" not in page

    def test_filters_and_pages(self, browser: Client) -> None:
        now = timezone.now()
        DeliveryEvent.objects.bulk_create(
            DeliveryEvent(
                at=now,
                trace_id=f"t{n}",
                step=Step.FILED if n % 2 else Step.REFUSED,
                outcome="ok" if n % 2 else "permanent",
                sender=f"s{n % 5}@far.test",
                recipient="boss@harbour.test",
            )
            for n in range(250)
        )
        seen: list[str] = []
        query, pages = "?outcome=permanent", 0
        while query:
            page = browser.get(reverse("console:log") + query).content.decode()
            seen += re.findall(r'id="event-(\d+)"', page)
            following = re.search(r'href="(\?[^"]+)" rel="next"', page)
            query, pages = (html.unescape(following[1]) if following else ""), pages + 1
        assert len(seen) == len(set(seen)) == 125 and pages == 2
        page = browser.get(reverse("console:log") + "?address=S3@FAR").content.decode()
        assert len(re.findall(r'id="event-\d+"', page)) == 50
        page = browser.get(reverse("console:log") + "?address=t7").content.decode()
        assert len(re.findall(r'id="event-\d+"', page)) == 1

    def test_every_step_has_a_sentence(self, browser: Client) -> None:
        steps = [value for name, value in vars(Step).items() if name.isupper()]
        DeliveryEvent.objects.bulk_create(
            DeliveryEvent(at=timezone.now(), trace_id="all", step=step, outcome="ok") for step in [*steps, "unheard-of"]
        )
        page = text(browser.get(reverse("console:trace", args=["all"])))
        assert "{" not in page and "Unheard-of" in page


def test_overview(browser: Client, waiting: list[int]) -> None:
    page = text(browser.get(reverse("console:overview")))
    assert "Users 2" in page and "Queue 2 2 deferred" in page and "handed in a message" in page


def test_audit(browser: Client, boss: User) -> None:
    post(browser, "domain-new", domain="quay.test")
    post(browser, "user", boss.pk, name="New name", role="admin", quota="")
    page = text(browser.get(reverse("console:audit")))
    assert "boss@harbour.test added the domain quay.test" in page and "Boss → New name" in page
    assert "quay.test" not in text(browser.get(reverse("console:audit") + "?q=user.update"))
