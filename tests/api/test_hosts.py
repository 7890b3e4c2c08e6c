"""Hosts of other kinds: no REST framework installed, no time zones, users who log in by a token."""

from __future__ import annotations

import base64
import re
import shlex
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client, modify_settings, override_settings
from rest_framework.authentication import BaseAuthentication

from tests.admin.pages import AGENT_WORK, BY_HAND
from tests.api.conftest import API, Api, placed
from tests.test_docs import blocks


class TokenOfTheHost(BaseAuthentication):
    """A host's own way to log in."""

    def authenticate(self, request: Any) -> Any:
        from django.contrib.auth.models import User

        token = request.headers.get("Authorization", "").removeprefix("Token ")
        user = User.objects.filter(username=token).first()
        return (user, token) if user is not None else None

    def authenticate_header(self, request: Any) -> str:
        return "Token"


class BodyIsSigned(TokenOfTheHost):
    """A way to log in for which the body is read first, as for a signature over it."""

    def authenticate(self, request: Any) -> Any:
        assert request.body
        return super().authenticate(request)


def test_an_authentication_that_reads_the_body(host: Any, ticket: Any, exotel: Any) -> None:
    host.user("asha", *AGENT_WORK)
    theirs = {"DEFAULT_AUTHENTICATION_CLASSES": ["tests.api.test_hosts.BodyIsSigned"]}
    large = {"ticket": "x" * 3_000_000}  # more than Django lets anybody read

    with override_settings(REST_FRAMEWORK=theirs):
        placed_one, refused = (
            Client().post(f"{API}calls/", body, "application/json", headers={"Authorization": "Token asha"})
            for body in ({"ticket": f"ticket_{ticket.pk}"}, large)
        )

    assert (placed_one.status_code, refused.status_code) == (201, 413)
    assert refused.json()["code"] == "too_large"


def test_the_hosts_authentication_decides_who_somebody_is(host: Any, ticket: Any, exotel: Any) -> None:
    host.user("asha", *AGENT_WORK)
    theirs = {"DEFAULT_AUTHENTICATION_CLASSES": ["tests.api.test_hosts.TokenOfTheHost"]}

    with override_settings(REST_FRAMEWORK=theirs):
        nobody = Client().get(f"{API}calls/")
        response = Client().post(
            f"{API}calls/",
            {"ticket": f"ticket_{ticket.pk}"},
            content_type="application/json",
            headers={"Authorization": "Token asha"},
        )

    assert (nobody.status_code, nobody["WWW-Authenticate"]) == (401, "Token")
    assert response.status_code == 201
    assert response.json()["placed_by_label"] == "asha"


def test_without_an_installed_rest_framework(asha: Api, ticket: Any, exotel: Any) -> None:
    with modify_settings(INSTALLED_APPS={"remove": ["rest_framework"]}):
        response = asha.post("calls/", {"ticket": f"ticket_{ticket.pk}"})
        assert response.status_code == 201
        for path in ("calls/", "agents/", "schema/", f"calls/{response.json()['reference']}/"):
            assert asha.get(path).status_code == 200


@pytest.mark.books_differ(reason="a call of the host is in the database alone")
def test_the_commands_of_the_documentation_run(host: Any, exotel: Any) -> None:
    ticket = host.ticket(pk=1, phone=BY_HAND)
    user = host.user("asha", *AGENT_WORK)
    user.set_password("demo")
    user.save()
    call = placed(user, ticket, state="ended", talk_time=90)
    basic = "Basic " + base64.b64encode(b"asha:demo").decode()
    commands = [
        line for block in blocks("api", "sh") for line in block.replace("\\\n", "").splitlines() if "curl" in line
    ]
    answers = []

    for command in commands:
        words = shlex.split(command.replace("$FIRST", str(call.reference)).replace("$SECOND", str(call.reference)))
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        url = next(word for word in words if word.startswith("http://127.0.0.1:8000/"))
        given = dict(one.split(": ") for flag, one in pairwise(words) if flag == "-H")
        kind = given.pop("Content-Type", "")
        headers = given | ({"Authorization": basic} if "asha:demo" in words else {})
        body = words[words.index("-d") + 1] if "-d" in words else ""
        path = re.sub("^http://[^/]*", "", url)
        answers.append(Client().generic(method, path, body, content_type=kind, headers=headers))

    assert [one.status_code for one in answers] == [201, 200, 200, 200]
    assert [one["reference"] for one in answers[1].json()["results"]] == [str(call.reference)]
    assert len(answers[2].json()["results"]) == 1
