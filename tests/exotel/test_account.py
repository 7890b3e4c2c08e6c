"""Accounts from URLs and parts, and secrets that never print."""

from __future__ import annotations

import copy
import json
import pickle
from urllib.parse import quote

import pytest

from django_exotel_ccm.exotel.account import (
    Account,
    AccountUnreadable,
    PartNames,
    Secret,
    account_from_parts,
    account_from_url,
)
from tests.exotel.leaks import KEY, TOKEN, leaks_in, text_of_exception

LINE = "Write: EXOTEL_URL=exotel://KEY:TOKEN@mumbai/ACCOUNT_SID"


def read(url: str) -> Account:
    return account_from_url(Secret(url), variable="EXOTEL_URL")


def test_text_of_a_secret_is_masked():
    secret = Secret("hush")

    assert secret.reveal() == "hush"
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>10}", f"{secret:s}"):
        assert shown.strip() == "********"
    assert not hasattr(secret, "__dict__")


def test_secrets_compare_by_value():
    assert Secret("é\ud800") == Secret("é\ud800")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a")
    assert not Secret("")


def test_secrets_are_not_pickled_or_copied():
    secret = Secret("hush")

    assert copy.deepcopy({"a": secret})["a"] is secret
    assert copy.copy(secret) is secret
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="is not pickled"):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError):
        json.dumps(secret)


@pytest.mark.parametrize(
    ("url", "ccm_url", "api_url"),
    [
        ("exotel://K:T@mumbai/acme1", "https://ccm-api.in.exotel.com", "https://api.in.exotel.com"),
        ("exotel://K:T@Singapore/acme1", "https://ccm-api.exotel.com", "https://api.exotel.com"),
        ("exotel://K:T@ccm.example.com/acme1", "https://ccm.example.com", "https://ccm.example.com"),
        ("exotel://K:T@sim:8443/acme1", "https://sim:8443", "https://sim:8443"),
        ("exotel://K:T@127.0.0.1:8000/acme1?tls=off", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("exotel://K:T@[::1]:80/acme1?tls=off", "http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_hosts_of_regions(url, ccm_url, api_url):
    account = read(url)

    assert account == Account(
        sid="acme1", key=Secret("K"), token=Secret("T"), ccm_url=ccm_url, api_url=api_url, to_key=None
    )


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.8.8.8:80", True), ("localhost", True), ("[::1]", True), ("10.0.0.1", False), ("mumbai", False)],
)
def test_loopback(host, loopback):
    assert read(f"exotel://K:T@{host}/acme1").is_loopback is loopback


def test_percent_encoding_is_decoded():
    account = read(f"exotel://{quote(KEY, safe='')}:{quote(TOKEN, safe='')}@mumbai/acme%201")

    assert (account.key.reveal(), account.token.reveal(), account.sid) == (KEY, TOKEN, "acme 1")
    assert leaks_in(repr(account)) == []


def test_customer_key_is_pinned():
    assert read("exotel://K:T@mumbai/a?to=number").to_key == "number"
    assert read("exotel://K:T@[::1]/a?to=customer_contact_uri&tls=off").to_key == "customer_contact_uri"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "is empty"),
        ("https://K:planted@token:walrus%@mumbai/a", "does not begin with exotel://"),
        (" exotel://K:T@mumbai/a", "contains a blank"),
        ("exotel://K:planted@token:walrus@mumbai/a", "more than one @; percent-encode"),
        ("exotel://planted-key/zebra:T@mumbai/a", "percent-encode it, as %2F"),
        ("exotel://K:Twalrus#zebra@mumbai/a", "percent-encode it, as %23"),
        ("exotel://K:Twalrus?zebra@mumbai/a", "percent-encode them, as %3F"),
        ("exotel://K:walrus%@mumbai/a", "write a plain % as %25"),
        ("exotel://K:walrus%ff@mumbai/a", "write a plain % as %25"),
        ("exotel://K:walrus%0A@mumbai/a", "in the API token"),
        ("exotel://Kzebra%3A:T@mumbai/a", "a colon in the key"),
        ("exotel://mumbai/a", "lacks the part KEY:TOKEN@"),
        ("exotel://zebra:@mumbai/a", "lacks the API token"),
        ("exotel://:walrus@mumbai/a", "lacks the API key"),
        ("exotel://K:T@mumbai/", "lacks the account SID"),
        ("exotel://K:T@/a", "lacks the region"),
        ("exotel://K:T@mumbay/a", "unknown region"),
        ("exotel://K:T@mumbai/a/b", "more after ACCOUNT_SID"),
        ("exotel://K:T@mumbai/a%2Fb", "names no account SID"),
        ("exotel://K:T@mumbai/..", "names no account SID"),
        ("exotel://K:T@a.example:65536/a", "unreadable host or port"),
        ("exotel://K:T@a.exämple/a", "unreadable host or port"),
        ("exotel://K:T@[::1/a", "unreadable host or port"),
        ("exotel://K:T@mumbai/a?tls=off", "only for a host on this machine"),
        ("exotel://K:T@[::1]/a?tls=0", "unknown value of the option tls"),
        ("exotel://K:T@mumbai/a?to=sip", "unknown key for the customer"),
        ("exotel://K:T@mumbai/a?timeout=3", "unknown or a repeated option"),
        ("exotel://K:T@mumbai/a?to=number&to=number", "unknown or a repeated option"),
    ],
)
def test_unreadable_url_names_the_fix(url, what):
    with pytest.raises(AccountUnreadable) as raised:
        read(url)

    message = str(raised.value)
    assert message.startswith("EXOTEL_URL ")
    assert what in message
    assert message.endswith(LINE)
    shown = text_of_exception(raised.value, skip=__file__)
    assert leaks_in(shown) == []
    assert not url or url not in shown
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None


