"""Experiments: which variant a unit gets, and what came of it.

Belongs here: assigning, measuring, comparing arms. Does not belong here: what a variant changes (the playbook's file),
what is measured (a tool).

A unit's arm is computed from the experiment's name and the unit's, so it is the same on every machine and for ever; it
is also written down, so that a change of weights moves nobody who has an arm already.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from ops_platform.playbooks.tools import Arm

if TYPE_CHECKING:
    import psycopg

    from ops_platform.playbooks.model import Experiment, Playbook

#: Two arms are told apart where zero is outside the interval that holds their difference with this certainty, and each
#: has so many measured units: two that agree by chance look certain.
_Z95 = NormalDist().inv_cdf(0.975)
LEAST_MEASURED = 30


def arm_of(playbook_id: str, experiment: Experiment, unit: str) -> str:
    """The arm of a unit, by the weights. Evenly spread, the same for ever."""
    arms = [(name, arm.weight) for name, arm in experiment.arms.items() if arm.weight]
    digest = hashlib.sha256(f"{playbook_id}\x1f{experiment.name}\x1f{unit}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") * sum(weight for _, weight in arms) >> 64
    for name, weight in arms:
        if place < weight:
            return name
        place -= weight
    raise AssertionError("the weights add up")


def assign(connection: psycopg.Connection[Any], playbook: Playbook, unit: str, execution_id: int, now: datetime) -> Arm:
    """The arm of this unit, written down with the execution that asked first."""
    experiment = playbook.experiment
    assert experiment is not None
    connection.execute(
        """insert into ops.playbook_assignments (playbook_id, experiment, unit, arm, execution_id, assigned_at)
           values (%s, %s, %s, %s, %s, %s) on conflict do nothing""",
        (playbook.id, experiment.name, unit, arm_of(playbook.id, experiment, unit), execution_id, now),
    )
    row = connection.execute(
        "select arm from ops.playbook_assignments where playbook_id = %s and experiment = %s and unit = %s",
        (playbook.id, experiment.name, unit),
    ).fetchone()
    assert row is not None
    name = str(row[0])
    chosen = experiment.arms.get(name)
    return Arm(experiment.name, name, dict(chosen.variables) if chosen is not None else {})


def measure_due(
    connection: psycopg.Connection[Any],
    playbook: Playbook,
    ask: Callable[[str, datetime], Decimal | None],
    now: datetime,
    limit: int = 200,
) -> int:
    """Measure the units that are due, by `ask(unit, assigned_at)`; how many were. What is unknown is asked again later,
    until it is known."""
    experiment = playbook.experiment
    if experiment is None or experiment.outcome is None:
        return 0
    due = now - timedelta(days=experiment.outcome.after_days)
    rows = connection.execute(
        """select unit, assigned_at from ops.playbook_assignments
           where playbook_id = %s and experiment = %s and measured_at is null and assigned_at <= %s
           order by assigned_at, unit limit %s""",
        (playbook.id, experiment.name, due, limit),
    ).fetchall()
    done = 0
    for unit, assigned_at in rows:
        value = ask(unit, assigned_at)
        if value is None:
            continue
        connection.execute(
            """update ops.playbook_assignments set outcome = %s, measured_at = %s
               where playbook_id = %s and experiment = %s and unit = %s and measured_at is null""",
            (value, now, playbook.id, experiment.name, unit),
        )
        done += 1
    return done


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What is known of an arm: units, how many were measured, the mean of what was measured and its standard error;
    None is unknown (nothing measured, or a single unit). `yes_no` says that every outcome is 0 or 1: the mean is a
    share."""

    arm: str
    units: int
    measured: int
    mean: Decimal | None
    standard_error: float | None
    yes_no: bool = False

    @property
    def interval(self) -> tuple[float, float] | None:
        """What holds the arm's true mean with 95 % certainty: Wilson's for a share, which is right for few units and
        for all or none of them, too; else the mean with normal bounds. None where there is no telling."""
        return _interval(self, _Z95)

    @property
    def few(self) -> bool:
        """Whether so few were measured that nothing is concluded from them."""
        return self.measured < LEAST_MEASURED


@dataclass(frozen=True, slots=True)
class Difference:
    """An arm's mean against that of the first arm, with the interval that holds it with 95 % certainty (all the
    comparisons of an experiment together). `few`: one of the two has too few units for a conclusion."""

    arm: str
    against: str
    difference: float
    low: float
    high: float
    few: bool = False

    @property
    def told_apart(self) -> bool:
        return not self.few and (self.low > 0 or self.high < 0)


def results(connection: psycopg.Connection[Any], playbook: Playbook) -> list[ArmResult]:
    """Each arm of the experiment, in the file's order; one that the file no longer has comes last."""
    experiment = playbook.experiment
    if experiment is None:
        return []
    rows = connection.execute(
        """select arm, count(*), count(outcome), avg(outcome), stddev_samp(outcome),
               count(outcome) filter (where outcome not in (0, 1))
           from ops.playbook_assignments where playbook_id = %s and experiment = %s group by arm""",
        (playbook.id, experiment.name),
    ).fetchall()
    found: Mapping[str, Any] = {row[0]: row for row in rows}
    # What is a share is one in every arm: a number that is 0 or 1 by chance is not.
    yes_no = bool(rows) and not any(row[5] for row in rows)
    names = [*experiment.arms, *sorted(set(found) - set(experiment.arms))]
    made = []
    for name in names:
        row = found.get(name)
        if row is None:
            made.append(ArmResult(name, 0, 0, None, None, yes_no))
            continue
        error = None if row[4] is None or row[2] < 2 else float(row[4]) / math.sqrt(row[2])
        made.append(ArmResult(name, row[1], row[2], row[3], error, yes_no))
    return made


def differences(arms: list[ArmResult]) -> list[Difference]:
    """Every other arm against the first, where both are known. Shares by Newcombe's interval (Wilson's of both arms),
    other means by Welch's standard error; the certainty is divided among the comparisons (Bonferroni)."""
    if len(arms) < 2:
        return []
    base, others = arms[0], [arm for arm in arms[1:] if arm.measured]
    certain = NormalDist().inv_cdf(1 - 0.05 / (2 * max(len(others), 1)))
    made = []
    for arm in others:
        mine, theirs = _interval(arm, certain), _interval(base, certain)
        if mine is None or theirs is None or arm.mean is None or base.mean is None:
            continue
        own, other = float(arm.mean), float(base.mean)
        delta = own - other
        low = delta - math.hypot(own - mine[0], theirs[1] - other)
        high = delta + math.hypot(mine[1] - own, other - theirs[0])
        made.append(Difference(arm.arm, base.arm, delta, low, high, arm.few or base.few))
    return made


def _interval(arm: ArmResult, certain: float) -> tuple[float, float] | None:
    if arm.mean is None or not arm.measured:
        return None
    mean, count = float(arm.mean), arm.measured
    if arm.yes_no:
        square = certain * certain / count
        middle = (mean + square / 2) / (1 + square)
        wide = math.sqrt(mean * (1 - mean) / count * certain * certain + square * square / 4) / (1 + square)
        return max(middle - wide, 0.0), min(middle + wide, 1.0)
    if arm.standard_error is None:
        return None
    return mean - certain * arm.standard_error, mean + certain * arm.standard_error
