"""What a form field shows, as a browser would send it, and the digest by which two such values are compared."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import (
    BaseForm,
    BooleanField,
    CheckboxInput,
    ChoiceField,
    ClearableFileInput,
    Field,
    FileField,
    ModelChoiceField,
    ModelMultipleChoiceField,
    MultipleChoiceField,
    MultiValueField,
    MultiWidget,
    PasswordInput,
    SelectDateWidget,
)
from django.forms.models import InlineForeignKeyField
from django.utils.choices import flatten_choices
from django.utils.datastructures import MultiValueDict
from django.utils.html import conditional_escape
from django.utils.text import Truncator
from django.utils.translation import pgettext

from django_exotel_ccm.admin.stored_values import digest_of, plain

MAX_NAMED = 20
MAX_TEXT = 200
Sent = dict[str, list[str]]
"""What a browser sends for one field: for each name of an input its values, none for a box that is not ticked."""


def is_comparable(form: BaseForm, name: str) -> bool:
    """Return whether the page shows what is stored in the field: not of passwords, nor of values made for each page."""
    field = form.fields[name]
    return not (
        field.disabled
        or isinstance(field, InlineForeignKeyField)  # the same in every row
        or isinstance(_inner(field.widget), PasswordInput)
        or callable(form.initial.get(name, field.initial))
        # What is shown to nobody is machinery: a token against double posts, a version that the host compares itself.
        or field.widget.is_hidden
    )


def sent_for(form: BaseForm, name: str, value: Any) -> tuple[Sent, str]:
    """Return what a browser sends for a field that shows ``value`` and that nobody touches, and its digest."""
    field, html_name = form.fields[name], form.add_prefix(name)
    if isinstance(field, FileField):
        file_name = str(value or "")
        return {html_name: [file_name]}, digest_of(plain(file_name))
    sent = sent_by(field.widget, html_name, field.prepare_value(value))
    return sent, digest(field, field.widget.value_from_datadict(MultiValueDict(sent), MultiValueDict(), html_name))


def sent_by(outer: Any, name: str, value: Any) -> Sent:
    """Return what a browser sends for a widget that shows ``value``."""
    widget = _inner(outer)
    if isinstance(widget, MultiWidget):
        parts: Any = value if isinstance(value, (list, tuple)) else widget.decompress(value)
        named = zip(widget.widgets, widget.widgets_names, parts, strict=False)  # type: ignore[attr-defined]
        return {key: sent for part, end, one in named for key, sent in sent_by(part, name + end, one).items()}
    if isinstance(widget, SelectDateWidget):
        return {f"{name}_{part}": [str(one or "")] for part, one in widget.format_value(value).items()}
    if isinstance(widget, CheckboxInput):
        return {name: ["on"] if widget.check_test(value) else []}
    shown: Any = widget.format_value(value)
    if isinstance(shown, (list, tuple, set)):
        return {name: [str(one) for one in shown]}
    return {name: ["" if shown is None else str(shown)]}


def is_seen(form: BaseForm, name: str, value: Any, sent: Sent) -> bool:
    """Return whether the page shows ``value`` in the field, and not dots or nothing in its place.

    ``sent`` is what a browser sends for it.
    """
    field = form.fields[name]
    if isinstance(field, (BooleanField, ModelChoiceField, ChoiceField)):
        return True  # of these a page shows what can be chosen
    if isinstance(field, FileField):
        return isinstance(field.widget, ClearableFileInput)
    html = str(field.widget.render(form.add_prefix(name), field.prepare_value(value)))
    return all(conditional_escape(one) in html for values in sent.values() for one in values)


def _inner(widget: Any) -> Any:
    return widget.widget if isinstance(widget, RelatedFieldWidgetWrapper) else widget


def digest(field: Field, raw: Any) -> str:
    """Return a short text that is the same for two values that the field takes for the same.

    ``raw`` is what the widget has read from the data that were sent.
    """
    return digest_of(json.dumps(_plain(field, raw), sort_keys=True, default=str))


def _plain(field: Field, raw: Any) -> Any:
    if isinstance(field, MultiValueField) and isinstance(raw, (list, tuple)):
        return [_plain(part, one) for part, one in zip(field.fields, raw, strict=False)]
    if isinstance(field, (ModelChoiceField, MultipleChoiceField)):  # their to_python would ask the database
        chosen = raw if isinstance(raw, (list, tuple, set)) else [raw]
        return sorted(str(one) for one in chosen if one not in (None, ""))
    try:
        return plain(field.to_python(raw))
    except (ValidationError, TypeError):
        return plain(raw)


def text_of(field: Field, *values: list[str]) -> list[str]:
    """Return for people each of the values that browsers send for the field. Costs at most one query."""
    labels = _labels(field, {one for value in values for one in value})
    return [_text(field, value, labels) for value in values]


def _text(field: Field, value: list[str], labels: dict[str, str]) -> str:
    if isinstance(field, BooleanField) and isinstance(field.widget, CheckboxInput):
        return pgettext("telephony", "Yes") if value else pgettext("telephony", "No")
    named = [labels.get(one, one) for one in value if one.strip()]
    between = ", " if isinstance(field, (ModelMultipleChoiceField, MultipleChoiceField)) else " "
    return Truncator(between.join(named)).chars(MAX_TEXT) or pgettext("telephony", "nothing")


def _labels(field: Field, values: set[str]) -> dict[str, str]:
    if isinstance(field, ModelChoiceField):
        key = field.to_field_name or "pk"
        rows: Any = field.queryset
        try:
            # The host's database may refuse, and the transaction has to go on.
            with transaction.atomic(using=rows.db):
                found = list(rows.filter(**{f"{key}__in": [one for one in values if one]})[:MAX_NAMED])
        except Exception:  # noqa: BLE001 - for instance a value that is no key, which the form itself refuses
            return {}
        return {str(field.prepare_value(row)): str(field.label_from_instance(row)) for row in found}
    choices: Any = getattr(_inner(field.widget), "choices", ())
    pairs: Any = flatten_choices(choices)
    return {str(value): str(label) for value, label in pairs}
