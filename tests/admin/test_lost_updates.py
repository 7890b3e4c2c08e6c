"""A form that was open while a call changed its ticket never puts the old values back in silence."""

from __future__ import annotations

import datetime
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.admin import CallCustomerMixin
from tests.admin.orders import TICKETS, OpenForm, open_order
from tests.admin.pages import Session
from tests.helpdesk.models import Customer, Line, LoudTicket, Order, Tag, Ticket, UrgentTicket

NOON = datetime.datetime(2026, 5, 4, 6, 30, tzinfo=datetime.UTC)  # 12:00 in the site's zone


class LineInline(admin.TabularInline):
    model = Line
    extra = 1


class OrderAdmin(admin.ModelAdmin):
    inlines = [LineInline]


class WithoutExtra(admin.ModelAdmin):
    inlines = [type("Lines", (LineInline,), {"extra": 0})]


class Urgent(CallCustomerMixin, admin.ModelAdmin):
    pass


class Pickers(admin.ModelAdmin):
    """Widgets that show a key, or two lists beside each other."""

    raw_id_fields = ["customer"]
    filter_horizontal = ["tags"]
    radio_fields = {"status": admin.VERTICAL}


class RawTags(admin.ModelAdmin):
    raw_id_fields = ["tags"]


@pytest.fixture
def open_form(make_session: Callable[..., Session], settings: Any, order: Order) -> Callable[..., OpenForm]:
    """Return what opens the order's form in an admin of its own."""
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": settings.EXOTEL_CCM["TICKETS"] | TICKETS}

    def opened(model_admin: Any = OrderAdmin, *, query: str = "") -> OpenForm:
        session = make_session(Order, model_admin)
        session.user.is_superuser = True
        session.user.save()
        return open_order(session, order, query)

    return opened


@pytest.fixture
def order(host: Any) -> Order:
    customers = [Customer.objects.create(pk=key, name=name) for key, name in ((1, "Ravi"), (2, "Meera"), (3, "Vik"))]
    for key, name in ((1, "new"), (2, "late"), (3, "angry")):
        Tag.objects.create(pk=key, name=name)
    order = Order.objects.create(
        number="A1", status="open", customer=customers[0], due_at=NOON, day=NOON.date(), notes="One\nTwo", amount="5"
    )
    order.tags.set([1])
    order.lines.create(pk=101, text="Fan")
    order.lines.create(pk=102, text="Lamp")
    return order


@dataclass
class Case:
    """One field: what the call writes, what the user enters, and how both read on the page."""

    by_call: dict[str, Any]
    by_user: dict[str, Any]
    shown: tuple[str, str]
    kept: Any
    model_admin: Any = OrderAdmin

    def change(self, order: Order) -> None:
        """Do what a receiver does."""
        for name, value in self.by_call.items():
            if name == "tags":
                order.tags.set(value)
            elif name == "lines":
                Line.objects.filter(pk=101).update(text=value)
            else:
                Order.objects.filter(pk=order.pk).update(**{name: value})

    def stored(self, order: Order) -> Any:
        """Return what is stored in the field of the case."""
        [name] = self.by_call
        if name == "tags":
            return sorted(order.tags.values_list("pk", flat=True))
        if name == "lines":
            return Line.objects.get(pk=101).text
        return Order.objects.values_list(name, flat=True).get(pk=order.pk)


