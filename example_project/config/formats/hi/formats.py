"""Dates and times in Hindi. Django's own say "6:32 बजे" in the morning as in the evening."""

from __future__ import annotations

DATETIME_FORMAT = "j F Y, H:i"
SHORT_DATETIME_FORMAT = "d-m-Y H:i"
TIME_FORMAT = "H:i"
