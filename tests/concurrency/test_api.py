"""Clients of the API at once: however many send one Idempotency-Key, one call is placed."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.cache import cache
from django.db import connections
from django.test import Client

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, BY_HAND, orders

CLIENTS = 16


def test_sixteen_clients_with_one_key_place_one_call(host: Any, exotel: Any, settings: Any) -> None:
    settings.EXOTEL_CCM = {name: value for name, value in settings.EXOTEL_CCM.items() if name != "POLICIES"}
    cache.clear()
    user, ticket = host.user("asha", *AGENT_WORK), host.ticket(phone=BY_HAND)
    clients = [Client() for _number in range(CLIENTS)]
    for client in clients:
        client.force_login(user)
    barrier = threading.Barrier(CLIENTS)

    def post(client: Client) -> tuple[int, str]:
        try:
            barrier.wait(20)
            response = client.post(
                "/exotel/api/calls/",
                {"ticket": f"ticket_{ticket.pk}"},
                content_type="application/json",
                headers={"Idempotency-Key": "one press"},
            )
            return response.status_code, response.json().get("reference", response.content.decode())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(post, clients))

    call = CallRecord.objects.get()
    assert Counter(answers) == {(201, str(call.reference)): 1, (200, str(call.reference)): CLIENTS - 1}
    assert len(orders(exotel)) == 1
