"""One copy of the migrated database, lent to one test after the other and put back as it was in between.

Belongs here: putting back, and being sure of it. Does not belong here: the copy itself (`fresh_database`).

A copy costs forty times what emptying the few tables of a test does. What a test could have changed beside rows (a
relation, a right, a trigger, a setting) shows in the system's catalogue, whose state is compared with what it was at
the beginning: schemas and tables that were added are dropped, and a database that even then is not as it was is thrown
away, for a fresh copy. So a test cannot tell the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from ops_platform.database.server import running_server
from tests.database.fresh_database import at_server, connector, copy_of, drop, name_for

if TYPE_CHECKING:
    from tests.conftest import Connect

PURPOSE = "warehouse"
# The newest row of a catalogue tells of every change but a removal, and the count tells of that. Relations are changed
# by being emptied too: of them it is what they are that counts. What a session kept for itself ends with it.
_CATALOGUES = (
    "pg_attribute", "pg_attrdef", "pg_proc", "pg_trigger", "pg_constraint", "pg_rewrite", "pg_type", "pg_policy",
    "pg_default_acl", "pg_description", "pg_extension", "pg_event_trigger", "pg_index", "pg_inherits", "pg_sequence",
)  # fmt: skip
_STATE = " union all ".join([
    *(f"select '{name}', count(*)::text, max(xmin::text::bigint)::text from {name}" for name in _CATALOGUES),
    "select 'pg_namespace', md5(string_agg(concat_ws(' ', oid, nspname, nspowner, nspacl), ',' order by oid)), ''"
    " from pg_namespace where nspname !~ '^pg_(toast_)?temp_'",
    "select 'pg_class', md5(string_agg(concat_ws(' ', oid, relname, relnamespace, relkind, relowner, relpersistence,"
    " relrowsecurity, relacl, reloptions), ',' order by oid)), '' from pg_class where oid >= 16384",
    "select 'database', datacl::text, (select string_agg(setrole || setconfig::text, ',' order by setrole)"
    " from pg_db_role_setting where setdatabase = pg_database.oid) from pg_database where datname = current_database()",
])  # fmt: skip
_ALONE = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
_ADDED_SCHEMAS = "select nspname from pg_namespace where nspname !~ '^pg_' and oid <> all(%s)"
_ADDED_RELATIONS = """
select case relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end, oid::regclass::text
from pg_class where relkind in ('r', 'p', 'v', 'm') and oid >= 16384 and relpersistence <> 't' and oid <> all(%s)
"""
_WRITTEN = """
select oid::regclass::text, pg_relation_size(oid) > 200000
from pg_class where relkind = 'r' and oid >= 16384 and pg_relation_size(oid) > 0
"""
_COUNTED = """
select oid::regclass::text, pg_sequence_last_value(oid) from pg_class where relkind = 'S' and oid >= 16384
"""
_COUNT_FROM = """
select setval(seqrelid, coalesce(%s, seqstart), %s::bigint is not null) from pg_sequence where seqrelid = %s::regclass
"""


class LentDatabase:
    """A copy of `template` on the server at `home`, for one borrower at a time."""

    def __init__(self, home: Path, template: str) -> None:
        self._home, self._template = home, template
        self._name = ""

    def close(self) -> None:
        if self._name:
            drop(self._home, self._name)
        self._name = ""

    @contextmanager
    def lent(self) -> Iterator[Connect]:
        """The database as migrations left it; gives a function that opens connections to it."""
        if not self._name:
            self._name = copy_of(self._home, self._template, PURPOSE)
            with self._superuser() as looking:
                self._remember(looking)
        try:
            yield connector(self._home, self._name)
        finally:
            if not self._put_back():
                self.close()

    def _superuser(self) -> psycopg.Connection[Any]:
        address = running_server(self._home).url(self._name)
        # As a replica: the records that refuse to be emptied have triggers.
        return psycopg.connect(address, autocommit=True, options="-c session_replication_role=replica")

    def _remember(self, looking: psycopg.Connection[Any]) -> None:
        self._state = looking.execute(_STATE.encode()).fetchall()
        self._schemas = [oid for (oid,) in looking.execute("select oid from pg_namespace").fetchall()]
        self._relations = [oid for (oid,) in looking.execute("select oid from pg_class").fetchall()]
        self._numbers = dict(looking.execute(_COUNTED).fetchall())
        self._rows = {name: _content(looking, name) for name, _ in looking.execute(_WRITTEN).fetchall()}

    def _put_back(self) -> bool:
        """Whether the database is again as it was. It gets another name: who still knew the old one finds nothing."""
        try:
            with self._superuser() as connection:
                connection.execute("set lock_timeout = '5s'")
                connection.execute(_ALONE)
                undone = self._undone(connection)
                # An installation of its own for each borrower.
                connection.execute("update ops.installation set id = gen_random_uuid()")
            if undone:
                name = name_for(PURPOSE)
                with at_server(self._home) as maintenance:
                    maintenance.execute(f"alter database {self._name} rename to {name}".encode())
                self._name = name
        except psycopg.Error:
            return False
        return undone

    def _undone(self, connection: psycopg.Connection[Any]) -> bool:
        if connection.execute(_STATE.encode()).fetchall() != self._state:
            for (schema,) in connection.execute(_ADDED_SCHEMAS, (self._schemas,)).fetchall():
                connection.execute(f'drop schema "{schema}" cascade'.encode())
            for kind, relation in connection.execute(_ADDED_RELATIONS, (self._relations,)).fetchall():
                connection.execute(f"drop {kind} if exists {relation} cascade".encode())
            if connection.execute(_STATE.encode()).fetchall() != self._state:
                return False
        for name, large in connection.execute(_WRITTEN).fetchall():
            if name not in self._rows:
                connection.execute(f"delete from {name}".encode())
                if large:
                    connection.execute(f"vacuum {name}".encode())
        for name, rows in self._rows.items():
            if _content(connection, name) != rows:
                connection.execute(f"delete from {name}".encode())
                again = f"insert into {name} overriding system value select (was).* from unnest(%s::{name}[]) was"
                connection.execute(again.encode(), (rows,))
        for sequence, last in connection.execute(_COUNTED).fetchall():
            before = self._numbers[sequence]
            if last != before:
                connection.execute(_COUNT_FROM, (before, before, sequence))
        return True


def _content(connection: psycopg.Connection[Any], name: str) -> str | None:
    # What an installation is called differs by its nature.
    if name == "ops.installation":
        return None
    row = connection.execute(f"select array_agg(t order by t::text)::text from {name} t".encode()).fetchone()
    assert row is not None
    text: str | None = row[0]
    return text
