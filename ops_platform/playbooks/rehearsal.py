"""A dry run: every step as it would be, every effect shown, none done.

Belongs here: running a playbook inside one transaction that is rolled back, and reading out of it what was written.
Does not belong here: the rules of what runs (`rules.py`), showing it (`commands/playbook.py`).

The code that runs is the code of the real run: messages are put into the outbox, threads are opened, documents stored,
and what then stands in those tables is what would have happened. The transaction sees one moment of the database, so
what others write meanwhile is not taken for ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform.deadlines import DeadlineExceededError, within
from ops_platform.failures import DataFailure, OpsError, TransientFailure
from ops_platform.playbooks import record, variants
from ops_platform.playbooks.attempt import Doors, Standing, as_json, attempt
from ops_platform.playbooks.engine import Machine, open_new
from ops_platform.playbooks.plan import Plan
from ops_platform.playbooks.rules import decide
from ops_platform.playbooks.tools import Arm

if TYPE_CHECKING:
    import psycopg

    from ops_platform.playbooks.tools import ToolOutput

# Where a step's effects show: table, key, what is told of a row.
_EFFECTS: Mapping[str, tuple[str, str, str]] = {
    "message": (
        "ops.outbox",
        "id",
        "channel_key || ' ' || channel || ': '"
        " || coalesce(payload ->> 'subject', split_part(payload ->> 'text', chr(10), 1))",
    ),
    "request": ("ops.approvals", "id", "kind || ': ' || title"),
    "document": ("ops.documents", "id", "kind"),
    "notice": ("ops.playbook_notices", "key", "severity || ': ' || title"),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """Something a step would do. `what` is its kind, `words` tell it, `detail` is the row that would have been
    written, or the request a vendor would have been given."""

    step: str
    what: str
    words: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a run would be: the record, and every effect in order."""

    as_of: datetime
    record: dict[str, Any]
    effects: tuple[Effect, ...]

    @property
    def success(self) -> bool:
        return bool(self.record["success"])


def rehearse(machine: Machine, plan: Plan, as_of: datetime, given: Mapping[str, Any] | None = None) -> Rehearsal:
    """Run it as of `as_of` and take everything back. Raises `DataFailure` where a variable does not fit."""
    from psycopg import IsolationLevel

    connection = machine.connect()
    try:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        return _Rehearsing(machine, plan, connection).run(as_of, given)
    finally:
        # A call that hangs may still have it: its transaction ends with it.
        connection.cancel()
        connection.close()


def ticks_since(plan: Plan, zone: str, since: datetime, until: datetime) -> list[datetime]:
    """The moments at which the playbook was due in [since, until): what a dry run of the last days goes through. One
    without a schedule is gone through once a day."""
    from ops_platform.fleet.ticks import ticks_between

    if plan.playbook.triggers.schedule is not None:
        return ticks_between(plan.playbook.triggers.schedule, zone, since, until)
    days = int((until - since) / timedelta(days=1))
    return [until - timedelta(days=days - 1 - place) for place in range(days)] or [until]


