"""Who may read and write what in the warehouse: least privilege, as data.

Belongs here: the roles and their grants. Does not belong here: logins and passwords of an external
server, which its administrator owns. The roles cannot log in; a connection takes one with `set role`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ops_platform.database.migrations import MODEL_SCHEMAS
from ops_platform.failures import ConfigurationError

if TYPE_CHECKING:
    import psycopg

LOADER = "ops_loader"
TRANSFORMER = "ops_transformer"
ANALYST = "ops_analyst"
WRITER_READER = "ops_writer_reader"

# What an LLM step may read: metrics, and the marts that evidence quotes from, none with personal data.
EVIDENCE_MARTS = (
    "fct_inventory_position",
    "fct_late_orders",
    "fct_purchase_orders_open",
    "fct_business_health_daily",
    "fct_business_health_attribution",
    "fct_factory_messages",
    "fct_erp_shop_reconciliation",
    "fct_erp_shop_order_differences",
)
EVIDENCE_OPERATIONS = (
    "company",
    "connections",
    "cursors",
    "fleet_health",
    "schema_changes",
    "sync_runs",
    "thresholds",
    "tie_outs",
    "token_ledger",
    "warehouse_builds",
)


def bot_role(bot: str) -> str:
    """The role of a bot: it writes documents, evidence and outbox rows, and reads what evidence reads."""
    return f"ops_bot_{bot}"


def ensure_roles(connection: psycopg.Connection[Any], bots: Iterable[str], raw_schemas: Iterable[str]) -> None:
    """Create the roles and (re)grant what each may do. Safe to repeat; grants on tables that dbt has
    rebuilt since are given again."""
    import psycopg.errors
    from psycopg import sql

    roles = [LOADER, TRANSFORMER, ANALYST, WRITER_READER, *(bot_role(bot) for bot in bots)]
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(4172018002)")
        existing = {name for (name,) in connection.execute("select rolname from pg_roles where rolname like 'ops\\_%'")}
        for role in roles:
            if role in existing:
                continue
            try:
                connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise ConfigurationError(
                    f"the role {role} does not exist and this user may not create it: grant CREATEROLE, "
                    f"or create it. ({error.diag.message_primary})"
                ) from None
        for role in roles:
            connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))
        connection.execute("revoke all on schema public from public")
        for schema in raw_schemas:
            _grant(connection, LOADER, schema, "select, insert, update, delete")
            _grant(connection, TRANSFORMER, schema, "select")
        _grant(connection, LOADER, "ops", "select")
        for table in (
            "sync_runs", "cursors", "quarantine", "tie_outs", "connections", "stream_shapes", "schema_changes",
        ):  # fmt: skip
            connection.execute(f"grant insert, update, delete on ops.{table} to {LOADER}".encode())
        for schema in MODEL_SCHEMAS:
            connection.execute(f"grant usage, create on schema {schema} to {TRANSFORMER}".encode())
            _grant(connection, TRANSFORMER, schema, "select, insert, update, delete, truncate")
            _grant(connection, ANALYST, schema, "select")
        _grant(connection, TRANSFORMER, "ops", "select")
        # A build keeps its place in the change log, and its receipt.
        for table in ("row_changes", "model_progress", "warehouse_builds", "publications", "published_models"):
            connection.execute(f"grant insert, update, delete on ops.{table} to {TRANSFORMER}".encode())
        # Quarantined records are whole payloads: whoever mends syncs reads them, no model and no bot.
        connection.execute(f"revoke select on ops.quarantine from {TRANSFORMER}".encode())
        _grant_evidence(connection, WRITER_READER)
        for bot in bots:
            role = bot_role(bot)
            _grant_evidence(connection, role)
            connection.execute(f"grant select on all tables in schema ops to {role}".encode())
            connection.execute(f"revoke select on ops.quarantine from {role}".encode())
            for table in ("evidence_bundles", "documents", "outbox", "outbox_handovers", "files", "token_ledger"):
                connection.execute(f"grant insert, update on ops.{table} to {role}".encode())
    connection.commit()


def grant_evidence_views(connection: psycopg.Connection[Any], views: Iterable[str]) -> None:
    """Let whoever gathers evidence read `views` (`marts.x`), as reports of the fleet name them; those that are there.
    Marts carry no personal data: it stays out at the door. Does not commit."""
    from psycopg import sql

    wanted = sorted(set(views))
    rows = connection.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema || '.' || table_name = any(%s)"
        " and not has_table_privilege(%s, quote_ident(table_schema) || '.' || quote_ident(table_name), 'select')",
        (wanted, WRITER_READER),
    ).fetchall()
    for schema, table in rows:
        connection.execute(
            sql.SQL("grant select on {} to {}").format(sql.Identifier(schema, table), sql.Identifier(WRITER_READER))
        )


def _grant(connection: psycopg.Connection[Any], role: str, schema: str, privileges: str) -> None:
    connection.execute(f"grant usage on schema {schema} to {role}".encode())
    connection.execute(f"grant {privileges} on all tables in schema {schema} to {role}".encode())
    connection.execute(f"alter default privileges in schema {schema} grant {privileges} on tables to {role}".encode())


def _grant_evidence(connection: psycopg.Connection[Any], role: str) -> None:
    connection.execute(f"grant usage on schema marts, metrics, ops to {role}".encode())
    connection.execute(f"grant select on all tables in schema metrics to {role}".encode())
    connection.execute(f"alter default privileges in schema metrics grant select on tables to {role}".encode())
    present = {
        name
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        )
    }
    for mart in EVIDENCE_MARTS:
        if mart in present:
            connection.execute(f"grant select on marts.{mart} to {role}".encode())
    for table in EVIDENCE_OPERATIONS:
        connection.execute(f"grant select on ops.{table} to {role}".encode())
