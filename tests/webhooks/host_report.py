"""Callbacks to a host with settings of its own; imported in a process of its own after they are configured."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import callback_urls
from django_exotel_ccm.models import CallEvent, CallRecord
from tests.factories import SID, body_of, url_of


def report() -> str:
    """Deliver callbacks to a call of this host, and return statuses, state and counts as JSON."""

    call = CallRecord.objects.create(account="default", created_at=timezone.now())
    client = Client(raise_request_exception=False)
    json_type: dict[str, Any] = {"content_type": "application/json"}
    form = {"CallSid": SID, "EventType": "terminal", "Status": "completed"}
    url, last = url_of(call), body_of(end_time="2026-02-11T06:00:51Z", total_talk_time=42)
    account_url = reverse("exotel_ccm:account-callback", args=[callback_urls.sign_account("default")])
    statuses: dict[str, Any] = {
        "json": client.post(url_of(call, "answered"), body_of("answered"), **json_type).status_code,
        "xml": client.post(url + "?format=xml", last, headers={"accept": "text/xml"}, **json_type).status_code,
        "multipart": client.post(url, form).status_code,
        "version": client.post(url, last, headers={"accept": "*/*; version=9"}, **json_type).status_code,
        "forged": client.post("/exotel/callbacks/a.b.c/", body_of(), **json_type).status_code,
        "huge": client.post(url, b"x" * 300_000, **json_type).status_code,
        "get": client.get(url).status_code,
        "account": client.post(account_url, body_of("answered", "b" * 32), **json_type).status_code,
        "answer": client.post(url, last, **json_type).json(),
        "control": client.post("/control/", body_of(), **json_type).content.decode(),
    }
    call.refresh_from_db()
    transactional = client.get("/in-transaction/").json()
    stored = CallEvent.objects.filter(reason="").count()
    return json.dumps(
        {**statuses, **transactional, "state": call.state, "ended_at": str(call.ended_at), "stored": stored}
    )