class _Rehearsing:
    def __init__(self, machine: Machine, plan: Plan, connection: psycopg.Connection[Any]) -> None:
        self._machine, self._plan, self._connection = machine, plan, connection
        self._effects: list[Effect] = []

    def run(self, as_of: datetime, given: Mapping[str, Any] | None) -> Rehearsal:
        connection = self._connection
        connection.execute("create temporary table rehearsal_seen (what text, key text) on commit drop")
        for what, (table, key, _) in _EFFECTS.items():
            connection.execute(f"insert into rehearsal_seen select %s, {key}::text from {table}".encode(), (what,))
        execution = open_new(
            connection, self._plan, kind="dry_run", key=f"dry:{as_of.isoformat()}:{record.wall_clock().isoformat()}",
            as_of=as_of, given=given,
        )  # fmt: skip
        results: dict[str, ToolOutput] = {}
        settled: dict[str, record.StepRow] = {}
        for step_id in self._plan.order:
            decision = decide(self._plan, step_id, settled)
            if decision != "run":
                record.skip(connection, execution.id, step_id, decision)
            else:
                standing = Standing(dict(results), {name: row.status for name, row in settled.items()})
                self._step(execution, step_id, standing, results)
            settled = {
                row.step_id: row for row in record.steps(connection, execution.id) if row.status in record.SETTLED
            }
        record.close(connection, execution.id, None)
        made = record.as_record(record.load(connection, execution.id), record.steps(connection, execution.id))
        connection.rollback()
        return Rehearsal(as_of, made, tuple(self._effects))

    def _step(
        self, execution: record.Execution, step_id: str, standing: Standing, results: dict[str, ToolOutput]
    ) -> None:
        import uuid

        step = self._plan.steps[step_id]
        house = self._machine.house
        runner = house.runners.of(step.type)
        seconds = step.timeout_seconds or runner.timeout_seconds(step, house.tools)
        holder = uuid.uuid4()
        number = record.begin(self._connection, execution.id, step_id, holder)
        assert number is not None
        settle = partial(record.settle, self._connection, execution.id, step_id, holder=holder, attempt=number)
        try:
            result = within(seconds, lambda: self._attempt(execution, step_id, number, standing, seconds), name=step_id)
        except DeadlineExceededError:
            raise DataFailure(f"{step_id} took longer than {seconds} s: the dry run ends here") from None
        except OpsError as error:
            settle(status="failed", reason=str(error))
        except Exception as error:
            settle(status="failed", reason=f"{type(error).__name__}: {error}"[:2000])
        else:
            results[step_id] = result
            settle(status="ran", result=as_json(result))
        self._note_effects(step_id)

    def _attempt(
        self, execution: record.Execution, step_id: str, number: int, standing: Standing, seconds: float
    ) -> ToolOutput:
        import psycopg

        step, house = self._plan.steps[step_id], self._machine.house
        reads = house.runners.of(step.type).effect(step, house.tools) == "reads"
        with self._connection.transaction() as savepoint:
            self._connection.execute(f"set local statement_timeout = {int(seconds * 1000)}".encode())
            if reads:
                self._connection.execute("set local transaction_read_only = on")
            result = attempt(
                self._plan, house, execution, step_id, number, standing, self._connection, zone=self._machine.zone,
                deadline=record.wall_clock() + timedelta(seconds=seconds), doors=self._doors(execution, step_id),
            )  # fmt: skip
            if reads:
                raise psycopg.Rollback(savepoint)
        return result

    def _doors(self, execution: record.Execution, step_id: str) -> Doors:
        def effect(name: str, request: Mapping[str, Any], do: Callable[[str], Any], look_up: Any = None) -> None:
            self._effects.append(Effect(step_id, "vendor", f"would do {name}", dict(request)))

        def variant_of(unit: str) -> Arm | None:
            experiment = self._plan.playbook.experiment
            if experiment is None:
                return None
            name = variants.arm_of(self._plan.playbook.id, experiment, unit)
            return Arm(experiment.name, name, dict(experiment.arms[name].variables))

        def connect() -> psycopg.Connection[Any]:
            raise TransientFailure("a dry run writes nothing beside its transaction")

        return Doors(
            connect=connect, once=effect, spend=lambda tokens: None, variant_of=variant_of, dry_run=True,
            log=lambda line: self._machine.log(f"{step_id}: {line}"),
        )  # fmt: skip

    def _note_effects(self, step_id: str) -> None:
        """What stands in the tables of effects that did not before."""
        for what, (table, key, words) in _EFFECTS.items():
            rows = self._connection.execute(
                f"""with new as (
                       select {key}::text as key, {words} as words, to_jsonb(made) as detail from {table} as made
                       where not exists (
                           select from rehearsal_seen as seen where seen.what = %(what)s and seen.key = made.{key}::text
                       )
                   ), noted as (insert into rehearsal_seen select %(what)s, key from new)
                   select words, detail from new order by key""".encode(),
                {"what": what},
            ).fetchall()
            self._effects += [Effect(step_id, what, words or what, detail) for words, detail in rows]
