"""What all views of the API share. What REST framework would take from the host's settings is named here.

Except what is the host's: who somebody is (authentication classes) and how often one may ask at all (throttles).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.apps import apps
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import GenericAPIView
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import APISettings, api_settings
from rest_framework.throttling import BaseThrottle

from django_exotel_ccm.api.errors import APIError, handle, unknown_filters
from django_exotel_ccm.api.filters import Filters
from django_exotel_ccm.api.paging import Pages
from django_exotel_ccm.api.parsing import BoundedJSONParser
from django_exotel_ccm.api.permissions import HasOneOf
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.host_pages import OwnPagesAdapter

PINNED: Any = APISettings({"URL_FORMAT_OVERRIDE": "format"})
"""What REST framework has without any setting: one alone has to be named, or it reads the host's."""


class JSON(JSONRenderer):
    """JSON as it is without any setting."""

    compact, ensure_ascii, strict = True, False, True


class Negotiation(DefaultContentNegotiation):
    """Takes ``format`` in an address, whatever the host calls it."""

    settings = PINNED


class Metadata(SimpleMetadata):
    """Answers OPTIONS with what an address is, and which kinds of text it takes and returns."""

    def determine_actions(self, request: Request, view: Any) -> dict[str, Any]:
        """Return nothing: the serializer of a view is that of its answers, and what it takes stands in the schema."""
        return {}


class BaseView(GenericAPIView[Any]):
    """A view of the API. ``needs`` names for each method the permissions of which a user has to have one."""

    needs: ClassVar[Mapping[str, Sequence[Permission]]] = {}
    filterset_name: ClassVar[str] = ""
    """The class in ``filtersets`` whose filters the list takes; "" for none."""
    ordering: ClassVar[tuple[str, ...]] = ("id",)

    permission_classes = [HasOneOf]
    settings = PINNED
    renderer_classes = [JSON]
    parser_classes = [BoundedJSONParser]
    pagination_class: type[Pages] | None = Pages
    filter_backends: Sequence[type[BaseFilterBackend]] = [Filters]
    content_negotiation_class = Negotiation
    metadata_class = Metadata
    versioning_class = None

    @cached_property
    def http_request(self) -> HttpRequest:
        """The request as Django's own code takes it, with the user whom REST framework has found."""
        return self.request._request  # noqa: SLF001 - REST framework's documentation names it

    @cached_property
    def adapter(self) -> OwnPagesAdapter:
        """What decides which tickets the user sees: the same that decides on the user's pages outside the admin."""
        return OwnPagesAdapter.of_owner(self.request.user)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return those of the host."""
        classes: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES
        return [one() for one in classes]

    def get_authenticate_header(self, request: Request) -> str:
        """Return how to log in. Never nothing, because REST framework then answers 403 to who is not logged in."""
        return super().get_authenticate_header(request) or 'Session realm="api"'

    def get_throttles(self) -> list[BaseThrottle]:
        """Return those of the host."""
        classes: Any = api_settings.DEFAULT_THROTTLE_CLASSES
        return [one() for one in classes]

    def get_renderers(self) -> list[BaseRenderer]:
        """Return JSON, and REST framework's pages for people where the host has them: they need its templates."""
        has_pages = apps.is_installed("rest_framework")
        classes: Any = api_settings.DEFAULT_RENDERER_CLASSES
        wants_pages = BrowsableAPIRenderer in classes
        return [JSON(), *([BrowsableAPIRenderer()] if has_pages and wants_pages else [])]

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Keep our shape: a host's handler may have another one."""
        return handle

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Have nobody else see from a cache what this user may see."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if "Cache-Control" not in response:
            patch_cache_control(response, private=True, no_store=True)
        patch_vary_headers(response, ["Cookie", "Authorization"])
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what stands in the address of a request that changes something: it would be ignored."""
        super().initial(request, *args, **kwargs)
        changes = request.method in self.needs and request.method not in SAFE_METHODS
        unknown = [name for name in request.query_params if name != "format"] if changes else []
        if unknown:
            raise unknown_filters(unknown, [])

    def page_of(self, queryset: QuerySet[Any]) -> list[Any]:
        """Return the rows of the page that the address names, filtered as it says."""
        return list(self.paginate_queryset(self.visible(self.filter_queryset(queryset))) or [])

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the filtered rows that the user may see, as far as a query can say it."""
        return queryset

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The columns by which :meth:`visible_rows` chooses, and the list is ordered; () where all rows are shown."""
        return ()

    def visible_rows(self, rows: list[Any]) -> list[Any]:
        """Return those of the rows that the user may see."""
        return rows

    def parts(self, queryset: QuerySet[Any]) -> list[QuerySet[Any]]:
        """Return the parts of the list that stand one after the other, each in the order of ``ordering``."""
        return [queryset]

    def part_of(self, row: Any) -> int:
        """Return in which of :meth:`parts` the row stands."""
        return 0

    def refuse_parameters(self) -> None:
        """Raise for anything in the address that this view does not know."""
        Filters().filter_queryset(self.request, self.get_queryset(), self)


class NoSuchAddress(BaseView):
    """What is at every other address of the API: nothing, said in the shape of its errors."""

    permission_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer 404 to everybody, whatever the method is."""
        super().initial(request, *args, **kwargs)
        advice = _("There is nothing at this address. Each address of the API ends with a slash.")
        raise APIError(404, "not_found", advice)
