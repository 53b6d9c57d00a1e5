"""`ops work run`, `ops coordinator`: attempts and turns in this process.

Belongs here: a run of one order on the real Dagster instance, turns once or continuously, what they print. Does not
belong here: what an attempt or a turn does (`ops_platform.work_orders`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import click

from ops_platform.commands.safe_text import printable
from ops_platform.commands.work import as_record, office_here
from ops_platform.failures import ConfigurationError
from ops_platform.settings import get_settings, reset_settings

if TYPE_CHECKING:
    from ops_platform.work_orders.coordinator import Turn
    from ops_platform.work_orders.office import Office


def run(number: int, *, as_json: bool) -> int:
    """One attempt at one order, now, as a Dagster run in this process. 0 where the order is answered or done, or was
    nobody's to take."""
    from ops_platform.commands.prepare import prepare
    from ops_platform.work_orders.rows import load

    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", module="dagster.*")
    logging.getLogger("dagster").setLevel(logging.ERROR)
    os.environ["OPS_BOT"] = "coordinator"
    reset_settings()
    prepare()
    from dagster import DagsterInstance

    from jobs.work_orders import work_order_job
    from ops_platform.database import connect
    from ops_platform.instance.launcher import WORKER_TAG
    from ops_platform.instance.processes import identity
    from ops_platform.work_orders.queue import AGENT_TAG, ATTEMPT_TAG, ORDER_TAG, PRIORITY_TAG

    with connect() as connection:
        work = load(connection, number)
    logs = get_settings().ops_home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    tags = {
        ORDER_TAG: str(number), ATTEMPT_TAG: str(work.attempt + 1), AGENT_TAG: work.agent,
        PRIORITY_TAG: str(work.priority), "ops/started_by": "directly", WORKER_TAG: identity(os.getpid()),
    }  # fmt: skip
    with (
        DagsterInstance.get() as instance,
        (logs / f"work_order_{number}.log").open("w", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
    ):
        work_order_job().execute_in_process(
            instance=instance, raise_on_error=False, tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
    with connect() as connection:
        after = load(connection, number)
    if as_json:
        click.echo(json.dumps(as_record(after), default=str, indent=2))
    else:
        why = f": {printable(after.reason)}" if after.reason else ""
        click.echo(f"#{number} {after.name}: {after.phase}{why}")
    return 1 if after.phase in ("failed", "blocked") else 0


# The coordinator --------------------------------------------------------------------------------------------


def once(*, as_json: bool) -> int:
    """One turn, and everything that is due worked off here. 0 where nothing of it failed."""
    from jobs.work_office import deliver
    from ops_platform.work_orders import coordinator, queue

    office = _ready()
    done = coordinator.turn(office)
    worked = coordinator.work_off(office)
    if worked:
        # What they ended as is shown, and what the manager has to decide is asked.
        after = coordinator.turn(office)
        done.problems += [each for each in after.problems if each not in done.problems]
    deliver(office)
    with office.connect() as connection:
        queue.publish_agents(connection, office.policy, office.now())
        connection.commit()
        now_standing = coordinator.standing(connection)
    failed = [each for each in worked if each.phase in ("failed", "blocked")]
    if as_json:
        made: dict[str, Any] = {
            "turn": str(done), "problems": done.problems, "standing": now_standing,
            "worked": [
                {"work": each.work_id, "phase": each.phase, "attempt": each.attempt, "seconds": round(each.seconds, 3),
                 "words": each.words} for each in worked
            ],
        }  # fmt: skip
        click.echo(json.dumps(made, default=str, indent=2))
    else:
        click.echo(f"Turn: {done}")
        for each in worked:
            click.echo(
                f"  #{each.work_id} {each.phase or 'left alone'} in {each.seconds:.1f} s {printable(each.words)[:200]}"
            )
        for problem in done.problems:
            click.secho(f"  ✗ {printable(problem)}", fg="yellow")
        told = ", ".join(f"{count} {phase}" for phase, count in now_standing.items() if count)
        click.echo(f"Orders: {told or 'none'}")
    return 1 if done.problems or failed else 0


def monitor(*, every: float | None, direct: bool) -> int:
    """Turn after turn until a signal. With `direct` a P0 gets a process at once and Dagster runs the rest."""
    from ops_platform.work_orders import coordinator

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    office = _ready()
    seconds = every or office.policy.intake.poll_every.total_seconds()
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    how = "P0 in a process of its own, the rest by Dagster" if direct else "every order is worked off here"
    click.echo(f"the coordinator looks every {seconds:.0f} s; {how}")
    coordinator.monitor(
        office, every=seconds, stopping=stopping.wait, after=lambda done: _after(office, done), direct=direct
    )
    return 0


def _after(office: Office, done: Turn) -> None:
    from jobs.work_office import deliver
    from ops_platform.work_orders.queue import publish_agents

    if str(done) != "nothing new":
        logging.getLogger(__name__).info("%s", done)
        for problem in done.problems:
            logging.getLogger(__name__).warning("%s", problem)
    with office.connect() as connection:
        publish_agents(connection, office.policy, office.now())
        waiting = connection.execute(
            "select exists (select from ops.outbox where kind in ('work_order', 'approval') and state = 'pending')"
        ).fetchone()
        connection.commit()
    if waiting is not None and waiting[0]:
        deliver(office)


def _ready() -> Office:
    office = office_here()
    if office.intake is None:
        raise ConfigurationError(
            "no repository has work orders: set GITHUB_REPOSITORY and GITHUB_TOKEN (docs/work_orders.md)"
        )
    if office.github is None:
        raise ConfigurationError("work orders cannot be answered: set GITHUB_WRITE_TOKEN (docs/connect/github.md)")
    return office
