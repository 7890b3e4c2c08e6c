"""The one parser of the API: JSON in UTF-8, of a bounded size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.http import UnreadablePostError
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser

from django_exotel_ccm.api.errors import MAX_BODY_BYTES, Invalid, too_large

MAX_LENGTH_DIGITS = 20  # of a Content-Length; int() refuses a number of thousands of digits


class BoundedJSONParser(BaseParser):
    """Reads one JSON object. 413 for a body of more than ``MAX_BODY_BYTES``, 400 for what is no JSON."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the object in the body."""
        length = str(parser_context["request"].META.get("CONTENT_LENGTH") or "") if parser_context else ""
        if length.isascii() and length.isdigit() and int(length[:MAX_LENGTH_DIGITS]) > MAX_BODY_BYTES:
            raise too_large()
        try:
            body = stream.read(MAX_BODY_BYTES + 1)
        except (UnreadablePostError, OSError):
            raise Invalid("parse_error", _("The body did not arrive whole. Send it again.")) from None
        if len(body) > MAX_BODY_BYTES:
            raise too_large()
        try:
            found = json.loads(body, parse_constant=_refuse, object_pairs_hook=_once_each)
        except (ValueError, RecursionError):
            advice = _("The body is no JSON that can be read. Send one object, in UTF-8.")
            raise Invalid("parse_error", advice) from None
        if not isinstance(found, dict):
            raise Invalid("invalid", _("The body has to be one JSON object, in braces."))
        return found


def _refuse(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a field that is there twice: of two tickets, nobody knows which was meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found
