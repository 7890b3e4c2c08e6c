"""Promise 6: who gets which answer at each of our URLs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from django_exotel_ccm import urls
from django_exotel_ccm.models import Agent, Announcement, CallEvent, CallRecord, ExoPhone, RecordingAccess
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, Session, orders
from tests.helpdesk.models import Ticket

MODELS = [Agent, ExoPhone, CallRecord, CallEvent, Announcement, RecordingAccess]
HISTORY = [CallRecord, CallEvent, Announcement, RecordingAccess]


def row_of(model: Any) -> Any:
    """Return one row of a model of ours, made where there is none."""
    now = timezone.now()
    if model in (Agent, ExoPhone):
        return model.objects.first()
    call = CallRecord.objects.create(account="default", created_at=now, customer_number=BY_HAND)
    if model is CallRecord:
        return call
    if model is RecordingAccess:
        return RecordingAccess.objects.create(call=call, listened_at=now)
    event = CallEvent.objects.create(call=call, kind="callback", received_at=now, fingerprint="f")
    return event if model is CallEvent else Announcement.objects.create(call=call, signal="call_ended", created_at=now)


def pages_of(model: Any) -> dict[str, str]:
    prefix, key = f"admin:exotel_ccm_{model._meta.model_name}", row_of(model).pk
    return {
        "list": reverse(f"{prefix}_changelist"),
        "add": reverse(f"{prefix}_add"),
        "change": reverse(f"{prefix}_change", args=[key]),
        "delete": reverse(f"{prefix}_delete", args=[key]),
        "history": reverse(f"{prefix}_history", args=[key]),
    }


def statuses_of(client: Client, pages: dict[str, str], method: str = "get") -> dict[str, int]:
    return {name: getattr(client, method)(url).status_code for name, url in pages.items()}


def all_of(pages: dict[str, str], status: int) -> dict[str, int]:
    return dict.fromkeys(pages, status)


def allow(user: Any, model: Any, *actions: str) -> None:
    for action in actions:
        user.user_permissions.add(Permission.objects.get(codename=f"{action}_{model._meta.model_name}"))


# The admin pages of the models.


@pytest.mark.parametrize("model", MODELS)
def test_admin_pages_need_permission(host: Any, model: Any) -> None:
    host.agent()
    staff = host.user("meera", "exotel_ccm.place_call", agent=None)
    customer = host.user("ravi", agent=None)
    customer.is_staff = False
    customer.save()
    allow(customer, model, "view", "change", "add", "delete")
    gone = host.user("gone", agent=None)
    allow(gone, model, "view", "change", "add", "delete")
    gone.is_active = False
    gone.save()
    pages = pages_of(model)

    # The admin redirects anonymous users to its login page.
    assert statuses_of(Session(None).client, pages) == all_of(pages, 302)
    assert statuses_of(Session(customer).client, pages) == all_of(pages, 302)
    assert statuses_of(Session(gone).client, pages) == all_of(pages, 302)
    client = Client()
    client.force_login(staff)
    assert statuses_of(client, pages) == statuses_of(client, pages, "post") == all_of(pages, 403)
    assert model.objects.count() == 1


@pytest.mark.parametrize("model", HISTORY)
def test_history_is_read_only(host: Any, model: Any) -> None:
    user = host.user("meera", "exotel_ccm.place_call", agent=None)
    allow(user, model, "view", "change", "add", "delete")
    pages = pages_of(model)
    before = model.objects.values().get()
    client = Client()
    client.force_login(user)

    seen = statuses_of(client, pages)
    posted = {
        name: client.post(url, {"post": "yes", "action": "delete_selected"}).status_code for name, url in pages.items()
    }

    assert seen == {"list": 200, "add": 403, "change": 200, "delete": 403, "history": 200}
    assert (posted["add"], posted["change"], posted["delete"]) == (403, 403, 403)
    assert model.objects.values().get() == before


def test_history_is_read_only_for_superusers(host: Any) -> None:
    user = host.user("root", is_superuser=True)
    call = row_of(CallRecord)
    client = Client()
    client.force_login(user)

    change = client.post(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]), {"state": "ended"})
    many = client.post(
        reverse("admin:exotel_ccm_callrecord_changelist"),
        {"action": "delete_selected", "_selected_action": [call.pk], "index": 0, "post": "yes"},
    )

    assert (change.status_code, many.status_code) == (403, 200)
    call.refresh_from_db()
    assert call.state == "requested"


@pytest.mark.parametrize("model", [Agent, ExoPhone])
def test_agents_and_exophones_are_editable(host: Any, model: Any) -> None:
    host.agent()
    user = host.user("meera", agent=None)
    allow(user, model, "view", "change", "add", "delete")
    pages = pages_of(model)

    assert statuses_of(Session(user).client, pages) == all_of(pages, 200)


# Our own views.


def test_every_url_is_listed() -> None:
    names = {pattern.name for pattern in urls.urlpatterns if isinstance(pattern, URLPattern)}
    admin_names = [name for name in get_resolver().reverse_dict if str(name).startswith("exotel")]

    # A new view has to be tested here before it is listed here. The callbacks are tested in tests/webhooks/, the API in
    # tests/api/, the doctor in tests/diagnosis/; assets, call lists, live board, my calls, my phone, notes, recordings,
    # reports, status and timeline in files of their own.
    in_own_files = {"asset", "callback", "account-callback", "my-calls", "note", "recording", "status", "timeline"}
    in_own_files |= {"doctor", "my-phone", "reports", "reports-csv", "live", "live-board"}
    assert names == {"place", "choose", "call-list"} | in_own_files
    assert admin_names == []


def press(ticket: Any, /, **given: Any) -> dict[str, Any]:
    return {
        f"exotel_{name}": value
        for name, value in {
            "adapter": "admin",
            "type": "helpdesk.ticket",
            "ticket": ticket.pk,
            "after": 0,
            **given,
        }.items()
    }


def knock_at_calling(user: Any, ticket: Any, forged: dict[str, Any] | None = None) -> tuple[int, int]:
    """Return the statuses of the choose page and of the press itself."""
    client = Client()
    if user is not None:
        client.force_login(user)
    data = press(ticket, **(forged or {}))
    choose = client.get(reverse("exotel_ccm:choose"), data)
    return choose.status_code, client.post(reverse("exotel_ccm:place"), data).status_code


def test_permitted_user_calls(host: Any, exotel: Any) -> None:
    assert knock_at_calling(host.user("asha", *AGENT_WORK), host.ticket(phone=BY_HAND)) == (200, 302)
    assert len(orders(exotel)) == 1


def test_others_may_not_call(host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    visitor = host.user("ravi", *AGENT_WORK, agent=None)
    visitor.is_staff = False
    visitor.save()
    gone = host.user("gone", *AGENT_WORK, agent=None)
    gone.is_active = False
    gone.save()

    # Nobody is logged in, or not any more: the site's login page.
    assert knock_at_calling(None, ticket) == (302, 302)
    assert knock_at_calling(host.user("meera", "helpdesk.view_ticket"), ticket) == (403, 403)
    assert knock_at_calling(visitor, ticket) == (403, 403)
    assert knock_at_calling(gone, ticket) == (302, 302)
    assert orders(exotel) == []
    assert CallRecord.objects.count() == 0


def test_ticket_of_another_team_is_404(host: Any, exotel: Any) -> None:
    user = host.user("asha", *AGENT_WORK, last_name="north")
    theirs = host.ticket(phone=BY_HAND, team="south")

    # The choose page lists nothing, and does not name what is missing.
    assert knock_at_calling(user, theirs) == (200, 404)
    query = f"?exotel_adapter=admin&exotel_type=helpdesk.ticket&exotel_ticket={theirs.pk}"
    assert "Broken fan" not in Session(user).get(reverse("exotel_ccm:choose") + query).html
    assert orders(exotel) == []


def test_press_needs_view_permission_of_ticket(host: Any, exotel: Any) -> None:
    user = host.user("asha", "exotel_ccm.place_call")

    assert knock_at_calling(user, host.ticket(phone=BY_HAND)) == (200, 404)
    assert orders(exotel) == []


def test_can_call_is_checked_at_the_press(host: Any, exotel: Any, settings: Any) -> None:
    options = {"prefix": "ticket", "phone": "customer.phone", "can_call": f"{__name__}.never"}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": options}}
    user, ticket = host.user("asha", *AGENT_WORK), host.ticket(phone=BY_HAND)

    assert knock_at_calling(user, ticket) == (200, 302)
    assert "This ticket is not yours to call." in Session(user).run_action([ticket, host.ticket()]).text
    assert orders(exotel) == []


def never(user: Any, ticket: Ticket) -> bool:
    return False


@pytest.mark.parametrize(
    "forged",
    [
        {"adapter": "elsewhere"},
        {"type": "auth.user"},
        {"type": "nonsense"},
        {"ticket": "0"},
        {"ticket": "abc"},
        {"ticket": "1 OR 1=1"},
        {"ticket": "\0"},
        {"ticket": "9" * 40},
    ],
)
def test_forged_address_is_404(host: Any, exotel: Any, forged: dict[str, str]) -> None:
    _choose, place = knock_at_calling(host.user("asha", *AGENT_WORK), host.ticket(phone=BY_HAND), forged)

    assert place == 404
    assert orders(exotel) == []


def test_forged_agent_is_refused(host: Any, exotel: Any) -> None:
    user, ticket = host.user("asha", *AGENT_WORK), host.ticket(phone=BY_HAND)
    other = host.agent("Vik", "sip:vik4c1d77e2")

    statuses = {knock_at_calling(user, ticket, {"agent": forged})[1] for forged in (other.pk, 0, "x", "9" * 40)}

    assert statuses == {403}
    assert orders(exotel) == []


def test_forged_number_is_not_called(host: Any, exotel: Any, session: Session) -> None:
    ticket, other = host.ticket(phone=OTHER, other=BY_HAND), host.ticket("Other", phone="+919000001002", other=OTHER)
    theirs = session.press_button(other).of_class("exotel-choose-form")[0].data["exotel_number"][0]
    page = session.press_button(ticket)

    for forged in (theirs, "x" * 32, BY_HAND, "é"):
        assert len(session.press_choice(page, number=forged).of_class("exotel-choose-form")) == 1
    session.press_choice(page, to="+919000001004")

    assert session.response.status_code == 403
    assert orders(exotel) == []


@pytest.mark.parametrize("typed", [BY_HAND, OTHER, "nonsense"])
def test_typed_number_is_refused_uncompared(host: Any, exotel: Any, typed: str) -> None:
    """Without ``dial_any_number`` the answer must not depend on whether a masked number was guessed."""
    user = host.user("asha", *AGENT_WORK)

    _choose, place = knock_at_calling(user, host.ticket(phone=BY_HAND), {"to": typed})

    assert place == 403
    assert orders(exotel) == []


def test_press_needs_post_and_csrf_token(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    data = {name: str(value) for name, value in press(ticket).items()}

    reads = [getattr(session.client, method)(reverse("exotel_ccm:place"), data) for method in ("head", "options")]
    linked = session.client.get(reverse("exotel_ccm:place"), data)
    by_program = session.client.get(reverse("exotel_ccm:place"), data, headers={"Accept": "application/json"})
    writes = [
        getattr(session.client, method)(reverse("exotel_ccm:place"), data) for method in ("post", "put", "delete")
    ]
    posted_choice = Client().post(reverse("exotel_ccm:choose"), data)

    assert [answer.status_code for answer in reads] == [405] * 2
    assert (linked.status_code, by_program.status_code) == (302, 405)
    assert [answer.status_code for answer in writes] == [403] * 3
    assert posted_choice.status_code == 405
    assert orders(exotel) == []


def test_csrf_without_middleware(host: Any, exotel: Any, settings: Any, session: Session) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name]

    answer = session.client.post(reverse("exotel_ccm:place"), press(host.ticket(phone=BY_HAND)))

    assert answer.status_code == 403
    assert orders(exotel) == []


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_next_stays_on_host(host: Any, exotel: Any, wanted: str) -> None:
    client = Client()
    client.force_login(host.user("asha", *AGENT_WORK))

    answer = client.post(reverse("exotel_ccm:place"), press(host.ticket(phone=BY_HAND), next=wanted))
    choose = client.get(reverse("exotel_ccm:choose"), press(host.ticket(), next=wanted))

    assert answer["Location"] == reverse("admin:helpdesk_ticket_changelist")
    assert "evil" not in choose.content.decode()
    assert "alert(1)" not in choose.content.decode()
