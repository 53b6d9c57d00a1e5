"""Least privilege, role by role: every role on every table with every verb is what the design says, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.database.migrations import MODEL_SCHEMAS
from ops_platform.database.roles import (
    ANALYST,
    EVIDENCE_MARTS,
    EVIDENCE_OPERATIONS,
    LOADER,
    TRANSFORMER,
    WRITER_READER,
    bot_role,
    ensure_roles,
)
from ops_platform.warehouse.publication import PublicModel, publish
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database

BOTS = ("coordinator", "sales")
ROLES = (LOADER, TRANSFORMER, ANALYST, WRITER_READER, *map(bot_role, BOTS))
VERBS = ("select", "insert", "update", "delete", "truncate", "references", "trigger")
WRITE = {"insert", "update", "delete"}
RAW = ("raw_shopify", "raw_hubspot")
# What a sync writes, a build writes, a bot writes.
SYNC_WRITES = {
    "sync_runs", "cursors", "quarantine", "tie_outs", "connections", "stream_shapes", "schema_changes",
}  # fmt: skip
BUILD_WRITES = {"row_changes", "model_progress", "warehouse_builds", "publications", "published_models"}
BOT_WRITES = {"evidence_bundles", "documents", "outbox", "outbox_handovers", "files", "token_ledger"}


def grant(connection: psycopg.Connection[Any]) -> None:
    """A table in every schema, some made before the roles were granted and some after."""
    connection.autocommit = True
    ensure_raw_tables(connection, [("shopify", "orders", "Orders."), ("hubspot", "contacts", "Contacts.")])
    for schema in MODEL_SCHEMAS:
        connection.execute(f"create table {schema}.early (id text)".encode())
    for mart in EVIDENCE_MARTS:
        connection.execute(f"create table marts.{mart} (id text)".encode())
    ensure_roles(connection, BOTS, RAW)
    for schema in (*MODEL_SCHEMAS, *RAW):
        connection.execute(f"create table {schema}.late (id text)".encode())


@pytest.fixture
def granted(warehouse: Connect) -> Iterator[psycopg.Connection[Any]]:
    """A warehouse of the test's own with its grants."""
    with warehouse() as connection:
        grant(connection)
        yield connection


@pytest.fixture(scope="module")
def standing(server_home: Path, migrated: str) -> Iterator[psycopg.Connection[Any]]:
    """One with its grants for all tests that change nothing."""
    with fresh_database(server_home, migrated, "granted") as connect, connect() as connection:
        grant(connection)
        yield connection


@pytest.fixture
def as_role(standing: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """What a role does in it, taken back."""
    with standing.transaction(force_rollback=True):
        yield standing


def expected(role: str, schema: str, table: str) -> set[str]:
    """What the design lets a role do."""
    model = schema in MODEL_SCHEMAS
    if role == LOADER:
        if schema in RAW:
            return {"select", *WRITE}
        if schema == "ops":
            return {"select", *(WRITE if table in SYNC_WRITES else ())}
        return set()
    if role == TRANSFORMER:
        if schema in RAW:
            return {"select"}
        if schema == "ops":
            return set() if table == "quarantine" else {"select", *(WRITE if table in BUILD_WRITES else ())}
        return {"select", "truncate", *WRITE}
    if role == ANALYST:
        return {"select"} if model else set()
    # What an LLM step may read, and a bot besides: metrics, marts without personal data, the platform's own record.
    if schema == "metrics" or (schema == "marts" and table in EVIDENCE_MARTS):
        return {"select"}
    if schema == "ops" and role == WRITER_READER:
        return {"select"} if table in EVIDENCE_OPERATIONS else set()
    if schema == "ops":
        return set() if table == "quarantine" else {"select", *({"insert", "update"} if table in BOT_WRITES else ())}
    return set()


def test_every_role_on_every_table_with_every_verb(standing: psycopg.Connection[Any]) -> None:
    tables = standing.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema not in ('pg_catalog', 'information_schema', 'ops_migrations') order by 1, 2"
    ).fetchall()
    assert {schema for schema, _ in tables} == {*MODEL_SCHEMAS, *RAW, "ops"}
    wrong = []
    for role in ROLES:
        for schema, table in tables:
            (may,) = standing.execute(
                "select array_agg(verb) from unnest(%s::text[]) as verb where has_table_privilege(%s, %s, verb)",
                (list(VERBS), role, f"{schema}.{table}"),
            ).fetchone() or (None,)
            if set(may or ()) != expected(role, schema, table):
                wrong.append((role, f"{schema}.{table}", sorted(may or ()), sorted(expected(role, schema, table))))
    assert wrong == []


