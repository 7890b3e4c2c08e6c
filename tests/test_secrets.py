"""No API key or token is on an error page, in a mail, a log, the admin, the database, a repr or a pickle."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import pprint
import urllib.error
import urllib.request
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.handlers import BaseHandler

import django
import pytest
from django.apps import apps
from django.contrib.admin import site
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path, reverse
from django.utils.log import AdminEmailHandler

from django_exotel_ccm import accounts, conf, signals, simulator
from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.exotel.call_request import CallRequest
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import ExotelError
from django_exotel_ccm.models import Agent, Announcement, CallListItem, Device, PressLock
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.exotel.leaks import KEY, TOKEN, assert_interruptions_show_nothing, leaks_in, text_of_exception
from tests.urls import urlpatterns as of_the_host

HOLDERS = ("url", "parts", "another variable", "variable of another name", "settings")
#: Where the account is held is independent of what fails: each of both once.
CASES = [*((holder, "view") for holder in HOLDERS), *(("url", failure) for failure in ("client", "placing", "parser"))]


def fail(request: HttpRequest, what: str) -> HttpResponse:
    """A host's view that fails with accounts among its local variables."""
    account = accounts.get_account() if what != "parser" else None
    if what == "parser":
        accounts.get_account("unreadable")  # without ACCOUNTS there is no such alias: it fails too
    elif what == "client" and account is not None:
        ExotelClient(account).make_call(
            CallRequest(to="+919000001001", virtual_number="+918000000700", user_contact_uri="+919000000101")
        )
    elif what == "placing":
        place_call(agent=Agent.objects.get(), to="+919000001001")
    settings, clients = conf.get_settings(), [ExotelClient(found) for found in (account,) if found]
    raise LookupError(settings, clients)


urlpatterns = [*of_the_host, path("fail/<what>/", fail)]


def found_in(*texts: str) -> list[str]:
    """The planted secrets in the texts, in any spelling."""
    alone = [encode(secret.encode()).decode().rstrip("=") for secret in (KEY, TOKEN) for encode in ENCODINGS]
    return [leak for text in texts for leak in (*leaks_in(text), *(one for one in alone if one in text))]


ENCODINGS: tuple[Callable[[bytes], bytes], ...] = (b64encode, urlsafe_b64encode)


@pytest.fixture
def exotel() -> Iterator[Simulator]:
    """A simulated Exotel with the planted account, which refuses every call."""
    with simulator.running(account=simulator.Account(key=KEY, token=TOKEN)) as exotel:
        exotel.options.refuse_with = 1012
        yield exotel


