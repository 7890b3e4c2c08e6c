"""What can be set at run time: where Exotel's documents disagree, and what may go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from django_exotel_ccm.simulator.refusals import CALL_REFUSALS, DIRECTORY_REFUSALS

Shape = Literal["A", "B", "C"]
CallbackShape = Literal["v2", "v3", "v1_json", "v1_form", "v1_multipart"]
ToKey = Literal["both", "number", "customer_contact_uri"]
RecordingsShape = Literal["strings", "objects", "late", "never"]
RecordingType = Literal["wav", "mp3"]
AnswerFault = Literal["none", "bad_gateway", "cut", "reset", "hang", "no_sid", "html", "late"]
DetailsFault = Literal["none", "stale", "not_found", "unauthorised", "too_many", "bad_gateway", "hang", "cut"]
ExoPhonesFault = Literal["none", "empty", "repeated_page", "row_error", "bad_gateway", "html", "hang", "cut"]
UsersFault = Literal[
    "none",
    "empty",
    "half_pages",
    "repeated_page",
    "wrong_total",
    "row_error",
    "bad_gateway",
    "html",
    "hang",
    "cut",
]
AccountStatus = Literal["active", "suspended"]
Billing = Literal["Prepaid", "Postpaid"]
AccountFault = Literal["none", "unauthorised", "forbidden", "not_found", "too_many", "error", "html"]
RecordingFault = Literal["none", "not_found", "unauthorised", "forbidden", "html", "redirect_out", "cut", "endless"]

EVENTS = ("answered", "terminal")
SYNONYMS = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
ABSENT = ("", "none", "null")


@dataclass(frozen=True)
class Kind:
    """The values of an option: in words, which are accepted, how a text is read, and every text if they are few.

    `parse` may raise ValueError, or return what is not accepted.
    """

    expected: str
    accepts: Callable[[Any], bool]
    parse: Callable[[str], Any]
    texts: tuple[str, ...] = ()


def one_of(*values: Any, expected: str = "") -> Kind:
    """Return the kind of an option with a few values."""
    texts = tuple(map(text_of, values))
    by_text = dict(zip(map(str.lower, texts), values, strict=True))

    def parse(text: str) -> Any:
        key = ",".join(sorted(word.strip() for word in text.lower().split(",")))
        return by_text.get("none" if key in ABSENT else SYNONYMS.get(key, key), text)

    def accepts(value: Any) -> bool:
        return any(value == one and type(value) is type(one) for one in values)

    return Kind(expected or f"{', '.join(texts[:-1])} or {texts[-1]}", accepts, parse, texts)


def number(least: float, most: float, kind: type[int | float] = float, *, optional: bool = False) -> Kind:
    """Return the kind of an option with a number."""

    def parse(text: str) -> Any:
        return None if optional and text.lower() in ABSENT else kind(text)

    def accepts(value: Any) -> bool:
        return optional if value is None else type(value) in (int, kind) and least <= value <= most

    bounds = f"a {'whole ' if kind is int else ''}number from {least:.0f} to {most:.0f}"
    return Kind(f"None or {bounds}" if optional else bounds, accepts, parse)


def is_url(value: Any) -> bool:
    """Return True if the value is an http or https URL."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def text_of(value: Any) -> str:
    """Return an option's value as a text that `Options.set_text` understands."""
    if isinstance(value, frozenset):
        return ",".join(sorted(value)) or "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    return "none" if value is None else str(value)


FLAG = one_of(True, False)
EVENT_SET = one_of(
    *map(frozenset, ((), EVENTS[:1], EVENTS[1:], EVENTS)),
    expected="a frozenset of answered and terminal, as a text answered,terminal",
)
URL = Kind(
    "None or an http or https URL",
    lambda value: value is None or is_url(value),
    lambda text: None if text.lower() in ABSENT else text,
)
CODE, DIRECTORY_CODE = one_of(None, *CALL_REFUSALS), one_of(None, *DIRECTORY_REFUSALS)
COUNT, BYTES = number(0, 1e9, int, optional=True), number(1024, 1e10, int, optional=True)
SECONDS, RATE = number(0, 1e9), number(0, 1)


def _option(default: Any, kind: Kind, text: str) -> Any:
    return field(default=default, metadata={"kind": kind, "text": text})


def _flag(text: str) -> Any:
    return _option(default=False, kind=FLAG, text=text)


def _choice(words: Any, text: str) -> Any:
    known = get_args(words)
    return _option(known[0], one_of(*known), text)


