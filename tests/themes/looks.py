"""What is wrong with our elements on a page, whatever the theme: found by a browser, and kept as a picture."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings

from tests.browser.conftest import keep_picture

OURS = ".exotel-call, .exotel-tool > *, .exotel-choose :is(a, button, select, input:not([type=hidden]))"
#: Returns our buttons, links and fields that nobody sees, that are cut, have no edge, or lie below something else.
UNUSABLE = """ours => ours.flatMap((one) => {
  one.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
  const [box] = one.getClientRects();
  const at = box && document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const is = {
    hidden: !box,
    cut: one.matches("a, button") && (one.scrollWidth > box?.width + 1 || one.scrollHeight > box?.height + 1),
    edgeless: one.matches("select, [type=tel]") && getComputedStyle(one).borderTopStyle === "none",
    covered: box && !(one.contains(at) || at?.matches("label") && at.contains(one)),
  };
  return Object.keys(is).filter((name) => is[name]).map((name) => `${name}: ${one.outerHTML}`);
})"""
#: Returns our sections that reach beyond the page's width.
TOO_WIDE = """ours => ours
  .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((one) => `too wide: ${one.outerHTML}`)"""
SECTIONS = ".exotel-panel, .exotel-choose, .exotel-calls, .exotel-readonly"
#: Says so when our section moves the ticket's Save to the side.
SAVE_MOVED = """() => {
  const [save, calls] = ["[name=_save]", ".exotel-calls"].map((one) => document.querySelector(one));
  if (!save || !calls) return [];
  const shown = save.getBoundingClientRect().x;
  calls.style.display = "none";
  const hidden = save.getBoundingClientRect().x;
  calls.style.display = "";
  return Math.abs(shown - hidden) > 20 ? [`Save moved from ${hidden} to ${shown}`] : [];
}"""
#: Says so when a host's button lies on our panel.
PANEL_COVERED = """() => {
  const panel = document.querySelector(".exotel-panel")?.getBoundingClientRect();
  return [...document.querySelectorAll(".object-tools :is(a, button)")].filter((one) => {
    const box = one.getBoundingClientRect();
    return panel && box.width && box.left < panel.right && box.right > panel.left && box.top < panel.bottom
      && box.bottom > panel.top;
  }).map((one) => `lies on the panel: ${one.outerHTML}`);
}"""
READ = (
    ".exotel-panel",
    ".exotel-choose",
    ".exotel-calls",
    ".exotel-tool",
    "#result_list .exotel-call",
    ".exotel-readonly",
)
RULES = ["color-contrast", "label", "select-name", "button-name", "link-name"]
CONTRAST = 2.4
"""Below this nobody can read it. The themes' own headings and links have 2.5 and more, and ours look like theirs."""


def look_at(page: Any, name: str) -> list[str]:
    """Keep a picture, and return what is wrong with our elements on the page."""
    menu = page.locator(settings.THEME.tools_menu or "#none")
    if page.locator(".exotel-tool").count() and menu.is_visible():
        menu.click()
    keep_picture(page, f"theme_{settings.THEME_NAME}_{name}")
    problems: list[str] = page.eval_on_selector_all(SECTIONS, TOO_WIDE) + page.evaluate(SAVE_MOVED)
    problems += page.evaluate(PANEL_COVERED)
    problems += page.eval_on_selector_all(OURS, UNUSABLE)
    read = [[one] for one in READ if page.locator(one).count()]
    if read:
        found = Axe().run(page, context={"include": read}, options={"runOnly": RULES}).response["violations"]
        problems += [
            f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"] if not is_readable(rule, node)
        ]
    return [f"{name}: {problem[:250]}" for problem in problems]


def is_readable(rule: dict[str, Any], node: dict[str, Any]) -> bool:
    """Return whether a finding of axe is a contrast that themes have, too."""
    return rule["id"] == "color-contrast" and node["any"][0]["data"]["contrastRatio"] >= CONTRAST
