"""The status lists every stream with its last success, its rows, and why it does not sync when it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ops_platform.commands.status import _schema_findings, streams_of
from ops_platform.database import ensure_raw_tables
from tests.conftest import Connect

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)


def test_streams_with_last_success_rows_and_reason(warehouse: Connect) -> None:
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", name, name) for name in ("good", "bad", "held", "paused", "new")])
        connection.execute(
            "insert into raw_acme.bad (id, payload, payload_hash, first_seen_at, last_seen_at, sync_id, deleted_at)"
            " values ('a', '{}', '', now(), now(), 1, null), ('b', '{}', '', now(), now(), 1, now())"
        )
        for stream in ("good", "bad", "held", "paused"):
            connection.execute(
                "insert into ops.cursors (vendor, stream, fresh_to, updated_at) values ('acme', %s, %s, now())",
                (stream, NOW - timedelta(hours=2)),
            )
        for stream, status, hours, error, held, kind in (
            ("good", "failed", 3, "was down", None, "sync"),
            ("good", "succeeded", 2, None, None, "sync"),
            ("bad", "succeeded", 4, None, None, "sync"),
            ("bad", "failed", 3, "first", None, "sync"),
            ("bad", "failed", 1, "no scope", None, "sync"),
            ("bad", "succeeded", 0, None, None, "retry"),
            ("held", "succeeded", 2, None, "shrink guard: 9 of 10", "sync"),
            ("paused", "paused", 1, "paused: amount was string", None, "sync"),
            ("new", "failed", 1, "no answer", None, "sync"),
        ):
            connection.execute(
                "insert into ops.sync_runs (vendor, stream, status, started_at, error, held, kind)"
                " values ('acme', %s, %s, %s, %s, %s, %s)",
                (stream, status, NOW - timedelta(hours=hours), error, held, kind),
            )
        found = {stream.name: stream for stream in streams_of(connection)}
    assert {name: stream.state for name, stream in found.items()} == {
        "good": "ok", "bad": "failed", "held": "warning", "paused": "paused", "new": "failed",
    }  # fmt: skip
    assert found["good"].line() == "last success 2026-11-20 09:00 UTC, 0 rows"
    assert found["bad"].line() == ("failed since 2026-11-20 08:00 UTC; last success 2026-11-20 09:00 UTC, 1 rows")
    assert found["bad"].advice == "no scope"
    assert found["held"].advice == "shrink guard: 9 of 10"
    assert found["paused"].advice.startswith("paused: amount")
    assert found["new"].line() == "failed since 2026-11-20 10:00 UTC; never succeeded, 0 rows"


def test_new_fields_are_noted_quietly_for_a_week(warehouse: Connect) -> None:
    with warehouse() as connection:
        for path, days in (("gift", 1), ("older", 9)):
            connection.execute(
                "insert into ops.schema_changes (vendor, stream, path, change, before, after, pauses, state,"
                " first_seen_at, last_seen_at)"
                " values ('acme', 'deals', %s, 'added', '', 'string', false, 'noted', %s, %s)",
                (path, NOW - timedelta(days=days), NOW),
            )
        (finding,) = _schema_findings(connection, NOW)
    assert (finding.state, finding.subject) == ("ok", "acme.deals")
    assert "gift" in finding.detail and "older" not in finding.detail
