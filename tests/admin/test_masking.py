"""Without ``view_customer_number`` no page of ours holds the number, and calling still works."""

from __future__ import annotations

import datetime
import re
from typing import Any
from urllib.parse import unquote_plus, urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.masking import mask
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord, FollowUp
from django_exotel_ccm.services import add_note, place_call, schedule_follow_up
from django_exotel_ccm.services.call_lists import create_call_list
from django_exotel_ccm.signals import call_ended, recording_ready
from tests.admin.pages import AGENT_WORK, LEDGER, SEES_CALLS, SEES_NUMBERS, Session
from tests.helpdesk.models import Ticket
from tests.templatetags.pages import BUTTON, render, request_of

HOUR = datetime.timedelta(hours=1)
COMPLETED = "+919000001001"
DIGITS = re.compile(r"9[\s()-]*0[\s()-]*0[\s()-]*0[\s()-]*0[\s()-]*0[\s()-]*1[\s()-]*0[\s()-]*0[\s()-]*1")


def fail_with_the_number(**kwargs: Any) -> None:
    raise RuntimeError(f"The gateway does not know {kwargs['call'].customer_number}")


@pytest.fixture
def story(host: Any, exotel: Any, receivers: Any) -> CallRecord:
    """A whole call, with a receiver that quotes the number when it fails, on a ticket that is called by it."""
    receivers(call_ended, fail_with_the_number)
    exotel.speed = 500.0
    ticket = host.ticket(subject=f"Call back {COMPLETED}", phone=COMPLETED)
    Session(host.user("vik", *AGENT_WORK)).press_button(ticket)
    exotel.wait_until_quiet(timeout=20)
    return CallRecord.objects.get()


def pages(session: Session, call: CallRecord) -> dict[str, str]:
    """Return the source of every page of ours that shows calls."""
    events, announcements = CallEvent.objects.all(), Announcement.objects.all()
    urls = [
        reverse("admin:exotel_ccm_callrecord_changelist"),
        reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]),
        reverse("admin:exotel_ccm_callevent_changelist"),
        *(reverse("admin:exotel_ccm_callevent_change", args=[event.pk]) for event in events),
        reverse("admin:exotel_ccm_announcement_changelist"),
        *(reverse("admin:exotel_ccm_announcement_change", args=[one.pk]) for one in announcements),
    ]
    found = {url: session.get(url).html for url in urls}
    assert len(found) >= 9
    return found


def test_pages_mask_number(host: Any, story: CallRecord) -> None:
    session = Session(host.user("meera", SEES_CALLS, *LEDGER, agent=None))

    leaks = [url for url, html in pages(session, story).items() if DIGITS.search(html)]

    assert leaks == []


def test_pages_show_number_with_permission(host: Any, story: CallRecord) -> None:
    session = Session(host.user("meera", "helpdesk.view_ticket", SEES_CALLS, SEES_NUMBERS, *LEDGER, agent=None))

    shown = [url for url, html in pages(session, story).items() if DIGITS.search(html)]

    assert reverse("admin:exotel_ccm_callrecord_change", args=[story.pk]) in shown
    assert sum("callevent" in url for url in shown) >= 3
    assert sum("announcement" in url for url in shown) >= 2


def test_masked_number_can_be_called(host: Any, exotel: Any) -> None:
    exotel.speed = 500.0
    session = Session(host.user("asha", *AGENT_WORK, SEES_CALLS))
    ticket = host.ticket(phone=COMPLETED, other="+919000001002")

    question = session.press_button(ticket)
    answer = session.press_choice(question)
    exotel.wait_until_quiet(timeout=20)
    seen = [question.html, answer.html, session.change_form(ticket).html, session.changelist().html]
    several = session.run_action([ticket, host.ticket(phone="")]).html

    assert CallRecord.objects.get().customer_number == COMPLETED
    assert "+••••••••••01 (customer phone)" in question.text
    assert "to ring Asha first, then +••••••••••01, placed at" in answer.messages
    assert not any(DIGITS.search(html) for html in [*seen, several])


def test_log_entries_mask_number(host: Any, story: CallRecord) -> None:
    assert [DIGITS.search(entry.change_message) for entry in LogEntry.objects.all()] == [None]


def test_list_filters(host: Any, story: CallRecord) -> None:
    session = Session(host.user("meera", SEES_CALLS, *LEDGER, agent=None))

    year = story.created_at.year
    ended = session.get(
        reverse("admin:exotel_ccm_callrecord_changelist") + f"?state__exact=ended&created_at__year={year}"
    )
    refused = session.get(reverse("admin:exotel_ccm_callrecord_changelist") + "?state__exact=refused")
    failed = session.get(reverse("admin:exotel_ccm_announcement_changelist") + "?state__exact=failed")

    assert "1 call" in ended.text
    assert "0 calls" in refused.text
    assert "1 announcement" in failed.text


