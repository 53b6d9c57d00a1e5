"""Dagster's event log as ours stores it: what Dagster's own would have kept, many events in one transaction, without
credentials. And steps that know their outputs after the first look."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetKey,
    AssetObservation,
    AssetSpec,
    DagsterInstance,
    DataVersion,
    EventLogEntry,
    MaterializeResult,
    OpExecutionContext,
    materialize,
    multi_asset,
)
from dagster_postgres.event_log import PostgresEventLogStorage

from ops_platform.database.server import running_server
from ops_platform.instance.events import LONGEST_WAIT_SECONDS, MOST_GATHERED, RedactingEventLogStorage
from ops_platform.instance.steps import know_outputs_once

TABLES = {
    "event_logs": "run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition",
    "asset_keys": "asset_key, last_materialization, last_run_id, last_materialization_timestamp",
    "asset_event_tags": "event_id, asset_key, key, value, event_timestamp",
    "asset_check_executions": "asset_key, check_name, run_id, execution_status, evaluation_event, partition,"
    " evaluation_event_timestamp, evaluation_event_storage_id, materialization_event_storage_id",
}


@multi_asset(
    specs=[AssetSpec("first"), AssetSpec("second", deps=["first"])],
    check_specs=[AssetCheckSpec("holds", asset="first")],
)
def two(context: OpExecutionContext) -> Iterator[Any]:
    context.log.info("a word of a person's, with Bearer abcdefghijklmnop in it")
    context.log_event(AssetObservation("elsewhere", metadata={"seen": 1}))
    yield MaterializeResult(asset_key="first", metadata={"rows": 3, "it's": 'a "quoted" {text}'}, data_version=None)
    yield AssetCheckResult(check_name="holds", asset_key="first", passed=False, metadata={"lacking": 2})
    yield MaterializeResult(asset_key="second", data_version=DataVersion("7"))


def entries() -> list[EventLogEntry]:
    with DagsterInstance.ephemeral() as instance:
        result = materialize([two], instance=instance, raise_on_error=False)
        return list(instance.all_logs(result.run_id))


@pytest.fixture(scope="module")
def databases(server_home: Path) -> tuple[str, str]:
    """Two empty databases: for Dagster's own store and for ours."""
    address = running_server(server_home)
    names = ("events_theirs", "events_ours")
    with psycopg.connect(address.url("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(f"create database {name}".encode())
    return address.url(names[0]), address.url(names[1])


def kept(url: str) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(f"select {columns} from {table} order by id".encode()).fetchall()
            for table, columns in TABLES.items()
        }


def test_each_event_is_kept_as_dagster_keeps_it(databases: tuple[str, str]) -> None:
    theirs, ours = PostgresEventLogStorage(databases[0]), RedactingEventLogStorage(databases[1])
    told = entries()
    assert len(told) > 15
    planned = [event for event in told if "PLANNED" in (event.dagster_event_type or "")]
    for event in told:
        if event not in planned:
            theirs.store_event(event)
            ours.store_event(event)
    theirs.store_event_batch(planned)
    ours.store_event_batch(planned)
    expected, found = kept(databases[0]), kept(databases[1])
    for table in TABLES:
        assert len(expected[table]) >= 2 or table != "event_logs"
        assert [
            tuple(str(v).replace("Bearer abcdefghijklmnop", "[secret]") for v in row) for row in expected[table]
        ] == [tuple(str(v) for v in row) for row in found[table]], table
    assert "abcdefghijklmnop" not in str(found)


def test_an_event_is_stored_whole_or_not_at_all(databases: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = RedactingEventLogStorage(databases[1])
    before = kept(databases[1])
    event = next(entry for entry in entries() if entry.dagster_event_type == "ASSET_MATERIALIZATION")

    def fails(*_: Any) -> None:
        raise OSError("the power went")

    monkeypatch.setattr(ours, "_store_asset_event", fails)
    with pytest.raises(OSError, match="power"):
        store(ours, [event])
    assert kept(databases[1]) == before
    monkeypatch.undo()
    store(ours, [event])
    assert len(kept(databases[1])["event_logs"]) == len(before["event_logs"]) + 1


def store(ours: RedactingEventLogStorage, events: list[EventLogEntry]) -> None:
    for event in events:
        ours.store_event(event)
    ours.flush()


def test_outcomes_of_planned_checks_are_kept_as_dagster_keeps_them(databases: tuple[str, str]) -> None:
    theirs, ours = PostgresEventLogStorage(databases[0]), RedactingEventLogStorage(databases[1])
    before = kept(databases[0]), kept(databases[1])
    for _ in range(2):  # a second run finds the assets there
        told = entries()
        planned = [event for event in told if "PLANNED" in (event.dagster_event_type or "")]
        rest = [event for event in told if event not in planned]
        assert planned
        # A check told twice, and one that nobody planned.
        rest += [event for event in rest if event.dagster_event_type == "ASSET_CHECK_EVALUATION"]
        rest += [
            event._replace(run_id="elsewhere") for event in rest if event.dagster_event_type == "ASSET_CHECK_EVALUATION"
        ]
        for event in [*planned, *rest]:
            theirs.store_event(event)
        ours.store_event_batch(planned)
        store(ours, rest)
    expected, found = kept(databases[0]), kept(databases[1])
    for table in ("event_logs", "asset_check_executions", "asset_event_tags"):
        first, second = (len(each[table]) for each in before)
        assert len(expected[table]) > first
        assert [without_ids(row) for row in expected[table][first:]] == [
            without_ids(row) for row in found[table][second:]
        ], table
    for theirs_row, ours_row in zip(expected["asset_keys"], found["asset_keys"], strict=True):
        assert (theirs_row[0], theirs_row[2], theirs_row[3]) == (ours_row[0], ours_row[2], ours_row[3])


def without_ids(row: tuple[Any, ...]) -> list[str]:
    """A row without numbers of events, which depend on what was stored before; a credential as ours keeps it."""
    return [str(value).replace("Bearer abcdefghijklmnop", "[secret]") for value in row if not isinstance(value, int)]


def test_what_a_step_tells_waits_for_its_neighbours_but_not_long(databases: tuple[str, str]) -> None:
    ours = RedactingEventLogStorage(databases[1])
    told = entries()
    output = next(event for event in told if event.dagster_event_type == "STEP_OUTPUT")

    def count() -> int:
        return len(kept(databases[1])["event_logs"])

    before = count()
    for _ in range(MOST_GATHERED - 1):
        ours.store_event(output)
    gathered = time.monotonic()
    # Another process may not see it yet; who asks this one does.
    assert len(ours.get_logs_for_run(output.run_id)) == MOST_GATHERED - 1
    assert count() == before + MOST_GATHERED - 1
    for _ in range(MOST_GATHERED):
        ours.store_event(output)
    assert count() == before + 2 * MOST_GATHERED - 1
    ours.store_event(output)
    while count() < before + 2 * MOST_GATHERED:
        assert time.monotonic() < gathered + LONGEST_WAIT_SECONDS + 20
        time.sleep(0.05)
    ended = next(event for event in told if event.dagster_event_type == "STEP_SUCCESS")
    ours.store_event(output)
    ours.store_event(ended)
    assert count() == before + 2 * MOST_GATHERED + 2
    ours.store_event(output)
    ours.dispose()
    assert count() == before + 2 * MOST_GATHERED + 3


def test_a_step_that_knows_its_outputs_runs_as_before() -> None:
    assert know_outputs_once()
    assert know_outputs_once()
    told = [
        (event.dagster_event_type, event.get_dagster_event().asset_key) for event in entries() if event.is_dagster_event
    ]
    for key in ("first", "second"):
        assert sum(kind == "ASSET_MATERIALIZATION" and asset == AssetKey(key) for kind, asset in told) == 1

    @multi_asset(specs=[AssetSpec("first"), AssetSpec("second", deps=["first"])])
    def wrong() -> Iterator[Any]:
        yield MaterializeResult(asset_key="second")
        yield MaterializeResult(asset_key="first")

    with DagsterInstance.ephemeral() as instance:
        assert not materialize([wrong], instance=instance, raise_on_error=False).success