def test_parts_are_not_decoded():
    account = account_from_parts(key=Secret("K%41"), token=Secret(TOKEN), sid="acme1", region="Singapore")

    assert (account.key.reveal(), account.token.reveal()) == ("K%41", TOKEN)
    assert account.ccm_url == "https://ccm-api.exotel.com"
    assert account.to_key is None


def test_parts_of_the_simulator():
    account = account_from_parts(
        key=Secret("K"),
        token=Secret("T"),
        sid="a",
        region="127.0.0.1:8000?tls=off",
        to_key="customer_contact_uri",
    )

    assert (account.ccm_url, account.to_key) == ("http://127.0.0.1:8000", "customer_contact_uri")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"key": Secret("")}, "EXOTEL_API_KEY lacks the API key. Write: EXOTEL_API_KEY=KEY"),
        ({"key": Secret("a:zebra")}, "EXOTEL_API_KEY has a colon .* Write: EXOTEL_API_KEY=KEY"),
        ({"token": Secret("walrus ")}, "EXOTEL_API_TOKEN has a blank.* Write: EXOTEL_API_TOKEN=TOKEN"),
        ({"token": Secret("")}, "EXOTEL_API_TOKEN lacks .* Write: EXOTEL_API_TOKEN=TOKEN"),
        ({"sid": ""}, "EXOTEL_ACCOUNT_SID lacks .* Write: EXOTEL_ACCOUNT_SID=ACCOUNT_SID"),
        ({"region": ""}, "EXOTEL_REGION lacks .* Write: EXOTEL_REGION=mumbai"),
        ({"region": "delhi"}, "EXOTEL_REGION names an unknown region.* Write: EXOTEL_REGION=mumbai"),
        ({"to_key": "sip"}, "EXOTEL_TO_KEY pins an unknown key.* Write: EXOTEL_TO_KEY=number"),
    ],
)
def test_unreadable_part_is_named(changed, message):
    parts = {"key": Secret(KEY), "token": Secret(TOKEN), "sid": "acme1", "region": "mumbai"}
    with pytest.raises(AccountUnreadable, match=message) as raised:
        account_from_parts(**{**parts, **changed})

    assert leaks_in(text_of_exception(raised.value, skip=__file__)) == []
    assert raised.value.__context__ is None


def test_other_names_of_parts():
    with pytest.raises(AccountUnreadable, match=r"SALES_KEY lacks the API key\. Write: SALES_KEY=KEY"):
        account_from_parts(
            key=Secret(""), token=Secret("T"), sid="a", region="mumbai", variables=PartNames(key="SALES_KEY")
        )
