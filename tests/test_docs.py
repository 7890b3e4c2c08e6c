"""The documentation lists exactly what the code has, and its examples run."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
import re
import runpy
import tomllib
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pytest
from django.core.management.base import BaseCommand, CommandParser
from django.dispatch import Signal
from django.urls import URLPattern

import django_exotel_ccm
from django_exotel_ccm import accounts, conf, exceptions, models, services, signals, tickets, urls
from django_exotel_ccm.api import urls as api_urls
from django_exotel_ccm.choices import Outcome, SignalName, State
from django_exotel_ccm.exotel.errors import CODES, REFUSING_STATUSES, NotPlaced
from django_exotel_ccm.management import commands
from django_exotel_ccm.phone_numbers import LABELS
from django_exotel_ccm.simulator import SCENARIOS, SCRIPTS, Options
from django_exotel_ccm.simulator.options import text_of

ROOT = Path(__file__).parent.parent
PACKAGE = Path(django_exotel_ccm.__file__).parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


# Reading the pages.


def read(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text("utf-8")


def pages() -> list[str]:
    """The names of all pages."""
    return [path.stem for path in (ROOT / "docs").glob("*.md")]


def section(page: str, heading: str) -> str:
    """The text below a heading, without its code, up to the next heading of its level or above."""
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    assert found, f"{page}.md has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(found[1])}}} ", text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, without their headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    ruled = [index for index, row in enumerate(cells) if set("".join(row)) <= set("|-")]
    return [row for index, row in enumerate(cells) if index not in ruled and index + 1 not in ruled]


def first_names(text: str) -> list[str]:
    """The names in backticks in the first column of the tables in a text."""
    return [name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[0])]


def titles(text: str, level: int) -> list[str]:
    """The headings of a level that are names in backticks."""
    return re.findall(rf"^{'#' * level} `(.+)`$", text, re.MULTILINE)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL)


def file_in(page: str, name: str) -> str:
    """The code block that is the file ``name``."""
    found = [block for block in blocks(page, "python") if block.startswith(f"# {name}\n")]
    assert found, f"{page}.md shows no {name}"
    return found[0]


# Reading the code.


def in_code(pattern: str) -> set[str]:
    return {found for path in PACKAGE.rglob("*.py") for found in re.findall(pattern, path.read_text("utf-8"))}


def check_ids() -> set[str]:
    return {f"exotel_ccm.{number}" for number in in_code(r"""(?:exotel_ccm\.|["'])([EW]\d{3})\b""")}


def rooms(inside: str = "") -> set[str]:
    return {module.name for module in pkgutil.iter_modules([str(PACKAGE / inside)])} - {"migrations"}


def documented_rooms(inside: str = "") -> list[str]:
    """The rooms that the architecture names, of the package or inside one of its larger rooms."""
    package, *larger = re.split(r"^In `(\w+)`:$", section("architecture", "Rooms"), flags=re.MULTILINE)
    return first_names(dict(zip(larger[::2], larger[1::2], strict=True))[inside] if inside else package)


def command_names() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(commands.__path__)}


def command_options(name: str) -> set[str]:
    """The options of a command that not every command has."""

    def flags(parser: CommandParser) -> set[str]:
        return {flag for action in parser._actions for flag in action.option_strings}

    command = import_module(f"django_exotel_ccm.management.commands.{name}").Command()
    usual = flags(BaseCommand().create_parser("manage.py", "usual"))
    return flags(command.create_parser("manage.py", name)) - usual


def url_names() -> set[str]:
    """The names of our own URLs. Of those of the API the first: the others are on a page of their own."""
    own = {str(pattern.name) for pattern in urls.urlpatterns if isinstance(pattern, URLPattern)}
    return own | {str(api_urls.urlpatterns[0].name)}


def own_exceptions() -> set[str]:
    base = exceptions.ExotelCCMError
    found = {name for name, value in vars(exceptions).items() if isinstance(value, type) and issubclass(value, base)}
    return found - {base.__name__}


DOCUMENTED: list[tuple[str, Iterable[str], Iterable[str]]] = [
    ("keys of EXOTEL_CCM", titles(section("settings", "Keys"), 3), conf.KEYS),
    ("options of TICKETS", first_names(section("settings", "`TICKETS`")), tickets.ENTRY),
    ("variables", first_names(section("settings", "Environment variables")), {accounts.URL_VARIABLE, *accounts.PARTS}),
    ("checks", first_names(read("checks")), check_ids()),
    ("signals", titles(read("signals"), 2), {name for name, it in vars(signals).items() if isinstance(it, Signal)}),
    (
        "permissions",
        first_names(section("admin", "Permissions")),
        {f"exotel_ccm.{codename}" for codename, _label in models.CallRecord._meta.permissions},
    ),
    ("our refusals", first_names(section("reference", "Codes of ours")), in_code(r'Refusal\(\s*"(\w+)"')),
    ("Exotel's codes", first_names(section("reference", "Codes of Exotel")), CODES),
    ("exceptions", first_names(section("reference", "Exceptions")), own_exceptions()),
    ("arguments", first_names(section("reference", "Place a call")), inspect.signature(services.place_call).parameters),
    ("URLs", first_names(section("reference", "URLs")), url_names()),
    ("commands", first_names(section("reference", "Commands")), command_names()),
    ("models", titles(section("reference", "Models"), 3), models.__all__),
    ("command's options", first_names(section("simulator", "The command")), command_options("exotel_simulator")),
    (
        "simulator's options",
        first_names(section("simulator", "Options")),
        {one.name for one in dataclasses.fields(Options)},
    ),
    *(
        (f"rooms {inside}".rstrip(), documented_rooms(inside), rooms(inside))
        for inside in ("", "admin", "api", "views", "services", "exotel", "diagnosis")
    ),
    ("outcomes", first_names(section("life-of-a-call", "`outcome`")), Outcome.values),
]


