"""The five tables: who calls, from which number, each call, everything we were told of it, and whom we told."""

from __future__ import annotations

from django_exotel_ccm.models.agent import Agent
from django_exotel_ccm.models.announcement import Announcement
from django_exotel_ccm.models.call import CallRecord
from django_exotel_ccm.models.event import CallEvent
from django_exotel_ccm.models.exophone import ExoPhone

__all__ = ["Agent", "Announcement", "CallEvent", "CallRecord", "ExoPhone"]
