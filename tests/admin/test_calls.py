"""The pages of calls and events: what they show, how many queries they need, and that they escape their content."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.admin import call_filters, lists
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.signals import call_ended
from tests.admin.pages import BY_HAND, LEDGER, SEES_CALLS, SEES_NUMBERS, Session

LISTS = ["callrecord", "callevent", "announcement"]
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def reader(host: Any) -> Session:
    return Session(host.user("meera", "helpdesk.view_ticket", SEES_CALLS, SEES_NUMBERS, *LEDGER, agent=None))


def make_calls(count: int, **fields: Any) -> list[CallRecord]:
    now = timezone.now()
    calls = CallRecord.objects.bulk_create(
        CallRecord(
            **{"account": "default", "agent_label": "Asha", "created_at": now, "custom_field": f"ticket_{n}", **fields}
        )
        for n in range(count)
    )
    events = CallEvent.objects.bulk_create(
        CallEvent(call=call, kind="callback", event="terminal", received_at=now, fingerprint=f"{call.pk}")
        for call in calls
    )
    Announcement.objects.bulk_create(
        Announcement(call=event.call, event=event, signal="call_ended", created_at=now) for event in events
    )
    return calls


def listed(session: Session, model: str, query: str = "") -> Any:
    return session.get(reverse(f"admin:exotel_ccm_{model}_changelist") + query)


def test_call_page(host: Any, exotel: Any, reader: Session) -> None:
    exotel.speed = 500.0
    call = place_call(agent=host.agent(), ticket=host.ticket(phone="+919000001011"), placed_by=reader.user)
    exotel.wait_until_quiet(timeout=20)

    page = reader.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))

    assert "Talked for 42 s" in page.text
    assert "agent_canceled" in page.text  # Exotel's own word is shown beside ours
    assert "answer to the request" in page.text
    assert "callback from Exotel" in page.text
    assert "call ended" in page.text
    assert "+919000001011" in page.text
    assert "Delete" not in page.text
    assert "Save" not in page.text


def test_list_shows_outcomes(reader: Session) -> None:
    make_calls(1, state="unconfirmed")
    make_calls(1, state="ended", outcome="busy")
    make_calls(1, state="ended", outcome="completed", talk_time=102)

    rows = listed(reader, "callrecord").html.partition("<tbody>")[2].partition("</tbody>")[0]

    words = ("We don&#x27;t know whether", "Busy</span>", "Talked for 1 min 42 s")
    assert [text in rows for text in words] == [True] * 3


def test_list_is_sorted_by_time(reader: Session) -> None:
    make_calls(1, state="ended", outcome="completed", talk_time=11)
    week = datetime.timedelta(days=7)
    make_calls(1, state="ended", outcome="completed", talk_time=22, created_at=timezone.now() - week, origin="external")

    page = listed(reader, "callrecord")
    oldest = listed(reader, "callrecord", "?o=5")

    assert page.text.index("Talked for 11 s") < page.text.index("Talked for 22 s")
    assert oldest.text.index("Talked for 22 s") < oldest.text.index("Talked for 11 s")
    assert page.html.count("sorthandler") + page.html.count('class="sortoptions"') == 1  # no column without an index


def test_agents_read_no_technical_words(host: Any) -> None:
    agent = Session(host.user("vik", "helpdesk.view_ticket", SEES_CALLS, agent=None))
    ticket = host.ticket(phone="+919000001001")
    [call] = make_calls(
        1, customer_number="+919000001001", customer_label="Meera Nair", ticket=ticket, state="ended", outcome="busy"
    )

    in_list = listed(agent, "callrecord")
    page = agent.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))

    assert "Call by Asha to Meera Nair, today" in page.html.partition("<h1>")[2].partition("</h1>")[0]
    for shown in (in_list.text, page.text):
        assert "Busy" in shown
        assert not [word for word in (str(call.reference), "ticket_0", "Outcome", "Facts", "Events") if word in shown]


def test_a_calls_name_says_nothing_of_the_customer(host: Any) -> None:
    [call] = make_calls(1, customer_number="+919000001001", customer_label="Meera Nair", ticket=host.ticket())

    assert str(call).startswith("Call by Asha, ")
    assert "Meera" not in str(call) + repr(call)
    assert "9000001001" not in str(call) + repr(call)
    assert str(call.reference) in repr(call)


@pytest.mark.parametrize(
    ("choice", "results"),
    [
        ("talked", ["Talked for 5 s"]),
        ("missed", ["No answer"]),
        ("refused", ["Not called"]),
        ("going_on", ["Calling"]),
        ("unknown", ["Ended; Exotel did not say how"]),
    ],
)
def test_result_filter(reader: Session, choice: str, results: list[str]) -> None:
    make_calls(1, state="ended", outcome="completed", talk_time=5)
    make_calls(1, state="ended", outcome="customer_unanswered")
    make_calls(1, state="ended", outcome="unknown")
    make_calls(1, state="refused")
    make_calls(1, state="active")

    html = listed(reader, "callrecord", f"?result={choice}").html

    assert re.findall(r"</svg>\s*([^<]+)</span>", html) == results


def test_list_without_calls_says_what_it_is_for(host: Any, reader: Session) -> None:
    agent = Session(host.user("vik", SEES_CALLS, "exotel_ccm.place_call", agent=None))

    assert "Nobody has called yet" in listed(reader, "callrecord").text
    assert "open a ticket and press" in listed(agent, "callrecord").text
    assert "Nobody has called yet" not in listed(agent, "callrecord", "?result=talked").text


def test_list_shows_the_length(reader: Session) -> None:
    make_calls(1, state="ended", outcome="busy", total_duration=32)
    make_calls(1, state="ended", outcome="completed", talk_time=102, total_duration=121)
    make_calls(1, state="refused")

    html = listed(reader, "callrecord").html

    assert re.findall(r'<td class="field-length">([^<]*)<', html) == ["-", "1 min 42 s", "32 s"]


def test_agent_filter(host: Any, reader: Session) -> None:
    agents = [host.agent("Asha"), host.agent("Vik", "sip:vik4c1d77e2")]
    make_calls(2, agent=agents[0])
    make_calls(1, agent=agents[1])

    counts = {key: listed(reader, "callrecord", f"?agent={key}").text for key in (agents[1].pk, 0, "x", "%00")}

    assert "By agent" in counts[0]
    assert [("1 call" in counts[agents[1].pk])] + ["0 calls" in counts[key] for key in (0, "x", "%00")] == [True] * 4


def test_agent_filter_takes_one_that_it_does_not_offer(
    host: Any, reader: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_filters, "MOST_AGENTS", 1)
    host.agent("Asha")
    left = host.agent("Zed", "sip:zed4c1d77e2", is_active=False)
    make_calls(1, agent=left)

    text = listed(reader, "callrecord", f"?agent={left.pk}").text

    assert "1 call" in text
    assert "Zed" in text  # the filter says who is chosen


def test_list_shows_the_customers_name(host: Any, reader: Session) -> None:
    make_calls(1, customer_number="+919000001001", customer_label="Meera Nair")
    make_calls(1, customer_label="Erased", erased_at="2026-01-02T00:00Z")

    page = listed(reader, "callrecord")

    assert "Meera Nair, +919000001001" in page.text
    assert "Erased" not in page.text
    assert "erased on request" in page.text


def test_name_of_a_hidden_tickets_customer_is_not_shown(host: Any) -> None:
    session = Session(host.user("vik", SEES_CALLS, SEES_NUMBERS, agent=None))
    [call] = make_calls(1, customer_number="+919000001001", customer_label="Meera Nair", ticket=host.ticket())

    pages = [listed(session, "callrecord"), session.get(session.url("exotel_ccm_callrecord_change", call.pk))]

    assert ["not yours to see" in page.text for page in pages] == [True, True]
    assert not any("Meera" in page.html for page in pages)


def test_refused_call_shows_advice(host: Any, exotel: Any, reader: Session) -> None:
    exotel.agent("+919000000101").device = "off"
    Session(host.user("asha", "helpdesk.view_ticket", "exotel_ccm.place_call")).press_row(host.ticket(phone=BY_HAND))

    page = reader.get(reverse("admin:exotel_ccm_callrecord_change", args=[CallRecord.objects.get().pk]))

    assert "1012: Your phone is switched off in Exotel. Turn the device on, then call again." in page.text


def test_refused_then_reported_call(reader: Session) -> None:
    [call] = make_calls(1, refusal_code="10706", state="ended", outcome="completed", talk_time=5)

    page = reader.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))

    assert "10706, but Exotel reported the call later" in page.text
    assert "Talked for 5 s" in page.text


@pytest.mark.parametrize("model", LISTS)
def test_empty_list(reader: Session, model: str) -> None:
    page = listed(reader, model)

    assert reader.response.status_code == 200
    assert f"0 {CallRecord._meta.apps.get_model('exotel_ccm', model)._meta.verbose_name_plural}" in page.text


def test_receiver_failure_shows_traceback(host: Any, exotel: Any, receivers: Any, reader: Session) -> None:
    def mail_the_customer(**kwargs: Any) -> None:
        raise ConnectionError(f"no mail server {EVIL}")

    receivers(call_ended, mail_the_customer)
    exotel.speed = 500.0
    place_call(agent=host.agent(), ticket=host.ticket())
    exotel.wait_until_quiet(timeout=20)

    in_list = listed(reader, "announcement", "?state__exact=failed")
    announcement = Announcement.objects.get(state="failed")
    page = reader.get(reverse("admin:exotel_ccm_announcement_change", args=[announcement.pk]))

    assert "mail_the_customer: ConnectionError" in in_list.text
    assert "Traceback (most recent call last)" in page.text
    assert "in mail_the_customer" in page.text.replace("&lt;locals&gt;.", "")
    assert EVIL not in in_list.html + page.html


def test_html_in_events_is_escaped(reader: Session) -> None:
    [call] = make_calls(
        1, custom_field=EVIL, ticket_label=EVIL, agent_label=EVIL, refusal_code=EVIL[:40], placed_by_label=EVIL
    )
    CallEvent.objects.update(
        event=EVIL,
        code=EVIL,
        advice=EVIL,
        request_id=EVIL,
        content_type=EVIL,
        raw=EVIL.encode(),
        facts={"words": [EVIL]},
    )
    Announcement.objects.update(
        receivers=[{"receiver": EVIL, "error": EVIL, "traceback": EVIL, "attempts": 1}], changed=[EVIL]
    )
    event, announcement = CallEvent.objects.get(), Announcement.objects.get()

    urls = [
        reverse(f"admin:exotel_ccm_{row._meta.model_name}_change", args=[row.pk]) for row in (call, event, announcement)
    ]
    sources = [*(listed(reader, model).html for model in LISTS), *(reader.get(url).html for url in urls)]

    assert all("&lt;script&gt;alert(1)" in source for source in sources)
    assert not any(EVIL in source for source in sources)


def test_binary_body_is_shown(reader: Session) -> None:
    make_calls(1)
    CallEvent.objects.update(raw=b"\xff\xfe\x00 not text")

    page = reader.get(reverse("admin:exotel_ccm_callevent_change", args=[CallEvent.objects.get().pk]))

    assert "not text" in page.text


def test_long_body_is_shown_in_part(reader: Session) -> None:
    make_calls(1)
    CallEvent.objects.update(raw=b"http%3a%2f%2fa&" * 1_000 + b"x" * 200_000)

    page = reader.get(reverse("admin:exotel_ccm_callevent_change", args=[CallEvent.objects.get().pk]))

    assert "http%3a%2f%2fa&" in page.text
    assert "… and 195000 more characters" in page.text
    assert len(page.html) < 100_000


@pytest.mark.parametrize("model", LISTS)
def test_list_queries_do_not_grow(reader: Session, model: str) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            listed(reader, model)
        return len(queries)

    make_calls(5)
    cost()
    few = cost()
    make_calls(45)

    assert cost() == few


def test_call_page_queries_do_not_grow(reader: Session) -> None:
    [call] = make_calls(1)
    url = reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            reader.get(url)
        return len(queries)

    cost()
    few = cost()
    for n in range(20):
        CallEvent.objects.create(call=call, kind="callback", received_at=timezone.now(), fingerprint=f"x{n}")

    assert cost() == few


def test_many_events_newest_first(reader: Session) -> None:
    [call] = make_calls(1)
    CallEvent.objects.bulk_create(
        CallEvent(call=call, kind="callback", event=f"event {n}", received_at=timezone.now(), fingerprint=f"many {n}")
        for n in range(60)
    )

    page = reader.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))

    assert page.html.index("event 59") < page.html.index("event 10<")
    assert "event 9<" not in page.html
    everything = reader.get(page.links["Older ones too"])
    assert "event 0<" in everything.html


def test_flooded_call_warns(reader: Session) -> None:
    flooded, quiet = make_calls(2)
    CallRecord.objects.filter(pk=flooded.pk).update(events_stored=5_000, events_not_stored=12)

    pages = [reader.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])) for call in (flooded, quiet)]

    assert ["12 of them were counted and not stored" in page.html for page in pages] == [True, False]


@pytest.mark.parametrize("model", LISTS)
def test_lists_count_no_whole_table(reader: Session, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "COUNTED", 7)
    make_calls(9)

    with CaptureQueriesContext(connection) as queries:
        page = listed(reader, model)

    table = connection.ops.quote_name(f"exotel_ccm_{model}")
    ours = [query["sql"] for query in queries if table in query["sql"]]
    counts = [sql for sql in ours if "COUNT(" in sql.upper()]
    assert len(counts) == 1
    assert all("LIMIT 7" in sql for sql in counts)
    assert not any("DISTINCT" in sql for sql in ours)
    assert "7 " in page.text


def test_lists_do_not_load_bodies(reader: Session) -> None:
    [call] = make_calls(1)

    with CaptureQueriesContext(connection) as queries:
        listed(reader, "callevent")
        reader.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))

    events, raw = map(connection.ops.quote_name, ("exotel_ccm_callevent", "raw"))
    assert any(events in query["sql"] for query in queries)
    assert not any(f"{events}.{raw}" in query["sql"] for query in queries)


def test_account_filter(reader: Session, settings: Any) -> None:
    make_calls(2)
    make_calls(1, account="mumbai")
    one = listed(reader, "callrecord")
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "EXOTEL_URL", "mumbai": "EXOTEL_MUMBAI"}}

    several = listed(reader, "callrecord")
    chosen = listed(reader, "callrecord", "?account=mumbai")

    assert "By account" not in one.text
    assert "By account" in several.text
    assert "1 call" in chosen.text


@pytest.mark.parametrize("model", ["callrecord", "callevent"])
def test_unusual_searches(reader: Session, model: str) -> None:
    make_calls(1)

    for term in ("abc", "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", "%00", "💥", "1" * 200):
        listed(reader, model, f"?q={term}")

        assert reader.response.status_code == 200, term


def test_events_need_permission(host: Any) -> None:
    [call] = make_calls(1)
    session = Session(host.user("meera", SEES_CALLS, agent=None))

    page = session.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))

    assert session.response.status_code == 200
    assert "callback from Exotel" not in page.text
