"""Keeps a save from putting back what was changed while its form was open, for instance by a call.

The page says in one hidden field what its fields showed: a digest by the name of each. When the form comes back, and
Django has loaded the stored values that it compares with anyway, each field is compared three ways. What was not
touched takes the stored value; what was changed on both sides stops the save once. A failure in here leaves the save
as it would be without us.

The field is not signed: who forges it overwrites what they may overwrite anyway.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import Model
from django.forms import BaseModelFormSet, FileField, ModelForm
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_exotel_ccm.admin.deleted_rows import drop_deleted_rows
from django_exotel_ccm.admin.form_values import (
    Sent,
    digest,
    is_comparable,
    is_of_model,
    stored,
    text_of,
)

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin
    _Form = ModelForm
    _FormSet = BaseModelFormSet
else:
    _Admin = _Form = _FormSet = object  # the host's own class comes behind ours
FIELD = "exotel:shown"
"""The name of our hidden field. No field of a form can be called so, because a colon stands in no Python name."""
MAX_LENGTH = 500_000
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page showed: digests by the names of its inputs, and the names about which it asked already."""

    digests: dict[str, str]
    asked: frozenset[str] = frozenset()

    @classmethod
    def of(cls, request: HttpRequest) -> Shown | None:
        """Return what the page showed from which a form is sent; None if it does not say so."""
        text = request.POST.get(FIELD, "") if request.method == "POST" else ""
        if not text or len(text) > MAX_LENGTH:
            return None
        try:
            given = json.loads(text)
            return cls(dict(given["digests"]), frozenset(given["asked"]))
        except (ValueError, TypeError, LookupError, RecursionError):
            return None

    def as_json(self) -> str:
        """Return the value of the hidden field."""
        return json.dumps({"digests": self.digests, "asked": sorted(self.asked)}, separators=(",", ":"))


# The page.


def shown_on_form(context: dict[str, Any]) -> str:
    """Return the value of our field for the page of a change form, or "" if there is nothing to compare."""
    admin_form = context.get("adminform")
    named = [(admin_form.form, _names(admin_form))] if admin_form is not None else []
    for inline in context.get("inline_admin_formsets") or ():
        if inline.has_change_permission:
            named += [(form, _names(inline)) for form in inline.formset.initial_forms]
    return _shown(named)


def shown_in_list(formset: Any) -> str:
    """Return the value of our field for a list whose rows can be edited."""
    return _shown([(form, list(form.fields)) for form in formset.initial_forms])


def _names(shown: Any) -> list[str]:
    # What the host's form has beyond these is not on the page.
    return [name for name in flatten_fieldsets(shown.fieldsets) if name not in shown.readonly_fields]


def _shown(named: Iterable[tuple[Any, list[str]]]) -> str:
    digests: dict[str, str] = {}
    asked: set[str] = set()
    for form, names in named:
        if isinstance(form, _Comparing):
            asked |= form.exotel_shown.asked | {form.add_prefix(name) for name in form.exotel_conflicts}
        for name in {*names, *_key_of_row(form)} & {*form.fields}:
            try:
                if is_comparable(form, name):
                    _sent, digests[form.add_prefix(name)] = stored(form, name)
            except Exception:
                # A field of the host's that shows its value in a way of its own is not compared.
                logger.debug("The field %s of %s cannot be compared.", name, type(form).__name__, exc_info=True)
    return Shown(digests, frozenset(asked)).as_json() if digests else ""


def _key_of_row(form: Any) -> list[str]:
    key = form._meta.model._meta.pk.name
    return [key] if form.prefix and key in form.fields else []


# The save.


class LostUpdatesMixin(_Admin):
    """Has the forms of a ModelAdmin compare, when they come from a page that says what it showed."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Lock the ticket before it is read, when its form is saved."""
        if Shown.of(request):
            _lock_row(self.model, object_id, from_field)
        return super().get_object(request, object_id, from_field)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the host's form, made to compare."""
        form = super().get_form(request, obj, change=change, **kwargs)
        shown = Shown.of(request) if change else None
        return _comparing(_Comparing, form, shown) if shown else form

    def get_formsets_with_inlines(self, request: HttpRequest, obj: Any = None) -> Iterator[Any]:
        """Yield the inlines' formsets, made to compare."""
        shown = Shown.of(request) if obj is not None else None
        for formset, inline in super().get_formsets_with_inlines(request, obj):
            yield (_comparing(_ComparingRows, formset, shown) if shown else formset), inline

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the formset of a list whose rows can be edited, made to compare."""
        formset = super().get_changelist_formset(request, **kwargs)
        shown = Shown.of(request)
        return _comparing(_ComparingRows, formset, shown) if shown else formset


def _lock_row(model: type[Model], key: str, from_field: str | None) -> None:
    """Lock the row whose form is saved, so that nothing changes it between our comparison and the save.

    Does nothing outside of a transaction and in a database without such locks.
    """
    using = router.db_for_write(model)
    connection = transaction.get_connection(using)
    if not connection.in_atomic_block or not connection.features.has_select_for_update:
        return
    try:
        with transaction.atomic(using=using):
            rows = model._base_manager.using(using).select_for_update().filter(**{from_field or "pk": key})
            list(rows.values_list("pk"))
    except Exception:
        logger.exception("The row of %s could not be locked for its save.", model._meta.label)


def _comparing(ours: type, hosts: Any, shown: Shown) -> Any:
    """Return the host's form or formset class, made to compare what is sent with what was shown and what is stored."""
    try:
        attributes = {"__module__": hosts.__module__, "exotel_shown": shown}
        # Django's metaclass would make the fields anew, without what the host did to them.
        return type.__new__(type(hosts), hosts.__name__, (ours, hosts), attributes)
    except TypeError:
        logger.exception("%s cannot be made to compare what is sent with what is stored.", hosts)
        return hosts


