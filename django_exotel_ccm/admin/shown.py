"""What the page of a form showed: the value of the hidden field by which a save is compared."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib.admin.utils import flatten_fieldsets
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import SimpleTemplateResponse
from django.utils.safestring import SafeString

from django_exotel_ccm.admin.form_values import is_comparable, sent_for
from django_exotel_ccm.admin.stored_values import StoredRow, digest_of

FIELD = "exotel:shown"
"""The name of our hidden field. No field of a form can be called so, because a colon stands in no Python name."""
ROW = ":row"
"""The name under which the digest of all columns of a row stands."""
MAX_LENGTH = 500_000
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page showed, by the names of its inputs: the digests of what each showed and of what was stored.

    Both are in one text with a dot between them. The first is empty for a value that the host had suggested, the
    second for what is in no field of the model.
    """

    digests: dict[str, str]

    @classmethod
    def of(cls, request: HttpRequest) -> Shown | None:
        """Return what the page showed from which a form is sent; None if it does not say so."""
        text = request.POST.get(FIELD, "") if request.method == "POST" else ""
        if not text or len(text) > MAX_LENGTH:
            return None
        try:
            given = json.loads(text)
            digests = {str(name): one for name, one in dict(given["digests"]).items() if isinstance(one, str)}
            return cls(digests) if given["key"] == _key() else None
        except (ValueError, TypeError, LookupError, RecursionError):
            return None

    def as_json(self, of: str) -> str:
        """Return the value of the hidden field; "" if it would be too long. ``of`` names the page in the log."""
        text = json.dumps({"digests": self.digests, "key": _key()}, separators=(",", ":"))
        if len(text) > MAX_LENGTH:
            _warn_of_length(of)
            return ""
        return text


@cache
def _warn_of_length(page: str) -> None:
    """Say it once in each process: the page is as long at each load."""
    logger.warning("%s has too many fields: a save can put back what a call changed meanwhile.", page)


def _key() -> str:
    # Another secret key, or another version of ours, makes other digests: a page from before is not compared.
    return digest_of("1")


class ShownInput:
    """Our hidden field in a page with a form, for its template to draw.

    It has a place in Django's own templates. A host's template can leave that out, and write its own form: then the
    first field that is drawn brings ours along, because it stands in the form for certain.
    """

    def __init__(self, shown: str, forms: Iterable[Any], *, page: str, came_back: bool) -> None:
        """Take the field's value, the page's forms, and its name for the log."""
        self._shown = {"shown": shown, "came_back": came_back}
        self._page = page
        self._is_drawn = not shown
        if shown:
            with harmless(page):
                for form in forms:
                    self._stand_beside_fields(form)

    @classmethod
    def of_form(cls, context: dict[str, Any], *, came_back: bool) -> ShownInput:
        """Return the field for the page of a change form."""
        inlines = context.get("inline_admin_formsets") or ()
        forms = [context["adminform"].form, *(form for one in inlines for form in one.formset.initial_forms[:1])]
        return cls(shown_on_form(context), forms, page=f"The form of {context.get('opts')}", came_back=came_back)

    @classmethod
    def of_list(cls, formset: Any) -> ShownInput:
        """Return the field for a list whose rows can be edited."""
        page = f"The list of {formset.model._meta.label}"
        return cls(shown_in_list(formset), formset.initial_forms[:1], page=page, came_back=formset.is_bound)

    def _stand_beside_fields(self, form: Any) -> None:
        for field in form.fields.values():
            widget = field.widget = copy.copy(field.widget)  # the host's may be one for all requests
            attributes = {"__module__": type(widget).__module__, "exotel_input": self}
            bases = (_WidgetBeside, type(widget))
            widget.__class__ = type.__new__(type(type(widget)), type(widget).__name__, bases, attributes)

    def draw(self) -> SafeString:
        """Return the field as HTML; "" if there is nothing to compare."""
        self._is_drawn = True
        return render_to_string("exotel_ccm/admin/shown.html", self._shown)

    def draw_once(self) -> SafeString:
        """Return the field as HTML, and "" if it was drawn before."""
        return SafeString() if self._is_drawn else self.draw()

    def warn_if_missing(self, response: HttpResponse) -> None:
        """Have a warning logged if ``response`` is a page, and nothing has drawn the field when it is rendered."""

        def check(rendered: HttpResponse) -> None:
            if not self._is_drawn and rendered.headers.get("Content-Type", "").startswith("text/html"):
                _warn_of_page(self._page)

        if isinstance(response, SimpleTemplateResponse):
            response.add_post_render_callback(check)
        else:
            check(response)


