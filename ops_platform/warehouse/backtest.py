"""A score held against what is known to have happened.

Belongs here: whether a score fell when it should have, how soon, how far, and how often it fell for nothing; reading
the score's history and the recorded incidents; the answer to `ops metric backtest`. Does not belong here: what a score
is (dbt).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection

DETECTION_DAYS = 3
MINIMUM_FALL = Decimal(2)
_DAYS_A_YEAR = Decimal("365.25")


@dataclass(frozen=True, slots=True)
class RecordedIncident:
    """Something that happened from `started` to `ended`, both included, and should have moved `moves` down."""

    kind: str
    started: date
    ended: date
    moves: str

    def __post_init__(self) -> None:
        if self.ended < self.started:
            raise ValueError(f"{self.kind}: it ends on {self.ended}, before it starts on {self.started}")


@dataclass(frozen=True, slots=True)
class Detection:
    """What the score did about one incident.

    `fall` is in points, from the day before the incident to the lowest of its first days; None where the score is
    not known before it or never in those days. `detected_on` is the first day on which the fall reached the minimum."""

    incident: RecordedIncident
    fall: Decimal | None
    detected_on: date | None

    @property
    def is_judged(self) -> bool:
        """Whether the score's history covers the incident."""
        return self.fall is not None

    @property
    def days_to_detect(self) -> int | None:
        return None if self.detected_on is None else (self.detected_on - self.incident.started).days


@dataclass(frozen=True, slots=True)
class Backtest:
    """`false_falls` are the days on which the score fell by the minimum within the window, no incident being near; days
    that follow each other in such a fall are one. `false_falls_per_year` is None where no quiet day was watched."""

    detections: tuple[Detection, ...]
    false_falls: tuple[date, ...]
    quiet_days: int

    @property
    def judged(self) -> int:
        return sum(each.is_judged for each in self.detections)

    @property
    def detected(self) -> int:
        return sum(each.detected_on is not None for each in self.detections)

    @property
    def detection_rate(self) -> Decimal | None:
        """Share of the judged incidents that were detected; None where none was judged."""
        return Decimal(self.detected) / self.judged if self.judged else None

    @property
    def false_falls_per_year(self) -> Decimal | None:
        return len(self.false_falls) * _DAYS_A_YEAR / self.quiet_days if self.quiet_days else None


def backtest(
    history: Mapping[date, Decimal | None],
    incidents: Iterable[RecordedIncident],
    *,
    days: int = DETECTION_DAYS,
    minimum_fall: Decimal = MINIMUM_FALL,
) -> Backtest:
    """Hold a score's history (day → score, None for unknown) against incidents.

    An incident is detected when the score is `minimum_fall` points or more below what it was on the day before, on any
    day from the incident's first to `days` after it. A false fall is as large, within as many days, and begins and ends
    on days that belong to no incident nor to the `days` after one. Raises ValueError for a window or a fall that is not
    positive."""
    if days < 1 or minimum_fall <= 0:
        raise ValueError("a backtest needs at least one day and a fall above zero")
    known = {day: value for day, value in history.items() if value is not None}
    listed = sorted(incidents, key=lambda each: (each.started, each.kind))
    detections = tuple(_detection(known, each, days, minimum_fall) for each in listed)
    near = _days_near(listed, days)
    quiet = [day for day in sorted(known) if day not in near]
    falling = [day for day in quiet if _fell(known, near, day, days, minimum_fall)]
    begun = tuple(day for day in falling if day - timedelta(days=1) not in set(falling))
    return Backtest(detections, begun, len(quiet))


def _detection(known: Mapping[date, Decimal], incident: RecordedIncident, days: int, minimum: Decimal) -> Detection:
    before = known.get(incident.started - timedelta(days=1))
    watched = [incident.started + timedelta(days=number) for number in range(days + 1)]
    seen = [(day, before - known[day]) for day in watched if day in known] if before is not None else []
    if not seen:
        return Detection(incident, None, None)
    detected_on = next((day for day, fall in seen if fall >= minimum), None)
    return Detection(incident, max(fall for _, fall in seen), detected_on)


def _days_near(incidents: Sequence[RecordedIncident], days: int) -> set[date]:
    return {
        each.started + timedelta(days=number)
        for each in incidents
        for number in range((each.ended - each.started).days + days + 1)
    }


def _fell(known: Mapping[date, Decimal], near: set[date], day: date, days: int, minimum: Decimal) -> bool:
    """Whether the score of the day is far enough below that of one of the days before it, quiet ones all the way."""
    for number in range(1, days + 1):
        earlier = day - timedelta(days=number)
        if earlier in near:
            return False
        if earlier in known and known[earlier] - known[day] >= minimum:
            return True
    return False


def read_history(connection: Connection[tuple[object, ...]], metric_id: str) -> dict[date, Decimal | None]:
    """The published values of a metric, day by day."""
    rows = connection.execute(
        "select date, value from metrics.fct_metric_daily where metric_id = %s and dimension = 'all' order by date",
        (metric_id,),
    ).fetchall()
    return dict(rows)  # type: ignore[arg-type]


def read_incidents(connection: Connection[tuple[object, ...]], metric_id: str) -> list[RecordedIncident]:
    """The recorded incidents (seed `recorded_incidents`) that should have moved a metric."""
    rows = connection.execute(
        "select kind, started, ended, moves from reference.recorded_incidents where moves = %s order by started",
        (metric_id,),
    ).fetchall()
    return [RecordedIncident(*row) for row in rows]  # type: ignore[arg-type]


def backtest_command(name: str, *, as_json: bool) -> int:
    """`ops metric backtest NAME`: exit code 0, whatever was found. Raises ConfigurationError where there is nothing to
    hold against each other."""
    import json

    import click

    from ops_platform.database import connect
    from ops_platform.failures import ConfigurationError

    with connect(autocommit=True, application="ops metric backtest") as connection:
        history, incidents = read_history(connection, name), read_incidents(connection, name)
    if not history:
        raise ConfigurationError(f"{name} has no published history: is it a metric, and was `ops dbt build` run?")
    if not incidents:
        raise ConfigurationError(f"no recorded incident moves {name}: add some to seeds/score/recorded_incidents.csv")
    found = backtest(history, incidents)
    rate, false = found.detection_rate, found.false_falls_per_year
    if as_json:
        answer = {
            "metric": name,
            "judged": found.judged,
            "detected": found.detected,
            "detection_rate": None if rate is None else f"{rate:.4f}",
            "false_falls_per_year": None if false is None else f"{false:.2f}",
            "false_falls": [day.isoformat() for day in found.false_falls],
            "incidents": [
                {
                    "kind": each.incident.kind,
                    "started": each.incident.started.isoformat(),
                    "ended": each.incident.ended.isoformat(),
                    "detected_on": each.detected_on.isoformat() if each.detected_on else None,
                    "fall": None if each.fall is None else f"{each.fall:.4f}",
                }
                for each in found.detections
            ],
        }
        click.echo(json.dumps(answer, indent=2))
        return 0
    for each in found.detections:
        if each.fall is None:
            said = "not judged: the score is not known then"
        elif each.detected_on is None:
            said = f"missed (fell by {each.fall:.1f})"
        else:
            said = f"detected after {each.days_to_detect} days (fell by {each.fall:.1f})"
        click.echo(f"{each.incident.started}  {each.incident.kind:<16} {said}")
    click.echo(f"{found.detected} of {found.judged} incidents detected within {DETECTION_DAYS} days")
    if false is not None:
        click.echo(f"{false:.1f} falls a year without an incident")
    return 0
