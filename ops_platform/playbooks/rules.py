"""What becomes of a step, from what became of those it waits for.

Belongs here: the one decision, pure. Does not belong here: carrying it out (`engine.py`), the same rules as edges of a
graph (`jobs/playbooks.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops_platform.playbooks.plan import Plan
    from ops_platform.playbooks.record import StepRow


def decide(plan: Plan, step_id: str, settled: Mapping[str, StepRow]) -> str:
    """ "run", "wait", or in words why the step is not run."""
    stopped = next(
        (name for name, row in settled.items() if row.status == "failed" and plan.steps[name].on_error == "stop"), None
    )
    if stopped is not None:
        return f"{stopped} failed, and nothing more is started after that"
    waits = plan.waits[step_id]
    if any(other not in settled for other in waits.all):
        return "wait"
    for other in sorted(waits.all):
        cause = blocked_by(plan, other, settled)
        if cause is not None:
            return f"{cause} failed"
    for other in sorted(waits.needs):
        row = settled[other]
        if row.status != "ran":
            return f"{other} {'failed' if row.status == 'failed' else 'was not run'}"
    for condition, wanted in waits.gates:
        row = settled[condition]
        if row.status != "ran" or row.result is None:
            return f"{condition} has no answer"
        if row.result["holds"] is not wanted:
            return f"{condition} {'holds' if row.result['holds'] else 'does not hold'}"
    return "run"


def blocked_by(plan: Plan, step_id: str, settled: Mapping[str, StepRow]) -> str | None:
    """The failed step because of which nothing that waits for `step_id` runs; None where there is none."""
    row = settled.get(step_id)
    if row is None:
        return None
    if row.status == "failed":
        return None if plan.steps[step_id].on_error == "continue" else step_id
    if row.status == "skipped":
        for other in sorted(plan.waits[step_id].all):
            cause = blocked_by(plan, other, settled)
            if cause is not None:
                return cause
    return None