def test_documented_names_equal_the_codes() -> None:
    pairs = {what: (sorted(documented), sorted(known)) for what, documented, known in DOCUMENTED}

    assert {what: pair for what, pair in pairs.items() if pair[0] != pair[1]} == {}


def test_states_are_drawn_and_explained() -> None:
    drawing = (ROOT / "docs/diagrams/life-of-a-call.svg").read_text("utf-8")
    explained = first_names(read("life-of-a-call"))

    assert explained[: len(State.values)] == State.values
    assert [state for state in State.values if f">{state}</text>" not in drawing] == []


def test_signals_are_in_the_order_of_sending() -> None:
    assert titles(read("signals"), 2) == SignalName.values


def test_codes_say_whether_a_call_was_placed() -> None:
    table = rows(section("reference", "Codes of Exotel"))

    assert {row[0].strip("`"): row[2] == "no" for row in table} == {
        code: issubclass(kind, NotPlaced) for code, kind in CODES.items()
    }


def test_refusing_statuses_are_listed() -> None:
    row = next(row for row in rows(read("life-of-a-call")) if row[0].startswith("HTTP "))

    assert set(map(int, re.findall(r"\d+", row[0]))) == REFUSING_STATUSES


@pytest.mark.parametrize("name", sorted(command_names()))
def test_options_of_commands_are_documented(name: str) -> None:
    texts = [text for text in map(read, pages()) if name in text]
    shown = {flag for text in texts for flag in re.findall(r"(?<![\w-])--[a-z-]+", text)}
    lines = [line for text in texts for line in re.findall(rf"{name}( [^`\n|#]*)", text)]
    typed = {flag for line in lines for flag in re.findall(r" (--[a-z-]+)", line)}

    assert command_options(name) - shown == set()
    assert typed - command_options(name) - {"--help", "--verbosity"} == set()


@pytest.mark.parametrize("name", [name for name in models.__all__ if hasattr(getattr(models, name), "_meta")])
def test_documented_fields_exist(name: str) -> None:
    model, text = getattr(models, name), section("reference", f"`{name}`")
    # Links lead elsewhere, and in parentheses are the choices of a field, and what a value means.
    first_line = re.sub(r"\[`.*?\)|\(.*?\)", "", text.strip().splitlines()[0])
    fields = first_names(text) or re.findall(r"`(\w+)`", first_line)

    assert fields
    assert [field for field in fields if not hasattr(model, field)] == []


def test_fields_that_recipes_use_are_in_the_reference() -> None:
    used = {name for block in blocks("cookbook", "python") for name in re.findall(r"[a-z]+(?:_[a-z]+)*", block)}
    fields = {field.name for field in models.CallRecord._meta.concrete_fields} - {"id"}

    assert "talk_time" in used
    assert (used & fields) - set(first_names(section("reference", "`CallRecord`"))) == set()


def test_names_that_pages_import_are_in_the_reference() -> None:
    imports = re.compile(r"^ *from django_exotel_ccm[\w.]* import ([\w, ]+)", re.MULTILINE)
    imported = {name for text in map(read, pages()) for names in imports.findall(text) for name in names.split(", ")}
    public = set(re.findall(r"\w+", read("reference"))) | set(SignalName.values)

    assert "place_call" in imported
    assert imported - public == set()


def test_loggers_are_documented() -> None:
    named_in_code = in_code(r'getLogger\("([\w.]+)"\)')
    of_modules = {path for path in PACKAGE.rglob("*.py") if "getLogger(__name__)" in path.read_text("utf-8")}
    rooms_of_modules = {f"django_exotel_ccm.{path.relative_to(PACKAGE).parts[0]}" for path in of_modules}
    documented = set(re.findall(r"`(django_exotel_ccm\.\w+)`", section("go-live", "Logs without callback tokens")))

    assert documented == (named_in_code | rooms_of_modules) - {"django_exotel_ccm.simulator"}