def test_granting_again_changes_nothing(granted: psycopg.Connection[Any]) -> None:
    def acls() -> list[Any]:
        return granted.execute(
            "select relnamespace::regnamespace::text, relname, relacl::text from pg_class where relacl is not null"
            " and relkind = 'r' and relnamespace::regnamespace::text !~ '^pg_' and relname <> 'late' order by 1, 2"
        ).fetchall()

    ensure_roles(granted, BOTS, RAW)
    before = acls()
    ensure_roles(granted, BOTS, RAW)
    assert acls() == before
    test_every_role_on_every_table_with_every_verb(granted)


def test_nobody_else_may_do_anything(standing: psycopg.Connection[Any]) -> None:
    public = standing.execute(
        "select relnamespace::regnamespace::text, relname from pg_class cross join lateral aclexplode(relacl) as acl"
        " where acl.grantee = 0 and relkind = 'r'"
        " and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')"
    ).fetchall()
    assert public == []
    creators = standing.execute(
        "select role, nspname from unnest(%s::text[]) as role cross join pg_namespace"
        " where has_schema_privilege(role, nspname, 'create') and nspname !~ '^pg_' order by 1, 2",
        (list(ROLES),),
    ).fetchall()
    assert creators == sorted((TRANSFORMER, schema) for schema in MODEL_SCHEMAS)
    assert standing.execute(
        "select rolname from pg_roles where rolname = any(%s)"
        " and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolcanlogin)",
        (list(ROLES),),
    ).fetchall() == []  # fmt: skip


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (LOADER, "select * from staging.early"),
        (LOADER, "select * from ops.documents where false; insert into ops.token_ledger default values"),
        (TRANSFORMER, "insert into raw_shopify.orders (id) values ('1')"),
        (TRANSFORMER, "select raw from ops.quarantine"),
        (ANALYST, "select payload from raw_hubspot.contacts"),
        (ANALYST, "insert into candidate_marts.early values ('1')"),
        (ANALYST, "update metrics.early set id = '1'"),
        (ANALYST, "create table marts.mine (id text)"),
        (WRITER_READER, "select * from staging.early"),
        (WRITER_READER, "select * from marts.early"),
        (WRITER_READER, "select * from candidate_metrics.early"),
        (WRITER_READER, "select * from ops.documents"),
        (WRITER_READER, "select * from ops.quarantine"),
        (bot_role("sales"), "select * from intermediate.late"),
        (bot_role("sales"), "select * from candidate_marts.late"),
        (bot_role("sales"), "delete from ops.outbox"),
        (bot_role("sales"), "update ops.cursors set cursor = ''"),
    ],
)
def test_what_a_role_may_not_is_refused(as_role: psycopg.Connection[Any], role: str, statement: str) -> None:
    as_role.execute(f"set role {role}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role.execute(statement.encode())


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (LOADER, "delete from raw_shopify.orders"),
        (TRANSFORMER, "create table candidate_marts.mine (id text)"),
        (TRANSFORMER, "select payload from raw_shopify.orders"),
        (ANALYST, "select * from candidate_marts.late, staging.early, metrics.late"),
        (WRITER_READER, "select * from metrics.late, marts.fct_late_orders, ops.company"),
        (bot_role("sales"), "select * from metrics.late, marts.fct_late_orders, ops.documents"),
    ],
)
def test_what_a_role_may_is_done(as_role: psycopg.Connection[Any], role: str, statement: str) -> None:
    as_role.execute(f"set role {role}".encode())
    as_role.execute(statement.encode())


def test_a_table_published_anew_keeps_its_grants(granted: psycopg.Connection[Any]) -> None:
    """With other columns the public table is made again: nobody gains and nobody loses."""
    model = PublicModel("marts", "fct_late_orders", ("order_id",), None)
    now = datetime(2026, 11, 20, 11, tzinfo=UTC)
    granted.execute("create table candidate_marts.fct_late_orders (order_id text not null, age integer)")
    granted.execute("grant select on marts.fct_late_orders to public")
    before = {role: may(granted, role) for role in ROLES}
    publish(granted, [model], now)
    assert granted.execute("select age from marts.fct_late_orders").fetchall() == []
    assert {role: may(granted, role) for role in ROLES} == before
    assert may(granted, "public") == ["select"]


def may(connection: psycopg.Connection[Any], role: str) -> list[str]:
    return sorted(
        verb
        for (verb,) in connection.execute(
            "select lower(acl.privilege_type) from pg_class cross join lateral aclexplode(relacl) as acl"
            " where pg_class.oid = 'marts.fct_late_orders'::regclass"
            " and acl.grantee = case %(role)s when 'public' then 0"
            " else (select oid from pg_roles where rolname = %(role)s) end",
            {"role": role},
        )
    )
