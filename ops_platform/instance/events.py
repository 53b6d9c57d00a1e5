"""Dagster's event log without credentials.

Belongs here: taking them out of an event before it is stored. Does not belong here: what a credential is
(`ops_platform.redaction`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from ops_platform.instance.pool import engine_of

if TYPE_CHECKING:
    from dagster import EventLogEntry


class RedactingEventLogStorage(PostgresEventLogStorage):
    """Every event passes here once, in the process that made it and therefore knows its credentials."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._engine = engine_of(self.postgres_url)
        self._columns_seen: set[str] = set()

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

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(without_credentials(event))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        super().store_event_batch([without_credentials(event) for event in events])


def without_credentials(event: EventLogEntry) -> EventLogEntry:
    """The event as it may be kept; the very same one where there is nothing to take out."""
    import orjson

    from ops_platform.redaction import redact, redact_value

    text = serialize_value(event)
    if redact(text) == text:
        return event
    # Text by text: an expression over the whole could reach across the quotes.
    return cast("EventLogEntry", deserialize_value(orjson.dumps(redact_value(orjson.loads(text))).decode()))