def test_levels_of_loggers_are_documented() -> None:
    written = set()
    for path in PACKAGE.rglob("*.py"):
        code, room = path.read_text("utf-8"), path.relative_to(PACKAGE).parts[0]
        name = re.search(r'getLogger\((?:"django_exotel_ccm\.(\w+)"|__name__)\)', code)
        if name and room != "simulator":
            levels = re.findall(r"logger\.(info|warning)\(", code)
            written |= {(f"`django_exotel_ccm.{name[1] or room}`", level.upper()) for level in levels}
    documented = {(row[0], row[1]) for row in rows(section("metrics", "Logs"))} - {("all", "ERROR")}

    assert ("`django_exotel_ccm.exotel`", "INFO") in written
    assert documented == written


def test_magic_numbers_are_documented() -> None:
    table = [tuple(row) for row in rows(section("simulator", "Magic numbers"))]

    assert table == [(f"`{script.number}`", script.title) for script in SCRIPTS]


def test_simulator_scenarios_are_documented() -> None:
    table = [tuple(row) for row in rows(section("simulator", "Scenarios"))]

    assert table == [
        (
            f"`{one.name}`",
            one.title,
            one.text,
            ", ".join(f"`{name}={text_of(value)}`" for name, value in one.options.items()) or "as at first",
        )
        for one in SCENARIOS
    ]


def test_simulator_options_begin_as_documented() -> None:
    table = {row[0].strip("`"): row[1].split(", ")[0].strip("`") for row in rows(section("simulator", "Options"))}
    usual = dataclasses.asdict(Options()) | {"lost_events": "none"}

    assert table == {name: str(value) for name, value in usual.items()}


def test_words_beside_numbers_are_documented() -> None:
    [listed] = re.findall(r"^These words may .*: (.+)\.$", section("settings", "How numbers are read"), re.MULTILINE)

    assert listed.split(", ") == sorted(LABELS)


def test_layers_equal_the_linters() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"]

    assert [block.splitlines() for block in blocks("architecture", "text")[: len(layers)]] == layers


def test_versions_agree() -> None:
    version = PYPROJECT["project"]["version"]
    changelog = re.findall(r"^## \[?([^\s\]]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert runpy.run_path(str(ROOT / "docs/conf.py"))["release"] == version
    assert changelog[0] == version


def exotel_sections() -> set[str]:
    return set(re.findall(r"^##+ (\d+(?:\.\d+)?)\.? ", read("exotel"), re.MULTILINE))


def test_themes_are_those_that_are_tried() -> None:
    [*themes, helpdesk] = re.findall(
        r'"(django-[a-z-]+)==([\d.]+)", "([\d.]+)"', (ROOT / "noxfile.py").read_text("utf-8")
    )

    assert [list(one) for one in themes] == [
        [name.strip("`"), *rest] for name, *rest in rows(section("admin", "Themes"))
    ]
    assert "with {} {} on Django {};".format(*helpdesk) in section("cookbook", "django-helpdesk")


def test_sections_of_exotel_page_exist() -> None:
    """Each "docs/exotel.md 4.1 to 4.4" in code or tests names sections that the page has."""
    sources = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    text = "".join(path.read_text("utf-8") for path in sources if path != Path(__file__))
    references = re.findall(r"docs/exotel\.md((?:(?:,| to| and)? [\d.]*\d)*)", text)

    assert len(references) > 20
    assert all(references), "a reference to docs/exotel.md names no section"
    assert {number for it in references for number in re.findall(r"[\d.]*\d", it)} <= exotel_sections()


def test_facts_of_exotel_page_have_one_mark() -> None:
    """Each fact ends with one of the marks that the page explains, and with a source that it links to."""
    head, _, body = read("exotel").partition("\n## 11. ")[0].partition("\n## 1. ")
    marks = {row[0] for row in rows(head)}
    sourced = {"doc", "sample", "weak"}
    links = set(re.findall(r"^\[([\w-]+)\]: https://", read("exotel"), re.MULTILINE))
    facts = [cells[-1] for cells in rows(body)]
    facts += re.findall(r"^- (.*(?:\n  .*)*)", body, re.MULTILINE)

    assert len(facts) > 100
    for fact in facts:
        found = re.search(r"\((\w+)(?:: ([^()]+))?\)$", fact)
        assert found, fact
        mark, source = found[1], found[2] or ""
        assert mark in marks, fact
        assert mark not in sourced or set(re.findall(r"\[([\w-]+)\]", source)) & links or "Postman" in source, fact
        assert mark != "conflict" or source in exotel_sections(), fact


def test_targets_of_links_exist() -> None:
    broken = [
        (path.name, target)
        for path in (*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md")
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]

    assert broken == []


def test_each_page_is_in_the_contents_once() -> None:
    listed = [
        page for block in blocks("index", r"\{toctree\}") for page in re.findall(r"^[\w-]+$", block, re.MULTILINE)
    ]

    assert sorted(listed) == [path.stem for path in PAGES if path.stem != "index"]


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md"])
def test_make_commands_exist(path: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / path).read_text("utf-8"), re.MULTILINE))

    assert {"demo", "test"} <= named <= targets
