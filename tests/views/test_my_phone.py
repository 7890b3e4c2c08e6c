"""Agents see their own phones with the age of the news, and turn them on and off; nobody else's."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallRecord, Device
from django_exotel_ccm.services import sync_agents
from django_exotel_ccm.simulator import Simulator
from tests.admin.pages import AGENT_WORK, Page, Session
from tests.templatetags.pages import BUTTON, render, request_of

PHONE, SOFTPHONE = "+919000000101", "sip:asha4c1d77e2"


@pytest.fixture
def asha(host: Any, exotel: Simulator) -> Session:
    """An agent of Exotel's with a phone that is on and a softphone that is off."""
    user = host.user("asha", *AGENT_WORK)
    exotel.directory.add_device(exotel.agent(PHONE), SOFTPHONE)
    sync_agents("default")
    return Session(user)


def my_phone(session: Session) -> Page:
    return session.get(reverse("exotel_ccm:my-phone"))


def switch(session: Session, page: Page, uri: str, on: str) -> Page:
    key = str(Device.objects.get(contact_uri=uri).pk)
    form = next(form for form in page.forms if ("exotel_device", key) in form.fields)
    return session.post(form.attributes["action"], form.data | {"exotel_on": on})


def test_own_phones_and_their_age(asha: Session) -> None:
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=5))

    text = my_phone(asha).text

    assert f"Phone {PHONE} : on: your calls ring here (Exotel said so 5 minutes ago)" in text
    assert f"{SOFTPHONE} : off (Exotel said so 5 minutes ago)" in text
    assert "+919000000103" not in text  # Ola's


def test_turned_on_and_off(asha: Session, exotel: Simulator) -> None:
    page = switch(asha, my_phone(asha), SOFTPHONE, "1")
    assert f"Your calls ring on {SOFTPHONE} now." in page.text
    assert [one.is_on for one in exotel.agent(PHONE).devices] == [False, True]

    page = switch(asha, page, SOFTPHONE, "0")
    assert f"Your calls do not ring on {SOFTPHONE} any more." in page.messages
    assert [one.is_on for one in exotel.agent(PHONE).devices] == [False, False]


def test_turned_on_from_my_calls(asha: Session, exotel: Simulator) -> None:
    exotel.agent(PHONE).device = "off"
    sync_agents("default")

    page = asha.get(reverse("exotel_ccm:my-calls"))
    assert "Your phone is off in Exotel, so your calls may be refused." in page.text
    page = switch(asha, page, PHONE, "1")

    assert f"Your calls ring on {PHONE} now." in page.messages
    assert asha.where.startswith(reverse("exotel_ccm:my-calls"))
    assert exotel.agent(PHONE).device == "on"
    assert "Your phone is off" not in asha.get(reverse("exotel_ccm:my-calls")).text


def test_reload_switches_nothing_again(asha: Session, exotel: Simulator) -> None:
    """Also after a refusal: the page that says it was got, not posted."""
    for state in ("on", "unverified"):
        exotel.agent(PHONE).devices[1].state = state
        switch(asha, my_phone(asha), SOFTPHONE, "1")
        assert asha.response.redirect_chain
        before = len(exotel.book.requests)
        assert "now." not in asha.get(asha.where).messages
        assert len(exotel.book.requests) == before


def as_script(session: Session, page: Page, on: str = "1", uri: str = PHONE) -> Any:
    """Post as our script does."""
    key, url = str(Device.objects.get(contact_uri=uri).pk), page.links["Turn it on"].replace("&amp;", "&")
    session.client.handler.enforce_csrf_checks = False
    return session.client.post(url, {"exotel_device": key, "exotel_on": on}, headers={"Accept": "application/json"})


@pytest.fixture
def silent(asha: Session, exotel: Simulator) -> Session:
    """Asha, whose phone is off, and whose softphone is not verified."""
    exotel.agent(PHONE).devices[1].state = "unverified"
    exotel.agent(PHONE).device = "off"
    sync_agents("default")
    return asha


def test_script_turns_it_on_from_the_ticket(silent: Session, host: Any, exotel: Simulator) -> None:
    page = silent.change_form(host.ticket())
    assert page.html.count("data-exotel-device=") == 1  # what is not verified cannot be turned on

    response = as_script(silent, page)

    assert (response.status_code, response.json()) == (200, {"text": f"Your calls ring on {PHONE} now."})
    assert exotel.agent(PHONE).device == "on"
    assert silent.get("/admin/").messages == ""  # it was said already


