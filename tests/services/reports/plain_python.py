"""Random calls, and their figures counted a second time: by Python alone, from the rows as they were made."""

from __future__ import annotations

import datetime
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from django_exotel_ccm.choices import Outcome
from django_exotel_ccm.models import Agent, CallNote, CallRecord, Disposition, ExoPhone
from django_exotel_ccm.services.reports.figures import Figures

CUSTOMER = ("customer_unanswered", "busy", "customer_no_dial")
STATES = ("ended", "ended", "ended", "ended", "refused", "active", "unconfirmed", "requested")


def make_calls(count: int, moments: list[datetime.datetime], tickets: list[Any], seed: int = 11) -> list[CallRecord]:
    """Store so many calls of all kinds, each at one of the moments."""
    chance = random.Random(seed)
    agents = [
        Agent.objects.create(name=name, contact_uri=f"+9190000002{number:02}")
        for number, name in enumerate(("Asha", "Vik", "Ola", "Uma", "Jo"))
    ]
    exophones = [ExoPhone.objects.create(number=f"+91800000080{number}", label=f"Line {number}") for number in range(3)]
    calls = [_call(chance, moments, agents, exophones, tickets) for _number in range(count)]
    CallRecord.objects.bulk_create(calls, batch_size=200)
    calls = list(CallRecord.objects.order_by("pk"))
    dispositions = [Disposition.objects.create(code=f"d{number}", label=f"Kind {number}") for number in range(3)]
    CallNote.objects.bulk_create(
        (
            CallNote(call=call, disposition=chance.choice([*dispositions, None]), created_at=call.created_at)
            for call in chance.sample(calls, count // 10)
            for _note in range(chance.randint(1, 3))
        ),
        batch_size=200,
    )
    return calls


def _call(
    chance: random.Random, moments: list[datetime.datetime], agents: Any, exophones: Any, tickets: Any
) -> CallRecord:
    state = chance.choice(STATES)
    agent, exophone = chance.choice([*agents, None]), chance.choice([*exophones, None])
    fields: dict[str, Any] = {}
    if state == "ended":
        fields["outcome"] = chance.choice([*Outcome.values, ""])
        is_talk = fields["outcome"] in ("completed", "agent_canceled", "unknown") and chance.random() < 0.7
        fields["talk_time"] = chance.randint(1, 900) if is_talk else chance.choice([0, None])
    elif state == "refused":
        fields["refusal_code"] = chance.choice(["1012", "10706", "DoNotCall", "my_rule"])
    else:
        # A talk time can be told before the end.
        fields["talk_time"] = chance.choice([None, None, 0, chance.randint(1, 900)])
        fields["gave_up_at"] = moments[0] if chance.random() < 0.3 else None
    if chance.random() < 0.8:
        fields["ticket"] = chance.choice(tickets)
    return CallRecord(
        account="default",
        state=state,
        agent=agent,
        agent_label=agent.name if agent else "Gone",
        exophone=exophone,
        exophone_number=exophone.number if exophone else "",
        created_at=chance.choice(moments) + datetime.timedelta(seconds=chance.randint(0, 3599)),
        **fields,
    )


def figures(calls: Iterable[CallRecord]) -> Figures:
    """Return the figures of the calls."""
    calls = list(calls)
    placed = [call for call in calls if call.state != "refused"]
    ended = [call for call in placed if call.state == "ended"]
    reached = [call for call in placed if call.talk_time is not None and call.talk_time > 0]
    silent = [call for call in placed if call.state != "ended" and call.gave_up_at is not None]
    return Figures(
        calls=len(placed),
        refused=len(calls) - len(placed),
        ended=len(ended),
        reached=len(reached),
        ended_reached=sum(call.state == "ended" for call in reached),
        talk_time=sum(call.talk_time or 0 for call in reached),
        agent_missed=sum(call.outcome == "agent_unanswered" for call in ended),
        customer_missed=sum(call.outcome in CUSTOMER for call in ended),
        unknown=outcomes(ended).get("unknown", 0),
        open=len(placed) - len(ended) - len(silent),
    )


def grouped(calls: Iterable[CallRecord], key: Any) -> dict[Any, Figures]:
    """Return the figures by ``key(call)``."""
    groups: defaultdict[Any, list[CallRecord]] = defaultdict(list)
    for call in calls:
        groups[key(call)].append(call)
    return {name: figures(of_group) for name, of_group in groups.items()}


def outcomes(calls: Iterable[CallRecord]) -> dict[str, int]:
    """Return how many calls had which outcome."""
    found: Counter[str] = Counter()
    for call in calls:
        if call.state == "ended":
            found[call.outcome or "unknown"] += 1
        elif call.state != "refused":
            found["open" if call.gave_up_at is None else "never_confirmed"] += 1
    return dict(found)


def dispositions(calls: Iterable[CallRecord]) -> dict[str, tuple[int, int]]:
    """Return how many calls had each disposition, and how many of them reached the customer."""
    talk_times = {call.pk: call.talk_time or 0 for call in calls}
    by_label: defaultdict[str, set[Any]] = defaultdict(set)
    for note in CallNote.objects.select_related("disposition"):
        if note.disposition is not None and note.call_id in talk_times:
            by_label[note.disposition.label].add(note.call_id)
    return {label: (len(keys), sum(talk_times[key] > 0 for key in keys)) for label, keys in by_label.items()}
