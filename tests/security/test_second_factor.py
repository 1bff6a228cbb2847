"""Signing in with a second step, and what it means for mail programs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.auth import passkeys, totp
from accounts.auth.door import AuthenticationFailed, authenticate, check, scram_verifier
from accounts.auth.live import good_ones
from accounts.models import Role, RoleRule, ScramKeys, SecondFactor, User
from accounts.security import web_sessions
from accounts.services import add_credential, new_app_password
from accounts.services.second_factors import new_recovery_codes, remove_all_factors, use_recovery_code, use_totp
from mailservers.store.engine import store
from tests.conftest import PASSWORD
from tests.console.conftest import BACKEND, WEB

pytestmark = WEB
SIGN_IN, SECOND, HOME = "/sign-in/", "/sign-in/second/", "/account/"


def signed_in(user: User) -> Client:
    client = Client()
    assert client.post(SIGN_IN, {"login": user.login, "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get(HOME).status_code == 200


def add_app(client: Client) -> tuple[bytes, list[str]]:
    """An authenticator app, as a person does it: its secret, and the recovery codes shown with the first."""
    client.get(reverse("security:totp"))
    secret = totp.opened(bytes.fromhex(client.session["new_totp"]))
    answer = client.post(
        reverse("security:totp"), {"code": totp.code_at(secret, time.time()), "name": "Phone", "current": PASSWORD}
    )
    assert answer.status_code in (200, 302), answer.content.decode()
    return secret, re.findall(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b", answer.content.decode())


def next_code(secret: bytes) -> str:
    """Of the next step: this one's has been used."""
    return totp.code_at(secret, time.time() + totp.STEP_S)


def test_a_code_is_asked_for(anna: User) -> None:
    secret, codes = add_app(signed_in(anna))
    assert len(codes) == 10
    client = Client()
    answer = client.post(SIGN_IN, {"login": anna.login, "password": PASSWORD})
    assert answer["Location"] == SECOND and not is_in(client)
    assert client.post(SECOND, {"code": "000000"}).status_code == 403 and not is_in(client)
    code = next_code(secret)
    assert client.post(SECOND, {"code": f"{code[:3]} {code[3:]}"}).status_code == 302 and is_in(client)


def test_no_code_works_twice(anna: User) -> None:
    secret, _ = add_app(signed_in(anna))
    code = next_code(secret)
    for expected in (302, 403):
        client = signed_in(anna)
        assert client.post(SECOND, {"code": code}).status_code == expected
    factor = SecondFactor.objects.get()
    assert [store.call_sync(use_totp, factor.pk, factor.used_step + 1) for _ in range(2)] == [True, False]


def test_a_recovery_code_works_once(anna: User) -> None:
    _, codes = add_app(signed_in(anna))
    for expected in (302, 403):
        client = signed_in(anna)
        assert client.post(SECOND, {"code": codes[0].upper().replace("-", " ")}).status_code == expected
    assert not store.call_sync(use_recovery_code, anna.pk, codes[0])


def test_ten_wrong_codes_end_it(anna: User) -> None:
    secret, _ = add_app(signed_in(anna))
    client = signed_in(anna)
    answers = [client.post(SECOND, {"code": "123"}).status_code for _ in range(10)]
    assert answers[0] == 403 and answers[-1] in (302, 429)
    assert client.post(SECOND, {"code": next_code(secret)}).status_code in (302, 429) and not is_in(client)


def test_a_changed_password_ends_what_waits(anna: User) -> None:
    secret, _ = add_app(signed_in(anna))
    client = signed_in(anna)
    User.objects.filter(pk=anna.pk).update(password="other")
    assert client.post(SECOND, {"code": next_code(secret)})["Location"] == SIGN_IN


def test_the_second_step_is_nothing_without_the_first(anna: User) -> None:
    secret, _ = add_app(signed_in(anna))
    client = Client()
    assert client.post(SECOND, {"code": next_code(secret)})["Location"] == SIGN_IN and not is_in(client)


def test_a_one_time_link_asks_for_it_too(anna: User) -> None:
    from accounts.sign_in.tokens import make_one_time_link

    add_app(signed_in(anna))
    client = Client()
    assert client.post(make_one_time_link(anna.pk))["Location"] == SECOND and not is_in(client)


def test_it_is_added_only_with_the_password(anna: User) -> None:
    client = signed_in(anna)
    client.get(reverse("security:totp"))
    secret = totp.opened(bytes.fromhex(client.session["new_totp"]))
    good = {"code": totp.code_at(secret, time.time()), "name": "Phone", "current": PASSWORD}
    for wrong in ({"current": "no"}, {"code": "12"}, {"current": ""}):
        assert client.post(reverse("security:totp"), {**good, **wrong}).status_code == 422
    assert not SecondFactor.objects.exists()


async def test_mail_programs_need_an_app_password_then(anna: User) -> None:
    identity = await authenticate(anna.login, PASSWORD, address="192.0.2.1", service="imap")
    assert await ScramKeys.objects.filter(user=anna).aexists()
    secret = new_app_password(anna.login)
    await store.call(add_credential, anna.pk, secret, name="Phone", scopes=["imap"], actor="x")
    await store.read(lambda: add_app(signed_in(anna)))
    with pytest.raises(AuthenticationFailed):
        await authenticate(anna.login, PASSWORD, address="192.0.2.1", service="imap")
    verifier = await scram_verifier(anna.login, address="192.0.2.1", service="imap")
    assert all(credential is not None for credential, _ in verifier.candidates)
    assert not await store.read(good_ones, [identity]), "a session with the bare password goes on"
    assert (await authenticate(anna.login, secret.secret, address="192.0.2.1", service="imap")).credential_id
    await store.read(lambda: check(anna.login, PASSWORD, address="192.0.2.1", service="web"))


