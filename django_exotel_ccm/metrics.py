"""What Prometheus is told, where the extra ``prometheus`` is installed; else nothing is counted (docs/metrics.md).

The names and labels are public: dashboards and alerts use them. No label has a number, a name or a ticket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any
from weakref import WeakSet

try:
    import prometheus_client
    from prometheus_client.core import GaugeMetricFamily
except ImportError:
    prometheus_client = None  # type: ignore[assignment]

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 45, 60)
"""Bounds of the histograms. A request to Exotel is given up after 45 seconds."""

_REQUEST_NAMES = ("call", "call_details", "other")
_STATUSES = ("200", "500", "502", "503", "504", "not_sent", "no_answer")
_EXPORTED_TO: WeakSet[Any] = WeakSet()

if prometheus_client is not None:
    _CALLS = prometheus_client.Counter(
        "exotel_ccm_calls", "Calls that came into this state, with this outcome.", ["state", "outcome"]
    )
    _EVENTS = prometheus_client.Histogram(
        "exotel_ccm_event_seconds",
        "Seconds from when an event arrived until it was committed.",
        ["kind"],
        buckets=SECONDS,
    )
    _REQUESTS = prometheus_client.Histogram(
        "exotel_ccm_request_seconds",
        "Seconds that requests to Exotel took, by the status of the answer.",
        ["request", "status"],
        buckets=SECONDS,
    )


def begin(calls: Iterable[tuple[str, str]], kinds: Iterable[str]) -> None:
    """Have the series of these states and outcomes, of these kinds of events, and of requests begin with 0.

    One that begins with its first event has risen from nothing, which Prometheus does not see as an increase.
    """
    if prometheus_client is not None:
        for state, outcome in calls:
            _CALLS.labels(state, outcome)
        for kind in kinds:
            _EVENTS.labels(kind)
        for request, status in product(_REQUEST_NAMES, _STATUSES):
            _REQUESTS.labels(request, status)


def count_call(state: str, outcome: str) -> None:
    """Count a call that is committed with this state and this outcome ("" while it has none)."""
    if prometheus_client is not None:
        _CALLS.labels(state, outcome).inc()


def observe_event(kind: str, seconds: float) -> None:
    """Note how long it took from an event's arrival until it was committed."""
    if prometheus_client is not None:
        _EVENTS.labels(kind).observe(max(0.0, seconds))


def observe_request(request: str, status: str, seconds: float) -> None:
    """Note a request to Exotel: ``request`` is one of a few names, ``status`` an HTTP status, or what came instead."""
    if prometheus_client is not None:
        _REQUESTS.labels(request, status).observe(seconds)


def export(read: Callable[[], Mapping[str, tuple[str, float]]], registry: Any = None) -> None:
    """Have ``read`` called at each scrape: it returns by the name of a gauge its description and its value.

    ``registry`` is a registry of prometheus-client; the default one, if it is None. Asked again for the same registry
    it does nothing: Prometheus takes no page that tells a gauge twice.
    """
    if prometheus_client is not None:
        registry = registry or prometheus_client.REGISTRY
        if registry not in _EXPORTED_TO:
            _EXPORTED_TO.add(registry)
            registry.register(_Gauges(read))


class _Gauges:
    """Gauges that are read from the database at each scrape, and so are the same in every process."""

    def __init__(self, read: Callable[[], Mapping[str, tuple[str, float]]]) -> None:
        self._read = read

    def describe(self) -> list[Any]:
        """Return nothing: else the registry would ask the database when the app starts."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield the gauges."""
        for name, (description, value) in self._read().items():
            yield GaugeMetricFamily(name, description, value=value)
