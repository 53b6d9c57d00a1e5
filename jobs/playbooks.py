"""Playbooks as Dagster jobs: one op a step, its edges as the file has them, so that the graph is the playbook.

Belongs here: turning a plan into a graph, an op's part in the engine's run. Does not belong here: the rules of what
runs and every effect (`ops_platform.playbooks`), when (`sensors/playbooks.py`).

The engine decides; the graph shows. An op asks the engine to run until its step is settled, which also starts steps
beside it, and then gives the outputs of what happened: `ran` for those that need its result, `done` for those that only
wait, `holds` or `does_not_hold` for those that depend on its answer. What gets no input is skipped by Dagster, by the
same rules, and shown as skipped. A run that begins again finds in the record what is settled.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagster import (
    DependencyDefinition,
    Failure,
    Field,
    GraphDefinition,
    In,
    JobDefinition,
    MetadataValue,
    MultiDependencyDefinition,
    NodeInvocation,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    Output,
    Permissive,
    in_process_executor,
)

from ops_platform.playbooks.checks import House
from ops_platform.playbooks.plan import Plan, Waits

# Tags of a run that say which execution it is, for runs that are not started by a schedule's tick.
KEY_TAG, TRIGGER_TAG, EXECUTION_TAG, AS_OF_TAG = (
    "playbook/key", "playbook/trigger", "playbook/execution", "playbook/as_of",
)  # fmt: skip
PLAYBOOK_TAG, VERSION_TAG = "playbook/id", "playbook/version"
_SCHEDULED_TAG, _ROOT_TAG = ".dagster/scheduled_execution_time", "dagster/root_run_id"
_PATIENCE_SECONDS = 60.0
#: A result longer than this is not shown in the run: it stands in the record.
SHOWN_MOST = 20_000
_NEEDS = {"warehouse"}

_holds: dict[str, Any] = {}
_guard = threading.Lock()


def job_name(playbook_id: str) -> str:
    return f"playbook_{playbook_id}"


def playbook_jobs(plans: Mapping[str, Plan], house: Callable[[], House]) -> list[JobDefinition]:
    """A job for each playbook, in order of their ids; `house` gives a run its tools and runners."""
    return [playbook_job(plan, house) for _, plan in sorted(plans.items())]


def playbook_job(plan: Plan, house: Callable[[], House]) -> JobDefinition:
    """The playbook as a job in one process."""
    playbook, its = plan.playbook, _Its(plan, house)
    ops = [_start_op(its), *(_step_op(its, step) for step in playbook.steps), _outcome_op(its)]
    graph = GraphDefinition(
        name=job_name(playbook.id), node_defs=ops, dependencies=_dependencies(plan),
        description=f"{playbook.name}, version {playbook.version}. {playbook.description}".strip(),
    )  # fmt: skip
    return graph.to_job(
        name=job_name(playbook.id),
        executor_def=in_process_executor,
        tags={
            "dagster/max_runtime": str((playbook.timeout_minutes + 5) * 60),
            # A run that dies is taken up by the engine's own sensor, which knows what is settled.
            "dagster/max_retries": "0",
            "bot": playbook.bot, "job": job_name(playbook.id), PLAYBOOK_TAG: playbook.id,
            VERSION_TAG: str(playbook.version),
        },
        metadata={
            "playbook": MetadataValue.md(f"```yaml\n{plan.source.text}\n```"),
            "version": playbook.version, "content_hash": plan.source.content_hash, "owner": playbook.owner,
        },
    )  # fmt: skip


@dataclass(frozen=True)
class _Its:
    """What an op of a playbook's job has beside its step."""

    plan: Plan
    house: Callable[[], House]


# The graph --------------------------------------------------------------------------------------------------


def _dependencies(plan: Plan) -> dict[NodeInvocation, dict[str, Any]]:
    edges: dict[str, dict[str, Any]] = {"start": {}}
    for step in plan.playbook.steps:
        waits = plan.waits[step.id]
        inputs = {f"needs_{other}": DependencyDefinition(other, "ran") for other in sorted(waits.needs)}
        inputs |= {
            _gate(other, wanted): DependencyDefinition(other, "holds" if wanted else "does_not_hold")
            for other, wanted in waits.gates
        }
        edges[step.id] = {**inputs, **({"after": _after(sorted(waits.after))} if _waits_only(waits) else {})}
    edges["outcome"] = {"after": _after(last_steps(plan))}
    # Dagster wants names of ops to be unique in all its jobs; in the graph each has the name it has in the file.
    return {NodeInvocation(_op_name(plan, node), alias=node): inputs for node, inputs in edges.items()}


def _waits_only(waits: Waits) -> bool:
    """Whether the step has an edge by which nothing is decided: it comes after another, or after nothing."""
    return bool(waits.after) or not (waits.needs or waits.gates)


def _after(steps: Sequence[str]) -> MultiDependencyDefinition:
    """Waits for all of these, and is skipped only if none of them is there; `start` always is."""
    return MultiDependencyDefinition(
        [DependencyDefinition("start", "started"), *(DependencyDefinition(step, "done") for step in steps)]
    )