def test_script_is_told_exotels_refusal(silent: Session, host: Any, exotel: Simulator) -> None:
    page = silent.change_form(host.ticket())
    exotel.agent(PHONE).devices[0].state = "unverified"

    response = as_script(silent, page)

    assert response.status_code == 409
    assert response.json()["advice"].startswith("The phone is not verified in Exotel.")


def test_without_script_the_way_leads_back_to_the_ticket(silent: Session, host: Any, exotel: Simulator) -> None:
    ticket = host.ticket()
    page = silent.get(silent.change_form(ticket).links["Turn it on"].replace("&amp;", "&"))
    assert page.links["Back"] == silent.url("helpdesk_ticket_change", ticket.pk)

    exotel.agent(PHONE).devices[0].state = "unverified"
    page = switch(silent, page, PHONE, "1")
    assert "The phone is not verified in Exotel." in page.messages
    assert page.links["Back"]
    exotel.agent(PHONE).device = "off"
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=5))
    page = silent.post(silent.where, page.forms[-1].data)
    assert page.links["Back"]  # "Ask Exotel again" stays there
    page = switch(silent, page, PHONE, "1")

    assert silent.where == silent.url("helpdesk_ticket_change", ticket.pk)
    assert f"Your calls ring on {PHONE} now." in page.messages
    assert f"Your calls ring on {PHONE}. (Exotel said so just now.)" in page.text


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "///x"])
def test_way_back_leads_to_no_other_host(asha: Session, elsewhere: str) -> None:
    page = asha.get(f"{reverse('exotel_ccm:my-phone')}?{urlencode({'exotel_next': elsewhere})}")
    assert "Back" not in page.links

    key = str(Device.objects.get(contact_uri=SOFTPHONE).pk)
    form = next(form for form in page.forms if ("exotel_device", key) in form.fields)
    response = asha.client.post(asha.where, form.data | {"exotel_on": "1", "exotel_next": elsewhere})

    assert (response.status_code, response["Location"]) == (302, asha.where)


def test_several_phones_are_named(asha: Session, host: Any, exotel: Simulator) -> None:
    exotel.agent(PHONE).device = "off"
    sync_agents("default")

    page = asha.change_form(host.ticket())

    assert f"Turn on {PHONE} Turn on {SOFTPHONE} My phone" in page.text


def test_one_phone_in_two_accounts(asha: Session, host: Any, exotel: Simulator) -> None:
    """Else its two lines look the same, and nobody knows which of them they turn off."""
    twin = host.agent(user=asha.user, account="sales", exotel_user_id="b7e2")
    facts = {"kind": "phone", "is_on": True, "is_verified": True, "seen_at": timezone.now()}
    Device.objects.create(agent=twin, exotel_id="9", contact_uri=PHONE, **facts)

    text, line = my_phone(asha).text, asha.change_form(host.ticket()).text
    page = switch(asha, my_phone(asha), SOFTPHONE, "1")

    assert f"Phone {PHONE} (default) : on" in text
    assert f"Phone {PHONE} (sales) : on" in text
    assert f'aria-label="Turn it off: Phone {PHONE} (sales)"' in page.html
    assert f"Your calls ring on {PHONE} (default), {PHONE} (sales)." in line
    assert f"Your calls ring on {SOFTPHONE} (default) now." in page.text
    Device.objects.update(is_on=False)
    assert f"Turn on {PHONE} (sales)" in asha.change_form(host.ticket()).text


def test_no_phone_is_verified(asha: Session, host: Any) -> None:
    Device.objects.update(is_verified=False)

    page = asha.change_form(host.ticket())

    assert "Your phone is not verified in Exotel, so your calls may be refused." in page.text
    assert "data-exotel-device" not in page.html


def test_ticket_says_quietly_which_phone_rings(asha: Session, host: Any) -> None:
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=5))
    ticket = host.ticket()

    with CaptureQueriesContext(connection) as queries:
        page = asha.change_form(ticket)
    assert len([one for one in queries if Device._meta.db_table in one["sql"]]) == 1

    assert f"Your calls ring on {PHONE}. (Exotel said so 5 minutes ago.)" in page.text
    assert f"{PHONE} : on" in asha.get(page.links["My phone"].replace("&amp;", "&")).text


