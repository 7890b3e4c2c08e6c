"""The switches of the simulator: where Exotel's documents disagree, and what may go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from django_exotel_ccm.simulator.refusals import REFUSALS
from django_exotel_ccm.simulator.switches import Address, Events, Number, switches_of

Shape = Literal["A", "B", "C"]
CallbackShape = Literal["v2", "v3", "v1_json", "v1_form", "v1_multipart"]
ToKey = Literal["both", "number", "customer_contact_uri"]
Recordings = Literal["strings", "objects", "late", "never"]
RecordingType = Literal["wav", "mp3"]
AnswerFault = Literal["none", "bad_gateway", "cut", "reset", "hang", "no_sid", "html", "late"]
DetailsFault = Literal["none", "stale", "not_found", "unauthorised", "too_many", "bad_gateway", "hang", "cut"]
RecordingFault = Literal["none", "not_found", "unauthorised", "forbidden", "html", "redirect_out", "cut", "endless"]
Code = Annotated[int | None, Number(whole=True, or_none=True, known=tuple(REFUSALS))]
Seconds = Annotated[float, Number()]
Rate = Annotated[float, Number(most=1)]
HEADINGS = {
    "answer_shape": "Make a Call",
    "callback_shape": "Callbacks",
    "seed": "Chance",
    "details_shape": "Call Details",
    "recording_delay": "Recordings",
}
"""Where the page and the documentation begin a group of switches: the first of it -> its heading."""

EXCLUSIVE = ("sparse_terminal", "conflicting_finals")  # a body with nothing in it contradicts nothing


@dataclass
class Options:
    """One attribute a switch, to be changed at any time."""

    by_hand: bool = False
    """Phones ring until somebody presses on the web page (or calls `press`), or until they time out."""

    answer_shape: Shape = "A"
    """The 200: A the seed's, B the standard CCM envelope (`data`), C no envelope."""
    to_key: ToKey = "both"
    """The key inside `to` that is accepted; the other one is a 400 with code 10725."""
    refuse_with: Code = None
    """A code with which every call is refused, for example 10724 (too many requests) or 1010."""
    retry_after: Annotated[int | None, Number(whole=True, or_none=True)] = None
    """Seconds for the `Retry-After` header of a 429; None leaves the header out."""
    answer_fault: AnswerFault = "none"
    """The call is placed, but its answer is lost: a 502 page, a connection that is closed (cut) or reset in
    mid-body, no answer until the client gives up (hang), a 200 without a call_sid, a 200 that is a web page,
    or (late) an answer only after `answer_delay`."""
    answer_delay: Seconds = 5.0
    """Real seconds before an answer that is late."""

    callback_shape: CallbackShape = "v2"
    """The body: nested JSON of v2 or v3, or v1's flat fields as JSON, form or multipart."""
    recordings_shape: Recordings = "strings"
    """Recordings: strings, objects with `url`, or null: only Call Details has the link (late), or nobody (never)."""
    account_callback_url: Annotated[str | None, Address()] = None
    """The account's own URL: the events of every call go there as well, also of calls placed elsewhere."""
    callback_delay: Seconds = 0.0
    """Simulated seconds from an event until its callback is first tried."""
    early_callbacks: bool = False
    """The answer to Make a Call waits until the call's first callback was delivered."""
    duplicate_callbacks: bool = False
    """Every callback comes twice."""
    answered_last: bool = False
    """`answered` comes after `terminal`."""
    lost_events: Annotated[frozenset[str], Events()] = frozenset()
    """Events that are never delivered: "answered", "terminal"."""
    in_order: bool = True
    """A call's callbacks wait for each other's first try; False lets them overtake each other."""
    sparse_terminal: bool = False
    """`terminal` says which call is over, and nothing else."""
    conflicting_finals: bool = False
    """A second `terminal` follows with another status word and longer durations."""
    unknown_status: bool = False
    """Calls end with a status word that no document has, in Call Details too."""
    literal_nulls: bool = False
    """The text "null" where they would say null."""
    epoch_end_time: bool = False
    """The end time of a running call is 1970-01-01 05:30:00+05:30 instead of null."""
    local_numbers: bool = False
    """Indian numbers are written 0XXXXXXXXXX instead of +91XXXXXXXXXX."""

    seed: Annotated[int, Number(whole=True)] = 0
    """What the three rates draw with: the same seed and the same calls give the same story."""
    duplicate_rate: Rate = 0.0
    """The share of callbacks that come twice."""
    reorder_rate: Rate = 0.0
    """The share of `answered` that come after `terminal`."""
    loss_rate: Rate = 0.0
    """The share of callbacks that are never delivered."""

    details_shape: Shape = "A"
    """A `response.call_details`, B `response.data` in v2's words, C the contact-center's."""
    details_fault: DetailsFault = "none"
    """A finished call still reads as active (stale), or the answer is a 404, 401, 429 (too_many), a 502 page,
    none until the client gives up (hang), or one whose connection is reset in mid-body (cut)."""
    details_stale_for: Seconds = 120.0
    """Simulated seconds from the end of a call for which `stale` details read as active."""

    recording_delay: Seconds = 60.0
    """Simulated seconds from the end of a call until its recording can be fetched; a 404 till then."""
    recording_fault: RecordingFault = "none"
    """The recording is a 404 for ever, 401, 403, a web page, a redirect to another host, reset in mid-body (cut),
    or sound that never ends."""
    recording_type: RecordingType = "wav"
    """Whether recordings of calls that end from now on are WAV or MP3."""
    big_recording: Annotated[int | None, Number(least=1024, most=10**10, whole=True, or_none=True)] = None
    """Bytes of every recording; None: a few seconds of sound."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse a switch that does not exist and a value it does not have."""
        known = switches_of(Options)
        if name not in known:
            raise AttributeError(f"There is no switch {name!r}; there are {', '.join(known)}")
        checked = known[name].checked(value)
        if checked and name in EXCLUSIVE and any(getattr(self, other) for other in EXCLUSIVE if other != name):
            raise ValueError(f"{' and '.join(EXCLUSIVE)} exclude each other: set one of them to False first")
        super().__setattr__(name, checked)

    def read(self, name: str, text: str) -> None:
        """Set a switch to what a text means, as a command line or a form has it. AttributeError, ValueError."""
        known = switches_of(Options).get(name)
        setattr(self, name, known.read(text) if known else text)
