"""Users from a file and into one: nothing before it has been looked through, nothing outside one's domains."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Domain, User
from accounts.services.user_file import read_users, write_users
from tests.console.conftest import BACKEND, WEB

pytestmark = WEB
PAGE = "/console/users/import/"
GOOD = "login,name,quota,role\nnina@harbour.test,Nina,2G,\nolaf@harbour.test,Olaf,,support\n"


def look_through(client: Client, text: str, **more: str) -> str:
    file = SimpleUploadedFile("users.csv", text.encode(), "text/csv")
    return client.post(PAGE, {"file": file, "action": "check", **more}).content.decode()


def again(page: str) -> dict[str, str]:
    """The second form of the page, as a browser sends it."""
    import html

    found = re.search(r'<textarea name="text" hidden>\n(.*?)</textarea>', page, re.DOTALL)
    assert found is not None, page
    fields = dict(re.findall(r'<input type="hidden" name="(create_domains|skip_bad|action)" value="(\w+)">', page))
    return {"text": html.unescape(found[1]), **fields}


def test_looked_through_then_done(browser: Client) -> None:
    page = look_through(browser, GOOD)
    assert "2 users would be made." in page and User.objects.count() == 1
    done = browser.post(PAGE, again(page)).content.decode()
    assert "2 users were made." in done
    nina = User.objects.get(login="nina@harbour.test")
    assert (nina.name, nina.quota_octets, nina.role) == ("Nina", 2 * 1024**3, "user")
    links = dict(re.findall(r"(\w+@harbour\.test)  (http://testserver/\S+)", done))
    assert set(links) == {"nina@harbour.test", "olaf@harbour.test"}
    assert Client().get(links["nina@harbour.test"]).status_code == 200


def test_bad_lines_are_named_and_stop_everything(browser: Client) -> None:
    bad = GOOD + "not an address,,,\nnina@harbour.test,,,\nzoe@elsewhere.test,,,\np@harbour.test,P,much,\n"
    page = look_through(browser, bad)
    assert "4 lines are bad:" in page and 'name="text" hidden' not in page
    assert [int(n) for n in re.findall(r'<td class="number">(\d+)</td>', page)] == [4, 5, 6, 7]
    page = look_through(browser, bad, skip_bad="on")
    assert "2 users would be made." in page
    assert "2 users were made." in browser.post(PAGE, again(page)).content.decode()


def test_missing_domains_are_made_when_that_is_wanted(browser: Client) -> None:
    page = look_through(browser, "login\nzoe@elsewhere.test\n", create_domains="on")
    assert "New domains: elsewhere.test." in page and not Domain.objects.filter(name="elsewhere.test").exists()
    browser.post(PAGE, again(page))
    assert User.objects.filter(login="zoe@elsewhere.test").exists()


def test_what_cannot_be_read_is_said(browser: Client) -> None:
    assert "unknown column “colour”" in look_through(browser, "login,colour\n")
    answer = browser.post(
        PAGE, {"file": SimpleUploadedFile("x.csv", b"login\n\xff\xfe", "text/csv"), "action": "check"}
    )
    assert answer.status_code == 422 and "line 2 is not UTF-8" in answer.content.decode()


def test_a_domain_admin_makes_users_of_their_domains_only(make_user: Callable[..., User]) -> None:
    make_user("boss@elsewhere.test", role="admin")
    chief = make_user("chief@harbour.test", role="domain-admin")
    chief.scope.add(chief.domain)
    client = Client()
    client.force_login(chief, BACKEND)
    lines = "login,role\nnew@harbour.test,\nx@elsewhere.test,\ny@harbour.test,admin\n"
    page = look_through(client, lines, skip_bad="on", create_domains="on")
    assert "1 user would be made." in page and "elsewhere.test is not one of your domains." in page
    assert "You may not give the role admin." in page
    client.post(PAGE, {**again(page), "text": "login\nx@new.test\n", "create_domains": "on"})
    assert not Domain.objects.filter(name="new.test").exists()
    assert "boss@elsewhere.test" not in client.get("/console/users/export.csv").content.decode()


def test_the_export_is_taken_by_the_import(browser: Client, make_user: Callable[..., User]) -> None:
    make_user("nina@harbour.test", name='=HYPERLINK("x"), "quoted"', quota_octets=5 * 1024**2)
    answer = browser.get("/console/users/export.csv")
    data = answer.content
    assert answer["Content-Disposition"].startswith('attachment; filename="users-')
    [row] = [cells for cells in csv.reader(io.StringIO(data.decode())) if cells[0] == "nina@harbour.test"]
    assert row[1].startswith("'="), "no formula"
    User.objects.filter(login="nina@harbour.test").delete()
    page = look_through(browser, data.decode(), skip_bad="on")
    browser.post(PAGE, again(page))
    nina = User.objects.get(login="nina@harbour.test")
    assert (nina.name, nina.quota_octets) == ('=HYPERLINK("x"), "quoted"', 5 * 1024**2)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_name_comes_back(texts: list[str]) -> None:
    users = [User(login=f"u{n}@x.test", name=text) for n, text in enumerate(texts)]
    written = "".join(write_users(users)).encode("utf-8", "replace")
    assert [row.name for row in read_users(written).rows] == [
        text.encode("utf-8", "replace").decode() for text in texts
    ]
