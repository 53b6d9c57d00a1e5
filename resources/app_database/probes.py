"""What `ops doctor` asks the app's database: who we are there, what we may do, each table's newest row.

Belongs here: the questions and the statement that mends each answer. Does not belong here: reading for the
warehouse (`source.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ops_platform.failures import OpsError
from ops_platform.ingestion.contract import Probe
from resources.app_database.failures import grant
from resources.app_database.source import LARGEST_LAG, UNSEEN_TRANSACTION, Position, Relation
from resources.app_database.tables import TABLES, Table
from resources.retry import RetryPolicy

if TYPE_CHECKING:
    from resources.app_database.client import Session
    from resources.app_database.source import AppSource

LARGEST_CLOCK_DIFFERENCE_SECONDS = 60
_NAMES_SHOWN = 4
# A person is waiting.
HURRIED = RetryPolicy(tries=2, budget_seconds=15.0)

_WHO = "select current_user, current_database(), current_setting('server_version'), current_setting('server_encoding')"
_POWERS = """
select rolsuper, rolcreaterole, rolcreatedb, rolreplication, exists (
    select 1 from pg_catalog.pg_roles as known where rolname = 'pg_write_all_data' and pg_has_role(known.oid, 'usage'))
from pg_catalog.pg_roles where rolname = current_user
"""
_WRITABLE = """
select n.nspname || '.' || c.relname from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'f') and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
    and has_schema_privilege(n.oid, 'usage')
    and (has_table_privilege(c.oid, 'insert, delete, truncate') or has_any_column_privilege(c.oid, 'insert, update'))
order by 1
"""
_OWNED = (
    "select count(*) from pg_catalog.pg_class where relowner = (select oid from pg_roles where rolname = current_user)"
)
_CREATABLE = """
select nspname from pg_catalog.pg_namespace
where nspname not like 'pg\\_%' and nspname <> 'information_schema' and has_schema_privilege(oid, 'create') order by 1
"""


def probes(source: AppSource) -> Iterator[Probe]:
    """Credentials first; a table's probe says how many rows it has about, and when the newest changed."""
    database = source.database
    everything = tuple(source.streams)
    patient, database.retry = database.retry, HURRIED
    database.begin()
    try:
        try:
            who: tuple[Any, ...] = database.ask("the server", lambda session: database.rows(session, _WHO)[0])
            position: Position = database.ask("the server", source.position)
        except OpsError as failure:
            said, remedy = _parted(failure)
            yield Probe("credentials", False, said, remedy, everything)
            return
        role, name, version, encoding = who
        kind = "a replica" if position.replica else "the primary"
        yield Probe("credentials", True, f"{role} in {name}, PostgreSQL {version}, {kind}")
        yield _asked(source, "encryption", _encryption)
        yield _asked(source, "read-only role", _read_only)
        yield _freshness(position, everything, str(role))
        yield _clock(position)
        if encoding == "SQL_ASCII":
            yield Probe("encoding", False, "the database has no encoding (SQL_ASCII): texts may hold broken characters",
                        "convert it to UTF8 (pg_dump, createdb -E UTF8, pg_restore)")  # fmt: skip
        for table in TABLES.values():
            yield _table(source, table)
    finally:
        database.retry = patient
        database.begin()


def _asked(source: AppSource, endpoint: str, ask: Any) -> Probe:
    try:
        probe: Probe = source.database.ask("the server", lambda session: ask(source, session))
    except OpsError as failure:
        said, remedy = _parted(failure)
        return Probe(endpoint, False, said, remedy)
    return probe


def _encryption(source: AppSource, session: Session) -> Probe:
    address = source.database.address
    if session.pgconn.ssl_in_use:
        return Probe("encryption", True, "TLS")
    if session.info.host.startswith("/") or session.info.hostaddr.startswith(("127.", "::1")):
        return Probe("encryption", True, "none needed: on this machine")
    return Probe(
        "encryption", False, f"the connection to {address.where} is not encrypted",
        "add sslmode=require (better: verify-full with sslrootcert) to APP_DATABASE_URL",
    )  # fmt: skip


