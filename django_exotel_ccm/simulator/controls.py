"""The page's form: a control for every switch, with the text that says what it does."""

from __future__ import annotations

import re
from html import escape

from django_exotel_ccm.simulator.options import HEADINGS, Options
from django_exotel_ccm.simulator.switches import Flag, Number, Switch, switches_of, text_of, texts_of

CODE = re.compile(r"`([^`]+)`")
OWN_CONTROL = "by_hand"  # stands at the top of the page


def switch_groups() -> str:
    """The switches as HTML, each group to be opened; the script fills in their values."""
    groups: dict[str, list[str]] = {}
    heading = ""
    for name, switch in switches_of(Options).items():
        heading = HEADINGS.get(name, heading)
        if name != OWN_CONTROL:
            groups.setdefault(heading, []).append(_row(switch, texts_of(Options)[name]))
    badge = '<span class="badge wait" hidden></span>'
    return "".join(
        f"<details><summary>{escape(heading)} {badge}</summary>{''.join(rows)}</details>"
        for heading, rows in groups.items()
    )


def _row(switch: Switch, text: str) -> str:
    name = escape(switch.name)
    first = escape(text_of(switch.default))
    about = f'id="switch-{name}" name="{name}" data-first="{first}" aria-describedby="text-{name}"'
    marked = CODE.sub(r"<code>\1</code>", escape(text))
    return (
        f'<div class="row"><label for="switch-{name}"><code>{name}</code></label>{_control(switch, about)}'
        f'<p id="text-{name}">{marked}</p></div>'
    )


def _control(switch: Switch, about: str) -> str:
    kind = switch.kind
    if isinstance(kind, Flag):
        return f'<input type="checkbox" {about}>'
    if kind.words:
        words = "".join(f"<option>{escape(word)}</option>" for word in kind.words)
        return f"<select {about}>{words}</select>"
    if isinstance(kind, Number) and not kind.or_none:
        step = "1" if kind.whole else "any"
        return f'<input type="number" min="{kind.least:.0f}" max="{kind.most:.0f}" step="{step}" required {about}>'
    return f'<input type="text" autocomplete="off" spellcheck="false" {about}>'
