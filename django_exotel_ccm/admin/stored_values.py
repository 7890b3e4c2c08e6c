"""What is stored in a row, whatever a host's form makes of it, and the digests by which it is compared."""

from __future__ import annotations

import base64
import datetime
import json
import re
from decimal import Decimal
from typing import Any

from django.db.models import Model
from django.utils.crypto import salted_hmac

ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+>")


def digest_of(text: str) -> str:
    """Return a short text for another one. Keyed, so that nobody finds by trial what a page does not show."""
    whole = salted_hmac("django_exotel_ccm.shown", text, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(whole[:9]).decode()


def plain(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Return the value as JSON holds it, the same in each process. Raises TypeError for what has no such form."""
    match value:
        case None:
            return ""
        case str():
            return value.replace("\r\n", "\n")  # as browsers send lines
        case Decimal() if value.is_finite():
            return format(value.normalize(), "f")
        case datetime.datetime() if value.tzinfo is not None:
            return value.astimezone(datetime.UTC).isoformat()
        case bool() | int() | float():
            return value
        case dict():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case set() | frozenset():
            return sorted(str(plain(one)) for one in value)
    text = str(value)
    if ADDRESS.search(text) or isinstance(value, (bytes, bytearray)):
        raise TypeError(type(value))
    return text


class StoredRow:
    """The values of one row as they were loaded, before a form changes the instance."""

    def __init__(self, instance: Model) -> None:
        self._instance = instance
        loaded = vars(instance)
        fields = instance._meta.concrete_fields
        self._values = {field.name: loaded[field.attname] for field in fields if field.attname in loaded}
        self._texts = {name: _text(value) for name, value in self._values.items()}

    @property
    def digest(self) -> str:
        """The digest of all columns."""
        return digest_of(json.dumps(self._texts, sort_keys=True))

    def is_field(self, name: str) -> bool:
        """Return whether the model has a field of that name."""
        return self._field(name) is not None

    def value(self, name: str) -> Any:
        """Return what is stored in a field. Costs a query for a relation to many rows, once."""
        if name not in self._values:
            self._values[name] = self._field(name).value_from_object(self._instance)
        return self._values[name]

    def digest_of_field(self, name: str) -> str:
        """Return the digest of what is stored in a field. Raises TypeError for what cannot be compared."""
        return digest_of(self._text_of(name))

    def is_shown(self, name: str, initial: Any) -> bool:
        """Return whether a form's initial value is what is stored, and not the host's suggestion."""
        return _text(initial) == self._text_of(name)

    def of_python(self, name: str) -> Any:
        """Return what is stored in a field as a form's cleaned data hold it."""
        return self.value(name) if self._field(name).many_to_many else getattr(self._instance, name)

    def _text_of(self, name: str) -> str:
        text = self._texts[name] if name in self._texts else _text(self.value(name))
        if text is None:
            raise TypeError(name)
        self._texts.setdefault(name, text)
        return text

    def _field(self, name: str) -> Any:
        meta = self._instance._meta
        fields = (*meta.concrete_fields, *meta.many_to_many, *meta.private_fields)
        return next((field for field in fields if field.name == name), None)


def _text(value: Any) -> str | None:
    try:
        if isinstance(value, (list, tuple)) and any(isinstance(one, Model) for one in value):
            return json.dumps(sorted(str(one.pk) for one in value))
        return json.dumps(plain(value), sort_keys=True)
    except (TypeError, ValueError):
        return None
