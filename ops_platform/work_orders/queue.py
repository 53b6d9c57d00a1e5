"""Which orders get a run now, and a run at once for what cannot wait.

Belongs here: choosing launches by priority and by the places of agents, the tags of a run, starting one directly. Does
not belong here: the order of the queue (`store.next_due`), the run itself (`jobs/work_orders.py`), when this is asked
(`sensors/work_orders.py`, the coordinator).

The table is the truth: a launch is noted in it, so nobody launches the same order twice, and a run that finds its order
taken ends without a word. A P0 does not wait for the daemon: its run is a process of its own that shows in Dagster like
any other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.settings import PROJECT_ROOT
from ops_platform.work_orders import store
from ops_platform.work_orders.model import Priority

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.work_orders.model import WorkOrder
    from ops_platform.work_orders.policy import WorkPolicy

JOB = "work_order"
ORDER_TAG, ATTEMPT_TAG, AGENT_TAG, PRIORITY_TAG = "work/order", "work/attempt", "work/agent", "work/priority"
#: Among the runs that wait in Dagster's queue a larger number goes first. What is on schedule has none, which is 0: a
#: crowd of orders that may take a day does not delay the morning.
PLACES = {Priority.P0: 30, Priority.P1: 20, Priority.P2: -1, Priority.P3: -5}
#: A run that has not claimed its order after so long is taken for lost, and another is launched.
LAUNCH_SECONDS = {Priority.P0: 120, Priority.P1: 900, Priority.P2: 1800, Priority.P3: 1800}
AT_ONCE = 20
#: So many runs of P0 are started directly at the same time; more wait in the queue, ahead of everything.
DIRECT_MOST = 4

_BUSY = """
select agent,
    count(*) filter (where phase = 'running')
    + count(*) filter (where phase = 'queued' and launched_until > %(machine)s) as taken
from ops.work_orders where phase in ('running', 'queued') group by agent
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """A run to be started: `run_key` is its own for ever, `attempt` the one it is to be."""

    work_id: int
    run_key: str
    attempt: int
    agent: str
    priority: Priority

    @property
    def tags(self) -> dict[str, str]:
        """What the run carries: Dagster orders and limits by them."""
        return {
            ORDER_TAG: str(self.work_id), ATTEMPT_TAG: str(self.attempt), AGENT_TAG: self.agent,
            PRIORITY_TAG: str(self.priority), "dagster/priority": str(PLACES[self.priority]),
        }  # fmt: skip


def launches(
    connection: psycopg.Connection[Any],
    policy: WorkPolicy,
    *,
    limit: int = AT_ONCE,
    only: Priority | None = None,
    at: datetime | None = None,
) -> list[Launch]:
    """The next orders to launch a run for, in the caller's transaction, most urgent first: no more of an agent than it
    has places. `only` of one priority."""
    taken = {
        str(agent): int(count)
        for agent, count in connection.execute(_BUSY.encode(), {"machine": at or store.machine_clock()})
    }
    found: list[Launch] = []
    for work in store.next_due(connection, limit * 5, at=at):
        if len(found) == limit or (only is not None and work.priority is not only):
            break  # in the order of priorities: nothing behind it is of `only`
        if taken.get(work.agent, 0) >= places_of(policy, work.agent):
            continue
        key = store.launched(connection, work.id, LAUNCH_SECONDS[work.priority], at=at)
        if key is None:
            continue
        taken[work.agent] = taken.get(work.agent, 0) + 1
        found.append(Launch(work.id, key, work.attempt + 1, work.agent, work.priority))
    return found


def places_of(policy: WorkPolicy, agent: str) -> int:
    """How many orders an agent works on at once; one that the policy does not know has one place."""
    rule = policy.agents.get(agent)
    return 1 if rule is None else rule.limit


def publish_agents(connection: psycopg.Connection[Any], policy: WorkPolicy, at: datetime) -> None:
    """Write the roster with its places where SQL can read it, in the caller's transaction. An equal row is left
    alone."""
    from ops_platform.failures import ConfigurationError
    from ops_platform.work_orders.agents import find

    for name, rule in policy.agents.items():
        try:
            role = find(name)
            label, division = role.label, ",".join(role.scope.divisions) or role.team
        except ConfigurationError:
            label, division = name, "all"
        connection.execute(
            """insert into ops.work_agents (agent, label, division, instances, updated_at) values (%s, %s, %s, %s, %s)
               on conflict (agent) do update set label = excluded.label, division = excluded.division,
                   instances = excluded.instances, updated_at = excluded.updated_at
               where (work_agents.label, work_agents.division, work_agents.instances)
                   is distinct from (excluded.label, excluded.division, excluded.instances)""",
            (name, label, division, rule.limit, at),
        )
    connection.execute("delete from ops.work_agents where agent <> all(%s)", (list(policy.agents),))


def direct_command(work_id: int) -> list[str]:
    """What a directly started run is."""
    return [sys.executable, "-m", "ops_platform.cli", "work", "run", str(work_id)]


def start_directly(work: WorkOrder | Launch) -> subprocess.Popen[bytes]:
    """Start a run for an order in a process of its own, now, without waiting for it. The table keeps two of them
    apart."""
    from ops_platform.settings import get_settings

    number = work.work_id if isinstance(work, Launch) else work.id
    logs = get_settings().ops_home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "work_orders.log").open("ab") as output:
        return subprocess.Popen(
            direct_command(number), cwd=PROJECT_ROOT, env=_environment(), stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, start_new_session=True,
        )  # fmt: skip


def _environment() -> dict[str, str]:
    """Without the secrets that only listeners need."""
    return {name: value for name, value in os.environ.items() if name not in ("CRON_SECRET", "GITHUB_WEBHOOK_SECRET")}
