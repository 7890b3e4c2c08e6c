"""Announcements in the admin: the list of failed ones, and "Try now", whose confirmation test_apply_again.py tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.admin import announcements
from django_exotel_ccm.models import Announcement, CallRecord
from tests.admin.conftest import urls_of
from tests.admin.pages import Page, Session
from tests.factories import record_callback

SEES = "exotel_ccm.view_announcement"
TRIES = (SEES, "exotel_ccm.change_announcement")
LIST = "/admin/exotel_ccm/announcement/"
TRY_NOW = f"{LIST}try-now/"


class Mailer:
    """A receiver that fails while it is ``broken``."""

    def __init__(self) -> None:
        self.broken = True
        self.mailed: list[Any] = []

    def __call__(self, call: CallRecord, **kwargs: Any) -> None:
        if self.broken:
            raise ConnectionError("no mail server for +919000001001")
        self.mailed.append(call.pk)


@pytest.fixture
def mailer(receivers: Any) -> Mailer:
    made = Mailer()
    receivers(signals.call_ended, made, dispatch_uid="mailer")
    return made


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("meera", *TRIES, agent=None))


@pytest.fixture
def fail(transactional_db: None, mailer: Mailer) -> Callable[[], Announcement]:
    """Make a call whose end the mailer could not mail, and return the announcement."""

    def make() -> Announcement:
        call = CallRecord.objects.create(account="default", created_at=timezone.now())
        record_callback(call, "terminal", status="completed")
        return Announcement.objects.get(call=call, signal="call_ended")

    return make


def page_of(announcement: Announcement) -> str:
    return reverse("admin:exotel_ccm_announcement_change", args=[announcement.pk])


def press(session: Session, page: Page) -> Page:
    """Press "Try now"."""
    [form] = page.of_class("exotel-confirm")
    return session.post(form.attributes["action"], form.data)


def choose(session: Session, chosen: list[Announcement], query: str = "", **extra: Any) -> Page:
    """Choose rows of the list and the action."""
    form = session.get(LIST + query).of_id("changelist-form")
    action = {"action": ["try_now"], "index": ["0"], "_selected_action": [str(one.pk) for one in chosen]}
    return session.post(LIST + query, form.data | action | extra)


def again(announcement: Announcement) -> Announcement:
    announcement.refresh_from_db()
    return announcement


# On the page of one.


def test_repaired_receiver_is_called(session: Session, mailer: Mailer, fail: Any) -> None:
    failed = fail()
    mailer.broken = False

    page = press(session, session.get(page_of(failed)))

    assert "1 announcement is done." in page.messages
    assert (again(failed).state, mailer.mailed) == ("done", [failed.call_id])
    assert session.where == page_of(failed)
    assert page.of_class("exotel-confirm") == []
    assert [entry.get_change_message() for entry in LogEntry.objects.all()] == ["Tried now."]


def test_second_failure_is_shown(session: Session, fail: Any) -> None:
    failed = fail()

    page = press(session, session.get(page_of(failed)))

    assert "mailer: ConnectionError" in page.messages
    assert "+919000001001" not in page.html  # numbers are masked
    assert again(failed).receivers[0]["attempts"] == 2
    assert "Traceback (most recent call last)" in page.text


def test_abandoned_delivery_is_retried(session: Session, mailer: Mailer, fail: Any) -> None:
    failed = fail()
    failed.receivers[0] |= {"abandoned": True, "attempts": 17}
    failed.next_try_at = None
    failed.save()
    mailer.broken = False

    press(session, session.get(page_of(failed)))

    assert (again(failed).state, mailer.mailed) == ("done", [failed.call_id])


def test_page_shows_each_delivery(session: Session, fail: Any, receivers: Any) -> None:
    receivers(signals.call_ended, lambda **_: None, dispatch_uid="fine")
    failed = fail()
    failed.receivers.append(failed.receivers[0] | {"receiver": "waits", "error": "", "traceback": "", "attempts": 0})
    failed.save()

    text = session.get(page_of(failed)).text

    assert "mailer : ConnectionError" in text
    assert "fine : delivered" in text
    assert "waits : pending" in text


# Who may.


@pytest.mark.parametrize("permissions", [(SEES,), ("exotel_ccm.change_callrecord",)])
def test_permissions_are_required(host: Any, mailer: Mailer, fail: Any, permissions: tuple[str, ...]) -> None:
    failed = fail()
    session = Session(host.user("vik", *permissions, agent=None))
    session.client = Client()
    session.client.force_login(session.user)
    mailer.broken = False

    page, listed = session.get(page_of(failed)), session.get(LIST)
    session.post(TRY_NOW, {"exotel_row": failed.pk})

    assert session.response.status_code == 403
    assert "try-now" not in page.html + listed.html
    assert "try_now" not in listed.html
    assert (again(failed).state, mailer.mailed) == ("failed", [])


# From the list.


def test_action_needs_confirmation(session: Session, mailer: Mailer, fail: Any) -> None:
    failed, other = fail(), fail()
    mailer.broken = False
    done = fail()

    question = choose(session, [failed, other, done], "?signal__exact=call_ended")
    before = list(mailer.mailed)
    page = press(session, question)

    assert "ConnectionError" in question.text
    assert f"Left out call ended · {done.call}: delivered" in question.text
    assert before == [done.call_id]
    assert mailer.mailed[1:] == [failed.call_id, other.call_id]
    assert "2 announcements are done." in page.messages
    assert session.where == f"{LIST}?signal__exact=call_ended"
    assert LogEntry.objects.count() == 2


def test_second_press_delivers_nothing(session: Session, mailer: Mailer, fail: Any) -> None:
    failed = fail()
    mailer.broken = False
    page = session.get(page_of(failed))
    press(session, page)

    second = press(session, page)

    assert mailer.mailed == [failed.call_id]
    assert "They had been delivered already." in second.messages


def test_many_failures_are_summarised(session: Session, fail: Any) -> None:
    made = [fail() for _announcement in range(7)]

    page = press(session, choose(session, made))

    assert page.messages.count("ConnectionError") == 5
    assert "And 2 more." in page.messages


def test_time_limit_leaves_the_rest_to_the_reconciler(
    session: Session, mailer: Mailer, fail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "TIME_LIMIT", -1.0)
    failed = fail()
    mailer.broken = False

    press(session, session.get(page_of(failed)))

    failed.call.refresh_from_db()
    assert mailer.mailed == []
    assert again(failed).next_try_at <= timezone.now()
    assert failed.call.next_check_at <= timezone.now()


def test_filter_by_next_try(session: Session, fail: Any) -> None:
    tried_again, given_up = fail(), fail()
    Announcement.objects.filter(pk=given_up.pk).update(next_try_at=None)

    waiting, over = session.get(f"{LIST}?tried_again=yes"), session.get(f"{LIST}?tried_again=no")

    assert (page_of(tried_again) in waiting.html, page_of(given_up) in waiting.html) == (True, False)
    assert (page_of(tried_again) in over.html, page_of(given_up) in over.html) == (False, True)
    assert page_of(given_up) in session.get(f"{LIST}?tried_again=nonsense").html


def test_button_stays_on_its_site(host: Any, mailer: Mailer, fail: Any, settings: Any) -> None:
    site = admin.AdminSite(name="crm")
    site.register(Announcement, announcements.AnnouncementAdmin)
    settings.ROOT_URLCONF = urls_of(site)
    session = Session(host.user("meera", *TRIES, agent=None), "crm")
    session.site_admin = site
    failed = fail()
    mailer.broken = False

    form = session.get(session.url("exotel_ccm_announcement_change", failed.pk)).of_class("exotel-confirm")[0]
    session.post(form.attributes["action"], form.data)

    assert form.attributes["action"].startswith("/crm/")
    assert (session.where, again(failed).state) == (f"/crm/exotel_ccm/announcement/{failed.pk}/change/", "done")
