"""Exotel's error codes and statuses, and which of them prove that nothing was placed."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from django_exotel_ccm.exotel import errors
from django_exotel_ccm.exotel.calls import facts_of_answer
from django_exotel_ccm.exotel.errors import (
    ExotelError,
    NotPlaced,
    OutcomeUnknown,
    Reply,
    error_code,
    error_from_answer,
    error_text,
)
from tests.exotel.samples import ACCEPTED, PLACED, refusal

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ExotelError)]
#: Code: the error's class, and words of its advice.
CODES = {
    "1010": ("AuthenticationFailed", "does not accept this system's API key"),
    "10731": ("AgentNotFound", "Exotel does not know you"),
    "1012": ("AgentDeviceOff", "Your phone is switched off in Exotel. Turn the device on, then call again."),
    "10705": ("AgentDeviceUnverified", "Your phone is not verified"),
    "10706": ("AgentDeviceBusy", "Your phone is busy"),
    "10708": ("AgentNotOnline", "A softphone that is open has to be turned on as well."),
    "10716": ("ExoPhoneNotFound", "does not know the ExoPhone"),
    "1017": ("AccountNotFound", "does not know this account"),
    "10717": ("CustomerBlocked", "do-not-disturb"),
    "10724": ("TooManyRequests", "asked too often"),
    "10725": ("InvalidRequest", "could not read"),
}
REFUSING = (400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429)


def reply(http_status: int, payload: object = None, raw: bytes = b"") -> Reply:
    return Reply(http_status=http_status, payload=payload, facts=facts_of_answer(payload), raw=raw)


@pytest.mark.parametrize("code", CODES)
def test_refusal_codes_refuse_under_any_status(code):
    name, advice = CODES[code]
    for http_status, written in ((200, code), (302, code), (409, int(code)), (503, code)):
        error = error_from_answer(reply(http_status, refusal(http_status, written)))
        assert type(error).__name__ == name
        assert advice in str(error.advice)
        assert isinstance(error, NotPlaced)
        assert error.code == code
        assert error.text == "No.: because"
        assert error.http_status == http_status


def test_internal_error_is_unknown():
    for http_status in (200, 400, 500):
        error = error_from_answer(reply(http_status, refusal(http_status, 1100)))

        assert isinstance(error, errors.InternalError)
        assert isinstance(error, OutcomeUnknown)


def test_refusing_statuses():
    for http_status in REFUSING:
        bare = error_from_answer(reply(http_status))
        coded = error_from_answer(reply(http_status, refusal(http_status, 99999, "Something new.")))

        assert isinstance(bare, NotPlaced)
        assert isinstance(coded, NotPlaced)
        assert type(bare) is type(coded)
        assert (bare.code, bare.text) == (f"http_{http_status}", "")
        assert (coded.code, coded.text) == ("99999", "Something new.: because")


@pytest.mark.parametrize(
    ("http_status", "kind"),
    [
        (401, errors.AuthenticationFailed),
        (402, errors.PaymentRequired),
        (403, errors.Forbidden),
        (429, errors.TooManyRequests),
        (404, NotPlaced),
    ],
)
def test_errors_of_statuses(http_status, kind):
    assert type(error_from_answer(reply(http_status))) is kind


def test_other_statuses_are_unknown():
    for http_status in (100, 301, 308, 406, 408, 412, 418, 499, 500, 502, 503, 599):
        for payload in (None, PLACED["A"], refusal(http_status, 99999)):
            error = error_from_answer(reply(http_status, payload, b"<html>"))
            assert type(error) is OutcomeUnknown
            assert error.code == ("99999" if payload not in (None, PLACED["A"]) else f"http_{http_status}")


@pytest.mark.parametrize(
    ("payload", "raw", "code"),
    [
        (None, b"", "no_call_sid"),
        (None, b"<html>", "unreadable_answer"),
        ({}, b"{}", "no_call_sid"),
        ({"response": {"call_state": "active"}}, b"{...}", "no_call_sid"),
        (refusal(200, 99999), b"{...}", "99999"),
    ],
)
def test_success_without_sid_is_unknown(payload, raw, code):
    for http_status in (200, 201, 202, 204):
        error = error_from_answer(reply(http_status, payload, raw))
        assert type(error) is OutcomeUnknown
        assert error.code == code


def test_success_with_sid_is_accepted():
    for payload in (*PLACED.values(), {**ACCEPTED, "error_data": {"code": 99999}}):
        assert error_from_answer(reply(200, payload)) is None
    assert error_from_answer(reply(299, ACCEPTED)) is None


def test_call_not_found_by_details():
    for payload in (None, refusal(404, 10744)):
        assert type(error_from_answer(reply(404, payload), placing=False)) is errors.CallNotFound
    assert type(error_from_answer(reply(500, refusal(500, 10744)), placing=False)) is errors.CallNotFound
    assert type(error_from_answer(reply(404, refusal(404, 1017)), placing=False)) is errors.AccountNotFound
    assert type(error_from_answer(reply(404, refusal(404, 10744)))) is NotPlaced
    assert type(error_from_answer(reply(500, refusal(500, 10744)))) is OutcomeUnknown


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"response": {"error_data": {"code": 1010}}}, "1010"),
        ({"response": [{"error_data": {"code": "1010"}}]}, "1010"),
        ({"error_data": {"code": " 1010 "}}, "1010"),
        ({"response": {"code": 10706}}, "10706"),
        ({"response": {"code": 999}}, ""),
        ({"response": {"code": "failure"}}, ""),
        ({"RestException": {"Status": 429, "Code": "RATE_LIMIT_EXCEEDED"}}, "RATE_LIMIT_EXCEEDED"),
        ({"response": {"error_data": {"code": None}, "code": 10705}}, "10705"),
        ({"response": {"error_data": [{"code": 1012}]}}, "1012"),
        ({"response": {"error_data": {"code": 10**5000}}}, ""),
        ({"response": {"error_data": {"code": {"a": 1}}}}, ""),
        ({"response": "no"}, ""),
        ([], ""),
    ],
    ids=range(13),
)
def test_error_code(payload, code):
    assert error_code(payload) == code


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"response": {"error_data": {"message": "a", "description": "b"}}}, "a: b"),
        ({"response": {"error_data": {"message": "a", "description": "a"}}}, "a"),
        ({"response": {"error_data": {"description": "b"}}}, "b"),
        ({"RestException": {"Status": 400, "Message": "v1 says no"}}, "v1 says no"),
        ({"response": {"message": "top"}}, "top"),
        ({"message": "x\x00" + "y" * 500}, "x" + "y" * 299),
        ({"response": {"error_data": None}}, ""),
        ("text", ""),
    ],
)
def test_error_text(payload, text):
    assert error_text(payload) == text


def test_pickle_and_copy():
    for kind in KINDS:
        error = kind("No.", code="1", http_status=409, request_id="r", raw=b"{}", tries=2, retry_after=30)

        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(again) is kind
            assert vars(again) == vars(error)
            assert str(again) == str(error) == "No. (code 1, HTTP 409, request r)"


def test_every_error_has_advice():
    for kind in KINDS:
        assert str(kind().advice).endswith(".")
        assert kind.advice == kind().advice


def test_raw_answer_is_bounded():
    error = ExotelError(raw=b"x" * 10**6)

    assert len(error.raw) == 64 * 1024
    assert str(error) == ""
    assert str(ExotelError(code="http_502")) == "ExotelError (code http_502)"


def test_docstring_names_every_error_and_code():
    for kind in KINDS:
        assert kind.__name__ in (errors.__doc__ or "")
    for code in errors.CODES:
        assert code in (errors.__doc__ or "")