def test_refused_press_renews_the_line(silent: Session, host: Any, exotel: Simulator) -> None:
    ticket = host.ticket()
    Device.objects.filter(contact_uri=PHONE).update(is_on=True)  # as far as is known here
    [button] = silent.change_form(ticket).call_buttons

    headers = {"Accept": "application/json"}
    told = silent.client.post(button.attributes["action"], button.data, headers=headers).json()

    line = Page(told["phone"])
    assert "Your phone is off in Exotel, so your calls may be refused. (Exotel said so just now.)" in line.text
    assert line.links["Turn it on"].replace("&amp;", "&") == told["correction_url"]
    assert silent.get(told["correction_url"]).links["Back"] == silent.url("helpdesk_ticket_change", ticket.pk)


def test_exotels_refusal_is_explained(asha: Session, exotel: Simulator) -> None:
    page = my_phone(asha)
    exotel.agent(PHONE).devices[1].state = "unverified"

    page = switch(asha, page, SOFTPHONE, "1")

    assert "The phone is not verified in Exotel." in page.messages
    assert "not verified: give a missed call from it" in page.text
    assert exotel.agent(PHONE).device == "on"


def test_ask_again(asha: Session, exotel: Simulator) -> None:
    page = my_phone(asha)
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=5))
    exotel.agent(PHONE).device = "off"
    assert "Ask Exotel again" in page.text

    page = asha.post(asha.where, page.forms[-1].data)

    assert "This is what Exotel says now." in page.text
    assert not Device.objects.get(contact_uri=PHONE).is_on


def test_exotel_is_asked_seldom(asha: Session, exotel: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_exotel_ccm.views.my_phone.ASK_EVERY", 60)
    page = my_phone(asha)
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(seconds=61))
    exotel.agent(PHONE).device = "off"
    before = len(exotel.book.requests)

    for _press in range(3):
        page = asha.post(asha.where, page.forms[-1].data)
        exotel.agent(PHONE).device = "on"

    assert len(exotel.book.requests) == before + 1
    assert "Exotel was asked a few seconds ago, and said this." in page.text
    assert f"{PHONE} : off (Exotel said so just now)" in page.text


@pytest.mark.parametrize(("code", "state"), [("1012", "off"), ("10706", "in a call"), ("10708", "off")])
def test_accepted_call_makes_the_news_old(asha: Session, host: Any, exotel: Simulator, code: str, state: str) -> None:
    ticket, agent = host.ticket(), Agent.objects.get(name="Asha")
    Device.objects.note_refusal(agent, code)
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=5))
    assert f"{PHONE} : {state} (Exotel said so 5 minutes ago)" in my_phone(asha).text

    asha.press_button(ticket)

    assert CallRecord.objects.get().state == "active"
    assert f"{PHONE} : {state} (Exotel said so 5 minutes ago, before your last call)" in my_phone(asha).text
    for page in (asha.change_form(ticket), asha.get(reverse("exotel_ccm:my-calls"))):
        assert "Your phone is off" not in page.text
    Device.objects.note_refusal(agent, code)
    Device.objects.update(seen_at=timezone.now(), is_on=False)
    assert "Your phone is off" in asha.change_form(ticket).text


def test_refused_call_does_not_make_the_news_old(asha: Session, host: Any, exotel: Simulator) -> None:
    ticket = host.ticket()
    exotel.agent(PHONE).device = "off"
    sync_agents("default")
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=5))

    asha.press_button(ticket)

    assert CallRecord.objects.get().state == "refused"
    assert "Your phone is off" in asha.change_form(ticket).text


@pytest.mark.parametrize("key", ["of another", "0", "99999", "x", "9" * 40])
def test_phone_of_somebody_else(asha: Session, exotel: Simulator, key: str) -> None:
    other = Device.objects.get(contact_uri="+919000000103")
    form = my_phone(asha).forms[-1]

    asha.post(asha.where, form.data | {"exotel_device": [str(other.pk) if key == "of another" else key]})

    assert asha.response.status_code == 404
    assert exotel.agent("+919000000103").device == "off"


