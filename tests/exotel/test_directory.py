"""Users, devices and ExoPhones: what is read from good and from bad answers, and when a list is complete."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_exotel_ccm.exotel import directory
from django_exotel_ccm.exotel.directory import (
    ExotelDevice,
    ExotelUser,
    NumberListing,
    UserListing,
    fetch_user,
    set_available,
)
from django_exotel_ccm.exotel.errors import (
    AgentNotFound,
    AuthenticationFailed,
    ExotelError,
    Forbidden,
    NotPlaced,
    NoUsableAnswer,
    RequestRefused,
    TooManyRequests,
    Unreachable,
    error_from_quiet_answer,
)
from tests.exotel.clients import assert_shows_nothing, client_at, refused_port
from tests.exotel.leaks import leaks_in
from tests.exotel.samples import refusal
from tests.properties.invariants import unsendable
from tests.servers.scripted_http import answering, http, reset_after_request, serving, silent

WORDS = (
    *("id", "data", "code", "status", "error_data", "email", "first_name", "devices", "contact_uri", "type"),
    *("available", "sid", "phone_number", "friendly_name", "IncomingPhoneNumber"),
)
DEVICE = {"id": 411, "contact_uri": "+919000000101", "type": "tel", "available": True, "verified": True}
FAILED_ROW = refusal(500, 1004)["response"]


def user_row(number: int, **data: Any) -> dict[str, Any]:
    user = {"id": f"user-{number}", "first_name": "Asha", "last_name": "Rao", "email": "Asha@Example.in", **data}
    return {"code": 200, "status": "success", "data": user}


def users(rows: Sequence[Any], *, total: object = None, **metadata: object) -> bytes:
    return http(200, {"http_code": 200, "metadata": {"total": total, **metadata}, "response": rows})


def numbers(rows: Sequence[Any], **body: object) -> bytes:
    return http(200, {"page": 0, "page_size": 50, "incoming_phone_numbers": rows, **body})


def number_row(number: int, **data: Any) -> dict[str, Any]:
    return {"sid": f"sid{number}", "phone_number": f"+9180000{number:05}", **data}


def read(listing: Any) -> list[Any]:
    found = []
    while not listing.is_over:
        found += listing.next_page()
    return found


def read_users(*answers: bytes) -> tuple[UserListing, list[ExotelUser], list[str]]:
    with serving(answering(*answers)) as server:
        listing = UserListing(client_at(server))
        found = read(listing)
        return listing, found, [request.split(b" ")[1].decode() for request in server.requests]


def read_numbers(*answers: bytes) -> tuple[NumberListing, list[Any], list[str]]:
    with serving(answering(*answers)) as server:
        listing = NumberListing(client_at(server))
        found = read(listing)
        return listing, found, [request.split(b" ")[1].decode() for request in server.requests]


class TestUsers:
    def test_one_page(self) -> None:
        row = user_row(1, role="user", devices=[{**DEVICE, "status": "free", "name": "Asha mobile"}])

        listing, found, paths = read_users(users([row], total=1, limit=50))

        device = ExotelDevice(
            id="411", contact_uri="+919000000101", type="tel", is_on=True, is_verified=True, status="free"
        )
        assert found == [
            ExotelUser(
                id="user-1",
                first_name="Asha",
                last_name="Rao",
                email="Asha@Example.in",
                role="user",
                devices=(device,),
            )
        ]
        assert found[0].name == "Asha Rao"
        assert (listing.is_complete, listing.total) == (True, 1)
        assert paths == ["/v2/accounts/acme1/users?fields=devices&limit=50&offset=0"]

    def test_pages_follow_until_the_total(self) -> None:
        rows = [user_row(number) for number in range(70)]

        listing, found, paths = read_users(users(rows[:50], total=70), users(rows[50:], total="70"))

        assert [user.id for user in found] == [f"user-{number}" for number in range(70)]
        assert listing.is_complete
        assert [path.rpartition("=")[2] for path in paths] == ["0", "50"]

    @pytest.mark.parametrize("last", [users([], total=50), http(404, refusal(404, 10801)), http(400)])
    def test_full_page_is_followed_by_one_more(self, last: bytes) -> None:
        """The total may be that of the page, and what comes after the last page is not documented."""
        rows = [user_row(number) for number in range(50)]

        listing, found, paths = read_users(users(rows, total=50), last)

        assert (len(found), len(paths), listing.is_complete) == (50, 2, True)

    def test_total_of_the_page_alone_ends_no_list(self) -> None:
        rows = [user_row(number) for number in range(80)]

        listing, found, _paths = read_users(users(rows[:50], total=50), users(rows[50:], total=30), users([], total=0))

        assert len(found) == 80
        assert listing.problems == ["Exotel says that there are 30, and sent 80."]

    @pytest.mark.parametrize("total", [69, 71])
    def test_total_that_changes_between_two_pages_is_doubtful(self, total: int) -> None:
        """Somebody was removed or added meanwhile: who moved from one page to the other may have been skipped."""
        rows = [user_row(number) for number in range(total)]

        listing, found, _paths = read_users(users(rows[:50], total=70), users(rows[50:], total=total))

        assert len(found) == total
        assert listing.problems == ["Exotel's list changed while it was read. Read it again."]
        assert not listing.is_complete

    def test_server_with_shorter_pages(self) -> None:
        rows = [user_row(number) for number in range(45)]
        pages = [users(rows[start : start + 20], total=45, limit=20) for start in (0, 20, 40)]

        listing, found, _paths = read_users(*pages)

        assert (len(found), listing.is_complete) == (45, True)

    def test_half_a_page_is_followed_from_where_it_ended(self) -> None:
        rows = [user_row(number) for number in range(40)]

        listing, found, paths = read_users(users(rows[:25], total=40), users(rows[25:], total=40))

        assert (len(found), listing.is_complete) == (40, True)
        assert paths[1].endswith("offset=25")

    def test_without_total_an_empty_page_ends_it(self) -> None:
        listing, found, paths = read_users(users([user_row(1)]), users([]))

        assert (len(found), len(paths), listing.is_complete) == (1, 2, True)

    def test_nobody(self) -> None:
        listing, found, paths = read_users(users([], total=0))

        assert (found, len(paths), listing.is_complete) == ([], 1, True)

    @pytest.mark.parametrize(
        ("pages", "count", "problem"),
        [
            ([users([user_row(1)], total=9), users([], total=9)], 1, "Exotel says that there are 9, and sent 1."),
            ([users([user_row(1)], total=9), users([], total=8)], 1, "Exotel says that there are 8, and sent 1."),
            ([users([user_row(1)], total=9), users([])], 1, "Exotel says that there are 9, and sent 1."),
            ([users([user_row(1), user_row(2)], total=1)], 2, "Exotel says that there are 1, and sent 2."),
            ([users([user_row(1), FAILED_ROW], total=2)], 1, "an error in single rows, with code 1004"),
            ([users([user_row(1), None, {"data": None}, 7, {"data": {}}], total=5)], 1, "rows that cannot be read"),
            ([users([user_row(1), user_row(1)], total=2)], 1, "some rows twice"),
            ([users([user_row(1)], total=2)], 1, "some rows twice"),
            ([users([{"code": 404, "status": "failure", "data": {"id": "user-1"}}], total=1)], 0, "cannot be read"),
            ([users([user_row(1, id="x" * 65)], total=1)], 0, "cannot be read"),
        ],
    )
    def test_doubtful_list_is_not_complete(self, pages: list[bytes], count: int, problem: str) -> None:
        listing, found, _paths = read_users(*pages)

        assert len(found) == count
        assert problem in " ".join(listing.problems)
        assert not listing.is_complete

    def test_list_without_end_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(directory, "MOST_ROWS", 3)
        pages = [users([user_row(number)]) for number in range(9)]

        listing, found, _paths = read_users(*pages)

        assert (len(found), listing.problems) == (3, ["Exotel's list does not end."])

    def test_odd_users_and_devices(self) -> None:
        devices = [
            {**DEVICE, "available": "true", "verified": 1},
            {**DEVICE, "id": "412", "contact_uri": "sip:asha4c1d77e2", "type": "hologram", "status": None},
            {**DEVICE, "id": 411, "contact_uri": "09000000101", "available": None},
            {**DEVICE, "id": None},
            {**DEVICE, "id": 413, "contact_uri": ""},
            {**DEVICE, "id": 414, "contact_uri": "sip:" + "x" * 300},
            "device",
        ]
        bare = {"id": 7, "first_name": None, "email": "null", "devices": devices}

        _listing, found, _paths = read_users(users([bare, user_row(2, devices=None), user_row(3, devices=[])], total=3))

        assert [(user.id, user.name, user.email) for user in found[:1]] == [("7", "", "")]
        assert found[0].devices is not None
        shown = [(one.id, one.contact_uri, one.is_softphone, one.is_on, one.is_verified) for one in found[0].devices]
        assert shown == [
            ("411", "09000000101", False, False, True),
            ("412", "sip:asha4c1d77e2", True, True, True),
        ]
        assert [user.devices for user in found[1:]] == [None, ()]

    def test_huge_and_strange_values_are_bounded(self) -> None:
        row = user_row(1, first_name="x" * 10**5, last_name="a\x00b", email=["a"], devices=[DEVICE] * 1000)

        _listing, found, _paths = read_users(users([row], total=10**30))

        assert (len(found[0].first_name), found[0].last_name, found[0].email) == (150, "ab", "")

    @pytest.mark.parametrize(
        ("answer", "kind", "code"),
        [
            (http(502, b"<html>Bad gateway"), NoUsableAnswer, "http_502"),
            (http(200, b"<html>"), NoUsableAnswer, "unreadable_answer"),
            (http(200, b""), NoUsableAnswer, "unreadable_answer"),
            (http(200, {}), NoUsableAnswer, "unreadable_answer"),
            (http(200, {"response": {"data": []}}), NoUsableAnswer, "unreadable_answer"),
            (http(200, [1]), NoUsableAnswer, "unreadable_answer"),
            (http(302), NoUsableAnswer, "http_302"),
            (http(500, refusal(500, 1004)), NoUsableAnswer, "1004"),
            (http(401, refusal(401, 1010)), AuthenticationFailed, "1010"),
            (http(401, b"<html>"), AuthenticationFailed, "http_401"),
            (http(403, refusal(403, 1003)), Forbidden, "1003"),
            (http(429, refusal(429, 10724), "Retry-After: 7"), TooManyRequests, "10724"),
            (http(400, refusal(400, 1007)), RequestRefused, "1007"),
            (http(200, refusal(400, 1007)), RequestRefused, "1007"),
            (http(404), RequestRefused, "http_404"),
        ],
    )
    def test_errors(self, answer: bytes, kind: type[ExotelError], code: str) -> None:
        with serving(answering(answer)) as server, pytest.raises(ExotelError) as raised:
            UserListing(client_at(server)).next_page()

        assert (type(raised.value), raised.value.code) == (kind, code)
        assert raised.value.retry_after == (7 if kind is TooManyRequests else None)
        assert_shows_nothing(raised.value, skip=__file__)

    def test_page_is_requested_again_after_an_error(self) -> None:
        rows = [user_row(number) for number in range(60)]
        answers = [users(rows[:50], total=60), http(502, b"<html>"), users(rows[50:], total=60)]
        with serving(answering(*answers)) as server:
            listing = UserListing(client_at(server))
            first = listing.next_page()
            with pytest.raises(NoUsableAnswer):
                listing.next_page()
            second = listing.next_page()

        assert (len(first), len(second), listing.is_complete) == (50, 10, True)
        assert server.requests[1] == server.requests[2]

    def test_connection_lost_hung_or_refused(self) -> None:
        with serving(reset_after_request) as server, pytest.raises(NoUsableAnswer) as lost:
            UserListing(client_at(server)).next_page()
        with serving(silent) as server, pytest.raises(NoUsableAnswer) as hung:
            UserListing(client_at(server, read_timeout=0.2)).next_page()
        with pytest.raises(Unreachable) as refused:
            UserListing(client_at(refused_port())).next_page()

        assert [error.value.code for error in (lost, hung, refused)] == ["connection_lost", "timeout", "unreachable"]
        assert isinstance(refused.value, NotPlaced)


class TestNumbers:
    def test_one_page(self) -> None:
        row = number_row(700, friendly_name="Sales line", country="IN", voice_url=None)

        listing, found, paths = read_numbers(numbers([row]))

        assert [(one.sid, one.number, one.label, one.country) for one in found] == [
            ("sid700", "+918000000700", "Sales line", "IN")
        ]
        assert listing.is_complete
        assert paths == ["/v2_beta/Accounts/acme1/IncomingPhoneNumbers"]

    def test_full_page_is_followed_by_the_next(self) -> None:
        rows = [number_row(number) for number in range(70)]

        listing, found, paths = read_numbers(numbers(rows[:50]), numbers(rows[50:], page=1))

        assert (len(found), listing.is_complete) == (70, True)
        assert [path.partition("?")[2] for path in paths] == ["", "page=1"]

    def test_page_that_comes_again(self) -> None:
        rows = [number_row(number) for number in range(50)]

        listing, found, paths = read_numbers(numbers(rows))

        assert (len(found), len(paths), listing.is_complete) == (50, 2, False)
        assert "twice" in listing.problems[0]

    def test_fewer_than_the_total(self) -> None:
        """The samples have no total; where there is one, it counts."""
        listing, found, _paths = read_numbers(numbers([number_row(1)], total=2))

        assert (len(found), listing.problems) == (1, ["Exotel says that there are 2, and sent 1."])

    def test_odd_rows(self) -> None:
        rows = [
            {"IncomingPhoneNumber": {"Sid": 7, "PhoneNumber": "08000000701", "FriendlyName": "08000000701"}},
            {"sid": "a"},
            None,
            refusal(500, 1004)["response"],
        ]

        listing, found, _paths = read_numbers(http(200, {"IncomingPhoneNumbers": rows}))

        assert [(one.sid, one.number) for one in found] == [("7", "08000000701")]
        assert len(listing.problems) == 2

    @pytest.mark.parametrize(
        ("answer", "kind", "code"),
        [
            (http(401, {"RestException": {"Status": 401, "Message": "No"}}), AuthenticationFailed, "http_401"),
            (http(429, {"RestException": {"Status": 429, "Code": "RATE"}}), TooManyRequests, "RATE"),
            (http(200, {"incoming_phone_numbers": None}), NoUsableAnswer, "unreadable_answer"),
        ],
    )
    def test_errors(self, answer: bytes, kind: type[ExotelError], code: str) -> None:
        with serving(answering(answer)) as server, pytest.raises(ExotelError) as raised:
            NumberListing(client_at(server)).next_page()

        assert (type(raised.value), raised.value.code) == (kind, code)


class TestOneUser:
    def test_fetched_with_devices(self) -> None:
        with serving(answering(http(200, {"response": user_row(1, devices=[DEVICE])}))) as server:
            user = fetch_user(client_at(server), "a/{sid}")

        assert server.requests[0].startswith(b"GET /v2/accounts/acme1/users/a%2F%7Bsid%7D?fields=devices HTTP/1.1\r\n")
        assert user.devices is not None
        assert user.devices[0].is_on

    def test_not_found_or_unreadable(self) -> None:
        with serving(answering(http(404, refusal(404, 10801)), http(200, {"response": {"data": {}}}))) as server:
            client = client_at(server)
            with pytest.raises(AgentNotFound):
                fetch_user(client, "user-1")
            with pytest.raises(NoUsableAnswer):
                fetch_user(client, "user-1")

    @pytest.mark.parametrize("key", ["", ".", ".."])
    def test_needs_an_id(self, key: str) -> None:
        with pytest.raises(ValueError, match="no id of Exotel"):
            fetch_user(client_at(1), key)

    def test_device_is_switched(self) -> None:
        with serving(answering(http(200, {"response": {"code": 200, "status": "success", "data": DEVICE}}))) as server:
            set_available(client_at(server), "user-1", "411", on=True)

        assert server.requests[0].startswith(b"PUT /v2/accounts/acme1/users/user-1/devices/411 HTTP/1.1\r\n")
        assert server.bodies == [{"available": True}]

    @pytest.mark.parametrize(
        ("status", "code", "advice"),
        [
            (409, 10809, "not verified"),
            (403, 10810, "Turn it off in the Exotel dashboard"),
            (403, 10817, "softphones"),
            (409, 99999, "Nothing was changed"),
        ],
    )
    def test_refused_switch_says_what_to_do(self, status: int, code: int, advice: str) -> None:
        with (
            serving(answering(http(status, refusal(status, code)))) as server,
            pytest.raises(ExotelError) as raised,
        ):
            set_available(client_at(server), "user-1", "411", on=True)

        assert isinstance(raised.value, RequestRefused)
        assert raised.value.code == str(code)
        assert advice in str(raised.value.advice)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["user-1", "tel"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*WORDS, "x"]) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


class Answering:
    """A client whose next answer has this body."""

    def __init__(self, payload: object) -> None:
        self.body = json.dumps(payload).encode()

    def get(self, *given: Any, **options: Any) -> Any:
        reply = client_at(1)._reply(200, {}, self.body)
        error = error_from_quiet_answer(reply)
        if error is not None:
            raise error
        return reply


@given(rows=st.lists(JSON, max_size=4) | JSON, total=JSON, name=st.sampled_from(["response", "incoming_phone_numbers"]))
@settings(deadline=None, max_examples=150)
def test_any_answer_is_read_or_refused(rows: object, total: object, name: str) -> None:
    listing = (UserListing if name == "response" else NumberListing)(
        Answering({name: rows, "metadata": {"total": total, "limit": total}, "page_size": total})  # type: ignore[arg-type]
    )
    found: list[Any] = []
    try:
        while not listing.is_over and listing.received < 50:
            found += listing.next_page()
    except ExotelError:
        return
    for row in found:
        assert not list(unsendable(json.loads(json.dumps(asdict(row)))))
        assert len(row.id if isinstance(row, ExotelUser) else row.sid) <= 64
        for device in (row.devices or ()) if isinstance(row, ExotelUser) else ():
            assert 0 < len(device.contact_uri) <= 200


def test_requests_are_logged_without_query_or_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with serving(answering(users([]))) as server:
        client_at(server).get("/v2/accounts/{sid}/users", {"email": "asha@example.in"})

    ours = [record.getMessage() for record in caplog.records if record.name == "django_exotel_ccm.exotel"]
    assert ours[0].startswith("GET /v2/accounts/acme1/users: accepted, HTTP 200, request -, ")
    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert leaks_in(text) == []
    assert "asha" not in text


def test_both_hosts_of_an_account() -> None:
    with serving(answering(http(200, {"Account": {}}))) as api, serving(answering(users([]))) as ccm:
        client = client_at(ccm)
        object.__setattr__(client.account, "api_url", f"http://127.0.0.1:{api.port}")
        client.get("/v1/Accounts/{sid}/Balance", host="api")
        client.get("/v2/accounts/{sid}/users")

    assert api.requests[0].startswith(b"GET /v1/Accounts/acme1/Balance HTTP/1.1\r\n")
    assert ccm.requests[0].startswith(b"GET /v2/accounts/acme1/users HTTP/1.1\r\n")
