"""The planted incidents of the generated company against what the watch and the rules raise, day by day of two years.

    python -m tests.alerts.incident_evaluation SEED HOME      runs a whole morning of that company in HOME (minutes),
                                                              or takes the warehouse that is there; prints a report

Belongs here: replaying every past morning on the published tables and scoring it against the sandbox's ledger. Does not
belong here: where an incident shows (`sandbox/company/visibility.py`, which knows what was planted), judging.

What is replayed: every watched metric (each day judged from earlier days only; what is told of its parts is as the
policy has it) and every rule that reads a metric with a past or a mart with a day, through the alert machine with the
rule's persistence. Marts of the present alone (stock, open listings) have
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

    from ops_platform.alerts.signal import Subject
    from ops_platform.fleet import Fleet
    from ops_platform.fleet.alert_policy import AlertPolicy
    from ops_platform.watch.judgement import SeriesKey
    from ops_platform.watch.level_shift import LevelShift
    from ops_platform.watch.series import Panel
    from sandbox.company.model import Incident

DAY = timedelta(days=1)
WARM_UP_DAYS = 60  # of a series, before its incidents and alerts count
APART_DAYS = 7  # breaches further apart are two alerts
_LEVELS_EVERY = 28  # days
_AT_ONCE = 40  # metrics replayed together: bounds the memory
_SYNCED = "select distinct vendor from ops.sync_runs where status = 'succeeded'"
_PRESENT = frozenset({"stock_out", "supply_hold", "listing_suppressed", "account_at_risk", "work_order_untrue"})

Breaches = dict[str, set[date]]
Looks = dict[str, dict[date, float]]  # days in breach, each with how near its limit it stood (1: at it)


@dataclass
class Report:
    """The score of one company. `recall` is of the incidents that must show; `prompt` the share of those found by the
    day after they first show. An alert is an episode of a metric, its parts that are told included; `false_alerts` are
    those nothing planted explains, a metric and year on average, `above_one` the metrics that have more than one a
    year. `rule_false` is the same of the rules that find incidents; `rule_openings` counts all of a rule."""

    seed: int
    years: float
    planted: int
    must_show: int
    found: int
    prompt: int
    must_be_prompt: int
    metrics: int
    false_alerts: float
    above_one: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    not_shown: dict[str, int] = field(default_factory=dict)
    rule_false: dict[str, float] = field(default_factory=dict)
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
        from ops_platform.database import connect
        from ops_platform.fleet import get_fleet

        with connect() as connection:
            synced = {vendor for (vendor,) in connection.execute(_SYNCED)}
        if missing := sorted(set(get_fleet().sources) - synced):
            raise SystemExit(f"{', '.join(missing)} was not read: the company would be judged by half of it")
    (home / "evaluated").touch()
    return home


def evaluate(connection: psycopg.Connection[Any], fleet: Fleet, seed: int, now: datetime) -> Report:
    """Replay two years and score them."""
    from sandbox.company.generate import generate
    from sandbox.company.planted import planted

    incidents = planted(generate(seed, now))
    looks, first, last = replayed_metrics(connection, fleet, now)
    # Incidents of the present alone are looked at as of the clock; those before it need a clock that moves.
    rules, openings = replayed_rules(connection, fleet, first + DAY * 30, last)
    today = last + DAY
    for subject, days in present_rules(connection, fleet, now).items():
        rules.setdefault(subject, set()).update(days)
    return score(incidents, told(looks, fleet.alerts), rules, openings, seed, first, last, today)


def replayed_metrics(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> tuple[Looks, date, date]:
    """How near its limit every watched series stood on its days in breach, as every morning would have found it; the
    first and last day there is. Series without a breach are there with no days."""
    first, last = span(connection, fleet, now)
    found: Looks = {}
    for panel in panels(connection, fleet, first, last):
        found |= breaches_of(panel)
    return found, first, last


def span(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> tuple[date, date]:
    """The first and the last whole day of the company's trade."""
    from ops_platform.clock import business_day

    row = connection.execute("select min(date), max(date) from metrics.fct_metric_daily where metric_id = 'orders'")
    first, last = row.fetchone()  # type: ignore[misc]
    return first, min(last, business_day(now, fleet.company.timezone) - DAY)


