"""The do-not-call list in the admin."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from django_exotel_ccm.models import DoNotCall
from tests.admin.pages import SEES_NUMBERS, Page, Session

ONE, TWO = "+919000001001", "+919000001002"
VIEWS, ADDS = "exotel_ccm.view_donotcall", "exotel_ccm.add_donotcall"
LIST = "admin:exotel_ccm_donotcall_changelist"
IMPORT = "admin:exotel_ccm_donotcall_import"


def session_of(host: Any, *permissions: str) -> Session:
    return Session(host.user("meera", *permissions, agent=None))


@pytest.mark.parametrize(("sees", "shown"), [((), "+••••••••••01"), ((SEES_NUMBERS,), ONE)])
def test_numbers_are_masked(host: Any, sees: tuple[str, ...], shown: str) -> None:
    entry = DoNotCall.objects.create(number=ONE)
    session = session_of(host, VIEWS, "exotel_ccm.change_donotcall", *sees)

    listed = session.get(reverse(LIST))
    form = session.get(reverse("admin:exotel_ccm_donotcall_change", args=[entry.pk]))

    for page in (listed, form):
        assert shown in page.text
        assert (ONE in page.html) == bool(sees)


def test_search_tells_no_number_that_is_masked(host: Any) -> None:
    DoNotCall.objects.create(number=ONE)
    session = session_of(host, VIEWS)

    right, wrong = (session.get(f"{reverse(LIST)}?q={term}").text for term in ("9000001001", "9000001009"))

    assert right == wrong


@pytest.mark.parametrize(
    "condition",
    [
        *("number__gte=", "number__gt=", "number__lt=", "number__lte=", "number__exact=", "number=", "number__in="),
        *("reason__gte=", "reason__exact=", "created_by__username__gte="),
    ],
)
def test_address_asks_nothing_of_what_is_masked(host: Any, condition: str) -> None:
    DoNotCall.objects.create(number=ONE, reason=ONE)
    session = session_of(host, VIEWS)

    answers = {session.get(f"{reverse(LIST)}?{condition}{number}").text for number in ("%2B91900", "%2B919000001001")}

    assert len(answers) == 1


def test_order_tells_no_number_that_is_masked(host: Any) -> None:
    DoNotCall.objects.create(number=ONE)
    DoNotCall.objects.create(number=TWO)
    session = session_of(host, VIEWS)

    for column in (0, 3):  # the number, and the reason
        up, down = (session.get(f"{reverse(LIST)}?o={sign}{column}").text for sign in ("", "-"))
        assert (up.index("•02") < up.index("•01")) == (down.index("•02") < down.index("•01"))


def test_filters_of_the_list_still_work(host: Any) -> None:
    DoNotCall.objects.create(number=ONE, source="typed")
    DoNotCall.objects.create(number=TWO, source="imported")
    session = session_of(host, VIEWS)

    for condition in ("source__exact=imported", "source__exact=imported&created_at__gte=2020-01-01+00:00:00%2B00:00"):
        page = session.get(f"{reverse(LIST)}?{condition}").text
        assert "•02" in page
        assert "•01" not in page


@pytest.mark.parametrize("may_change", [False, True])
def test_number_in_the_reason_is_masked_on_the_form(host: Any, may_change: bool) -> None:
    entry = DoNotCall.objects.create(number=ONE, reason="Call +919000001002 instead")
    session = session_of(host, VIEWS, *["exotel_ccm.change_donotcall"] * may_change)
    url = reverse("admin:exotel_ccm_donotcall_change", args=[entry.pk])

    form = session.get(url)
    assert "9000001002" not in form.html
    assert "instead" in form.text

    if may_change:
        session.post(url, form.of_id("donotcall_form").data | {"reason": "", "expires_at_0": "2030-01-01"})
    entry.refresh_from_db()
    assert entry.reason == "Call +919000001002 instead"


def test_reason_is_edited_by_who_sees_numbers(host: Any) -> None:
    entry = DoNotCall.objects.create(number=ONE, reason="Call +919000001002 instead")
    session = session_of(host, VIEWS, "exotel_ccm.change_donotcall", SEES_NUMBERS)
    url = reverse("admin:exotel_ccm_donotcall_change", args=[entry.pk])

    page = session.get(url)
    assert "9000001002" in page.html
    session.post(url, page.of_id("donotcall_form").data | {"reason": "Asked by letter"})

    entry.refresh_from_db()
    assert entry.reason == "Asked by letter"


def test_deletion_and_history_show_no_number_that_is_masked(host: Any) -> None:
    entry = DoNotCall.objects.create(number=ONE, reason="Call +919000001002 instead")
    session = session_of(host, VIEWS, "exotel_ccm.change_donotcall", "exotel_ccm.delete_donotcall")
    url = reverse("admin:exotel_ccm_donotcall_change", args=[entry.pk])
    data = session.get(url).of_id("donotcall_form").data
    session.post(url, data | {"expires_at_0": "2030-01-01", "expires_at_1": "00:00"})

    for name in ("delete", "history"):
        page = session.get(reverse(f"admin:exotel_ccm_donotcall_{name}", args=[entry.pk]))
        assert "9000001001" not in page.html
        assert "9000001002" not in page.html
    assert "•01" in page.text


def test_no_facets_count_the_table(host: Any) -> None:
    DoNotCall.objects.create(number=ONE)
    session = session_of(host, VIEWS)

    assert "(1)" not in session.get(f"{reverse(LIST)}?_facets=True").text


@pytest.mark.parametrize("typed", [ONE, "90000 01001", "090000-01001"])
def test_search_finds_a_number_in_any_spelling(host: Any, typed: str) -> None:
    DoNotCall.objects.create(number=ONE)
    DoNotCall.objects.create(number=TWO)
    session = session_of(host, VIEWS, SEES_NUMBERS)

    page = session.get(f"{reverse(LIST)}?q={typed.replace('+', '%2B').replace(' ', '+')}")

    assert ONE in page.text
    assert TWO not in page.text


def test_number_is_added_by_hand(host: Any) -> None:
    session = session_of(host, ADDS, VIEWS, SEES_NUMBERS)
    url = reverse("admin:exotel_ccm_donotcall_add")
    fields = {"number": "90000 01001", "reason": "wrote to us", "expires_at_0": "", "expires_at_1": ""}
    fields |= {"csrfmiddlewaretoken": session.get(url).of_id("donotcall_form").data["csrfmiddlewaretoken"]}

    session.post(url, fields)
    again = session.post(url, fields)

    entry = DoNotCall.objects.get()
    assert (entry.number, entry.source, entry.created_by) == (ONE, "typed", session.user)
    assert "already exists" in again.text


def add_by_hand(session: Session, **given: str) -> Page:
    url = reverse("admin:exotel_ccm_donotcall_add")
    return session.post(url, session.get(url).of_id("donotcall_form").data | {"number": "90000 01001", **given})


@pytest.mark.parametrize(("days", "reason"), [(-1, "by letter"), (20, "Exotel 10717; by letter")])
def test_number_is_added_by_hand_for_longer(days: int, reason: str, host: Any) -> None:
    until = timezone.now() + datetime.timedelta(days=days)
    old = DoNotCall.objects.create(number=ONE, source="exotel", reason="Exotel 10717", expires_at=until)
    session = session_of(host, ADDS, VIEWS, SEES_NUMBERS)

    page = add_by_hand(session, reason="by letter")

    entry = DoNotCall.objects.get()
    assert (entry.pk, entry.source, entry.created_by, entry.expires_at) == (old.pk, "typed", session.user, None)
    assert entry.reason == reason
    was = date_format(timezone.localtime(until), "DATETIME_FORMAT")
    assert f"The number was on the list until {was}. It is on it for ever now." in page.text


def test_number_is_added_by_hand_for_a_while_after_it_had_expired(host: Any) -> None:
    DoNotCall.objects.create(number=ONE, expires_at=timezone.now())

    page = add_by_hand(session_of(host, ADDS, VIEWS), expires_at_0="2099-01-31", expires_at_1="10:00")

    assert DoNotCall.objects.in_force().count() == 1
    assert "It is on it until Jan. 31, 2099, 10 a.m. now." in page.text


@pytest.mark.parametrize("rest", [(), (VIEWS,), (SEES_NUMBERS,)])
def test_adding_by_hand_tells_no_date_that_is_hidden(rest: tuple[str, ...], host: Any) -> None:
    DoNotCall.objects.create(number=ONE, expires_at=datetime.datetime(2099, 1, 31, tzinfo=datetime.UTC))

    page = add_by_hand(session_of(host, ADDS, *rest))

    assert DoNotCall.objects.get().expires_at is None
    assert "The number was on the list before. It is on it for ever now." in page.text
    assert "2099" not in page.text


def test_number_is_not_added_by_hand_for_a_shorter_time(host: Any) -> None:
    until = datetime.datetime(2099, 1, 31, tzinfo=datetime.UTC)
    DoNotCall.objects.create(number=ONE, expires_at=until)

    page = add_by_hand(session_of(host, ADDS, VIEWS), expires_at_0="2098-01-31", expires_at_1="10:00")

    assert "already exists" in page.text
    assert DoNotCall.objects.get().expires_at == until


def test_expired_entries_are_filtered(host: Any) -> None:
    DoNotCall.objects.create(number=ONE, expires_at=timezone.now())
    DoNotCall.objects.create(number=TWO)
    session = session_of(host, VIEWS, SEES_NUMBERS)

    holds, expired = (session.get(f"{reverse(LIST)}?in_force={value}") for value in ("yes", "no"))

    assert (ONE in holds.text, TWO in holds.text) == (False, True)
    assert (ONE in expired.text, TWO in expired.text) == (True, False)


def test_empty_list_says_what_it_is(host: Any) -> None:
    page = session_of(host, VIEWS).get(reverse(LIST))

    assert "Nobody is on the do-not-call list." in page.text
    assert "Import from a file" not in page.text


def upload(session: Session, data: bytes) -> Any:
    [form] = session.get(reverse(IMPORT)).of_class("exotel-confirm")
    return session.post(reverse(IMPORT), form.data | {"file": SimpleUploadedFile("list.csv", data)})


def test_import(host: Any) -> None:
    session = session_of(host, VIEWS, ADDS)
    DoNotCall.objects.create(number=TWO)

    assert "Import from a file" in session.get(reverse(LIST)).links
    page = upload(session, f"phone;reason\n{ONE};x\n{TWO};y\n9.19E+11;z\n=1+1;<b>\n".encode())

    assert DoNotCall.objects.get(number=ONE).created_by == session.user
    assert "1 number added" in page.text
    assert "1 number was on the list already" in page.text
    assert "2 lines were not read" in page.text
    assert "The spreadsheet has rounded this number." in page.text
    assert "<td>5</td><td>This is a formula, and no number.</td>" in page.html


def test_import_of_what_is_no_text(host: Any) -> None:
    page = upload(session_of(host, ADDS), b"PK\x03\x04 a workbook")

    assert "This is no text file." in page.text
    assert not DoNotCall.objects.exists()


def test_import_needs_the_permission(host: Any) -> None:
    session = session_of(host, VIEWS, "exotel_ccm.change_donotcall")

    assert session.client.get(reverse(IMPORT)).status_code == 403
    assert "Import from a file" not in session.get(reverse(LIST)).links
