"""How many calls one user may place over the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.settings import api_settings
from rest_framework.throttling import UserRateThrottle

from django_exotel_ccm.conf import API_THROTTLE

RATE = "60/min"  # more than people dial; it bounds a program that has gone wild


class PlacingThrottle(UserRateThrottle):
    """60 calls a minute for each user, or ``REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]["exotel_ccm_place"]``."""

    scope = API_THROTTLE

    def get_rate(self) -> str | None:
        """Return the host's rate, else ours; None, which the host can write, switches it off."""
        rates: Mapping[str, Any] = api_settings.DEFAULT_THROTTLE_RATES
        rate: str | None = rates.get(API_THROTTLE, RATE)
        return rate
