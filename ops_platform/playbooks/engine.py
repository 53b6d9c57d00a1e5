"""Running a playbook: each step once, in order, in parallel where nothing stands between them, through any kill.

Belongs here: opening an execution, holding it, the rules of what runs, retries and timeouts, each step's transaction.
Does not belong here: what a step does (`runners/`), SQL (`record.py`), Dagster (`jobs/playbooks.py`).

What a step writes commits together with the note that it ran: a process that dies in between has done neither, and the
next one does it again. A step that only reads has a read-only transaction. What goes to a vendor at once goes through
`effects.once`. One process holds an execution, by a lock of its session in PostgreSQL; a stopped one that wakes up
after it lost the lock cannot settle a step any more.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform.deadlines import DeadlineExceededError, within
from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure, OpsError, TransientFailure
from ops_platform.playbooks import record, variants, versions
from ops_platform.playbooks.attempt import Doors, Standing, as_json, attempt, from_json, key_of
from ops_platform.playbooks.checks import House
from ops_platform.playbooks.effects import UnclearEffectError, once
from ops_platform.playbooks.plan import Plan
from ops_platform.playbooks.record import EXECUTION_LOCK, Execution, LostHoldError, TriggerKind, wall_clock
from ops_platform.playbooks.rules import decide
from ops_platform.playbooks.variables import resolve
from ops_platform.redaction import without_secrets

if TYPE_CHECKING:
    import psycopg

    from ops_platform.playbooks.tools import Arm, ToolOutput

AT_ONCE = 4
MOST_HOLDS = 5
REASON_MOST = 2000
STOPPED_SECONDS = 30
LET_GO_SECONDS = 30.0
# Sessions that hold an execution to the end of the process.
_KEPT: list[Any] = []
_LATE = "the playbook took longer than its"


@dataclass(frozen=True)
class Machine:
    """What running needs beside a plan: the warehouse, the tools and runners, the company's zone, where lines go."""

    connect: Callable[[], psycopg.Connection[Any]]
    house: House
    zone: str
    log: Callable[[str], None] = lambda line: None


