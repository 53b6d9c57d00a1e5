"""The execution record: the SQL on executions and their steps.

Belongs here: opening an execution, every change of a step, closing it, reading it. Does not belong here: when
(`engine.py`), versions (`versions.py`), effects at vendors (`effects.py`).

A step's row is changed only by the process that holds it, by its token: one that was stopped and wakes up later finds
its token gone, and what it did in the step's transaction is rolled back with it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import orjson

from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

    from ops_platform.playbooks.model import Playbook

Status = Literal["waiting", "running", "ran", "skipped", "failed"]
TriggerKind = Literal["schedule", "manual", "http", "event", "dry_run"]
SETTLED = ("ran", "skipped", "failed")
# The first half of the advisory lock's key by which a process holds an execution. The number only has to be ours.
EXECUTION_LOCK = 4180
_WAITS = (
    "exists (select from ops.playbook_effects as effects"
    " where effects.execution_id = playbook_executions.id and effects.state = 'unclear')"
)


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a playbook. `as_of` is the moment it is for; times of the record are the machine's."""

    id: int
    playbook_id: str
    name: str
    version: int
    content_hash: str
    trigger_kind: str
    trigger_key: str
    as_of: datetime
    variables: dict[str, Any]
    experiment: str | None
    arm: str | None
    run_id: str | None
    state: str
    started_at: datetime
    holds: int
    completed_at: datetime | None
    duration_ms: int | None
    steps_executed: int | None
    success: bool | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StepRow:
    """Where one step stands. `reason` says why it was skipped or failed."""

    step_id: str
    place: int
    kind: str
    status: Status
    attempts: int
    tokens: int
    result: dict[str, Any] | None
    reason: str | None
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None


_EXECUTION = (
    "id, playbook_id, name, version, content_hash, trigger_kind, trigger_key, as_of, variables, experiment, arm,"
    " run_id, state, started_at, holds, completed_at, duration_ms, steps_executed, success, error"
)
_STEP = (
    "step_id, place, kind, status, attempts, tokens, result, reason, started_at, completed_at, duration_ms"
)  # fmt: skip


class LostHoldError(DataFailure):
    """Another process took this step up: what was done here is rolled back."""


def wall_clock() -> datetime:
    """The machine's clock: durations and holds are about machines, so they never follow `OPS_NOW`."""
    return datetime.now(UTC)


def bounded(key: str) -> str:
    return key if len(key) <= 255 else f"{key[:190]}:{hashlib.sha256(key.encode()).hexdigest()}"


# Opening and closing ----------------------------------------------------------------------------------------


def open_execution(
    connection: psycopg.Connection[Any],
    playbook: Playbook,
    content_hash: str,
    *,
    kind: TriggerKind,
    key: str,
    as_of: datetime,
    variables: Mapping[str, Any],
    steps: Sequence[tuple[str, str]],
    experiment: str | None = None,
    arm: str | None = None,
    run_id: str | None = None,
) -> tuple[Execution, bool]:
    """The execution of this trigger, and whether it is new: the same key never makes a second one. `steps` are (id,
    type) in the order they are shown. A rehearsal takes no number from those that ran: its own is negative, and gone
    with it."""
    from psycopg.types.json import Jsonb

    now = wall_clock()
    rehearsal = kind == "dry_run"
    number, overriding = ("%(number)s, ", "overriding system value") if rehearsal else ("", "")
    with connection.transaction():
        row = connection.execute(
            f"""insert into ops.playbook_executions ({"id, " if rehearsal else ""}playbook_id, name, version,
                    content_hash, trigger_kind, trigger_key, as_of, variables, experiment, arm, run_id, started_at,
                    held_at)
                {overriding} values ({number}%(playbook)s, %(name)s, %(version)s, %(hash)s, %(kind)s, %(key)s,
                    %(as_of)s, %(variables)s, %(experiment)s, %(arm)s, %(run)s, %(now)s, %(now)s)
                on conflict (trigger_key) do nothing returning id""".encode(),
            {
                "number": -time.time_ns(), "playbook": playbook.id, "name": playbook.name,
                "version": playbook.version, "hash": content_hash, "kind": kind, "key": bounded(key), "as_of": as_of,
                "variables": Jsonb(dict(variables)), "experiment": experiment, "arm": arm, "run": run_id, "now": now,
            },
        ).fetchone()  # fmt: skip
        if row is not None:
            with connection.cursor() as cursor:
                cursor.executemany(
                    "insert into ops.playbook_steps (execution_id, step_id, place, kind) values (%s, %s, %s, %s)",
                    [(row[0], step_id, place, step_kind) for place, (step_id, step_kind) in enumerate(steps)],
                )
    found = by_key(connection, key)
    assert found is not None
    return found, row is not None