def last_steps(plan: Plan) -> list[str]:
    """The steps for which no other waits: when they are over, all are."""
    waited_for = frozenset().union(*(waits.all for waits in plan.waits.values()))
    return [step.id for step in plan.playbook.steps if step.id not in waited_for]


def _gate(condition: str, wanted: bool) -> str:
    return f"{'when' if wanted else 'unless'}_{condition}"


def _op_name(plan: Plan, node: str) -> str:
    return f"{plan.playbook.id}__{node}"


def _start_op(its: _Its) -> OpDefinition:
    plan = its.plan
    kinds: Mapping[str, Any] = {"text": str, "integer": int, "boolean": bool, "list": list}
    variables = {
        name: Field(kinds.get(variable.type, float), is_required=False, description=variable.description or None)
        for name, variable in plan.playbook.variables.items()
    }

    def compute(context: OpExecutionContext, inputs: Mapping[str, Any]) -> Iterator[Output[None]]:
        hold = _hold_of(context, its, context.op_config.get("variables") or {})
        yield Output(None, "started", metadata={"execution": hold.execution_id, "version": plan.playbook.version})

    return OpDefinition(
        compute_fn=compute, name=_op_name(plan, "start"), ins={}, required_resource_keys=_NEEDS,
        outs={"started": Out(Nothing)},
        config_schema={"variables": Field(variables or Permissive(), is_required=False)},
        description="Opens the execution, or takes up the one that a killed process left.",
    )  # fmt: skip


def _step_op(its: _Its, step: Any) -> OpDefinition:
    waits = its.plan.waits[step.id]
    ins = {f"needs_{other}": In(Nothing) for other in waits.needs}
    ins |= {_gate(other, wanted): In(Nothing) for other, wanted in waits.gates}
    ins |= {"after": In(Nothing)} if _waits_only(waits) else {}
    outs = {name: Out(Nothing, is_required=False) for name in ("ran", "done")}
    if step.type == "condition":
        outs |= {name: Out(Nothing, is_required=False) for name in ("holds", "does_not_hold")}

    def compute(context: OpExecutionContext, inputs: Mapping[str, Any]) -> Iterator[Output[None]]:
        yield from _carry_out(context, its, step)

    return OpDefinition(
        compute_fn=compute, name=_op_name(its.plan, step.id), ins=ins, outs=outs, description=_describe(step),
        required_resource_keys=_NEEDS,
        tags={"kind": step.type, "dagster/compute_kind": _kind(step)},
    )  # fmt: skip


def _outcome_op(its: _Its) -> OpDefinition:
    def compute(context: OpExecutionContext, inputs: Mapping[str, Any]) -> Iterator[Output[None]]:
        yield from _conclude(context, its)

    return OpDefinition(
        compute_fn=compute, name=_op_name(its.plan, "outcome"), ins={"after": In(Nothing)},
        outs={"result": Out(Nothing)},
        required_resource_keys=_NEEDS,
        description="Says how it ended; red where any step failed, whatever it said to do on an error.",
    )  # fmt: skip


def _kind(step: Any) -> str:
    return str(step.tool if step.type == "tool_call" else step.type)


def _describe(step: Any) -> str:
    """What the step is, in the words of the file."""
    what = {
        "tool_call": lambda: f"calls {step.tool}", "delegate": lambda: f"hands a task to {step.role}",
        "synthesize": lambda: f"writes {step.report} over {', '.join(step.results)}",
        "notify": lambda: f"tells people ({step.severity})", "create_thread": lambda: f"opens a {step.thread} thread",
        "condition": lambda: f"asks: {step.if_}",
    }[step.type]()  # fmt: skip
    return f"{step.name or step.id}: {what}"


# A run ------------------------------------------------------------------------------------------------------


def _carry_out(context: OpExecutionContext, its: _Its, step: Any) -> Iterator[Output[None]]:
    hold = _hold_of(context, its, {})
    execution = hold.advance(step.id)
    row = hold.settled(step.id)
    if execution.state != "running":
        _let_go(context.run_id)
    if row is None:
        # It waits for a person's word: what does not wait for it runs now, and the run ends; another takes it up.
        hold.advance()
        _let_go(context.run_id)
        _deliver(context)
        words = "; ".join(hold.unclear().values()) or "it waits for a step that waits for a person"
        raise Failure(words, metadata={"execution": execution.id}, allow_retries=False)
    if row.status == "skipped":
        context.log.warning(f"not run: {row.reason}")
        return
    metadata = {
        "status": row.status, "attempts": row.attempts, "tokens": row.tokens, "duration_ms": row.duration_ms or 0,
    }  # fmt: skip
    if row.status == "failed":
        if step.on_error != "continue":
            raise Failure(row.reason, metadata=metadata, allow_retries=False)
        context.log.error(f"failed, and the playbook goes on: {row.reason}")
        yield Output(None, "done", metadata={**metadata, "reason": row.reason})
        return
    result: Any = MetadataValue.json(row.result)
    if len(str(row.result)) > SHOWN_MOST:
        result = f"ops playbook history --execution {execution.id}"
    if step.type == "condition":
        yield Output(None, "holds" if row.result["holds"] else "does_not_hold")
    yield Output(None, "ran", metadata={**metadata, "result": result})
    yield Output(None, "done")


