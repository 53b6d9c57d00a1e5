"""One attempt of one step: its values, its context, its runner, and a proof of what it returned.

Belongs here: what happens between "may run" and "returned". Does not belong here: transactions and threads
(`engine.py`, `rehearsal.py`), which steps run when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from ops_platform import clock
from ops_platform.failures import DataFailure
from ops_platform.playbooks import expressions
from ops_platform.playbooks.plan import templated
from ops_platform.playbooks.runners.tool_call import in_words
from ops_platform.playbooks.tools import Arm, StepContext, ToolOutput

if TYPE_CHECKING:
    import psycopg

    from ops_platform.playbooks.checks import House
    from ops_platform.playbooks.plan import Plan
    from ops_platform.playbooks.record import Execution

RESULT_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known when a step begins: results of steps that ran, and what became of all that are settled."""

    results: Mapping[str, ToolOutput] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Doors:
    """What an attempt may do beside its transaction; a rehearsal gives it doors that lead nowhere."""

    connect: Callable[[], psycopg.Connection[Any]]
    once: Callable[..., Any]
    spend: Callable[[int], None]
    variant_of: Callable[[str], Arm | None]
    log: Callable[[str], None]
    dry_run: bool = False


def values_for(plan: Plan, execution: Execution, standing: Standing, zone: str) -> dict[str, Any]:
    """Every name an expression may use that has a value by now."""
    day = clock.business_day(execution.as_of, zone)
    values: dict[str, Any] = {
        "run.id": str(execution.id), "run.date": day.isoformat(), "run.as_of": execution.as_of.isoformat(),
        "run.playbook": execution.playbook_id, "run.variant": execution.arm or "",
    }  # fmt: skip
    values |= {f"vars.{name}": value for name, value in execution.variables.items()}
    values |= {f"steps.{step}.status": status for step, status in standing.statuses.items()}
    for step, result in standing.results.items():
        values |= expressions.values_of(f"steps.{step}.result", result)
    return values


def attempt(
    plan: Plan,
    house: House,
    execution: Execution,
    step_id: str,
    number: int,
    standing: Standing,
    connection: psycopg.Connection[Any],
    *,
    zone: str,
    deadline: datetime,
    doors: Doors,
) -> ToolOutput:
    """Carry the step out in the open transaction of `connection`, which stays the caller's. Raises what the runner
    raises; `DataFailure` where an expression has no value, or where what came back is not what was promised."""
    step = plan.steps[step_id]
    values = values_for(plan, execution, standing, zone)
    given: dict[str, Any] = expressions.fill(templated(step), plan.scope, values)
    if step.type == "condition":
        given = {"if": plan.scope.evaluate(step.if_, values)}
    context = StepContext(
        connection=connection, execution_id=execution.id, playbook=execution.playbook_id,
        playbook_name=execution.name, version=execution.version, step=step_id, attempt=number,
        key=key_of(execution, step_id), as_of=execution.as_of,
        today=clock.business_day(execution.as_of, zone), zone=zone, deadline=deadline,
        variables=execution.variables, results=standing.results, statuses=standing.statuses, dry_run=doors.dry_run,
        log=doors.log, spend=doors.spend, variant_of=doors.variant_of, once=doors.once, connect=doors.connect,
    )  # fmt: skip
    returned = house.runners.of(step.type).run(step, given, context, house.tools)
    return proven(returned, plan.outputs[step_id])


def key_of(execution: Execution, step_id: str) -> str:
    """The same for every attempt of the step, also after a kill; another for a rehearsal."""
    return f"playbook:{'dry:' if execution.trigger_kind == 'dry_run' else ''}{execution.id}:{step_id}"


def proven(returned: Any, promised: type[ToolOutput]) -> ToolOutput:
    """What later steps and a process after a kill will read: the result as it comes back from JSON. Raises
    `DataFailure` for what is not of the promised type, does not survive JSON, or is too large to be kept."""
    if not isinstance(returned, promised):
        raise DataFailure(f"it returned {type(returned).__name__}, not {promised.__name__}")
    try:
        text = orjson.dumps(as_json(returned))
        if len(text) > RESULT_MOST_BYTES:
            raise DataFailure(f"it returned {len(text):,} bytes; at most {RESULT_MOST_BYTES:,} are kept")
        return promised.model_validate_json(text)
    except ValidationError as error:
        raise DataFailure(f"it returned what is not a {promised.__name__}: {in_words(error)}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise DataFailure(f"what it returned cannot be kept as JSON: {str(error)[:200]}") from None


def as_json(result: ToolOutput) -> dict[str, Any]:
    """As it is kept: decimals as text, so that no amount passes through a binary fraction; PostgreSQL's jsonb holds no
    NUL."""
    made: dict[str, Any] = _without_nul(result.model_dump(mode="json", warnings="error"))
    return made


def from_json(kept: Mapping[str, Any], promised: type[ToolOutput]) -> ToolOutput:
    return promised.model_validate_json(orjson.dumps(kept))


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
