"""A call changes the ticket while its form is open: our script shows it; without script Save is stopped once."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.signals import call_ended
from tests.admin.conftest import urls_of
from tests.admin.orders import TICKETS
from tests.admin.pages import AGENT_WORK
from tests.browser.conftest import PATIENCE, keep_picture, log_in, press, violations
from tests.helpdesk.models import Customer, Line, Order, Tag, Ticket

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
STEP = "document.dispatchEvent(new CustomEvent('exotel:step', {detail: {is_over: true}}))"
CHANGED = ".exotel-changed"


# The whole way: press, call, receiver, form.


def mark_as_called(ticket: Ticket, call: CallRecord, **kwargs: Any) -> None:
    ticket.status = "called"
    ticket.save(update_fields=["status"])


@pytest.fixture
def ticket(host: Any, receivers: Any) -> Ticket:
    receivers(call_ended, mark_as_called, sender=Ticket)
    host.user("asha", *AGENT_WORK)
    found: Ticket = host.ticket()
    return found


def call_and_end(page: Any, site: Any, exotel: Any, ticket: Ticket, **entered: str) -> None:
    """Press with edits in the form, and let the call end."""
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    for name, value in entered.items():
        page.fill(f"#id_{name}", value)
    press(page)
    [sid] = exotel.book.calls
    exotel.press(sid, "agent", "decline")
    page.wait_for_selector(".exotel-headline:has-text('You did not pick up')")


def save(page: Any) -> None:
    page.click("[name=_save]")
    page.wait_for_selector(".messagelist")


@pytest.mark.parametrize("options", [{}, {"dark": True}, {"width": 360}], ids=["wide", "dark", "narrow"])
def test_untouched_field_follows(ticket: Ticket, site: Any, exotel: Any, open_page: Open, options: Any) -> None:
    page = open_page(**options)

    call_and_end(page, site, exotel, ticket, notes="He wants a new fan")
    page.wait_for_selector(f".field-status {CHANGED}:has-text('Changed by the call')")

    assert page.input_value("#id_status") == "called"
    assert page.inner_text("[role=status].exotel-news") == "Changed by the call: Status"
    keep_picture(page, f"changed_by_call_{next(iter(options), 'wide')}")
    assert violations(page) == []
    save(page)
    ticket.refresh_from_db()
    assert (ticket.status, ticket.notes) == ("called", "He wants a new fan")


@pytest.mark.parametrize(
    "answer",
    [
        ("Keep mine", "waiting", {}),
        ("Take the new value", "called", {"dark": True}),
        ("Keep mine", "waiting", {"width": 360}),
    ],
    ids=["wide", "dark", "narrow"],
)
def test_field_that_both_changed_asks(
    ticket: Ticket, site: Any, exotel: Any, open_page: Open, answer: tuple[str, str, dict[str, Any]]
) -> None:
    button, stored, options = answer
    page = open_page(**options)

    call_and_end(page, site, exotel, ticket, status="waiting")
    page.wait_for_selector(f"{CHANGED}:has-text('The call changed this to “called”. You entered “waiting”.')")
    keep_picture(page, f"changed_by_both_{next(iter(options), 'wide')}")
    assert violations(page) == []
    page.click(f"{CHANGED} button:has-text('{button}')")

    assert page.input_value("#id_status") == stored
    assert page.evaluate("document.activeElement.id") == "id_status"
    save(page)
    ticket.refresh_from_db()
    assert ticket.status == stored


@pytest.mark.parametrize(("answer", "is_unsaved"), [("Take the new value", False), ("Keep mine", True)])
def test_value_that_was_taken_is_no_unsaved_edit(
    ticket: Ticket, site: Any, open_page: Open, answer: str, is_unsaved: bool
) -> None:
    """A press after it leaves the page for the one that asks, and opens it beside unsaved edits."""
    Customer.objects.update(other_phone="+919000001010")
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    page.fill("#id_status", "waiting")
    Ticket.objects.update(status="called", team="north")
    page.evaluate(STEP)
    page.click(f"{CHANGED} button:has-text('{answer}')")
    page.wait_for_selector(f".field-team {CHANGED}")

    page.click(".object-tools button.exotel-call")

    shown = ".exotel-headline:has-text('Choose whom to call.')" if is_unsaved else ".exotel-choose"
    page.wait_for_selector(shown)
    assert page.input_value("#id_status") == "waiting" if is_unsaved else "/exotel/choose/" in page.url


def test_question_without_answer_is_asked_at_save(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    page = open_page()
    call_and_end(page, site, exotel, ticket, status="waiting")
    page.wait_for_selector(f"{CHANGED} button")

    page.click("[name=_save]")
    page.wait_for_selector(".errorlist:has-text('Changed meanwhile to “called”. You entered “waiting”')")
    keep_picture(page, "stopped_at_save")
    assert violations(page) == []
    save(page)

    ticket.refresh_from_db()
    assert ticket.status == "waiting"


def test_save_is_stopped_without_script(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    page.fill("#id_status", "waiting")
    page.fill("#id_notes", "He wants a new fan")
    Ticket.objects.update(status="called", team="north")

    page.click("[name=_save]")
    page.wait_for_selector(".errorlist:has-text('Changed meanwhile to “called”. You entered “waiting”')")
    save(page)

    ticket.refresh_from_db()
    assert (ticket.status, ticket.team, ticket.notes) == ("waiting", "north", "He wants a new fan")


# Fields of every kind.


class LineInline(admin.TabularInline):
    model = Line
    extra = 0


class Plain(admin.ModelAdmin):
    inlines = [LineInline]


class Pickers(admin.ModelAdmin):
    autocomplete_fields = ["customer"]
    filter_horizontal = ["tags"]
    radio_fields = {"status": admin.VERTICAL}


class RawIds(admin.ModelAdmin):
    raw_id_fields = ["customer", "tags"]
    inlines = [LineInline]


class EditableList(admin.ModelAdmin):
    list_display = ["number", "status", "notes"]
    list_editable = ["status", "notes"]


class Customers(admin.ModelAdmin):
    search_fields = ["name"]


@pytest.fixture
def order(host: Any, settings: Any) -> Order:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": settings.EXOTEL_CCM["TICKETS"] | TICKETS}
    user = host.user("asha", *AGENT_WORK)
    user.is_superuser = True
    user.save()
    for key, name in ((1, "Ravi"), (2, "Meera")):
        Customer.objects.create(pk=key, name=name)
        Tag.objects.create(pk=key, name=name)
    order = Order.objects.create(number="A1", status="open", customer_id=1, notes="One\nTwo")
    order.tags.set([1])
    order.lines.create(pk=1, text="Fan")
    order.lines.create(pk=2, text="Lamp")
    return order


@pytest.fixture
def open_order(order: Order, settings: Any, site: Any, open_page: Open) -> Callable[..., Any]:
    def opened(model_admin: Any, path: str = "") -> Any:
        crm = admin.AdminSite(name="admin")
        crm.register(Order, model_admin)
        crm.register(Customer, Customers)
        settings.ROOT_URLCONF = urls_of(crm)
        page = open_page()
        page.crm = crm  # Django knows its sites weakly
        log_in(page, site.url, "asha")
        page.goto(f"{site.url}/admin/helpdesk/order/{path or f'{order.pk}/change/'}")
        return page

    return opened


DUE = datetime.datetime(2026, 5, 4, 6, 30, tzinfo=datetime.UTC)
VALUES = {
    "number": "B2",
    "status": "called",
    "customer_id": 2,
    "due_at": DUE,
    "day": datetime.date(2026, 5, 6),
    "is_paid": True,
    "is_urgent": False,
    "notes": "New\nlines",
    "options": {"a": 1},
}


def change_everything(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(**VALUES)
    order.tags.set([2])
    Line.objects.filter(pk=2).update(text="Big lamp")


def is_changed(order: Order) -> bool:
    order.refresh_from_db()
    stored = {name: getattr(order, name) for name in VALUES}
    stored["notes"] = order.notes.replace("\r\n", "\n")
    assert stored == VALUES
    return [tag.pk for tag in order.tags.all()] == [2] and Line.objects.get(pk=2).text == "Big lamp"


def notes_on(page: Any, count: int) -> dict[str, str]:
    """Wait for as many notes as there are, and return their texts by the row of the form."""
    page.wait_for_function(f"document.querySelectorAll('{CHANGED}').length === {count}", timeout=PATIENCE)
    found: dict[str, str] = page.evaluate(
        """selector => Object.fromEntries([...document.querySelectorAll(selector)].map(one => [
          /field-(\\w+)/.exec(one.closest("[class*=field-]").className)[1], one.innerText]))""",
        CHANGED,
    )
    return found


@pytest.mark.parametrize("model_admin", [Plain, Pickers, RawIds])
def test_every_widget_follows(open_order: Callable[..., Any], order: Order, model_admin: Any) -> None:
    page = open_order(model_admin)
    page.fill("#id_phone", "+919000001010")
    change_everything(order)
    Line.objects.filter(pk=2).update(text="Big lamp")

    page.evaluate(STEP)
    has_rows = model_admin is not Pickers
    notes = notes_on(page, 10 + has_rows)

    by_server = {name for name, text in notes.items() if text != "Changed by the call"}
    assert by_server == ({"tags"} if model_admin is Pickers else set())
    keep_picture(page, f"changed_by_call_{model_admin.__name__.lower()}")
    assert "Meera" in page.inner_text(".field-customer")
    assert page.input_value("#id_due_at_1") == "12:00:00"
    assert page.is_checked("#id_is_paid")
    save(page)
    assert is_changed(order)
    assert order.phone == "+919000001010"


def test_widgets_that_both_changed(open_order: Callable[..., Any], order: Order) -> None:
    page = open_order(Pickers)
    page.click("#id_tags_add_all, #id_tags_from ~ * .selector-chooseall, .selector-chooseall")
    page.fill("#id_due_at_0", "2026-05-09")
    page.fill("#id_due_at_1", "10:00:00")
    change_everything(order)

    page.evaluate(STEP)
    notes = notes_on(page, 10)

    assert notes["due_at"].startswith(
        "The call changed this to “2026-05-04 12:00:00”. You entered “2026-05-09 10:00:00”."
    )
    assert notes["tags"].startswith("The call changed this to “Meera”. You entered “Ravi, Meera”.")
    assert "Take the new value" in notes["due_at"]
    assert "Take the new value" not in notes["tags"]
    for field in ("due_at", "tags"):
        page.click(f".field-{field} {CHANGED} button:has-text('Keep mine')")
    save(page)
    order.refresh_from_db()
    assert order.due_at == datetime.datetime(2026, 5, 9, 4, 30, tzinfo=datetime.UTC)
    assert order.tags.count() == 2


def test_nothing_changes_under_the_cursor(open_order: Callable[..., Any], order: Order) -> None:
    page = open_order(Plain)
    before = page.input_value("#id_number")
    page.focus("#id_number")
    Order.objects.update(number="B2", phone="+919000001010")

    page.evaluate(STEP)
    page.wait_for_selector(f".field-phone {CHANGED}")
    in_use = page.input_value("#id_number"), page.locator(f".field-number {CHANGED}").count()
    page.focus("#id_phone")
    page.wait_for_selector(f".field-number {CHANGED}")

    assert in_use == (before, 0)
    assert page.input_value("#id_number") == "B2"
    assert page.evaluate("document.activeElement.id") == "id_phone"


def test_rows_that_moved_are_left_to_the_server(open_order: Callable[..., Any], order: Order) -> None:
    page = open_order(Plain)
    page.fill("#id_lines-1-text", "My lamp")
    Line.objects.filter(pk=1).delete()
    Order.objects.update(number="B2")

    page.evaluate(STEP)

    assert notes_on(page, 1) == {"number": "Changed by the call"}
    assert page.input_value("#id_lines-0-text") == "Fan"
    save(page)
    assert list(order.lines.values_list("text", flat=True)) == ["My lamp"]


def test_second_change_is_shown_too(open_order: Callable[..., Any], order: Order) -> None:
    page = open_order(Plain)
    for number in ("B2", "C3"):
        Order.objects.update(number=number)
        page.evaluate(STEP)
        page.wait_for_function(f"document.querySelector('#id_number').value === '{number}'")
    page.fill("#id_number", "Mine")

    save(page)

    order.refresh_from_db()
    assert order.number == "Mine"


def test_question_goes_when_the_change_is_undone(open_order: Callable[..., Any], order: Order) -> None:
    page, before = open_order(Plain), order.status
    page.select_option("#id_status", "shut")
    Order.objects.update(status="called")
    page.evaluate(STEP)
    assert notes_on(page, 1)["status"].startswith("The call changed this to “Called”. You entered “Shut”.")

    Order.objects.update(status=before)
    page.evaluate(STEP)

    page.wait_for_selector(".exotel-changed", state="detached")
    assert page.input_value("#id_status") == "shut"


def test_form_with_errors_asks(open_order: Callable[..., Any], order: Order) -> None:
    page = open_order(Plain)
    page.select_option("#id_status", "shut")
    page.fill("#id_number", "")
    page.click("[name=_save]")
    page.wait_for_selector(".errornote")
    Order.objects.update(status="called")

    page.evaluate(STEP)

    assert notes_on(page, 1)["status"].startswith("The call changed this to “Called”. You entered “Shut”.")


def test_row_of_a_list_follows(open_order: Callable[..., Any], order: Order) -> None:
    page = open_order(EditableList, "?all=")
    page.fill("#id_form-0-notes", "Mine")
    Order.objects.update(status="called")

    page.evaluate(STEP)
    notes_on(page, 1)
    keep_picture(page, "changed_by_call_list")
    save(page)

    order.refresh_from_db()
    assert (order.status, order.notes) == ("called", "Mine")
