"""`make bench`, the row of the warehouse: what a day's build costs with one, ten and thirty times the history.

The same day is built on each: its orders come, a few of the last weeks change. Only the history behind it grows. The
figures are the second such day's (the first fills caches and statistics), dbt's process and Postgres' processes
together.

Belongs here: the measurement. Does not belong here: pass or fail (tests).
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

TODAY = datetime(2026, 11, 20, 11, tzinfo=UTC)
DAYS = 60
ORDERS_A_DAY = 100
CHANGED_A_DAY = 40
SCALES = (1, 10, 30)
Row = Callable[..., None]


def orders(chance: random.Random, first: int, day: datetime, count: int) -> Iterator[dict[str, Any]]:
    """The orders of one day: one to four lines, every third shipped, one in fifty refunded."""
    from tests.warehouse.payloads import line, order, parcel, refund

    for number in range(first, first + count):
        placed = (day + timedelta(minutes=chance.randrange(1440))).strftime("%Y-%m-%dT%H:%M:%SZ")
        later = (day + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = [
            line(
                number * 10 + place,
                f"S{chance.randrange(300):04}",
                chance.randint(1, 5),
                f"{chance.randint(5, 200)}.99",
            )
            for place in range(chance.randint(1, 4))
        ]
        state: dict[str, Any] = {}
        if number % 3 or day < TODAY - timedelta(days=30):
            state = {"displayFulfillmentStatus": "FULFILLED", "fulfillments": [parcel(number, later)]}
        if number % 50 == 0:
            state["refunds"] = [refund(number, later, ["5.00"])]
        yield order(
            number, placed, lines, customer=chance.randrange(1, 40_000),
            country=chance.choice(["US", "GB", "DE", "CA"]),
            **state,
        )  # fmt: skip


def postgres_cpu(home: Path) -> float:
    """CPU seconds of the server's processes, ended backends included."""
    pid = int((home / "postgres" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    server = psutil.Process(pid)
    times = server.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in server.children(recursive=True):
        try:
            used = child.cpu_times()
            total += used.user + used.system
        except psutil.NoSuchProcess:
            continue
    return total


def day_cost(scale: int) -> tuple[float, float, float]:
    """(first build, a day's build in wall seconds, the same in CPU seconds) at a scale of history."""
    from ops_platform.database.server import release_server, running_server
    from tests.warehouse.dbt_warehouse import DbtWarehouse

    chance = random.Random(scale)
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as scratch:
        home = Path(scratch) / "home"
        warehouse = DbtWarehouse(running_server(home), "bench", Path(scratch))
        try:
            shop = {
                "id": "gid://shopify/Shop/1",
                "name": "S",
                "currencyCode": "USD",
                "ianaTimezone": "America/New_York",
            }
            warehouse.clock(TODAY)
            warehouse.land("shopify", "shop", [shop], TODAY)
            history = DAYS * scale

            def all_orders() -> Iterator[dict[str, Any]]:
                for age in range(history, 1, -1):
                    day = (TODAY - timedelta(days=age)).replace(hour=0)
                    yield from orders(chance, (history - age) * ORDERS_A_DAY + 1, day, ORDERS_A_DAY)

            warehouse.land("shopify", "orders", all_orders(), TODAY - timedelta(days=1))
            started = time.perf_counter()
            warehouse.build()
            first = time.perf_counter() - started
            wall = used = 0.0
            for turn in (1, 2):
                now = TODAY + timedelta(days=turn)
                number = (history + turn) * ORDERS_A_DAY + 1
                fresh = list(orders(chance, number, (now - timedelta(days=1)).replace(hour=0), ORDERS_A_DAY))
                changed = [
                    next(orders(chance, number - chance.randrange(200, 3000), now - timedelta(days=20), 1))
                    for _ in range(CHANGED_A_DAY)
                ]
                warehouse.clock(now)
                warehouse.land("shopify", "orders", fresh + changed, now)
                own = psutil.Process().cpu_times()
                wall, used = time.perf_counter(), own.user + own.system + postgres_cpu(home)
                warehouse.build()
                own = psutil.Process().cpu_times()
                wall, used = time.perf_counter() - wall, own.user + own.system + postgres_cpu(home) - used
            return first, wall, used
        finally:
            warehouse.close()
            release_server(home)


def bench_history(row: Row, scales: tuple[int, ...] = SCALES) -> None:
    costs = {scale: day_cost(scale) for scale in scales}
    base = costs[scales[0]]
    for scale, (first, wall, used) in costs.items():
        row(
            f"warehouse, a day's build on {scale}x history ({DAYS * scale * ORDERS_A_DAY:,} orders)",
            f"{wall:.1f} s, {used:.1f} s CPU",
            f"{wall / base[1]:.2f}x wall and {used / base[2]:.2f}x CPU of 1x; the first build took {first:.0f} s",
        )