def _read_only(source: AppSource, session: Session) -> Probe:
    """A role that can write is told, not refused: our transactions are read-only whatever it could do."""
    database = source.database
    role = database.address.role
    ((superuser, create_role, create_db, replication, write_all),) = database.rows(session, _POWERS)
    marks = {"SUPERUSER": superuser, "CREATEROLE": create_role, "CREATEDB": create_db, "REPLICATION": replication}
    held = [mark for mark, set_ in marks.items() if set_]
    ((owned,),) = database.rows(session, _OWNED)
    if superuser or owned:
        return Probe(
            "read-only role", False,
            f"{role} {'is a superuser' if superuser else f'owns {owned} relations'}; we only read all the same",
            "make a role of its own for reading (docs/connect/app.md) and put it into APP_DATABASE_URL",
        )  # fmt: skip
    writable = [name for (name,) in database.rows(session, _WRITABLE)]
    creatable = [name for (name,) in database.rows(session, _CREATABLE)]
    told, remedy = [], []
    if held:
        told.append(f"has {', '.join(held)}")
        remedy.append(f"ALTER ROLE {role} {' '.join('NO' + mark for mark in held)};")
    if write_all:
        told.append("is a member of pg_write_all_data")
        remedy.append(f"REVOKE pg_write_all_data FROM {role};")
    elif writable:
        more = f" and {len(writable) - _NAMES_SHOWN} more" if len(writable) > _NAMES_SHOWN else ""
        told.append(f"may write {', '.join(writable[:_NAMES_SHOWN])}{more}")
        for schema in sorted({name.partition(".")[0] for name in writable}):
            remedy.append(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA {schema} FROM {role};")
    if creatable:
        told.append(f"may create tables in {', '.join(creatable)}")
        remedy += [f"REVOKE CREATE ON SCHEMA {schema} FROM {role}, PUBLIC;" for schema in creatable]
    if told:
        return Probe("read-only role", False, f"{role} {', '.join(told)}; we only read all the same", " ".join(remedy))
    return Probe("read-only role", True, f"{role} may only read")


def _freshness(position: Position, everything: tuple[str, ...], role: str) -> Probe:
    if position.lag is not None and position.lag > LARGEST_LAG:
        return Probe(
            "freshness", False, f"the replica is {position.lag} behind its primary",
            "mend the replication, or point APP_DATABASE_URL at the primary", everything,
        )  # fmt: skip
    hours = UNSEEN_TRANSACTION.total_seconds() / 3600
    if position.replica:
        return Probe(
            "freshness", True,
            f"a replica, {position.lag or '0:00:00'} behind; the last {hours:.0f} hours are read again at every sync",
        )  # fmt: skip
    if position.sees_all:
        return Probe("freshness", True, "the begin of every transaction under way is seen")
    return Probe(
        "freshness", True,
        f"{hours:.0f} hours are read again while others write; less with GRANT pg_read_all_stats TO {role};",
    )  # fmt: skip


def _clock(position: Position) -> Probe:
    difference = abs(position.server_time.timestamp() - time.time())
    if difference > LARGEST_CLOCK_DIFFERENCE_SECONDS:
        return Probe(
            "clock", False, f"the server's clock and ours are {difference:.0f} seconds apart",
            "set both by NTP; until then rows are read twice rather than missed",
        )  # fmt: skip
    return Probe("clock", True, f"{difference:.1f} seconds apart")


def _table(source: AppSource, table: Table) -> Probe:
    database = source.database
    role = database.address.role

    def ask(session: Session) -> tuple[Relation, Any, Any]:
        relation = source.relation(session, table)
        stamps = relation.changed[:1] or ((table.day,) if table.day else ())
        newest = f"max({relation.moment(stamps[0])})::text" if stamps else "null"
        ((count, at),) = database.rows(session, f"select count(*), {newest} from {relation.name}")
        return relation, count, at

    try:
        relation, count, newest = database.ask(table.name, ask)
    except OpsError as failure:
        said, remedy = _parted(failure)
        return Probe(table.name, False, said, remedy, (table.name,))
    told = f"{relation.name}: {count:,} rows" + (f", the newest of {newest[:16]} UTC" if newest else "")
    if relation.unreadable:
        names = tuple(column.name for column in table.columns if column.name not in relation.absent)
        told += f"; not granted: {', '.join(relation.unreadable)}"
        return Probe(table.name, False, told, f"run: {grant(relation.name, role, names)}")
    if relation.absent:
        told += f"; not there, so unknown: {', '.join(relation.absent)}"
    if table.changed and not relation.changed:
        told += "; no updated_at, so read whole at every sync"
    return Probe(table.name, True, told)


def _parted(failure: OpsError) -> tuple[str, str]:
    """What happened, and what to do: a failure's sentence is both, parted by a semicolon."""
    said, _, remedy = str(failure).removeprefix("app: ").partition("; ")
    return said, remedy or "see docs/connect/app.md"
