"""A host without Django's messages: the next page that has something of ours says what the agent has done."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.host_pages import HostPagesAdapter
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import schedule_follow_up
from django_exotel_ccm.services.call_lists import create_call_list
from tests.admin.pages import AGENT_WORK, BY_HAND, Page
from tests.helpdesk.models import Ticket
from tests.templatetags.pages import BUTTON, PANEL, render, request_of

MY_CALLS = "exotel_ccm:my-calls"


@pytest.fixture(autouse=True)
def _no_messages(settings: Any) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "messages" not in name]


class Agent:
    """The browser of an agent who works on pages of the host, and posts forms as they are."""

    def __init__(self, host: Any) -> None:
        self.user = host.user("asha", *AGENT_WORK, "exotel_ccm.add_callnote")
        self.user.is_staff = False
        self.user.save()
        self.client = Client()
        self.client.force_login(self.user)
        self.ticket = host.ticket("Broken fan", phone=BY_HAND)
        self.adapter = urlencode({"exotel_adapter": HostPagesAdapter.of(self.user, self.ticket).name})

    def get(self, name: str, *args: Any) -> Page:
        self.where = f"{reverse(name, args=args)}?{self.adapter}"
        response = self.client.get(self.where, follow=True)
        if response.redirect_chain:
            self.where = response.redirect_chain[-1][0]
        return Page(response.content.decode())

    def post(self, url: str, data: Any) -> Page:
        return Page(self.client.post(url, data, follow=True).content.decode())

    def ended_call(self) -> CallRecord:
        now = timezone.now()
        fields = {"ticket": self.ticket, "placed_by": self.user, "state": "ended", "talk_time": 42}
        return CallRecord.objects.create(account="default", created_at=now, ended_at=now, **fields)

    def save_a_note(self, next_url: str) -> Page:
        form = self.get("exotel_ccm:note", self.ended_call().reference).of_class("exotel-note-box")[0]
        return self.post(form.attributes["action"], form.data | {"exotel_text": "hello", "exotel_next": next_url})


@pytest.fixture
def asha(host: Any) -> Agent:
    return Agent(host)


def said(page: Page) -> list[tuple[str, str]]:
    """Return level and text of what is said."""
    found = page.html.split('class="exotel-said exotel-level-')[1:]
    return [(part.partition('"')[0], Page(part.partition(">")[2].partition("</p>")[0]).text) for part in found]


def test_call_back_that_is_done(asha: Agent) -> None:
    later = timezone.now() + datetime.timedelta(hours=1)
    schedule_follow_up(ticket=asha.ticket, due_at=later, assigned_to=asha.user)
    form = next(one for one in asha.get(MY_CALLS).forms if "exotel_follow_up" in one.data)

    page = asha.post(asha.where, form.data | {"exotel_do": "done"})

    assert said(page) == [("success", "The call-back is done.")]
    assert said(asha.get(MY_CALLS)) == []  # once


@pytest.mark.parametrize(
    ("do", "name", "message"),
    [
        ("rename", " ", ("error", "A call list needs a name.")),
        ("rename", "Soon", ("success", "The call list has its new name.")),
        ("delete", "", ("success", "The call list is deleted.")),
    ],
)
def test_call_list(asha: Agent, do: str, name: str, message: tuple[str, str]) -> None:
    made = create_call_list(owner=asha.user, name="Renewals", model=Ticket, keys=[asha.ticket.pk])
    page = asha.get("exotel_ccm:call-list", made.pk)
    form = page.of_class("exotel-move")[0]

    page = asha.post(asha.where, form.data | {"exotel_do": do, "exotel_name": name})

    assert said(page) == [message]


def test_note_that_is_saved(asha: Agent) -> None:
    assert said(asha.save_a_note(reverse(MY_CALLS))) == [("success", "Saved.")]


@pytest.mark.parametrize("tag", [BUTTON, PANEL])
def test_page_of_the_host_says_it_too(asha: Agent, tag: str) -> None:
    asha.save_a_note("/nowhere/")
    request = request_of(asha.user)
    request.session = asha.client.session

    assert said(render(tag, request, ticket=asha.ticket)) == [("success", "Saved.")]
    assert said(render(tag, request, ticket=asha.ticket)) == []


def test_old_message_is_not_shown(asha: Agent) -> None:
    asha.save_a_note("/nowhere/")

    with time_machine.travel(timezone.now() + datetime.timedelta(minutes=2), tick=False):
        assert said(asha.get(MY_CALLS)) == []


def test_press_without_script_that_calls_nobody(asha: Agent, exotel: Any) -> None:
    [button] = render(BUTTON, request_of(asha.user), ticket=asha.ticket).call_buttons

    page = asha.post(button.attributes["action"], {"exotel_number": "of a customer who was changed meanwhile"})

    [(level, text)] = said(page)
    assert (level, "have changed since this page was loaded" in text) == ("warning", True)
    assert page.of_class("exotel-choose-form")
    assert not CallRecord.objects.exists()


def test_host_without_sessions_keeps_nothing(host: Any) -> None:
    user = host.user("asha", *AGENT_WORK)
    request, adapter = request_of(user), HostPagesAdapter.of(user, host.ticket())

    adapter.add_message(request, "success", "Saved.")

    response: Any = adapter.render(request, "note.html", {})
    assert said(Page(response.rendered_content)) == []
