"""The mechanisms behind the one door, without a protocol around them."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.auth import door, scram
from accounts.auth.door import AuthenticationFailed, Identity, Throttled, authenticate, check
from accounts.auth.sasl import Exchange, NotAuthorized, offered
from accounts.auth.throttle import STRANGERS_AT_ONCE, LaneFull, Throttle
from accounts.models import Credential, ScramKeys
from accounts.services import add_credential, new_app_password, new_token, revoke_credential, set_password
from accounts.services.credentials import NewSecret
from accounts.services.errors import AlreadyExists, InvalidValue, NotFound
from accounts.services.passwords import hash_given, scram_keys_for
from mailservers.formats import sasl as grammar
from mailservers.formats.sasl import SaslSyntaxError
from mailservers.formats.saslprep import saslprep
from mailservers.store.engine import store
from tests.accounts.sasl_client import CERTIFICATE_HASH, Peer, ScramClient
from tests.accounts.sasl_client import scram as run_scram
from tests.conftest import PASSWORD

LOGIN = "anna@harbour.test"


@pytest.fixture
def keys(anna):
    """Anna's SCRAM keys, as her first login with a password makes them."""
    assert check(LOGIN, PASSWORD, address="192.0.2.1", service="imap").user_id == anna.pk
    return ScramKeys.objects.get(user=anna, credential=None)


def give(user, secret: NewSecret, name="phone", scopes=("imap", "smtp"), **fields) -> int:
    return store.call_sync(add_credential, user.pk, secret, name=name, scopes=scopes, actor="test", **fields)


# ---------------------------------------------------------------- grammar


