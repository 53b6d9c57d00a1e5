"""Every look there is, gathered for one turn of the alert machine.

Belongs here: which watchers are asked, and in which order. Does not belong here: how one of them looks
(`from_judgements.py`, `rules.py`, `sources.py`), what becomes of the signals (`cycle.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops_platform.alerts.from_judgements import judgement_signals
from ops_platform.alerts.grouping import Relations
from ops_platform.alerts.rules import rule_signals
from ops_platform.alerts.signal import Driver, SubjectKind
from ops_platform.alerts.sources import job_signals, source_signals, tie_out_signals
from ops_platform.alerts.store import load_watched

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    import psycopg

    from ops_platform.alerts.signal import Signal
    from ops_platform.alerts.sources import JobState
    from ops_platform.fleet import Fleet


def gather(
    connection: psycopg.Connection[Any], fleet: Fleet, now: datetime, *, jobs: Sequence[JobState] = ()
) -> list[Signal]:
    """One signal for everything that is looked at, as of `now` (aware): sources first, for they silence the rest.

    `jobs` is how the jobs stand, as the caller knows it. Raises `ConfigurationError` where a rule names what is not
    there."""
    watched = [item.subject for item in load_watched(connection, ()).values()]
    open_rules = [subject for subject in watched if subject.kind is SubjectKind.THRESHOLD]
    return [
        *source_signals(connection, fleet, now),
        *tie_out_signals(connection, fleet, now),
        *job_signals(jobs, fleet, now),
        *judgement_signals(connection, fleet, now, explain=drivers),
        *rule_signals(connection, fleet, now, open_subjects=open_rules),
    ]


def drivers(connection: psycopg.Connection[Any], metric: str, day: date) -> tuple[Driver, ...]:
    """The parts that carry most of what the metric was off its expectation on `day`; none where that cannot be told."""
    from ops_platform.watch.decomposition import Undecidable
    from ops_platform.watch.explain import explain

    try:
        found = explain(connection, metric, day, with_slices=False)
    except Undecidable:
        return ()
    return tuple(Driver(label, effect, share) for label, effect, share in found.foremost())


def relations(fleet: Fleet) -> Relations:
    """What belongs together: the metric tree of the dbt project, and the metrics each rule is about."""
    from ops_platform.watch.tree import MetricTree

    return Relations(
        MetricTree.load(), {name: frozenset(rule.about_metrics()) for name, rule in fleet.alert_rules.items()}
    )
