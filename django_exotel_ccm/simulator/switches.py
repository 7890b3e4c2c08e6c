"""What the switches of the simulator take: from Python, from a command line and from a form."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
from dataclasses import dataclass, fields
from typing import Any, Protocol, get_args, get_type_hints
from urllib.parse import urlsplit

NOTHING = ("", "none", "null")
FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
EVENTS = ("answered", "terminal")


class Kind(Protocol):
    """A kind of value. Both methods raise ValueError."""

    @property
    def takes(self) -> str:
        """What may be written: the end of the sentence "write …"."""

    @property
    def words(self) -> tuple[str, ...]:
        """Every text that may be written, if they are few; else none."""

    def checked(self, value: Any) -> Any:
        """The value as it is kept."""

    def read(self, text: str) -> Any:
        """The value that a text means, not yet checked."""


class Flag:
    """True or False."""

    takes = "True or False"
    words = ("True", "False")

    def checked(self, value: Any) -> bool:
        """Nothing but the two: the text "false" would be true."""
        if not isinstance(value, bool):
            raise ValueError(value)
        return value

    def read(self, text: str) -> Any:
        """Also yes and no, on and off, 1 and 0."""
        return FLAGS.get(text.lower(), text)


class Choice:
    """One of the words of a Literal."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.takes = f"one of {', '.join(words)}"

    def checked(self, value: Any) -> Any:
        """One of the words."""
        if value not in self.words:
            raise ValueError(value)
        return value

    def read(self, text: str) -> Any:
        """The word itself."""
        return text


@dataclass(frozen=True)
class Number:
    """A number within bounds, whole or not; of the `known` ones only, if there are some; None if `or_none`."""

    least: float = 0
    most: float = 1e9
    whole: bool = False
    or_none: bool = False
    known: tuple[int, ...] = ()

    @property
    def takes(self) -> str:
        """The bounds in words."""
        bounds = f"a {'whole ' if self.whole else ''}number from {self.least:.0f} to {self.most:.0f}"
        said = f"one of {', '.join(map(str, self.known))}" if self.known else bounds
        return f"None or {said}" if self.or_none else said

    @property
    def words(self) -> tuple[str, ...]:
        """None and those that are known."""
        return ("none", *map(str, self.known)) if self.known else ()

    def checked(self, value: Any) -> Any:
        """A number and not a flag, within the bounds."""
        if value is None and self.or_none:
            return None
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            raise ValueError(value)
        if not self.least <= value <= self.most or (self.known and value not in self.known):
            raise ValueError(value)
        return value if self.whole else float(value)

    def read(self, text: str) -> Any:
        """The number written; "none" is None."""
        if text.lower() in NOTHING:
            return None
        return int(text) if self.whole else float(text)


class Events:
    """A set of "answered" and "terminal"."""

    takes = f"a set of {' and '.join(EVENTS)}, or an empty one"
    words = ("none", *EVENTS, ",".join(EVENTS))

    def checked(self, value: Any) -> frozenset[str]:
        """A set of known events."""
        if not isinstance(value, frozenset | set) or not value <= set(EVENTS):
            raise ValueError(value)
        return frozenset(value)

    def read(self, text: str) -> Any:
        """The events with commas between them; "none" is none of them."""
        return frozenset(() if text.lower() in NOTHING else (word.strip() for word in text.split(",")))


class Address:
    """An http or https URL, or None."""

    takes = "None or an http or https URL"
    words = ()

    def checked(self, value: Any) -> Any:
        """A URL with a host."""
        if value is None:
            return None
        parts = urlsplit(value) if isinstance(value, str) else None
        if not parts or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(value)
        return value

    def read(self, text: str) -> Any:
        """The URL; "none" is None."""
        return None if text.lower() in NOTHING else text


@dataclass(frozen=True)
class Switch:
    """A switch: its name, the kind of its values, its value at first."""

    name: str
    kind: Kind
    default: Any

    def checked(self, value: Any) -> Any:
        """The value as it is kept; a ValueError that says what to write."""
        try:
            return self.kind.checked(value)
        except ValueError as error:
            raise ValueError(f"{self.name}={value!r}: write {self.kind.takes}") from error

    def read(self, text: str) -> Any:
        """The value that a text means; a ValueError that says what to write."""
        try:
            return self.kind.checked(self.kind.read(text.strip()))
        except ValueError as error:
            raise ValueError(f"{self.name}={text!r}: write {self.kind.takes}") from error


def text_of(value: Any) -> str:
    """A switch's value as a text that its `read` understands."""
    if isinstance(value, frozenset):
        return ",".join(sorted(value)) or "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    return "none" if value is None else str(value)


@functools.cache
def switches_of(options: type[Any]) -> dict[str, Switch]:
    """The switches of a dataclass by name, in their order, as their annotations describe them."""
    hints = get_type_hints(options, include_extras=True)
    return {one.name: Switch(one.name, _kind(hints[one.name]), one.default) for one in fields(options)}


def _kind(hint: Any) -> Kind:
    if hint is bool:
        return Flag()
    told = getattr(hint, "__metadata__", None)
    kind: Kind = told[0] if told else Choice(get_args(hint))
    return kind


@functools.cache
def texts_of(options: type[Any]) -> dict[str, str]:
    """What each switch does, as the text below its attribute says."""
    body = ast.parse(textwrap.dedent(inspect.getsource(options))).body[0].body  # type: ignore[attr-defined]
    found = {}
    for attribute, below in itertools.pairwise(body):
        if isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name):
            found[attribute.target.id] = " ".join(below.value.value.split())
    return found