def test_ticket_says_that_the_phone_is_off(asha: Session, host: Any, exotel: Simulator) -> None:
    ticket = host.ticket()
    assert "Your phone is off" not in asha.change_form(ticket).text
    exotel.agent(PHONE).device = "off"
    sync_agents("default")
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=5))

    page = asha.change_form(ticket)

    assert "Your phone is off in Exotel, so your calls may be refused. (Exotel said so 5 minutes ago.)" in page.text
    assert len(page.call_buttons) == 1  # it may be on again
    assert f"{PHONE} : off" in asha.get(page.links[f"Turn on {PHONE}"].replace("&amp;", "&")).text
    on_the_hosts_page = render(BUTTON, request_of(asha.user), ticket=ticket)
    assert "Your phone is off" in on_the_hosts_page.text
    assert on_the_hosts_page.links[f"Turn on {PHONE}"]


def test_agent_whom_exotel_does_not_know(host: Any) -> None:
    session = Session(host.user("vik", *AGENT_WORK))

    assert "Exotel does not know you here yet." in my_phone(session).text
    assert "My phone" not in session.get(reverse("exotel_ccm:my-calls")).text


def test_page_needs_the_permission_to_call(asha: Session) -> None:
    asha.user.user_permissions.remove(Permission.objects.get(codename="place_call"))

    my_phone(asha)

    assert asha.response.status_code == 403


def test_refused_press_leads_to_the_phone(asha: Session, host: Any, exotel: Simulator) -> None:
    exotel.agent(PHONE).device = "off"
    [button] = asha.change_form(host.ticket()).call_buttons

    page = asha.post(button.attributes["action"], button.data)

    assert CallRecord.objects.get().refusal_code == "1012"
    assert "Turn the device on, then call again." in page.text
    assert f"{PHONE} : off" in asha.get(page.links["Correct it"]).text


def test_softphone_that_is_not_turned_on(asha: Session, host: Any, exotel: Simulator) -> None:
    """It is registered, and Exotel refuses the call with a code of its own."""
    page = asha.change_form(host.ticket())
    exotel.options.refuse_with = 10708

    page = asha.press_button_of(page)

    assert "A softphone that is open has to be turned on as well." in page.messages
    assert "Your phone is off in Exotel, so your calls may be refused. (Exotel said so just now.)" in page.text
    assert page.links[f"Turn on {SOFTPHONE}"] or page.links["Turn it on"]


def test_ticket_says_that_the_phone_is_busy(asha: Session, host: Any, exotel: Simulator) -> None:
    ticket = host.ticket()
    exotel.agent(PHONE).device = "busy"
    busy, rings = "Your phone is busy with another call", f"Your calls ring on {PHONE}."
    headers = {"Accept": "application/json"}
    [button] = asha.change_form(ticket).call_buttons

    told = asha.client.post(button.attributes["action"], button.data, headers=headers).json()

    now = f"{busy}, so your calls may be refused. (Exotel said so just now.)"
    assert now in Page(told["phone"]).text
    page = asha.change_form(ticket)
    assert now in page.text
    assert rings not in page.text
    assert len(page.call_buttons) == 1  # that call may be over
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=4))
    assert f"{busy}, so your calls may be refused. (Exotel said so 4 minutes ago.)" in asha.change_form(ticket).text

    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=6))
    assert rings in asha.change_form(ticket).text


def test_call_that_was_accepted_ends_the_news_that_the_phone_is_busy(
    asha: Session, host: Any, exotel: Simulator
) -> None:
    ticket = host.ticket()
    Device.objects.note_refusal(Agent.objects.get(name="Asha"), "10706")
    Device.objects.update(seen_at=timezone.now() - datetime.timedelta(minutes=1))
    assert "Your phone is busy" in asha.change_form(ticket).text

    asha.press_button(ticket)

    assert CallRecord.objects.get().state == "active"
    assert "Your phone is busy" not in asha.change_form(ticket).text


def test_refused_press_as_another_agent_does_not_lead_there(asha: Session, host: Any, exotel: Simulator) -> None:
    asha.user.user_permissions.add(Permission.objects.get(codename="place_call_for_others"))
    ola = Agent.objects.get(name="Ola")
    [button] = asha.change_form(host.ticket()).call_buttons

    page = asha.post(button.attributes["action"], button.data | {"exotel_agent": [str(ola.pk)]})

    assert CallRecord.objects.get().refusal_code == "1012"
    assert "Correct it" not in page.links
