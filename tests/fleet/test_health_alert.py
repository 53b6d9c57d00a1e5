"""Who is told of the fleet's health: nobody above the limit, one thread below it twice running, its end as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ops_platform.alerts.composing import AlertComposer
from ops_platform.alerts.cycle import handle
from ops_platform.alerts.fleet_health import health_signals
from ops_platform.alerts.grouping import Relations
from ops_platform.alerts.links import Links
from ops_platform.fleet import load_fleet
from ops_platform.fleet.health import Reading, score_of, weights_on
from ops_platform.fleet.health_history import newest, store
from ops_platform.fleet.profile import company_profile
from ops_platform.settings import PROJECT_ROOT, Settings
from ops_platform.watch.judgement import Finding
from ops_platform.watch.tree import MetricTree
from tests.conftest import Connect

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
SETTINGS = Settings()
FLEET = load_fleet(PROJECT_ROOT / "fleet.yaml", SETTINGS)


def look(connect: Connect, number: int, completion: str, *, score_at: int | None = None) -> list[str]:
    """A score with everything else at its best, and a turn of the machine; the messages it put in the outbox."""
    now = NOON + number * HALF_HOUR
    at = now if score_at is None else NOON + score_at * HALF_HOUR
    with connect() as connection:
        before = newest(connection, at - timedelta(seconds=1))
        readings = {name: Reading.exact(Decimal(1), "") for name in ("uptime", "freshness", "errors", "tokens")}
        readings["completion"] = Reading.exact(Decimal(completion), "12 of 24 due runs succeeded; failed: late_orders")
        readings["uptime"] = Reading.exact(Decimal(completion), "9 h not everything stood: web")
        store(connection, score_of(readings, weights_on(at.date()), at, before[0] if before else None))
        outcome = handle(
            connection, health_signals(connection, FLEET, now), now, fleet=FLEET,
            compose=AlertComposer(company_profile(FLEET), Links.of(SETTINGS, FLEET)), channels=lambda role: role,
            relations=Relations(MetricTree.of({}), {}),
        )  # fmt: skip
    return [each.announcement.kind.value for each in outcome.told]


def payloads(connect: Connect) -> list[tuple[str, dict[str, Any]]]:
    with connect() as connection:
        return connection.execute("select channel_key, payload from ops.outbox order by created_at, id").fetchall()


def test_told_below_the_limit_twice_running_and_when_it_is_over(warehouse: Connect) -> None:
    # 0.3 of 50 points: 15 + 50 = 65.
    assert look(warehouse, 0, "1") == []
    assert look(warehouse, 1, "0.3") == []
    assert look(warehouse, 2, "1") == []  # once is chance
    assert look(warehouse, 3, "0.3") == []
    assert look(warehouse, 4, "0.3") == ["opened"]
    assert look(warehouse, 5, "0.3") == []
    assert look(warehouse, 6, "1") == ["recovering"]
    assert look(warehouse, 7, "1") == ["resolved"]
    channel, message = payloads(warehouse)[0]
    text = str(message)
    assert channel == "alerts" and "Fleet health" in message["text"] and "65" in message["text"]
    assert "limit" in text and "70" in text and "failed: late_orders" in text
    assert "Task completion" in text and "Uptime" in text


def test_the_same_score_seen_twice_is_one_look(warehouse: Connect) -> None:
    assert look(warehouse, 0, "0.3") == []
    assert look(warehouse, 1, "0.3", score_at=0) == []
    assert look(warehouse, 2, "0.3") == ["opened"]


def test_an_old_score_says_nothing_about_now(warehouse: Connect) -> None:
    look(warehouse, 0, "0.1")
    with warehouse() as connection:
        (signal,) = health_signals(connection, FLEET, NOON + 4 * HALF_HOUR)
        assert signal.found is Finding.UNKNOWN and signal.value is None
    with warehouse() as connection:
        connection.execute("delete from ops.fleet_health")
        assert health_signals(connection, FLEET, NOON) == []


def test_critical_below_fifty(warehouse: Connect) -> None:
    look(warehouse, 0, "0")
    with warehouse() as connection:
        (signal,) = health_signals(connection, FLEET, NOON)
        assert (signal.value, str(signal.severity)) == (50, "alert")
        later = NOON + HALF_HOUR
        # What is not read any more is unknown and stands where it stood.
        readings = {"uptime": Reading.exact(Decimal(0), ""), "errors": Reading.exact(Decimal("0.9"), "")}
        store(connection, score_of(readings, weights_on(NOON.date()), later, newest(connection, NOON)[0]))
        (signal,) = health_signals(connection, FLEET, later)
    assert (signal.value, str(signal.severity)) == (Decimal("48.5"), "critical")
    assert "Unknown: task completion, data freshness, token efficiency" in signal.explanation
