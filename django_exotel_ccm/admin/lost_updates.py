"""Keeps a save from putting back what was changed while its form was open, for instance by a call.

The page says in one hidden field what its fields showed: a digest by the name of each. When the form comes back, and
Django has loaded the stored values that it compares with anyway, each field is compared three ways. What was not
touched takes the stored value; what was changed on both sides stops the save once. A failure in here leaves the save
as it would be without us.

The field is not signed: who forges it overwrites what they may overwrite anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import Model
from django.forms import BaseModelFormSet, FileField, ModelForm
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from django_exotel_ccm.admin.deleted_rows import drop_deleted_rows, mutable
from django_exotel_ccm.admin.form_values import Sent, digest, is_comparable, is_seen, sent_by, sent_for, text_of
from django_exotel_ccm.admin.shown import ROW, Shown, harmless, stored_value
from django_exotel_ccm.admin.stored_values import StoredRow

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin
    _FormSet = BaseModelFormSet
    _Form: Any = ModelForm
else:
    _Admin = _Form = _FormSet = object  # the host's own class comes behind ours
logger = logging.getLogger(__name__)


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

    A row that is spread over the tables of several models is locked in each. Does nothing outside of a transaction and
    in a database without such locks.
    """
    using = router.db_for_write(model)
    connection = transaction.get_connection(using)
    if not connection.in_atomic_block or not connection.features.has_select_for_update:
        return
    try:
        with transaction.atomic(using=using):
            rows = model._base_manager.using(using).filter(**{from_field or "pk": key})
            concrete = model._meta.concrete_model or model
            parents = [parent for parent in concrete._meta.get_parent_list() if not parent._meta.proxy]
            for parent in reversed(parents):
                keys = list(rows.values_list(parent._meta.pk.name, flat=True))
                list(parent._base_manager.using(using).select_for_update().filter(pk__in=keys).values_list("pk"))
            list(rows.select_for_update().values_list("pk"))
    except Exception:
        logger.exception("The row of %s could not be locked for its save.", model._meta.label)


def _comparing(ours: type, hosts: Any, shown: Shown) -> Any:
    """Return the host's form or formset class, made to compare what is sent with what was shown and what is stored."""
    try:
        if isinstance(hosts, partial):
            return partial(_comparing(ours, hosts.func, shown), *hosts.args, **hosts.keywords)
        attributes = {"__module__": hosts.__module__, "exotel_shown": shown}
        if issubclass(ours, _ComparingRows):
            attributes["form"] = _comparing(_Comparing, hosts.form, shown)
        # Django's metaclass would make the fields anew, without what the host did to them.
        return type.__new__(type(hosts), hosts.__name__, (ours, hosts), attributes)
    except Exception:
        logger.warning("%s cannot be made to compare what is sent with what is stored.", hosts, exc_info=True)
        return hosts


class _Comparing(_Form):  # type: ignore[misc]
    exotel_shown: Shown
    # The host's form may validate while it is made.
    exotel_row: Any = None
    _errors: Any
    exotel_conflicts: Mapping[str, str] = {}
    exotel_followed: frozenset[str] = frozenset()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        make: Any = super().__new__
        made = make(cls) if make is object.__new__ else make(cls, *args, **kwargs)
        if not isinstance(made, cls):
            with harmless(cls.__name__):
                _have_compare(made, cls.exotel_shown)
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        if instance is not None:
            with harmless(type(self).__name__):
                self.exotel_row = StoredRow(instance)
        super().__init__(*args, **kwargs)
        if self.exotel_row is not None:
            with harmless(type(self).__name__):
                self.exotel_compare(self.exotel_row)

    def exotel_compare(self, row: StoredRow) -> None:
        self.exotel_row = row
        if not self.is_bound:
            return
        self.exotel_conflicts, self.exotel_followed = {}, frozenset()
        changed = [name for name in self.fields if _compare(self, name)]
        if changed and self.data.get(self.add_prefix(DELETION_FIELD_NAME)):
            _ask_before_deletion(self, changed)
        if changed and self._errors is not None:
            self._errors = None
            self.__dict__.pop("changed_data", None)

    def _clean_fields(self) -> None:
        super()._clean_fields()
        for name in self.exotel_followed & {*self._errors}:
            # What is stored may be nothing that this user can choose, and they have not chosen it.
            if self.exotel_row.is_field(name) and _is_refused(self, name):
                del self._errors[name]
                self.cleaned_data[name] = self.exotel_row.of_python(name)

    def _get_validation_exclusions(self) -> set[str]:
        return {*super()._get_validation_exclusions(), *self.exotel_followed}

    def full_clean(self) -> None:
        super().full_clean()
        for name, text in self.exotel_conflicts.items():
            if name in self.fields:  # the host's code may have taken it out
                self.add_error(name, text)


def _have_compare(made: Any, shown: Shown) -> None:
    """Have a form compare that the host's class has made of another class, for instance to hand it the request."""
    if not isinstance(made, ModelForm) or vars(made)["_errors"] is not None:
        logger.warning("%s cannot be compared with what is stored.", type(made))
        return
    form: Any = made
    row = StoredRow(form.instance)
    form.__class__ = _comparing(_Comparing, type(form), shown)
    form.exotel_compare(row)


