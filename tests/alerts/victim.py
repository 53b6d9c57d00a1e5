"""What a process does in the kill tests: one turn of the machine and one action, then it ends."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from ops_platform.alerts.actions import Action, Request, act
from ops_platform.alerts.cycle import handle
from tests.alerts.scenes import CHANNELS, MORNING, compose, fleet, signal


def connect_to(dsn: str) -> Any:
    import psycopg

    return psycopg.connect(dsn, options="-c timezone=UTC")


def day(dsn: str, number: int, failpoint: str = "") -> None:
    """Day `number` of an incident that begins, worsens, eases and ends, again and again; and somebody takes it."""
    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint
    found = ("breached", "breached", "clear", "clear")[number % 4]
    closeness = ("2", "6", None, None)[number % 4]
    looks = [signal(name, found, number, closeness=closeness) for name in ("net_sales", "cash")]
    now: datetime = looks[0].observed_at
    with connect_to(dsn) as connection:
        handle(connection, looks, now, fleet=company(), compose=compose, channels=CHANNELS.__getitem__)
    with connect_to(dsn) as connection:
        (standing,) = connection.execute("select max(id) from ops.alerts where state <> 'resolved'").fetchone()
        if standing is not None:
            request = Request(Action.ACKNOWLEDGE, "kim", "cli", f"day {number}", alert_id=standing)
            act(connection, request, now, fleet=company(), compose=compose)


def company() -> Any:
    return fleet(flapping={"after": 1000})


def moments(count: int) -> list[datetime]:
    from datetime import timedelta

    return [MORNING + timedelta(days=number) for number in range(count)]
