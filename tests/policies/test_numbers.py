"""The rules about the customer's number."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import phonenumbers
import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from django_exotel_ccm.choices import DoNotCallSource
from django_exotel_ccm.exceptions import CallRefused, InvalidNumber
from django_exotel_ccm.models import DoNotCall
from django_exotel_ccm.policies import AllowedCountries
from django_exotel_ccm.services import add_do_not_call, place_call
from django_exotel_ccm.simulator import Simulator
from tests.conftest import AGENT, EXOPHONE

Press = Callable[..., str]
Rules = Callable[..., None]
DAY = datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("number", "countries", "code"),
    [
        ("+919000001001", None, "active"),
        ("+911140001001", None, "active"),  # a landline in Delhi
        ("+6581234567", None, "AllowedCountries"),
        ("+6581234567", ["IN", "SG"], "active"),
        ("+919000001001", ["SG"], "AllowedCountries"),
        ("+12125550123", ["CA"], "AllowedCountries"),  # the United States, which share Canada's code
        ("+14165550123", ["CA"], "active"),
        ("+19005550123", ["US"], "AllowedCountries"),  # premium
        ("+449098790000", ["GB"], "AllowedCountries"),  # premium
        ("+448431234567", ["GB"], "AllowedCountries"),  # shared cost
        ("+870773111632", ["IN", "US"], "AllowedCountries"),  # Inmarsat
        ("+881612345678", ["IN"], "AllowedCountries"),  # Iridium
        ("+979123456789", ["IN"], "AllowedCountries"),  # international premium
    ],
)
def test_allowed_countries(  # noqa: PLR0917 - the table
    host: Any, exotel: Simulator, press: Press, rules: Rules, number: str, countries: Any, code: str
) -> None:
    rules(AllowedCountries={"countries": countries})

    assert press(number) == code


def test_default_country_is_that_of_number_region(settings: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "NUMBER_REGION": "SG"}
    rules("AllowedCountries")

    assert [press("81234567"), press("+919000001001")] == ["active", "AllowedCountries"]


@pytest.mark.parametrize(
    ("number", "is_allowed"), [("+19005550123", False), ("+870773111632", False), ("+6581234567", True)]
)
def test_only_the_country_can_be_overridden(
    exotel: Simulator, press: Press, rules: Rules, number: str, is_allowed: bool
) -> None:
    rules(AllowedCountries={"countries": ["US"]})

    assert press(number, override_reason="The director asked for it") == (
        "active" if is_allowed else "AllowedCountries"
    )


@pytest.mark.parametrize("countries", ["IN", [], ["India"], [None], ["IN", "XX"]])
def test_unusable_countries(countries: Any) -> None:
    with pytest.raises(ValueError, match="countries is a list of country codes"):
        AllowedCountries(countries)


@pytest.mark.parametrize("number", [EXOPHONE, AGENT, "+918000000701"])
def test_own_numbers(host: Any, exotel: Simulator, press: Press, rules: Rules, number: str) -> None:
    from django_exotel_ccm.models import ExoPhone

    ExoPhone.objects.create(number="+918000000701", is_active=False, account="sales")
    rules("OwnNumbers")

    assert press(number) == "OwnNumbers"
    assert press(number, override_reason="I want to hear my own voice") == "OwnNumbers"
    assert press("+919000001001") == "active"


@pytest.mark.parametrize("written", ["+919000000109", "09000000109"])
def test_other_device_of_the_agent_is_an_own_number(
    host: Any, exotel: Simulator, press: Press, rules: Rules, written: str
) -> None:
    from django_exotel_ccm.models import Agent, Device

    Device.objects.create(
        agent=Agent.objects.get(), exotel_id="7", contact_uri=written, kind="phone", seen_at=timezone.now()
    )
    rules("OwnNumbers")

    assert press("+919000000109") == "OwnNumbers"


def test_phone_of_another_agent_is_no_own_number(host: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    host.agent("Vik", "+919000000102")
    rules("OwnNumbers")

    assert press("+919000000102") == "active"


# The do-not-call list.


def test_number_on_the_list(exotel: Simulator, press: Press, rules: Rules) -> None:
    rules("DoNotCall")
    add_do_not_call("+919000001001", source=DoNotCallSource.TYPED)

    assert press("90000 01001") == "DoNotCall"
    assert press("+919000001002") == "active"


@pytest.mark.parametrize(
    "add",
    [
        lambda number: DoNotCall.objects.create(number=number),
        lambda number: add_do_not_call(number, source=DoNotCallSource.TYPED),
        lambda number: add_do_not_call(phonenumbers.parse(number, "IN"), source=DoNotCallSource.TYPED),
    ],
)
def test_number_on_the_list_in_another_spelling(add: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    rules("DoNotCall")
    add("090000 01001")

    assert press("+919000001001") == "DoNotCall"
    assert DoNotCall.objects.get().number == "+919000001001"


@pytest.mark.parametrize("number", ["12345", "98XXXXXX10", "90000 01001 (wife)", ""])
def test_what_is_no_number_does_not_come_onto_the_list(db: None, number: str) -> None:
    with pytest.raises(InvalidNumber):
        DoNotCall.objects.create(number=number)
    with pytest.raises(InvalidNumber):
        add_do_not_call(number, source=DoNotCallSource.TYPED)

    assert not DoNotCall.objects.exists()


def test_forms_of_the_host_refuse_what_is_no_number(db: None) -> None:
    DoNotCall.objects.create(number="+919000001001")

    with pytest.raises(ValidationError, match="not one valid phone number"):
        DoNotCall(number="12345").full_clean()
    with pytest.raises(ValidationError, match="already exists"):
        DoNotCall(number="090000 01001").full_clean()


def test_entry_whose_number_is_not_valid_any_more_can_be_edited(db: None) -> None:
    DoNotCall.objects.bulk_create([DoNotCall(number="+911234")])
    entry = DoNotCall.objects.get()

    entry.reason = "by letter"
    entry.full_clean()
    entry.save()

    assert DoNotCall.objects.get(number="+911234").reason == "by letter"


def test_list_is_about_the_present(host: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    rules("DoNotCall")
    until = timezone.now() + 30 * DAY
    add_do_not_call("+919000001001", source=DoNotCallSource.TYPED, expires_at=until)
    add_do_not_call("+919000001002", source=DoNotCallSource.TYPED, expires_at=timezone.now() - DAY)

    with pytest.raises(CallRefused, match="This customer is on the do-not-call list until") as refused:
        place_call(agent=host.agent("Vik", "sip:vik4c1d77e2"), to="+919000001001")
    assert press("+919000001002") == "active"
    assert "+91" not in refused.value.advice


def test_later_expiry_wins(db: None) -> None:
    soon, later = timezone.now() + DAY, timezone.now() + 2 * DAY
    number, typed = "+919000001001", DoNotCallSource.TYPED

    kept = []
    for expires_at, reason in [(later, "a"), (soon, "b"), (None, "c"), (later, "d")]:
        add_do_not_call(number, source=typed, expires_at=expires_at, reason=reason)
        kept.append(DoNotCall.objects.values_list("expires_at", "reason").get())

    assert kept == [(later, "a"), (later, "a"), (None, "a; c"), (None, "a; c")]


def test_a_long_reason_pushes_no_earlier_one_out(db: None) -> None:
    later, number, exotel = timezone.now() + DAY, "+919000001001", DoNotCallSource.EXOTEL
    add_do_not_call(number, source=exotel, expires_at=later, reason="a")

    for reason in ("b" * 200, "", "a"):
        add_do_not_call(number, source=exotel, expires_at=(later := later + DAY), reason=reason)

    assert DoNotCall.objects.get().reason == f"a; {'b' * 197}"
    add_do_not_call(number, source=exotel, expires_at=timezone.now() + DAY)


def test_expired_entry_is_renewed(db: None) -> None:
    add_do_not_call("+919000001001", source=DoNotCallSource.TYPED, expires_at=timezone.now() - DAY)

    entry = add_do_not_call("+919000001001", source=DoNotCallSource.EXOTEL, expires_at=timezone.now() + DAY)

    assert DoNotCall.objects.get() == entry
    assert entry.is_in_force
    assert entry.source == "exotel"


def test_refusal_10717_stops_the_next_call_for_30_days(exotel: Simulator, press: Press, rules: Rules) -> None:
    rules("DoNotCall")
    number = "+919000001017"  # the simulator refuses it with 10717

    assert [press(number), press(number)] == ["10717", "DoNotCall"]

    entry = DoNotCall.objects.get()
    assert (entry.number, entry.source) == (number, "exotel")
    assert entry.expires_at is not None
    assert abs(entry.expires_at - timezone.now() - 30 * DAY) < datetime.timedelta(minutes=1)
    assert len([one for one in exotel.book.requests if one.method == "POST"]) == 1


def test_disposition_that_means_no_calls(host: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    from django_exotel_ccm.models import CallRecord, Disposition
    from django_exotel_ccm.services import add_note

    rules("DoNotCall")
    Disposition.objects.add_starter_set()
    asha = host.user("asha", agent=None)
    press()
    call = CallRecord.objects.get()

    add_note(call, author=asha, disposition=Disposition.objects.get(code="wrong_number"))
    assert not DoNotCall.objects.exists()
    add_note(call, author=asha, disposition=Disposition.objects.get(code="do_not_call"))

    entry = DoNotCall.objects.get()
    assert (entry.number, entry.source, entry.created_by, entry.expires_at) == (
        "+919000001001",
        "disposition",
        asha,
        None,
    )
    assert entry.reason.startswith("Asked not to be called")
    assert press() == "DoNotCall"