class _Comparing(_Form):
    exotel_shown: Shown

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exotel_conflicts: dict[str, str] = {}
        changed = [name for name in self.fields if self.is_bound and _compare(self, name)]
        if changed and self.data.get(self.add_prefix(DELETION_FIELD_NAME)):
            _ask_before_deletion(self, changed)

    def full_clean(self) -> None:
        super().full_clean()
        for name, text in self.exotel_conflicts.items():
            if name in self.fields:  # the host's code may have taken it out
                is_hidden = self.fields[name].widget.is_hidden
                self.add_error(*((None, f"{self[name].label}: {text}") if is_hidden else (name, text)))


def _compare(form: Any, name: str) -> bool:
    """Compare one field, and return whether it was changed meanwhile."""
    field, html_name = form.fields[name], form.add_prefix(name)
    was = form.exotel_shown.digests.get(html_name)
    try:
        if was is None or not is_comparable(form, name):
            return False
        sent, now = stored(form, name)
        if now == was or field.widget.value_omitted_from_data(form.data, form.files, html_name):
            return False
        raw = field.widget.value_from_datadict(form.data, form.files, html_name)
        if isinstance(field, FileField):
            is_settled = raw is None  # Django keeps the file that is stored
        else:
            entered = digest(field, raw)
            is_settled = entered == now or (entered == was and _follow(form, name, sent, now))
        # Of what is no field of the model we cannot know that it stays the same until somebody changes it.
        if not is_settled and (is_of_model(form, name) or html_name not in form.exotel_shown.asked):
            form.exotel_conflicts[name] = _both_values(form, name, sent)
    except Exception:
        logger.exception("The field %s of %s could not be compared with what is stored.", name, type(form).__name__)
        return False
    return True


def _follow(form: Any, name: str, sent: Sent, now: str) -> bool:
    """Put what is stored in place of what was sent, and return whether the field reads it so."""
    field = form.fields[name]
    data = form.data.copy()
    for key, values in sent.items():
        data.pop(key, None)
        if values:
            data.setlist(key, values)
    if digest(field, field.widget.value_from_datadict(data, form.files, form.add_prefix(name))) != now:
        return False
    form.data = data
    return True


def _both_values(form: Any, name: str, sent: Sent) -> str:
    field = form.fields[name]
    if isinstance(field, FileField):
        text = _("Changed meanwhile to “%(stored)s”. To replace that, choose your file again, and save.")
        return text % {"stored": "".join(sent[form.add_prefix(name)]) or _("nothing")}
    entered = [value for key in sent for value in form.data.getlist(key)]
    now, own = text_of(field, _values(sent), entered)
    text = _("Changed meanwhile to “%(stored)s”. You entered “%(entered)s”: save again to keep that.")
    return text % {"stored": now, "entered": own}


def _values(sent: Sent) -> list[str]:
    return [value for values in sent.values() for value in values]


def _ask_before_deletion(form: Any, changed: list[str]) -> None:
    """Take back the tick that deletes a row, because the user has not seen what they delete."""
    form.data = form.data.copy()
    del form.data[form.add_prefix(DELETION_FIELD_NAME)]
    text = _("Changed meanwhile to “%(stored)s”. Tick again to delete it.")
    for name in changed:
        sent, _digest = stored(form, name)
        form.exotel_conflicts[name] = text % {"stored": text_of(form.fields[name], _values(sent))[0]}


class _ComparingRows(_FormSet):
    exotel_shown: Shown
    form: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exotel_lost: list[str] = []
        shown = self.exotel_shown
        try:
            if self.is_bound:
                digests, self.exotel_lost = drop_deleted_rows(self, shown.digests)
                shown = replace(shown, digests=digests)
        except Exception:
            logger.exception("Rows of %s could not be compared with what is stored.", self.model)
        self.form = _comparing(_Comparing, self.form, shown)

    def clean(self) -> None:
        if self.exotel_lost:
            raise ValidationError(self.exotel_lost)
        super().clean()
