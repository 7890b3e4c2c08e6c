"""Sphinx reads this: `make docs` builds docs/_build."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PYPROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())

project = _PYPROJECT["project"]["name"]
author = _PYPROJECT["project"]["authors"][0]["name"]
copyright = author
version = release = _PYPROJECT["project"]["version"]

extensions = ["myst_parser"]
myst_enable_extensions = ["attrs_block", "deflist", "html_image"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"{project} {version}"
