"""The tables: who calls, from which number, each call, all we were told of it, whom we told, and what comes after.

``AccountUsage``, ``PressLock``, ``UnverifiedCall``, ``RecordingAccess`` and ``Removal`` are the app's own books, which
hosts need not read.
"""

from __future__ import annotations

from django_exotel_ccm.models.account_usage import AccountUsage
from django_exotel_ccm.models.agent import Agent
from django_exotel_ccm.models.announcement import Announcement
from django_exotel_ccm.models.call import CallRecord
from django_exotel_ccm.models.call_list import CallList, CallListItem
from django_exotel_ccm.models.call_relation import CallRelation
from django_exotel_ccm.models.device import Device
from django_exotel_ccm.models.disposition import Disposition
from django_exotel_ccm.models.do_not_call import DoNotCall
from django_exotel_ccm.models.event import CallEvent
from django_exotel_ccm.models.exophone import ExoPhone
from django_exotel_ccm.models.follow_up import FollowUp
from django_exotel_ccm.models.note import CallNote
from django_exotel_ccm.models.press_lock import PressLock
from django_exotel_ccm.models.recording_access import RecordingAccess
from django_exotel_ccm.models.removal import Removal
from django_exotel_ccm.models.unverified_call import UnverifiedCall

__all__ = [
    "AccountUsage",
    "Agent",
    "Announcement",
    "CallEvent",
    "CallList",
    "CallListItem",
    "CallNote",
    "CallRecord",
    "CallRelation",
    "Device",
    "Disposition",
    "DoNotCall",
    "ExoPhone",
    "FollowUp",
    "PressLock",
    "RecordingAccess",
    "Removal",
    "UnverifiedCall",
]