def panels(connection: psycopg.Connection[Any], fleet: Fleet, first: date, last: date) -> Iterator[Panel]:
    """The watched metrics with a past, some at a time."""
    from ops_platform.watch.store import metrics_watched, read_panel

    watched = [metric for metric in metrics_watched(connection) if metric.kind != "snapshot"]
    for start in range(0, len(watched), _AT_ONCE):
        yield read_panel(
            connection, watched[start : start + _AT_ONCE], end=last, zone=fleet.company.timezone, judged_days=(),
            window=(last - first).days + 1,
        )  # fmt: skip


def breaches_of(panel: Panel) -> Looks:
    """Every day in breach from the end of the warm-up on, judged from earlier days only, with how near it stood."""
    return judged_through(panel, levels_of(panel))


def levels_of(panel: Panel) -> dict[SeriesKey, list[tuple[int, LevelShift]]]:
    """The new levels of each series with the night that found them.

    They are looked for every four weeks, not every night as the platform does: each look takes in all that was before
    it, and there are two years of them. As there, a level is found once."""
    from ops_platform.watch.level_shift import find_shifts, through_shifts

    found: dict[SeriesKey, list[tuple[int, LevelShift]]] = defaultdict(list)
    known: dict[tuple[SeriesKey, date], LevelShift] = {}
    for night in range(WARM_UP_DAYS, len(panel.days), _LEVELS_EVERY):
        for shift in find_shifts(through_shifts(_only(panel, until=night), known.values())):
            if (shift.key, shift.day) not in known:
                known[shift.key, shift.day] = shift
                found[shift.key].append((night, shift))
    return found


def judged_through(panel: Panel, levels: dict[SeriesKey, list[tuple[int, LevelShift]]]) -> Looks:
    """The days in breach; a series is judged anew from each night on that found it a new level."""
    from ops_platform.watch.judge import judge
    from ops_platform.watch.level_shift import through_shifts

    found: Looks = {_key("metric", key): {} for key in panel.keys}
    version, rows = 0, list(range(len(panel.keys)))
    while rows:
        keys = [panel.keys[row] for row in rows]
        known = [shift for key in keys for _, shift in levels.get(key, [])[:version]]
        judged = judge(through_shifts(_only(panel, rows=rows), known))
        for row, key in enumerate(keys):
            nights = [night for night, _ in levels.get(key, [])]
            start = nights[version - 1] if version else WARM_UP_DAYS
            end = nights[version] if len(nights) > version else len(panel.days)
            for place in range(start, end):
                if judged.breached[row, place]:
                    found[_key("metric", key)][panel.days[place]] = float(judged.closeness[row, place])
        version += 1
        rows = [row for row in rows if len(levels.get(panel.keys[row], [])) >= version]
    return found


def _only(panel: Panel, *, rows: list[int] | None = None, until: int | None = None) -> Panel:
    """The panel of some series, or of the days before a place."""
    chosen = list(range(len(panel.keys))) if rows is None else rows
    return replace(
        panel, keys=tuple(panel.keys[row] for row in chosen), days=panel.days[:until],
        values=panel.values[chosen, :until], weights=panel.weights[chosen, :until], labels=panel.labels[:until],
    )  # fmt: skip


def told(looks: Looks, policy: AlertPolicy) -> Breaches:
    """The days on which a breach is told. A part whose whole is well is only told from the policy's multiple on."""
    alone = float(policy.parts_alone_from)
    return {
        key: {
            day
            for day, closeness in days.items()
            if key == _whole(key) or closeness >= alone or day in looks.get(_whole(key), {})
        }
        for key, days in looks.items()
    }


