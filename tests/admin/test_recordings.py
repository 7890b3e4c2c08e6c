"""The player on the admin's pages, and the list of accesses to recordings."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord, RecordingAccess
from django_exotel_ccm.services.recordings import recording_urls
from tests.admin.custom_site import OwnSite
from tests.admin.pages import SEES_CALLS, Session
from tests.helpdesk.models import Ticket
from tests.views.recording_player import facts_of

LISTEN = "exotel_ccm.listen_recording"
VIEW_TICKET = ("helpdesk.view_ticket", SEES_CALLS)
ADDRESS = "https://recordings.exotel.com/exotelrecordings/acme1/planted.mp3"


@pytest.fixture
def listener(host: Any) -> Session:
    return Session(host.user("meera", *VIEW_TICKET, LISTEN, agent=None))


def recorded(ticket: Any = None, **fields: Any) -> CallRecord:
    now = timezone.now()
    about = {"ticket": ticket, "ticket_label": str(ticket)} if ticket is not None else {}
    return CallRecord.objects.create(
        **{
            "account": "default",
            "agent_label": "Asha",
            "created_at": now - datetime.timedelta(minutes=9),
            "ended_at": now - datetime.timedelta(minutes=1),
            "state": "ended",
            "outcome": "completed",
            "talk_time": 42,
            "recording_requested": True,
            "recording_url": ADDRESS,
            "facts": facts_of(fields.get("recording_url", ADDRESS)),
            **about,
            **fields,
        }
    )


def addresses_of(call: CallRecord, adapter: str = "admin") -> list[str]:
    """Return the beginnings of our addresses of a call's recordings, up to the page's own id."""
    paths = [reverse("exotel_ccm:recording", args=[call.reference, one]) for one in recording_urls(call)]
    return [f"{path}?exotel_adapter={adapter}&amp;page_view=" for path in paths]


def address_of(call: CallRecord, adapter: str = "admin") -> str:
    [address] = addresses_of(call, adapter)
    return f'src="{address}'


def page_of(session: Session, call: CallRecord) -> Any:
    return session.get(session.url("exotel_ccm_callrecord_change", call.pk))


def test_call_page_has_a_player(host: Any, listener: Session) -> None:
    call = recorded(host.ticket())

    page = page_of(listener, call)

    assert page.html.count("<audio controls preload=") == 1
    assert address_of(call) in page.html
    assert "exotel_ccm/recording.js" in page.html
    assert page.links["Open the recording"].startswith(address_of(call)[5:].replace("&amp;", "&"))
    assert "planted" not in page.html


def test_ticket_page_has_players(host: Any, listener: Session) -> None:
    ticket = host.ticket()
    calls = [recorded(ticket), recorded(ticket)]
    recorded(ticket, recording_url="", recording_requested=False)
    other = recorded(host.ticket())

    page = listener.change_form(ticket)

    assert page.html.count("<audio") == 2
    assert all(address_of(call) in page.html for call in calls)
    assert address_of(other) not in page.html
    assert page.html.count("exotel_ccm/recording.js") == 1
    assert "planted" not in page.html
    assert "There is no recording" not in page.html


def test_each_recording_of_a_call_has_a_player(host: Any, listener: Session) -> None:
    second = ADDRESS.replace("planted", "second")
    call = recorded(host.ticket(), facts=facts_of(ADDRESS, second))

    for page in (page_of(listener, call), listener.change_form(call.ticket)):
        assert page.html.count("<audio") == 2
        assert all(f'src="{address}' in page.html for address in addresses_of(call))
        assert ["Recording 1 of 2" in page.text, "Recording 2 of 2" in page.text] == [True, True]


def test_player_needs_permission(host: Any) -> None:
    ticket = host.ticket()
    call = recorded(ticket)
    session = Session(host.user("meera", *VIEW_TICKET, agent=None))

    for page in (page_of(session, call), session.change_form(ticket)):
        assert session.response.status_code == 200
        assert "<audio" not in page.html
        assert "/recording/" not in page.html
    assert "recording.js" not in session.change_form(ticket).html


def test_hidden_call_has_no_player(host: Any) -> None:
    call = recorded(host.ticket(team="red"))
    session = Session(host.user("meera", *VIEW_TICKET, LISTEN, agent=None, last_name="blue"))

    page = page_of(session, call)

    assert "not yours to see" in page.html
    assert "<audio" not in page.html
    assert str(call.reference) not in page.html
    assert "/recording/" not in page.html


MESSAGES = [
    ({"recording_url": ""}, "The recording is not ready yet."),
    ({"erased_at": timezone.now()}, "The recording was erased on request."),
]
NONE = {"recording_url": "", "recording_requested": False}


@pytest.mark.parametrize(("fields", "message"), MESSAGES)
def test_message_instead_of_a_player(host: Any, listener: Session, fields: dict[str, Any], message: str) -> None:
    ticket = host.ticket()
    call = recorded(ticket, **fields)

    for page in (page_of(listener, call), listener.change_form(ticket)):
        assert message in page.text
        assert "<audio" not in page.html


def test_no_recording_is_shown_on_the_call_page_only(host: Any, listener: Session) -> None:
    ticket = host.ticket()
    call = recorded(ticket, **NONE)

    assert "There is no recording of this call." in page_of(listener, call).text
    assert "recording" not in listener.change_form(ticket).text


@pytest.mark.parametrize("state", ["requested", "unconfirmed", "active"])
def test_active_call_shows_no_message(host: Any, listener: Session, state: str) -> None:
    ticket = host.ticket()
    call = recorded(ticket, state=state, outcome="", talk_time=None, ended_at=None, recording_url="")

    for page in (page_of(listener, call), listener.change_form(ticket)):
        assert listener.response.status_code == 200
        assert "not ready" not in page.text


def test_player_uses_its_own_site(host: Any, make_session: Any) -> None:
    session = make_session(Ticket, admin.ModelAdmin, name="back-office")
    session.user.user_permissions.add(*permissions_of(LISTEN))
    ticket = host.ticket()
    call = recorded(ticket)

    assert address_of(call, "back-office") in session.change_form(ticket).html
    assert address_of(call, "back-office") in page_of(session, call).html


def permissions_of(*names: str) -> list[Any]:
    from django.contrib.auth.models import Permission

    return list(Permission.objects.filter(codename__in=[name.partition(".")[2] for name in names]))


def test_no_player_without_our_urls(host: Any, listener: Session, settings: Any) -> None:
    from django.urls import path

    class URLs:
        urlpatterns = [path("admin/", admin.site.urls)]

    ticket = host.ticket()
    call = recorded(ticket)
    settings.ROOT_URLCONF = URLs

    assert "<audio" not in page_of(listener, call).html
    assert listener.response.status_code == 200
    assert "<audio" not in listener.change_form(ticket).html


def test_ticket_page_queries_do_not_grow(host: Any, listener: Session) -> None:
    ticket = host.ticket()

    def cost(calls: int) -> int:
        for _call in range(calls):
            recorded(ticket)
        with CaptureQueriesContext(connection) as queries:
            page = listener.change_form(ticket)
        assert page.html.count("<audio") == CallRecord.objects.count()
        return len(queries)

    recorded(ticket)
    listener.change_form(ticket)
    assert cost(0) == cost(1) == cost(18)


def test_no_player_if_ticket_is_on_no_site(host: Any) -> None:
    call = recorded(host.ticket())
    site = OwnSite(name="empty")
    from django_exotel_ccm.admin.adapter import AdminAdapter
    from django_exotel_ccm.timeline import players

    class Request:
        user = host.user("meera", *VIEW_TICKET, LISTEN, agent=None)

    assert players(Request(), AdminAdapter(site), [call]) == {}  # type: ignore[arg-type]


# The list of accesses.


def accesses(count: int) -> None:
    for n in range(count):
        call = recorded()
        RecordingAccess.objects.create(
            call=call, user_label=f"uma{n}", recording="0123456789abcdef", listened_at=timezone.now()
        )


def test_access_list_needs_permission(host: Any) -> None:
    accesses(2)
    session = Session(host.user("meera", "exotel_ccm.view_recordingaccess", agent=None))

    page = session.get(reverse("admin:exotel_ccm_recordingaccess_changelist"))
    one = session.get(reverse("admin:exotel_ccm_recordingaccess_change", args=[RecordingAccess.objects.first().pk]))

    assert ["uma0" in page.text, "uma1" in page.text, "0123456789abcdef" in page.text] == [True] * 3
    assert "uma0" in one.text
    assert "planted" not in page.html + one.html
    assert "Delete" not in one.text


def test_access_list_queries_do_not_grow(host: Any) -> None:
    session = Session(host.user("meera", "exotel_ccm.view_recordingaccess", agent=None))

    def cost(rows: int) -> int:
        accesses(rows)
        with CaptureQueriesContext(connection) as queries:
            session.get(reverse("admin:exotel_ccm_recordingaccess_changelist"))
        return len(queries)

    accesses(1)
    cost(0)
    assert cost(2) == cost(20)


@pytest.mark.parametrize("term", ["uma1", "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", "%00"])
def test_access_list_search(host: Any, term: str) -> None:
    accesses(2)
    session = Session(host.user("meera", "exotel_ccm.view_recordingaccess", agent=None))

    session.get(reverse("admin:exotel_ccm_recordingaccess_changelist") + f"?q={term}")

    assert session.response.status_code == 200
