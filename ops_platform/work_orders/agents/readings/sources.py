"""Syncs: which sources are connected, fresh, whole, and what failed lately.

Belongs here: the reading. Does not belong here: syncing (`ops_platform.ingestion`), how fresh is fresh
(`fleet.yaml`)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.work_orders.agents.findings import Finding, Line, quoted

if TYPE_CHECKING:
    from ops_platform.work_orders.agents.findings import Reader

RELATIONS = ("ops.schema_changes",)
_SOURCES = """
select connections.vendor, connections.connected, count(cursors.stream) as streams, min(cursors.fresh_to) as fresh_to,
    count(*) filter (where cursors.stream is not null and cursors.fresh_to is null) as never
from ops.connections left join ops.cursors using (vendor) group by 1, 2 order by 1
"""
_RUNS = """
select count(*) as runs, count(*) filter (where status = 'failed') as failed,
    coalesce(sum(received), 0) as received, coalesce(sum(quarantined), 0) as quarantined
from ops.sync_runs where started_at > %(since)s and started_at <= %(as_of)s
"""
_FAILED = """
select vendor, stream, error from ops.sync_runs
where status = 'failed' and started_at > %(since)s and started_at <= %(as_of)s order by started_at desc limit 5
"""
_TIES = """
select count(*) as days, count(*) filter (where status = 'mismatched') as mismatched
from ops.tie_outs where checked_at > %(week)s and checked_at <= %(as_of)s
"""
_PAUSED = "select count(*) as streams from ops.schema_changes where pauses and settled_at is null"


def read(reader: Reader) -> Finding:
    """Every source against the age it may have, and the syncs of the trailing day."""
    params = {
        "as_of": reader.until, "since": reader.as_of - timedelta(days=1), "week": reader.as_of - timedelta(days=7),
    }  # fmt: skip
    sources = reader.rows(_SOURCES)
    connected = [row for row in sources if row["connected"]]
    labels = {each.vendor: each for each in reader.company.sources}
    facts, lines, stale = [], [], 0
    for row in connected:
        source = labels.get(row["vendor"])
        name, limit = (source.label, source.stale_after_hours) if source else (row["vendor"], 26)
        age = None if row["fresh_to"] is None or row["never"] else _hours(reader.as_of - row["fresh_to"])
        fact = reader.fact(
            f"source_{row['vendor']}_age", f"{name}: age of its oldest stream", "hours", age, "ops.cursors", _SOURCES,
            direction="down_is_good", limit=limit, about=name,
        )  # fmt: skip
        facts.append(fact)
        off = age is None or age > limit
        stale += off
        if off:
            lines.append(Line("unknown" if age is None else "attention", f"{name} is not fresh", (fact.id,)))
    runs, ties, paused = reader.one(_RUNS, params), reader.one(_TIES, params), reader.one(_PAUSED)
    counted = (
        ("sources_connected", "Sources connected", len(connected), "ops.connections", _SOURCES, "up_is_good"),
        ("sources_stale", "Sources older than they may be", stale, "ops.cursors", _SOURCES, "down_is_good"),
        ("syncs_day", "Syncs in the trailing day", runs["runs"], "ops.sync_runs", _RUNS, "neutral"),
        ("syncs_failed", "Failed syncs", runs["failed"], "ops.sync_runs", _RUNS, "down_is_good"),
        ("records_received", "Records received", runs["received"], "ops.sync_runs", _RUNS, "neutral"),
        ("records_quarantined", "Records quarantined", runs["quarantined"], "ops.sync_runs", _RUNS, "down_is_good"),
        ("tie_outs_week", "Tie-outs checked in seven days", ties["days"], "ops.tie_outs", _TIES, "neutral"),
        ("tie_outs_off", "Tie-outs that differ", ties["mismatched"], "ops.tie_outs", _TIES, "down_is_good"),
        ("streams_paused", "Streams paused by drift", paused["streams"], RELATIONS[0], _PAUSED, "down_is_good"),
    )
    for name, label, value, relation, query, direction in counted:
        facts.append(reader.fact(name, label, "count", value, relation, query, params, direction=direction))  # type: ignore[arg-type]
    for row in reader.rows(_FAILED, params):
        lines.append(Line("attention", f"Sync of {row['vendor']} failed:", (), quoted(row["error"] or "no words")))
    shown = ("sources_connected", "sources_stale", "syncs_failed", "records_quarantined", "tie_outs_off")
    return Finding("Sources and syncs", tuple(facts), shown, tuple(lines))


def _hours(age: timedelta) -> Decimal:
    return (Decimal(int(age.total_seconds())) / 3600).quantize(Decimal("0.01"))
