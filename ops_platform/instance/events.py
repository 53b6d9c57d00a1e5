"""Dagster's event log without credentials, many events stored in one go.

Belongs here: taking credentials out of an event before it is stored, and storing it. Does not belong here: what a
credential is (`ops_platform.redaction`).

A morning's run is 3,700 events. Dagster takes a connection, tries it and commits up to four times for each, asks the
catalogue whether its own tables are there, and tells listeners that it has not had for years.

What a step tells of its outputs and checks comes by the hundred and waits for its neighbours, half a second at the
most: until there are enough of them, something else is told (that the step ended, failed, or a line of a log), or
somebody in this process looks into the log. A process that is killed loses what waited, as a power cut always may; that
its run ended is found out otherwise (`crashes.py`).
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock, Timer, local
from typing import TYPE_CHECKING, Any, Self, cast
from weakref import WeakMethod

from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, DagsterEventType
from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from ops_platform.instance.pool import engine_of

if TYPE_CHECKING:
    from dagster import EventLogEntry
    from sqlalchemy.engine import Connection

log = logging.getLogger(__name__)

# What a step tells by the hundred; nothing waits for any of it.
_GATHERED = frozenset(
    {
        DagsterEventType.STEP_OUTPUT,
        DagsterEventType.ASSET_MATERIALIZATION,
        DagsterEventType.ASSET_OBSERVATION,
        DagsterEventType.ASSET_CHECK_EVALUATION,
    }
)
MOST_GATHERED = 64
LONGEST_WAIT_SECONDS = 0.5

_COLUMNS = {
    "run_id": "text", "event": "text", "dagster_event_type": "text", "timestamp": "timestamp", "step_key": "text",
    "asset_key": "text", "partition": "text",
}  # fmt: skip
_INSERT = (
    f"insert into event_logs ({', '.join(_COLUMNS)}) select {', '.join(_COLUMNS)} from unnest("
    + ", ".join(f"cast(:{name} as {kind}[])" for name, kind in _COLUMNS.items())
    + f") with ordinality as made ({', '.join(_COLUMNS)}, place) order by place returning id"
)
_CHECK_COLUMNS = {
    "asset_key": "text", "check_name": "text", "run_id": "text", "partition": "text", "execution_status": "text",
    "evaluation_event": "text", "evaluation_event_timestamp": "timestamp", "evaluation_event_storage_id": "bigint",
    "materialization_event_storage_id": "bigint",
}  # fmt: skip
_UPDATE_CHECKS = (
    "update asset_check_executions as planned set "
    + ", ".join(f"{name} = made.{name}" for name in list(_CHECK_COLUMNS)[4:])
    + " from unnest("
    + ", ".join(f"cast(:{name} as {kind}[])" for name, kind in _CHECK_COLUMNS.items())
    + f") with ordinality as made ({', '.join(_CHECK_COLUMNS)}, place)"
    + " where planned.asset_key = made.asset_key and planned.check_name = made.check_name"
    + " and planned.run_id = made.run_id and planned.partition is not distinct from made.partition"
    + " returning made.place"
)


class RedactingEventLogStorage(PostgresEventLogStorage):
    """Every event passes here once, in the process that made it and therefore knows its credentials."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._columns_seen: set[str] = set()
        self._tables_seen: set[str] = set()
        self._storing = local()
        self._gathered: list[EventLogEntry] = []
        self._gathering = RLock()
        self._timer: Timer | None = None
        super().__init__(*arguments, **named)
        self._engine = engine_of(self.postgres_url)
        flush = WeakMethod(self.flush)
        atexit.register(lambda: (found := flush()) is not None and found())

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        from ops_platform.redaction import redact_process

        # Whatever process opens the instance (daemon, web, a run) writes no credential to its log either.
        redact_process()
        config = cast("Any", config_value)
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            token_provider=get_token_provider_from_config(config),
        )

    def has_asset_key_col(self, column_name: str) -> bool:
        # Dagster asks the catalogue for all columns at every look at an asset; a column that is there stays there.
        if column_name not in self._columns_seen:
            if not super().has_asset_key_col(column_name):
                return False
            self._columns_seen.add(column_name)
        return True

    def has_table(self, table_name: str) -> bool:
        # The same of its tables, at every event of an asset.
        if table_name not in self._tables_seen:
            if not super().has_table(table_name):
                return False
            self._tables_seen.add(table_name)
        return True

    def store_event(self, event: EventLogEntry) -> None:
        with self._gathering:
            self._gathered.append(event)
            if event.dagster_event_type in _GATHERED and len(self._gathered) < MOST_GATHERED:
                if self._timer is None:
                    self._timer = Timer(LONGEST_WAIT_SECONDS, self._time_is_up)
                    self._timer.daemon = True
                    self._timer.start()
                return
            self.flush()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        kept = [event for event in events if not event.get_dagster_event().is_asset_failed_to_materialize]
        if kept:
            self.flush()
            self._store(kept)

    def flush(self) -> None:
        """Store what waits. Raises what the database says of the event told last; where the database is away, what
        waited goes on waiting."""
        from sqlalchemy.exc import InterfaceError, OperationalError

        with self._gathering:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            waiting, self._gathered = self._gathered, []
            if not waiting:
                return
            try:
                self._store(waiting)
                return
            except Exception:
                if len(waiting) == 1 and waiting[0].dagster_event_type not in _GATHERED:
                    raise
            # As Dagster does with a batch: one by one, so that one that cannot be stored holds up no other.
            while waiting:
                event = waiting.pop(0)
                try:
                    self._store([event])
                except (InterfaceError, OperationalError):
                    # Who told something that cannot wait hears that it is not stored, and it is not stored later.
                    kept = [each for each in (event, *waiting) if each.dagster_event_type in _GATHERED]
                    self._gathered = [*kept, *self._gathered]
                    raise
                except Exception:
                    if not waiting:
                        raise
                    log.exception("an event of run %s cannot be stored", event.run_id)

    def _time_is_up(self) -> None:
        """In a thread of its own, where nobody hears of a failure: the next event finds it again."""
        with self._gathering:
            self._timer = None
            waiting, self._gathered = self._gathered, []
            try:
                if waiting:
                    self._store(waiting)
            except Exception:
                self._gathered = [*waiting, *self._gathered]

    def dispose(self) -> None:
        self.flush()
        super().dispose()

    def _store(self, events: Sequence[EventLogEntry]) -> None:
        """Events with what Dagster keeps beside them, all or none."""
        from sqlalchemy import text

        clean = [_without_credentials(event) for event in events]
        rows = [self._row(event, stored) for event, stored in clean]
        with self._one_transaction() as connection:
            values = {name: [row[name] for row in rows] for name in _COLUMNS}
            ids = [int(row[0]) for row in connection.execute(text(_INSERT), values)]
            made = [(event, stored, event_id) for (event, stored), event_id in zip(clean, ids, strict=True)]
            of_assets = [
                (event, event_id)
                for event, _, event_id in made
                if event.dagster_event_type in ASSET_EVENTS and event.get_dagster_event().asset_key
            ]
            if of_assets:
                self._store_asset_event_tags(connection, *map(list, zip(*of_assets, strict=True)))
                self._store_asset_events(connection, of_assets)
            self._store_checks(connection, [each for each in made if each[0].dagster_event_type in ASSET_CHECK_EVENTS])

    def _store_asset_events(self, connection: Connection, events: Sequence[tuple[EventLogEntry, int]]) -> None:
        """What Dagster keeps of each asset's newest event: one statement for all that say the same of an asset."""
        if len(events) == 1:
            self._store_asset_event(connection, *events[0])
            return
        from dagster._core.storage.event_log import AssetKeyTable
        from dagster._core.storage.event_log.migration import ASSET_KEY_INDEX_COLS
        from sqlalchemy.dialects.postgresql import insert

        indexed = self.has_secondary_index(ASSET_KEY_INDEX_COLS)
        newest: dict[str, dict[str, Any]] = {}
        for event, event_id in events:
            key = event.get_dagster_event().asset_key
            assert key is not None
            newest.setdefault(key.to_string(), {}).update(self._get_asset_entry_values(event, event_id, indexed))
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        # By name, so that two runs never wait for each other crosswise.
        for name in sorted(newest):
            alike.setdefault(tuple(newest[name]), []).append({"asset_key": name, **newest[name]})
        for columns, rows in alike.items():
            told = insert(AssetKeyTable).values(rows)
            connection.execute(
                told.on_conflict_do_update(
                    index_elements=[AssetKeyTable.c.asset_key], set_={name: told.excluded[name] for name in columns}
                )
                if columns
                else told.on_conflict_do_nothing()
            )

    def _store_checks(self, connection: Connection, events: Sequence[tuple[EventLogEntry, str, int]]) -> None:
        """The outcomes of checks that were planned in one statement; all others as Dagster stores them."""
        from sqlalchemy import text

        evaluated: dict[tuple[Any, ...], tuple[EventLogEntry, str, int]] = {}
        for event, stored, event_id in events:
            if event.dagster_event_type != DagsterEventType.ASSET_CHECK_EVALUATION or not event.run_id:
                self.store_asset_check_event(event, event_id)
                continue
            found: Any = event.get_dagster_event().event_specific_data
            # Of one check told twice the later stays.
            evaluated[found.asset_key, found.check_name, event.run_id, found.partition] = event, stored, event_id
        if not evaluated:
            return
        rows = [self._check_row(*each) for each in evaluated.values()]
        values = {name: [row[name] for row in rows] for name in _CHECK_COLUMNS}
        places = [int(row[0]) for row in connection.execute(text(_UPDATE_CHECKS), values)]
        for place, (event, _, event_id) in enumerate(evaluated.values(), start=1):
            if places.count(place) != 1:
                # Nobody planned it, or somebody did so twice: Dagster knows what is to be done.
                self.store_asset_check_event(event, event_id)

    def _check_row(self, event: EventLogEntry, stored: str, event_id: int) -> dict[str, Any]:
        from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

        found: Any = event.get_dagster_event().event_specific_data
        target = found.target_materialization_data
        return {
            "asset_key": found.asset_key.to_string(),
            "check_name": found.check_name,
            "run_id": event.run_id,
            "partition": found.partition,
            "execution_status": (Status.SUCCEEDED if found.passed else Status.FAILED).value,
            "evaluation_event": stored,
            "evaluation_event_timestamp": self._event_insert_timestamp(event),
            "evaluation_event_storage_id": event_id,
            "materialization_event_storage_id": target.storage_id if target is not None else None,
        }

    def _row(self, event: EventLogEntry, stored: str) -> dict[str, Any]:
        told = event.dagster_event
        key = told.asset_key if told is not None else None
        return {
            "run_id": event.run_id,
            "event": stored,
            "dagster_event_type": told.event_type_value if told is not None else None,
            "timestamp": self._event_insert_timestamp(event),
            "step_key": told.step_key if told is not None else event.step_key,
            "asset_key": key.to_string() if key is not None else None,
            "partition": (told.partition or None) if told is not None else None,
        }

    @contextmanager
    def _one_transaction(self) -> Iterator[Connection]:
        """A transaction that everything this thread stores meanwhile is part of."""
        with super()._connect() as connection:
            begun = connection.execution_options(isolation_level="READ COMMITTED")
            with begun.begin():
                self._storing.on = begun
                try:
                    yield begun
                finally:
                    self._storing.on = None

    def _connect(self) -> AbstractContextManager[Connection]:
        on: Connection | None = getattr(self._storing, "on", None)
        if on is not None:
            return nullcontext(on)
        # Who looks finds what was told before, also what another thread is storing just now.
        with self._gathering:
            try:
                self.flush()
            except Exception:
                # It is not the reader's: where the database is away, the reader hears of that itself.
                log.warning("what waits to be stored could not be", exc_info=True)
        return super()._connect()


def without_credentials(event: EventLogEntry) -> EventLogEntry:
    """The event as it may be kept; the very same one where there is nothing to take out."""
    return _without_credentials(event)[0]


def _without_credentials(event: EventLogEntry) -> tuple[EventLogEntry, str]:
    """The event as it may be kept, and as it is written."""
    import orjson

    from ops_platform.redaction import redact, redact_value

    text = serialize_value(event)
    if redact(text) == text:
        return event, text
    # Text by text: an expression over the whole could reach across the quotes.
    clean = cast("EventLogEntry", deserialize_value(orjson.dumps(redact_value(orjson.loads(text))).decode()))
    return clean, serialize_value(clean)
