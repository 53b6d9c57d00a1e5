"""What a database holds, as numbers that two copies can be compared by.

Belongs here: rows and a digest of every table, and every sequence, in one snapshot. Does not belong here: dumping.

The digest of a table does not depend on the order of its rows: each row's text is hashed, and the hashes are added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import psycopg

# Text of times, floats and binary data depends on these.
_SAME_TEXT = (
    "set local timezone = 'UTC'",
    "set local extra_float_digits = 1",
    "set local datestyle = 'ISO, YMD'",
    "set local intervalstyle = 'postgres'",
    "set local bytea_output = 'hex'",
)


class Fingerprint(TypedDict):
    """`tables`: name to [rows, digest]; `sequences`: name to its last value, None where it was never used."""

    tables: dict[str, list[Any]]
    sequences: dict[str, int | None]


def fingerprint(connection: psycopg.Connection[Any]) -> Fingerprint:
    """Every table and sequence that is not PostgreSQL's own, as the transaction of `connection` sees them."""
    from psycopg import sql

    for setting in _SAME_TEXT:
        connection.execute(setting.encode())
    names = connection.execute(
        "select n.nspname, c.relname from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p', 'm') and not c.relispartition and c.relpersistence <> 't'"
        " and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1, 2"
    ).fetchall()
    tables: dict[str, list[Any]] = {}
    for schema, table in names:
        query = sql.SQL("select count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text from {} as t")
        row = connection.execute(query.format(sql.Identifier(schema, table))).fetchone()
        assert row is not None
        tables[f"{schema}.{table}"] = [int(row[0]), str(row[1])]
    return {"tables": tables, "sequences": sequences(connection)}


def sequences(connection: psycopg.Connection[Any]) -> dict[str, int | None]:
    """Where every sequence stands now: they obey no snapshot."""
    return dict(
        connection.execute(
            "select schemaname || '.' || sequencename, last_value from pg_sequences order by 1"
        ).fetchall()
    )


def differences(said: Mapping[str, Any], found: Fingerprint) -> list[str]:
    """Where a restored database differs from what its backup says, one line each; empty when it is equal. A sequence
    may have moved while it was dumped: it stands where it stood before or after that, or between."""
    lines = []
    for name, (rows, digest) in sorted(said["tables"].items()):
        there = found["tables"].get(name)
        if there is None:
            lines.append(f"{name} is missing")
        elif there[0] != rows:
            lines.append(f"{name} has {there[0]:,} rows instead of {rows:,}")
        elif there[1] != digest:
            lines.append(f"{name} has other contents in as many rows")
    lines += [f"{name} should not be there" for name in sorted(set(found["tables"]) - set(said["tables"]))]
    for name, after in sorted(said["sequences"].items()):
        stands, before = found["sequences"].get(name, -1), said["sequences_before"].get(name)
        if not (before or 0) <= (stands or 0) <= (after or 0):
            lines.append(f"sequence {name} stands at {stands}, not from {before} to {after}")
    return lines
