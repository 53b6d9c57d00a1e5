"""What is in the app's database: its schema, its rows, the role that may read them.

Belongs here: SQL. Does not belong here: the story (`sandbox/company/app_usage.py`), the server (`postgres.py`).

The schema is an app's own, not made for us: it holds names, e-mail addresses and password hashes, which the reading
role is not granted; ids are of four types; one column of moments has no zone.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

import psycopg

from sandbox.company import Company
from sandbox.company.app_usage import ROLES, AppUsage, build_app_usage

DATABASE = "app"
READER = "ops_reader"
PASSWORD = "sandbox-reader"  # noqa: S105

_SCHEMA = """
create table public.roles (id smallint primary key, name text not null unique, description text);
create table public.users (
    id bigint primary key, email text not null unique, full_name text, password_hash text not null,
    push_token text, role text not null references public.roles (name), signup_source text not null, country char(2),
    shop_customer_id bigint, device_sku text, created_at timestamptz not null, updated_at timestamptz,
    last_seen_at timestamp, deleted_at timestamptz);
create index users_by_change on public.users (updated_at, id);
create table public.sessions (
    id uuid primary key, user_id bigint not null references public.users (id), platform text not null,
    app_version text, ip_address inet, started_at timestamptz not null, updated_at timestamptz not null,
    ended_at timestamptz);
create index sessions_by_change on public.sessions (updated_at, id);
create index sessions_by_start on public.sessions (started_at);
create type public.subscription_status as enum ('trialing', 'active', 'past_due', 'canceled');
create table public.subscriptions (
    id text primary key, user_id bigint not null references public.users (id), plan text not null,
    status public.subscription_status not null, billing_period text not null, amount numeric(12, 2) not null,
    currency text not null, card_last4 text, created_at timestamptz not null, updated_at timestamptz not null,
    trial_ends_at timestamptz, current_period_start timestamptz, current_period_end timestamptz,
    canceled_at timestamptz, cancel_reason text);
create index subscriptions_by_change on public.subscriptions (updated_at, id);
create table public.tickets (
    id bigint primary key, user_id bigint references public.users (id), sku text, subject text, body text,
    status text not null, priority text, category text, assignee text, created_at timestamptz not null,
    updated_at timestamptz not null, first_response_at timestamptz, resolved_at timestamptz);
create index tickets_by_change on public.tickets (updated_at, id);
revoke all on schema public from public;
grant usage on schema public to ops_reader;
"""
# Exactly what the documentation tells people to grant.
GRANTS = {
    "roles": "id, name, description",
    "users": "id, role, signup_source, country, shop_customer_id, created_at, updated_at, last_seen_at, deleted_at",
    "sessions": "id, user_id, platform, app_version, started_at, updated_at, ended_at",
    "subscriptions": "id, user_id, plan, status, billing_period, amount, currency, created_at, updated_at,"
    " trial_ends_at, current_period_start, current_period_end, canceled_at, cancel_reason",
    "tickets": "id, user_id, subject, status, priority, category, created_at, updated_at, first_response_at,"
    " resolved_at",
}


def make(maintenance: psycopg.Connection[Any]) -> None:
    """An empty database and the role, in place of what was there."""
    maintenance.execute(f"drop database if exists {DATABASE} with (force)")
    known = maintenance.execute("select 1 from pg_roles where rolname = %s", (READER,)).fetchone()
    word = "alter" if known else "create"
    plain = "login nosuperuser nocreatedb nocreaterole noreplication nobypassrls"
    maintenance.execute(f"{word} role {READER} {plain} password '{PASSWORD}'")
    maintenance.execute(f"alter role {READER} set default_transaction_read_only = on")
    maintenance.execute(f"revoke pg_read_all_stats from {READER}")
    maintenance.execute(f"create database {DATABASE} strategy file_copy")
    maintenance.execute(f"revoke all on database {DATABASE} from public")
    maintenance.execute(f"grant connect on database {DATABASE} to {READER}")


def fill(connection: psycopg.Connection[Any], company: Company) -> None:
    """The schema and the rows, all at once."""
    usage = company.part(build_app_usage)
    with connection.transaction():
        connection.execute(_SCHEMA)
        for table, columns in GRANTS.items():
            connection.execute(f"grant select ({columns}) on public.{table} to {READER}")
        for table, columns, rows in _rows(usage):
            with connection.cursor().copy(f"copy public.{table} ({columns}) from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
        connection.execute("analyze")


def _rows(usage: AppUsage) -> Iterable[tuple[str, str, Iterable[tuple[Any, ...]]]]:
    yield "roles", "id, name, description", ROLES
    yield (
        "users",
        "id, email, full_name, password_hash, push_token, role, signup_source, country, shop_customer_id, device_sku,"
        " created_at, updated_at, last_seen_at, deleted_at",
        (
            (
                user.id, f"{user.id}+{user.email}", user.name, hashlib.sha256(user.email.encode()).hexdigest(), None,
                user.role, user.signup_source, user.country, user.shop_customer_id, user.device_sku, user.created_at,
                # The first users are older than the column.
                None if user.id in (3, 4) else user.updated_at,
                user.last_seen_at.replace(tzinfo=None) if user.last_seen_at else None, user.deleted_at,
            )
            for user in usage.users
        ),
    )  # fmt: skip
    yield (
        "sessions",
        "id, user_id, platform, app_version, ip_address, started_at, updated_at, ended_at",
        (
            (
                session_id(each.key), each.user_id, each.platform, each.app_version, "203.0.113.7", each.started_at,
                each.updated_at, each.ended_at,
            )
            for each in usage.sessions
        ),
    )  # fmt: skip
    yield (
        "subscriptions",
        "id, user_id, plan, status, billing_period, amount, currency, card_last4, created_at, updated_at,"
        " trial_ends_at, current_period_start, current_period_end, canceled_at, cancel_reason",
        (
            (
                each.id, each.user_id, each.plan, each.status, each.billing_period, each.amount, each.currency, "4242",
                each.created_at, each.updated_at, each.trial_ends_at, each.current_period_start,
                each.current_period_end, each.canceled_at, each.cancel_reason,
            )
            for each in usage.subscriptions
        ),
    )  # fmt: skip
    yield (
        "tickets",
        "id, user_id, sku, subject, body, status, priority, category, assignee, created_at, updated_at,"
        " first_response_at, resolved_at",
        (
            (
                each.id, each.user_id, each.sku, each.subject, "My address is …", each.status, each.priority,
                each.category, "hannah", each.created_at, each.updated_at, each.first_response_at, each.resolved_at,
            )
            for each in usage.tickets
        ),
    )  # fmt: skip


def session_id(key: int) -> uuid.UUID:
    """The same session has the same id in every run."""
    return uuid.UUID(bytes=hashlib.blake2b(key.to_bytes(8, "big"), digest_size=16).digest(), version=4)
