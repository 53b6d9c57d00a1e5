"""An announcement as an evidence bundle: every number an alert may show, as a fact with its source.

Belongs here: facts of signals and incidents, and what the warehouse says of the day behind them (tie-out, freshness).
Does not belong here: words and layout (`ops_platform.documents.alert`), when something is said (`owing.py`).

The rows: `incidents` (one, but in a storm), `subjects` (what is out of order, the head first), `drivers` of the head,
`silenced` (what a failed source keeps quiet). Row texts are names, shown as somebody else's words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args
from zoneinfo import ZoneInfo

from ops_platform.alerts.signal import SubjectKind
from ops_platform.evidence.calendar import Calendar
from ops_platform.evidence.metrics import METRIC_TABLE, as_tie_out, finite
from ops_platform.evidence.model import Bundle, Fact, Row, Source, TieOut, Unit
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from decimal import Decimal

    import psycopg

    from ops_platform.alerts.announcement import Announcement, Incident
    from ops_platform.alerts.signal import Signal
    from ops_platform.evidence.model import CompanyProfile

KIND = "alert"
#: More than a message can show; the rest is counted.
SUBJECTS_KEPT = 12
DRIVERS_KEPT = 5
_READING = (
    "select value from metrics.fct_metric_daily where metric_id = %(metric_id)s and date = %(date)s"
    " and dimension = %(dimension)s and dimension_value = %(dimension_value)s"
)
_PROOF = """
select fct.metric_id, fct.date, fct.dimension, fct.dimension_value, fct.fresh_to, fct.tie_out
from metrics.fct_metric_daily as fct
join unnest(%(metrics)s::text[], %(days)s::date[], %(dimensions)s::text[], %(values)s::text[])
    as asked (metric_id, date, dimension, dimension_value)
    using (metric_id, date, dimension, dimension_value)
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the warehouse says of a day's number: up to when its sources are whole, whether they tie out."""

    fresh_to: datetime | None = None
    tie_out: TieOut = "unknown"


@dataclass(slots=True)
class _Facts:
    company: CompanyProfile
    calendar: Calendar
    made: dict[str, Fact] = field(default_factory=dict)

    def number(
        self,
        fact_id: str,
        label: str,
        value: Decimal | None,
        unit: str,
        *,
        day: date | None = None,
        change: bool = False,
        proof: Proof | None = None,
        source: Source | None = None,
    ) -> dict[str, str]:
        """The fact's name for a row, or nothing where there is no number."""
        if finite(value) is None:
            return {}
        known: Unit = unit if unit in get_args(Unit) and unit not in ("text", "date") else "count"  # type: ignore[assignment]
        proof = proof or Proof()
        self.made[fact_id] = Fact(
            id=fact_id,
            label=label,
            unit=known,
            value=value,
            currency=self.company.currency if known == "money" else None,
            period=self.calendar.day_period(day) if day is not None else None,
            fresh_to=proof.fresh_to,
            tie_out=proof.tie_out,
            source=source or Source("ops.alerts"),
            change=change,
        )
        return {fact_id.partition("_")[2]: fact_id}

    def day(self, fact_id: str, label: str, day: date | None) -> dict[str, str]:
        if day is None:
            return {}
        self.made[fact_id] = Fact(id=fact_id, label=label, unit="date", day=day, source=Source("ops.alerts"))
        return {fact_id.partition("_")[2]: fact_id}


def bundle_of(
    connection: psycopg.Connection[Any], announcement: Announcement, company: CompanyProfile, *, link: str = ""
) -> Bundle:
    """The announcement's evidence. `link` is where a reader finds more, ours; empty where there is no such place.

    Reads `metrics.fct_metric_daily` by key, where it exists; changes nothing."""
    zone = ZoneInfo(company.timezone)
    calendar = Calendar(announcement.at, zone)
    facts = _Facts(company, calendar)
    shown = announcement.signals[:SUBJECTS_KEPT]
    proofs = _proofs(connection, shown)
    subjects = tuple(
        _subject(facts, number, signal, proofs.get(signal.subject.key), signal.subject.key in announcement.changed)
        for number, signal in enumerate(shown, start=1)
    )
    head = next(iter(announcement.signals), None)
    looks = {signal.subject.key: signal for signal in announcement.signals}
    incidents = tuple(
        _incident(facts, number, incident, looks.get(incident.head), link if len(announcement.incidents) == 1 else "")
        for number, incident in enumerate(announcement.incidents[:SUBJECTS_KEPT], start=1)
    )
    drivers = _drivers(facts, head)
    count = len(announcement.incidents)
    facts.number("all_incidents", "alerts", _decimal(count), "count")
    facts.number("all_subjects", "subjects", _decimal(len(announcement.signals)), "count")
    facts.number("all_silenced", "held back", _decimal(len(announcement.silenced)), "count")
    notes = [announcement.kind.value]
    if announcement.first:
        notes.append("first")
    if announcement.severity_before is not None:
        notes.append(f"severity_before:{announcement.severity_before.value}")
    actor = {"actor": announcement.actor} if announcement.actor else {}
    remark = {"note": announcement.note} if announcement.note else {}
    day = head.period if head is not None else calendar.today
    return Bundle(
        kind=KIND,
        period=calendar.day_period(day),
        as_of=announcement.at,
        company=company,
        facts=tuple(facts.made.values()),
        lists={
            "incidents": incidents,
            "subjects": subjects,
            "drivers": drivers,
            "silenced": tuple(
                Row({"label": _bounded(each.label)}) for each in announcement.silenced[:SUBJECTS_KEPT]
            ),
            "remark": (Row({**actor, **remark}),) if actor or remark else (),
        },
        notes=tuple(notes),
    )  # fmt: skip


