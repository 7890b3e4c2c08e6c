"""Whom and what an account knows: its users with their devices, and its ExoPhones (docs/exotel.md 5, 6).

Lists come in pages. A listing is read page by page, because its reader counts each request against the account's
budget. It is complete only if nothing about it is doubtful: no row with an error of its own, no page twice, and as many
rows as Exotel says there are, from the first page to the last. Who is missing from a list that is not complete may
still be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from django.utils.translation import gettext as _

from .client import ExotelClient
from .errors import AgentNotFound, NoUsableAnswer, Reply, RequestRefused, error_code
from .values import as_object, clean_seconds, clean_text, only

USERS_PAGE = 50  # the most that one page can have (docs/exotel.md 5.2)
NUMBERS_PAGE = 50  # what the answer says in its sample (docs/exotel.md 6.1)
MOST_ROWS = 100_000  # a list without end is a broken one
MOST_DEVICES = 20
LONGEST_ID = 64
LONGEST_NAME = 150
LONGEST_EMAIL = 254
LONGEST_URI = 200
LONGEST_WORD = 32

USERS_PATH = "/v2/accounts/{sid}/users"
NUMBERS_PATH = "/v2_beta/Accounts/{sid}/IncomingPhoneNumbers"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExotelDevice:
    """A phone or a softphone of a user. At most one device of a user is on, as Exotel says."""

    id: str
    contact_uri: str
    """As Exotel wrote it: E.164, a local number, or a SIP address."""
    type: str
    """As Exotel wrote it: "tel", "sip", or a word that no document has."""
    is_on: bool
    is_verified: bool
    status: str
    """Whether it is in use: "free", a word for busy, or nothing."""

    @property
    def is_softphone(self) -> bool:
        """Whether a SIP address rings, and no phone number. The address tells, since the type may be any word."""
        return self.contact_uri.lower().startswith("sip:")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExotelUser:
    """A co-worker of the account. Texts that Exotel does not give are ""."""

    id: str
    """What Make a Call takes as ``from.user_id``."""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    """With the capitals of whoever typed it."""
    role: str = ""
    devices: tuple[ExotelDevice, ...] | None = None
    """None if the answer does not say which devices the user has."""

    @property
    def name(self) -> str:
        """First and last name."""
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExotelNumber:
    """An ExoPhone. Texts that Exotel does not give are ""."""

    sid: str
    number: str
    """As Exotel wrote it: E.164, or in the local form."""
    label: str = ""
    """Exotel's "friendly name"; unless somebody wrote one, it is the number again."""
    country: str = ""


def fetch_user(client: ExotelClient, user_id: str) -> ExotelUser:
    """Return a user with their devices as they are now. Raises AgentNotFound or another ExotelError."""
    reply = client.get(_path(user_id), {"fields": "devices"})
    user = _user(only(as_object(reply.payload).get("response")))
    if user is None:
        raise _unreadable(reply)
    return user


def set_available(client: ExotelClient, user_id: str, device_id: str, *, on: bool) -> None:
    """Turn a device of a user on or off; another one has to be off already (docs/exotel.md 5.5).

    Raises RequestRefused with code 10809, 10810 or another, AgentNotFound, or another ExotelError.
    """
    client.put(f"{_path(user_id)}/devices/{_quoted(device_id)}", {"available": on})


def _path(user_id: str) -> str:
    return f"{USERS_PATH}/{_quoted(user_id)}"


def _quoted(key: str) -> str:
    if key in {"", ".", ".."}:
        raise ValueError("This is no id of Exotel.")
    return quote(key, safe="")


class _Page(NamedTuple):
    rows: list[Any]
    total: int | None
    """How many rows all pages have, as Exotel says."""
    size: int
    """How many rows a full page has."""