def test_rfc_7677_example():
    first = grammar.parse_scram_first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert (first.username, first.nonce, first.gs2_header) == ("user", b"rOprNGfwEbeRWgbNEkqO", b"n,,")
    server_first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    final = grammar.parse_scram_final(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    import hashlib
    import hmac

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", salt, 4096)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    keys = scram.Keys(salt, 4096, stored, hmac.digest(salted, b"Server Key", "sha256"))
    message = b",".join((first.bare, server_first, final.without_proof))
    assert scram.is_proof(keys, message, final.proof)
    assert not scram.is_proof(keys, message, final.proof[::-1]) and not scram.is_proof(keys, message, b"")
    signature = base64.b64encode(scram.server_signature(keys, message))
    assert signature == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize(
    "message",
    [b"", b"x,,n=a,r=b", b"n,n=a,r=b", b"n,,n=a", b"n,,r=b,n=a", b"n,,n=a=2,r=b", b"n,,m=x,n=a,r=b", b"p=,,n=a,r=b",
     b"n,,n=\xff,r=b", b"n,,n=a,r=" + b"x" * 2000, b"n,,n=a,r=b\0"],
)  # fmt: skip
def test_bad_scram_messages(message):
    with pytest.raises(SaslSyntaxError):
        grammar.parse_scram_first(message)


def test_names_in_scram():
    assert grammar.parse_scram_first(b"y,a=b=2Cc,n=a=3Db,r=x").authzid == "b,c"
    assert grammar.parse_scram_first(b"p=tls-unique,,n=a=3Db,r=x,e=1").username == "a=b"


@given(
    st.binary(max_size=80) | st.sampled_from([b"n,,n=a,r=b", b"n,,\1auth=Bearer x\1\1", b"user=a\1auth=Bearer x\1\1"])
)
def test_only_the_one_error_escapes(message):
    for parse in (
        grammar.parse_plain,
        grammar.parse_scram_first,
        grammar.parse_scram_final,
        grammar.parse_oauthbearer,
        grammar.parse_xoauth2,
    ):
        try:
            parse(message)
        except SaslSyntaxError as error:
            assert str(error).isascii()


def test_rfc_7628_example():
    message = b"n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"  # noqa: E501
    assert grammar.parse_oauthbearer(message) == grammar.Bearer(
        "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    )


@pytest.mark.parametrize(
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b"),
     ("\u0007", None), ("\u0627\u0031", None), ("", "")],
)  # fmt: skip
def test_saslprep_examples_of_rfc_4013(text, prepared):
    if prepared is None:
        with pytest.raises(ValueError):
            saslprep(text)
    else:
        assert saslprep(text) == prepared


# ---------------------------------------------------------------- PLAIN, LOGIN


async def test_plain_and_its_authzid(anna, ben):
    for authzid in (b"", LOGIN.encode(), LOGIN.upper().encode()):
        message = b"\0".join((authzid, LOGIN.encode(), PASSWORD.encode()))
        identity = await Exchange("PLAIN", Peer(), "imap").step(message)
        assert isinstance(identity, Identity) and identity.user_id == anna.pk
    with pytest.raises(NotAuthorized):
        await Exchange("PLAIN", Peer(), "imap").step(b"ben@harbour.test\0anna@harbour.test\0" + PASSWORD.encode())
    with pytest.raises(AuthenticationFailed, match="invalid login or password"):
        await Exchange("PLAIN", Peer(), "imap").step(b"ben@harbour.test\0anna@harbour.test\0wrong")


# ---------------------------------------------------------------- SCRAM


async def test_scram(anna, keys):
    identity = await run_scram(ScramClient(LOGIN, PASSWORD))
    assert (identity.user_id, identity.credential_id) == (anna.pk, None)
    with pytest.raises(AuthenticationFailed):
        await run_scram(ScramClient(LOGIN, "wrong"))
    with pytest.raises(NotAuthorized):
        await run_scram(ScramClient(LOGIN, PASSWORD, b"n,a=ben@harbour.test,"))


async def test_scram_plus(anna, keys):
    bound = ScramClient(LOGIN, PASSWORD, b"p=tls-server-end-point,,", CERTIFICATE_HASH)
    assert (await run_scram(bound, "SCRAM-SHA-256-PLUS")).user_id == anna.pk
    other = ScramClient(LOGIN, PASSWORD, b"p=tls-server-end-point,,", b"another certificate")
    for client, mechanism in (
        (other, "SCRAM-SHA-256-PLUS"),
        (ScramClient(LOGIN, PASSWORD, b"p=tls-exporter,,", b"x"), "SCRAM-SHA-256-PLUS"),
        (ScramClient(LOGIN, PASSWORD, b"y,,"), "SCRAM-SHA-256"),  # a downgrade
        (ScramClient(LOGIN, PASSWORD, b"n,,", b"junk"), "SCRAM-SHA-256"),
    ):
        with pytest.raises(AuthenticationFailed):
            await run_scram(client, mechanism)
    for client, mechanism in (
        (ScramClient(LOGIN, PASSWORD), "SCRAM-SHA-256-PLUS"),
        (bound, "SCRAM-SHA-256"),
    ):
        with pytest.raises(SaslSyntaxError):
            await run_scram(client, mechanism)
    assert (await run_scram(ScramClient(LOGIN, PASSWORD, b"y,,"), is_tls=False)).user_id == anna.pk


async def test_a_login_that_is_not_here_looks_like_any_other(anna, keys):
    async def server_first(login):
        return await Exchange("SCRAM-SHA-256", Peer(), "imap").step(ScramClient(login, "x").first())

    shapes = set()
    for login in (LOGIN, "nobody@harbour.test"):
        one, two = await server_first(login), await server_first(login)
        assert one.split(b",")[1:] == two.split(b",")[1:] and one != two  # the salt stays, the nonce does not
        shapes.add((len(one), one.split(b",")[2]))
    assert len(shapes) == 1
    with pytest.raises(AuthenticationFailed, match=r"^invalid login or password$"):
        await run_scram(ScramClient("nobody@harbour.test", PASSWORD))


async def test_keys_follow_the_password(anna, keys):
    new = "another horse 10"
    await store.call(set_password, anna.pk, hash_given(new), actor="test", scram_keys=scram_keys_for(LOGIN, new))
    assert (await run_scram(ScramClient(LOGIN, new))).user_id == anna.pk
    with pytest.raises(AuthenticationFailed):
        await run_scram(ScramClient(LOGIN, PASSWORD))
    await store.call(set_password, anna.pk, hash_given(PASSWORD), actor="test")
    with pytest.raises(AuthenticationFailed):  # no old key is left behind
        await run_scram(ScramClient(LOGIN, new))


@override_settings(SCRAM=False)
def test_scram_switched_off(anna):
    assert offered(is_tls=True) == ("PLAIN", "LOGIN")
    check(LOGIN, PASSWORD, address="192.0.2.1", service="imap")
    assert not ScramKeys.objects.exists() and scram_keys_for(LOGIN, PASSWORD) is None


# ---------------------------------------------------------------- app passwords


async def test_app_passwords(anna, ben):
    secret = new_app_password(LOGIN)
    pk = await store.call(add_credential, anna.pk, secret, name="phone", scopes=["smtp", "imap"], actor="test")
    for typed in (secret.secret, secret.secret.replace("-", "").upper(), f" {secret.secret} "):
        assert (await authenticate(LOGIN, typed, address="192.0.2.1", service="imap")).credential_id == pk
    assert (await run_scram(ScramClient(LOGIN, secret.secret))).credential_id == pk
    for login, service in ((LOGIN, "pop3"), (LOGIN, "web"), ("ben@harbour.test", "imap")):
        with pytest.raises(AuthenticationFailed):
            await authenticate(login, secret.secret, address="192.0.2.1", service=service)
    with pytest.raises(AuthenticationFailed):
        await run_scram(ScramClient(LOGIN, secret.secret), service="pop3")
    await store.call(revoke_credential, anna.pk, Credential.Kind.APP_PASSWORD, "phone", actor="test")
    with pytest.raises(AuthenticationFailed):
        await authenticate(LOGIN, secret.secret, address="192.0.2.1", service="imap")
    with pytest.raises(AuthenticationFailed):
        await run_scram(ScramClient(LOGIN, secret.secret))
    assert not await store.read(ScramKeys.objects.filter(credential_id=pk).exists)


def test_what_cannot_be_an_app_password(anna):
    give(anna, new_app_password(LOGIN))
    for name, scopes, error in (
        ("phone", ["imap"], AlreadyExists),
        ("", ["imap"], InvalidValue),
        ("tablet", [], InvalidValue),
        ("tablet", ["web"], InvalidValue),
    ):
        with pytest.raises(error):
            give(anna, new_app_password(LOGIN), name, scopes)
    with pytest.raises(InvalidValue):
        give(anna, new_app_password(LOGIN), "past", expires_at=timezone.now() - timedelta(days=1))
    with pytest.raises(NotFound):
        store.call_sync(revoke_credential, anna.pk, Credential.Kind.TOKEN, "phone", actor="test")


# ---------------------------------------------------------------- bearer tokens


@override_settings(TOKEN_ISSUERS=["postroom"])
async def test_tokens(anna):
    assert offered(is_tls=False)[-2:] == ("OAUTHBEARER", "XOAUTH2")
    secret = new_token()
    pk = await store.call(add_credential, anna.pk, secret, name="script", scopes=["imap"], actor="test")
    good = (
        ("OAUTHBEARER", f"n,a={LOGIN},\1host=h\1port=1\1auth=Bearer {secret.secret}\1\1", b"\1"),
        ("OAUTHBEARER", f"n,,\1auth=Bearer {secret.secret}\1\1", b"\1"),
        ("XOAUTH2", f"user={LOGIN}\1auth=Bearer {secret.secret}\1\1", b""),
    )
    for mechanism, message, _ in good:
        identity = await Exchange(mechanism, Peer(), "imap").step(message.encode())
        assert isinstance(identity, Identity) and identity.credential_id == pk
    for mechanism, message, dummy in (
        *((mechanism, message.replace("prt_", "prt_x"), dummy) for mechanism, message, dummy in good),
        ("XOAUTH2", f"user=ben@harbour.test\1auth=Bearer {secret.secret}\1\1", b""),
    ):
        exchange = Exchange(mechanism, Peer(peer_address="192.0.2.99"), "imap")
        challenge = await exchange.step(message.encode())
        assert isinstance(challenge, bytes) and json.loads(challenge)["status"] == "invalid_token"
        with pytest.raises(AuthenticationFailed):
            await exchange.step(dummy)
    assert isinstance(await Exchange("OAUTHBEARER", Peer(), "smtp").step(good[0][1].encode()), bytes)  # not its scope
    with pytest.raises(AuthenticationFailed):  # a token is no password
        await authenticate(LOGIN, secret.secret, address="192.0.2.1", service="imap")


def test_without_an_issuer_no_bearer_mechanism(anna):
    assert offered(is_tls=True) == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")


# ---------------------------------------------------------------- throttling


def test_failures_count_across_protocols_and_never_lock_the_owner_out(anna):
    with override_settings(AUTH_FAILURES_PER_LOGIN=3, AUTH_FAILURES_PER_ADDRESS=20):
        for service in ("imap", "pop3", "smtp"):
            with pytest.raises(AuthenticationFailed):
                check(LOGIN, "wrong", address="2001:db8::1", service=service)
        with pytest.raises(Throttled):
            check(LOGIN, PASSWORD, address="2001:db8::2", service="web")  # the same /64
        assert check(LOGIN, PASSWORD, address="2001:db8:0:1::1", service="imap").user_id == anna.pk


async def test_scram_failures_count_too(anna, keys):
    with override_settings(AUTH_FAILURES_PER_LOGIN=1):
        with pytest.raises(AuthenticationFailed):
            await run_scram(ScramClient(LOGIN, "wrong"))
        with pytest.raises(Throttled):
            await run_scram(ScramClient(LOGIN, PASSWORD))


def test_a_login_guessed_from_everywhere_makes_strangers_wait(settings):
    settings.AUTH_FAILURES_PER_ACCOUNT = 5
    throttle = Throttle()
    throttle.succeeded("192.0.2.1", LOGIN)
    for number in range(5):
        throttle.failed(f"198.51.100.{number}", LOGIN)
    with throttle.lane("192.0.2.1", LOGIN) as wait_s:
        assert wait_s == 0
    with throttle.lane("203.0.113.1", "ben@harbour.test") as wait_s:
        assert wait_s == 0
    lanes = [throttle.lane("203.0.113.1", LOGIN) for _ in range(STRANGERS_AT_ONCE + 1)]
    assert all(lane.__enter__() > 0 for lane in lanes[:-1])
    with pytest.raises(LaneFull):
        lanes[-1].__enter__()
    for lane in lanes[:-1]:
        lane.__exit__(None, None, None)
    with throttle.lane("203.0.113.1", LOGIN) as wait_s:
        assert wait_s > 0
    assert not throttle._strangers


def test_the_door_waits_for_strangers(anna, monkeypatch, settings):
    settings.AUTH_FAILURES_PER_ACCOUNT = 1
    door.throttle.failed("198.51.100.1", LOGIN)
    waited: list[float] = []
    monkeypatch.setattr(door.time, "sleep", waited.append)
    assert check(LOGIN, PASSWORD, address="203.0.113.1", service="web").user_id == anna.pk
    assert check(LOGIN, PASSWORD, address="203.0.113.1", service="web").user_id == anna.pk
    assert waited == [5.0]  # known by then
