"""A week of a team's calls, recorded without a telephone: for pages that count them."""

from __future__ import annotations

import datetime
import random
from typing import Any

from django.utils import timezone

from django_exotel_ccm.models import CallNote, CallRecord, Disposition

OUTCOMES = [
    ("completed", 190),
    ("completed", 75),
    ("customer_unanswered", 0),
    ("busy", 0),
    ("agent_unanswered", 0),
    ("unknown", None),
]


def record_week(host: Any) -> None:
    """Record 120 calls of Asha, Vikram and Ola in the last six days; some were refused, some have a note."""
    now, chance = timezone.now(), random.Random(4)
    agents = [host.agent(name, f"+91900000010{number}") for number, name in enumerate(("Asha", "Vikram", "Ola"))]
    ticket = host.ticket("Ceiling fan in the meeting room makes a noise since Monday")
    disposition = Disposition.objects.create(code="reached", label="Reached")
    for number in range(120):
        outcome, talk_time = chance.choice(OUTCOMES)
        agent = agents[number % 3 if number % 7 else 0]
        call = CallRecord.objects.create(
            account="default",
            agent=agent,
            agent_label=agent.name,
            exophone=host.exophone,
            exophone_number=host.exophone.number,
            ticket=ticket,
            ticket_label=str(ticket),
            customer_label="Meera Nair",
            customer_number="+919000001001",
            state="ended" if number % 11 else "refused",
            outcome=outcome if number % 11 else "",
            talk_time=talk_time if number % 11 else None,
            refusal_code="" if number % 11 else chance.choice(["1012", "DoNotCall"]),
            created_at=now - datetime.timedelta(hours=chance.randint(0, 6 * 24)),
        )
        if number % 5 == 1:
            CallNote.objects.create(call=call, disposition=disposition, created_at=now)
