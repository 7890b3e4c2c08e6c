"""The translations: complete, compiled, and with the placeholders of the English text."""

from __future__ import annotations

import gettext
import importlib
import re
import shutil
from pathlib import Path

import django.contrib.admin
import pytest
from django.utils import translation

from tests.messages import APPS, MISSING, catalogues, compile_catalogue, extract, has_gettext, unfinished

ROOT = Path(__file__).resolve().parent.parent
TRANSLATIONS = [path for app in APPS for path in catalogues(app)]
DEVANAGARI = re.compile("[\u0900-\u097f]")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+\}")
MESSAGE = re.compile(r'(?m)^msgid "((?:[^"\\]|\\.)+)"$')
SAME_IN_HINDI = {
    "Call Details",
    "ExoPhone",
    "ExoPhones",
    "Exotel user id",
    "HTTP status",
    "call SID",
    "contact URI",
    "content type",
    "custom field",
    "key",
    "raw body",
    "reference",
    "request id",
    "request key",
}
"""What Exotel's dashboard or a protocol calls by this name, and so does everybody who reads it."""


def entries(compiled: Path) -> dict[object, str]:
    """Return translation by message, without the header; a message with plural forms has several."""
    with compiled.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    return {message: text for message, text in vars(catalogue)["_catalog"].items() if message}


def bare(message: object) -> str:
    """Return a message without its context."""
    return str(message[0] if isinstance(message, tuple) else message).rpartition("\4")[2]


def identity(path: Path) -> str:
    return f"{path.parts[-5]}-{path.parts[-3]}"


def test_package_and_demo_have_hindi() -> None:
    assert {identity(path) for path in TRANSLATIONS} >= {"django_exotel_ccm-hi", "helpdesk-hi"}


@pytest.mark.skipif(not has_gettext(), reason=MISSING)
@pytest.mark.parametrize("path", TRANSLATIONS, ids=identity)
def test_translation_is_complete_and_compiled(path: Path, tmp_path: Path) -> None:
    app = path.parents[3]
    copy = shutil.copytree(app, tmp_path / app.name, ignore=shutil.ignore_patterns("__pycache__"))
    extracted, compiled = copy / path.relative_to(app), tmp_path / "compiled.mo"

    extract(copy)
    compile_catalogue(extracted, compiled)

    assert unfinished(extracted) == "", "type: make messages"
    assert entries(path.with_suffix(".mo")) == entries(compiled), "type: make messages"
    assert extracted.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), "type: make messages"


@pytest.mark.parametrize("path", TRANSLATIONS, ids=identity)
def test_translation_is_in_its_language(path: Path) -> None:
    texts = entries(path.with_suffix(".mo"))

    messages = {bare(message): text for message, text in texts.items()}
    latin = {
        message
        for message, text in messages.items()
        if re.search("[A-Za-z]", PLACEHOLDER.sub("", message)) and not DEVANAGARI.search(PLACEHOLDER.sub("", text))
    }

    assert latin - SAME_IN_HINDI == set()


# Catalogues of all installed apps are one: of two with the same message, that of the app named first wins everywhere.


def without_context() -> set[str]:
    """Return our messages that have no context."""
    [path] = catalogues(APPS[0])
    texts = entries(path.with_suffix(".mo"))
    messages = {str(message[0] if isinstance(message, tuple) else message) for message in texts}
    return {message for message in messages if "\4" not in message}


@pytest.mark.parametrize("package", ["django", "rest_framework"])
def test_no_message_of_ours_replaces_one_of_django(package: str) -> None:
    [folder] = importlib.import_module(package).__path__
    sources = [*Path(folder).glob("**/locale/en/LC_MESSAGES/*.po")]
    theirs = {message for path in sources for message in MESSAGE.findall(path.read_text(encoding="utf-8"))}

    assert "Save" in theirs or package != "django"
    assert without_context() & theirs == set(), 'give them a context: pgettext("telephony", …)'


def test_words_of_the_admin_stay_its_own() -> None:
    """The tests' settings name our app before the admin."""
    own = Path(django.contrib.admin.__path__[0], "locale", "hi", "LC_MESSAGES", "django.mo")

    with translation.override("hi"):
        words = translation.gettext("Save"), translation.pgettext("telephony", "Save")

    assert words[0] == entries(own)["Save"]
    assert words[1] == entries(catalogues(APPS[0])[0].with_suffix(".mo"))["telephony\4Save"]
    assert words[0] != words[1]


def test_no_message_of_ours_replaces_a_word_of_the_host() -> None:
    words = {message for message in without_context() if re.fullmatch(r"\W*\w[\w'-]*\W*", message)}

    assert words == {"ExoPhone", "ExoPhones"}, 'give them a context: pgettext("telephony", …)'


def test_hindi_counts_none_as_one() -> None:
    """CLDR: zero and one are singular in Hindi."""
    for path in TRANSLATIONS:
        with path.with_suffix(".mo").open("rb") as file:
            plural = vars(gettext.GNUTranslations(file))["plural"]
        assert [int(plural(count)) for count in (0, 1, 2, 100_000)] == [0, 0, 1, 1]
