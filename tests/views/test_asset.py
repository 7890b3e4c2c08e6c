"""Our style and script at our own URL."""

from __future__ import annotations

from typing import Any

import pytest

from django_exotel_ccm.assets import FOLDER, asset_url

NAMES = sorted(file.name for file in FOLDER.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_asset(client: Any, name: str) -> None:
    response = client.get(asset_url(name))

    assert response.content == (FOLDER / name).read_bytes()
    assert len(response.content) < 20_000
    assert response["Content-Type"].startswith("text/css" if name.endswith(".css") else "text/javascript")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert set(response["Cache-Control"].split(", ")) == {"public", "max-age=31536000", "immutable"}
    assert not response.cookies
    assert client.get(asset_url(name), headers={"If-None-Match": response["ETag"]}).status_code == 304


def test_other_version_is_not_kept(client: Any) -> None:
    response = client.get("/exotel/assets/0123456789abcdef/panel.js")

    assert response.content == (FOLDER / "panel.js").read_bytes()
    assert response["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["settings.py", "..%2fassets.py", "%2e%2e/__init__.py", "panel.js%00", "nothing.js"])
def test_nothing_else_is_served(client: Any, name: str) -> None:
    assert client.get(f"/exotel/assets/0/{name}").status_code == 404


def test_only_get_and_head(client: Any) -> None:
    head = client.head(asset_url("panel.js"))

    assert (head.status_code, head.content) == (200, b"")
    assert int(head["Content-Length"]) == (FOLDER / "panel.js").stat().st_size
    assert client.post(asset_url("panel.js")).status_code == 405


def test_host_where_everybody_has_to_log_in(client: Any, settings: Any, db: None) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert client.get(asset_url("panel.js")).status_code == 200
    assert client.post("/exotel/callbacks/forged/").status_code == 403
    assert client.post("/exotel/callbacks/forged/account/").status_code == 403
    assert client.get("/exotel/calls/00000000-0000-0000-0000-000000000000/status/").status_code == 401