LATER = NOON + datetime.timedelta(hours=2)
CASES = {
    "choice": Case({"status": "called"}, {"status": "shut"}, ("Called", "Shut"), "shut"),
    "radio": Case({"status": "called"}, {"status": "shut"}, ("Called", "Shut"), "shut", Pickers),
    "text": Case({"number": "B2"}, {"number": "C3"}, ("B2", "C3"), "C3"),
    "lines of text": Case({"notes": "New\nlines"}, {"notes": "My\r\nlines"}, ("New", "My"), "My\r\nlines"),
    "foreign key": Case({"customer": 2}, {"customer": "3"}, ("Meera", "Vik"), 3),
    "raw id": Case({"customer": 2}, {"customer": "3"}, ("Meera", "Vik"), 3, Pickers),
    "many to many": Case({"tags": [1, 2]}, {"tags": ["1", "3"]}, ("new, late", "new, angry"), [1, 3]),
    "two lists": Case({"tags": [1, 2]}, {"tags": ["1", "3"]}, ("new, late", "new, angry"), [1, 3], Pickers),
    "raw ids": Case({"tags": [1, 2]}, {"tags": "1,3"}, ("1,2", "1,3"), [1, 3], RawTags),
    "date and time": Case(
        {"due_at": LATER},
        {"due_at_1": "18:00:00"},
        ("2026-05-04 14:00:00", "2026-05-04 18:00:00"),
        LATER + datetime.timedelta(hours=4),
    ),
    "date": Case({"day": "2026-05-05"}, {"day": "2026-05-09"}, ("2026-05-05", "2026-05-09"), datetime.date(2026, 5, 9)),
    "number": Case({"amount": "7.5"}, {"amount": "9"}, ("7.50", "9"), Decimal(9)),
    "three ways": Case({"is_urgent": True}, {"is_urgent": "false"}, ("Yes", "No"), False),
    "json": Case({"options": {"a": 1}}, {"options": '{"b": 2}'}, ('{"a": 1}', '{"b": 2}'), {"b": 2}),
    "inline": Case({"lines": "Big fan"}, {"lines__0__text": "Old fan"}, ("Big fan", "Old fan"), "Old fan"),
    "emptied by the call": Case({"notes": ""}, {"notes": "Mine"}, ("nothing", "Mine"), "Mine"),
    "emptied by the user": Case({"notes": "New"}, {"notes": ""}, ("New", "nothing"), ""),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@every_case
def test_untouched_field_follows(open_form: Callable[..., OpenForm], order: Order, case: Case) -> None:
    form = open_form(case.model_admin)
    case.change(order)
    changed = case.stored(order)

    assert form.enter(phone="+919000001010").save()

    assert case.stored(order) == changed
    assert Order.objects.get().phone == "+919000001010"


@every_case
def test_field_that_both_changed_asks_once(open_form: Callable[..., OpenForm], order: Order, case: Case) -> None:
    form = open_form(case.model_admin).enter(phone="+919000001010", **case.by_user)
    case.change(order)
    changed = case.stored(order)

    assert not form.save()
    [error] = form.errors
    assert [f"“{value}" in error.replace("&quot;", '"') for value in case.shown] == [True, True]
    assert (case.stored(order), Order.objects.get().phone) == (changed, "")

    assert form.save()
    assert (case.stored(order), Order.objects.get().phone) == (case.kept, "+919000001010")


@every_case
def test_only_the_user_changed(open_form: Callable[..., OpenForm], order: Order, case: Case) -> None:
    form = open_form(case.model_admin).enter(**case.by_user)

    assert form.save()
    assert case.stored(order) == case.kept


@every_case
def test_both_changed_to_the_same(open_form: Callable[..., OpenForm], order: Order, case: Case) -> None:
    form = open_form(case.model_admin).enter(**case.by_user)
    entered = Case(dict.fromkeys(case.by_call, case.kept), {}, ("", ""), None)
    entered.change(order)

    assert form.save()
    assert case.stored(order) == case.kept


def change(order: Order, **values: Any) -> None:
    Order.objects.filter(pk=order.pk).update(**values)


@pytest.mark.parametrize("is_paid", [True, False])
def test_tick_follows(open_form: Callable[..., OpenForm], order: Order, is_paid: bool) -> None:
    change(order, is_paid=not is_paid)
    form = open_form()
    change(order, is_paid=is_paid)

    assert form.enter(notes="Mine").save()
    assert Order.objects.get().is_paid == is_paid


def test_second_change_asks_again(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(number="Mine")
    change(order, number="First")
    assert not form.save()
    change(order, number="Second")

    assert not form.save()
    assert ["“Second”" in one for one in form.errors] == [True]
    assert form.save()
    assert Order.objects.get().number == "Mine"


def test_stop_keeps_what_followed(open_form: Callable[..., OpenForm], order: Order) -> None:
    """What took the new value on the page that asks still has it when that page is saved."""
    form = open_form().enter(number="Mine")
    change(order, number="Theirs", status="called", due_at=LATER, is_paid=True)
    order.tags.set([2])

    assert not form.save()
    assert form.save()

    order.refresh_from_db()
    assert (order.number, order.status, order.due_at, order.is_paid) == ("Mine", "called", LATER, True)
    assert [tag.pk for tag in order.tags.all()] == [2]


def test_form_with_errors_comes_back_with_what_followed(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(number="", notes="Mine")
    change(order, status="called")

    assert not form.save()
    assert form.enter(number="A2").save()

    order.refresh_from_db()
    assert (order.number, order.notes, order.status) == ("A2", "Mine", "called")


def test_change_after_errors(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(number="", status="shut")
    assert not form.save()
    change(order, status="called", is_paid=True)

    assert not form.enter(number="A2").save()
    assert ["“Called”" in one for one in form.errors] == [True]
    assert form.save()

    order.refresh_from_db()
    assert (order.number, order.status, order.is_paid) == ("A2", "shut", True)


# Rows of an inline.


def test_row_that_the_call_added_stays(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(lines__0__text="Big fan", lines__2__text="Bulb")
    order.lines.create(text="By the call")

    assert form.save()
    assert sorted(order.lines.values_list("text", flat=True)) == ["Big fan", "Bulb", "By the call", "Lamp"]


def test_row_that_the_call_deleted(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(lines__1__text="Big lamp", lines__2__text="Bulb")
    Line.objects.filter(pk=101).delete()

    assert form.save(), form.errors
    assert sorted(order.lines.values_list("text", flat=True)) == ["Big lamp", "Bulb"]


def test_row_that_the_call_deleted_and_the_user_edited(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(lines__0__text="Big fan", lines__1__text="Big lamp")
    Line.objects.filter(pk=101).delete()
    Line.objects.filter(pk=102).update(pieces=7)

    assert not form.save()
    assert ["You had entered “Big fan”" in one for one in form.errors] == [True]
    assert form.save()
    assert list(order.lines.values_list("text", "pieces")) == [("Big lamp", 7)]


def test_row_that_the_call_changed_is_not_deleted_unseen(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(lines__0__DELETE="on")
    Line.objects.filter(pk=101).update(text="Big fan", pieces=4)

    assert not form.save()
    assert sorted("“Big fan”" in one for one in form.errors) == [False, True]
    assert order.lines.count() == 2
    assert form.enter(lines__0__DELETE="on").save()
    assert order.lines.count() == 1


def test_rows_that_the_user_deletes(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(lines__0__DELETE="on")
    change(order, status="called")

    assert form.save(), form.errors
    assert list(order.lines.values_list("text", flat=True)) == ["Lamp"]


class ReadOnlyLines(LineInline):
    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False


class WithReadOnlyLines(admin.ModelAdmin):
    inlines = [ReadOnlyLines]


def test_rows_that_are_read_only(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form(WithReadOnlyLines).enter(notes="Mine")
    Line.objects.filter(pk=101).update(text="Big fan")
    order.lines.create(text="By the call")

    assert form.save()
    assert sorted(order.lines.values_list("text", flat=True)) == ["Big fan", "By the call", "Lamp"]


# Forms of the host's own making.


class OwnForm(forms.ModelForm):
    prefix = "own"
    remark = forms.CharField(required=False)
    exotel_shown = forms.CharField(required=False)
    token = forms.CharField(widget=forms.HiddenInput)
    opened_at = forms.CharField()
    never_the_same = forms.CharField(required=False)

    class Meta:
        model = Order
        fields = ["number", "status", "secret", "due_at", "day", "tags", "customer"]
        widgets = {"secret": forms.PasswordInput, "day": forms.SelectDateWidget(years=[2026, 2027])}

    class Media:
        extend = False
        js = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["remark"].initial = self.instance.notes
        self.fields["token"].initial = uuid.uuid4().hex
        self.fields["opened_at"].initial = uuid.uuid4
        self.fields["never_the_same"].initial = uuid.uuid4().hex

    def clean_token(self) -> str:
        token = str(self.cleaned_data["token"])
        assert token in self.data.values()
        return token


class OwnAdmin(admin.ModelAdmin):
    form = OwnForm
    tokens: list[str] = []

    class Media:
        extend = False

    def get_form(self, request: Any, obj: Any = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        form.base_fields["number"].help_text = "As on the letter"
        return form

    def save_form(self, request: Any, form: Any, change: bool) -> Any:
        order = form.save(commit=False)
        order.notes = form.cleaned_data["remark"]
        return order

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        self.tokens.append(form.cleaned_data["token"])
        if form.cleaned_data["secret"] != "":
            obj.secret = f"hash of {form.cleaned_data['secret']}"
        else:
            obj.secret = form.initial["secret"]
        obj.save()


def test_own_form_follows(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form(OwnAdmin).enter(own__number="Mine")
    assert "As on the letter" in form.page.text
    change(order, status="called", notes="Said", secret="changed", day="2026-06-07")
    token = form.data["own-token"]

    assert form.save()

    order.refresh_from_db()
    assert (order.number, order.status, order.notes, order.secret) == ("Mine", "called", "Said", "changed")
    assert order.day == datetime.date(2026, 6, 7)
    assert OwnAdmin.tokens[-1:] == token
    assert "hash" not in form.page.html


def test_own_form_asks_once(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form(OwnAdmin).enter(
        own__number="Mine", own__remark="Typed", own__day_year="2027", own__never_the_same="x", own__exotel_shown="y"
    )
    change(order, number="Theirs", notes="Said", day="2026-06-07")

    assert not form.save()
    text = " ".join(form.errors)
    assert [one in text for one in ("“Theirs”", "“Said”", "“2026 6 7”", "“2027 5 4”")] == [True] * 4
    assert form.save()

    order.refresh_from_db()
    assert (order.number, order.notes, order.day) == ("Mine", "Typed", datetime.date(2027, 5, 4))


def test_own_form_is_saved_when_nothing_changed(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form(OwnAdmin).enter(own__number="Mine", own__secret="new", own__remark="Typed")

    assert form.save()

    order.refresh_from_db()
    assert (order.number, order.notes, order.secret) == ("Mine", "Typed", "hash of new")


class Hiding(admin.ModelAdmin):
    readonly_fields = ["number", "status"]
    exclude = ["notes"]
    save_as = True


def test_page_says_nothing_of_hidden_fields(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form(Hiding)
    change(order, number="B2", status="called", notes="Said")

    named = set(json.loads(form.data["exotel:shown"][0])["digests"])
    assert named == {
        "phone",
        "customer",
        "tags",
        "due_at",
        "day",
        "amount",
        "is_paid",
        "is_urgent",
        "options",
        "scan",
        "secret",
    }
    assert form.enter(phone="+919000001010").save()
    order.refresh_from_db()
    assert (order.number, order.status, order.notes) == ("B2", "called", "Said")


def test_save_as_new_is_not_stopped(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form(Hiding).enter(phone="+919000001010")
    change(order, phone="+919000001009")

    form.save("_saveasnew")

    assert sorted(Order.objects.values_list("phone", flat=True)) == ["+919000001009", "+919000001010"]


def test_popup_is_compared(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form(query="?_popup=1").enter(number="Mine")
    change(order, number="Theirs", status="called")

    assert not form.save("_save")
    form.save("_save")
    order.refresh_from_db()
    assert (order.number, order.status) == ("Mine", "called")


def test_deleted_ticket(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form().enter(number="Mine")
    order.delete()

    form.save()

    assert "Perhaps it was deleted?" in form.page.text
    assert not Order.objects.exists()


class Broken(forms.CharField):
    def to_python(self, value: Any) -> Any:
        if value == "broken":
            raise RuntimeError("of the host's own")
        return super().to_python(value)


class BrokenForm(forms.ModelForm):
    phone = Broken(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kwargs.get("instance").phone == "stored":
            self.fields["phone"].to_python = lambda value: 1 / 0 if value == "stored" else value


class BrokenAdmin(admin.ModelAdmin):
    form = BrokenForm


def test_failure_of_the_comparison_leaves_the_save(
    open_form: Callable[..., OpenForm], order: Order, caplog: pytest.LogCaptureFixture
) -> None:
    form = open_form(BrokenAdmin).enter(number="Mine")
    change(order, phone="stored")

    assert form.save()

    assert Order.objects.get().number == "Mine"
    assert "could not be compared with what is stored" in caplog.text


def test_field_that_cannot_be_compared(open_form: Callable[..., OpenForm], order: Order) -> None:
    change(order, phone="broken")
    form = open_form(BrokenAdmin)

    assert "phone" not in json.loads(form.data["exotel:shown"][0])["digests"]
    assert "number" in json.loads(form.data["exotel:shown"][0])["digests"]


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "x",
        "[]",
        "7",
        "{}",
        '{"digests": 7, "asked": []}',
        '{"digests": {}, "asked": 7}',
        '{"digests": {"number": 7, "status": null, "": []}, "asked": [7]}',
        '{"digests": {"number": "x"}, "asked": ["number"]}',
        "[" * 5000,
        "x" * 600_000,
    ],
)
def test_forged_field_only_overwrites(open_form: Callable[..., OpenForm], order: Order, forged: str) -> None:
    form = open_form().enter(notes="Mine", **{"exotel:shown": forged})

    assert form.save() or form.save()
    assert Order.objects.get().notes == "Mine"


# Files.


@pytest.fixture
def media(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


def scan(name: str) -> Any:
    return SimpleUploadedFile(name, b"%PDF")


def test_file_follows(open_form: Callable[..., OpenForm], order: Order, media: None) -> None:
    form = open_form().enter(number="Mine")
    change(order, scan="scans/theirs.pdf")

    assert form.save()
    assert Order.objects.get().scan == "scans/theirs.pdf"


def test_file_that_both_chose(open_form: Callable[..., OpenForm], order: Order, media: None) -> None:
    form = open_form().enter(number="Mine")
    change(order, scan="scans/theirs.pdf")

    assert not form.save(scan=scan("mine.pdf"))
    assert ["“scans/theirs.pdf”" in one for one in form.errors] == [True]
    assert form.save(scan=scan("mine.pdf"))
    assert Order.objects.get().scan == "scans/mine.pdf"


def test_file_of_the_user(open_form: Callable[..., OpenForm], order: Order, media: None) -> None:
    assert open_form().save(scan=scan("mine.pdf"))
    assert Order.objects.get().scan == "scans/mine.pdf"


# The list.


class EditableList(admin.ModelAdmin):
    list_display = ["number", "status", "notes", "customer"]
    list_editable = ["status", "notes", "customer"]
    list_filter = ["status"]


@pytest.fixture
def open_list(open_form: Callable[..., OpenForm], order: Order) -> Callable[..., OpenForm]:
    other = Order.objects.create(number="A0", status="open", customer_id=1)
    assert other.pk > order.pk

    def opened(query: str = "") -> OpenForm:
        session = open_form(EditableList).session
        return OpenForm(session, session.url("helpdesk_order_changelist") + query, "changelist-form")

    return opened


def row_of(form: OpenForm, order: Order) -> str:
    """Return the prefix of the order's row."""
    [name] = [name for name, values in form.data.items() if name.endswith("-id") and values == [str(order.pk)]]
    return name.removesuffix("-id").replace("-", "__")


@pytest.mark.parametrize("query", ["", "?status__exact=open"])
def test_untouched_row_of_a_list_follows(open_list: Callable[..., OpenForm], order: Order, query: str) -> None:
    form = open_list(query)
    row = row_of(form, order)
    form.enter(**{f"{row}__notes": "Mine"})
    change(order, status="called", customer=2)

    assert form.save("_save")

    order.refresh_from_db()
    assert (order.status, order.customer_id, order.notes) == ("called", 2, "Mine")


@pytest.mark.parametrize("query", ["", "?status__exact=open"])
def test_row_of_a_list_that_both_changed(open_list: Callable[..., OpenForm], order: Order, query: str) -> None:
    form = open_list(query)
    other = Order.objects.get(number="A0")
    form.enter(**{f"{row_of(form, order)}__status": "shut", f"{row_of(form, other)}__notes": "Mine"})
    change(order, status="called", customer=2)

    assert not form.save("_save")
    assert ["“Called”" in one and "“Shut”" in one for one in form.errors] == [True]
    assert form.save("_save")

    order.refresh_from_db()
    other.refresh_from_db()
    assert (order.status, order.customer_id, other.notes) == ("shut", 2, "Mine")


def test_row_of_a_list_that_was_deleted(open_list: Callable[..., OpenForm], order: Order) -> None:
    form = open_list()
    other = Order.objects.get(number="A0")
    form.enter(**{f"{row_of(form, other)}__notes": "Mine"})
    order.delete()

    assert form.save("_save")
    assert Order.objects.get().notes == "Mine"


# What it costs.


def statements(work: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        work()
    return [query["sql"] for query in queries]


def test_no_field_for_who_may_not_call(open_form: Callable[..., OpenForm], order: Order) -> None:
    form = open_form()
    form.session.user.is_superuser = False
    form.session.user.save()
    form.session.user.user_permissions.set(Permission.objects.filter(codename__endswith="_order"))

    form = open_order(form.session, order)
    assert "exotel:shown" not in form.data
    assert "changed_by_call.js" not in form.page.html
    form.enter(number="Mine")
    change(order, number="Theirs")
    assert form.save()


@pytest.mark.parametrize("rows", [2, 30])
def test_what_follows_costs_one_statement(open_form: Callable[..., OpenForm], order: Order, rows: int) -> None:
    form = open_form()
    Line.objects.bulk_create(Line(order=order, text="More") for _ in range(rows - 2))

    def save(**given: Any) -> list[str]:
        opened = open_order(form.session, order).enter(**given)
        if "exotel:shown" in opened.data:
            change(order, status="called")
            order.tags.set([1, 2])
            order.lines.update(pieces=3)
        return statements(lambda: form.session.client.post(opened.url, opened.data | {"_save": ["Save"]}))

    without_us = save(number="Other", **{"exotel:shown": None})
    with_us = save(number="Mine")

    has_locks = connection.features.has_select_for_update
    assert len([one for one in with_us if "FOR UPDATE" in one]) == has_locks
    assert len(with_us) == len(without_us) + 1 + 3 * has_locks  # the tags; the lock, in a savepoint
    assert Order.objects.values_list("number", "status").get() == ("Mine", "called")


def test_page_costs_one_statement(
    open_form: Callable[..., OpenForm], order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = open_form(Pickers)
    form.session.get(form.url)
    with_us = statements(lambda: form.session.get(form.url))
    monkeypatch.setattr("django_exotel_ccm.admin.shown._digests", lambda form, names: {})

    assert len(statements(lambda: form.session.get(form.url))) == len(with_us) - 1


class Slow(admin.ModelAdmin):
    """Takes a while to save, and meanwhile a call changes the ticket."""

    change: threading.Thread

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        self.change.start()
        self.change.join(timeout=0.5)
        super().save_model(request, obj, form, change)


@pytest.mark.not_on_sqlite(reason="locks a row")
def test_change_during_the_save_waits(open_form: Callable[..., OpenForm], order: Order) -> None:
    def change_and_close() -> None:
        change(order, status="called")
        connection.close()

    Slow.change = threading.Thread(target=change_and_close)
    form = open_form(Slow).enter(number="Mine")

    assert form.save()
    Slow.change.join(timeout=10)

    assert Order.objects.values_list("number", "status").get() == ("Mine", "called")


# Tickets of other kinds.


class Loud(CallCustomerMixin, admin.ModelAdmin):
    """A proxy's admin, with the mixin by hand and methods in front of it."""

    def get_form(self, request: Any, obj: Any = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        form.base_fields["subject"].help_text = "In few words"
        return form


def test_proxy_with_the_mixin(host: Any, make_session: Callable[..., Session]) -> None:
    ticket = host.ticket(notes="Noisy")
    session = make_session(LoudTicket, Loud)
    session.user.is_superuser = True
    session.user.save()
    url = session.url("helpdesk_loudticket_change", ticket.pk)
    form = OpenForm(session, url, "loudticket_form").enter(subject="Mine")
    assert "In few words" in form.page.text
    Ticket.objects.update(status="called", subject="Theirs")

    assert not form.save()
    assert form.save()
    ticket.refresh_from_db()
    assert (ticket.status, ticket.subject, ticket.notes) == ("called", "Mine", "Noisy")


def test_child_with_fields_of_its_parent(host: Any, make_session: Callable[..., Session]) -> None:
    customer = host.ticket().customer
    urgent = UrgentTicket.objects.create(subject="Fire", customer=customer)
    session = make_session(UrgentTicket, Urgent)
    session.user.is_superuser = True
    session.user.save()
    form = OpenForm(session, session.url("helpdesk_urgentticket_change", urgent.pk), "urgentticket_form")
    Ticket.objects.filter(pk=urgent.pk).update(status="called")

    assert form.enter(deadline="2026-05-04").save()
    urgent.refresh_from_db()
    assert (urgent.status, urgent.deadline) == ("called", datetime.date(2026, 5, 4))
