"""URLs of this package. In the project's own: ``path("exotel/", include("django_exotel_ccm.urls"))``."""

from __future__ import annotations

from django.urls import include, path

from django_exotel_ccm.services.transactions import exempt_from_atomic_requests
from django_exotel_ccm.views.asset import asset
from django_exotel_ccm.views.call_list import call_list
from django_exotel_ccm.views.choose import choose
from django_exotel_ccm.views.doctor import doctor
from django_exotel_ccm.views.live import board, live
from django_exotel_ccm.views.my_calls import my_calls
from django_exotel_ccm.views.my_phone import my_phone
from django_exotel_ccm.views.note import note
from django_exotel_ccm.views.place import place
from django_exotel_ccm.views.recording import recording
from django_exotel_ccm.views.reports import reports, reports_csv
from django_exotel_ccm.views.status import status
from django_exotel_ccm.views.timeline import timeline
from django_exotel_ccm.webhooks.views import AccountCallbackView, CallbackView

app_name = "exotel_ccm"

urlpatterns = [
    path("callbacks/<str:token>/", exempt_from_atomic_requests(CallbackView.as_view()), name="callback"),
    # The token where that of a call stands: what keeps those out of logs keeps this one out, too.
    path(
        "callbacks/<str:token>/account/",
        exempt_from_atomic_requests(AccountCallbackView.as_view()),
        name="account-callback",
    ),
    path("api/", include("django_exotel_ccm.api.urls")),
    path("assets/<slug:version>/<str:name>", asset, name="asset"),
    path("place/", exempt_from_atomic_requests(place), name="place"),
    path("choose/", choose, name="choose"),
    path("my-calls/", my_calls, name="my-calls"),
    path("my-phone/", exempt_from_atomic_requests(my_phone), name="my-phone"),
    path("doctor/", exempt_from_atomic_requests(doctor), name="doctor"),
    path("reports/", exempt_from_atomic_requests(reports), name="reports"),
    path("reports/calls.csv", exempt_from_atomic_requests(reports_csv), name="reports-csv"),
    path("live/", live, name="live"),
    path("live/board/", board, name="live-board"),
    path("call-lists/<int:key>/", call_list, name="call-list"),
    path("calls/<uuid:reference>/status/", status, name="status"),
    path("calls/<uuid:reference>/note/", exempt_from_atomic_requests(note), name="note"),
    path("timeline/", timeline, name="timeline"),
    path("recording/<uuid:reference>/<slug:recording>/", exempt_from_atomic_requests(recording), name="recording"),
]