def take_up(connection: psycopg.Connection[Any], execution_id: int) -> bool:
    """A process takes the execution up, now; whether it is still running. Looking at one that waits for a person is no
    attempt at it."""
    row = connection.execute(
        f"""update ops.playbook_executions set held_at = %s, holds = holds + case when {_WAITS} then 0 else 1 end
            where id = %s and state = 'running' returning id""".encode(),
        (wall_clock(), execution_id),
    ).fetchone()
    return row is not None


def close(connection: psycopg.Connection[Any], execution_id: int, error: str | None) -> None:
    """The execution is over: it succeeded only if no step failed and there is no other error."""
    connection.execute(
        """update ops.playbook_executions as executions
           set state = case when counted.failed = 0 and %(error)s::text is null then 'succeeded' else 'failed' end,
               success = counted.failed = 0 and %(error)s::text is null,
               steps_executed = counted.executed, completed_at = greatest(%(now)s, executions.started_at),
               error = coalesce(%(error)s, counted.said)
           from (
               select count(*) filter (where status = 'failed') as failed,
                   count(*) filter (where status in ('ran', 'failed')) as executed,
                   string_agg(step_id || ': ' || reason, '; ' order by place) filter (where status = 'failed') as said
               from ops.playbook_steps where execution_id = %(id)s
           ) as counted
           where executions.id = %(id)s and executions.state = 'running'""",
        {"id": execution_id, "error": error, "now": wall_clock()},
    )


def give_up(connection: psycopg.Connection[Any], execution_id: int, error: str) -> None:
    """End an execution that nobody is to go on with: what is open is not run any more. In the caller's transaction."""
    for row in steps(connection, execution_id):
        skip(connection, execution_id, row.step_id, error)
    close(connection, execution_id, error)


def is_held(connection: psycopg.Connection[Any], execution_id: int) -> bool:
    """Whether a living process holds the execution, as far as its lock tells at this moment."""
    row = connection.execute(
        """select exists (
               select from pg_locks where locktype = 'advisory' and classid = %s and objid = %s and objsubid = 2
                   and database = (select oid from pg_database where datname = current_database())
           )""",
        (EXECUTION_LOCK, execution_id),
    ).fetchone()
    return row is not None and bool(row[0])


# Steps ------------------------------------------------------------------------------------------------------


def begin(connection: psycopg.Connection[Any], execution_id: int, step_id: str, holder: UUID) -> int | None:
    """An attempt of the step begins, in this process's name; its number, or None where the step is settled."""
    row = connection.execute(
        """update ops.playbook_steps
           set status = 'running', holder = %s, attempts = attempts + 1, started_at = coalesce(started_at, %s)
           where execution_id = %s and step_id = %s and status in ('waiting', 'running') returning attempts""",
        (holder, wall_clock(), execution_id, step_id),
    ).fetchone()
    return None if row is None else int(row[0])


