"""Measuring what came of an experiment's units, by the tool its file names.

Belongs here: asking the tool, in a transaction that can only read, and writing down what it answers. Does not belong
here: assigning units and comparing arms (`variants.py`), what is measured (the tool).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.playbooks import variants
from ops_platform.playbooks.attempt import proven
from ops_platform.playbooks.record import wall_clock
from ops_platform.playbooks.tools import StepContext

if TYPE_CHECKING:
    from ops_platform.playbooks.engine import Machine
    from ops_platform.playbooks.plan import Plan
    from ops_platform.playbooks.tools import ToolOutput


def measured(machine: Machine, plan: Plan, now: datetime) -> int:
    """Measure the units of the playbook's experiment that are due at `now`; how many were. What is unknown is asked
    again the next time."""
    experiment = plan.playbook.experiment
    if experiment is None or experiment.outcome is None:
        return 0
    outcome = experiment.outcome

    def ask(unit: str, assigned_at: datetime) -> Decimal | None:
        value = getattr(_asked(machine, plan, outcome.tool, {outcome.unit_input: unit}, now), outcome.field)
        return None if value is None else Decimal(str(int(value) if isinstance(value, bool) else value))

    with machine.connect() as connection:
        return variants.measure_due(connection, plan.playbook, ask, now)


def _asked(machine: Machine, plan: Plan, tool: str, given: Mapping[str, Any], as_of: datetime) -> ToolOutput:
    """What the tool answers outside a run."""
    asked, playbook = machine.house.tools.get(tool), plan.playbook
    with machine.connect() as connection:
        connection.read_only = True
        context = StepContext(
            connection=connection, execution_id=0, playbook=playbook.id, playbook_name=playbook.name,
            version=playbook.version, step="outcome", attempt=1, key=f"outcome:{playbook.id}", as_of=as_of,
            today=clock.business_day(as_of, machine.zone), zone=machine.zone,
            deadline=wall_clock() + timedelta(seconds=asked.timeout_seconds), variables={}, results={}, statuses={},
            dry_run=True, log=machine.log, spend=lambda tokens: None, variant_of=lambda unit: None,
            once=lambda *_: None, connect=machine.connect,
        )  # fmt: skip
        return proven(asked.run(asked.Input.model_validate(given), context), asked.Output)
