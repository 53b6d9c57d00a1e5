"""Databases, versioned migrations of `ops.*`, and the raw tables.

Belongs here: making the server ready for the platform, repeatedly and safely. Does not belong here:
dbt's schemas beyond their existence, loading (`load.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_platform.failures import ConfigurationError

if TYPE_CHECKING:
    import psycopg

MIGRATIONS = Path(__file__).parent / "migrations"
MODEL_SCHEMAS = ("reference", "staging", "intermediate", "candidate_marts", "candidate_metrics", "marts", "metrics")
# Any two processes that prepare the same server take turns; the number only has to be ours.
_PREPARE_LOCK = 4_172_018_001

_RAW_TABLE = """
create table if not exists {schema}.{table} (
    id text primary key,
    payload jsonb not null,
    updated_at timestamptz,
    payload_hash bytea not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    sync_id bigint not null,
    deleted_at timestamptz
)"""


def create_databases(maintenance: psycopg.Connection[Any], names: Iterable[str]) -> None:
    """Create the databases that do not exist yet. `maintenance` is an autocommit connection to `postgres`."""
    import psycopg.errors
    from psycopg import sql

    for name in names:
        row = maintenance.execute("select 1 from pg_database where datname = %s", (name,)).fetchone()
        if row is None:
            try:
                maintenance.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                continue  # another process made it between the look and the leap
            except psycopg.errors.InsufficientPrivilege as error:
                raise ConfigurationError(
                    f"the database {name!r} does not exist and this user may not create it: "
                    f"create it, or grant CREATEDB. ({error.diag.message_primary})"
                ) from None


def set_once(connection: psycopg.Connection[Any], database: str, parameter: str, value: str) -> None:
    """Have a database's sessions begin with a parameter's value. Services start side by side and each prepares: what is
    set already is left alone, and two that set it at once wait for each other instead of one failing."""
    from psycopg import sql

    setting = f"{parameter}={value}"
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_PREPARE_LOCK,))
        stands = connection.execute(
            "select 1 from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase"
            " where d.datname = %s and s.setrole = 0 and %s = any(s.setconfig)",
            (database, setting),
        ).fetchone()
        if stands is None:
            connection.execute(
                sql.SQL("alter database {} set {} to {}").format(
                    sql.Identifier(database), sql.Identifier(parameter), sql.Literal(value)
                )
            )


def migrate(connection: psycopg.Connection[Any]) -> list[str]:
    """Apply the migrations not applied yet, in order, each with its record in one transaction.

    Returns the names applied. Raises `ConfigurationError` when a file that was applied has changed since,
    or when the database was migrated by a newer release."""
    files = sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    applied: list[str] = []
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_PREPARE_LOCK,))
        connection.execute("create schema if not exists ops_migrations")
        connection.execute(
            "create table if not exists ops_migrations.applied"
            " (name text primary key, digest text not null, applied_at timestamptz not null default now())"
        )
        known = dict(connection.execute("select name, digest from ops_migrations.applied").fetchall())
        unknown = sorted(set(known) - {file.stem for file in files})
        if unknown:
            raise ConfigurationError(f"the database has migrations this release lacks: {', '.join(unknown)}. Upgrade.")
        for file in files:
            text = file.read_text(encoding="utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            if file.stem in known:
                if known[file.stem] != digest:
                    raise ConfigurationError(f"migration {file.stem} was changed after it was applied: add a new one")
                continue
            connection.execute(text.encode())
            connection.execute("insert into ops_migrations.applied (name, digest) values (%s, %s)", (file.stem, digest))
            applied.append(file.stem)
        for schema in MODEL_SCHEMAS:
            connection.execute(f"create schema if not exists {schema}".encode())
    connection.commit()
    return applied


def ensure_raw_tables(connection: psycopg.Connection[Any], streams: Iterable[tuple[str, str, str]]) -> None:
    """Create `raw_<vendor>.<stream>` for each (vendor, stream, description), connected or not.

    The warehouse reads them all: an unconnected vendor is an empty table and a NULL `fresh_to`."""
    from psycopg import sql

    wanted = list(streams)
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_PREPARE_LOCK,))
        rows = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_schema like 'raw\\_%'"
        )
        present = set(rows.fetchall())
        for vendor, stream, description in wanted:
            schema = f"raw_{vendor}"
            if (schema, stream) in present:
                continue
            names = {"schema": sql.Identifier(schema), "table": sql.Identifier(stream)}
            connection.execute(sql.SQL("create schema if not exists {schema}").format(**names))
            connection.execute(sql.SQL(_RAW_TABLE).format(**names))
            connection.execute(
                sql.SQL("create index if not exists {index} on {schema}.{table} (sync_id)").format(
                    index=sql.Identifier(f"{stream}_by_sync"), **names
                )
            )
            connection.execute(
                sql.SQL("comment on table {schema}.{table} is {text}").format(text=sql.Literal(description), **names)
            )
    connection.commit()