def start(
    machine: Machine,
    plan: Plan,
    *,
    kind: TriggerKind,
    key: str,
    as_of: datetime,
    given: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> Execution:
    """The execution of this trigger, opened if it is new. Raises `DataFailure` where the playbook is disabled, a
    variable does not fit, or the file was changed under a version that ran."""
    with machine.connect() as connection:
        before = record.by_key(connection, key)
        if before is not None:
            return before
        opened = open_new(connection, plan, kind=kind, key=key, as_of=as_of, given=given, run_id=run_id)
        failpoint("playbooks.opened")
    failpoint("playbooks.opened_committed")
    return opened


def open_new(
    connection: psycopg.Connection[Any],
    plan: Plan,
    *,
    kind: TriggerKind,
    key: str,
    as_of: datetime,
    given: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> Execution:
    """Open an execution in the caller's transaction. Raises as `start` does."""
    playbook = plan.playbook
    if not playbook.enabled and kind != "dry_run":
        raise DataFailure(f"{playbook.id} is disabled: set `enabled: true` in its file")
    versions.register(connection, plan.source)
    experiment, arm, changes = playbook.experiment, None, None
    if experiment is not None and experiment.unit == "execution":
        arm = variants.arm_of(playbook.id, experiment, key)
        changes = experiment.arms[arm].variables
    opened, new = record.open_execution(
        connection, playbook, plan.source.content_hash, kind=kind, key=key, as_of=as_of,
        variables=resolve(playbook, given or {}, changes),
        steps=[(step.id, step.type) for step in playbook.steps],
        experiment=None if experiment is None else experiment.name, arm=arm, run_id=run_id,
    )  # fmt: skip
    if new and arm is not None:
        variants.assign(connection, playbook, key, opened.id, opened.as_of)
    return opened


def run(
    machine: Machine,
    plan: Plan,
    *,
    kind: TriggerKind = "manual",
    key: str,
    as_of: datetime,
    given: Mapping[str, Any] | None = None,
) -> Execution:
    """Start it, or take it up where it stands, and run it to its end. Raises `TransientFailure` where another process
    is running it."""
    execution = start(machine, plan, kind=kind, key=key, as_of=as_of, given=given)
    with Hold(machine, plan, execution) as hold:
        return hold.advance()


def plan_that_ran(machine: Machine, execution: Execution) -> Plan:
    """The plan of the version this execution began with, whatever the file says today."""
    from ops_platform.playbooks.checks import plan_of

    with machine.connect() as connection:
        version = versions.load(connection, execution.playbook_id, execution.version)
    return plan_of(version.source, f"{execution.playbook_id} version {execution.version}", machine.house)


class Hold:
    """A process's hold on an execution: while it lasts, nobody else runs it.

    `advance(step)` runs whatever may run until that step is settled, and without a step until all are; steps between
    which nothing stands run at the same time. A step whose effect is unclear waits for a person, and with it what waits
    for it: the execution then stays open. Use as a context manager; the end of the process ends the hold, too."""

    def __init__(self, machine: Machine, plan: Plan, execution: Execution) -> None:
        if plan.source.content_hash != execution.content_hash:
            raise DataFailure(
                f"execution #{execution.id} began as version {execution.version} with another text:"
                f" `ops playbook resume {execution.id}` ends it as it began"
            )
        self._machine, self._plan, self._execution = machine, plan, execution
        self.execution_id = execution.id
        self._holder = uuid.uuid4()
        self._lock: psycopg.Connection[Any] | None = None
        self._changed = threading.Condition()
        self._running: dict[str, threading.Thread] = {}
        self._settled: dict[str, record.StepRow] = {}
        self._results: dict[str, ToolOutput] = {}
        self._unclear: dict[str, str] = {}
        self._broken: BaseException | None = None
        self._until = time.monotonic() + plan.playbook.timeout_minutes * 60
        self._closed = False

    def __enter__(self) -> Hold:
        lock = self._machine.connect()
        lock.autocommit = True
        row = lock.execute("select pg_try_advisory_lock(%s, %s)", (EXECUTION_LOCK, self._execution.id)).fetchone()
        if row is None or not row[0]:
            lock.close()
            raise TransientFailure(f"execution #{self._execution.id} is being run by another process")
        self._lock = lock
        if not record.take_up(lock, self._execution.id):
            self._closed = True
        self._refresh()
        execution = record.load(lock, self._execution.id)
        if not self._closed and execution.holds > MOST_HOLDS:
            self._end(f"it was taken up {MOST_HOLDS} times and never came to its end")
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let go, once what is under way has come to its end: nobody else may begin what is just being done. What does
        not end in time keeps the execution for as long as this process lives."""
        until = time.monotonic() + LET_GO_SECONDS
        with self._changed:
            running = list(self._running.values())
        for thread in running:
            thread.join(max(until - time.monotonic(), 0.0))
        if self._lock is None:
            return
        if any(thread.is_alive() for thread in running):
            _KEPT.append(self._lock)
        else:
            self._lock.close()
        self._lock = None

    # What runs -------------------------------------------------------------------------------------------

    def advance(self, until: str | None = None) -> Execution:
        """Run until the step is settled (all of them without one) or nothing more can run before a person has spoken;
        the execution as it stands then. Raises what keeps steps from being noted (a database away, a lost hold)."""
        with self._changed:
            while not self._closed:
                if self._broken is not None:
                    raise self._broken
                if len(self._settled) == len(self._plan.order):
                    self._close(None)
                    break
                if until is not None and until in self._settled:
                    # What cannot run any more is said now: nobody may come to ask for it.
                    self._skip_what_cannot()
                    if len(self._settled) == len(self._plan.order):
                        self._close(None)
                    break
                self._begin_what_may()
                if self._running:
                    # In slices, so that an interrupt of this thread is heard.
                    self._changed.wait(0.5)
                elif self._unclear and len(self._settled) < len(self._plan.order):
                    break
        with self._machine.connect() as connection:
            return record.load(connection, self._execution.id)

    def settled(self, step_id: str) -> record.StepRow | None:
        """The step as it was settled; None while it is open."""
        with self._changed:
            return self._settled.get(step_id)

    def unclear(self) -> dict[str, str]:
        """The steps that wait for a person, and what about."""
        with self._changed:
            return {step: words for step, words in self._unclear.items() if step not in self._settled}

    def _begin_what_may(self) -> None:
        out_of_time = time.monotonic() > self._until
        for step_id in self._plan.order:
            if step_id in self._settled or step_id in self._running or step_id in self._unclear:
                continue
            decision = decide(self._plan, step_id, self._settled)
            if decision == "wait":
                continue
            if decision == "run" and out_of_time:
                decision = f"{_LATE} {self._plan.playbook.timeout_minutes} minutes"
            if decision != "run":
                self._skip(step_id, decision)
            elif len(self._running) < AT_ONCE:
                thread = threading.Thread(target=self._carry_out, args=(step_id,), name=f"step {step_id}", daemon=True)
                self._running[step_id] = thread
                thread.start()

    def _skip_what_cannot(self) -> None:
        for step_id in self._plan.order:  # in an order in which a reason comes before what follows from it
            if step_id not in self._settled and step_id not in self._running:
                decision = decide(self._plan, step_id, self._settled)
                if decision not in ("run", "wait"):
                    self._skip(step_id, decision)

    def _skip(self, step_id: str, reason: str) -> None:
        with self._machine.connect() as connection:
            record.skip(connection, self._execution.id, step_id, reason)
        self._machine.log(f"{step_id}: not run: {reason}")
        self._refresh()

    def _close(self, error: str | None) -> None:
        late = [row.reason for row in self._settled.values() if row.status == "skipped" and _out_of_time(row.reason)]
        if error is None and late:
            error = late[0]
        with self._machine.connect() as connection:
            record.close(connection, self._execution.id, error)
        failpoint("playbooks.closed")
        self._closed = True

    def _end(self, error: str) -> None:
        """Give the execution up: what is open is not run any more."""
        with self._machine.connect() as connection:
            record.give_up(connection, self._execution.id, error)
        self._refresh()
        self._closed = True

    def _refresh(self) -> None:
        with self._machine.connect() as connection:
            rows = record.steps(connection, self._execution.id)
        for row in rows:
            if row.status in record.SETTLED and row.step_id not in self._settled:
                if row.status == "ran" and row.result is not None:
                    self._results[row.step_id] = from_json(row.result, self._plan.outputs[row.step_id])
                self._settled[row.step_id] = row

    # One step --------------------------------------------------------------------------------------------

    def _carry_out(self, step_id: str) -> None:
        """In a thread of the step's own: attempts until one settles it."""
        broken = None
        try:
            self._attempts(step_id)
        except BaseException as error:  # told by `advance`, in the thread that waits
            broken = error
        with self._changed:
            try:
                if broken is None:
                    self._refresh()
            except Exception as error:
                broken = error
            if broken is not None:
                self._broken = broken
            self._running.pop(step_id, None)
            self._changed.notify_all()

    def _attempts(self, step_id: str) -> None:
        step = self._plan.steps[step_id]
        runner = self._machine.house.runners.of(step.type)
        tools = self._machine.house.tools
        seconds = step.timeout_seconds or runner.timeout_seconds(step, tools)
        reads = runner.effect(step, tools) == "reads"
        external = runner.effect(step, tools) == "external"
        with self._changed:
            standing = Standing(dict(self._results), {name: row.status for name, row in self._settled.items()})
        for turn in range(1, step.retry.attempts + 1):
            with self._machine.connect() as connection:
                number = record.begin(connection, self._execution.id, step_id, self._holder)
            if number is None:
                return
            failpoint("playbooks.step_begun")
            self._machine.log(f"{step_id}: attempt {number}")
            try:
                self._one(step_id, number, standing, seconds, reads)
                return
            except LostHoldError:
                raise
            except UnclearEffectError as error:
                self._machine.log(f"{step_id}: {error}")
                with self._changed:
                    self._unclear[step_id] = str(error)
                return
            except DeadlineExceededError:
                reason, again = f"it took longer than {seconds} s", not external
            except TransientFailure as error:
                reason, again = str(error), not error.exhausted
            except OpsError as error:
                reason, again = str(error), False
            except (Exception, SystemExit) as error:  # a tool ends its step, not the process
                reason, again = f"{type(error).__name__}: {_words_of(error)}", _is_passing(error)
            wait = step.retry.delay_seconds * step.retry.backoff ** (turn - 1)
            if again and turn < step.retry.attempts and time.monotonic() + wait < self._until:
                self._machine.log(f"{step_id}: {reason}; tried again in {wait:g} s")
                time.sleep(wait)
                continue
            self._fail(step_id, number, reason)
            return

    def _one(self, step_id: str, number: int, standing: Standing, seconds: float, reads: bool) -> None:
        """One attempt, its transaction and its note. What a call that hangs had written is rolled back: its connection
        is taken from it."""
        connection = self._machine.connect()
        try:
            call = partial(self._in_transaction, connection, step_id, number, standing, seconds, reads)
            within(seconds, call, name=step_id)
        except DeadlineExceededError:
            connection.cancel()
            raise
        finally:
            connection.close()

    def _in_transaction(
        self,
        connection: psycopg.Connection[Any],
        step_id: str,
        number: int,
        standing: Standing,
        seconds: float,
        reads: bool,
    ) -> None:
        connection.execute(f"set statement_timeout = {int(seconds * 1000)}".encode())
        # A process that is stopped keeps what it has locked; not for ever.
        idle = int((seconds + STOPPED_SECONDS) * 1000)
        connection.execute(f"set idle_in_transaction_session_timeout = {idle}".encode())
        connection.commit()
        if reads:
            connection.read_only = True
        result = attempt(
            self._plan, self._machine.house, self._execution, step_id, number, standing, connection,
            zone=self._machine.zone, deadline=wall_clock() + timedelta(seconds=seconds), doors=self._doors(step_id),
        )  # fmt: skip
        failpoint("playbooks.step_returned")
        if reads:
            connection.rollback()
            connection.read_only = False
        record.settle(
            connection, self._execution.id, step_id, holder=self._holder, attempt=number, status="ran",
            result=as_json(result),
        )  # fmt: skip
        failpoint("playbooks.step_noted")
        connection.commit()
        failpoint("playbooks.step_settled")

    def _fail(self, step_id: str, number: int, reason: str) -> None:
        # Half a character, as a file's name can have one, is none that PostgreSQL keeps.
        reason = without_secrets(reason).replace("\x00", "").encode("utf-8", "replace").decode()
        reason = " ".join(reason.split())[:REASON_MOST] or "it failed without a word"
        with self._machine.connect() as connection:
            try:
                record.settle(
                    connection, self._execution.id, step_id, holder=self._holder, attempt=number, status="failed",
                    reason=reason,
                )  # fmt: skip
            except LostHoldError:
                # A call that came back in the very moment it was given up has settled the step, and that counts.
                rows = record.steps(connection, self._execution.id)
                if any(row.step_id == step_id and row.status in record.SETTLED for row in rows):
                    return
                raise
        self._machine.log(f"{step_id}: failed: {reason}")

    def _still_held(self) -> None:
        """Raises `LostHoldError` where the session that holds the execution is gone, and with it the lock."""
        import psycopg

        try:
            if self._lock is not None:
                self._lock.execute("select 1")
                return
        except psycopg.Error:
            pass
        raise LostHoldError(f"execution {self._execution.id} may be another's by now: nothing more is done for it here")

    def _doors(self, step_id: str) -> Doors:
        machine, execution = self._machine, self._execution

        def spend(tokens: int) -> None:
            with machine.connect() as connection:
                record.add_tokens(connection, execution.id, step_id, tokens)

        def variant_of(unit: str) -> Arm | None:
            if self._plan.playbook.experiment is None:
                return None
            with machine.connect() as connection:
                return variants.assign(connection, self._plan.playbook, unit, execution.id, execution.as_of)

        def effect(
            name: str,
            request: Mapping[str, Any],
            do: Callable[[str], Any],
            look_up: Callable[[str], Any] | None = None,
        ) -> Any:
            return once(
                machine.connect, execution_id=execution.id, step_id=step_id, key=key_of(execution, step_id),
                name=name, request=request, do=do, look_up=look_up, still_held=self._still_held,
            )  # fmt: skip

        return Doors(
            connect=machine.connect, once=effect, spend=spend, variant_of=variant_of,
            log=lambda line: machine.log(f"{step_id}: {line}"),
        )  # fmt: skip


def _out_of_time(reason: str | None) -> bool:
    return (reason or "").startswith(_LATE)


def _words_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "it cannot say what"


def _is_passing(error: BaseException) -> bool:
    """Whether a failure of the database's may be gone the next time."""
    import psycopg

    return isinstance(error, psycopg.OperationalError)
