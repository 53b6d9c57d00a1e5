"""Dagster's event log without credentials, each event stored in one go.

Belongs here: taking credentials out of an event before it is stored, and storing it. Does not belong here: what a
credential is (`ops_platform.redaction`).

A morning's run is 3,700 events. Dagster takes a connection, tries it and commits up to four times for each, asks the
catalogue whether its own tables are there, and tells listeners that it has not had for years.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import local
from typing import TYPE_CHECKING, Any, Self, cast

from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from ops_platform.instance.pool import engine_of

if TYPE_CHECKING:
    from dagster import EventLogEntry
    from sqlalchemy.engine import Connection

_COLUMNS = {
    "run_id": "text", "event": "text", "dagster_event_type": "text", "timestamp": "timestamp", "step_key": "text",
    "asset_key": "text", "partition": "text",
}  # fmt: skip
_INSERT = (
    f"insert into event_logs ({', '.join(_COLUMNS)}) select {', '.join(_COLUMNS)} from unnest("
    + ", ".join(f"cast(:{name} as {kind}[])" for name, kind in _COLUMNS.items())
    + f") with ordinality as made ({', '.join(_COLUMNS)}, place) order by place returning id"
)


class RedactingEventLogStorage(PostgresEventLogStorage):
    """Every event passes here once, in the process that made it and therefore knows its credentials."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._columns_seen: set[str] = set()
        self._tables_seen: set[str] = set()
        self._storing = local()
        super().__init__(*arguments, **named)
        self._engine = engine_of(self.postgres_url)

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
        self._store([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        kept = [event for event in events if not event.get_dagster_event().is_asset_failed_to_materialize]
        if kept:
            self._store(kept)

    def _store(self, events: Sequence[EventLogEntry]) -> None:
        """Events with what Dagster keeps beside them, all or none."""
        from sqlalchemy import text

        clean = [_without_credentials(event) for event in events]
        rows = [self._row(event, stored) for event, stored in clean]
        with self._one_transaction() as connection:
            values = {name: [row[name] for row in rows] for name in _COLUMNS}
            ids = [int(row[0]) for row in connection.execute(text(_INSERT), values)]
            for (event, _), event_id in zip(clean, ids, strict=True):
                kind = event.dagster_event_type
                if kind in ASSET_EVENTS and event.get_dagster_event().asset_key:
                    self._store_asset_event_tags(connection, [event], [event_id])
                    self._store_asset_event(connection, event, event_id)
                elif kind in ASSET_CHECK_EVENTS:
                    self.store_asset_check_event(event, event_id)

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
        return nullcontext(on) if on is not None else super()._connect()


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
