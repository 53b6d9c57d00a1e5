"""Every look there is, gathered for one turn of the alert machine.

Belongs here: which watchers are asked, in which order, and that one that breaks takes no other with it. Does not belong
here: how one of them looks (`from_judgements.py`, `rules.py`, `sources.py`), what becomes of the signals (`cycle.py`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.fleet_health import NAME as FLEET_HEALTH
from ops_platform.alerts.fleet_health import health_signals
from ops_platform.alerts.from_judgements import judgement_signals
from ops_platform.alerts.grouping import Relations
from ops_platform.alerts.rules import rule_signals
from ops_platform.alerts.signal import Driver, SubjectKind
from ops_platform.alerts.sources import (
    job_signals,
    source_signals,
    tie_out_signals,
    watch_is_blind,
    watch_signals,
    watcher_signal,
)
from ops_platform.alerts.store import load_watched
from ops_platform.watch.store import look_states

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    import psycopg

    from ops_platform.alerts.signal import Signal
    from ops_platform.alerts.sources import JobState
    from ops_platform.fleet import Fleet

log = logging.getLogger(__name__)


def gather(
    connection: psycopg.Connection[Any], fleet: Fleet, now: datetime, *, jobs: Sequence[JobState] = ()
) -> list[Signal]:
    """One signal for everything that is looked at, as of `now` (aware): sources first, for they silence the rest.

    `jobs` is how the jobs stand, as the caller knows it. Where the metrics or the rules cannot be looked at, that is a
    signal of its own and the rest is looked at all the same; of metrics that the watch did not come to judge, nothing
    is said from what it once kept."""
    watched = [item.subject for item in load_watched(connection, ()).values()]
    open_rules = [each for each in watched if each.kind is SubjectKind.THRESHOLD and each.name != FLEET_HEALTH]
    watch = look_states(connection)
    signals = [
        *source_signals(connection, fleet, now),
        *tie_out_signals(connection, fleet, now),
        *job_signals(jobs, fleet, now),
        *watch_signals(watch, fleet, now),
        *health_signals(connection, fleet, now),
    ]
    if not watch_is_blind(watch, now):
        signals += _asked(
            connection, fleet, now, "metrics",
            lambda: judgement_signals(connection, fleet, now, explain=drivers),
        )  # fmt: skip
    signals += _asked(
        connection, fleet, now, "rules", lambda: rule_signals(connection, fleet, now, open_subjects=open_rules)
    )
    return signals


def _asked(
    connection: psycopg.Connection[Any],
    fleet: Fleet,
    now: datetime,
    watcher: str,
    look: Callable[[], Sequence[Signal]],
) -> list[Signal]:
    """What a watcher found, and that it looked; where it broke, only that it did."""
    import psycopg

    try:
        with connection.transaction():
            found = look()
    except psycopg.OperationalError:
        raise  # the database is away: there is nobody left to tell
    except Exception as error:
        log.exception("the %s could not be looked at", watcher)
        return [watcher_signal(watcher, fleet, now, problem=f"{type(error).__name__}: {error}")]
    return [watcher_signal(watcher, fleet, now), *found]


def drivers(connection: psycopg.Connection[Any], metric: str, day: date) -> tuple[Driver, ...]:
    """The parts that carry most of what the metric was off its expectation on `day`; none where that cannot be told:
    an alert without its drivers is better than none."""
    import psycopg

    from ops_platform.watch.decomposition import Undecidable
    from ops_platform.watch.explain import explain

    try:
        with connection.transaction():
            found = explain(connection, metric, day, with_slices=False)
    except Undecidable:
        return ()
    except psycopg.OperationalError:
        raise
    except Exception:
        log.exception("%s of %s could not be explained", metric, day)
        return ()
    return tuple(Driver(label, effect, share) for label, effect, share in found.foremost())


def relations(fleet: Fleet) -> Relations:
    """What belongs together: the metric tree of the dbt project, and the metrics each rule is about."""
    from ops_platform.watch.tree import MetricTree

    return Relations(
        MetricTree.load(), {name: frozenset(rule.about_metrics()) for name, rule in fleet.alert_rules.items()}
    )
