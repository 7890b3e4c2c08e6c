"""What the database itself refuses."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from django_exotel_ccm.models import Agent, Announcement, CallEvent, CallRecord, ExoPhone

pytestmark = pytest.mark.django_db


def a_call(**fields: Any) -> CallRecord:
    return CallRecord.objects.create(**{"account": "default", "created_at": timezone.now(), **fields})


def an_event(**fields: Any) -> CallEvent:
    return CallEvent.objects.create(
        **{"kind": "callback", "authentication": "signed_url", "received_at": timezone.now(), **fields}
    )


def test_agent_is_unique_per_user_and_account(django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("asha")
    Agent.objects.create(name="Asha", user=user)
    Agent.objects.create(name="Asha", user=user, account="sales")

    with pytest.raises(IntegrityError):
        Agent.objects.create(name="Asha again", user=user)


@pytest.mark.parametrize(("field", "value"), [("contact_uri", "+919000000101"), ("exotel_user_id", "7d1f6a52")])
def test_device_is_unique_per_account(field: str, value: str) -> None:
    Agent.objects.create(name="Asha", **{field: value})
    Agent.objects.create(name="Asha", account="sales", **{field: value})

    with pytest.raises(IntegrityError):
        Agent.objects.create(name="Vik", **{field: value})


@pytest.mark.parametrize("absent", [None, ""])
def test_absent_devices_are_null(absent: str | None) -> None:
    Agent.objects.create(name="Asha", contact_uri=absent, exotel_user_id=absent)
    Agent.objects.create(name="Vik", contact_uri=absent, exotel_user_id=absent)

    assert list(Agent.objects.values_list("contact_uri", "exotel_user_id")) == [(None, None)] * 2
    assert not Agent.objects.get(name="Vik").has_device


def test_exophone_number_is_unique_per_account() -> None:
    ExoPhone.objects.create(number="+918000000700")
    ExoPhone.objects.create(number="+918000000700", account="sales")

    with pytest.raises(IntegrityError):
        ExoPhone.objects.create(number="+918000000700")


def test_default_exophone_is_unique_per_account() -> None:
    ExoPhone.objects.create(number="+918000000700", is_default=True)
    ExoPhone.objects.create(number="+918000000701", is_default=True, account="sales")
    ExoPhone.objects.create(number="+918000000702")
    ExoPhone.objects.create(number="+918000000703")

    with pytest.raises(IntegrityError):
        ExoPhone.objects.filter(number="+918000000702").update(is_default=True)


def test_default_exophone_can_be_changed() -> None:
    old = ExoPhone.objects.create(number="+918000000700", is_default=True)
    new = ExoPhone.objects.create(number="+918000000701")

    ExoPhone.objects.filter(pk=old.pk).update(is_default=False)
    ExoPhone.objects.filter(pk=new.pk).update(is_default=True)

    assert ExoPhone.objects.default_of("default") == new


def test_reference_is_unique() -> None:
    call = a_call()

    with pytest.raises(IntegrityError):
        a_call(reference=call.reference)


def test_request_key_is_unique_unless_null() -> None:
    a_call(request_key="a" * 64)
    a_call()
    a_call()

    with pytest.raises(IntegrityError):
        a_call(request_key="a" * 64, account="sales")


def test_sid_is_unique_per_account_unless_null() -> None:
    a_call(call_sid="sid1")
    a_call(call_sid="sid1", account="sales")
    a_call()
    a_call()

    with pytest.raises(IntegrityError):
        a_call(call_sid="sid1")


def test_fingerprint_is_unique() -> None:
    an_event(fingerprint="a" * 64)

    with pytest.raises(IntegrityError):
        an_event(fingerprint="a" * 64, reference=uuid.uuid4())


def test_announcement_is_unique_per_call() -> None:
    fields = {"call": a_call(), "signal": "call_ended", "key": "ended", "created_at": timezone.now()}
    Announcement.objects.create(**fields)
    Announcement.objects.create(**{**fields, "call": a_call()})

    with pytest.raises(IntegrityError):
        Announcement.objects.create(**fields)
