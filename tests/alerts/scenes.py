"""Signals by hand, a composer that writes one plain line, and a turn of the machine, for the tests of alerts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ops_platform.alerts.announcement import Announcement, Composed
from ops_platform.alerts.cycle import handle
from ops_platform.alerts.grouping import Relations
from ops_platform.alerts.outcome import Outcome
from ops_platform.alerts.signal import Severity, Signal, Subject, SubjectKind
from ops_platform.fleet import Fleet, load_fleet
from ops_platform.fleet.alert_policy import AlertPolicy
from ops_platform.settings import PROJECT_ROOT, Settings
from ops_platform.watch.judgement import Finding

MONDAY = date(2026, 11, 2)
MORNING = datetime(2026, 11, 3, 11, 0, tzinfo=UTC)  # 06:00 in New York on the Tuesday after
DAY = timedelta(days=1)
CHANNELS = {"executive": "C0EXEC", "team": "C0TEAM", "alerts": "C0ALERT"}
_FLEET = load_fleet(PROJECT_ROOT / "fleet.yaml", Settings())


def fleet(**changes: Any) -> Fleet:
    """The company of fleet.yaml, its alert policy changed; group interval and storms off unless asked for."""
    quiet = {"group_interval_minutes": 0, "storm": {"after": 10_000}, **changes}
    policy = AlertPolicy.model_validate({**AlertPolicy().model_dump(), **quiet})
    return _FLEET.model_copy(update={"alerts": policy})


def signal(
    name: str = "net_sales",
    found: str = "breached",
    day: int = 0,
    *,
    kind: str = "metric",
    at: datetime | None = None,
    dimension: str = "all",
    value: str = "all",
    closeness: str | None = None,
    money: str | None = "-4000",
    severity: str = "alert",
    depends_on: tuple[str, ...] = (),
    owner: str | None = "sales",
    adverse: bool = True,
) -> Signal:
    """A look at day `day` after Monday 2 November, at six the next morning."""
    default = {"breached": "2", "clear": "0.3", "unknown": None}[found]
    near = closeness if closeness is not None else default
    return Signal(
        subject=Subject(SubjectKind(kind), name, dimension, value),
        found=Finding(found),
        period=MONDAY + day * DAY,
        observed_at=at or MORNING + day * DAY,
        label=name.replace("_", " ") + ("" if value == "all" else f" {value}"),
        severity=Severity(severity),
        unit="money",
        value=None if found == "unknown" else Decimal(6000),
        expected=None if found == "unknown" else Decimal(10000),
        effect=None if found == "unknown" or money is None else Decimal(money),
        effect_money=None if found == "unknown" or money is None else Decimal(money),
        closeness=None if near is None else Decimal(near),
        adverse=adverse,
        depends_on=depends_on,
        division="sales",
        owner=owner,
        explanation="by hand",
    )


def line(announcement: Announcement) -> str:
    """What an announcement says, in one line: kind, incidents, subjects."""
    incidents = ",".join(f"#{incident.id}:{incident.state}" for incident in announcement.incidents)
    return f"{announcement.kind} {incidents} {'|'.join(one.subject.key for one in announcement.signals)}"


def compose(connection: Any, announcement: Announcement) -> Composed:
    return Composed({"text": line(announcement)})


def turn(
    connect: Any,
    *signals: Signal,
    at: datetime | int = 0,
    company: Fleet | None = None,
    relations: Relations | None = None,
) -> Outcome:
    """One committed turn. `at`: the moment, or how many days after the first morning."""
    now = at if isinstance(at, datetime) else MORNING + at * DAY
    with connect() as connection:
        return handle(
            connection, signals, now, fleet=company or fleet(), compose=compose, channels=CHANNELS.__getitem__,
            relations=relations,
        )  # fmt: skip


def kinds(outcome: Outcome) -> list[str]:
    return [told.announcement.kind.value for told in outcome.told]


def outbox(connect: Any) -> list[dict[str, Any]]:
    """Every message, in the order it was put in."""
    from psycopg.rows import dict_row

    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("select * from ops.outbox order by created_at, dedupe_key")
        return list(cursor.fetchall())


def said(connect: Any) -> list[str]:
    """The kinds of every message, in order."""
    return [row["kind"].removeprefix("alert_") for row in outbox(connect)]


def states(connect: Any) -> dict[int, str]:
    with connect() as connection:
        return dict(connection.execute("select id, state from ops.alerts order by id").fetchall())
