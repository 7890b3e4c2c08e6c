"""URLs of this package. In the project's own: ``path("exotel/", include("django_exotel_ccm.urls"))``."""

from __future__ import annotations

from django.urls import path

from django_exotel_ccm.services.committing import outside_transactions
from django_exotel_ccm.views.choose import choose
from django_exotel_ccm.views.place import place
from django_exotel_ccm.views.recording import recording
from django_exotel_ccm.webhooks.views import AccountCallbackView, CallbackView

app_name = "exotel_ccm"

urlpatterns = [
    path("callbacks/<str:token>/", outside_transactions(CallbackView.as_view()), name="callback"),
    # The token where that of a call stands: what keeps those out of logs keeps this one out, too.
    path(
        "callbacks/<str:token>/account/", outside_transactions(AccountCallbackView.as_view()), name="account-callback"
    ),
    path("place/", outside_transactions(place), name="place"),
    path("choose/", choose, name="choose"),
    path("recording/<uuid:reference>/", outside_transactions(recording), name="recording"),
]