class Listing(Generic[Row]):
    """A list that is read page by page, until ``is_over``."""

    def __init__(self, client: ExotelClient) -> None:
        self.client = client
        self.is_over = False
        self.received = 0
        """How many rows came so far, those with errors included."""
        self.total: int | None = None
        """How many rows there are, as Exotel says."""
        self.pages = 0
        """How many pages came so far, an empty one included."""
        self._has_changed = False
        self._problems: dict[str, None] = {}
        self._keys: set[str] = set()

    @property
    def problems(self) -> list[str]:
        """Why the list is not to be relied on, in sentences; empty if nothing is doubtful."""
        return list(self._problems)

    @property
    def is_complete(self) -> bool:
        """Whether the list was read to its end and nothing about it is doubtful."""
        return self.is_over and not self._problems

    def next_page(self) -> list[Row]:
        """Send one request; return the rows that no page had before.

        Raises an ExotelError; then this may be called again, for the same page.
        """
        try:
            page = self._page()
        except (RequestRefused, AgentNotFound):
            if self.received == 0 or self.received != self.total:
                raise
            page = _Page([], self.total, 0)  # it lies behind the last one
        self.pages += 1
        fresh = self._fresh(page.rows)
        self.received += len(page.rows)
        self._compare_total(page)
        self._close(page, is_repeated=bool(page.rows) and not fresh)
        return fresh

    def _page(self) -> _Page:
        """Send the request for the next page."""
        raise NotImplementedError

    def _read(self, row: object) -> tuple[str, Row] | None:
        """Return the key of a row and what it holds; None if it cannot be read."""
        raise NotImplementedError

    def _fresh(self, rows: list[Any]) -> list[Row]:
        fresh: list[Row] = []
        for row in rows:
            found = self._read(row)
            if found is None:
                self._doubt(_unreadable_row(row))
            elif found[0] in self._keys:
                self._doubt(_("Exotel sent some rows twice, so others may be missing."))
            else:
                self._keys.add(found[0])
                fresh.append(found[1])
        return fresh

    def _compare_total(self, page: _Page) -> None:
        # Behind the last page, a total of the page alone is 0.
        if page.total is None or (self.total is not None and not page.rows and page.total == 0):
            return
        self._has_changed |= self.total not in (None, page.total)
        self.total = page.total

    def _close(self, page: _Page, *, is_repeated: bool) -> None:
        self.is_over = not page.rows or is_repeated or self._is_last(page)
        if self.received >= MOST_ROWS and not self.is_over:
            self._doubt(_("Exotel's list does not end."))
            self.is_over = True
        if self.is_over and self.total not in (None, self.received):
            text = _("Exotel says that there are %(total)d, and sent %(received)d.")
            self._doubt(text % {"total": self.total, "received": self.received})
        elif self.is_over and self._has_changed:
            # Offsets count from the first row: where one goes, another is skipped; where one comes, one comes twice.
            self._doubt(_("Exotel's list changed while it was read. Read it again."))

    def _is_last(self, page: _Page) -> bool:
        # A total may be that of the page alone. So a full page is followed by one more request, whatever the total.
        return self.total is not None and self.received >= self.total and len(page.rows) < page.size

    def _doubt(self, problem: str) -> None:
        self._problems[problem] = None


class UserListing(Listing[ExotelUser]):
    """The users of the account, with their devices."""

    def _page(self) -> _Page:
        query: dict[str, str | int] = {"fields": "devices", "limit": USERS_PAGE, "offset": self.received}
        reply = self.client.get(USERS_PATH, query)
        answer = as_object(reply.payload)
        metadata = as_object(answer.get("metadata"))
        size = clean_seconds(metadata.get("limit")) or USERS_PAGE
        return _Page(_list(reply, answer.get("response")), clean_seconds(metadata.get("total")), min(size, USERS_PAGE))

    def _read(self, row: object) -> tuple[str, ExotelUser] | None:
        user = _user(row)
        return None if user is None else (user.id, user)