def test_an_administrator_takes_it_away(anna: User, make_user: Callable[..., User]) -> None:
    boss = make_user("boss@harbour.test", role="admin")
    add_app(signed_in(anna))
    client = Client()
    client.force_login(boss, BACKEND)
    assert client.post(reverse("console:user-second-factor", args=[anna.pk])).status_code == 302
    anna.refresh_from_db()
    assert not anna.has_second_factor and not anna.recovery_codes.exists() and is_in(signed_in(anna))


def test_the_last_factor_takes_the_codes_with_it(anna: User) -> None:
    client = signed_in(anna)
    add_app(client)
    factor = SecondFactor.objects.get()
    client.post(reverse("security:factor-remove", args=[factor.pk]))
    anna.refresh_from_db()
    assert not anna.has_second_factor and not anna.recovery_codes.exists()


def test_nobody_removes_what_is_anothers(anna: User, ben: User) -> None:
    add_app(signed_in(anna))
    factor = SecondFactor.objects.get()
    signed_in(ben).post(reverse("security:factor-remove", args=[factor.pk]))
    assert SecondFactor.objects.exists()


def test_a_role_can_have_to(anna: User) -> None:
    RoleRule.objects.create(role=Role.USER, needs_second_factor=True)
    client = signed_in(anna)
    assert client.get("/")["Location"] == HOME
    assert client.get("/", headers={"HX-Request": "true"})["HX-Redirect"] == HOME
    add_app(client)
    assert client.get("/").get("Location") != HOME


def test_new_recovery_codes_replace_the_old(anna: User) -> None:
    client = signed_in(anna)
    _, old = add_app(client)
    text = client.post(reverse("security:codes"), {"current": PASSWORD}).content.decode()
    new = re.findall(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b", text)
    assert len(new) == 10 and not set(new) & set(old)
    assert not store.call_sync(use_recovery_code, anna.pk, old[0]) and store.call_sync(
        use_recovery_code, anna.pk, new[0]
    )


def test_rfc_6238_appendix_b() -> None:
    """The last six of the eight digits that the RFC lists for SHA-1."""
    for moment, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert totp.code_at(b"12345678901234567890", moment) == code


@given(st.text(max_size=30))
def test_odd_codes_are_only_wrong(code: str) -> None:
    assert totp.matching_step(totp.sealed(b"x" * 20), code, now=1e9) is None or code.strip().isdigit()


@given(st.text(max_size=200) | st.just('{"rawId": 5}') | st.just('{"rawId": "AA", "response": {"userHandle": "AA"}}'))
def test_odd_passkeys_are_refused(answer: str) -> None:
    try:
        passkeys.shown(answer)
    except passkeys.PasskeyRefused:
        pass


def test_unknown_passkeys_open_nothing(anna: User) -> None:
    client = Client()
    client.post(reverse("sign-in-passkey-options"))
    answer = '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}'
    assert client.post(reverse("sign-in-passkey"), {"answer": answer}).status_code == 403 and not is_in(client)


# ---------------------------------------------------------------- browsers and devices


def test_browsers_are_seen_and_signed_out(anna: User) -> None:
    here, there = signed_in(anna), signed_in(anna)
    assert is_in(here) and is_in(there)
    mine, theirs = (client.session.session_key for client in (here, there))
    rows = {row.session_key: row for row in web_sessions.living(anna)}
    assert set(rows) == {mine, theirs}
    here.post(reverse("security:session-end", args=[rows[theirs].pk]))
    assert not is_in(there) and is_in(here)
    signed_in(anna)
    here.post(reverse("security:session-end-others"))
    assert is_in(here)


def test_nobody_signs_out_another(anna: User, ben: User) -> None:
    client = signed_in(anna)
    assert is_in(client)
    (row,) = web_sessions.living(anna)
    signed_in(ben).post(reverse("security:session-end", args=[row.pk]))
    assert is_in(client)


def test_a_new_password_is_asked_for_with_the_old(anna: User) -> None:
    client = signed_in(anna)
    new = {"current": "wrong one here", "password": "another horse 10"}
    assert client.post(reverse("security:password"), new).status_code == 422
    assert (
        client.post(reverse("security:password"), {**new, "current": PASSWORD, "password": "short"}).status_code == 422
    )
    assert client.post(reverse("security:password"), {**new, "current": PASSWORD}).status_code == 302
    assert is_in(client), "the browser that changed it stays"
    check(anna.login, "another horse 10", address="192.0.2.1", service="web")


def test_app_passwords_are_shown_once_and_shut_out(anna: User) -> None:
    client = signed_in(anna)
    form: dict[str, Any] = {"name": "Thunderbird", "scopes": ["imap", "smtp"], "days": "30", "current": PASSWORD}
    assert client.post(reverse("security:app-password-add"), {**form, "current": "no"}).status_code == 422
    text = client.post(reverse("security:app-password-add"), form).content.decode()
    secret = re.search(r'id="secret">([a-z2-7-]+)<', text)[1]
    assert check(anna.login, secret, address="192.0.2.1", service="imap").credential_id
    with pytest.raises(AuthenticationFailed):
        check(anna.login, secret, address="192.0.2.1", service="pop3")
    assert secret not in client.get(HOME).content.decode()
    client.post(reverse("security:app-password-revoke"), {"name": "Thunderbird"})
    with pytest.raises(AuthenticationFailed):
        check(anna.login, secret, address="192.0.2.1", service="imap")


def test_codes_are_random() -> None:
    assert len({code for _ in range(20) for code in new_recovery_codes()}) == 200


def test_removing_all_of_nobody(anna: User) -> None:
    store.call_sync(remove_all_factors, anna.pk, actor="x")
    anna.refresh_from_db()
    assert not anna.has_second_factor