def _conclude(context: OpExecutionContext, its: _Its) -> Iterator[Output[None]]:
    from ops_platform.playbooks import record

    hold = _hold_of(context, its, {})
    execution = hold.advance()
    _let_go(context.run_id)
    _measure(context, its)
    _deliver(context)
    with context.resources.warehouse.connect() as connection:
        told = record.as_record(execution, record.steps(connection, execution.id))
    metadata = {"record": MetadataValue.json(told), "execution": execution.id}
    if not execution.success:
        raise Failure(execution.error or "it failed", metadata=metadata, allow_retries=False)
    yield Output(None, metadata=metadata)


def _hold_of(context: OpExecutionContext, its: _Its, given: Mapping[str, Any]) -> Any:
    """This run's hold on its execution, taken by whichever op comes first in this process."""
    with _guard:
        hold = _holds.get(context.run_id)
        if hold is None:
            hold = _take(context, its, given)
            _holds[context.run_id] = hold
        return hold


def _let_go(run_id: str) -> None:
    with _guard:
        hold = _holds.get(run_id)
    if hold is not None:
        hold.release()


def _take(context: OpExecutionContext, its: _Its, given: Mapping[str, Any]) -> Any:
    from ops_platform import clock
    from ops_platform.fleet import get_fleet
    from ops_platform.playbooks import record
    from ops_platform.playbooks.engine import Hold, Machine, plan_that_ran, start

    plan = its.plan
    machine = Machine(context.resources.warehouse.connect, its.house(), get_fleet().company.timezone, context.log.info)
    tags = context.run.tags
    if EXECUTION_TAG in tags:
        with machine.connect() as connection:
            execution = record.load(connection, int(tags[EXECUTION_TAG]))
    else:
        kind, key, as_of = identity_of(plan.playbook.id, tags, context.run_id)
        execution = start(
            machine, plan, kind=kind, key=key, as_of=as_of or clock.now(), given=given, run_id=context.run_id
        )
    context.log.info(f"execution #{execution.id}, {execution.trigger_kind}, for {execution.as_of.isoformat()}")
    if execution.content_hash != plan.source.content_hash:
        # The file was changed since: it ends as it began, here and at once, and the graph of today has no part in it.
        was = plan_that_ran(machine, execution)
        with Hold(machine, was, execution) as hold:
            ended = hold.advance()
        raise Failure(
            f"execution #{execution.id} ended as version {execution.version}, as it began ({ended.state}); the file is"
            f" version {plan.playbook.version} by now",
            allow_retries=False,
        )
    return Hold(machine, plan, execution).__enter__()


def identity_of(playbook_id: str, tags: Mapping[str, str], run_id: str) -> tuple[Any, str, datetime | None]:
    """(how it was started, the key that makes it once, the moment it is for) of a run. A tick of a schedule is one
    execution, however many runs answer it; a run that is run again goes on with its own."""
    if KEY_TAG in tags:
        moment = tags.get(AS_OF_TAG)
        as_of = datetime.fromisoformat(moment) if moment else None
        return tags.get(TRIGGER_TAG, "manual"), f"{playbook_id}:{tags[KEY_TAG]}", as_of
    if _SCHEDULED_TAG in tags:
        tick = datetime.fromisoformat(tags[_SCHEDULED_TAG]).astimezone(UTC)
        return "schedule", f"{playbook_id}:schedule:{tick.isoformat()}", tick
    return "manual", f"{playbook_id}:run:{tags.get(_ROOT_TAG, run_id)}", None


def _measure(context: OpExecutionContext, its: _Its) -> None:
    """Measure the units of its experiment that are due; that it cannot be done now fails no run."""
    from ops_platform import clock
    from ops_platform.fleet import get_fleet
    from ops_platform.playbooks.engine import Machine
    from ops_platform.playbooks.measuring import measured

    if its.plan.playbook.experiment is None:
        return
    machine = Machine(context.resources.warehouse.connect, its.house(), get_fleet().company.timezone, context.log.info)
    try:
        context.log.info(f"{measured(machine, its.plan, clock.now())} units of its experiment measured")
    except Exception as error:
        context.log.warning(f"its experiment is measured later: {error}")


def _deliver(context: OpExecutionContext) -> None:
    """Send what was put in the outbox; what cannot be sent now, the outbox's sensor sees to."""
    from ops_platform.delivery.worker import deliver
    from ops_platform.settings import get_settings
    from resources.posters import posters_of

    settings, connect = get_settings(), context.resources.warehouse.connect
    try:
        report = deliver(connect, posters_of(settings, connect), patience=_PATIENCE_SECONDS)
        context.log.info(str(report))
    except Exception as error:
        context.log.warning(f"messages are sent later: {error}")


def graph_nodes(plan: Plan) -> Sequence[str]:
    """The ops of the playbook's graph, in order."""
    return ["start", *(step.id for step in plan.playbook.steps), "outcome"]
