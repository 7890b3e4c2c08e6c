"""Rows of a form that were deleted while the form was open: Django would refuse to save the others."""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction
from django.forms.formsets import INITIAL_FORM_COUNT, TOTAL_FORM_COUNT
from django.http import QueryDict
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
    names = {index: f"{formset.add_prefix(index)}-{key}" for index in range(min(formset.initial_form_count(), total))}
    keys = {index: formset.data.get(name, "") for index, name in names.items() if name in digests}
    missing = {one for one in keys.values() if one and one not in is_there}
    missing -= _beyond_the_queryset(formset, missing)
    gone = [index for index, one in keys.items() if one in missing]
    if not gone:
        return digests, []
    lost = [text for index in gone for text in _entered_in(formset, index, digests)]
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


def _beyond_the_queryset(formset: Any, keys: set[str]) -> set[str]:
    """Return the keys of rows that are there, though the host's queryset does not reach them."""
    if not keys:
        return set()
    using = formset.get_queryset().db
    with transaction.atomic(using=using):  # the host's database may refuse, and the transaction has to go on
        found = formset.model._base_manager.using(using).filter(pk__in=keys)
        return {str(key) for key in found.values_list("pk", flat=True)}


def _entered_in(formset: Any, index: int, digests: dict[str, str]) -> list[str]:
    """Return a message about what the user had entered in a row that is gone; nothing if they had not touched it."""
    entered = []
    for name, field in formset.form.base_fields.items():
        html_name = f"{formset.add_prefix(index)}-{name}"
        was = digests.get(html_name)
        if was is not None and not field.widget.value_omitted_from_data(formset.data, formset.files, html_name):
            raw = field.widget.value_from_datadict(formset.data, formset.files, html_name)
            if digest(field, raw) != was.partition(".")[0]:
                entered += text_of(field, formset.data.getlist(html_name))
    text = _("A row was deleted meanwhile. You had entered “%(entered)s” in it. Save again to save the rest.")
    return [text % {"entered": ", ".join(entered)}] if entered else []


def _new_prefixes(formset: Any, kept: list[int]) -> dict[str, str]:
    return {f"{formset.add_prefix(old)}-": f"{formset.add_prefix(new)}-" for new, old in enumerate(kept)}


def _renamed(given: Any, prefix: str, prefixes: dict[str, str]) -> Any:
    """Return ``given`` with the rows' new names, and without the rows that have none."""
    row = re.compile(rf"{re.escape(prefix)}-\d+-")
    renamed: Any = mutable(given) if isinstance(given, QueryDict) else MultiValueDict(given.lists())
    found = {name: row.match(name) for name in given}
    for name in [name for name, start in found.items() if start]:
        del renamed[name]
    for name, start in found.items():
        if start and start[0] in prefixes:
            renamed.setlist(prefixes[start[0]] + name[start.end() :], given.getlist(name))
    return renamed


def mutable(given: Any) -> QueryDict:
    """Return a copy of what was sent that can be changed."""
    copy = QueryDict(mutable=True, encoding=getattr(given, "encoding", None))
    for name, values in given.lists():
        copy.setlist(name, values)
    return copy
