"""The box after a call and its Save: for whom, what is kept, and that nothing that was written gets lost."""

from __future__ import annotations

import datetime
import html
import re
from typing import Any
from urllib.parse import unquote

import pytest
import time_machine
from django.core.checks import run_checks
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallNote, CallRecord, Disposition, DoNotCall, FollowUp
from tests.admin.pages import AGENT_WORK, SEES_CALLS, Page

NOTES = "exotel_ccm.add_callnote"
JSON = {"HTTP_ACCEPT": "application/json"}


def logged_in(user: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


@pytest.fixture
def asha(host: Any) -> Any:
    return host.user("asha", *AGENT_WORK, NOTES)


@pytest.fixture
def call(host: Any, asha: Any) -> CallRecord:
    ticket = host.ticket()
    return CallRecord.objects.create(
        account="default", placed_by=asha, ticket=ticket, state="ended", talk_time=42, created_at=timezone.now()
    )


@pytest.fixture
def client(asha: Any) -> Client:
    return logged_in(asha)


def url_of(call: CallRecord, query: str = "?exotel_adapter=admin") -> str:
    return reverse("exotel_ccm:note", args=[call.reference]) + query


def post(client: Client, call: CallRecord, **fields: str) -> Any:
    return client.post(url_of(call), {f"exotel_{name}": value for name, value in fields.items()}, **JSON)


def test_save(client: Client, call: CallRecord, asha: Any) -> None:
    Disposition.objects.add_starter_set()
    with time_machine.travel(timezone.now(), tick=False):
        response = post(client, call, text="Angry", disposition="reached", call_back="hour", key="k")
        due = timezone.now() + datetime.timedelta(hours=1)

    assert response.status_code == 200
    local = timezone.localtime(due)
    assert response.json()["text"].startswith("Saved. Call back on ")
    assert response.json()["text"].endswith(f"at {local:%H:%M}.")
    note = CallNote.objects.get()
    assert (note.call, note.author, note.text) == (call, asha, "Angry")
    assert note.disposition == Disposition.objects.get(code="reached")
    assert FollowUp.objects.get().due_at == due


BY_MISTAKE = "If you chose that by mistake, an administrator can take them off it."


@pytest.mark.parametrize(
    ("policies", "said_then", "warnings"),
    [
        (
            None,
            f"Saved. This customer is on the do-not-call list now. {BY_MISTAKE}",
            [],
        ),
        ([], "Saved.", ["exotel_ccm.W013"]),
    ],
)
def test_customer_who_wants_no_calls(
    client: Client, call: CallRecord, settings: Any, policies: Any, said_then: str, warnings: list[str]
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": policies}
    Disposition.objects.add_starter_set()
    CallRecord.objects.update(customer_number="+919000001001")

    said = post(client, call, disposition="do_not_call").json()["text"]

    assert said == said_then
    assert DoNotCall.objects.get().number == "+919000001001"
    found = [one.id for one in run_checks(databases=["default"])]
    assert [one for one in found if one == "exotel_ccm.W013"] == warnings


def test_double_save_writes_one_note(client: Client, call: CallRecord) -> None:
    for _press in range(2):
        assert post(client, call, text="Angry", call_back="hour", key="k").json()["text"].startswith("Saved.")
    assert (CallNote.objects.count(), FollowUp.objects.count()) == (1, 1)

    post(client, call, text="Angry, and more", key="k")
    post(client, call, text="Angry", call_back="tomorrow", key="k")
    assert CallNote.objects.count() == 3


def test_box_of_an_erased_customer_is_not_offered(client: Client, call: CallRecord) -> None:
    CallRecord.objects.update(erased_at=timezone.now())

    page, told = client.get(url_of(call)).content.decode(), client.get(url_of(call), **JSON)

    assert 'name="exotel_text"' not in page
    assert "was erased on request, so nothing more is written" in page
    assert (told.status_code, "was erased on request" in told.json()["advice"]) == (400, True)


def test_box_for_the_script(client: Client, call: CallRecord) -> None:
    Disposition.objects.add_starter_set()
    Disposition.objects.filter(code="voicemail").update(is_active=False)

    box = client.get(url_of(call), **JSON).json()

    assert "Asked not to be called" in box["html"]
    assert "Voicemail" not in box["html"]
    assert not box["has_note"]
    post(client, call, text="one")
    assert client.get(url_of(call), **JSON).json()["has_note"]


def test_page_without_script(client: Client, call: CallRecord) -> None:
    page = client.get(url_of(call))
    assert "Talked with" in page.content.decode()
    saved = client.post(url_of(call), {"exotel_text": "one", "exotel_next": "/admin/"}, follow=True)

    assert saved.redirect_chain == [("/admin/", 302)]
    assert "Saved." in saved.content.decode()
    alone = client.post(url_of(call), {"exotel_text": "two", "exotel_next": "https://evil.example/"})
    assert (alone.status_code, "Saved." in alone.content.decode()) == (200, True)
    outside = client.get(url_of(call, ""))
    assert 'name="exotel_text"' in outside.content.decode()


def test_page_keeps_what_cannot_be_saved(client: Client, call: CallRecord) -> None:
    text = "<b>" + "x" * 20_000
    response = client.post(
        url_of(call), {"exotel_text": text, "exotel_call_back": "chosen", "exotel_call_back_at": "2031-01-01T10:00"}
    )

    page = response.content.decode()
    assert response.status_code == 400
    assert "20003 characters" in page
    assert "&lt;b&gt;" + "x" * 20_000 in page
    assert 'value="2031-01-01T10:00"' in page
    assert not CallNote.objects.exists()


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"text": " \r\n"}, "nothing to save"),
        ({"text": "x" * 1_000_000}, "characters, and at most"),
        ({"text": "\0"}, "nothing to save"),
        ({"disposition": "gone"}, "not offered any more"),
        ({"disposition": "\0"}, "not offered any more"),
        ({"text": "one", "call_back": "chosen"}, "Choose when to call back"),
        ({"text": "one", "call_back": "never"}, "Choose when to call back"),
        ({"text": "one", "call_back": "chosen", "call_back_at": "2020-01-01T10:00"}, "over already"),
        ({"text": "one", "call_back": "chosen", "call_back_at": "tomorrow"}, "Choose a date and a time"),
        ({"text": "one", "call_back": "chosen", "call_back_at": "9999-12-31T23:59"}, "too far away"),
    ],
)
def test_what_is_refused(fields: dict[str, str], advice: str, client: Client, call: CallRecord) -> None:
    response = post(client, call, **fields)

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert advice in response.json()["advice"]
    assert not CallNote.objects.exists()


