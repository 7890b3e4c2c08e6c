"""The request that Exotel receives, as the simulator's book has it and as Exotel documents it (docs/exotel.md 2.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import phonenumbers
import pytest
from django.contrib.auth.models import AnonymousUser
from django.urls import set_script_prefix
from django.utils.translation import gettext_lazy

from django_exotel_ccm import callback_urls
from django_exotel_ccm.choices import State
from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.exotel.errors import NotPlaced
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.helpdesk.models import Customer

Posts = Callable[[], list[Any]]
ASHA_ID = "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa"


def test_request_with_all_options(host: Any, exotel: Simulator, posts: Posts) -> None:
    exophone = ExoPhone.objects.create(number="+918000000701")

    call = place_call(
        agent=host.agent(),
        to="+919000001001",
        exophone=exophone,
        recording=True,
        recording_channels="dual",
        wait_audio_url="https://crm.example.com/wait.wav",
        max_time_limit=1800,
        attempt_time_out=45,
        custom_field="ticket_12345",
    )

    [body] = posts()
    callbacks = body.pop("status_callback")
    assert body == {
        "from": {"user_contact_uri": "+919000000101"},
        "to": {"number": "+919000001001"},
        "virtual_number": "+918000000701",
        "recording": True,
        "recording_channels": "dual",
        "wait_audio_url": "https://crm.example.com/wait.wav",
        "max_time_limit": 1800,
        "attempt_time_out": 45,
        "custom_field": "ticket_12345",
    }
    assert [set(callback) for callback in callbacks] == [{"event", "url"}] * 2
    assert [callback["event"] for callback in callbacks] == ["terminal", "answered"]
    for callback in callbacks:
        prefix, token, rest = callback["url"].rsplit("/", 2)
        assert (prefix, rest) == ("http://127.0.0.1:1/exotel/callbacks", "")
        assert callback_urls.verify(token) == (call.reference, callback["event"])


def test_options_not_given_are_not_sent(host: Any, exotel: Simulator, posts: Posts) -> None:
    place_call(agent=host.agent(), to="+919000001001", recording=False)

    assert posts()[0].keys() == {"from", "to", "virtual_number", "recording", "status_callback"}
    assert posts()[0]["recording"] is False


@pytest.mark.parametrize(
    ("device", "sent"),
    [
        ({"contact_uri": "+919000000101"}, {"user_contact_uri": "+919000000101"}),
        ({"contact_uri": "sip:vik4c1d77e2"}, {"user_contact_uri": "sip:vik4c1d77e2"}),
        ({"contact_uri": None, "exotel_user_id": ASHA_ID}, {"user_id": ASHA_ID}),
        ({"contact_uri": "+919000000101", "exotel_user_id": ASHA_ID}, {"user_id": ASHA_ID}),
    ],
)
def test_agent_by_number_sip_address_or_id(
    host: Any, exotel: Simulator, posts: Posts, device: dict[str, Any], sent: dict[str, str]
) -> None:
    call = place_call(agent=host.agent(**device), to="+919000001001")

    assert posts()[0]["from"] == sent
    assert call.state == State.ACTIVE


def test_blank_id_is_ignored(host: Any, exotel: Simulator, posts: Posts) -> None:
    host.agent()
    Agent.objects.update(exotel_user_id="")

    place_call(agent=Agent.objects.get(), to="+919000001001")

    assert posts()[0]["from"] == {"user_contact_uri": "+919000000101"}


def create_raw(agent: str, exophone: str) -> Agent:
    return Agent.objects.create(
        name="Asha", contact_uri=agent, exophone=ExoPhone.objects.create(number=exophone, label="new")
    )


def bulk_create_raw(agent: str, exophone: str) -> Agent:
    [phone] = ExoPhone.objects.bulk_create([ExoPhone(number=exophone)])
    [made] = Agent.objects.bulk_create([Agent(name="Asha", contact_uri=agent, exophone=phone)])
    return made


def update_raw(agent: str, exophone: str) -> Agent:
    made = create_raw("+919000000109", "+918000000709")
    ExoPhone.objects.filter(pk=made.exophone_id).update(number=exophone)
    Agent.objects.filter(pk=made.pk).update(contact_uri=agent)
    return Agent.objects.get(pk=made.pk)


@pytest.mark.parametrize("store", [create_raw, bulk_create_raw, update_raw])
@pytest.mark.books_differ(reason="the simulator knows none of these ExoPhones")
def test_numbers_stored_by_code_are_sent_as_e164(
    host: Any, exotel: Simulator, posts: Posts, store: Callable[[str, str], Agent]
) -> None:
    agent = store("90000 00101", "080-0000 0701")

    call = place_call(agent=agent, to="+919000001001")

    assert posts()[0]["from"] == {"user_contact_uri": "+919000000101"}
    assert posts()[0]["virtual_number"] == call.exophone_number == "+918000000701"


def test_record_of_a_placed_call(host: Any, exotel: Simulator, posts: Posts) -> None:
    user, ticket = host.user(), host.ticket()

    call = place_call(agent=user.exotel_agents.get(), ticket=ticket, placed_by=user, request_key="press 1")

    call = CallRecord.objects.get(pk=call.pk)
    assert call.state == State.ACTIVE
    assert call.call_sid in exotel.book.calls
    assert call.ticket == ticket
    assert (call.ticket_label, call.agent_label, call.placed_by_label) == ("Broken fan", "Asha", "asha")
    assert call.customer_label == "Ravi"
    assert call.customer_number == "+919000001001"
    assert call.custom_field == posts()[0]["custom_field"] == f"ticket_{ticket.pk}"
    assert call.request_key is not None
    assert "press 1" not in call.request_key


def test_exophone_is_given_or_the_agents_or_the_default(host: Any, exotel: Simulator, posts: Posts) -> None:
    other = ExoPhone.objects.create(number="+918000000701")
    asha, vik = host.agent(), host.agent("Vik", "sip:vik4c1d77e2", exophone=other)

    place_call(agent=asha, to="+919000001001")
    place_call(agent=vik, to="+919000001001")
    exotel.wait_until_quiet()
    place_call(agent=vik, to="+919000001001", exophone=host.exophone)

    assert [body["virtual_number"] for body in posts()] == ["+918000000700", "+918000000701", "+918000000700"]


@pytest.mark.parametrize(
    "number", ["Mob: 90000 01001", gettext_lazy("+919000001001"), phonenumbers.parse("+919000001001")]
)
def test_number_is_dialled_as_e164(host: Any, exotel: Simulator, posts: Posts, number: Any) -> None:
    place_call(agent=host.agent(), to=number)

    assert posts()[0]["to"] == {"number": "+919000001001"}


def test_custom_field_names_the_ticket(host: Any, exotel: Simulator, posts: Posts) -> None:
    ticket = host.ticket(phone="+919000001002")

    call = place_call(agent=host.agent(), custom_field=f"ticket_{ticket.pk}")

    assert call.ticket == ticket
    assert posts()[0]["to"] == {"number": "+919000001002"}


def test_other_custom_field_names_no_ticket(host: Any, exotel: Simulator, posts: Posts) -> None:
    call = place_call(agent=host.agent(), to="+919000001001", custom_field="campaign 7 <b>&\n")

    assert call.ticket_content_type_id is None
    assert posts()[0]["custom_field"] == "campaign 7 <b>&\n"


WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"agent": 5}, "agent must be Agent, not int"),
    ({"to": 919000001001}, "to must be str or a phone number, not int"),
    ({"ticket": "ticket_1"}, "ticket must be Model, not str"),
    ({"exophone": "+918000000700"}, "exophone must be ExoPhone, not str"),
    ({"recording": "yes"}, "recording must be bool, not str"),
    ({"recording_channels": 2}, "recording_channels must be str, not int"),
    ({"wait_audio_url": b"https://"}, "wait_audio_url must be str, not bytes"),
    ({"max_time_limit": "60"}, "max_time_limit must be int, not str"),
    ({"attempt_time_out": True}, "attempt_time_out must be int, not bool"),
    ({"custom_field": 5}, "custom_field must be str, not int"),
    ({"placed_by": AnonymousUser()}, "placed_by must be User, not AnonymousUser"),
    ({"request_key": 5}, "request_key must be str, not int"),
    ({"to": None}, "give to=, the customer's number, or ticket="),
]


def test_wrong_types(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent = host.agent()
    for arguments, words in WRONG_TYPES:
        with pytest.raises(TypeError, match=words):
            place_call(**{"agent": agent, "to": "+919000001001", **arguments})
    assert posts() == []
    assert not CallRecord.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"recording_channels": "triple"}, 'must be "single" or "dual"'),
        ({"max_time_limit": 0}, "max_time_limit must be a number of seconds above 0"),
        ({"attempt_time_out": -1}, "attempt_time_out must be a number of seconds above 0"),
        ({"custom_field": "x" * 129}, "128 characters, not 129"),
        ({"exophone": ExoPhone(number="+918000000700")}, "save the exophone first"),
    ],
)
def test_wrong_values(host: Any, exotel: Simulator, posts: Posts, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        place_call(**{"agent": host.agent(), "to": "+919000001001", **arguments})

    assert posts() == []
    assert not CallRecord.objects.exists()


@pytest.mark.parametrize("prefix", ["/", "/crm/"])
def test_callback_path_ignores_the_script_prefix(host: Any, posts: Any, settings: Any, prefix: str) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": "https://example.com/crm"}
    set_script_prefix(prefix)
    try:
        place_call(agent=host.agent(), to="+919000001001")
    finally:
        set_script_prefix("/")

    [order] = posts()
    for one in order["status_callback"]:
        assert one["url"].startswith("https://example.com/crm/exotel/callbacks/")


@pytest.mark.books_differ(reason="the answer does not come from the simulator")
def test_unknown_refusal_quotes_exotel(host: Any, exotel: Any, monkeypatch: Any) -> None:
    from django_exotel_ccm.services import placing

    def refuse(*args: Any, **options: Any) -> None:
        raise NotPlaced("Recording is not enabled for this account", code="10999", http_status=403)

    monkeypatch.setattr(placing.ExotelClient, "make_call", refuse)

    with pytest.raises(CallRefused) as refused:
        place_call(agent=host.agent(), to="+919000001001")

    assert refused.value.code == "10999"
    assert "Exotel says: Recording is not enabled for this account" in refused.value.advice


@pytest.mark.parametrize("text", ["ticket_1\0", "ticket_\ud800"])
def test_custom_field_that_no_database_stores(host: Any, posts: Any, text: str) -> None:
    with pytest.raises(ValueError, match="NUL or a lone surrogate"):
        place_call(agent=host.agent(), to="+919000001001", custom_field=text)

    assert posts() == []


# The customer's name.


@pytest.fixture
def declare(settings: Any) -> Callable[..., None]:
    """Declare how a ticket's number is found."""

    def declare(**options: Any) -> None:
        settings.EXOTEL_CCM = {
            **settings.EXOTEL_CCM,
            "TICKETS": {"helpdesk.Ticket": {"prefix": "ticket", **options}},
        }

    return declare


