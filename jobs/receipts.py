"""The receipt that every run of a job writes, whatever becomes of it.

Belongs here: the hooks by which a run notes that it began and that it failed. Does not belong here: what it looked at
and said (the asset that ends the job settles that), runs that were killed (`sensors/failures.py`).

A receipt that cannot be written does not fail the run it is about: the sensor writes it later.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster import HookContext, HookDefinition, failure_hook, success_hook

if TYPE_CHECKING:
    import psycopg

Write = Callable[["psycopg.Connection[Any]", str, "str | None", datetime, datetime], object]


@success_hook(name="receipt_begins")
def receipt_begins(context: HookContext) -> None:
    """The first step that succeeds says that the run is under way; later ones change nothing."""
    from ops_platform.alerts import receipts

    def begun(connection: "psycopg.Connection[Any]", job: str, bot: str | None, now: datetime, as_of: datetime) -> None:
        started = context.instance.get_run_stats(context.run_id).start_time
        at = now if started is None else datetime.fromtimestamp(started, UTC)
        receipts.begin(connection, context.run_id, job, bot=bot, at=at, as_of=as_of)

    _write(context, begun)


@failure_hook(name="receipt_of_failure")
def receipt_of_failure(context: HookContext) -> None:
    """A step failed: the run's receipt says which and why."""
    from ops_platform.alerts import receipts

    error = context.op_exception
    why = "failed" if error is None else " ".join(str(error.__cause__ or error).split())
    _write(
        context,
        lambda connection, job, bot, now, as_of: receipts.fail(
            connection, context.run_id, job, bot=bot, at=now, as_of=as_of, error=f"{context.step_key}: {why}"
        ),
    )


def _write(context: HookContext, write: Write) -> None:
    """Write by a connection of its own; what goes wrong with that is logged and nothing more."""
    from ops_platform import clock
    from ops_platform.database import connect

    try:
        run = context.instance.get_run_by_id(context.run_id)
        tags = run.tags if run is not None else {}
        with connect() as connection:
            write(connection, tags.get("job", context.job_name), tags.get("bot"), datetime.now(UTC), clock.now())
    except Exception as error:
        context.log.warning(f"the run's receipt could not be written: {error}")


RECEIPT_HOOKS: frozenset[HookDefinition] = frozenset({receipt_begins, receipt_of_failure})