def test_date_without_its_choice_is_no_call_back(client: Client, call: CallRecord) -> None:
    saved = post(client, call, text="Calls us himself", call_back="", call_back_at="2031-01-01T10:00")

    assert saved.json()["text"] == "Saved."
    assert not FollowUp.objects.exists()


def test_disposition_that_was_switched_off_meanwhile(client: Client, call: CallRecord) -> None:
    Disposition.objects.create(code="reached", label="Reached", is_active=False)

    assert "Reached" in post(client, call, disposition="reached").json()["advice"]


def test_link_from_a_page_with_the_long_filters_of_its_list(client: Client, call: CallRecord) -> None:
    CallRecord.objects.update(ended_at=timezone.now())
    page = reverse("admin:helpdesk_ticket_change", args=[call.ticket_object_id]) + "?_changelist_filters=q%3D"
    links = [
        html.unescape(found[1])
        for query in ("short", "नमस्ते" * 600)
        if (found := re.search(r'<a href="([^"]+)">How did it go', client.get(page + query).content.decode()))
    ]

    assert ["exotel_next" in link for link in links] == [True, False]
    assert max(map(len, links)) < 4000
    assert client.get(links[1]).status_code == 200


def test_link_without_script_leads_back_to_the_panels_page(client: Client, host: Any, asha: Any) -> None:
    ticket = host.ticket()
    now = timezone.now()
    CallRecord.objects.create(
        account="default", placed_by=asha, ticket=ticket, state="ended", created_at=now, ended_at=now
    )
    page = reverse("admin:helpdesk_ticket_change", args=[ticket.pk])
    panel = re.search(r'<a href="([^"]+)">How did it go', client.get(page).content.decode())
    assert panel is not None
    box = client.get(html.unescape(panel[1])).content.decode()
    action = re.search(r'action="([^"]+)"', box[box.index("exotel-note-box") - 200 :])

    assert f'<a href="{page}" class="exotel-not-now">' in box
    assert action is not None
    saved = client.post(html.unescape(action[1]), {"exotel_text": "one", "exotel_next": page}, follow=True)
    assert saved.redirect_chain == [(page, 302)]


# For whom.


def test_logged_out(call: CallRecord) -> None:
    response = post(Client(), call, text="one")

    assert (response.status_code, response.json()["code"]) == (401, "logged_out")
    for query in ("", "?exotel_adapter=admin", "?exotel_adapter=gone"):
        to_login = Client().get(url_of(call, query))
        assert to_login.status_code == 302
        assert unquote(to_login["Location"].partition("?next=")[2]) == url_of(call, query)


def test_text_is_shown_again_to_who_was_logged_out(client: Client, call: CallRecord) -> None:
    """Without script, the form is left by Save, and a redirect to the login page would lose what was written."""
    client.logout()

    response = client.post(url_of(call), {"exotel_text": "<b>Promised 500 off", "exotel_disposition": "reached"})

    page = response.content.decode()
    assert (response.status_code, response["Content-Type"]) == (401, "text/html; charset=utf-8")
    assert "You are logged out, so nothing was saved." in page
    assert "&lt;b&gt;Promised 500 off</textarea>" in page
    assert f'href="{reverse("admin:login")}?next=' in page
    assert "Ravi" not in page
    assert not CallNote.objects.exists()


