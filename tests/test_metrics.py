"""What Prometheus and the log are told of calls."""

from __future__ import annotations

import datetime
import json
import logging
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from django_exotel_ccm import metrics
from django_exotel_ccm.choices import EventKind, Outcome, State
from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import AccountUsage, CallRecord
from django_exotel_ccm.services import due_work, place_call
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.services.recordings import open_recording, recording_urls
from django_exotel_ccm.simulator import Simulator
from tests.factories import Calls
from tests.subprocesses import python
from tests.test_docs import ROOT, blocks, file_in

TALKS = "+919000001001"
BOARD = json.loads((ROOT / "docs" / "grafana" / "exotel-calls.json").read_text("utf-8"))


@pytest.fixture
def grown() -> Callable[..., float]:
    """Return by how much a sample has grown since the test began."""
    before = {(one.name, *sorted(one.labels.items())): one.value for one in _samples()}

    def by(name: str, **labels: str) -> float:
        value = REGISTRY.get_sample_value(name, labels) or 0.0
        return value - before.get((name, *sorted(labels.items())), 0.0)

    return by


def _samples() -> list[Any]:
    registered = [one for one in REGISTRY.collect() if one.name.startswith("exotel_ccm_")]
    return [sample for family in registered for sample in family.samples]


def test_call_is_counted_in_each_state(host: Any, exotel: Simulator, grown: Callable[..., float]) -> None:
    place_call(agent=host.agent(), to=TALKS)
    exotel.wait_until_quiet(timeout=20)

    # The callbacks may come before the answer; then it was never in the state between.
    states = [("requested", ""), ("ended", "completed"), ("refused", "")]
    counted = [grown("exotel_ccm_calls_total", state=state, outcome=outcome) for state, outcome in states]
    assert counted == [1, 1, 0]
    assert grown("exotel_ccm_request_seconds_count", request="call", status="200") == 1
    assert grown("exotel_ccm_event_seconds_count", kind="answer") == 1
    assert grown("exotel_ccm_event_seconds_count", kind="callback") >= 2


def test_repeated_press_is_one_call(host: Any, exotel: Simulator, grown: Callable[..., float]) -> None:
    agent = host.agent()
    for _press in range(2):
        place_call(agent=agent, to=TALKS, request_key="same")
    exotel.wait_until_quiet(timeout=20)

    assert grown("exotel_ccm_calls_total", state="requested", outcome="") == 1


def test_refusals(host: Any, exotel: Simulator, grown: Callable[..., float]) -> None:
    exotel.options.refuse_with = 1012
    with pytest.raises(CallRefused):
        place_call(agent=host.agent(), to=TALKS)

    assert grown("exotel_ccm_calls_total", state="refused", outcome="") == 1
    status = str(exotel.book.requests[0].status)
    assert grown("exotel_ccm_request_seconds_count", request="call", status=status) == 1


def test_what_is_due(host: Any, client: Any) -> None:
    now, agent = timezone.now(), host.agent()
    for minutes in (5, 20, 40):
        call = Calls(client).accepted(agent=agent)
        CallRecord.objects.filter(pk=call.pk).update(next_check_at=now - datetime.timedelta(minutes=minutes))
    CallRecord.objects.exclude(next_check_at__lt=now).update(next_check_at=None)
    assert REGISTRY.get_sample_value("exotel_ccm_reconciled_timestamp_seconds") is None
    AccountUsage.objects.create(account="default", reconciled_at=now)

    with CaptureQueriesContext(connection) as queries:
        found = {one.name: one.value for one in _samples() if not one.labels}

    assert len([query for query in queries if "exotel_ccm" in query["sql"]]) == 5
    assert (found["exotel_ccm_due"], found["exotel_ccm_overdue"]) == (3, 2)
    assert found["exotel_ccm_reconciled_timestamp_seconds"] == pytest.approx(now.timestamp())


def test_database_that_is_away_hides_no_other_metric(host: Any, caplog: pytest.LogCaptureFixture) -> None:
    def away(*_arguments: Any) -> Any:
        raise OperationalError("gone")

    with connection.execute_wrapper(away):
        names = {family.name for family in text_string_to_metric_families(generate_latest(REGISTRY).decode())}

    assert "exotel_ccm_due" not in names
    assert "exotel_ccm_request_seconds" in names
    assert "could not be counted" in caplog.text


