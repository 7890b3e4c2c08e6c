"""What the package does: place calls, record what Exotel reports of them, note what came of them, move them."""

from __future__ import annotations

from django_exotel_ccm.services.call_lists import create_call_list
from django_exotel_ccm.services.do_not_call import add_do_not_call
from django_exotel_ccm.services.events import record_event
from django_exotel_ccm.services.follow_ups import (
    assign_follow_up,
    complete_follow_up,
    reschedule_follow_up,
    schedule_follow_up,
)
from django_exotel_ccm.services.moving import move_calls
from django_exotel_ccm.services.notes import add_note
from django_exotel_ccm.services.placing import agents_for, place_call
from django_exotel_ccm.services.synchronisation.agents import sync_agents
from django_exotel_ccm.services.synchronisation.exophones import sync_exophones
from django_exotel_ccm.services.synchronisation.switching import refresh_devices, switch_device

__all__ = [
    "add_do_not_call",
    "add_note",
    "agents_for",
    "assign_follow_up",
    "complete_follow_up",
    "create_call_list",
    "move_calls",
    "place_call",
    "record_event",
    "refresh_devices",
    "reschedule_follow_up",
    "schedule_follow_up",
    "switch_device",
    "sync_agents",
    "sync_exophones",
]
