"""The admin: calls and events to read, agents and ExoPhones to edit, and "Call customer" on every ticket."""

from __future__ import annotations

from django_exotel_ccm.admin.accounts import AccountUsageAdmin
from django_exotel_ccm.admin.agents import AgentAdmin, ExoPhoneAdmin
from django_exotel_ccm.admin.announcements import AnnouncementAdmin
from django_exotel_ccm.admin.call_customer import CallCustomerMixin
from django_exotel_ccm.admin.call_lists import CallListAdmin
from django_exotel_ccm.admin.calls import CallRecordAdmin
from django_exotel_ccm.admin.do_not_call import DoNotCallAdmin
from django_exotel_ccm.admin.events import CallEventAdmin
from django_exotel_ccm.admin.external_calls import UnverifiedCallAdmin
from django_exotel_ccm.admin.notes import CallNoteAdmin, DispositionAdmin, FollowUpAdmin
from django_exotel_ccm.admin.recordings import RecordingAccessAdmin
from django_exotel_ccm.admin.removals import RemovalAdmin

__all__ = [
    "AccountUsageAdmin",
    "AgentAdmin",
    "AnnouncementAdmin",
    "CallCustomerMixin",
    "CallEventAdmin",
    "CallListAdmin",
    "CallNoteAdmin",
    "CallRecordAdmin",
    "DispositionAdmin",
    "DoNotCallAdmin",
    "ExoPhoneAdmin",
    "FollowUpAdmin",
    "RecordingAccessAdmin",
    "RemovalAdmin",
    "UnverifiedCallAdmin",
]