def test_log_names_the_reference_and_no_number(host: Any, exotel: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "django_exotel_ccm")
    exotel.options.recording_delay = 0
    agent = host.agent()
    call = place_call(agent=agent, to=TALKS, recording=True)
    exotel.wait_until_quiet(timeout=20)
    CallRecord.objects.update(details_check_at=timezone.now(), next_check_at=timezone.now())
    reconcile()
    call.refresh_from_db()
    [recording] = recording_urls(call)
    open_recording(call, recording, None).close()

    ours = [record for record in caplog.records if record.name.startswith("django_exotel_ccm.")]
    requests = [record for record in ours if record.name == "django_exotel_ccm.exotel"]
    begun = [record.getMessage().partition(": ")[0] for record in requests]
    assert begun == [f"{what} {call.reference}" for what in ("POST call", "GET call details", "GET recording")]
    assert {vars(record)["reference"] for record in requests} == {str(call.reference)}
    assert [vars(record)["http_status"] for record in requests] == [200, 200, 200]
    assert vars(requests[0])["request_id"] in requests[0].getMessage()

    told = [vars(record) for record in ours if hasattr(record, "state")]
    assert {one["reference"] for one in told} == {str(call.reference)}
    states = [(one["state"], one["outcome"]) for one in told]
    assert {type(word) for pair in states for word in pair} == {str}, "a handler may write what it gets by repr"
    # Two threads commit: each logs its own state afterwards, in any order.
    assert states[0] == ("requested", "")
    assert ("ended", "completed") in states
    assert str(call.reference) in told[0]["message"]
    text = " ".join(f"{record.getMessage()} {vars(record)}" for record in ours)
    for number in (TALKS, agent.contact_uri, call.exophone_number):
        assert number[-10:] not in text


def test_without_the_extra() -> None:
    printed = python(
        "-c",
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from django_exotel_ccm import metrics\n"
        "metrics.count_call('ended', ''); metrics.observe_event('answer', 1); metrics.export(dict)\n"
        "metrics.observe_request('call', '200', 1); print('works')",
    )

    assert printed == "works\n"


def test_board_asks_for_metrics_that_there_are(host: Any) -> None:
    metrics.observe_request("call", "200", 0.1)
    metrics.observe_event("callback", 0.1)
    metrics.count_call("ended", "completed")
    AccountUsage.objects.create(account="default", reconciled_at=timezone.now())
    known = {sample.name for sample in _samples()}
    asked = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]

    assert len(asked) >= 8
    for expression in asked:
        assert set(re.findall(r"exotel_ccm_\w+", expression)) <= known, expression
    sources = {one["datasource"]["uid"] for panel in BOARD["panels"] for one in (panel, *panel["targets"])}
    assert sources == {"${" + BOARD["__inputs"][0]["name"] + "}"}
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_what_is_counted_begins_with_zero() -> None:
    """Else the first failure after a start would be no increase."""
    calls, events, requests = (
        f"exotel_ccm_{name}" for name in ("calls_total", "event_seconds_count", "request_seconds_count")
    )
    printed = python(
        "-c",
        "import django; django.setup()\n"
        "from prometheus_client import REGISTRY, generate_latest\n"
        f"print(generate_latest(REGISTRY.restricted_registry({[calls, events, requests]})).decode())",
        DJANGO_SETTINGS_MODULE="tests.settings",
        PYTHONPATH=str(ROOT),
    )

    samples = [sample for family in text_string_to_metric_families(printed) for sample in family.samples]
    assert {sample.value for sample in samples} == {0.0}
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for sample in samples:
        found[sample.name].add(tuple(value for _label, value in sorted(sample.labels.items())))
    on_the_way = {("", state) for state in State.values if state != State.ENDED}
    assert found[calls] == on_the_way | {(outcome, State.ENDED.value) for outcome in Outcome.values}
    assert found[events] == {(kind,) for kind in EventKind.values}
    assert {("call", "500"), ("call", "not_sent"), ("call_details", "no_answer")} < found[requests]


def test_alerts_ask_for_metrics_that_there_are(host: Any) -> None:
    AccountUsage.objects.create(account="default", reconciled_at=timezone.now())
    known, samples = {sample.name for sample in _samples()}, _samples()
    [alerts] = [block for block in blocks("metrics", "text") if "exotel_ccm_" in block]

    for alert in alerts.splitlines():
        assert set(re.findall(r"exotel_ccm_\w+", alert)) <= known, alert
        for name, label, pattern in re.findall(r"(exotel_ccm_\w+)\{(\w+)=~?\"([^\"]+)\"\}", alert):
            of_label = {sample.labels[label] for sample in samples if sample.name == name}
            for one in pattern.split("|"):
                assert any(re.fullmatch(one, value) for value in of_label), (alert, one)


def test_view_of_the_documentation(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    exec(file_in("metrics", "crm/metrics.py"), names)
    view, factory = names["metrics"], RequestFactory()

    assert view(factory.get("/", headers={"Authorization": "Bearer "})).status_code == 403
    monkeypatch.setenv("METRICS_TOKEN", "secret")
    assert view(factory.get("/", headers={"Authorization": "Bearer other"})).status_code == 403
    assert b"\nexotel_ccm_due 0.0\n" in view(factory.get("/", headers={"Authorization": "Bearer secret"})).content


def test_gauges_in_a_registry_of_the_hosts(host: Any) -> None:
    registry = CollectorRegistry()

    metrics.export(due_work.gauges, registry)
    metrics.export(due_work.gauges, registry)  # as an app does whose ready() runs twice

    assert len([one for one in registry.collect() if one.name == "exotel_ccm_due"]) == 1
    assert registry.get_sample_value("exotel_ccm_due") == 0


def test_threads_that_are_no_request_leave_no_connection_open(host: Any) -> None:
    """As those of the server that prometheus-client can start."""
    left = []

    def scrape() -> None:
        due_work.gauges()
        left.append(connection.connection)

    thread = threading.Thread(target=scrape)
    thread.start()
    thread.join()

    assert left == [None]
