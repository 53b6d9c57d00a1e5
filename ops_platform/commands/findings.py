"""Findings: the lines of a report on the platform itself.

Belongs here: one finding, and showing many. Does not belong here: finding them (`status.py`, `status_fleet.py`,
`doctor.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from ops_platform.commands.safe_text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report. `state` is ok, warning, failed, paused or not connected; `advice` says what to do.
    `streams` cannot be read and `metrics` are unknown while it is not well; `seconds` is how long the check took."""

    subject: str
    check: str
    state: str
    detail: str
    advice: str = ""
    streams: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    seconds: float | None = None


_MARKS = {
    "ok": ("✓", "green"), "warning": ("⚠", "yellow"), "failed": ("✗", "red"), "paused": ("‖", "red"),
    "not connected": ("·", "white"),
}  # fmt: skip
METRICS_SHOWN = 6


def show(findings: list[Finding], *, as_json: bool, beside: Mapping[str, Any] | None = None) -> int:
    """Print findings; the exit code is 1 when something failed. A script is given what is `beside` them, too."""
    failed = any(finding.state in ("failed", "paused") for finding in findings)
    if as_json:
        click.echo(
            json.dumps(
                {"ok": not failed, "findings": [asdict(finding) for finding in findings], **(beside or {})}, indent=2
            )
        )
        return int(failed)
    width = max((len(f"{finding.subject} {finding.check}") for finding in findings), default=0)
    for finding in findings:
        mark, color = _MARKS[finding.state]
        name = f"{finding.subject} {finding.check}".ljust(width)
        click.echo(f"{click.style(mark, fg=color)} {name}  {printable(finding.detail)}")
        if finding.advice:
            click.echo(f"  {' ' * width}  → {printable(finding.advice)}")
        if finding.metrics:
            more = len(finding.metrics) - METRICS_SHOWN
            names = ", ".join(finding.metrics[:METRICS_SHOWN]) + (f" and {more} more" if more > 0 else "")
            click.echo(f"  {' ' * width}  lost without it: {names}")
        elif finding.streams and finding.state not in ("ok", "not connected"):
            click.echo(f"  {' ' * width}  not read without it: {', '.join(finding.streams)}")
    return int(failed)
