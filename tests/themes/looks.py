"""What is wrong with our elements on a page, whatever the theme: found by a browser, and kept as a picture."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings

from tests.browser.conftest import keep_picture

OURS = (
    ".exotel-call, .exotel-tool > *, .exotel-choose :is(a, button, select, input:not([type=hidden])),"
    ".exotel-note-box:not([hidden]) :is(.exotel-pill, .exotel-pill span, textarea, button),"
    ".exotel-phone :is(a, button), .exotel-panel:not([data-exotel-empty]) a,"
    ".exotel-note-open:not([hidden]), .exotel-older:not([hidden]) > summary,"
    ".exotel-desk :is(.exotel-tools > form button, .exotel-own-list > summary),"
    ".exotel-report :is(a, button, select, input:not([type=hidden]), summary), .exotel-live a"
)
#: Returns our buttons, links and fields that nobody sees, that are cut, have no edge, or lie below something else.
UNUSABLE = """ours => ours.flatMap((one) => {
  one.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
  const [box] = one.getClientRects();
  const at = box && document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const is = {
    hidden: !box,
    cut: one.matches("a, button") && (one.scrollWidth > box?.width + 1 || one.scrollHeight > box?.height + 1),
    edgeless: one.matches("select, [type=tel], .exotel-pill span") && getComputedStyle(one).borderTopStyle === "none",
    covered: box && !(one.contains(at) || at?.closest("label")?.contains(one)),
  };
  return Object.keys(is).filter((name) => is[name]).map((name) => `${name}: ${one.outerHTML}`);
})"""
#: Returns our sections that are not seen, and what of them lies outside the page; a wide table scrolls in its own box.
OUTSIDE = """ours => ours.flatMap((section) => {
  const scrolls = [".exotel-scroll *", ".exotel-lines *", ".exotel-clocks *"].join();
  const all = [section, ...section.querySelectorAll("*")].filter((one) => !one.matches(scrolls));
  const lost = section.matches(".exotel-clocks") && section.clientWidth < 200 ? [`not seen: ${section.outerHTML}`] : [];
  return lost.concat(all.filter((one) => {
    const {left, right, width} = one.getBoundingClientRect();
    return one.checkVisibility() && width && (right > document.documentElement.clientWidth + 1 || left < -1);
  }).map((one) => `outside the page: ${one.outerHTML}`));
})"""
#: Says so when the page has to be moved sideways because of our sections.
SIDEWAYS = """ours => {
  const page = document.documentElement;
  const [seen, all] = [page.clientWidth, page.scrollWidth];
  if (all <= seen) return [];
  ours.forEach((one) => one.style.setProperty("display", "none", "important"));
  const theirs = page.scrollWidth;
  ours.forEach((one) => one.style.removeProperty("display"));
  return theirs < all ? [`the page is ${all} wide, without us ${theirs}, seen are ${seen}`] : [];
}"""
#: Returns our texts that are cut or whose lines overlap, and figures that are broken over lines.
SQUEEZED = """ours => ours.flatMap((section) => [...section.querySelectorAll("*")].filter((one) => {
  const text = [...one.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const {lineHeight, fontSize, textOverflow} = getComputedStyle(one);
  if (!text || !one.getClientRects().length || one.closest("svg")) return false;
  const range = document.createRange();
  range.selectNodeContents(one);
  const lines = new Set([...range.getClientRects()].map((line) => Math.round(line.top))).size;
  const isCut = textOverflow === "ellipsis" && one.scrollWidth > one.clientWidth;
  return isCut || parseFloat(lineHeight) < parseFloat(fontSize) || (lines > 1 && one.matches(".exotel-value"));
}).map((one) => `squeezed: ${one.outerHTML}`))"""
SECTIONS = (
    ".exotel-panel, .exotel-phone, .exotel-choose, .exotel-calls, .exotel-readonly, .exotel-note-box, .exotel-desk,"
    ".exotel-clocks"
)
#: Waits until the page has been painted anew, and nothing moves or changes its colour by and by; not for ever, because
#: on a busy machine a browser may stop painting until it is asked for a picture.
STILL = """async () => {
  const still = async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const ending = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(ending.map((one) => one.finished));
  };
  await Promise.race([still(), new Promise((done) => setTimeout(done, 5000))]);
}"""
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
#: Says so when the panel is not seen, or lies below something, without scrolling.
PANEL_OUT_OF_SIGHT = """() => {
  const panel = document.querySelector(".exotel-panel:not([data-exotel-empty])");
  const box = panel.getBoundingClientRect();
  const seen = [[box.left + 20, box.top + 8], [box.left + 20, box.bottom - 8]].every(
    ([x, y]) => panel.contains(document.elementFromPoint(x, y)));
  return seen ? [] : [`the panel is out of sight: ${box.top} to ${box.bottom} of ${innerHeight}`];
}"""
RECORD_SHIFTS = """() => {
  window.exotelShifts = [];
  window.exotelObserver?.disconnect();
  window.exotelObserver = new PerformanceObserver((list) => window.exotelShifts.push(...list.getEntries()));
  window.exotelObserver.observe({type: "layout-shift"});
}"""
#: Returns what has moved by itself since RECORD_SHIFTS, except for texts inside the panel. The history has one call
#: more by then, so that what follows it may move.
SHIFTS = """() => {
  const [panel, calls] = [".exotel-panel", ".exotel-calls"].map((one) => document.querySelector(one));
  const isAbove = (node) => !(calls?.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING);
  return window.exotelShifts.filter((one) => !one.hadRecentInput && one.value > 0.001).flatMap(
    (one) => one.sources.map(({node}) => node).filter((node) => node && !panel.contains(node) && isAbove(node))
      .map((node) => `moved by ${one.value.toFixed(4)}: ${node.outerHTML ?? node.textContent}`)
  );
}"""
READ = (
    ".exotel-panel",
    ".exotel-phone",
    ".exotel-note-place",
    ".exotel-note-box",
    ".exotel-desk",
    ".exotel-changed",
    ".exotel-choose",
    ".exotel-calls",
    ".exotel-tool",
    "#result_list .exotel-call",
    ".exotel-readonly",
    ".exotel-clocks",
)
ALIKE = ".exotel-report :is(section:nth-of-type(n + 7), tbody tr:nth-child(n + 3))"
"""Tables and rows that look like those above them. axe needs seconds for all."""
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""What axe may find on the dark side alone."""
THEIRS = ".exotel-tool *, .exotel-back *, .exotel-readonly :is(h2, a)"
"""Ours in the theme's colours, so that they look like its own beside them."""
CONTRAST = 2.4
"""Below this nobody can read it. The themes' own headings, tools and links have 2.5 and more."""