@pytest.mark.parametrize(
    ("ticket_type", "to", "name"),
    [
        ({"phone": "customer.phone"}, None, "Ravi"),
        ({"phone": "customer.phone"}, "+919000001001", "Ravi"),
        ({"phone": "customer.phone"}, "+919000001002", ""),
        ({"phone": ["customer.phone", "notes"]}, "+919000001002", ""),
        ({"phone": ["notes", "customer.phone"]}, "+919000001001", "Ravi"),
        ({"numbers": lambda ticket: ticket.customer.phone}, None, ""),
    ],
    ids=[
        "its number",
        "its number, given",
        "another number",
        "of the ticket itself",
        "of its second path",
        "numbers by a callable",
    ],
)
def test_name_of_the_row_with_the_number(
    host: Any, exotel: Simulator, declare: Any, ticket_type: dict[str, Any], to: str | None, name: str
) -> None:
    declare(**ticket_type)

    place_call(agent=host.agent(), ticket=host.ticket(notes="His wife: +919000001002"), to=to)

    assert CallRecord.objects.get().customer_label == name


def test_row_without_a_name(host: Any, exotel: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Customer, "__str__")

    place_call(agent=host.agent(), ticket=host.ticket())

    assert CallRecord.objects.get().customer_label == ""


def test_unreadable_name_stops_no_call(
    host: Any, exotel: Simulator, declare: Any, caplog: pytest.LogCaptureFixture
) -> None:
    declare(phone="customer.no_such_field")

    call = place_call(agent=host.agent(), ticket=host.ticket(), to="+919000001001")

    assert (call.state, call.customer_label) == (State.ACTIVE, "")
    assert "The name of the customer of helpdesk.Ticket could not be read." in caplog.text
