"""Forms of hosts' own making, whose save must never fail or change because of our comparison."""

from __future__ import annotations

import functools
import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms.models import BaseInlineFormSet

from django_exotel_ccm.admin import shown
from tests.admin.orders import OpenForm
from tests.admin.pages import Session
from tests.admin.test_lost_updates import LineInline, Urgent, change, open_form, order, statements
from tests.helpdesk.models import Customer, Line, Order, UrgentTicket

__all__ = ["open_form", "order"]
Open = Callable[..., OpenForm]
count = itertools.count()


def admin_of(form: Any, **attributes: Any) -> Any:
    return type("OwnAdmin", (admin.ModelAdmin,), {"form": form, **attributes})


# Nothing changed.


class RandomSecret(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.secret:
            self.initial["secret"] = uuid.uuid4().hex[:8]


class OnlyOnThePage(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_bound:
            self.initial["secret"] = "suggested"
            self.initial["tags"] = [2, 3]


class InRender(admin.ModelAdmin):
    def render_change_form(self, request: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        context["adminform"].form.initial["secret"] = "suggested"
        return super().render_change_form(request, context, *args, **kwargs)


class Value:
    pass


class ObjectField(forms.CharField):
    def to_python(self, value: Any) -> Any:
        return Value()

    def clean(self, value: Any) -> Any:
        return value


class ObjectForm(forms.ModelForm):
    secret = ObjectField(required=False)


class NeverTheSame(forms.CharField):
    def prepare_value(self, value: Any) -> Any:
        return f"{value}{next(count)}"


class NeverTheSameForm(forms.ModelForm):
    secret = NeverTheSame(required=False)


SUGGESTING = [
    pytest.param(admin_of(RandomSecret), id="random"),
    pytest.param(admin_of(OnlyOnThePage), id="only on the page"),
    pytest.param(InRender, id="in render_change_form"),
    pytest.param(admin_of(ObjectForm), id="object"),
    pytest.param(admin_of(NeverTheSameForm), id="prepare_value"),
]


@pytest.mark.parametrize("model_admin", SUGGESTING)
def test_what_the_host_shows_is_saved(open_form: Open, order: Order, model_admin: Any) -> None:
    form = open_form(model_admin)
    shown = form.data["secret"][0]

    assert form.save()

    assert Order.objects.get().secret == shown


@pytest.mark.parametrize("model_admin", SUGGESTING)
def test_what_the_user_enters_instead_is_saved(open_form: Open, order: Order, model_admin: Any) -> None:
    assert open_form(model_admin).enter(secret="Mine").save()
    assert Order.objects.get().secret == "Mine"


@pytest.mark.parametrize("model_admin", SUGGESTING[:3])
def test_suggestion_asks_once_when_the_call_changed_the_field(open_form: Open, order: Order, model_admin: Any) -> None:
    form = open_form(model_admin)
    shown = form.data["secret"][0]
    change(order, secret="4711")

    assert not form.save()
    assert ["“4711”" in one for one in form.errors] == [True]
    assert form.save()
    assert Order.objects.get().secret == shown


class Extra(forms.ModelForm):
    called_at = forms.CharField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["called_at"].initial = str(next(count))


def test_field_of_no_model_is_saved_as_shown(open_form: Open, order: Order) -> None:
    seen = []

    def save_model(_self: Any, request: Any, obj: Any, form: Any, change: bool) -> None:
        seen.append(form.cleaned_data["called_at"])

    form = open_form(admin_of(Extra, save_model=save_model))
    shown = form.data["called_at"][0]

    assert form.save()
    assert form.enter(called_at="Mine").save()
    assert seen == [shown, "Mine"]


# A call changed the order.


class ValidatesItself(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_bound and self.errors:
            self.fields["phone"].help_text = "wrong"


class RequestForm(forms.ModelForm):
    def __init__(self, *args: Any, request: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class WithRequest(admin.ModelAdmin):
    fields = ["number", "status", "customer"]
    form = RequestForm

    def get_form(self, request: Any, obj: Any = None, **kwargs: Any) -> Any:
        return functools.partial(super().get_form(request, obj, **kwargs), request=request)


class MadeByAnother(admin.ModelAdmin):
    """A known way of handing the request to a form."""

    fields = ["number", "status", "customer"]
    form = RequestForm

    def get_form(self, request: Any, obj: Any = None, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, **kwargs)

        class WithRequest(form):
            def __new__(cls, *args: Any, **kwargs: Any) -> Any:
                return form(*args, **kwargs, request=request)

        return WithRequest


@pytest.mark.parametrize(
    "model_admin",
    [admin_of(ValidatesItself), WithRequest, MadeByAnother],
    ids=["validates", "partial", "made by another"],
)
def test_unusual_form_follows(open_form: Open, order: Order, model_admin: Any) -> None:
    form = open_form(model_admin).enter(number="Mine")
    change(order, status="called")

    assert form.save()
    assert Order.objects.values_list("number", "status").get() == ("Mine", "called")


def test_form_that_another_class_makes_asks_once(open_form: Open, order: Order) -> None:
    form = open_form(MadeByAnother).enter(number="Mine")
    change(order, number="Theirs")

    assert not form.save()
    assert form.errors == ["Changed meanwhile to “Theirs”. You entered “Mine”: save again to keep that."]
    assert form.save()
    assert Order.objects.get().number == "Mine"


class MadeAndValidated(MadeByAnother):
    form = type("Validating", (ValidatesItself, RequestForm), {})


def test_form_that_is_made_and_validated_is_saved_and_logged(
    open_form: Open, order: Order, caplog: pytest.LogCaptureFixture
) -> None:
    form = open_form(MadeAndValidated).enter(number="Mine")
    change(order, status="called")

    assert form.save()
    assert "cannot be compared with what is stored" in caplog.text


class Made(forms.ModelForm):
    """Makes itself, which is no other class."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        made.helper = "of a form library"
        return made


def test_form_with_a_new_of_its_own_follows(open_form: Open, order: Order) -> None:
    form = open_form(admin_of(Made)).enter(number="Mine")
    change(order, status="called")

    assert form.save()
    assert Order.objects.get().status == "called"


# What a page hides stays hidden.


class Dots(forms.TextInput):
    """Shows dots, and takes what is entered in their place."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        return super().render(name, "", {**(attrs or {}), "placeholder": "••••"}, renderer)


class Masking(forms.ModelForm):
    secret = forms.CharField(required=False, widget=Dots)
    scan = forms.FileField(required=False, widget=forms.FileInput)


def test_message_says_only_what_the_page_shows(open_form: Open, order: Order, tmp_path: Any, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    change(order, secret="first", scan="first.pdf")
    form = open_form(admin_of(Masking)).enter(secret="Mine")
    change(order, secret="4711", scan="second.pdf", phone="+919000001010")

    assert not form.save(scan=SimpleUploadedFile("mine.pdf", b"x"))
    assert form.errors == [
        "Changed meanwhile. To replace what is stored, choose your file again, and save.",
        "Changed meanwhile. You entered “Mine”: save again to keep that.",
    ]
    assert "4711" not in form.page.html
    assert "second.pdf" not in form.page.html


def test_page_with_too_many_fields_says_so_once(
    open_form: Open, order: Order, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shown, "MAX_LENGTH", 100)
    shown._warn_of_length.cache_clear()

    form = open_form(admin_of(forms.ModelForm))
    form.session.get(form.url)

    assert "exotel:shown" not in form.data
    assert [one.message for one in caplog.records if one.name == shown.__name__] == [
        "The form of helpdesk.order has too many fields: a save can put back what a call changed meanwhile."
    ]


class MakesItsForms(BaseInlineFormSet):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for form in self.forms:
            form.fields["text"].help_text = "As on the label"


class WithLines(admin.ModelAdmin):
    inlines = [type("Lines", (LineInline,), {"formset": MakesItsForms})]


def test_formset_that_makes_its_forms_follows(open_form: Open, order: Order) -> None:
    form = open_form(WithLines).enter(number="Mine")
    Line.objects.filter(pk=101).update(text="Big fan")

    assert form.save()
    assert Line.objects.get(pk=101).text == "Big fan"


def test_formset_that_makes_its_forms_and_a_deleted_row(open_form: Open, order: Order) -> None:
    form = open_form(WithLines).enter(lines__1__text="Big lamp")
    Line.objects.filter(pk=101).delete()

    assert form.save(), form.errors
    assert list(Line.objects.values_list("text", flat=True)) == ["Big lamp"]


class Limited(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer"].queryset = Customer.objects.filter(pk__in=[1, 2])
        self.fields["status"].choices = [("open", "Open"), ("shut", "Shut")]


@pytest.mark.parametrize("by_call", [{"customer": 3}, {"status": "called"}, {"status": "of no choice"}])
def test_stored_value_that_the_user_cannot_choose_stays(open_form: Open, order: Order, by_call: Any) -> None:
    form = open_form(admin_of(Limited)).enter(number="Mine")
    change(order, **by_call)

    assert form.save(), form.errors
    assert Order.objects.filter(number="Mine", **by_call).exists()


class Version(forms.ModelForm):
    class Meta:
        model = Order
        fields = ["number", "status", "customer", "secret"]
        widgets = {"secret": forms.HiddenInput}

    def clean_secret(self) -> str:
        if self.cleaned_data["secret"] != self.initial["secret"]:
            raise forms.ValidationError("stale")
        return str(self.cleaned_data["secret"])


def test_version_of_the_host_still_refuses(open_form: Open, order: Order) -> None:
    change(order, secret="1")
    form = open_form(admin_of(Version)).enter(number="Mine")
    change(order, secret="2", status="called")

    assert not form.save()
    assert Order.objects.get().number == "A1"


# The page.


class OddInline(admin.ModelAdmin):
    inlines = [LineInline]

    def get_inline_formsets(self, *args: Any, **kwargs: Any) -> Any:
        found = super().get_inline_formsets(*args, **kwargs)

        class Own:
            opts, formset, media = found[0].opts, found[0].formset, found[0].formset.media
            inline_formset_data = "{}"

            def __iter__(self) -> Any:
                return iter(())

            def fields(self) -> Any:
                return []

        return [*found, Own()]


def test_inline_of_another_class_leaves_the_page(open_form: Open, order: Order) -> None:
    form = open_form(OddInline)

    assert {"number", "lines-0-text"} < set(json.loads(form.data["exotel:shown"][0])["digests"])


def test_check_of_the_script_leaves_messages(open_form: Open, order: Order) -> None:
    form = open_form()
    form.session.client.post(form.url, form.data | {"_continue": ["Save"]})

    checked = form.session.client.get(form.url, headers={"X-Exotel-Check": "1"})
    shown = form.session.client.get(form.url)

    assert ["was changed successfully" in one.content.decode() for one in (checked, shown)] == [False, True]


def test_page_made_with_another_key_is_saved(open_form: Open, order: Order, settings: Any) -> None:
    form = open_form().enter(number="Mine")
    form.data["exotel:shown"] = [form.data["exotel:shown"][0].replace('"key":"', '"key":"x')]

    assert form.save()


# The database.


@pytest.mark.not_on_sqlite(reason="locks a row")
def test_child_is_locked_in_the_table_of_its_parent(host: Any, make_session: Callable[..., Session]) -> None:
    urgent = UrgentTicket.objects.create(subject="Fire", customer=host.ticket().customer)
    session = make_session(UrgentTicket, Urgent)
    session.user.is_superuser = True
    session.user.save()
    form = OpenForm(session, session.url("helpdesk_urgentticket_change", urgent.pk), "urgentticket_form")

    found = statements(form.save)

    locks = [one for one in found if "FOR UPDATE" in one]
    assert ["helpdesk_urgentticket" in one for one in locks] == [False, True]
    assert "helpdesk_ticket" in locks[0]


class Sliced(BaseInlineFormSet):
    def get_queryset(self) -> Any:
        return super().get_queryset()[:1]


class WithSlice(admin.ModelAdmin):
    inlines = [type("Lines", (LineInline,), {"formset": Sliced, "extra": 0})]


def test_row_beyond_the_queryset_is_not_taken_for_deleted(open_form: Open, order: Order) -> None:
    form = open_form(WithSlice).enter(lines__0__text="Big fan")
    Line.objects.filter(pk=101).update(order=Order.objects.create(number="A0", status="open", customer_id=1))

    form.save()

    assert "A row was deleted meanwhile" not in form.page.text


class ShowsInitial(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["status"].show_hidden_initial = True


def test_hidden_initial_follows_too(open_form: Open, order: Order) -> None:
    changed: list[str] = []

    def save_model(_self: Any, request: Any, obj: Any, form: Any, change: bool) -> None:
        changed.extend(form.changed_data)
        obj.save()

    form = open_form(admin_of(ShowsInitial, save_model=save_model)).enter(number="Mine")
    change(order, status="called")

    assert form.save()
    assert ("number" in changed, "status" in changed, Order.objects.get().status) == (True, False, "called")
