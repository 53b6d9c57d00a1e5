"""`make bench`, the rows of the watch: judging in one pass, a tick against ever longer history, scores of plain series.

Belongs here: the measurement. Does not belong here: pass or fail (tests).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

METRICS = 200
YEARS = 3
TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
ZONE = "America/New_York"
SCALES = (1, 2, 4)  # times three years
Row = Callable[..., None]

_FILL = """
insert into metrics.fct_metric_daily
select 'metric_' || number, day::date, 'all', 'all',
       round((1000 + 100 * extract(dow from day) + 40 * random())::numeric, 2),
       null, null, least('2026-11-20 10:40+00'::timestamptz, day + interval '8 days'), 'matched'
from generate_series(1, %(metrics)s) as number
cross join generate_series(%(today)s::date - %(days)s::int, %(today)s::date - 1, interval '1 day') as day
on conflict do nothing
"""


def one_pass() -> tuple[float, float]:
    """Wall and CPU seconds of judging every day of every metric at once."""
    import numpy as np

    from ops_platform.watch.judge import judge, panel_of
    from ops_platform.watch.series import WatchedMetric

    chance = np.random.default_rng(1)
    days = [TODAY - timedelta(days=age) for age in range(YEARS * 365, 0, -1)]
    weekday = np.array([day.weekday() for day in days])
    values = np.exp(chance.normal(6, 1, (METRICS, 1)) + 0.05 * weekday + chance.normal(0, 0.1, (METRICS, len(days))))
    sample = WatchedMetric("", "", "count", "up_is_good", "sum", "flow", Decimal(5))
    panel = panel_of([replace(sample, id=f"metric_{number}") for number in range(METRICS)], days, values)
    wall, own = time.perf_counter(), time.process_time()
    judge(panel)
    return time.perf_counter() - wall, time.process_time() - own


def ticks(scales: tuple[int, ...] = SCALES) -> dict[int, float]:
    """Seconds of one whole tick (read, judge, keep), by how many times three years of history lie behind it."""
    import psycopg

    from ops_platform.database import migrate
    from ops_platform.database.server import release_server, running_server
    from ops_platform.watch.tick import look
    from tests.watch.warehouse import fill

    found = {}
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as scratch:
        home = Path(scratch) / "home"
        address = running_server(home)
        try:
            with psycopg.connect(address.url("postgres"), autocommit=True) as maintenance:
                maintenance.execute("create database bench")
            with psycopg.connect(address.url("bench"), options="-c timezone=UTC") as connection:
                migrate(connection)
                fill(connection, days=30)
                connection.execute("truncate metrics.fct_metric_daily, metrics.dim_metric")
                connection.execute("create index on metrics.fct_metric_daily (date)")
                connection.execute(
                    "insert into metrics.dim_metric (metric_id, label, unit, direction, aggregation, minimum_effect,"
                    " sources, kind) select 'metric_' || number, 'Metric', 'count', 'up_is_good', 'sum', 5,"
                    " '{shopify.orders}', 'flow' from generate_series(1, %s) as number",
                    (METRICS,),
                )
                for scale in scales:
                    days = scale * YEARS * 365
                    connection.execute(_FILL, {"metrics": METRICS, "today": TODAY, "days": days})
                    connection.commit()
                    connection.autocommit = True
                    connection.execute("vacuum analyze metrics.fct_metric_daily")
                    connection.autocommit = False
                    found[scale] = min(_tick(connection, look) for _ in range(2))
        finally:
            release_server(home)
    return found


def _tick(connection: Any, look: Callable[..., Any]) -> float:
    began = time.perf_counter()
    look(connection, NOW, zone=ZONE)
    connection.commit()
    return time.perf_counter() - began


def plain_series(rows: int = 20_000) -> float:
    """CPU seconds of scoring a five-minute series."""
    import numpy as np

    from ops_platform.watch.detector import scores

    values = 50 + np.random.default_rng(1).normal(0, 1, rows)
    seconds = [300.0 * number for number in range(rows)]
    scores(seconds[:100], values[:100].tolist())
    own = time.process_time()
    scores(seconds, values.tolist())
    return time.process_time() - own


def bench_watch(row: Row) -> None:
    wall, own = one_pass()
    row(f"watch, {METRICS} metrics x {YEARS} years judged in one pass", f"{wall:.1f} s", f"{own:.1f} s CPU")
    costs = ticks()
    for scale, seconds in costs.items():
        row(
            f"watch, one tick of {METRICS} metrics on {scale * YEARS} years of history",
            f"{seconds:.2f} s",
            f"{seconds / costs[SCALES[0]]:.2f}x that on {YEARS} years; read, judged and kept",
        )
    row("ops detect, 20,000 rows", f"{plain_series():.2f} s CPU", "imports aside")
