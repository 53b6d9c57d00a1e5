"""GitHub through the loader into a real warehouse: what GitHub counts is what landed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.sync import sync_stream
from resources.github import STREAMS
from tests.connectors.conftest import NOW, World

TODAY = date(2024, 12, 5)
APP, OPERATIONS = "northbeam/companion-app", "northbeam/operations"
Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture
def connection(warehouse: Connect) -> Any:
    with warehouse() as opened:
        ensure_raw_tables(opened, [(each.vendor, each.name, each.description) for each in STREAMS.values()])
        opened.commit()
        opened.autocommit = True
        yield opened


def sync(connection: Any, source: Any, name: str, **more: Any) -> Any:
    return sync_stream(connection, source, source.streams[name], **{"now": NOW, "today": TODAY, **more})


def test_every_stream_lands_ties_out_and_rests(own_world: World, connection: Any) -> None:
    source = own_world.github()
    for name in source.streams:
        first = sync(connection, source, name)
        assert (first.status, first.error, first.tie_out) == ("succeeded", None, "matched"), (name, first)
        assert first.inserted > 0 and first.received == first.inserted + first.duplicates, (name, first)
        second = sync(connection, source, name, sweep=True)
        assert (second.status, second.changed, second.tie_out) == ("succeeded", 0, "matched"), (name, second)
        third = sync(connection, source, name)
        assert (third.changed, third.tie_out) == (0, "matched"), (name, third)
        if not source.streams[name].full_refresh:
            assert third.api_cost == 0, (name, third)
    days = connection.execute(
        "select count(*) from ops.tie_outs where vendor = 'github' and stream = 'issues' and status = 'matched'"
    ).fetchone()
    assert days[0] > 60


def test_deleted_and_moved_issues_leave(own_world: World, connection: Any) -> None:
    source = own_world.github()
    for name in ("issues", "comments", "events"):
        sync(connection, source, name)
    doomed = connection.execute(
        "select (payload ->> 'number')::int from raw_github.issues where payload ->> 'repository' = %s"
        " and payload ->> 'created_at' between '2024-12-02' and '2024-12-04T23:59:59Z' order by 1 limit 2",
        (APP,),
    ).fetchall()
    later = NOW + timedelta(hours=2)
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("github", "delete_issue", repository=APP, number=doomed[0][0])
    moved = own_world.mutate("github", "transfer_issue", repository=APP, number=doomed[1][0], to=OPERATIONS)
    result = sync(connection, source, "issues", now=later)
    # The moved one has arrived at its new place; that both are gone from the old one, no list says.
    # Their days have two too many, and so they are read again and then all ids.
    assert (result.inserted, result.tie_out, result.deleted, result.sweep) == (1, "matched", 2, "done")
    assert sync(connection, source, "issues", now=later).tie_out == "matched"
    assert connection.execute("select id from raw_github.issues where id = %s", (str(moved["id"]),)).fetchone()
    for name in ("comments", "events"):
        assert sync(connection, source, name, now=later, sweep=True).status == "succeeded"
        assert sync(connection, source, name, now=later).tie_out == "matched"


def test_a_repository_without_issues_leaves_the_others_be(own_world: World, connection: Any) -> None:
    """Its own are gone, as for everybody, and are back when issues are switched on again."""

    def living() -> dict[str, int]:
        return dict(
            connection.execute(
                "select payload ->> 'repository', count(*) from raw_github.issues where deleted_at is null group by 1"
            ).fetchall()
        )

    assert sync(connection, own_world.github(), "issues").status == "succeeded"
    before = living()
    assert set(before) == {APP, OPERATIONS} and min(before.values()) > 2
    off, later = min(before, key=lambda name: before[name]), NOW + timedelta(hours=2)
    on = (set(before) - {off}).pop()
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("github", "disable_issues", repository=off)
    own_world.mutate("github", "close_issue", repository=on, number=1)
    source = own_world.github()
    for name in source.streams:
        assert sync(connection, source, name, now=later).status == "succeeded", name
    states = "select payload ->> 'state' from raw_github.issues where payload ->> 'repository' = %s"
    assert connection.execute(f"{states} and payload ->> 'number' = '1'", (on,)).fetchone() == ("closed",)
    told = {probe.endpoint: probe for probe in source.probe()}
    assert not told[off].ok and "switch them on" in told[off].remedy and told[on].ok
    swept = sync(connection, source, "issues", now=later, sweep=True, allow_shrink=True)
    assert (swept.status, living()) == ("succeeded", {on: before[on]}), swept
    own_world.mutate("github", "enable_issues", repository=off)
    back = sync(connection, own_world.github(), "issues", now=later)
    assert (back.status, back.tie_out, living()) == ("succeeded", "matched", before), back
    for name in (off, on):
        own_world.mutate("github", "disable_issues", repository=name)
    assert "switched off" in str(sync(connection, own_world.github(), "issues", now=later).error)


def test_a_late_update_replaces_and_a_short_sweep_deletes_nothing(own_world: World, connection: Any) -> None:
    source = own_world.github()
    sync(connection, source, "issues")
    later = NOW + timedelta(hours=2)
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    closed = own_world.mutate("github", "close_issue", repository=APP, number=1, reason="not_planned")
    result = sync(connection, source, "issues", now=later)
    assert (result.inserted, result.updated, result.tie_out) == (0, 1, "matched")
    state = connection.execute(
        "select payload ->> 'state', payload ->> 'state_reason' from raw_github.issues where id = %s",
        (str(closed["id"]),),
    ).fetchone()
    assert state == ("closed", "not_planned")
    listing = {"query_contains": "sort=created&direction=asc&per_page=100"}
    own_world.fault("github", "short_page", times=None, match=listing)
    held = sync(connection, source, "issues", now=later, sweep=True)
    assert (held.status, held.deleted, held.sweep) == ("succeeded", 0, "held") and "counts" in str(held.held)
