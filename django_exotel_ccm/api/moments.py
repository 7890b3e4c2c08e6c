"""Moments: taken in as the host's columns hold them, and sent out with their offset, whatever its settings are."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone
from rest_framework import ISO_8601, serializers

from django_exotel_ccm import conf
from django_exotel_ccm.local_time import local_zone


class Moment(serializers.DateTimeField):
    """A moment in ISO 8601. One without an offset is by the clock of the site.

    Without ``USE_TZ`` columns hold naive moments of the default zone, and REST framework would make them of UTC.
    """

    format = ISO_8601
    input_formats = [ISO_8601]

    def default_timezone(self) -> datetime.tzinfo:
        """Return the zone of moments that have none."""
        return local_zone()

    def to_internal_value(self, value: Any) -> datetime.datetime:
        """Return the moment as a column holds it."""
        moment: datetime.datetime = conf.as_column(super().to_internal_value(value))
        return moment

    def to_representation(self, value: Any) -> str:
        """Return the moment with its offset; where a clock shows an hour twice, of the first."""
        if timezone.is_naive(value):
            value = timezone.make_aware(value.replace(fold=0), timezone.get_default_timezone())
        text: str = super().to_representation(value)
        return text
