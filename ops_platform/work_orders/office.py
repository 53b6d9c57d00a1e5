"""What moving work orders needs beside the order: the warehouse, the policy, GitHub's writing side, a model, people.

Belongs here: holding these together, the same for a run, a coordinator, a terminal and a test. Does not belong here:
making them from settings (`jobs/work_office.py`), what is done with them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform import clock
from ops_platform.work_orders.ledger import SETTLE

if TYPE_CHECKING:
    import psycopg

    from ops_platform.approvals.inbox import Inbox
    from ops_platform.fleet import Fleet
    from ops_platform.work_orders.agents.model import Answer
    from ops_platform.work_orders.applying import GitHubWrites
    from ops_platform.work_orders.model import Received, WorkOrder
    from ops_platform.work_orders.policy import WorkPolicy

Connect = Callable[[], "psycopg.Connection[Any]"]
#: Takes in what webhooks brought and, where it is asked for, polls as well: what came of it, and problems in words.
Intake = Callable[[bool], "tuple[list[Received], list[str]]"]
#: Makes an agent's answer on a connection of its own and leaves committing to the caller.
Answering = Callable[["WorkOrder", "psycopg.Connection[Any]"], "Answer"]
#: Has the answer to an order made and staged for its holder elsewhere; raises what the answer raised.
Apart = Callable[["WorkOrder", str], None]


@dataclass(frozen=True, slots=True)
class Office:
    """`github` is None where no writing token is connected: nothing is claimed then, for nothing could be posted.
    `answering` is the agents' side. `apart` has an answer made and staged for the holder of an order in a process that
    holds no vendor's token (`apart.py`); None: it is made here. `now` is the company's clock; leases and effects
    follow the machine's. `intake` is None where GitHub is not read. `lease_seconds` is how long a worker may be
    silent, `settle` how long a request of a killed one may still be under way. `patience` is how long an attempt waits
    where GitHub asks to, at most, in seconds. In a `simulated` office leases follow `now` as well: its time does not
    pass by itself."""

    connect: Connect
    policy: WorkPolicy
    fleet: Fleet
    inbox: Inbox
    github: GitHubWrites | None
    answering: Answering
    apart: Apart | None = None
    intake: Intake | None = None
    now: Callable[[], datetime] = clock.now
    log: Callable[[str], None] = lambda line: None
    lease_seconds: int = 120
    settle: timedelta = SETTLE
    patience: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    simulated: bool = False

    @property
    def at(self) -> datetime | None:
        """The moment for the store's functions: None where leases follow the machine's clock."""
        return self.now() if self.simulated else None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.fleet.company.timezone)