@pytest.mark.parametrize("shape", ["v2", "v3", "v1_json", "v1_form", "v1_multipart"])
def test_pages_hide_recording_addresses(shape: str, host: Any, exotel: Any, receivers: Any) -> None:
    def fail_with_the_recording(**kwargs: Any) -> None:
        raise RuntimeError(f"403 Forbidden: {kwargs['call'].recording_url}")

    receivers(recording_ready, fail_with_the_recording)
    exotel.speed = 500.0
    exotel.options.callback_shape = shape
    place_call(agent=host.agent(), to=COMPLETED, recording=True)
    exotel.wait_until_quiet(timeout=20)
    call = CallRecord.objects.get()
    origin, path = re.fullmatch(r"(https?://[^/]+)(/.+)", call.recording_url).groups()  # type: ignore[union-attr]
    session = Session(host.user("meera", SEES_CALLS, SEES_NUMBERS, *LEDGER, agent=None))

    shown = {url: unquote_plus(html).replace("\\/", "/") for url, html in pages(session, call).items()}

    assert [url for url, html in shown.items() if path in html or path.rpartition("/")[2] in html] == []
    assert sum(origin.rpartition(":")[0] in html for html in shown.values()) >= 3


NOTED = "+91 98765 43210"
NAMED = "+91 98765 43211"
CUT = "9876543212"


@pytest.fixture
def written(host: Any) -> dict[str, str]:
    """A ticket, a list, notes and a call-back with numbers in their words; return their pages by name."""
    ticket, asha = host.ticket(f"Ravi {NAMED}"), host.user("asha", agent=None)
    now = timezone.now()
    call = CallRecord.objects.create(
        account="default", ticket=ticket, ticket_label=str(ticket), placed_by=asha, state="ended", created_at=now
    )
    note = add_note(call, author=asha, text=f"Ring {NOTED}")
    for length in (110, 994):  # where a list and where the history cut a note
        add_note(call, author=asha, text=f"{'x' * length} {CUT}")
    back = schedule_follow_up(ticket=ticket, due_at=now + HOUR, assigned_to=asha, text=f"Ring {NOTED}")
    made = create_call_list(owner=asha, name=f"For {NAMED}", model=Ticket, keys=[ticket.pk])
    query = urlencode({"exotel_adapter": "admin", "exotel_type": "helpdesk.ticket", "exotel_ticket": ticket.pk})
    pages = {
        f"{model} {page}": reverse(f"admin:exotel_ccm_{model}_{page}", args=keys)
        for model, row in (("callrecord", call), ("callnote", note), ("followup", back), ("calllist", made))
        for page, keys in (("changelist", []), ("change", [row.pk]))
    }
    return pages | {
        "calls of the ticket": f"{pages['callrecord changelist']}?ticket=ticket_{ticket.pk}",
        "call list": reverse("exotel_ccm:call-list", args=[made.pk]),
        "my calls": reverse("exotel_ccm:my-calls"),
        "choose": f"{reverse('exotel_ccm:choose')}?{query}",
        "history": f"{reverse('exotel_ccm:timeline')}?{query}",
    }


READS = ("exotel_ccm.view_callnote", "exotel_ccm.view_followup", "exotel_ccm.view_calllist", SEES_CALLS)


@pytest.mark.parametrize("sees", [False, True])
def test_numbers_in_words_are_masked_alike_on_every_page(host: Any, written: dict[str, str], sees: bool) -> None:
    reader = host.user("meera", *AGENT_WORK, *READS, *([SEES_NUMBERS] if sees else []))
    FollowUp.objects.update(assigned_to=reader)
    create_call_list(owner=reader, name=f"Of {NAMED}", model=Ticket, keys=[Ticket.objects.get().pk])
    session = Session(reader)

    found = {name: session.get(url).html for name, url in written.items()}
    assert [name for name, html in found.items() if not re.search(r"•{5}|98765", html)] == []
    shown = {name for name, html in found.items() if re.search(r"98765|987654", html)}

    assert shown == (set(found) if sees else set())


def test_labels_of_buttons_are_masked(host: Any) -> None:
    """They are ours, also where the host's page shows the ticket's name whole."""
    asha, ticket = host.user("asha", *AGENT_WORK), host.ticket(f"Ravi {NAMED}")
    rows = Session(asha).changelist().row_buttons
    of_tag = render(BUTTON, request_of(asha), ticket=ticket).call_buttons

    labels = [one["aria-label"] for one in [*rows, *(button.attributes for button in of_tag)]]

    assert labels == [f"Call customer: Ravi {mask(NAMED)}"] * 2
