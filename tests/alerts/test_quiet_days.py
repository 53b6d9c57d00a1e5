"""Silence is proven: thirty ordinary mornings say nothing and leave a receipt a job; the first bad one speaks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from ops_platform.alerts import receipts
from ops_platform.alerts.announcement import Announcement, Composed
from ops_platform.alerts.cycle import handle
from ops_platform.alerts.gather import gather, relations
from ops_platform.alerts.outcome import Outcome
from ops_platform.fleet import Fleet
from ops_platform.watch.tick import look
from tests.alerts.test_rules import HOURS, OVERDUE, STOCK, fill, fleet_of
from tests.conftest import Connect

ZONE = ZoneInfo("America/New_York")
DAY = timedelta(days=1)
FIRST = date(2026, 6, 1)
QUIET_FROM = date(2026, 10, 1)
QUIET_DAYS = 30
JOBS = ("ops_pulse", "inventory_watchdog")


def plain(connection: psycopg.Connection[Any], announcement: Announcement) -> Composed:
    return Composed({"text": f"{announcement.kind}: {announcement.incidents[0].id}"})


@pytest.fixture
def quiet(warehouse: Connect) -> Iterator[psycopg.Connection[Any]]:
    """Two metrics that go up and down with the week and by chance, a rule on each, and stock in good order."""
    with warehouse() as connection:
        fill(connection)
        connection.execute("truncate metrics.fct_metric_daily, marts.fct_stock, marts.fct_late, marts.fct_gaps")
        connection.execute("delete from metrics.dim_metric where metric_id in ('roas', 'spend')")
        connection.execute("delete from ops.cursors where vendor = 'airtable'")
        connection.execute("insert into marts.fct_stock values ('A-1', true, 60, 'none', 'healthy', 900)")
        connection.execute("insert into ops.company values (true, 'Quiet Ltd', 'America/New_York', 'USD', now())")
        chance = random.Random(5)
        with connection.cursor().copy("copy metrics.fct_metric_daily from stdin") as copy:
            for place in range((QUIET_FROM - FIRST).days + QUIET_DAYS + 2):
                day = FIRST + DAY * place
                hours = Decimal(str(round(30 + 4 * (day.weekday() > 4) + chance.gauss(0, 2), 4)))
                copy.write_row(("hours", day, "all", "all", hours, hours * 10, 10, day + 2 * DAY, "matched"))
                copy.write_row(("overdue", day, "all", "all", 0, 0, None, day + 2 * DAY, "matched"))
        connection.commit()
        yield connection


def morning(connection: psycopg.Connection[Any], fleet: Fleet, day: date, job: str, hour: int = 6) -> Outcome:
    """A run of a job on the morning of `day`, as `assets/watch.py` and `assets/alerts.py` do it."""
    now = datetime(day.year, day.month, day.day, hour, tzinfo=ZONE)
    limits = {vendor: source.stale_after_hours for vendor, source in fleet.sources.items()}
    connection.execute("update ops.cursors set fresh_to = %s", (now - timedelta(minutes=20),))
    if hour == 6:
        look(connection, now, zone="America/New_York")
    signals = gather(connection, fleet, now)
    outcome = handle(
        connection, signals, now, fleet=fleet, compose=plain, channels=str, relations=relations(fleet)
    )  # fmt: skip
    receipts.settle(
        connection, f"{job} {now}", job, bot="coordinator", at=now, as_of=now, looks=receipts.looks_of(signals),
        freshness=receipts.freshness_of(connection, limits, now), messages=len(outcome.told),
    )  # fmt: skip
    connection.commit()
    return outcome


def test_thirty_quiet_days_say_nothing_and_prove_it(quiet: psycopg.Connection[Any], tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, stock=STOCK, hours=HOURS, overdue=OVERDUE)
    for place in range(QUIET_DAYS):
        for number, job in enumerate(JOBS):
            outcome = morning(quiet, fleet, QUIET_FROM + DAY * place, job, hour=6 + number)
            assert outcome.told == []
    assert quiet.execute("select count(*) from ops.outbox").fetchone() == (0,)
    assert quiet.execute("select count(*) from ops.alerts").fetchone() == (0,)
    written = receipts.receipts(quiet, limit=1000)
    assert len(written) == QUIET_DAYS * len(JOBS)
    for receipt in written:
        assert receipt.silent and receipt.breached == 0, receipt
        # Two metrics, three rules, the streams: looked at, one of them nearest its limit, and fresh.
        assert receipt.checked is not None and receipt.checked >= 6
        assert receipt.closest is not None and receipt.closeness is not None and receipt.closeness < 1
        assert receipt.fresh_to is not None and receipt.stale == ()

    # The same machinery, one bad day: it was awake all along.
    bad = QUIET_FROM + DAY * QUIET_DAYS
    worse = "update metrics.fct_metric_daily set value = 90, numerator = 900 where metric_id = 'hours' and date = %s"
    quiet.execute(worse, (bad - DAY,))
    assert len(morning(quiet, fleet, bad, "ops_pulse").told) == 1
    assert quiet.execute("select count(*) from ops.outbox").fetchone() == (1,)
    assert receipts.receipts(quiet, limit=1)[0].messages == 1
