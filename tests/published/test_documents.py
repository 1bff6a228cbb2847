"""What other programs look up: under the domain's own names, without a cookie, without telling who exists."""

from __future__ import annotations

import plistlib
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Domain, User
from accounts.published import documents
from accounts.services.dns_records import records_of
from accounts.services.errors import InvalidValue
from accounts.services.mta_sts import record_value, set_mta_sts_mode
from mailservers.formats.mta_sts import parse_policy, policy_id
from mailservers.store.engine import store

OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
REQUEST = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
    "<EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
    "</Request></Autodiscover>"
)


@pytest.fixture
def domain(mail: None, make_user: Callable[..., User], settings) -> Domain:
    settings.HOSTNAME, settings.MX_HOSTS = "mx.harbour.test", ["mx.harbour.test", "mx2.harbour.test"]
    return make_user("anna@harbour.test").domain


def fetch(path: str, host: str, **query: str):
    return Client(headers={"host": host}).get(path, query)


def test_the_policy_says_what_the_domain_says(domain: Domain) -> None:
    answer = fetch("/.well-known/mta-sts.txt", "mta-sts.harbour.test")
    assert answer["Content-Type"].startswith("text/plain")
    policy = parse_policy(answer.content)
    assert (policy.mode, policy.mx) == ("testing", ("mx.harbour.test", "mx2.harbour.test"))
    assert not answer.cookies


def test_a_new_mode_is_a_new_policy_with_a_new_id(domain: Domain) -> None:
    before = policy_id([record_value(domain).encode()])
    store.call_sync(set_mta_sts_mode, domain.pk, "enforce", actor="boss@harbour.test")
    domain.refresh_from_db()
    assert parse_policy(fetch("/.well-known/mta-sts.txt", "mta-sts.harbour.test:443").content).mode == "enforce"
    after = policy_id([record_value(domain).encode()])
    assert before and after and before != after
    with pytest.raises(InvalidValue):
        store.call_sync(set_mta_sts_mode, domain.pk, "perhaps", actor="boss@harbour.test")


@pytest.mark.parametrize("host", ["mta-sts.elsewhere.test", "harbour.test", "", "mta-sts.", "mta-sts.[::1]", "ä" * 300])
def test_a_policy_is_nowhere_else(domain: Domain, host: str) -> None:
    assert fetch("/.well-known/mta-sts.txt", host).status_code == 404


def test_a_domain_that_is_off_has_no_policy(domain: Domain) -> None:
    Domain.objects.update(is_active=False)
    assert fetch("/.well-known/mta-sts.txt", "mta-sts.harbour.test").status_code == 404


def test_a_domain_with_umlauts_is_found_by_its_a_label(domain: Domain) -> None:
    Domain.objects.create(name="bäcker.test")
    assert fetch("/.well-known/mta-sts.txt", "mta-sts.xn--bcker-gra.test").status_code == 200


@pytest.mark.parametrize("path", ["/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"])
def test_thunderbird_is_told_of_implicit_tls_first(domain: Domain, settings, path: str) -> None:
    settings.PUBLIC_PORTS = {**settings.PUBLIC_PORTS, "imaps": 993, "submissions": 465}
    answer = fetch(path, "autoconfig.harbour.test", emailaddress="anna@harbour.test")
    root = ET.fromstring(answer.content)
    incoming = root.find(".//incomingServer[@type='imap']")
    outgoing = root.find(".//outgoingServer[@type='smtp']")
    assert [incoming.findtext(name) for name in ("hostname", "port", "socketType", "username")] == [
        "mx.harbour.test", "993", "SSL", "%EMAILADDRESS%",
    ]  # fmt: skip
    assert [outgoing.findtext(name) for name in ("port", "socketType")] == ["465", "SSL"]


def test_every_address_of_a_domain_gets_the_same_answer(domain: Domain) -> None:
    bodies = {fetch("/mail/config-v1.1.xml", "localhost", emailaddress=f"{who}@harbour.test").content for who in "ab"}
    assert len(bodies) == 1
    assert fetch("/mail/config-v1.1.xml", "localhost", emailaddress="anna@elsewhere.test").status_code == 404


def discover(body: str) -> ET.Element:
    answer = Client(headers={"host": "autodiscover.harbour.test"}).post(
        "/Autodiscover/Autodiscover.xml", body, content_type="text/xml"
    )
    assert answer.status_code == 200 and answer["Content-Type"].startswith("application/xml")
    return ET.fromstring(answer.content)


def test_outlook_is_told_server_port_and_login(domain: Domain, settings) -> None:
    root = discover(REQUEST.format(address="anna@harbour.test", schema=OUTLOOK))
    space = f"{{{OUTLOOK}}}"
    found = {
        protocol.findtext(f"{space}Type"): (protocol.findtext(f"{space}Server"), protocol.findtext(f"{space}Port"))
        for protocol in root.iter(f"{space}Protocol")
    }
    assert found["IMAP"] == ("mx.harbour.test", str(settings.PUBLIC_PORTS["imaps"]))
    assert found["SMTP"] == ("mx.harbour.test", str(settings.PUBLIC_PORTS["submissions"]))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (REQUEST.format(address="anna@elsewhere.test", schema=OUTLOOK), "500"),
        (REQUEST.format(address="no address", schema=OUTLOOK), "500"),
        (REQUEST.format(address="anna@harbour.test", schema="http://schemas.test/mobilesync"), "601"),
        ("", "600"),
        ("<a><b></a>", "600"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "600"),
        ("<x>" + "y" * 20_000 + "</x>", "600"),
    ],
)
def test_outlook_is_told_what_is_wrong(domain: Domain, body: str, code: str) -> None:
    assert discover(body).findtext(".//{*}ErrorCode") == code


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_a_request_is_read_or_refused(body: bytes) -> None:
    try:
        address, schema = documents.asked_of_autodiscover(body)
    except ValueError:
        return
    assert isinstance(address, str) and isinstance(schema, str)


def test_an_iphone_gets_a_profile(domain: Domain, settings) -> None:
    answer = fetch("/mail.mobileconfig", "localhost", emailaddress="anna@harbour.test")
    assert answer["Content-Type"] == "application/x-apple-aspen-config"
    profile = plistlib.loads(answer.content)
    (account,) = profile["PayloadContent"]
    assert account["IncomingMailServerHostName"] == "mx.harbour.test"
    assert account["IncomingMailServerPortNumber"] == settings.PUBLIC_PORTS["imaps"]
    assert account["IncomingMailServerUseSSL"] is True
    again = fetch("/mail.mobileconfig", "localhost", emailaddress="anna@harbour.test")
    assert again.content == answer.content, "a second profile must replace the first"
    assert fetch("/mail.mobileconfig", "localhost", emailaddress="anna@elsewhere.test").status_code == 404


def test_the_records_name_every_service(domain: Domain) -> None:
    records = {(record.name, record.type): record.value for record in records_of(domain)}
    assert records["mta-sts.harbour.test", "CNAME"] == "mx.harbour.test."
    assert records["_imaps._tcp.harbour.test", "SRV"].endswith(" mx.harbour.test.")
    assert records["_mta-sts.harbour.test", "TXT"] == record_value(domain)
    assert [r.value for r in records_of(domain) if r.type == "MX"] == ["10 mx.harbour.test.", "20 mx2.harbour.test."]
