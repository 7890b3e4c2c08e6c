"""What a page offers after a press that was refused: what corrects it, a way around a rule, one's own phone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from django.db.models import Model
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.loader import render_to_string

from django_exotel_ccm.adapters import next_page_url
from django_exotel_ccm.choices import Permission, State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.device import OF_REFUSALS
from django_exotel_ccm.own_phones import phone_line
from django_exotel_ccm.policies import can_be_overridden
from django_exotel_ccm.services import agents_for
from django_exotel_ccm.views.call_request import CallTarget

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Offers:
    """Each is "" where there is none, or where this user may not."""

    correction_url: str = ""
    """The page on which the reason of the refusal is corrected."""
    override_url: str = ""
    """The page on which the user can give a reason to call although a rule has said no."""
    phone: str = ""
    """The line about the user's own phone, as HTML, if Exotel has refused the call because of it."""


@contextmanager
def after_the_press(what: str) -> Iterator[None]:
    """Log whatever the host's code or the database raises. It must not deny a call that was placed."""
    try:
        yield
    except Exception:
        logger.exception("%s failed after a call was placed.", what)


def offers_after(
    request: HttpRequest,
    target: CallTarget,
    ticket: Model,
    call: CallRecord,
    *,
    next_url: str,
    listed: Mapping[str, str],
) -> Offers:
    """Return what can be done about ``call``, if it was refused. ``listed`` is what the press says of a call list."""
    offers = Offers()
    if call.state != State.REFUSED:
        return offers
    is_own_phone = call.refusal_code in OF_REFUSALS and call.agent is not None and call.agent.user_id == request.user.pk
    with after_the_press("The link that corrects a refusal"):
        if is_own_phone:
            offers.correction_url = next_page_url(target.adapter, "my-phone", next_url=next_url)
        else:
            offers.correction_url = target.adapter.correction_url(request, call, call.refusal_code)
    with after_the_press("The way around a rule"):
        if Permission.OVERRIDE_POLICY.granted_to(request.user) and can_be_overridden(call):
            refused = str(call.pk)
            offers.override_url = target.choose_url([str(ticket.pk)], next_url, refused=refused, **listed)
    with after_the_press("The line about the phone"):
        if is_own_phone:
            phone = phone_line(target.adapter, agents_for(request.user), next_url)
            shown = {"phone": phone, "csrf_token": get_token(request)}
            offers.phone = render_to_string("exotel_ccm/phone_line.html", shown).strip()
    return offers