def look_at(page: Any, name: str) -> list[str]:
    """Keep a picture, and return what is wrong with our elements on the page."""
    keep_picture(page, f"theme_{settings.THEME_NAME}_{name}")
    open_tools(page)
    problems: list[str] = page.evaluate(SAVE_MOVED) + page.evaluate(PANEL_COVERED)
    for script in (SIDEWAYS, OUTSIDE, SQUEEZED):
        problems += page.eval_on_selector_all(SECTIONS, script)
    problems += page.eval_on_selector_all(OURS, UNUSABLE)
    problems += unreadable(page)
    if name.startswith("wide_"):
        darken(page, "dark")
        keep_picture(page, f"theme_{settings.THEME_NAME}_{name.replace('wide', 'dark')}")
        problems += [f"dark: {one}" for one in unreadable(page, runOnly=OF_COLOURS)]
        darken(page, "light")
    return [f"{name}: {problem[:250]}" for problem in problems]


def darken(page: Any, scheme: str) -> None:
    """Show the page's "dark" or "light" side, as it is after a reload."""
    page.emulate_media(color_scheme=scheme)
    page.evaluate(STILL)  # the theme's own script hears of it
    page.evaluate(settings.THEME.set_scheme, scheme)
    page.evaluate(STILL)


def unreadable(page: Any, **options: Any) -> list[str]:
    """Return what axe, with these options, minds in our elements."""
    read = [[one] for one in READ if page.locator(one).count()]
    context = {"include": read, "exclude": [[ALIKE]]}
    found = Axe().run(page, context=context, options=options).response["violations"] if read else []
    return [
        f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"] if not is_theirs(page, rule, node)
    ]


def open_tools(page: Any) -> None:
    """Open the menu into which the theme has folded the object tools, if it has."""
    menu = page.locator(settings.THEME.tools_menu or "#none")
    if page.locator(".exotel-tool").count() and not page.locator(".exotel-tool >> visible=true").count():
        menu.click()


def is_theirs(page: Any, rule: dict[str, Any], node: dict[str, Any]) -> bool:
    """Return whether a finding of axe is a contrast that the theme's own elements have, too, or a theme's own list."""
    if rule["id"] == "listitem" and 'class="exotel-tool"' in node["html"]:
        return True  # an item of Django's list of tools, for which the theme has made no list
    if rule["id"] != "color-contrast" or node["any"][0]["data"]["contrastRatio"] < CONTRAST:
        return False
    return bool(page.locator(node["target"][0]).evaluate("(one, theirs) => one.matches(theirs)", THEIRS))