def _subject(facts: _Facts, number: int, signal: Signal, proof: Proof | None, changed: bool) -> Row:
    subject, prefix = signal.subject, f"s{number}"
    of_metric = subject.kind is SubjectKind.METRIC
    params = (
        ("metric_id", subject.name), ("date", signal.period.isoformat()),
        ("dimension", subject.dimension), ("dimension_value", subject.value),
    )  # fmt: skip
    source = Source(METRIC_TABLE, _READING, params) if of_metric else Source("ops.alerts", params=params)
    rest: dict[str, Any] = {"day": signal.period, "proof": proof, "source": source}
    # What a value is off is no number that the value's own query gives.
    effect = {**rest, "source": replace(source, query="")}
    known = {
        **facts.number(f"{prefix}_value", signal.label, signal.value, signal.unit, **rest),
        **facts.number(f"{prefix}_low", "expected at least", signal.expected_low, signal.unit, day=signal.period),
        **facts.number(f"{prefix}_expected", "expected", signal.expected, signal.unit, day=signal.period),
        **facts.number(f"{prefix}_high", "expected at most", signal.expected_high, signal.unit, day=signal.period),
        **facts.number(f"{prefix}_effect", "against expected", signal.effect, signal.unit, change=True, **effect),
        **facts.number(f"{prefix}_money", "in money", signal.effect_money, "money", change=True, **effect),
        **facts.day(f"{prefix}_since", "since", signal.since),
        **facts.day(f"{prefix}_day", "day looked at", signal.period),
    }
    texts = {
        "key": subject.key,
        "kind": subject.kind.value,
        "label": _bounded(signal.label),
        "found": signal.found.value,
        "adverse": "yes" if signal.adverse else "no",
        "changed": "yes" if changed else "no",
    }
    if subject.dimension != "all":
        texts |= {"dimension": subject.dimension.replace("_", " "), "part": _bounded(subject.value)}
    if signal.explanation:
        texts["explanation"] = _bounded(signal.explanation, 400)
    return Row(texts, known, signal.severity.value)


def _incident(facts: _Facts, number: int, incident: Incident, looked: Signal | None, link: str) -> Row:
    prefix = f"i{number}"
    zone = facts.calendar.zone
    # Business days out of order, the first one counted: up to the day last looked at, which was well if it is over.
    until = (incident.resolved_at or facts.calendar.as_of).astimezone(zone).date()
    well = 0
    if looked is not None:
        until, well = looked.period, int(looked.found is Finding.CLEAR)
    lasted = max((until - incident.since) // timedelta(days=1) + 1 - well, 1)
    texts = {
        "id": str(incident.id), "state": incident.state, "label": _bounded(incident.label), "head": incident.head,
    }  # fmt: skip
    for key, value in (
        ("owner", incident.owner), ("division", incident.division), ("acknowledged_by", incident.acknowledged_by),
        ("assignee", incident.assignee), ("link", link),
        ("previous", str(incident.previous) if incident.previous is not None else None),
    ):  # fmt: skip
        if value:
            texts[key] = _bounded(value, 3000 if key == "link" else 120)
    if incident.flapping:
        texts["flapping"] = "yes"
    known = {
        **facts.day(f"{prefix}_since", "since", incident.since),
        **facts.number(f"{prefix}_lasted", "lasted", _decimal(lasted), "days"),
        **facts.day(f"{prefix}_snoozed", "snoozed until", incident.snoozed_until),
    }
    if incident.unknown_since is not None:
        known |= facts.day(f"{prefix}_unknown", "unknown since", incident.unknown_since.astimezone(zone).date())
    return Row(texts, known, incident.severity.value)


def _drivers(facts: _Facts, head: Signal | None) -> tuple[Row, ...]:
    if head is None:
        return ()
    rows = []
    for number, driver in enumerate(head.drivers[:DRIVERS_KEPT], start=1):
        known = {
            **facts.number(f"d{number}_effect", "part", driver.effect, head.unit, day=head.period, change=True),
            **facts.number(f"d{number}_share", "share of the whole", driver.share, "ratio", day=head.period),
        }
        rows.append(Row({"label": _bounded(driver.label)}, known))
    return tuple(rows)


def _proofs(connection: psycopg.Connection[Any], signals: Iterable[Signal]) -> dict[str, Proof]:
    """By subject key; empty before the first build."""
    asked = [signal for signal in signals if signal.subject.kind is SubjectKind.METRIC]
    if not asked:
        return {}
    row = connection.execute("select to_regclass(%s) is not null", (METRIC_TABLE,)).fetchone()
    if row is None or not next(iter(row.values() if isinstance(row, dict) else row)):
        return {}
    parameters = {
        "metrics": [signal.subject.name for signal in asked],
        "days": [signal.period for signal in asked],
        "dimensions": [signal.subject.dimension for signal in asked],
        "values": [signal.subject.value for signal in asked],
    }
    from psycopg.rows import tuple_row

    with connection.cursor(row_factory=tuple_row) as cursor:
        found = {row[:4]: Proof(row[4], as_tie_out(row[5])) for row in cursor.execute(_PROOF.encode(), parameters)}
    keys = {
        signal.subject.key: (signal.subject.name, signal.period, signal.subject.dimension, signal.subject.value)
        for signal in asked
    }
    return {key: found[asked_for] for key, asked_for in keys.items() if asked_for in found}


def _decimal(count: int) -> Decimal:
    from decimal import Decimal

    return Decimal(count)


def _bounded(text: str, longest: int = 120) -> str:
    """What can be stored and read at a glance: one line, no control characters, not longer than useful."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    plain = " ".join(plain.encode("utf-8", "replace").decode("utf-8").split())
    return plain if len(plain) <= longest else plain[: longest - 1].rstrip() + "…"