class NumberListing(Listing[ExotelNumber]):
    """The ExoPhones of the account.

    How to ask for the second page is not documented (docs/exotel.md 6.1). So only a first page that is full is followed
    by another request, for ``page=1``; if Exotel ignores that, the same page comes again and the list is not complete.
    """

    def _page(self) -> _Page:
        reply = self.client.get(NUMBERS_PATH, {"page": self.pages} if self.pages else None, host="api")
        answer = as_object(reply.payload)
        rows = answer.get("incoming_phone_numbers", answer.get("IncomingPhoneNumbers"))
        size = clean_seconds(answer.get("page_size")) or NUMBERS_PAGE
        return _Page(_list(reply, rows), clean_seconds(answer.get("total")), size)

    def _is_last(self, page: _Page) -> bool:
        return len(page.rows) < page.size

    def _read(self, row: object) -> tuple[str, ExotelNumber] | None:
        number = _number(row)
        return None if number is None else (number.sid, number)


def _list(reply: Reply, rows: object) -> list[Any]:
    if not isinstance(rows, list):
        raise _unreadable(reply)
    return rows


def _unreadable(reply: Reply) -> NoUsableAnswer:
    return NoUsableAnswer(
        code="unreadable_answer", http_status=reply.http_status, request_id=reply.request_id, raw=reply.raw
    )


def _unreadable_row(row: object) -> str:
    code = error_code({"response": row})
    if code:
        return _("Exotel reported an error in single rows, with code %(code)s.") % {"code": code}
    return _("Exotel sent single rows that cannot be read.")


def _user(row: object) -> ExotelUser | None:
    """Return the user in a row, which has a code and a status of its own; None if it has none."""
    row = as_object(row)
    data = as_object(row.get("data", row))
    user_id = _key(data.get("id"))
    if user_id is None or _text(row, "status", LONGEST_WORD).lower() in {"failure", "failed", "error"}:
        return None
    devices = data.get("devices")
    return ExotelUser(
        id=user_id,
        first_name=_text(data, "first_name", LONGEST_NAME),
        last_name=_text(data, "last_name", LONGEST_NAME),
        email=_text(data, "email", LONGEST_EMAIL),
        role=_text(data, "role", LONGEST_WORD),
        devices=_devices(devices) if isinstance(devices, list) else None,
    )


def _devices(rows: list[Any]) -> tuple[ExotelDevice, ...]:
    found = {}
    for row in map(as_object, rows[:MOST_DEVICES]):
        device_id, contact_uri = _key(row.get("id")), _text(row, "contact_uri", LONGEST_URI + 1)
        if device_id and contact_uri and len(contact_uri) <= LONGEST_URI:
            found[device_id] = ExotelDevice(
                id=device_id,
                contact_uri=contact_uri,
                type=_text(row, "type", LONGEST_WORD),
                is_on=_is_true(row.get("available")),
                is_verified=_is_true(row.get("verified")),
                status=_text(row, "status", LONGEST_WORD),
            )
    return tuple(found.values())


def _number(row: object) -> ExotelNumber | None:
    outer = as_object(row)
    # Version 1 of the API has another wrapper and other capitals.
    data = as_object(outer.get("IncomingPhoneNumber", outer.get("data", outer)))
    sid = _key(data.get("sid")) or _key(data.get("Sid"))
    number = _text(data, "phone_number", LONGEST_NAME) or _text(data, "PhoneNumber", LONGEST_NAME)
    if sid is None or not number:
        return None
    label = _text(data, "friendly_name", LONGEST_NAME) or _text(data, "FriendlyName", LONGEST_NAME)
    return ExotelNumber(sid=sid, number=number, label=label, country=_text(data, "country", LONGEST_WORD))


def _key(value: object) -> str | None:
    # Not cut: a part of an identifier is another identifier.
    key = clean_text(value, LONGEST_ID + 1)
    return key if key and len(key) <= LONGEST_ID else None


def _text(data: Mapping[str, Any], name: str, limit: int) -> str:
    return clean_text(data.get(name), limit) or ""


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")
