"""The planted incidents of the generated company against what the watch and the rules raise, day by day of two years.

    python -m tests.alerts.incident_evaluation SEED HOME      runs a whole morning of that company in HOME (minutes),
                                                              or takes the warehouse that is there; prints a report

Belongs here: replaying every past morning on the published tables and scoring it against the sandbox's ledger. Does not
belong here: where an incident shows (`sandbox/company/visibility.py`, which knows what was planted), judging.

What is replayed: every watched metric (each day judged from earlier days only) and
every rule that reads a metric with a past or a mart with a day. Marts of the present alone (stock, open listings) have
no past to replay: their incidents are looked at as of the clock, and by `test_incidents_of_the_day.py`, which moves it.
A past morning is read as the warehouse has it now: what arrived late counts as there.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.watch.judgement import Judgement
    from ops_platform.watch.series import Panel
    from sandbox.company.model import Incident

DAY = timedelta(days=1)
WARM_UP_DAYS = 60  # of a series, before its incidents and alerts count
APART_DAYS = 7  # breaches further apart are two alerts
_LEVELS_EVERY = 28  # days
_AT_ONCE = 40  # metrics replayed together: bounds the memory
_PRESENT = frozenset({"stock_out", "supply_hold", "listing_suppressed", "account_at_risk", "work_order_untrue"})

Breaches = dict[str, set[date]]


@dataclass
class Report:
    """The score of one company. `recall` is of the incidents that must show; `prompt` the share of those found by the
    day after they first show. Alerts are episodes of a whole metric; `false_alerts` those nothing planted explains,
    a metric and year on average; `parts_false_alerts` the same of single channels, countries and so on."""

    seed: int
    years: float
    planted: int
    must_show: int
    found: int
    prompt: int
    must_be_prompt: int
    metrics: int
    false_alerts: float
    parts: int
    parts_false_alerts: float
    missed: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    not_shown: dict[str, int] = field(default_factory=dict)
    noisiest: list[tuple[str, float]] = field(default_factory=list)
    rule_openings: dict[str, float] = field(default_factory=dict)

    @property
    def recall(self) -> float:
        return self.found / self.must_show if self.must_show else 1.0


def built(seed: int, home: Path) -> Path:
    """The home with a warehouse of the company of `seed`, made by one whole morning where it is not there yet."""
    from ops_platform.commands import demo

    demo.SEED = seed
    scenario = replace(demo.scenario_for(None, home), home=home)
    home.mkdir(parents=True, exist_ok=True)
    if (home / "evaluated").exists():
        os.environ.update(
            OPS_ENV="demo", OPS_HOME=str(home), OPS_NOW=scenario.clock, OPS_DATABASE_URL="", OPS_TIMEZONE="",
            OPS_CURRENCY="",
        )  # fmt: skip
        return home
    with demo.sandbox(scenario) as url:
        demo.point_settings_at(url, scenario)
        from ops_platform.commands.prepare import prepare
        from ops_platform.commands.runs import run_job

        prepare()
        outcome = run_job("ops_pulse")
        if not outcome.succeeded:
            raise SystemExit(f"the morning failed: {outcome.failures}")
    (home / "evaluated").touch()
    return home


def evaluate(connection: psycopg.Connection[Any], fleet: Fleet, seed: int, now: datetime) -> Report:
    """Replay two years and score them."""
    from sandbox.company.generate import generate
    from sandbox.company.planted import planted

    incidents = planted(generate(seed, now))
    metrics, first, last = replayed_metrics(connection, fleet, now)
    # Incidents of the present alone are looked at as of the clock; those before it need a clock that moves.
    rules = replayed_rules(connection, fleet, first + DAY * 30, last)
    today = last + DAY
    for subject, days in present_rules(connection, fleet, now).items():
        rules.setdefault(subject, set()).update(days)
    return score(incidents, metrics, rules, seed, first, last, today)


def replayed_metrics(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> tuple[Breaches, date, date]:
    """Days in breach of every watched series, as every morning would have found it; the first and last day there is.
    Series without a breach are there with no days."""
    from ops_platform.clock import business_day
    from ops_platform.watch.judgement import Finding
    from ops_platform.watch.store import metrics_watched, read_panel

    row = connection.execute("select min(date), max(date) from metrics.fct_metric_daily where metric_id = 'orders'")
    first, last = row.fetchone()  # type: ignore[misc]
    last = min(last, business_day(now, fleet.company.timezone) - DAY)
    watched = [metric for metric in metrics_watched(connection) if metric.kind != "snapshot"]
    breaches: Breaches = {}
    for start in range(0, len(watched), _AT_ONCE):
        days = [first + DAY * place for place in range((last - first).days + 1)]
        panel = read_panel(
            connection, watched[start : start + _AT_ONCE], end=last, zone=fleet.company.timezone, judged_days=days,
            window=len(days),
        )  # fmt: skip
        for key in panel.keys:
            breaches[_key("metric", key.metric_id, key.dimension, key.dimension_value)] = set()
        for each in _mornings(panel, WARM_UP_DAYS, now):
            if each.found is Finding.BREACHED:
                key = each.key
                breaches[_key("metric", key.metric_id, key.dimension, key.dimension_value)].add(each.day)
    return breaches, first, last


def _mornings(panel: Panel, from_place: int, now: datetime) -> Iterator[Judgement]:
    """Every day from a place on, judged from earlier days only. New levels are looked for every four weeks, not every
    night as the platform does: each look takes in all that was before it, and there are two years of them."""
    from ops_platform.watch.judge import judge, judgements
    from ops_platform.watch.level_shift import LevelShift, find_shifts, through_shifts

    def until(place: int) -> Panel:
        return replace(
            panel, days=panel.days[:place], values=panel.values[:, :place], weights=panel.weights[:, :place],
            labels=panel.labels[:place],
        )  # fmt: skip

    shifts: list[LevelShift] = []
    for start in range(from_place, len(panel.days), _LEVELS_EVERY):
        end = min(start + _LEVELS_EVERY, len(panel.days))
        shifts += find_shifts(through_shifts(until(start), shifts))
        yield from judgements(judge(through_shifts(until(end), shifts)), panel.days[start:end], now)


def replayed_rules(connection: psycopg.Connection[Any], fleet: Fleet, first: date, last: date) -> Breaches:
    """Days in breach of every subject of the rules that have a past."""
    from ops_platform.alerts.rules import rule_signals
    from ops_platform.alerts.signal import Found

    snapshots = {
        name for (name,) in connection.execute("select metric_id from metrics.dim_metric where kind = 'snapshot'")
    }
    with_past = {
        name: rule
        for name, rule in fleet.alert_rules.items()
        if (rule.metric is not None and rule.metric not in snapshots) or rule.date is not None
    }
    past = fleet.model_copy(update={"alert_rules": with_past})
    breaches: Breaches = defaultdict(set)
    zone = ZoneInfo(fleet.company.timezone)
    day = first
    while day <= last:
        morning = datetime(day.year, day.month, day.day, 6, tzinfo=zone) + DAY
        for signal in rule_signals(connection, past, morning):
            if signal.found is Found.BREACHED:
                breaches[_short(signal.subject.key)].add(day)
        day += DAY
    return breaches


def present_rules(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> Breaches:
    """What the rules find as of the clock, dated the day before."""
    from ops_platform.alerts.rules import rule_signals
    from ops_platform.alerts.signal import Found
    from ops_platform.clock import business_day

    day = business_day(now, fleet.company.timezone) - DAY
    found = rule_signals(connection, fleet, now)
    return {_short(signal.subject.key): {day} for signal in found if signal.found is Found.BREACHED}


def score(
    incidents: list[Incident], metrics: Breaches, rules: Breaches, seed: int, first: date, last: date, today: date
) -> Report:
    """Hold what was found against the ledger."""
    missed, slow, not_shown = [], [], Counter[str]()
    must_show = found = prompt = must_be_prompt = 0
    counted_from = first + DAY * WARM_UP_DAYS
    for incident in incidents:
        sighting = incident.sighting
        assert sighting is not None
        name = f"{incident.kind} {incident.start} {incident.entity} {incident.expected.get('size', '')}".strip()
        if sighting.unseen_because:
            not_shown[f"{incident.kind}: does not show"] += 1
            continue
        if incident.kind in _PRESENT and not (sighting.first < today <= sighting.last + DAY):
            not_shown[f"{incident.kind}: needs a clock that moves"] += 1
            continue
        if sighting.first < counted_from and all(subject.startswith("metric:") for subject in sighting.subjects):
            not_shown["too little history"] += 1
            continue
        if sighting.first < first + DAY * 30 or sighting.first > last:
            not_shown["at the edge of the two years"] += 1
            continue
        must_show += 1
        days = sorted(
            day
            for subject in sighting.subjects
            for day in (metrics.get(subject, set()) | rules.get(subject, set()))
            if sighting.first <= day <= sighting.last + DAY
        )
        if not days:
            missed.append(name)
            continue
        found += 1
        if sighting.prompt and incident.kind not in _PRESENT:
            must_be_prompt += 1
            if days[0] <= sighting.first + DAY:
                prompt += 1
            else:
                slow.append(f"{name}: {(days[0] - sighting.first).days} days")
    years = ((last - counted_from).days + 1) / 365.25
    wholes = Counter({key: 0 for key in metrics if key.count(":") == 1})
    parts = Counter({key: 0 for key in metrics if key.count(":") > 1})
    for key, breached in metrics.items():
        for episode in _episodes(breached):
            if not _explained(key, episode, incidents):
                (wholes if key.count(":") == 1 else parts)[key] += 1
    openings = Counter(key.split(":")[1] for key, breached in rules.items() for _ in _episodes(breached))
    return Report(
        seed=seed, years=round(years, 2), planted=len(incidents), must_show=must_show, found=found, prompt=prompt,
        must_be_prompt=must_be_prompt, metrics=len(wholes),
        false_alerts=round(sum(wholes.values()) / max(len(wholes), 1) / years, 3), parts=len(parts),
        parts_false_alerts=round(sum(parts.values()) / max(len(parts), 1) / years, 3), missed=missed, slow=slow,
        not_shown=dict(not_shown),
        noisiest=[(key, round(count / years, 2)) for key, count in (wholes + parts).most_common(25)],
        rule_openings={name: round(count / years, 1) for name, count in openings.most_common()},
    )  # fmt: skip


def _explained(key: str, episode: tuple[date, date], incidents: list[Incident]) -> bool:
    metric = key.split(":")[1]
    return any(
        incident.sighting is not None
        and metric in (*incident.sighting.touches, *(each.split(":")[1] for each in incident.sighting.subjects))
        and episode[0] <= incident.sighting.touches_until
        and episode[1] >= incident.start
        for incident in incidents
    )


def _episodes(days: set[date]) -> list[tuple[date, date]]:
    """Days that follow each other within a week, as (first, last): one alert each."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and (day - found[-1][1]).days <= APART_DAYS:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _key(kind: str, name: str, dimension: str, value: str) -> str:
    return f"{kind}:{name}" if dimension == "all" else f"{kind}:{name}:{dimension}:{value}"


def _short(key: str) -> str:
    return key.removesuffix(":all:all")


def main() -> None:
    seed, home = int(sys.argv[1]), Path(sys.argv[2]).resolve()
    built(seed, home)
    from ops_platform import clock
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet, reset_fleet
    from ops_platform.settings import reset_settings

    reset_settings()
    reset_fleet()
    with connect() as connection:
        report = evaluate(connection, get_fleet(), seed, clock.now())
    print(json.dumps({**asdict(report), "recall": round(report.recall, 4)}, indent=1))


if __name__ == "__main__":
    main()