@pytest.fixture(params=HOLDERS)
def planted(request: pytest.FixtureRequest, exotel: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The planted account in the place of the parameter, and a second one that cannot be parsed."""
    url = exotel.account_url
    sources = {"unreadable": "UNREADABLE_ACCOUNT"}
    if request.param != "parts":
        monkeypatch.setenv("UNREADABLE_ACCOUNT", f"exotel://{KEY}:{TOKEN}@mumbai/acme1")
    if request.param == "url":
        monkeypatch.setenv("EXOTEL_URL", url)
        sources["default"] = "EXOTEL_URL"
    elif request.param == "another variable":
        monkeypatch.setenv("EXOTEL_URL", "$VAULT_ENTRY")
        monkeypatch.setenv("VAULT_ENTRY", url)
        sources["default"] = "EXOTEL_URL"
    elif request.param == "variable of another name":
        monkeypatch.setenv("CRM_TELEPHONY", url)
        sources["default"] = "CRM_TELEPHONY"
    elif request.param == "settings":
        sources["default"] = url
    else:
        sources = {}
        monkeypatch.delenv("EXOTEL_URL", raising=False)  # it would come before the parts
        place = url.rpartition("@")[2]
        parts = {"API_KEY": KEY, "API_TOKEN": TOKEN, "ACCOUNT_SID": "simulated1"}
        for name, value in {**parts, "REGION": place.replace("/simulated1", "")}.items():
            monkeypatch.setenv(f"EXOTEL_{name}", value)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": sources or None}
    settings.ROOT_URLCONF = __name__
    return str(request.param)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that was logged, at any level."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(pprint.pformat(record.__dict__) for record in caplog.records)


@pytest.fixture
def browser(host: Any, planted: str) -> Client:
    """The client of a host with an agent."""
    host.agent()
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(("planted", "failure"), CASES, indirect=["planted"])
def test_debug_pages(browser: Client, settings: Any, logged: Callable[[], str], failure: str) -> None:
    settings.DEBUG = True

    html = browser.get(f"/fail/{failure}/", headers={"accept": "text/html"})
    text = browser.get(f"/fail/{failure}/", headers={"accept": "text/plain"})

    assert html.status_code == text.status_code == 500
    assert b"EXOTEL_CCM" in html.content  # the page shows settings, and the locals of each frame
    assert b"test_secrets.py" in html.content
    assert found_in(html.content.decode(), text.content.decode(), logged()) == []


@pytest.mark.parametrize(
    ("planted", "failure"),
    [("url", "view"), ("parts", "client"), ("settings", "placing"), ("another variable", "parser")],
    indirect=["planted"],
)
def test_mails_to_the_admins(
    browser: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str], failure: str
) -> None:
    settings.ADMINS = ["admin@example.com"] if django.VERSION >= (6, 0) else [("Admin", "admin@example.com")]
    # Django's own handler, as LOGGING sets it up by default; a mailer of the host's would take the texts from it.
    [handler] = [one for one in logging.getLogger("django").handlers if isinstance(one, AdminEmailHandler)]
    mails: list[tuple[str, ...]] = []
    monkeypatch.setattr(handler, "include_html", True)
    monkeypatch.setattr(
        handler, "send_mail", lambda *texts, html_message, **options: mails.append((*texts, html_message))
    )

    browser.get(f"/fail/{failure}/")

    [(subject, text, html)] = mails
    assert "test_secrets.py" in text
    assert "EXOTEL_CCM" in html
    assert found_in(subject, text, html, logged()) == []


def test_debug_pages_with_the_environment(
    browser: Client, planted: str, live_server: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(BaseHandler, "os_environ", dict(os.environ))  # as if the process had been started with it
    accounts.hide_credentials()

    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(urllib.request.Request(f"{live_server.url}/fail/view/", headers={"Accept": "*/*"}))

    page = raised.value.read().decode()
    raised.value.close()
    assert raised.value.code == 500
    assert "PYTEST_CURRENT_TEST" in page  # the environment is on the page
    assert found_in(page.replace(os.environ["PYTEST_CURRENT_TEST"], "")) == []


@pytest.mark.parametrize("planted", ["url", "settings"], indirect=True)
def test_database_and_admin_after_failures(
    host: Any, browser: Client, receivers: Callable[..., None], exotel: Simulator, logged: Callable[[], str]
) -> None:
    def failing(**kwargs: Any) -> None:
        account = accounts.get_account()
        raise LookupError(account, account.key, conf.get_settings(), ExotelClient(account), exotel.book.requests)

    receivers(signals.call_refused, failing)
    receivers(signals.call_accepted, failing)
    with pytest.raises(CallRefused):
        place_call(agent=Agent.objects.get(), to="+919000001001")
    exotel.options.refuse_with = None
    place_call(agent=Agent.objects.get(), to="+919000001001")

    rows = [
        {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
        for model in apps.get_app_config("exotel_ccm").get_models()
        for row in model._default_manager.values()
    ]
    assert Announcement.objects.filter(state="failed").count() == 2
    assert "********" in pprint.pformat(rows)
    assert found_in(pprint.pformat(rows), logged()) == []

    admin = host.user("root", agent=None, is_superuser=True)
    browser.force_login(admin)
    ours = set(apps.get_app_config("exotel_ccm").get_models())
    # The pages of its list and its agent show an item and a device, and nobody reads a lock, which is a number.
    without_page = {CallListItem, Device, PressLock}
    assert {model for model in ours if not site.is_registered(model)} == without_page
    for model in ours - without_page:
        pages = [reverse(f"admin:exotel_ccm_{model._meta.model_name}_changelist")]
        pages += [f"{pages[0]}{row.pk}/change/" for row in model._default_manager.all()]
        for page in pages:
            response = browser.get(page)
            assert response.status_code == 200
            assert found_in(response.content.decode()) == []


def test_repr_and_pickles(browser: Client, planted: str, exotel: Simulator) -> None:
    account = accounts.get_account()
    client = ExotelClient(account)
    errors: list[Exception] = []
    doings: list[Callable[[], Any]] = [
        lambda: client.make_call(CallRequest(to="+919000001001", virtual_number="x", user_id="y")),
        lambda: place_call(agent=Agent.objects.get(), to="+919000001001"),
        lambda: accounts.get_account("unreadable"),
    ]
    for doing in doings:
        with pytest.raises((ExotelError, CallRefused, ImproperlyConfigured)) as raised:
            doing()
        errors.append(raised.value)

    for shown in (account, client, vars(client), conf.get_settings(), account.key, [account.token], *errors):
        assert found_in(repr(shown), str(shown), f"{shown}", pprint.pformat(shown)) == []
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error)
        assert found_in(pickle.dumps(error, protocol=0).decode("latin-1"), repr(vars(again))) == []
        assert found_in(text_of_exception(error, skip=__file__)) == []
        assert copy.copy(error).args == error.args
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(account)


@pytest.mark.parametrize("planted", ["url", "parts"], indirect=True)
def test_interruption_while_reading_an_account(browser: Client, planted: str) -> None:
    assert_interruptions_show_nothing(accounts.get_account, "_check", "_chain", skip=__file__)
