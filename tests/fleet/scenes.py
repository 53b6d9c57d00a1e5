"""What the tests of this room put into a database: ticks, receipts, sources, costs.

Belongs here: rows as the platform writes them. Does not belong here: expectations (the tests).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg

from ops_platform.fleet import Fleet

Connection = psycopg.Connection[Any]


def fleet(jobs: dict[str, str] | None = None, **more: Any) -> Fleet:
    """A small fleet: jobs by cron, two sources that may be ten hours old."""
    job = {"bot": "coordinator", "document": "pulse", "max_runtime_minutes": 10, "description": "A job of the tests."}
    data: dict[str, Any] = {
        "company": {"name": "Acme", "timezone": "America/New_York", "currency": "USD"},
        "channels": {"executive": "E", "team": "T", "alerts": "A"},
        "divisions": {"sales": {"label": "Sales", "bot": "coordinator"}},
        "bots": {"coordinator": {"label": "Coordinator", "channel": "executive", "token_budget": 100}},
        "budget": {"tokens_per_cycle": 100},
        "models": {
            "tasks": {"extract": "small", "classify": "small", "write": "small", "synthesise": "small"},
            "tiers": {"small": "m"},
            "prices": {"m": {"input": 1, "output": 1, "cache_read": 1, "cache_write": 1, "batch": 0.5}},
        },
        "sources": {
            "shopify": {"label": "Shopify", "stale_after_hours": 10},
            "slack": {"label": "Slack", "stale_after_hours": 10},
        },
        "thresholds": {},
        "jobs": {name: {**job, "cron": cron} for name, cron in (jobs or {"hourly": "0 * * * *"}).items()},
        **more,
    }
    return Fleet.model_validate(data)


def receipt(
    connection: Connection, job: str, started: datetime, status: str = "succeeded"
) -> None:  # fmt: skip
    ended = None if status == "running" else started + timedelta(minutes=2)
    connection.execute(
        "insert into ops.receipts (run_id, job, bot, status, started_at, finished_at, as_of, error)"
        " values (%s, %s, 'coordinator', %s, %s, %s, %s, %s)",
        (uuid.uuid4().hex, job, status, started, ended, started, "broke" if status == "failed" else None),
    )


def tick(connection: Connection, job: str, due: datetime, following: datetime, late: int = 35) -> None:
    connection.execute(
        "insert into ops.expected_ticks (job, bot, due_at, next_due_at, answer_by, published_at)"
        " values (%s, 'coordinator', %s, %s, %s, %s)",
        (job, due, following, due + timedelta(minutes=late), due - timedelta(days=1)),
    )


def source(connection: Connection, vendor: str, fresh_to: Sequence[datetime | None], connected: bool = True) -> None:
    connection.execute(
        "insert into ops.connections (vendor, connected, checked_at) values (%s, %s, now())", (vendor, connected)
    )
    for number, moment in enumerate(fresh_to):
        connection.execute(
            "insert into ops.cursors (vendor, stream, fresh_to, updated_at) values (%s, %s, %s, now())",
            (vendor, f"s{number}", moment),
        )


def output(connection: Connection, at: datetime, cost: str | None = None, sent: bool = True) -> None:
    """A document of its own, delivered at `at`, that cost so much."""
    digest = uuid.uuid4().hex
    connection.execute(
        "insert into ops.evidence_bundles (digest, kind, period_start, period_end, as_of, payload)"
        " values (%s, 'pulse', %s, %s, %s, '{}')",
        (digest, at.date(), at.date(), at),
    )
    document = connection.execute(
        "insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, document, digest)"
        " values ('pulse', %s, %s, %s, 'claude', '{}', %s) returning id",
        (at.date(), at.date(), digest, digest),
    ).fetchone()
    assert document is not None
    if sent:
        connection.execute(
            "insert into ops.outbox (id, dedupe_key, kind, period_start, period_end, channel_key, channel, payload,"
            " payload_hash, document_id, state, created_at, updated_at, sent_at)"
            " values (%s, %s, 'ops_pulse', %s, %s, 'executive', 'C1', '{}', 'x', %s, 'sent', %s, %s, %s)",
            (uuid.uuid4(), digest, at.date(), at.date(), document[0], at, at, at),
        )
    if cost is not None:
        spent(connection, at, cost)


def spent(connection: Connection, at: datetime, cost: str) -> None:
    connection.execute(
        "insert into ops.token_ledger (bot, cycle, purpose, model, tier, state, reserved_tokens, cost_usd, created_at)"
        " values ('coordinator', 'c', 'ops_pulse', 'm', 'small', 'spent', 10, %s, %s)",
        (cost, at),
    )
