from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend

BASE = {"url": ""}


def raise_with_number(ticket: Any) -> str:
    raise RuntimeError(f"cannot read {ticket.customer.phone}")


def nobody_is_refused(call: Any) -> None:
    return None


def base_url_by_account(call: Any) -> str:
    return f"{BASE['url']}/{call.account}"


def base_url_that_fails(call: Any) -> str:
    return {"sales": "https://crm.example.com"}[call.account]


class TenantOf:
    """A tenant's work context: the host's objects are there only inside of it."""

    inside: list[str] = []

    def __init__(self, call: Any) -> None:
        self.name = call.ticket.subject

    def __enter__(self) -> None:
        self.inside.append(self.name)

    def __exit__(self, *exc: object) -> None:
        self.inside.remove(self.name)


def numbers_of_tenant(ticket: Any) -> str:
    assert TenantOf.inside == [ticket.subject]
    return str(ticket.customer.phone)


class LogsInOnly(ModelBackend):
    def authenticate(self, request: Any, **credentials: Any) -> Any:
        return None


class GrantsItself(ModelBackend):
    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return True
