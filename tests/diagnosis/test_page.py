"""The page: what the command says, for superusers alone."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_exotel_ccm.models import AccountUsage, ExoPhone
from tests.diagnosis.conftest import Doctor
from tests.servers.faulty_proxy import Proxy


@pytest.fixture
def root(doctor: Doctor, client: Client) -> Client:
    from django.contrib.auth.models import User

    client.force_login(User.objects.get(username="root"))
    return client


def text_of(page: Any) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode())))


def test_page_says_what_the_command_says(doctor: Doctor, root: Client) -> None:
    ExoPhone.objects.update(is_active=False)
    checks = doctor.checks()

    text = text_of(root.post(reverse("exotel_ccm:doctor")))

    assert "1 thing is wrong" in text
    for one in checks:
        assert one["message"] in text
        assert one["why"] in text
        assert one["fix"] in text


def test_run_again(root: Client) -> None:
    url = reverse("exotel_ccm:doctor")
    ExoPhone.objects.update(is_active=False)
    before = root.post(url)
    ExoPhone.objects.update(is_active=True)

    after = root.post(url)

    assert (before.status_code, after.status_code) == (200, 200)
    assert "1 thing is wrong" in text_of(before)
    assert "All is well" in text_of(after)
    assert "no-store" in after["Cache-Control"]


def test_get_sends_nothing(root: Client, proxy: Proxy) -> None:
    page = root.get(reverse("exotel_ccm:doctor"))

    assert "Run the check" in text_of(page)
    assert "The settings can be read." in text_of(page)
    assert "All is well" not in text_of(page)
    assert proxy.paths == []
    assert AccountUsage.objects.get().minute is None  # Exotel was asked nothing
    root.post(reverse("exotel_ccm:doctor"))
    assert proxy.paths
    assert AccountUsage.objects.get().minute is not None


def test_get_says_what_is_wrong_with_the_settings(root: Client, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKET": {}}

    text = text_of(root.get(reverse("exotel_ccm:doctor")))

    assert "1 thing is wrong" in text
    assert "'TICKET'" in text
    assert "Known keys" in text


def test_post_needs_a_csrf_token(root: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = root.cookies

    assert strict.post(reverse("exotel_ccm:doctor")).status_code == 403


def test_page_is_for_superusers(doctor: Doctor, host: Any, client: Client) -> None:
    url = reverse("exotel_ccm:doctor")
    anonymous = client.get(url)
    client.force_login(host.asha)

    assert (anonymous.status_code, anonymous["Location"].startswith("/admin/login/")) == (302, True)
    assert client.get(url).status_code == client.post(url).status_code == 403
    assert "Check of the set-up" not in client.get("/admin/").content.decode()


def test_index_of_the_admin_leads_to_the_page(root: Client) -> None:
    for index in ("/admin/", "/admin/exotel_ccm/"):
        page = root.get(index).content.decode()
        (link,) = set(re.findall(r'href="(/exotel/doctor/[^"]*)"', page))
        assert "All is well" in text_of(root.post(link.replace("&amp;", "&")))


def test_page_has_no_inline_style_or_script(root: Client) -> None:
    url = reverse("exotel_ccm:doctor")
    page = root.get(url).content.decode() + root.post(url).content.decode()

    assert not re.search(r"<style|style=|<script(?![^>]*src=)(?![^>]*application/json)| on[a-z]+=", page)


def test_page_without_an_admin(root: Client, settings: Any, doctor: Doctor) -> None:
    settings.ROOT_URLCONF = "tests.diagnosis.plain_urls"

    page = root.post("/exotel/doctor/")

    assert page.status_code == 200
    assert "exotel_ccm/doctor.html" in [template.name for template in page.templates]
    assert "Run again" in text_of(page)
    client = Client()
    assert client.get("/exotel/doctor/").status_code == 302
