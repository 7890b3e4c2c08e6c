"""The search in the list of calls: it finds no more than the pages show."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import phonenumbers
from django.contrib.admin import AdminSite
from django.db.models import Q
from django.http import HttpRequest
from django.utils.text import smart_split, unescape_string_literal
from django.utils.translation import gettext as _

from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.phone_numbers import parse_number

EVERYWHERE = ["call_sid", "agent_label"]
"""The fields that everybody sees of every call."""
SEARCHED = 500
"""How many of the newest calls that match a search are looked through for those that the user may see."""
LONGEST_SEARCH = 100  # characters: each word is another condition


def search_calls(request: HttpRequest, site: AdminSite, queryset: Any, search_term: str) -> Any:
    """Search SID and agent in all calls, and the rest only in calls whose ticket this user may see."""
    term = search_term[:LONGEST_SEARCH].replace("\0", "").strip()
    if not term:
        return queryset
    anything = _has_words(term, [*EVERYWHERE, *_private_fields(request, term)])
    if Permission.VIEW_NUMBER.granted_to(request.user):
        anything |= _has_number(term)
    if Permission.VIEW_ALL_CALLS.granted_to(request.user):
        return queryset.filter(anything)
    # Without what the list loads besides.
    newest = queryset.select_related(None).filter(anything).newest_first()
    newest = newest.only("ticket_content_type_id", "ticket_object_id")[:SEARCHED]
    visible = AdminAdapter(site).visible_calls(request, newest)
    return queryset.filter(_has_words(term, EVERYWHERE) | Q(pk__in=visible))


def search_help(request: HttpRequest) -> str:
    """Return how far a search of this user looks; "" if it looks through all calls.

    It is said at every search: whether one was cut short would tell how many calls there are that the user may not see.
    """
    if Permission.VIEW_ALL_CALLS.granted_to(request.user):
        return ""
    text = _("SID and agent are found in all calls, the rest in the newest %(most)d that match.")
    return text % {"most": SEARCHED}


def _private_fields(request: HttpRequest, term: str) -> list[str]:
    """Return the fields to search in calls whose ticket the user may see. All of them can hold a number."""
    if Permission.VIEW_NUMBER.granted_to(request.user):
        return ["custom_field", "ticket_label", "customer_label", "customer_number"]
    # Digits find only a whole custom field, such as ticket_42. Parts would reveal a number digit by digit.
    return (
        ["custom_field__iexact"]
        if any(map(str.isnumeric, term))
        else ["custom_field", "ticket_label", "customer_label"]
    )


def _has_words(term: str, fields: Sequence[str]) -> Q:
    """Return the condition that one of the fields contains each word, or phrase in quotes."""
    words = [unescape_string_literal(word) if word[0] == word[-1] in "\"'" else word for word in smart_split(term)]
    lookups = [field if "__" in field else f"{field}__icontains" for field in fields]
    return Q(*(Q(*((lookup, word) for lookup in lookups), _connector=Q.OR) for word in words))


def _has_number(term: str) -> Q:
    """Return the condition that the customer's number is the one in ``term``, or contains its digits."""
    condition = Q(pk__in=[])
    with suppress(InvalidNumber):
        condition |= Q(customer_number=parse_number(term))
    digits = phonenumbers.normalize_digits_only(term).lstrip("0")
    if digits and not any(map(str.isalpha, term)):
        condition |= Q(customer_number__contains=digits)
    return condition
