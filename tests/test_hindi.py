"""Our pages in Hindi, as a browser that prefers it gets them: no word of English is ours."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.models import CallRecord, FollowUp
from django_exotel_ccm.services.call_lists import create_call_list
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS

SHOWN = {"alt", "aria-label", "placeholder", "title"}
ADDRESSES = {"data-exotel-panel", "data-exotel-place", "data-exotel-timeline", "data-exotel-csrf", "data-exotel-url"}
VALUES = {"data-exotel-step", "data-exotel-outcome", "data-exotel-call"}
NAMES = {"exotel", "exophone", "call", "details", "sid", "url", "csv", "custom", "field", "alias"}
"""What has the same name in Hindi: see "Translations" in CONTRIBUTING.md."""
OF_HOST = {
    "broken",
    "fan",
    "ravi",
    "asha",
    "helpdesk",
    "customer",
    "other",
    "phone",
    "status",
    "team",
    "notes",
    "owner",
}
OF_HOST |= {"asia", "kolkata", "lead", "subject", "open", "ticket", "tickets", "default", "vik", "renewals"}
"""What the host calls its own things, which are shown as they are."""


class Texts(HTMLParser):
    """What people read on a page, and what our scripts show them, piece by piece."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: set[str] = set()
        self._is_code = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_code = tag in ("script", "style")
        for name, value in attrs:
            if name in SHOWN or (name.startswith("data-exotel-") and name not in ADDRESSES | VALUES):
                self._add(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._is_code = False

    def handle_data(self, data: str) -> None:
        if not self._is_code:
            self._add(data)

    def _add(self, text: str) -> None:
        self.pieces.update(" ".join(piece.split()) for piece in text.split("|"))


def messages_of_django() -> list[re.Pattern[str]]:
    """Return Django's own text in English: not all of it is translated."""
    folder = Path(django.__file__).parent
    files = [folder / name / "locale/en/LC_MESSAGES/django.po" for name in ("conf", "contrib/admin", "contrib/auth")]
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    quoted = re.findall(r'^msgid(?:_plural)? ((?:"[^\n]*"\n)+)', source, re.MULTILINE)
    texts = ("".join(re.findall(r'"(.*)"\n', lines)) for lines in quoted)
    parts = (re.split(r"%(?:\(\w+\))?[a-z]", text) for text in texts)
    # What consists of placeholders alone would match every text.
    return [re.compile(".+".join(map(re.escape, part))) for part in parts if re.search("[A-Za-z]{2}", "".join(part))]


def english(html: str) -> set[str]:
    """Return the pieces of a page that hold words in English, without Django's own and those of the host."""
    known = messages_of_django()
    found = set()
    for piece in Texts(html).pieces:
        words = {word.rstrip(".?!…").casefold() for word in re.split(r"[\s,:;()“”\"]+", piece)}
        words = {word for word in words if re.fullmatch("[a-z][a-z'-]+", word)}
        if words - NAMES - OF_HOST and not any(one.fullmatch(piece) for one in known):
            found.add(piece)
    return found


@pytest.fixture
def browser(host: Any) -> Client:
    """The browser of an agent who prefers Hindi."""
    user = host.user(
        "asha",
        *AGENT_WORK,
        SEES_CALLS,
        SEES_NUMBERS,
        *("exotel_ccm.listen_recording", "exotel_ccm.add_callnote", "exotel_ccm.view_reports"),
    )
    client = Client(headers={"Accept-Language": "hi,en;q=0.5"})
    client.force_login(user)
    return client


@pytest.fixture
def ticket(host: Any, browser: Client) -> Any:
    """A ticket with calls of each kind, the newest in progress."""
    made = host.ticket("Broken fan", phone=BY_HAND, other=OTHER)
    for fields in (
        *({"state": State.ENDED, "outcome": outcome, "total_duration": 31} for outcome in Outcome),
        {
            "state": State.ENDED,
            "outcome": Outcome.COMPLETED,
            "talk_time": 102,
            "recording_url": "https://x.example/1.mp3",
        },
        {"state": State.ENDED, "outcome": Outcome.COMPLETED, "talk_time": 0},
        {"state": State.REFUSED, "refusal_code": "1012"},
        {"state": State.UNCONFIRMED},
        {"state": State.UNCONFIRMED, "gave_up_at": timezone.now()},
        {"state": State.ACTIVE, "answered_at": timezone.now()},
    ):
        call_about(made, **fields)
    for due_in in (-datetime.timedelta(hours=2), datetime.timedelta(days=1)):
        FollowUp.objects.create(
            ticket=made,
            ticket_label=str(made),
            assigned_to=User.objects.get(username="asha"),
            due_at=timezone.now() + due_in,
            created_at=timezone.now(),
        )
    return made


def call_about(ticket: Any, **fields: Any) -> CallRecord:
    user = User.objects.get(username="asha")
    return CallRecord.objects.create(
        **{
            "account": "default",
            "agent": user.exotel_agents.get(),
            "agent_label": "Asha",
            "placed_by": user,
            "customer_number": BY_HAND,
            "customer_label": "Ravi",
            "ticket": ticket,
            "ticket_label": str(ticket),
            "custom_field": f"ticket_{ticket.pk}",
            "created_at": timezone.now(),
            **fields,
        }
    )


def choose_url(ticket: Any) -> str:
    query = f"exotel_adapter=admin&exotel_type=helpdesk.ticket&exotel_ticket={ticket.pk}&exotel_ticket=999"
    return f"{reverse('exotel_ccm:choose')}?{query}"


def list_url(ticket: Any) -> str:
    """Return the address of a call list with the ticket, whose customer a colleague has called meanwhile."""
    now = timezone.now()
    CallRecord.objects.all().delete()
    made = create_call_list(owner=User.objects.get(), name="Renewals", model=type(ticket), keys=[ticket.pk])
    type(made).objects.update(created_at=now - datetime.timedelta(hours=1))
    colleague = User.objects.create_user("vik")
    called = now - datetime.timedelta(minutes=10)
    unanswered = {"outcome": Outcome.CUSTOMER_UNANSWERED, "talk_time": 0, "created_at": called, "ended_at": called}
    call_about(ticket, state=State.ENDED, placed_by=colleague, placed_by_label="Vik", **unanswered)
    return reverse("exotel_ccm:call-list", args=[made.pk])


PAGES: dict[str, tuple[Callable[[Any], str], str]] = {
    "list": (lambda ticket: reverse("admin:helpdesk_ticket_changelist"), "Ravi के साथ कॉल चल रही है: एक फ़ोन उठाया गया"),
    "form": (lambda ticket: reverse("admin:helpdesk_ticket_change", args=[ticket.pk]), "1 मिनट 42 सेकंड बात हुई"),
    "choose": (choose_url, "चुना गया 1 टिकट नहीं दिखाया गया"),
    "my calls": (lambda ticket: reverse("exotel_ccm:my-calls"), "2 घंटे की देर"),
    "call list": (list_url, "Vik ने 10 मिनट पहले कॉल की: जवाब नहीं मिला"),
    "reports": (lambda ticket: reverse("exotel_ccm:reports"), "Exotel में एजेंट का फ़ोन बंद था"),
    "live board": (lambda ticket: reverse("exotel_ccm:live"), "वापस कॉल के इंतज़ार में"),
    "calls": (lambda ticket: reverse("admin:exotel_ccm_callrecord_changelist"), "हमें नहीं पता"),
}


@pytest.mark.parametrize("page", PAGES)
def test_page_is_in_hindi(page: str, ticket: Any, browser: Client) -> None:
    address, sentence = PAGES[page]

    response = browser.get(address(ticket), follow=True)

    html = " ".join(response.content.decode().split())
    assert response.headers["Content-Language"] == "hi"
    assert sentence in html
    assert english(html) == set()


def test_page_of_each_call_is_in_hindi(ticket: Any, browser: Client) -> None:
    for call in CallRecord.objects.all():
        response = browser.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))

        assert english(response.content.decode()) == set(), call.state


def test_english_would_be_found(ticket: Any, browser: Client) -> None:
    page = browser.get(PAGES["form"][0](ticket), headers={"Accept-Language": "en"}).content.decode()

    assert english(page) >= {
        "In progress with Ravi: a phone was picked up",
        "Call again",
        "Talked for 1 min 42 s",
        "You are logged out. The call goes on. Log in again to see it.",
    }


def test_refused_press_says_why_in_hindi(host: Any, browser: Client) -> None:
    ticket = host.ticket("Broken fan", phone="not to be called")
    query = f"exotel_adapter=admin&exotel_type=helpdesk.ticket&exotel_ticket={ticket.pk}&exotel_after=0"

    answer = browser.post(f"{reverse('exotel_ccm:place')}?{query}", headers={"Accept": "application/json"}).json()

    assert answer["text"] == "चुनें कि किसे कॉल करनी है।"
