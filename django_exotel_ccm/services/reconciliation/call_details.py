"""Fetches Call Details from Exotel, within the account's budget of requests per minute."""

from __future__ import annotations

import json
import logging
import re

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_exotel_ccm import accounts, lifecycle
from django_exotel_ccm.choices import Authentication, EventKind
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import ExotelError
from django_exotel_ccm.models import AccountUsage, CallEvent
from django_exotel_ccm.services.budget import LONGEST_BACK_OFF, RateLimited, pause_after, take_request

logger = logging.getLogger("django_exotel_ccm.services")


def is_usable_sid(call_sid: str | None) -> bool:
    """Return True if Exotel can be asked about this SID.

    With other characters in the URL a firewall might refuse the request, and a refusal pauses the whole account.
    """
    return bool(call_sid and re.fullmatch(r"[\w-]+", call_sid, re.ASCII))


def fetch_call_details(account: str, call_sid: str, *, reference: str = "", share: float = 1) -> CallEvent:
    """Return Exotel's Call Details as an unsaved event that names no call yet.

    An answer that says nothing about the call (not found, unreadable) is an event with a ``code`` and without facts.
    ``reference`` names the call in the log.
    Raises :class:`RateLimited` when ``share`` of this minute's budget is used up, by whatever requests, and when Exotel
    wants no more requests.
    """
    take_request(account, share=share)
    event = CallEvent(kind=EventKind.DETAILS, authentication=Authentication.CREDENTIALS)
    try:
        answer = ExotelClient(accounts.get_account(account)).call_details(call_sid, reference=reference)
    except ImproperlyConfigured:
        logger.exception("Calls of account %r cannot be checked.", account)
        raise RateLimited(AccountUsage.objects.pause(account, LONGEST_BACK_OFF)) from None
    except ExotelError as error:
        pause_after(error, account)
        event.code, event.advice = error.code[:40], str(error.advice)
        event.http_status, event.request_id, event.raw = error.http_status, error.request_id, error.raw
    else:
        AccountUsage.objects.reset_failures(account)
        event.parsed = answer.facts
        event.http_status, event.request_id, event.raw = answer.http_status, answer.request_id, answer.raw
    event.received_at = timezone.now()
    return event


def canonical_form(event: CallEvent) -> bytes:
    """Return what two answers of the same content have in common: each raw body has its own request id.

    Settled Call Details are another message than the same content right after the end.
    """
    is_settled = lifecycle.is_settled(lifecycle.to_registers(event.as_message()))
    return json.dumps([event.facts, event.code, is_settled], sort_keys=True).encode()
