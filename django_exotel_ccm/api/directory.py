"""What a call is placed with: agents, ExoPhones and dispositions. Read only: Exotel and administrators write them."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from django_exotel_ccm.api.base import BaseView
from django_exotel_ccm.api.serializers import AgentSerializer, DispositionSerializer, ExoPhoneSerializer
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import Agent, Disposition, ExoPhone
from django_exotel_ccm.services import agents_for


class Directory(BaseView):
    """A list of few rows, which everybody sees alike who may see it."""

    def get(self, request: Request) -> Response:
        """List what there is."""
        rows = self.page_of(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)


class Agents(Directory):
    """The agents as whom the user may call."""

    needs = {"GET": [Permission.PLACE_CALL, Permission.VIEW_AGENT]}
    queryset = Agent.objects.all()
    serializer_class = AgentSerializer

    def get(self, request: Request) -> Response:
        """List the agents as whom you may call; with ``view_agent`` all, also those who are not active."""
        return super().get(request)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the agents for this user."""
        user = self.request.user
        if Permission.VIEW_AGENT.granted_to(user):
            return Agent.objects.all()
        own = Q(pk__in=[agent.pk for agent in agents_for(user)])
        return Agent.objects.active().filter(own if not Permission.FOR_OTHERS.granted_to(user) else Q())


class ExoPhones(Directory):
    """The numbers that customers can see."""

    needs = {"GET": [Permission.PLACE_CALL, Permission.VIEW_EXOPHONE]}
    queryset = ExoPhone.objects.filter(is_active=True)
    serializer_class = ExoPhoneSerializer

    def get(self, request: Request) -> Response:
        """List the active ExoPhones. Choosing one for a call needs ``choose_exophone``."""
        return super().get(request)


class Dispositions(Directory):
    """The ways in which a call can have gone."""

    needs = {"GET": [Permission.PLACE_CALL, Permission.ADD_NOTE, Permission.VIEW_DISPOSITION]}
    queryset = Disposition.objects.filter(is_active=True)
    serializer_class = DispositionSerializer
    ordering = ("position", "pk")

    def get(self, request: Request) -> Response:
        """List the dispositions that are offered, in their order."""
        return super().get(request)
