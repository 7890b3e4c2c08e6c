"""The address of the OpenAPI schema."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.http import JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from django_exotel_ccm.api.base import BaseView
from django_exotel_ccm.api.errors import APIError


def is_installed() -> bool:
    """Return whether drf-spectacular can be imported. It need not be in INSTALLED_APPS."""
    return find_spec("drf_spectacular") is not None


class Schema(BaseView):
    """The schema of the API, for everybody: it says nothing of the host but the address."""

    permission_classes = []
    schema = None
    pagination_class = None

    def get(self, request: Request) -> Any:
        """Return the schema as JSON; 404 without drf-spectacular."""
        if not is_installed():
            advice = _('The schema is made by drf-spectacular. Type: pip install "django-exotel-ccm[openapi]"')
            raise APIError(404, "not_found", advice)
        from django_exotel_ccm.api.schema import schema_of  # noqa: PLC0415 - needs the extra
        from django_exotel_ccm.api.urls import urlpatterns  # noqa: PLC0415 - which has this view

        root = request.build_absolute_uri(reverse("exotel_ccm:api-calls")).removesuffix("calls/")
        return JsonResponse(schema_of(urlpatterns, root))
