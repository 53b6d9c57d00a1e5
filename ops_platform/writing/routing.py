"""Which model a job is written with, and on whose account.

Belongs here: from a job's task to its tier, model and allowance, as `fleet.yaml` has them. Does not belong here: the
values (`fleet.yaml`), the call (`claude.py`), the bounds (`budget.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from ops_platform.writing.budget import Allowance

if TYPE_CHECKING:
    from ops_platform.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Route:
    """The model that does the work, the allowance its tokens are reserved under, and how long (seconds) the text may
    wait for a batch."""

    model: str
    allowance: Allowance
    batch_seconds: float = 0


def route(fleet: Fleet, name: str, cycle: str) -> Route:
    """The route of job `name` in `cycle`: its task decides the tier, the tier the model. Raises `ConfigurationError`
    for a job that `fleet.yaml` does not have."""
    job = fleet.jobs.get(name)
    if job is None:
        raise ConfigurationError(f"There is no job {name!r} in fleet.yaml.")
    tier = fleet.models.tasks[job.task]
    allowance = Allowance(bot=job.bot, cycle=cycle, purpose=name, tier=tier, task=job.task, limit=job.token_budget)
    return Route(fleet.models.tiers[tier], allowance, batch_seconds=job.batch_minutes * 60)