def replayed_rules(
    connection: psycopg.Connection[Any], fleet: Fleet, first: date, last: date
) -> tuple[Breaches, Breaches]:
    """Of every subject of the rules that have a past: the days on which it was out and open, as the alert machine with
    the policy's persistence has it, and the days on which it opened."""
    from ops_platform.alerts.machine import STANDING, Condition, Event, step
    from ops_platform.alerts.policy import persistence_of
    from ops_platform.alerts.rules import rule_signals
    from ops_platform.watch.judgement import Finding

    snapshots = {
        name for (name,) in connection.execute("select metric_id from metrics.dim_metric where kind = 'snapshot'")
    }
    with_past = {
        name: rule
        for name, rule in fleet.alert_rules.items()
        if (rule.metric is not None and rule.metric not in snapshots) or rule.date is not None
    }
    past = fleet.model_copy(update={"alert_rules": with_past})
    out: Breaches = defaultdict(set)
    opened: Breaches = defaultdict(set)
    conditions: dict[Subject, Condition] = {}
    zone = ZoneInfo(fleet.company.timezone)
    day = first
    while day <= last:
        morning = datetime(day.year, day.month, day.day, 6, tzinfo=zone) + DAY
        standing = [subject for subject, condition in conditions.items() if condition.state in STANDING]
        for signal in rule_signals(connection, past, morning, open_subjects=standing):
            known = conditions.get(signal.subject, Condition())
            done = step(
                known, signal, persistence_of(fleet.alerts, signal.subject), worsening=fleet.alerts.worsening_factor
            )
            conditions[signal.subject] = done.condition
            if done.condition.state in STANDING and signal.found is Finding.BREACHED:
                out[_short(signal.subject.key)].add(day)
            if Event.OPENED in done.events:
                opened[_short(signal.subject.key)].add(day)
        day += DAY
    return out, opened


def present_rules(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> Breaches:
    """What the rules find as of the clock, dated the day before."""
    from ops_platform.alerts.rules import rule_signals
    from ops_platform.clock import business_day
    from ops_platform.watch.judgement import Finding

    day = business_day(now, fleet.company.timezone) - DAY
    found = rule_signals(connection, fleet, now)
    return {_short(signal.subject.key): {day} for signal in found if signal.found is Finding.BREACHED}


def score(
    incidents: list[Incident], metrics: Breaches, rules: Breaches, openings: Breaches, seed: int, first: date,
    last: date, today: date,
) -> Report:  # fmt: skip
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
    by_metric: Breaches = defaultdict(set)
    by_rule: Breaches = defaultdict(set)
    for key, breached in metrics.items():
        by_metric[_whole(key)] |= breached
    for key, days_opened in openings.items():
        by_rule[_whole(key)] |= days_opened
    false = Counter(dict.fromkeys(by_metric, 0))
    for key, breached in by_metric.items():
        false[key] += sum(not _explained(key, episode, incidents) for episode in _episodes(breached))
    # Rules find facts; only of those that tell incidents from chance an opening can be false.
    telling = {_whole(subject) for incident in incidents for subject in _subjects(incident)}
    rule_false = {
        key.split(":")[1]: sum(not _explained_by(key, episode, incidents) for episode in _episodes(breached)) / years
        for key, breached in sorted(by_rule.items())
        if key in telling
    }
    return Report(
        seed=seed, years=round(years, 2), planted=len(incidents), must_show=must_show, found=found, prompt=prompt,
        must_be_prompt=must_be_prompt, metrics=len(false),
        false_alerts=round(sum(false.values()) / max(len(false), 1) / years, 3),
        above_one={key: round(count / years, 2) for key, count in false.most_common() if count > years},
        missed=missed, slow=slow, not_shown=dict(not_shown),
        rule_false={name: round(rate, 2) for name, rate in rule_false.items()},
        rule_openings={
            key.split(":")[1]: round(len(_episodes(breached)) / years, 1) for key, breached in sorted(by_rule.items())
        },
    )  # fmt: skip


def _subjects(incident: Incident) -> tuple[str, ...]:
    return () if incident.sighting is None else incident.sighting.subjects


def _explained_by(key: str, episode: tuple[date, date], incidents: list[Incident]) -> bool:
    """Whether something is planted on these days that shows in the rule."""
    return any(
        incident.sighting is not None
        and any(_whole(subject) == key for subject in incident.sighting.subjects)
        and episode[0] <= incident.sighting.touches_until
        and episode[1] >= incident.start
        for incident in incidents
    )


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


def _key(kind: str, key: SeriesKey) -> str:
    return f"{kind}:{key}"


def _whole(key: str) -> str:
    """The whole of a part: `metric:orders` of `metric:orders:channel:web`."""
    return ":".join(key.split(":")[:2])


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
