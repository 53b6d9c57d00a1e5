"""The app's database as a side of the sandbox: a real server, woken by the first connection, changed by tests.

Belongs here: when the server is made and filled, and the changes. Does not belong here: the server's life
(`postgres.py`), its contents (`contents.py`), the way to it (`wire.py`). It speaks no HTTP: it has a port of its own.

Changes (`POST /_sandbox/mutate`, vendor "app"); what a row gets as `updated_at` is the sandbox's clock, unless given:
  upsert           {"table", "row": {column: value}}
  update           {"table", "id", "set": {column: value}}
  delete           {"table", "id"}                              for good: no trace is left
  late_begin       {"name", "table", "id", "set"}               an update in a transaction that stays open
  late_commit      {"name"}                                     ... until here
  revoke, grant    {"table"}                                    the reading role's right to the table
  rename_column    {"table", "column", "to"}
  retype_column    {"table", "column", "type", "using"?}
  add_column       {"table", "column", "type"}                  readable
  drop_column      {"table", "column"}
  terminate        {}                                           every connection of the reading role
  sql              {"statement"}                                anything, as the owner of the database
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.mutation import MutationRefused, required
from sandbox.vendor_side import Side

if TYPE_CHECKING:
    import psycopg
    from starlette.routing import BaseRoute

    from sandbox.app_database.postgres import Postgres
    from sandbox.clock import SandboxClock
    from sandbox.company import Company
    from sandbox.faults import FaultPlan
    from sandbox.ledger import SqliteLedger

TABLES = ("roles", "users", "sessions", "subscriptions", "tickets")
_STAMPED = frozenset(TABLES) - {"roles"}


class AppSide(Side):
    """Costs a listening socket until somebody connects, then a small server and its rows."""

    vendor = "app"

    def __init__(
        self, company: Company, *, clock: SandboxClock, ledger: SqliteLedger, faults: FaultPlan, directory: Path
    ) -> None:
        from sandbox.app_database.wire import Wire

        self._company = company
        self._clock = clock
        self._directory = directory
        self._server: Postgres | None = None
        self._filled_with: Company | None = None
        self._lock = threading.RLock()
        self._open: dict[str, psycopg.Connection[Any]] = {}
        self._wire: Wire | None = None
        if company.source == "generated":
            from sandbox.app_database.postgres import Postgres

            self._wire = Wire(self._awake, Postgres(directory).socket, faults, ledger)

    def routes(self) -> Sequence[BaseRoute]:
        return ()

    def environment(self, url: str) -> dict[str, str]:
        """The address has a port of its own; `url` is that of the other vendors."""
        if self._wire is None:
            return {}
        from sandbox.app_database.contents import DATABASE, PASSWORD, READER

        return {"APP_DATABASE_URL": f"postgresql://{READER}:{PASSWORD}@127.0.0.1:{self._wire.port}/{DATABASE}"}

    def load(self, company: Company) -> None:
        """The rows are made anew when they are next asked for; connections of before are ended then."""
        with self._lock:
            self._company = company
            self._let_go()

    def warm(self) -> None:
        if self._wire is not None:
            self._wire.awake()

    def close(self) -> None:
        with self._lock:
            self._let_go()
        if self._wire is not None:
            self._wire.close(self._stop)

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _let_go(self) -> None:
        held, self._open = self._open, {}
        for connection in held.values():
            connection.close()

    def _awake(self) -> None:
        """A server that runs and holds the company's rows. Called in the wire's thread alone."""
        from sandbox.app_database import contents
        from sandbox.app_database.postgres import Postgres

        with self._lock:
            if self._server is not None and self._filled_with is self._company:
                return
            if self._server is None:
                server = Postgres(self._directory)
                server.start()
                self._server = server
            with self._server.connect("postgres") as maintenance:
                contents.make(maintenance)
            with self._server.connect() as connection:
                contents.fill(connection, self._company)
            self._filled_with = self._company

    # -- changes --------------------------------------------------------------------------------------------

    def mutate(self, op: str, data: Mapping[str, Any]) -> Any:
        if self._wire is None:
            raise MutationRefused("this company has no app.")
        change = getattr(self, f"_{op}", None) if op in _CHANGES else None
        if change is None:
            raise MutationRefused(f"app has no operation {op!r}; it has {', '.join(_CHANGES)}.")
        import psycopg

        self._wire.awake()
        assert self._server is not None
        try:
            with self._server.connect() as connection:
                return change(connection, data)
        except psycopg.Error as error:
            raise MutationRefused(f"the app's database refused: {error}") from None

    def replayed(self, data: Mapping[str, Any], result: Any) -> dict[str, Any]:
        return dict(data)

    def _upsert(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        table = _table(data)
        row = dict(data.get("row") or {})
        if table in _STAMPED:
            row.setdefault("updated_at", self._at(data))
        names = ", ".join(f'"{name}"' for name in row)
        news = ", ".join(f'"{name}" = excluded."{name}"' for name in row if name != "id") or "id = excluded.id"
        marks = ", ".join(["%s"] * len(row))
        connection.execute(
            f"insert into public.{table} ({names}) values ({marks}) on conflict (id) do update set {news}".encode(),
            list(row.values()),
        )
        return {"id": row.get("id")}

    def _update(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        table, identity = _table(data), required(data, "id")
        values = dict(data.get("set") or {})
        if table in _STAMPED:
            values.setdefault("updated_at", self._at(data))
        news = ", ".join(f'"{name}" = %s' for name in values)
        done = connection.execute(
            f"update public.{table} set {news} where id::text = %s".encode(), [*values.values(), identity]
        )
        if not done.rowcount:
            raise MutationRefused(f"{table} has no row {identity}.")
        return {"id": identity}

    def _delete(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        table, identity = _table(data), required(data, "id")
        with connection.transaction():
            if table == "users":
                for child in ("sessions", "subscriptions", "tickets"):
                    connection.execute(f"delete from public.{child} where user_id::text = %s".encode(), (identity,))
            done = connection.execute(f"delete from public.{table} where id::text = %s".encode(), (identity,))
        if not done.rowcount:
            raise MutationRefused(f"{table} has no row {identity}.")
        return {"id": identity}

    def _late_begin(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        name = required(data, "name")
        assert self._server is not None
        held = self._server.connect()
        held.execute("begin")
        self._open[name] = held
        return self._update(held, data)

    def _late_commit(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        held = self._open.pop(required(data, "name"), None)
        if held is None:
            raise MutationRefused("no such transaction is open.")
        held.execute("commit")
        held.close()
        return {}

    def _revoke(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        from sandbox.app_database.contents import GRANTS, READER

        table = _table(data)
        connection.execute(f"revoke select ({GRANTS[table]}) on public.{table} from {READER}".encode())
        return {}

    def _grant(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        from sandbox.app_database.contents import GRANTS, READER

        table = _table(data)
        connection.execute(f"grant select ({GRANTS[table]}) on public.{table} to {READER}".encode())
        return {}

    def _rename_column(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        return _alter(connection, data, f'rename column "{required(data, "column")}" to "{required(data, "to")}"')

    def _retype_column(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        using = f" using {data['using']}" if data.get("using") else ""
        return _alter(
            connection, data, f'alter column "{required(data, "column")}" type {required(data, "type")}{using}'
        )

    def _add_column(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        from sandbox.app_database.contents import READER

        column = required(data, "column")
        _alter(connection, data, f'add column "{column}" {required(data, "type")}')
        connection.execute(f'grant select ("{column}") on public.{_table(data)} to {READER}'.encode())
        return {}

    def _drop_column(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        return _alter(connection, data, f'drop column "{required(data, "column")}"')

    def _terminate(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        from sandbox.app_database.contents import READER

        ended = connection.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = %s", (READER,)
        ).fetchone()
        return {"ended": ended[0] if ended else 0}

    def _sql(self, connection: psycopg.Connection[Any], data: Mapping[str, Any]) -> Any:
        connection.execute(required(data, "statement").encode())
        return {}

    def _at(self, data: Mapping[str, Any]) -> str:
        return str(data.get("at") or self._clock.now().isoformat())


_CHANGES = (
    "upsert", "update", "delete", "late_begin", "late_commit", "revoke", "grant", "rename_column", "retype_column",
    "add_column", "drop_column", "terminate", "sql",
)  # fmt: skip


def _table(data: Mapping[str, Any]) -> str:
    name = required(data, "table")
    if name not in TABLES:
        raise MutationRefused(f'"table" must be one of {", ".join(TABLES)}.')
    return name


def _alter(connection: psycopg.Connection[Any], data: Mapping[str, Any], change: str) -> Any:
    connection.execute(f"alter table public.{_table(data)} {change}".encode())
    return {}