def _is_refused(form: Any, name: str) -> bool:
    field = form.fields[name]
    try:
        field.clean(field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name)))
    except ValidationError:
        return True
    return False


def _compare(form: Any, name: str) -> bool:
    """Compare one field, and return whether it was changed meanwhile."""
    field, html_name = form.fields[name], form.add_prefix(name)
    shown, _dot, column = form.exotel_shown.digests.get(html_name, "").partition(".")
    try:
        if not (shown or column) or not is_comparable(form, name) or not _is_changed(form, name, column):
            return False
        sent, now = sent_for(form, name, stored_value(form, name))
        if now == shown or field.widget.value_omitted_from_data(form.data, form.files, html_name):
            return False
        raw = field.widget.value_from_datadict(form.data, form.files, html_name)
        if isinstance(field, FileField):
            is_settled = raw is None  # Django keeps the file that is stored
        else:
            entered = digest(field, raw)
            is_settled = entered == now or (entered == shown and _follow(form, name, sent, now))
        if not is_settled:
            form.exotel_conflicts[name] = _both_values(form, name, sent)
    except Exception:
        logger.exception("The field %s of %s could not be compared with what is stored.", name, type(form).__name__)
        return False
    return True


def _is_changed(form: Any, name: str, column: str) -> bool:
    """Return whether what is stored was changed; for what is in no field of the model, whether anything was."""
    row: StoredRow = form.exotel_row
    if row.is_field(name):
        return row.digest_of_field(name) != column
    given = form.exotel_shown.digests
    if given.get(form.add_prefix(ROW)) != f".{row.digest}":
        return True
    of_model = {one: given.get(form.add_prefix(one), "").partition(".")[2] for one in form.fields if row.is_field(one)}
    return any(was and row.digest_of_field(one) != was for one, was in of_model.items())


def _follow(form: Any, name: str, sent: Sent, now: str) -> bool:
    """Put what is stored in place of what was sent, and return whether the field reads it so."""
    field = form.fields[name]
    if form.exotel_row.is_field(name) and not form.exotel_row.is_shown(name, form.initial.get(name)):
        return False  # the host suggests something
    if not getattr(form.data, "_mutable", False):
        form.data = mutable(form.data)
    before = {key: form.data.getlist(key) for key in sent}
    _put(form.data, sent)
    if digest(field, field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))) != now:
        _put(form.data, before)
        return False
    if field.show_hidden_initial:
        html_name = form.add_initial_prefix(name)
        shown = field.prepare_value(stored_value(form, name))
        _put(form.data, sent_by(field.hidden_widget(), html_name, shown))
    form.exotel_followed |= {name}
    return True


def _put(data: Any, sent: Sent) -> None:
    for key, values in sent.items():
        data.pop(key, None)
        if values:
            data.setlist(key, values)


def _both_values(form: Any, name: str, sent: Sent) -> str:
    field = form.fields[name]
    if isinstance(field, FileField):
        if not is_seen(form, name, stored_value(form, name), sent):
            return _("Changed meanwhile. To replace what is stored, choose your file again, and save.")
        text = _("Changed meanwhile to “%(stored)s”. To replace that, choose your file again, and save.")
        return text % {"stored": "".join(sent[form.add_prefix(name)]) or pgettext("telephony", "nothing")}
    entered = [value for key in sent for value in form.data.getlist(key)]
    if not is_seen(form, name, stored_value(form, name), sent):
        text = _("Changed meanwhile. You entered “%(entered)s”: save again to keep that.")
        return text % {"entered": text_of(field, entered)[0]}
    now, own = text_of(field, _values(sent), entered)
    text = _("Changed meanwhile to “%(stored)s”. You entered “%(entered)s”: save again to keep that.")
    return text % {"stored": now, "entered": own}


def _values(sent: Sent) -> list[str]:
    return [value for values in sent.values() for value in values]


def _ask_before_deletion(form: Any, changed: list[str]) -> None:
    """Take back the tick that deletes a row, because the user has not seen what they delete."""
    form.data = mutable(form.data)
    del form.data[form.add_prefix(DELETION_FIELD_NAME)]
    text = _("Changed meanwhile to “%(stored)s”. Tick again to delete it.")
    for name in changed:
        sent, _digest = sent_for(form, name, stored_value(form, name))
        if is_seen(form, name, stored_value(form, name), sent):
            form.exotel_conflicts[name] = text % {"stored": text_of(form.fields[name], _values(sent))[0]}
        else:
            form.exotel_conflicts[name] = _("Changed meanwhile. Tick again to delete it.")


class _ComparingRows(_FormSet):
    exotel_shown: Shown
    form: Any

    exotel_lost: Sequence[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_bound:
            with harmless(type(self).__name__):
                self._exotel_drop_deleted_rows()

    def _exotel_drop_deleted_rows(self) -> None:
        digests, self.exotel_lost = drop_deleted_rows(self, self.exotel_shown.digests)
        if digests is not self.exotel_shown.digests:
            self.form = _comparing(_Comparing, self.form.__mro__[2], Shown(digests))
            self._errors = self._non_form_errors = None
            vars(self).pop("forms", None)

    def clean(self) -> None:
        if self.exotel_lost:
            raise ValidationError([*self.exotel_lost])
        super().clean()
