"""Rows of a form that were deleted while the form was open: Django would refuse to save the others."""

from __future__ import annotations

import re
from typing import Any

from django.forms.formsets import INITIAL_FORM_COUNT, TOTAL_FORM_COUNT
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from django_exotel_ccm.admin.form_values import digest, text_of


def drop_deleted_rows(formset: Any, digests: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Take the rows that somebody deleted meanwhile out of what was sent.

    ``digests`` says what the page showed. Returns it by the names that the rows have now, and a message about each
    deleted row in which the user had entered something.
    """
    key = formset.model._meta.pk.name
    if key in formset.form.base_fields:
        return digests, []  # the user may have written another key
    total = formset.total_form_count()
    is_there = {str(row.pk) for row in formset.get_queryset()}
    gone: list[int] = []
    lost: list[str] = []
    for index in range(min(formset.initial_form_count(), total)):
        name = f"{formset.add_prefix(index)}-{key}"
        if name in digests and formset.data.get(name, "") not in ("", *is_there):
            gone.append(index)
            lost += _entered_in(formset, index, digests)
    if not gone:
        return digests, []
    prefixes = _new_prefixes(formset, [index for index in range(total) if index not in gone])
    data = _renamed(formset.data, formset.prefix, prefixes)
    for count in (TOTAL_FORM_COUNT, INITIAL_FORM_COUNT):
        data[f"{formset.prefix}-{count}"] = str(int(formset.data[f"{formset.prefix}-{count}"]) - len(gone))
    formset.data = data
    if formset.files:
        formset.files = _renamed(formset.files, formset.prefix, prefixes)
    vars(formset).pop("management_form", None)  # made of the old data
    shown = _renamed(MultiValueDict({name: [one] for name, one in digests.items()}), formset.prefix, prefixes)
    return {name: shown[name] for name in shown}, lost


def _entered_in(formset: Any, index: int, digests: dict[str, str]) -> list[str]:
    """Return a message about what the user had entered in a row that is gone; nothing if they had not touched it."""
    entered = []
    for name, field in formset.form.base_fields.items():
        html_name = f"{formset.add_prefix(index)}-{name}"
        was = digests.get(html_name)
        if was is not None and not field.widget.value_omitted_from_data(formset.data, formset.files, html_name):
            raw = field.widget.value_from_datadict(formset.data, formset.files, html_name)
            if digest(field, raw) != was:
                entered += text_of(field, formset.data.getlist(html_name))
    text = _("A row was deleted meanwhile. You had entered “%(entered)s” in it. Save again to save the rest.")
    return [text % {"entered": ", ".join(entered)}] if entered else []


def _new_prefixes(formset: Any, kept: list[int]) -> dict[str, str]:
    return {f"{formset.add_prefix(old)}-": f"{formset.add_prefix(new)}-" for new, old in enumerate(kept)}


def _renamed(given: Any, prefix: str, prefixes: dict[str, str]) -> Any:
    """Return ``given`` with the rows' new names, and without the rows that have none."""
    row = re.compile(rf"{re.escape(prefix)}-\d+-")
    renamed: Any = MultiValueDict()
    for name, values in given.lists():
        found = row.match(name)
        if found is None:
            renamed.setlist(name, values)
        elif found[0] in prefixes:
            renamed.setlist(prefixes[found[0]] + name[found.end() :], values)
    return renamed
