"""The fleet's health as a subject of the alert machine: told below the policy's limit twice running, and when over.

Belongs here: the newest score as a signal. Does not belong here: the score (`ops_platform.fleet.health`), how often it
must be seen (`alerts.exceptions` of `fleet.yaml`: `threshold:fleet_health`).

A look is a score, not a turn of the machine: turns that see the same score again change nothing.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.signal import Driver, Severity, Signal, Subject, SubjectKind
from ops_platform.clock import business_day
from ops_platform.fleet.health_history import newest
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.fleet.health import Part, Score

NAME = "fleet_health"
#: An older score says nothing about now.
LATEST = timedelta(minutes=90)
#: Below it, it is critical.
CRITICAL_BELOW = Decimal(50)
DRIVERS = 3


def health_signals(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> list[Signal]:
    """One signal for the newest score; none where no score was ever computed."""
    found = newest(connection, now)
    return [_signal(found[0], fleet, now)] if found else []


def _signal(score: Score, fleet: Fleet, now: datetime) -> Signal:
    limit, zone = fleet.health.message_below, fleet.company.timezone
    old = now - score.at > LATEST
    known = score.score is not None and not old
    if old:
        finding, why = Finding.UNKNOWN, "no score was computed lately: the job fleet health does not run"
    elif score.score is None:
        finding, why = Finding.UNKNOWN, "nothing of it was ever known"
    else:
        finding = Finding.BREACHED if score.score < limit else Finding.CLEAR
        why = explained(score)
    return Signal(
        subject=Subject(SubjectKind.THRESHOLD, NAME),
        found=finding,
        period=business_day(score.at, zone),
        # Of the score, not of this turn: the same score seen twice is one look.
        observed_at=now if old else score.at,
        label="Fleet health",
        severity=Severity.CRITICAL if known and score.score is not None and score.score < CRITICAL_BELOW else
        Severity.ALERT,
        unit="score",
        value=score.score if known else None,
        expected_low=limit,
        closeness=_closeness(score.score, limit) if known else None,
        drivers=tuple(
            Driver(part.label, part.contribution - part.weight, None) for part in score.lost()[:DRIVERS]
        ) if known else (),
        owner="coordinator",
        explanation=why,
    )  # fmt: skip


def _closeness(score: Decimal | None, limit: Decimal) -> Decimal | None:
    """1 at the limit, 0 at full health, above 1 beyond it."""
    return None if score is None else (100 - score) / (100 - limit)


def explained(score: Score) -> str:
    """What the score loses most by, in words; what is unknown is named."""
    lost = score.lost()[:DRIVERS]
    words = ". ".join(_lost(part) for part in lost) or "every factor is at its best"
    unknown = [part.label.lower() for part in score.parts if not part.known]
    return f"{words}. Unknown: {', '.join(unknown)}" if unknown else words


def _lost(part: Part) -> str:
    return f"{part.label}: {part.detail}" if part.detail else part.label
