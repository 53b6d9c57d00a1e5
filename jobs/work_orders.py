"""A work order as a Dagster run: claimed, answered and staged, posted, reported, an op each.

Belongs here: an op's part in the attempt, the run's tags. Does not belong here: what an attempt does
(`ops_platform.work_orders.processing`), when runs start (`sensors/work_orders.py`, the coordinator), the office
(`work_office.py`).

One job for all agents: which order a run is for stands in its tags, and which agent that is in the order. An answer and
its staged effects are one transaction, hence one op. A run that finds its order taken, withdrawn or without a place
ends without a word: the table decides, not Dagster. A run that dies is not run again: the order is, when its lease is
over.
"""

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dagster import (
    DependencyDefinition,
    Failure,
    GraphDefinition,
    In,
    JobDefinition,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    Output,
    in_process_executor,
)

from ops_platform.work_orders.queue import JOB, ORDER_TAG

if TYPE_CHECKING:
    from ops_platform.work_orders.office import Office
    from ops_platform.work_orders.processing import Attempt

#: Gives a run its office; it is handed where lines go.
OfficeOf = Callable[[Callable[[str], None]], "Office"]
#: Writing to GitHub is done by one run at a time, as GitHub asks; it takes seconds.
WRITING_POOL = "github_writing"
MAX_RUNTIME_SECONDS = 1500
_STEPS = ("claim", "answer", "post", "report")
_ABOUT = {
    "claim": "Takes the order up under a lease, says so at the issue, tells the project manager of a P0 or P1.",
    "answer": "Has the agent answer from the warehouse, without any token of GitHub's, and stages what it proposes.",
    "post": "Does each staged effect once, then says that the order is answered, done or blocked.",
    "report": "Shows how it ended: labels, card, closing what is done; delivers what people are told.",
}

_holds: dict[str, "Attempt"] = {}
_guard = threading.Lock()


def work_order_job(office: OfficeOf | None = None) -> JobDefinition:
    """The job; `office` gives a run its office, by default the company's."""
    made = office or _company_office
    ops = [_op(step, place, made) for place, step in enumerate(_STEPS)]
    dependencies: dict[str, Any] = {
        f"work_order_{step}": {"after": DependencyDefinition(f"work_order_{_STEPS[place - 1]}", "done")}
        for place, step in enumerate(_STEPS)
        if place
    }
    graph = GraphDefinition(
        name=JOB, node_defs=ops, dependencies=dependencies, description="One attempt of an agent at one work order."
    )
    return graph.to_job(
        name=JOB,
        executor_def=in_process_executor,
        tags={
            "dagster/max_runtime": str(MAX_RUNTIME_SECONDS), "dagster/max_retries": "0", "bot": "coordinator",
            "job": JOB,
        },
    )  # fmt: skip


def _company_office(log: Callable[[str], None]) -> "Office":
    from jobs.work_office import company_office

    return company_office(log)


def _op(step: str, place: int, office: OfficeOf) -> OpDefinition:
    does = {"claim": _claim, "answer": _answer, "post": _post, "report": _report}[step]

    def compute(context: OpExecutionContext, inputs: Any) -> Iterator[Output[None]]:
        yield from does(context, office)

    return OpDefinition(
        compute_fn=compute, name=f"work_order_{step}", ins={"after": In(Nothing)} if place else {},
        outs={"done": Out(Nothing, is_required=False)}, description=_ABOUT[step],
        pool=WRITING_POOL if step == "post" else None,
    )  # fmt: skip


# A run ------------------------------------------------------------------------------------------------------


def _claim(context: OpExecutionContext, office: OfficeOf) -> Iterator[Output[None]]:
    from ops_platform.work_orders.processing import claimed, holder_name

    number = int(context.run.tags[ORDER_TAG])
    its = office(context.log.info)
    attempt = claimed(its, number, holder_name(context.run_id), run_id=context.run_id)
    if attempt is None:
        why = "nothing to do" if its.github is not None else "GitHub's writing side is not connected"
        context.log.info(f"work order {number}: {why}; somebody else has it, or it is not to be worked on now")
        return
    attempt.__enter__()
    with _guard:
        _holds[context.run_id] = attempt
    with _Failing(context, attempt):
        attempt.take_up()
    metadata: dict[str, Any] = {
        "work_order": attempt.work.name, "agent": attempt.work.agent, "priority": str(attempt.work.priority),
        "attempt": attempt.work.attempt,
    }  # fmt: skip
    yield Output(None, "done", metadata=metadata)


def _answer(context: OpExecutionContext, office: Any) -> Iterator[Output[None]]:
    attempt = _holds[context.run_id]
    with _Failing(context, attempt):
        attempt.make_answer()
    kept = attempt.kept
    assert kept is not None
    yield Output(
        None, "done",
        metadata={
            "ends": kept.ends, "written by": kept.note or "-", "tokens": kept.tokens, "cost_usd": float(kept.cost),
            "document": kept.document_id or 0, "reason": kept.reason or "-",
        },
    )  # fmt: skip


def _post(context: OpExecutionContext, office: Any) -> Iterator[Output[None]]:
    attempt = _holds[context.run_id]
    with _Failing(context, attempt):
        attempt.post()
    yield Output(None, "done", metadata={"phase": str(attempt.work.phase)})


def _report(context: OpExecutionContext, office: Any) -> Iterator[Output[None]]:
    attempt = _holds[context.run_id]
    attempt.report()
    _let_go(context.run_id)
    deliver_now(attempt.office)
    ended = attempt.done()
    if ended.phase == "blocked":
        raise Failure(f"{attempt.work.name} is blocked: {ended.words}", allow_retries=False)
    yield Output(None, "done", metadata={"phase": str(ended.phase), "seconds": round(ended.seconds, 3)})


class _Failing:
    """A step that raises is a failed attempt, written down, and a red run."""

    def __init__(self, context: OpExecutionContext, attempt: "Attempt") -> None:
        self._context, self._attempt = context, attempt

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or not isinstance(error, Exception):
            return
        ended = self._attempt.failed(error)
        _let_go(self._context.run_id)
        deliver_now(self._attempt.office)
        again = "it is tried again" if ended.phase == "queued" else f"it is {ended.phase}"
        raise Failure(f"{self._attempt.work.name}: {ended.words}; {again}", allow_retries=False) from error


def _let_go(run_id: str) -> None:
    with _guard:
        attempt = _holds.pop(run_id, None)
    if attempt is not None:
        attempt.__exit__(None, None, None)


def deliver_now(office: "Office") -> None:
    """Send what was put in the outbox; what cannot be sent now, the outbox's sensor sees to."""
    from jobs.work_office import deliver

    deliver(office)