def settle(
    connection: psycopg.Connection[Any],
    execution_id: int,
    step_id: str,
    *,
    holder: UUID,
    attempt: int,
    status: Literal["ran", "failed"],
    result: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """The step is over. Raises `LostHoldError` where another process or attempt has it."""
    row = connection.execute(
        """update ops.playbook_steps
           set status = %(status)s, result = %(result)s, reason = %(reason)s,
               completed_at = greatest(%(now)s, started_at)
           where execution_id = %(id)s and step_id = %(step)s and status = 'running' and holder = %(holder)s
               and attempts = %(attempt)s
           returning step_id""",
        {
            "status": status, "result": None if result is None else _json(result), "reason": reason,
            "now": wall_clock(), "id": execution_id, "step": step_id, "holder": holder, "attempt": attempt,
        },
    ).fetchone()  # fmt: skip
    if row is None:
        raise LostHoldError(f"step {step_id} of execution {execution_id} is another's by now")


def skip(connection: psycopg.Connection[Any], execution_id: int, step_id: str, reason: str) -> None:
    """The step is not run. One that was begun by a process that died is not skipped: it failed."""
    connection.execute(
        """update ops.playbook_steps
           set status = case when attempts = 0 then 'skipped' else 'failed' end, reason = %s,
               completed_at = greatest(%s, started_at)
           where execution_id = %s and step_id = %s and status in ('waiting', 'running')""",
        (reason, wall_clock(), execution_id, step_id),
    )


def add_tokens(connection: psycopg.Connection[Any], execution_id: int, step_id: str, tokens: int) -> None:
    connection.execute(
        "update ops.playbook_steps set tokens = tokens + %s where execution_id = %s and step_id = %s"
        " and status = 'running'",
        (max(tokens, 0), execution_id, step_id),
    )


# Reading ----------------------------------------------------------------------------------------------------


def load(connection: psycopg.Connection[Any], execution_id: int) -> Execution:
    """Raises `DataFailure` where there is none."""
    found = _executions(connection, "id = %(id)s", {"id": execution_id})
    if not found:
        raise DataFailure(f"there is no execution #{execution_id}: `ops playbook history` shows them")
    return found[0]


def by_key(connection: psycopg.Connection[Any], key: str) -> Execution | None:
    found = _executions(connection, "trigger_key = %(key)s", {"key": bounded(key)})
    return found[0] if found else None


def newest(connection: psycopg.Connection[Any], playbook_id: str | None = None, limit: int = 20) -> list[Execution]:
    """The newest first."""
    return _executions(
        connection, "%(playbook)s::text is null or playbook_id = %(playbook)s", {"playbook": playbook_id}, limit
    )


def abandoned(connection: psycopg.Connection[Any], before: datetime) -> list[Execution]:
    """Executions that are running, were last taken up before `before` (or at a time that is still to come: the clock
    was set back) and do not wait for a person's word about an effect; whether a process still holds one, its lock
    tells."""
    condition = f"state = 'running' and (held_at < %(before)s or held_at > %(soon)s) and not {_WAITS}"
    return _executions(connection, condition, {"before": before, "soon": wall_clock() + timedelta(minutes=1)}, 100)


def steps(connection: psycopg.Connection[Any], execution_id: int) -> list[StepRow]:
    """In the order of the file."""
    rows = connection.execute(
        f"select {_STEP} from ops.playbook_steps where execution_id = %s order by place".encode(), (execution_id,)
    )
    return [StepRow(*row) for row in rows]


def as_record(execution: Execution, rows: Sequence[StepRow]) -> dict[str, Any]:
    """The execution record as it is told outside: names as its readers know them."""
    return {
        "executionId": execution.id,
        "playbookId": execution.playbook_id,
        "playbookName": execution.name,
        "version": execution.version,
        "contentHash": execution.content_hash,
        "trigger": execution.trigger_kind,
        "asOf": execution.as_of.isoformat(),
        "variables": execution.variables,
        "variant": execution.arm,
        "startedAt": execution.started_at.isoformat(),
        "completedAt": None if execution.completed_at is None else execution.completed_at.isoformat(),
        "duration": execution.duration_ms,
        "stepsExecuted": execution.steps_executed,
        "success": execution.success,
        "state": execution.state,
        "error": execution.error,
        "tokens": sum(row.tokens for row in rows),
        "steps": [
            {
                "id": row.step_id, "type": row.kind, "status": row.status, "attempts": row.attempts,
                "tokens": row.tokens, "duration": row.duration_ms, "reason": row.reason,
            }
            for row in rows
        ],
        "conditions": {
            row.step_id: row.result["holds"] for row in rows if row.kind == "condition" and row.result is not None
        },
        "results": {row.step_id: row.result for row in rows if row.result is not None and row.kind != "condition"},
    }  # fmt: skip


def _executions(
    connection: psycopg.Connection[Any], condition: str, parameters: dict[str, Any], limit: int = 1
) -> list[Execution]:
    rows: Iterator[Any] = connection.execute(
        f"select {_EXECUTION} from ops.playbook_executions where {condition} order by id desc limit %(limit)s".encode(),
        {**parameters, "limit": limit},
    )
    return [Execution(*row) for row in rows]


def _json(value: Mapping[str, Any]) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value, dumps=lambda item: orjson.dumps(item).decode())
