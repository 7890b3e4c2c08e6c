"""The switches of the simulator: where Exotel's documents disagree, and what may go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from django_exotel_ccm.simulator.refusals import REFUSALS

Shape = Literal["A", "B", "C"]
CallbackShape = Literal["v2", "v3", "v1_json", "v1_form", "v1_multipart"]
ToKey = Literal["both", "number", "customer_contact_uri"]
Recordings = Literal["strings", "objects", "late"]
AnswerFault = Literal["none", "bad_gateway", "cut", "no_sid", "html", "late"]


@dataclass
class Options:
    """One attribute a switch, to be changed at any time."""

    by_hand: bool = False
    """Phones ring until somebody presses on the web page (or calls `press`), or until they time out."""
    answer_shape: Shape = "A"
    """Make a Call's 200: A the seed's, B the standard CCM envelope (`data`), C no envelope."""
    details_shape: Shape = "A"
    """Call Details: A `response.call_details`, B `response.data` in v2's words, C the contact-center's."""
    callback_shape: CallbackShape = "v2"
    """The body of a callback: nested JSON of v2 or v3, or v1's flat fields as JSON, form or multipart."""
    recordings_shape: Recordings = "strings"
    """In callbacks: strings, objects with `url`, or null (late: only Call Details has the link)."""
    to_key: ToKey = "both"
    """Which key inside `to` is accepted; the other one is a 400 with code 10725."""
    refuse_with: int | None = None
    """A code with which every Make a Call is refused, for example 10724 (too many requests) or 1100."""
    retry_after: int | None = None
    """Seconds for the `Retry-After` header of a 10724; None leaves the header out."""
    answer_fault: AnswerFault = "none"
    """The call is placed, but its answer is lost: a 502 page, a cut connection, a 200 without a call_sid,
    a 200 that is a web page, or (`late`) an answer only after `answer_delay`."""
    answer_delay: float = 5.0
    """Real seconds for `answer_fault="late"`."""
    duplicate_callbacks: bool = False
    """Deliver every callback twice."""
    answered_last: bool = False
    """Deliver `answered` after `terminal`."""
    lost_events: frozenset[str] = field(default_factory=frozenset)
    """Events that are never delivered: "answered", "terminal"."""
    in_order: bool = True
    """A call's callbacks wait for each other's first try; False lets them overtake each other."""
    literal_nulls: bool = False
    """Callbacks say the text "null" where they would say null."""
    epoch_end_time: bool = False
    """The end time of a running call is 1970-01-01 05:30:00+05:30 instead of null."""
    local_numbers: bool = False
    """Callbacks write Indian numbers as 0XXXXXXXXXX instead of +91XXXXXXXXXX."""
    recording_delay: float = 60.0
    """Simulated seconds from the end of a call until its recording can be fetched."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse a switch that does not exist and a value it does not have."""
        kinds = get_type_hints(Options)
        if name not in kinds:
            raise AttributeError(f"There is no switch {name!r}; there are {', '.join(kinds)}")
        if get_origin(kinds[name]) is Literal and value not in get_args(kinds[name]):
            raise ValueError(f"{name}={value!r}: write one of {', '.join(get_args(kinds[name]))}")
        if name == "refuse_with" and value is not None and value not in REFUSALS:
            raise ValueError(f"refuse_with={value!r}: write None or one of {', '.join(map(str, REFUSALS))}")
        super().__setattr__(name, value)
