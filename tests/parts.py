"""The result of each part of the suite, and the last lines of the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

REASON_LENGTH = 500  # characters of a failed test's message in the last lines


@dataclass
class Part:
    """The result of one part of the suite."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)

    def skip(self, reason: str) -> None:
        """Count a test, or the whole part, as skipped."""
        self.skipped += 1
        self.remarks.append(f"SKIPPED {self.name}: {reason}")

    def fail(self, reason: str) -> None:
        """Count a failure of a test, or one that no test stands for."""
        self.failed += 1
        self.remarks.append(f"FAILED {self.name}: {reason}")

    def read(self, report: Path) -> None:
        """Count the tests of pytest's report; each that did not pass is named with its reason."""
        for case in ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}.{case.get('name')}"
            if (wrong := next(case.iterfind("failure"), next(case.iterfind("error"), None))) is not None:
                self.fail(f"{name}: {_short(wrong.get('message'))}")
            elif (skipped := case.find("skipped")) is not None:
                self.skip(f"{name}: {skipped.get('message')}")
            else:
                self.passed += 1


def _short(message: str | None) -> str:
    text = " ".join((message or "no reason").split())
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]}…"


def summary(parts: Sequence[Part], *, skip_is_failure: bool) -> tuple[str, int]:
    """Return the last lines of a run, and its exit status."""
    passed, failed, skipped = (sum(getattr(part, name) for part in parts) for name in ("passed", "failed", "skipped"))
    lines = ["", f"{'part':<10}{'passed':>8}{'failed':>8}{'skipped':>8}{'seconds':>9}"]
    lines += [f"{one.name:<10}{one.passed:>8}{one.failed:>8}{one.skipped:>8}{one.seconds:>9.1f}" for one in parts]
    lines += [remark for part in parts for remark in part.remarks]
    bad = bool(failed or not passed)
    if skipped and skip_is_failure:
        bad = True
        lines.append("CI=true: a skip is a failure.")
    if not passed:
        lines.append("Nothing has passed: a failure.")
    lines.append(f"{passed} passed, {failed} failed, {skipped} skipped")
    return "\n".join(lines), int(bad)
