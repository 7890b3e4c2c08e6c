"""The admin: calls and their ledger to read, agents and ExoPhones to edit, and "Call customer" on every ticket."""

from __future__ import annotations

from django_exotel_ccm.admin.agents import AgentAdmin, ExoPhoneAdmin
from django_exotel_ccm.admin.call_customer import CallCustomerMixin
from django_exotel_ccm.admin.calls import CallRecordAdmin
from django_exotel_ccm.admin.ledger import AnnouncementAdmin, CallEventAdmin

__all__ = [
    "AgentAdmin",
    "AnnouncementAdmin",
    "CallCustomerMixin",
    "CallEventAdmin",
    "CallRecordAdmin",
    "ExoPhoneAdmin",
]
