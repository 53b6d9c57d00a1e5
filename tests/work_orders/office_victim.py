"""A process that takes a turn and works off the queue, and may be killed at a named point, or the next one after it.

Belongs here: one life. Does not belong here: what must be true afterwards (`test_office_kill.py`).
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any


def life(dsn: str, environment: dict[str, str], at: str, failpoint: str | None) -> None:
    """Intake, attempts, decisions, labels: what `ops coordinator --once` does, at the moment `at`."""
    import psycopg

    from ops_platform.work_orders import coordinator
    from tests.work_orders.office_world import Clock, office_on

    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint

    def connect() -> Any:
        return psycopg.connect(dsn, options="-c timezone=UTC")

    office = office_on(connect, environment, Clock(datetime.fromisoformat(at)))
    coordinator.turn(office)
    coordinator.work_off(office)
    coordinator.turn(office)


def one_attempt(dsn: str, environment: dict[str, str], at: str, work_id: int, failpoint: str) -> None:
    """One attempt at one order, killed at `failpoint`."""
    import psycopg

    from ops_platform.work_orders import processing
    from tests.work_orders.office_world import Clock, office_on

    os.environ["OPS_FAILPOINT"] = failpoint

    def connect() -> Any:
        return psycopg.connect(dsn, options="-c timezone=UTC")

    processing.process(office_on(connect, environment, Clock(datetime.fromisoformat(at))), work_id)
