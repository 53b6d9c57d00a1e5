"""Sources, tie-outs and jobs as signals: from receipts written by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from ops_platform.alerts.signal import Severity, Signal, SubjectKind
from ops_platform.alerts.sources import JobState, job_signals, source_signals, tie_out_signals
from ops_platform.fleet import get_fleet
from ops_platform.ingestion.connections import note_connection
from ops_platform.watch.judgement import Finding
from tests.conftest import Connect

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
HOUR = timedelta(hours=1)


def connected(connection: psycopg.Connection[Any], vendor: str, yes: bool = True) -> None:
    connection.execute("insert into ops.connections values (%s, %s, now())", (vendor, yes))


def fresh(connection: psycopg.Connection[Any], vendor: str, stream: str, hours: float) -> None:
    connection.execute(
        "insert into ops.cursors (vendor, stream, fresh_to, updated_at) values (%s, %s, %s, %s)",
        (vendor, stream, NOW - hours * HOUR, NOW),
    )


def synced(connection: psycopg.Connection[Any], vendor: str, stream: str, status: str, hours: float) -> None:
    connection.execute(
        "insert into ops.sync_runs (vendor, stream, status, started_at, finished_at) values (%s, %s, %s, %s, %s)",
        (vendor, stream, status, NOW - hours * HOUR, NOW - hours * HOUR),
    )


def by_name(signals: list[Signal]) -> dict[str, Signal]:
    return {signal.subject.name: signal for signal in signals}


def test_a_stream_is_well_stale_failing_or_unknown(warehouse: Connect) -> None:
    with warehouse() as connection:
        for vendor in ("shopify", "netsuite", "hubspot", "slack"):
            connected(connection, vendor)
        connected(connection, "klaviyo", yes=False)
        fresh(connection, "shopify", "orders", 1)
        synced(connection, "shopify", "orders", "succeeded", 1)
        fresh(connection, "shopify", "products", 3)
        synced(connection, "shopify", "products", "succeeded", 30)
        synced(connection, "shopify", "products", "failed", 2)
        synced(connection, "shopify", "products", "failed", 1)
        fresh(connection, "netsuite", "items", 27)
        fresh(connection, "netsuite", "accounts", 60)
        fresh(connection, "hubspot", "deals", 5)
        synced(connection, "hubspot", "deals", "paused", 1)
        synced(connection, "slack", "messages", "failed", 1)
        fresh(connection, "klaviyo", "events", 500)
        found = by_name(source_signals(connection, get_fleet(), NOW))
    told = {name: (signal.found, signal.severity) for name, signal in found.items() if signal.found is Finding.BREACHED}
    assert told == {
        "shopify.products": (Finding.BREACHED, Severity.WATCH),
        "netsuite.items": (Finding.BREACHED, Severity.ALERT),
        "netsuite.accounts": (Finding.BREACHED, Severity.CRITICAL),
        "hubspot.deals": (Finding.BREACHED, Severity.WATCH),
        "slack.messages": (Finding.BREACHED, Severity.ALERT),
    }
    assert found["shopify.orders"].found is Finding.CLEAR
    # Without credentials: neither an error nor healthy.
    assert found["klaviyo.events"].found is Finding.UNKNOWN
    items = found["netsuite.items"]
    assert (items.value, items.expected_high, items.effect) == (27, 26, 1)
    assert items.closeness is not None and items.closeness > 1
    assert items.since == date(2026, 11, 20)
    # The first failure since it last went well, not the newest.
    assert found["shopify.products"].since == date(2026, 11, 20)
    assert "ops syncs shopify" in found["shopify.products"].explanation
    assert "ops schema hubspot" in found["hubspot.deals"].explanation
    assert all(signal.depends_on == (name,) for name, signal in found.items())


def test_a_stream_that_is_left_out_is_neither_failing_nor_stale(warehouse: Connect) -> None:
    with warehouse() as connection:
        fresh(connection, "hubspot", "feedback_submissions", 90)
        fresh(connection, "hubspot", "deals", 1)
        synced(connection, "hubspot", "feedback_submissions", "failed", 2)
        synced(connection, "hubspot", "deals", "succeeded", 1)
        note_connection(connection, "hubspot", connected=True, detail=None, now=NOW, left_out=["feedback_submissions"])
        assert list(by_name(source_signals(connection, get_fleet(), NOW))) == ["hubspot.deals"]
        connection.execute(
            "insert into ops.tie_outs (vendor, stream, entity, day, status, checked_at)"
            " select 'hubspot', each, each, '2026-11-18', 'mismatched', now()"
            " from unnest(array['deals', 'feedback_submissions']) as each"
        )
        (signal,) = tie_out_signals(connection, get_fleet(), NOW)
        assert signal.subject.key == "tie_out:hubspot.deals:entity:deals"
        # Taken in again, it is unknown until it is read.
        note_connection(connection, "hubspot", connected=True, detail=None, now=NOW)
        again = by_name(source_signals(connection, get_fleet(), NOW))
        assert again["hubspot.feedback_submissions"].found is not Finding.CLEAR


def test_a_mended_stream_is_clear_again(warehouse: Connect) -> None:
    with warehouse() as connection:
        connected(connection, "shopify")
        fresh(connection, "shopify", "orders", 0.5)
        synced(connection, "shopify", "orders", "failed", 3)
        synced(connection, "shopify", "orders", "succeeded", 0.5)
        synced(connection, "shopify", "orders", "running", 0.1)
        (signal,) = source_signals(connection, get_fleet(), NOW)
    assert (signal.found, signal.since) == (Finding.CLEAR, None)


def test_totals_that_differ_are_one_signal_an_entity(warehouse: Connect) -> None:
    rows = [
        ("shopify", "orders", "orders", date(2026, 11, 18), 10, 8, Decimal(100), Decimal(80), "mismatched"),
        ("shopify", "orders", "orders", date(2026, 11, 19), 10, 9, Decimal(100), Decimal(95), "mismatched"),
        ("shopify", "orders", "orders", date(2026, 11, 17), 10, 10, Decimal(100), Decimal(100), "matched"),
        ("shopify", "orders", "refunds", date(2026, 11, 17), 1, 1, Decimal(5), Decimal(5), "matched"),
        # Settled long ago: told then.
        ("shopify", "orders", "refunds", date(2026, 9, 1), 1, 0, Decimal(5), Decimal(0), "mismatched"),
        ("netsuite", "items", "items", date(1, 1, 1), 900, 899, None, None, "mismatched"),
        ("slack", "messages", "messages", date(2026, 11, 19), None, 4, None, None, "unknown"),
    ]
    with warehouse() as connection:
        for vendor, stream, entity, day, said, landed, money, kept, status in rows:
            connection.execute(
                "insert into ops.tie_outs (vendor, stream, entity, day, source_count, landed_count, source_amount,"
                " landed_amount, currency, status, checked_at) values (%s,%s,%s,%s,%s,%s,%s,%s,'USD',%s,now())",
                (vendor, stream, entity, day, said, landed, money, kept, status),
            )
        found = {signal.subject.key: signal for signal in tie_out_signals(connection, get_fleet(), NOW)}
    orders = found["tie_out:shopify.orders:entity:orders"]
    assert (orders.found, orders.value, orders.effect_money, orders.since) == (
        Finding.BREACHED, -3, -25, date(2026, 11, 18),
    )  # fmt: skip
    assert found["tie_out:shopify.orders:entity:refunds"].found is Finding.CLEAR
    items = found["tie_out:netsuite.items:entity:items"]
    assert (items.found, items.effect_money, items.since) == (Finding.BREACHED, None, None)
    assert found["tie_out:slack.messages:entity:messages"].found is Finding.UNKNOWN


@pytest.mark.parametrize(
    ("state", "found", "severity"),
    [
        (JobState("ops_pulse", "succeeded"), Finding.CLEAR, None),
        (JobState("ops_pulse", None), Finding.UNKNOWN, None),
        (JobState("ops_pulse", "failed", NOW, NOW - HOUR), Finding.BREACHED, Severity.ALERT),
        (JobState("ops_pulse", "failed", NOW, NOW - 30 * HOUR), Finding.BREACHED, Severity.CRITICAL),
        (JobState("ops_pulse", "succeeded", missed_ticks=1), Finding.BREACHED, Severity.ALERT),
        (JobState("ops_pulse", None, missed_ticks=2), Finding.BREACHED, Severity.CRITICAL),
    ],
)
def test_a_job_is_well_failing_late_or_unknown(state: JobState, found: Finding, severity: Severity | None) -> None:
    (signal,) = job_signals([state], get_fleet(), NOW)
    assert (signal.subject.kind, signal.found, signal.owner) == (SubjectKind.JOB, found, "coordinator")
    assert severity is None or signal.severity is severity