class _WidgetBeside:
    exotel_input: ShownInput

    def render(self, *args: Any, **kwargs: Any) -> Any:
        html = super().render(*args, **kwargs)  # type: ignore[misc]
        return html + self.exotel_input.draw_once() if hasattr(html, "__html__") else html


@cache
def _warn_of_page(page: str) -> None:
    logger.warning("%s draws no field of Django's: a save can put back what a call changed meanwhile.", page)


def shown_on_form(context: dict[str, Any]) -> str:
    """Return the value of our field for the page of a change form, or "" if there is nothing to compare."""
    digests: dict[str, str] = {}
    with harmless("The form"):
        admin_form = context["adminform"]
        digests |= _digests(admin_form.form, _names(admin_form))
    for inline in context.get("inline_admin_formsets") or ():
        with harmless("An inline"):
            if inline.has_change_permission:
                for form in inline.formset.initial_forms:
                    digests |= _digests(form, _names(inline))
    return Shown(digests).as_json(f"The form of {context.get('opts')}") if digests else ""


def shown_in_list(formset: Any) -> str:
    """Return the value of our field for a list whose rows can be edited."""
    digests: dict[str, str] = {}
    with harmless("The list"):
        for form in formset.initial_forms:
            digests |= _digests(form, list(form.fields))
    return Shown(digests).as_json(f"The list of {formset.model._meta.label}") if digests else ""


@contextmanager
def harmless(what: str) -> Iterator[None]:
    """Log an error inside, and go on: the page is shown, but ``what`` is not compared."""
    try:
        yield
    except Exception:
        logger.exception("%s could not be compared with what is stored.", what)


def _names(shown: Any) -> list[str]:
    # What the host's form has beyond these is not on the page.
    return [name for name in flatten_fieldsets(shown.fieldsets) if name not in shown.readonly_fields]


def _digests(form: Any, names: list[str]) -> dict[str, str]:
    row: StoredRow | None = getattr(form, "exotel_row", None)
    if row is None and form.is_bound:
        return {}  # validation has changed the instance
    row = row or StoredRow(form.instance)
    digests: dict[str, str] = {}
    for name in {*names} & {*form.fields}:
        try:
            if is_comparable(form, name):
                digests[form.add_prefix(name)] = _digests_of_field(form, name, row)
        except Exception:
            # A field of the host's that shows its value in a way of its own is not compared.
            logger.debug("The field %s of %s cannot be compared.", name, type(form).__name__, exc_info=True)
    if any(one.endswith(".") for one in digests.values()):
        digests[form.add_prefix(ROW)] = f".{row.digest}"
    key = form._meta.model._meta.pk.name
    if form.prefix and key in form.fields:
        _sent, shown = sent_for(form, key, form.get_initial_for_field(form.fields[key], key))
        digests[form.add_prefix(key)] = f"{shown}."
    return digests


def _digests_of_field(form: Any, name: str, row: StoredRow) -> str:
    shown = sent_for(form, name, stored_value(form, name))[1]
    if not row.is_field(name):
        return f"{shown}."
    return f"{shown if row.is_shown(name, form.initial.get(name)) else ''}.{row.digest_of_field(name)}"


def stored_value(form: Any, name: str) -> Any:
    """Return what is stored in a field of the model, and the initial value of another."""
    row = getattr(form, "exotel_row", None)
    if row is not None and row.is_field(name):
        return row.value(name)
    return form.get_initial_for_field(form.fields[name], name)
