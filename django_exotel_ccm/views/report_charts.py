"""The charts of the report, as numbers for a template that draws them.

Widths are shares of the chart's, so that the same picture fits a wide screen and a phone while its text keeps its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.text import Truncator
from django.utils.translation import gettext as _

HEIGHT = 150  # pixels of the highest column
MOST_LABELS = 4
LABELS_END = 78  # percent of the width: one that begins later has no room on a phone
LINE, BAR = 38, 12  # pixels: of a bar with its label, and of the bar alone
MOST_BARS = 10
LONGEST_LABEL = 30


@dataclass(frozen=True, slots=True)
class Part:
    """What a column or a bar stands for: how many calls there were, and how many of them reached the customer."""

    label: str
    calls: int
    reached: int | None
    """None where the calls are all of one kind."""

    @property
    def text(self) -> str:
        """What is read at it."""
        words = {"name": self.label, "calls": self.calls, "reached": self.reached}
        text = "%(name)s: %(calls)d" if self.reached is None else _("%(name)s: %(calls)d, reached %(reached)d")
        return text % words


def columns(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the chart with a column for each part, from left to right."""
    most = max((part.calls for part in parts), default=0)
    step = 100 / max(1, len(parts))
    every = -(-len(parts) // MOST_LABELS) or 1
    return {
        "most": most,
        "columns": [
            {
                "x": _share(number * step + step * 0.1),
                "width": _share(step * 0.8),
                "text": part.text,
                "calls": _column(part.calls, most),
                "reached": _column(part.reached or 0, most),
            }
            for number, part in enumerate(parts)
            if part.calls
        ],
        "labels": [
            {"x": _share(number * step), "text": part.label}
            for number, part in enumerate(parts)
            if number % every == 0 and number * step <= LABELS_END
        ],
    }


def bars(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the chart with a bar for each of the first parts, one below the other."""
    shown = parts[:MOST_BARS]
    most = max((part.calls for part in shown), default=0) or 1
    return {
        "most_bars": MOST_BARS if len(shown) < len(parts) else None,
        "height": LINE * len(shown),
        "bars": [
            {
                "text": Part(Truncator(part.label).chars(LONGEST_LABEL), part.calls, part.reached).text,
                "text_y": number * LINE + 14,
                "y": number * LINE + 20,
                "height": BAR,
                "calls": _share(100 * part.calls / most),
                "reached": _share(100 * (part.reached or 0) / most),
            }
            for number, part in enumerate(shown)
        ],
    }


def _column(count: int, most: int) -> dict[str, int]:
    height = round(HEIGHT * count / most) if most else 0
    if count:
        height = max(1, height)
    return {"y": 20 + HEIGHT - height, "height": height}


def _share(percent: float) -> str:
    return f"{percent:.3f}%"
