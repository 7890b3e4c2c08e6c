"""URLs of this package. In the project's own: ``path("exotel/", include("django_exotel_ccm.urls"))``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections, transaction
from django.urls import path

from django_exotel_ccm.views.choose import choose
from django_exotel_ccm.views.place import place
from django_exotel_ccm.webhooks.views import CallbackView

app_name = "exotel_ccm"


def _outside_transactions(view: Callable[..., Any]) -> Callable[..., Any]:
    """Exempt a view from ATOMIC_REQUESTS of every database: what it commits must be committed when it answers."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


urlpatterns = [
    path("callbacks/<str:token>/", _outside_transactions(CallbackView.as_view()), name="callback"),
    path("place/", _outside_transactions(place), name="place"),
    path("choose/", choose, name="choose"),
]
