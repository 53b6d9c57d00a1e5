"""Dagster's stores in PostgreSQL with the connections of a process kept open and shared.

Belongs here: the engine, its pool, and the stores of runs and schedules that use it (`events.py` has that of events).
Does not belong here: what is stored, the warehouse's connections (`ops_platform.database`).

Dagster opens a connection for every single look at its database: a daemon with nothing to do opens three a second, each
a new process of the server, and a run one for every event. One engine a process, shared by all stores, is most of the
difference between an idle stack that costs an hour of CPU a day and one that costs minutes.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

#: Connections kept open; more are opened while they are wanted, and closed again.
KEPT = 2
MOST_MORE = 20
RECYCLE_SECONDS = 600

_ENGINES: dict[str, Engine] = {}
_LOCK = Lock()


def engine_of(url: str) -> Engine:
    """The engine of this process for `url`. A connection is tried before it is used, for the server may have been
    started anew; the newest is used first, so that what is not needed falls out of use."""
    from sqlalchemy import create_engine

    with _LOCK:
        if url not in _ENGINES:
            _ENGINES[url] = create_engine(
                url, isolation_level="AUTOCOMMIT", pool_size=KEPT, max_overflow=MOST_MORE, pool_pre_ping=True,
                pool_recycle=RECYCLE_SECONDS, pool_use_lifo=True,
            )  # fmt: skip
        return _ENGINES[url]


class PooledRunStorage(PostgresRunStorage):
    """`PostgresRunStorage` on the engine of the process."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._engine = engine_of(self.postgres_url)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> PooledRunStorage:
        return _made(cls, inst_data, config_value)


class PooledScheduleStorage(PostgresScheduleStorage):
    """`PostgresScheduleStorage` on the engine of the process."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._engine = engine_of(self.postgres_url)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> PooledScheduleStorage:
        return _made(cls, inst_data, config_value)


def _made(kind: Any, inst_data: Any, config_value: Any) -> Any:
    from dagster_postgres.utils import pg_url_from_config

    return kind(
        postgres_url=pg_url_from_config(config_value),
        should_autocreate_tables=config_value.get("should_autocreate_tables", True),
        inst_data=inst_data,
    )