def test_text_is_shown_again_after_a_login_in_another_tab(asha: Any, call: CallRecord) -> None:
    """A login changes the token that the form was loaded with."""
    client = logged_in(asha, enforce_csrf_checks=True)
    form = Page(client.get(url_of(call)).content.decode()).of_class("exotel-note-box")[0]
    client.logout()
    login = Page(client.get(reverse("admin:login")).content.decode()).of_id("login-form")
    client.post(reverse("admin:login"), login.data | {"username": "asha", "password": "pw"})

    response = client.post(url_of(call), form.data | {"exotel_text": "<b>Wants a refund", "exotel_next": "/admin/"})

    page = Page(response.content.decode())
    assert (response.status_code, CallNote.objects.count()) == (403, 0)
    assert "The page was too old, so nothing was saved." in page.text
    assert "&lt;b&gt;Wants a refund</textarea>" in page.html
    assert "Ravi" not in page.html
    again = Page(client.get(html.unescape(page.links["Open it again in another tab"])).content.decode())
    form = again.of_class("exotel-note-box")[0]
    saved = client.post(form.attributes["action"], form.data | {"exotel_text": "Wants a refund"})
    assert (saved["Location"], CallNote.objects.get().text) == ("/admin/", "Wants a refund")


def test_text_without_token_of_who_is_logged_out(call: CallRecord) -> None:
    response = Client(enforce_csrf_checks=True).post(url_of(call), {"exotel_text": "Wants a refund"})

    assert response.status_code == 401
    assert "You are logged out, so nothing was saved." in response.content.decode()
    assert "Wants a refund</textarea>" in response.content.decode()


def test_answers_are_not_stored_on_the_way(host: Any, client: Client, call: CallRecord) -> None:
    stranger = logged_in(host.user("ravi", *AGENT_WORK, agent=None))
    answers = [client.get(url_of(call)), Client().get(url_of(call), **JSON), stranger.get(url_of(call), **JSON)]
    answers.append(Client().get(reverse("exotel_ccm:status", args=[call.reference])))

    assert [one.status_code for one in answers] == [200, 401, 403, 401]
    assert all("no-store" in one["Cache-Control"] for one in answers)


def test_permissions(host: Any, call: CallRecord) -> None:
    without = logged_in(host.user("ravi", *AGENT_WORK, SEES_CALLS, agent=None))
    stranger = logged_in(host.user("vik", "exotel_ccm.place_call", SEES_CALLS, NOTES, agent=None))
    colleague = logged_in(host.user("meera", "helpdesk.view_ticket", SEES_CALLS, NOTES, agent=None))

    assert post(without, call, text="one").status_code == 403
    assert without.get(url_of(call)).status_code == 403
    assert post(stranger, call, text="one").status_code == 404
    assert colleague.post(url_of(call, ""), {"exotel_text": "one"}, **JSON).status_code == 404
    assert colleague.post(url_of(call, "?exotel_adapter=x"), {"exotel_text": "one"}, **JSON).status_code == 404
    assert not CallNote.objects.exists()
    assert post(colleague, call, text="one").status_code == 200


def test_caller_may_note_without_seeing_the_ticket(asha: Any, call: CallRecord) -> None:
    asha.user_permissions.remove(*asha.user_permissions.filter(codename__endswith="_ticket"))

    assert logged_in(asha).post(url_of(call, ""), {"exotel_text": "one"}, **JSON).status_code == 200


def test_csrf_token_is_needed(asha: Any, call: CallRecord) -> None:
    client = logged_in(asha, enforce_csrf_checks=True)

    assert post(client, call, text="one").status_code == 403
    assert client.post(url_of(call), {"exotel_text": "one"}).status_code == 403
    assert not CallNote.objects.exists()


def test_saved_is_said_to_who_came_without_an_adapter(client: Client, call: CallRecord) -> None:
    """The panel of a host's base template knows no ticket, so its link names no adapter."""
    saved = client.post(url_of(call, ""), {"exotel_text": "one", "exotel_next": "/admin/"}, follow=True)

    assert "Saved." in Page(saved.content.decode()).messages


def test_box_on_the_calls_page(host: Any, asha: Any, call: CallRecord) -> None:
    page = reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])
    reader = logged_in(host.user("meera", "helpdesk.view_ticket", SEES_CALLS, agent=None))
    writer = logged_in(host.user("ravi", "helpdesk.view_ticket", SEES_CALLS, NOTES, agent=None))

    assert 'name="exotel_text"' not in reader.get(page).content.decode()
    assert 'name="exotel_text"' in writer.get(page).content.decode()
    saved = writer.post(url_of(call), {"exotel_text": "Angry", "exotel_next": page}, follow=True).content.decode()
    assert "Saved." in saved
    assert "Angry" in saved