@dataclass
class Options:
    """One attribute an option, which may be set at any time. A name or a value that does not exist is refused."""

    by_hand: bool = _flag("Phones ring until somebody presses on the web page (or calls `press`), or they time out.")
    add_unknown: bool = _flag("An agent or ExoPhone that is not in the directory is added to it instead of refused.")

    answer_shape: Shape = _choice(
        Shape, "The 200: A as on Exotel's page, B in the standard envelope (`data`), C in none."
    )
    to_key: ToKey = _choice(ToKey, "The key inside `to` that is accepted; the other one is a 400 with code 10725.")
    refuse_with: int | None = _option(None, CODE, "A code with which every call is refused, such as 10724 or 1010.")
    retry_after: int | None = _option(None, COUNT, "Seconds in the `Retry-After` header of a 429; none: no header.")
    answer_fault: AnswerFault = _choice(
        AnswerFault,
        "The call is placed, but its answer is lost: a 502 page, a connection closed (cut) or reset in mid-body, none "
        "until the client gives up (hang), a 200 without a call_sid, a web page, or late, after `answer_delay`.",
    )
    answer_delay: float = _option(5.0, SECONDS, "Real seconds before an answer that is late.")

    callback_shape: CallbackShape = _choice(CallbackShape, "The body: nested in v2 and v3, flat in v1.")
    recordings_shape: RecordingsShape = _choice(
        RecordingsShape, "Recordings: strings, objects with `url`, null until Call Details (late), or null for ever."
    )
    account_callback_url: str | None = _option(None, URL, "The account's own URL: each event of each call goes there.")
    callback_delay: float = _option(0.0, SECONDS, "Simulated seconds from an event to the first try of its callback.")
    early_callbacks: bool = _flag("The answer to Make a Call waits until the call's first callback was tried.")
    duplicate_callbacks: bool = _flag("Every callback comes twice.")
    answered_last: bool = _flag("`answered` comes after `terminal`.")
    lost_events: frozenset[str] = _option(frozenset(), EVENT_SET, "Events that are never delivered.")
    in_order: bool = _option(True, FLAG, "A call's callbacks wait for each other's first try.")
    sparse_terminal: bool = _flag("`terminal` names the call that is over, and nothing else.")
    conflicting_finals: bool = _flag("A second `terminal` follows with another status word and longer durations.")
    unknown_status: bool = _flag("Calls end with a status word that no document has, in Call Details too.")
    literal_nulls: bool = _flag('The text "null" stands where null would.')
    epoch_end_time: bool = _flag("The end time of a running call is 1970-01-01 05:30:00+05:30 instead of null.")
    local_numbers: bool = _flag("Indian numbers are written 0XXXXXXXXXX instead of +91XXXXXXXXXX.")

    seed: int = _option(0, number(0, 1e9, int), "The same seed and the same calls have the same faults.")
    duplicate_rate: float = _option(0.0, RATE, "The share of callbacks that come twice.")
    reorder_rate: float = _option(0.0, RATE, "The share of `answered` that come after `terminal`.")
    loss_rate: float = _option(0.0, RATE, "The share of callbacks that are never delivered.")

    details_shape: Shape = _choice(Shape, "A with the documented names, B with v2's in `data`, C the contact-center's.")
    details_fault: DetailsFault = _choice(
        DetailsFault,
        "A finished call reads as active (stale), or the answer is a 404, 401, 429 (too_many), a 502 page, none until "
        "the client gives up (hang), or one whose connection is reset in mid-body (cut).",
    )
    details_stale_for: float = _option(120.0, SECONDS, "Simulated seconds for which an ended call reads as active.")

    users_refuse_with: int | None = _option(None, DIRECTORY_CODE, "A code that refuses every request for users.")
    users_fault: UsersFault = _choice(
        UsersFault,
        "The list is empty, its pages are half as long as requested, the first page comes again and again, its total "
        "is too high (wrong_total), the last row of a page is an error (row_error), or the answer is a 502 page, "
        "a web page, none until the client gives up (hang), or one whose connection is reset in mid-body (cut).",
    )
    devices_refuse_with: int | None = _option(None, DIRECTORY_CODE, "A code that refuses every change of a device.")
    exophones_refuse_with: int | None = _option(
        None, DIRECTORY_CODE, "A code that refuses every request for ExoPhones."
    )
    exophones_fault: ExoPhonesFault = _choice(ExoPhonesFault, "What is wrong with the list, as with that of the users.")
    good_pages: int = _option(0, number(0, 1e9, int), "So many pages of a list are good before it goes wrong.")

    recording_delay: float = _option(60.0, SECONDS, "Simulated seconds from a call's end until its recording is there.")
    recording_fault: RecordingFault = _choice(
        RecordingFault,
        "A 404 for ever, 401, 403, a web page, a redirect out, a reset in mid-body (cut), endless sound.",
    )
    recording_type: RecordingType = _choice(RecordingType, "The type of recordings of calls that end from now on.")
    big_recording: int | None = _option(None, BYTES, "Bytes of every recording; none: a few seconds of sound.")

    account_status: AccountStatus = _choice(AccountStatus, "The state of the account.")
    account_fault: AccountFault = _choice(
        AccountFault, "The account is answered with a 401, 403, 404, 429 (too_many), 500 (error), or a web page."
    )
    billing: Billing = _choice(Billing, "How the account is paid; a postpaid one works without a balance.")
    balance: float = _option(842.5, number(-1e6, 1e9), "The balance of the account, in rupees.")
    balance_fault: AccountFault = _choice(
        AccountFault, "The balance is answered so; a key may not be allowed to read it."
    )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an option. AttributeError if there is none of this name, ValueError if it cannot hold the value."""
        kind = kind_of(name)
        if not kind.accepts(value):
            raise ValueError(f"{name}={value!r}: write {kind.expected}")
        super().__setattr__(name, value)

    def set_text(self, name: str, text: str) -> None:
        """Set an option to what a text means, as a command line or a form has it. AttributeError, ValueError."""
        try:
            value = kind_of(name).parse(text.strip())
        except ValueError:
            value = text
        setattr(self, name, value)

    def as_texts(self) -> dict[str, str]:
        """Return each option as a text that `set_text` understands."""
        return {name: text_of(getattr(self, name)) for name in FIELDS}


FIELDS = {one.name: one for one in fields(Options)}
GROUPS = {
    "answer_shape": "Make a Call",
    "callback_shape": "Callbacks",
    "seed": "Chance",
    "details_shape": "Call Details",
    "users_refuse_with": "Agents, devices, ExoPhones",
    "recording_delay": "Recordings",
    "account_status": "The account",
}
"""The first option of each group -> its heading."""


def kind_of(name: str) -> Kind:
    """Return what an option takes; AttributeError if there is no such option."""
    if name not in FIELDS:
        raise AttributeError(f"There is no option {name!r}; there are {', '.join(FIELDS)}")
    kind: Kind = FIELDS[name].metadata["kind"]
    return kind
