"""What a rule is: a class that says of calls why they may not be placed."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _

from django_exotel_ccm.local_time import to_local
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies.known import Known


class Refusal(NamedTuple):
    """Why a call is not dialled: the rule's name, and a sentence for the agent."""

    code: str
    advice: str


@dataclass(frozen=True, slots=True)
class Denial:
    """A rule's no to one call. Neither text names a number, a ticket or a colleague: every user may read them."""

    title: str
    """Two or three words, for a button that cannot be pressed."""
    text: str
    """Why not, and from when on, in sentences for the agent."""
    is_safety: bool = False
    """Whether nobody may call all the same, whatever their reason."""
    is_own_call: bool = False
    """Whether it ends with the agent's own call. Pages leave it out: their panel shows that call."""


class Policy:
    """A shipped rule, or a rule of a host that can be asked about many calls at once.

    The options of its entry in ``POLICIES`` are the arguments of ``__init__``, which raises ``ValueError`` with a
    sentence for what it cannot use.
    """

    def looks_back(self, now: datetime.datetime) -> datetime.datetime | None:
        """Return since when other calls decide what it says; None if none do.

        Then it is asked again while no other press of agent or customer can go on.
        """
        return None

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Return for each of the calls, none of which is saved, why it may not be placed; None if it may.

        ``customer_number`` is "" and ``agent`` None where they are not known yet: then what concerns them is not
        asked. ``placed_by_id`` is the user who asks. Costs the same number of statements for any number of calls.
        """
        raise NotImplementedError

    def __call__(self, call: CallRecord) -> str | None:
        """Return why ``call`` may not be placed; None if it may."""
        [denial] = self.denials([call], Known([call], [self]))
        return denial.text if denial is not None else None


def is_by_its_agent(call: CallRecord) -> bool:
    """Return whether the agent whose phone rings first is the user who asks: then a text speaks to them."""
    user_id = call.agent.user_id if call.agent is not None else None
    return user_id is not None and user_id == call.placed_by_id


def moment(at: datetime.datetime) -> str:
    """Return day and time of day. Not "today": the text is kept, and read later."""
    local = to_local(at)
    return _("%(date)s, %(time)s") % {"date": date_format(local, "MONTH_DAY_FORMAT"), "time": time_format(local, "H:i")}


def count_option(name: str, value: object, *, most: int = 1_000_000) -> int:
    """Return a whole number from 1 to ``most``; raises ``ValueError`` for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{name} is a whole number from 1 to {most}, not {value!r}.")
    return value
