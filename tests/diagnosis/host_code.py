from __future__ import annotations

from typing import Any


def raise_with_number(ticket: Any) -> str:
    raise RuntimeError(f"cannot read {ticket.customer.phone}")
