"""What the operational tables know for a board pack."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ops_platform.evidence import pack_reading
from ops_platform.evidence.model import Bundle, Period
from ops_platform.evidence.month_change import distinct, spoken
from ops_platform.evidence.pack_context import OpenAction, OpenAlert
from ops_platform.evidence.store import save_bundle
from tests.evidence.board_company import COMPANY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Connect

NOW = datetime(2026, 11, 1, 13, 0, tzinfo=UTC)
OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))
HASH = "0" * 64


@pytest.fixture
def connection(warehouse: Connect) -> Iterator[psycopg.Connection[Any]]:
    with warehouse() as opened:
        yield opened


def keep_pack(connection: psycopg.Connection[Any], month: int, note: str, *claims: str) -> int:
    """A stored pack of a month of 2026 that shows the values of some facts; returns its document's number."""
    period = Period(date(2026, month, 1), date(2026, month, 28), note)
    digest = save_bundle(connection, Bundle("board_pack", period, NOW, COMPANY, notes=(note,)))
    shown = [{"fact": fact, "path": "value"} for fact in claims] + [{"fact": "orders", "path": "delta"}]
    row = connection.execute(
        "insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, model_output, document,"
        " digest) values ('board_pack', %s, %s, %s, 'rules', %s, %s, %s) returning id",
        (period.start, period.end, digest, Jsonb({}), Jsonb({"claims": shown}), note),
    ).fetchone()
    assert row is not None
    return int(row[0])


def sent(connection: psycopg.Connection[Any], document: int) -> None:
    row = connection.execute(
        "insert into ops.approvals (kind, subject, title, author, state, version, due_at, created_at, updated_at)"
        " values ('board_pack', %s, 'Board pack', 'job:board_pack', 'draft', 1, %s, %s, %s) returning id",
        (f"document {document}", NOW, NOW, NOW),
    ).fetchone()
    assert row is not None
    connection.execute(
        "insert into ops.approval_versions (approval_id, version, payload, payload_hash, made_by, at)"
        " values (%s, 1, %s, %s, 'job:board_pack', %s)",
        (row[0], Jsonb({"document": document}), HASH, NOW),
    )
    for event in ("requested", "approved", "sent"):
        connection.execute(
            "insert into ops.approval_events (approval_id, version, payload_hash, event, actor, actor_name, via,"
            " idempotency_key, at) values (%s, 1, %s, %s, 'lee', 'Lee', 'cli:lee', %s, %s)",
            (row[0], HASH, event, f"{event}:{document}", NOW),
        )
        if event != "requested":
            connection.execute("update ops.approvals set state = %s where id = %s", (event, row[0]))


def last(connection: psycopg.Connection[Any]) -> str | None:
    found = pack_reading.last_pack(connection, *OCTOBER)
    return None if found is None else found.bundle.period.label


def test_the_last_pack_is_what_the_board_got_else_the_newest_draft(connection: psycopg.Connection[Any]) -> None:
    assert last(connection) is None
    august = keep_pack(connection, 8, "August", "net_sales")
    keep_pack(connection, 9, "September", "refunds", "orders")
    keep_pack(connection, 10, "October, drafted")
    assert last(connection) == "September"
    found = pack_reading.last_pack(connection, *OCTOBER)
    assert found is not None
    assert found.published == {"refunds", "orders"}
    sent(connection, august)
    assert last(connection) == "August"  # September's was never sent


def test_an_altered_last_pack_is_none(connection: psycopg.Connection[Any]) -> None:
    keep_pack(connection, 9, "September")
    connection.execute("update ops.evidence_bundles set payload = jsonb_set(payload, '{notes}', '[\"x\"]')")
    assert last(connection) is None


def test_open_alerts_and_actions_without_who_took_them(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "insert into ops.alerts (head, label, state, severity, since, opened_at, division, assignee, updated_at,"
        " resolution, resolved_at) values"
        " ('a', 'Late orders', 'open', 'alert', '2026-10-20', %(then)s, 'supply_chain', 'U1', %(then)s, null, null),"
        " ('b', 'Over', 'resolved', 'alert', '2026-10-10', %(then)s, null, null, %(then)s, 'clear', %(then)s),"
        " ('c', 'Later', 'open', 'alert', '2026-11-02', %(later)s, null, null, %(later)s, null, null)",
        {"then": NOW - timedelta(days=5), "later": NOW + timedelta(days=1)},
    )
    assert pack_reading.open_alerts(connection, NOW) is None  # nobody looked: it is not known
    connection.execute(
        "insert into ops.receipts (run_id, job, status, started_at, as_of, checked, breached, unknown)"
        " values ('r', 'ops_pulse', 'running', %(then)s, %(then)s, 3, 1, 0)",
        {"then": NOW - timedelta(hours=2)},
    )
    assert pack_reading.open_alerts(connection, NOW) == [
        OpenAlert("Late orders", "alert", date(2026, 10, 20), "supply_chain")
    ]
    connection.execute(
        "insert into ops.action_items (subject, what, about, severity, owner, opened_for, opened_by, due_on, seen_for,"
        " created_at, updated_at) values ('s', 'Look into', 'late orders', 'alert', 'logistics', '2026-10-20',"
        " 'job:narrative_daily', '2026-10-25', '2026-10-20', %(then)s, %(then)s)",
        {"then": NOW - timedelta(days=5)},
    )
    assert pack_reading.open_actions(connection, NOW) == [
        OpenAction("Look into late orders", "logistics", date(2026, 10, 25))
    ]


def test_hours_saved_count_each_delivered_document_once(connection: psycopg.Connection[Any]) -> None:
    document = keep_pack(connection, 9, "September")
    # Hours are read of what was sent, however it came there: without the approval a pack needs.
    connection.execute("set local session_replication_role = replica")
    for key, kind, state, at in (
        ("1", "board_pack", "sent", NOW), ("2", "board_pack", "sent", NOW), ("3", "ops_pulse", "failed", NOW),
        ("4", "board_pack", "sent", NOW - timedelta(days=40)),
    ):  # fmt: skip
        connection.execute(
            "insert into ops.outbox (id, dedupe_key, kind, channel_key, channel, payload, payload_hash, document_id,"
            " state, created_at, updated_at, sent_at)"
            " values (%s, %s, %s, 'executive', 'C', '{}', 'h', %s, %s, %s, %s, %s)",
            (uuid4(), key, kind, document, state, at, at, at if state == "sent" else None),
        )
    worth = {"ops_pulse": Decimal("1.5"), "board_pack": Decimal(20)}
    start = NOW - timedelta(days=31)
    assert pack_reading.hours_saved(connection, worth, start, NOW + timedelta(days=1)) == 20


def test_values_of_a_vendor_are_cut_and_stay_apart() -> None:
    assert spoken("plus_annual") == "Plus annual"
    assert spoken("\u202e") == "(none)"
    assert len(spoken("x" * 300)) == 40
    assert distinct(["A", "B", "A"]) == ["A", "B", "A (2)"]
