"""Settings of the host's ``REST_FRAMEWORK``: what is described of the API holds whatever they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from rest_framework.renderers import JSONRenderer

from django_exotel_ccm.models import DoNotCall
from tests.admin.pages import BY_HAND
from tests.api.conftest import Api, placed
from tests.api.test_bad_input import assert_refused
from tests.api.test_notes import DO_NOT_CALL, tomorrow

STRANGE = {
    "COERCE_BIGINT_TO_STRING": True,
    "COERCE_DECIMAL_TO_STRING": False,
    "COMPACT_JSON": False,
    "DATETIME_FORMAT": "%d.%m.",
    "DATETIME_INPUT_FORMATS": ["%d.%m.%Y"],
    "DATE_FORMAT": None,
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tests.nothing.at_all",
    "DEFAULT_FILTER_BACKENDS": ["rest_framework.filters.SearchFilter"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_SCHEMA_CLASS": "tests.nothing.at_all",
    "DEFAULT_VERSION": "7",
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.NamespaceVersioning",
    "EXCEPTION_HANDLER": "tests.nothing.at_all",
    "FORMAT_SUFFIX_KWARG": "reference",
    "NON_FIELD_ERRORS_KEY": "detail",
    "ORDERING_PARAM": "page_size",
    "PAGE_SIZE": 1,
    "STRICT_JSON": False,
    "UNAUTHENTICATED_USER": None,
    "UNICODE_JSON": False,
    "URL_FIELD_NAME": "id",
    "URL_FORMAT_OVERRIDE": "page_size",
    "VIEW_NAME_FUNCTION": "tests.nothing.at_all",
}


def answers(api: Api, reference: Any) -> list[Any]:
    """What the API says to one user, in many ways."""
    found = [
        api.get("calls/?page_size=2"),
        api.get("calls/?format=json"),
        api.get("calls/?colour=red"),
        api.get(f"calls/{reference}/"),
        api.get("calls/", Accept="application/xml"),
        api.get("do-not-call/"),
        api.get("follow-ups/?due_at__gte=2026-11-26T10:00:00Z"),
        api.get("follow-ups/?due_at__gte=26.11.2026"),
        api.post("follow-ups/", {"ticket": "ticket_1", "due_at": "26.11.2026"}),
        api.post("calls/", {"ticket": 7}),
        api.post("calls/"),
        api.send("POST", "calls/", b"[]"),
        api.get("schema/"),
        Api(None).get("calls/"),
    ]
    return [(one.status_code, one["Content-Type"], one.content) for one in found]


def test_no_setting_changes_an_answer(host: Any) -> None:
    asha = Api(
        host.user(
            "asha", "exotel_ccm.place_call", "exotel_ccm.add_followup", "exotel_ccm.view_callrecord", *DO_NOT_CALL
        )
    )
    calls = [placed(asha.user, customer_label="नमस्ते", age=number) for number in range(3)]
    DoNotCall.objects.create(number=BY_HAND, reason="Asked", expires_at=tomorrow())
    usual = answers(asha, calls[0].reference)

    with override_settings(REST_FRAMEWORK=STRANGE):
        strange = answers(asha, calls[0].reference)

    assert strange == usual
    assert [status for status, _kind, _body in usual] == [
        *(200, 200, 400, 200, 406, 200, 200, 400, 400, 400, 400, 400, 200, 401)
    ]


def test_no_setting_changes_a_page_for_people(asha: Api) -> None:
    call = placed(asha.user)

    with override_settings(REST_FRAMEWORK=STRANGE):
        page = asha.get(f"calls/{call.reference}/", Accept="text/html")

    assert (page.status_code, page["Content-Type"].partition(";")[0]) == (200, "text/html")


@pytest.mark.parametrize(("name", "value"), [("compact", False), ("ensure_ascii", True)])
def test_json_is_written_as_ever(asha: Api, monkeypatch: pytest.MonkeyPatch, name: str, value: bool) -> None:
    placed(asha.user, customer_label="नमस्ते")
    usual = asha.get("calls/").content

    monkeypatch.setattr(JSONRenderer, name, value)  # REST framework reads these settings when it is imported

    assert asha.get("calls/").content == usual


def test_a_body_of_a_form_is_refused_whatever_the_host_parses(asha: Api) -> None:
    with override_settings(REST_FRAMEWORK=STRANGE):
        refused = asha.send("POST", "calls/", b"ticket=ticket_1", "application/x-www-form-urlencoded")

    assert_refused(refused, 415, "unsupported_media_type")
