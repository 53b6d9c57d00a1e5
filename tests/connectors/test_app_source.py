"""The app's database as a source, against a real PostgreSQL: paging, breaks, late commits, refusals, what lands."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from ops_platform.database import ensure_raw_tables
from ops_platform.database.server import running_server
from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.sync import sync_stream
from ops_platform.settings import Settings
from resources import app_database
from resources.app_database import client
from resources.app_database.client import address_of
from resources.app_database.source import AppSource, Position
from resources.app_database.tables import TABLES
from resources.record_checks import moment
from sandbox.app_database.contents import GRANTS, PASSWORD
from sandbox.app_database.wire import BREAKING, FAULTS, SPOILING
from tests.connectors.conftest import NOW, World, read, started

TODAY = date(2024, 12, 5)
Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture(scope="module")
def _changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("changing"))


@pytest.fixture
def changing(_changing: World) -> Iterator[World]:
    """A sandbox whose data the tests of this module change, made anew after each by moving its clock back."""
    yield _changing
    _changing.control("/faults", method="DELETE")


@pytest.fixture
def connection(warehouse: Connect) -> Any:
    with warehouse() as opened:
        ensure_raw_tables(opened, [("app", name, "") for name in TABLES])
        opened.commit()
        opened.autocommit = True
        yield opened


def small(world: World, rows: int = 50) -> AppSource:
    """A source that reads in small pages, so that a small company has many."""
    source = world.app()
    source.page_rows = source.id_rows = rows
    return source


def sql(world: World, statement: str) -> None:
    world.mutate("app", "sql", statement=statement)


def ask(world: World, query: str) -> list[tuple[Any, ...]]:
    """What the reading role sees, by a connection of the test's own."""
    assert world.settings.app_database_url is not None
    with psycopg.connect(world.settings.app_database_url.get_secret_value()) as opened:
        return opened.execute(query.encode()).fetchall()


def sync(connection: Any, source: Any, name: str, **more: Any) -> Any:
    return sync_stream(connection, source, source.streams[name], **{"now": NOW, "today": TODAY, **more})


# -- reading ------------------------------------------------------------------------------------------------


def test_every_row_comes_once_with_the_columns_of_the_contract(world: World) -> None:
    source = small(world)
    for name, table in TABLES.items():
        found = read(source, name)
        ((count,),) = ask(world, f"select count(*) from public.{name}")
        assert len(found.payloads) == count > 0 and not found.rejected
        assert sum(page.received for page in found.pages) == count
        allowed = {column.name for column in table.columns}
        assert all(set(payload) == allowed for payload in found.payloads.values())
        assert sorted(source.living_ids(table.stream)) == sorted(found.payloads)


def test_nobodys_name_or_address_is_read(world: World) -> None:
    text = json.dumps([read(world.app(), name).payloads for name in TABLES])
    assert "mail.example" not in text and "northbeam.example" not in text and "203.0.113" not in text
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(world, "select email from public.users")


def test_moments_without_a_zone_are_utc_and_amounts_are_exact(world: World) -> None:
    users = read(world.app(), "users").payloads
    seen = [user["last_seen_at"] for user in users.values() if user["last_seen_at"]]
    assert seen and all(each.endswith("+00") for each in seen)
    amounts = {row["amount"] for row in read(world.app(), "subscriptions").payloads.values()}
    assert amounts and all(isinstance(amount, str) and Decimal(amount) > 0 for amount in amounts)


def test_changes_come_by_their_time_and_rows_without_one_always(world: World) -> None:
    source = small(world, 7)
    first = read(source, "users")
    assert first.cursor is not None and first.cursor < "2024-12-05T11:00:00Z"
    since = "2024-12-01T00:00:00Z"
    found = read(source, "users", since)
    wanted = {
        str(identity)
        for (identity,) in ask(world, "select id from public.users where updated_at >= '2024-11-30T23:45Z'")
    }
    assert set(found.payloads) == wanted | {"3", "4"} and len(wanted) > 14
    stamped = [record for page in found.pages for record in page.records if record.payload["updated_at"]]
    keys = [(moment(record.payload["updated_at"], "updated_at"), int(record.id)) for record in stamped]
    assert keys == sorted(keys)


def test_totals_are_of_the_snapshot_the_rows_were_read_in(changing: World) -> None:
    source = changing.app()
    stream = source.streams["tickets"]
    pages = source.pages(stream, None, now=NOW)
    next(pages)
    changing.mutate("app", "upsert", table="tickets", row={
        "id": 77, "subject": "after", "status": "open", "created_at": "2024-11-20T12:00Z"})  # fmt: skip
    received = 1 * sum(page.received for page in pages)
    totals = {total.day: total for total in source.control_totals(stream, None)}
    ((count, with_it),) = ask(
        changing, "select count(*), count(*) filter (where created_at::date = '2024-11-20') from public.tickets"
    )
    assert sum(total.count for total in totals.values()) == count - 1 and received == 0
    assert totals.get(date(2024, 11, 20)) is None or totals[date(2024, 11, 20)].count == with_it - 1
    # Once another reading began, they are counted anew.
    source.living_ids(stream)
    list(source.living_ids(stream))
    assert sum(total.count for total in source.control_totals(stream, None)) == count
    changing.mutate("app", "delete", table="tickets", id="77")


# -- what breaks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", sorted(BREAKING | SPOILING))
@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.slow), 4])
def test_one_fault_costs_nothing_but_time(world: World, fault: str, after: int) -> None:
    wanted = read(world.app(), "sessions").payloads
    source = small(world)
    world.fault("app", fault, after=after, match={"body_contains": "sessions"})
    found = read(source, "sessions")
    assert found.payloads == wanted
    (armed,) = world.control("/faults", method="GET")
    assert armed["fired"] == 1
    world.fault("app", fault, after=after, match={"body_contains": "sessions"})
    assert set(source.living_ids(source.streams["sessions"])) == set(wanted)


@pytest.mark.parametrize("fault", ["refuse_connection", "starting_up", "too_many_connections"])
def test_a_server_that_is_not_ready_is_waited_for(world: World, fault: str) -> None:
    world.fault("app", fault, times=2)
    assert len(read(world.app(), "roles").payloads) == 7


@pytest.mark.parametrize("fault", ["refuse_connection", "kill_connection", "recovery_conflict"])
def test_a_server_that_stays_away_is_a_transient_failure_without_the_password(world: World, fault: str) -> None:
    world.fault("app", fault, times=None)
    with pytest.raises(TransientFailure, match="gave up") as raised:
        read(world.app(), "users")
    assert PASSWORD not in str(raised.value) and "postgresql://" not in str(raised.value)


@pytest.mark.parametrize("fault", sorted(SPOILING - {"repeat_page"}))
def test_rows_that_never_agree_with_their_count_are_refused(world: World, fault: str) -> None:
    world.fault("app", fault, times=None)
    with pytest.raises(PermanentFailure, match="time and again"):
        read(small(world), "sessions")


def test_a_break_in_the_middle_goes_on_behind_the_last_key(world: World) -> None:
    source = small(world)
    wanted = read(source, "sessions").payloads
    received = 0
    for number, page in enumerate(source.pages(source.streams["sessions"], None, now=NOW)):
        received += page.received
        if number in (1, 3):
            world.mutate("app", "terminate")
    assert received == len(wanted)


def test_a_server_that_says_nothing_any_more_is_hung_up_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "HUNG_SECONDS", 0.2)
    world.fault("app", "slow_query", seconds=2)
    started = time.monotonic()
    assert read(world.app(), "roles").payloads
    assert time.monotonic() - started < 2


def test_a_slow_server_is_waited_for(world: World) -> None:
    world.fault("app", "slow_query", seconds=0.3)
    assert read(world.app(), "roles").payloads


# -- what commits late --------------------------------------------------------------------------------------


def test_a_row_that_commits_behind_the_cursor_is_found(changing: World) -> None:
    source = changing.app()
    changing.mutate("app", "late_begin", name="slow", table="users", id="12", set={
        "role": "owner", "updated_at": "2024-12-05T05:30:00Z"})  # fmt: skip
    first = read(source, "users")
    assert first.payloads["12"]["role"] != "owner"
    # Something is under way and its begin is hidden from us: the cursor stays six hours back.
    assert first.cursor == "2024-12-05T05:00:00Z"
    changing.mutate("app", "late_commit", name="slow")
    second = read(source, "users", first.cursor)
    assert second.payloads["12"]["role"] == "owner"
    assert second.cursor is not None and second.cursor > "2024-12-05T09:00:00Z"


def test_the_begin_of_other_transactions_is_used_where_it_can_be_seen(changing: World) -> None:
    sql(changing, "grant pg_read_all_stats to ops_reader")
    changing.mutate("app", "late_begin", name="young", table="users", id="12", set={"country": "DE"})
    try:
        found = read(changing.app(), "users")
        assert found.cursor is not None and found.cursor > "2024-12-05T09:00:00Z"
    finally:
        changing.mutate("app", "late_commit", name="young")
        sql(changing, "revoke pg_read_all_stats from ops_reader")


def test_a_moment_in_the_future_does_not_carry_the_cursor_away(changing: World) -> None:
    changing.mutate("app", "update", table="users", id="13", set={"updated_at": "2031-01-01T00:00:00Z"})
    assert read(changing.app(), "users").cursor == "2024-12-05T11:00:00Z"
    changing.mutate("app", "update", table="users", id="13", set={"updated_at": "2024-12-01T00:00:00Z"})


@pytest.mark.parametrize(
    ("replica", "under_way", "sees_all", "oldest", "back"),
    [
        (False, False, False, 0, 0),
        (False, True, True, 0, 0),
        (False, True, True, 5400, 5400),
        (False, False, True, 5400, 5400),
        (False, True, False, 60, 6 * 3600),
        (True, True, True, 60, 6 * 3600),
        (True, False, True, 0, 6 * 3600),
        (False, True, False, 30 * 3600, 30 * 3600),
    ],
)
def test_how_far_the_cursor_may_go(replica: bool, under_way: bool, sees_all: bool, oldest: int, back: int) -> None:
    position = Position(NOW + timedelta(days=1), replica, under_way, sees_all, timedelta(seconds=oldest), None)
    assert position.horizon(NOW) == NOW - timedelta(seconds=back)
    behind = Position(NOW - timedelta(hours=1), replica, under_way, sees_all, timedelta(seconds=oldest), None)
    assert behind.horizon(NOW) == NOW - timedelta(hours=1, seconds=back)


# -- what is refused ----------------------------------------------------------------------------------------


def test_a_revoked_grant_names_the_grant(changing: World) -> None:
    changing.mutate("app", "revoke", table="users")
    try:
        source = changing.app()
        with pytest.raises(PermanentFailure, match=r"GRANT SELECT \(id, role, .*\) ON public\.users TO ops_reader;"):
            read(source, "users")
        assert read(source, "roles").payloads
        told = {probe.endpoint: probe for probe in source.probe()}
        assert not told["users"].ok and told["users"].streams == ("users",) and "GRANT" in told["users"].remedy
        assert told["credentials"].ok and told["roles"].ok
    finally:
        changing.mutate("app", "grant", table="users")


def test_a_grant_revoked_while_reading(changing: World) -> None:
    source = small(changing)
    pages = source.pages(source.streams["users"], None, now=NOW)
    next(pages)
    changing.mutate("app", "revoke", table="users")
    try:
        with pytest.raises(PermanentFailure, match=r"GRANT SELECT \(id, role, .*\) ON public\.users TO ops_reader"):
            list(pages)
    finally:
        changing.mutate("app", "grant", table="users")


def test_a_renamed_or_retyped_column_stops_that_stream_alone(changing: World) -> None:
    source = changing.app()
    changing.mutate("app", "rename_column", table="tickets", column="status", to="state")
    with pytest.raises(PermanentFailure, match=r"public\.tickets has no column status"):
        read(source, "tickets")
    changing.mutate("app", "rename_column", table="tickets", column="state", to="status")
    changing.mutate("app", "retype_column", table="subscriptions", column="amount", type="double precision")
    with pytest.raises(PermanentFailure, match=r"subscriptions\.amount has the type double precision, not numeric"):
        read(source, "subscriptions")
    changing.mutate("app", "retype_column", table="subscriptions", column="amount", type="numeric(12, 2)")
    assert read(source, "tickets").payloads and read(source, "subscriptions").payloads


def test_an_optional_column_may_be_missing_and_more_are_never_read(changing: World) -> None:
    changing.mutate("app", "rename_column", table="users", column="country", to="nation")
    changing.mutate("app", "add_column", table="users", column="birthday", type="date")
    try:
        source = changing.app()
        users = read(source, "users").payloads
        assert all("country" not in user and "birthday" not in user for user in users.values())
        assert "not there, so unknown: country" in next(p.said for p in source.probe() if p.endpoint == "users")
    finally:
        changing.mutate("app", "rename_column", table="users", column="nation", to="country")
        changing.mutate("app", "drop_column", table="users", column="birthday")


def test_row_level_security_never_passes_for_fewer_rows(changing: World) -> None:
    sql(changing, "alter table public.tickets enable row level security")
    sql(changing, "create policy mine on public.tickets using (id < 100)")
    try:
        with pytest.raises(PermanentFailure, match="BYPASSRLS"):
            read(changing.app(), "tickets")
    finally:
        sql(changing, "drop policy mine on public.tickets")
        sql(changing, "alter table public.tickets disable row level security")


def test_views_of_ops_export_come_before_tables_and_carry_any_shape(changing: World) -> None:
    sql(changing, """
        create schema ops_export; grant usage on schema ops_export to ops_reader;
        create view ops_export.tickets as
            select 'T' || id as id, user_id, subject, upper(status) as status, created_at, updated_at
            from public.tickets
            union all select null, 1, 'nameless', 'OPEN', now(), null
            union all select 'X9', 1, 'twice', 'OPEN', timestamptz '2024-11-20 10:00Z', null
            union all select 'X9', 1, 'twice', 'OPEN', timestamptz '2024-11-20 10:00Z', null
            union all select 'X10', 1, 'for ever', 'OPEN', timestamptz 'infinity', null;
        grant select on ops_export.tickets to ops_reader;
    """)  # fmt: skip
    try:
        ((tickets,),) = ask(changing, "select count(*) from public.tickets")
        found = read(small(changing, 10), "tickets")
        assert len(found.payloads) == tickets + 1 and "X9" in found.payloads
        assert sorted(refused.reason for refused in found.rejected) == ["invalid_timestamp", "missing_id"]
        assert all("priority" not in row for row in found.payloads.values())
        only = changing.settings.model_copy(update={"app_database_schema": "public"})
        plain = app_database.connect(only)
        assert plain is not None and len(read(plain, "tickets").payloads) == tickets
    finally:
        sql(changing, "drop schema ops_export cascade")


def test_a_table_without_times_of_change_is_read_whole(changing: World) -> None:
    sql(changing, """
        create schema ops_export; grant usage on schema ops_export to ops_reader;
        create view ops_export.users as select id, role, created_at from public.users;
        create view ops_export.sessions as select id, user_id, started_at, ended_at from public.sessions;
        grant select on all tables in schema ops_export to ops_reader;
    """)  # fmt: skip
    try:
        source = small(changing)
        first = read(source, "users")
        assert first.cursor is None and len(first.payloads) > 100
        sessions = read(source, "sessions")
        later = read(source, "sessions", "2024-12-04T12:00:00Z")
        wanted = {
            str(identity)
            for (identity,) in ask(
                changing,
                "select id from public.sessions where greatest(started_at, ended_at) >= '2024-12-04T11:45Z'",
            )
        }
        assert 0 < len(wanted) < len(sessions.payloads) and set(later.payloads) == wanted
    finally:
        sql(changing, "drop schema ops_export cascade")


def test_a_database_without_an_encoding_is_read_with_marks_for_what_is_broken(server_home: Path) -> None:
    address = running_server(server_home)
    name = f"ascii_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(address.url("postgres"), autocommit=True) as maintenance:
        maintenance.execute(f"create database {name} encoding 'SQL_ASCII' locale 'C' template template0".encode())
        try:
            with psycopg.connect(address.url(name), client_encoding="utf8", autocommit=True) as opened:
                opened.execute("create table roles (id int primary key, name text, description text)")
                opened.execute(r"insert into roles values (1, 'größe 🎧', convert_from('\x62fc62', 'SQL_ASCII'))")
            source = app_database.connect(Settings(app_database_url=address.url(name)))
            assert source is not None
            roles = read(source, "roles").payloads
            assert roles == {"1": {"id": "1", "name": "größe 🎧", "description": "b\ufffdb"}}
            assert not next(probe for probe in source.probe() if probe.endpoint == "encoding").ok
            told = next(probe for probe in source.probe() if probe.endpoint == "read-only role")
            assert not told.ok and "superuser" in told.said
            source.close()
        finally:
            maintenance.execute(f"drop database {name} with (force)".encode())


def test_a_view_that_gives_other_rows_every_time_is_refused(changing: World) -> None:
    """The view answers the count otherwise than the pages, as one with random() does, but never by chance the same."""
    sql(changing, """
        create schema ops_export; grant usage on schema ops_export to ops_reader;
        create view ops_export.users as select * from public.users
            where current_query() ilike '%count(%' or id <> (select max(id) from public.users);
        grant select on all tables in schema ops_export to ops_reader;
    """)  # fmt: skip
    try:
        source = small(changing, 2)
        with pytest.raises(OpsError, match="time and again"):
            read(source, "users")
    finally:
        sql(changing, "drop schema ops_export cascade")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: url.replace(PASSWORD, "wrong-password"), "ALTER ROLE ops_reader WITH LOGIN PASSWORD"),
        (lambda url: url.replace("ops_reader", "nobody"), "refused the credentials"),
        (lambda url: url.removesuffix("/app") + "/elsewhere", "no database elsewhere"),
        (lambda url: url.removesuffix("/app") + "/postgres", "postgres"),
        (lambda url: url + "?sslmode=require", "TLS"),
        (lambda url: url + "?pgbouncer=true", "not understood"),
        (lambda url: url + "?sslmode=nonsense", "not understood"),
    ],
)
def test_addresses_that_cannot_work(world: World, change: Callable[[str], str], told: str) -> None:
    assert world.settings.app_database_url is not None
    url = change(world.settings.app_database_url.get_secret_value())
    source = app_database.connect(world.settings.model_copy(update={"app_database_url": SecretStr(url)}))
    assert source is not None
    if told == "postgres":
        with pytest.raises(PermanentFailure, match="no table or view"):
            read(source, "users")
        return
    with pytest.raises((PermanentFailure, ConfigurationError), match=told) as raised:
        read(source, "users")
    (probe,) = source.probe()
    for text in (str(raised.value), repr(probe), repr(source.database.address)):
        assert PASSWORD not in text and "wrong-password" not in text
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


def test_nobody_there_is_told_without_the_password() -> None:
    source = app_database.connect(Settings(app_database_url="postgresql://ops_reader:se%40cret@127.0.0.1:1/app"))
    assert source is not None
    source.database.sleep = lambda _: None
    with pytest.raises(TransientFailure, match=r"cannot reach 127\.0\.0\.1:1") as raised:
        read(source, "users")
    assert "se@cret" not in str(raised.value) and "se%40cret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://r:secret@h/app", "postgresql://r:sec@ret@h/app", "postgresql://r:sec/ret@h/app", "postgresql://h/app",
        "postgresql://r:sec#ret@h/app", "postgresql://r:sec?ret@h/app", "nonsense-secret",
    ],
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        app_database.connect(Settings(app_database_url=url))
    assert "ret" not in str(raised.value).replace("secret-", "")


def test_the_internet_is_crossed_encrypted() -> None:
    assert "sslmode=require" in address_of("postgresql://r:p@db.example.com/app").url
    assert "sslmode=require" in address_of("postgresql://r:p@near,db.example.com/app").url
    assert "sslmode=verify-full" in address_of("postgresql://r:p@db.example.com/app?sslmode=verify-full").url
    for near in ("localhost", "127.0.0.1:5433", "10.1.2.3", "database", "[::1]:5432"):
        assert "sslmode" not in address_of(f"postgresql://r:p@{near}/app").url, near
    assert "sslmode" not in address_of("postgresql:///app?host=/run/postgresql&user=r").url


def test_connecting() -> None:
    assert app_database.connect(Settings()) is None
    with pytest.raises(ConfigurationError, match="APP_DATABASE_URL is not"):
        app_database.connect(Settings(app_database_schema="app"))
    with pytest.raises(ConfigurationError, match="plain name"):
        app_database.connect(Settings(app_database_url="postgresql://r:p@h/app", app_database_schema='a"; drop'))


# -- what the role may do -----------------------------------------------------------------------------------


def test_the_probe_is_quiet_about_a_role_that_may_only_read(world: World) -> None:
    told = list(world.app().probe())
    assert [probe.endpoint for probe in told][:4] == ["credentials", "encryption", "read-only role", "freshness"]
    assert all(probe.ok for probe in told), told
    assert {probe.endpoint for probe in told} >= set(TABLES)


def test_a_role_that_can_write_is_told_and_still_only_reads(changing: World) -> None:
    sql(changing, "grant insert, update on public.users to ops_reader")
    sql(changing, "alter role ops_reader createdb")
    sql(changing, "alter role ops_reader set default_transaction_read_only = off")
    try:
        source = changing.app()
        probe = next(each for each in source.probe() if each.endpoint == "read-only role")
        assert not probe.ok and probe.streams == ()
        assert "has CREATEDB" in probe.said and "public.users" in probe.said
        assert "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public FROM ops_reader;" in probe.remedy
        assert read(source, "users").payloads
        with pytest.raises(PermanentFailure, match="read-only transaction"):
            source.database.ask("a write", lambda session: session.execute("update public.users set country = 'XX'"))
    finally:
        sql(changing, "revoke insert, update on public.users from ops_reader")
        sql(changing, "alter role ops_reader nocreatedb")
        sql(changing, "alter role ops_reader set default_transaction_read_only = on")


def test_a_role_that_owns_the_tables_is_told_to_be_another(changing: World) -> None:
    sql(changing, "grant create on schema public to ops_reader")
    sql(changing, "alter table public.tickets owner to ops_reader")
    try:
        probe = next(each for each in changing.app().probe() if each.endpoint == "read-only role")
        assert not probe.ok and "owns" in probe.said and "role of its own" in probe.remedy
    finally:
        sql(changing, "alter table public.tickets owner to app_owner")
        changing.mutate("app", "grant", table="tickets")
        sql(changing, "revoke create on schema public from ops_reader")


def test_no_snapshot_is_left_open(world: World) -> None:
    source = small(world)
    pages = source.pages(source.streams["sessions"], None, now=NOW)
    next(pages)
    assert isinstance(pages, Generator)
    pages.close()
    states = ask(world, "select state from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()")
    assert states and {state for (state,) in states} == {"idle"}
    source.close()


def test_the_contract_is_what_the_documentation_grants() -> None:
    for name, table in TABLES.items():
        assert GRANTS[name].split(", ") == [column.name for column in table.columns]


# -- what lands ---------------------------------------------------------------------------------------------


def test_every_stream_lands_ties_out_and_lands_nothing_again(world: World, connection: Any) -> None:
    source = small(world, 100)
    for name in source.streams:
        first = sync(connection, source, name)
        assert (first.status, first.error, first.tie_out) == ("succeeded", None, "matched"), (name, first)
        assert first.inserted == first.received > 0 and first.quarantined == 0, (name, first)
        second = sync(connection, source, name, sweep=True)
        assert (second.status, second.inserted, second.updated, second.deleted) == ("succeeded", 0, 0, 0), (
            name,
            second,
        )
        assert second.tie_out == "matched" and second.received <= first.received
    (sums,) = connection.execute(
        "select count(*) filter (where source_amount > 0) from ops.tie_outs where vendor = 'app' and status = 'matched'"
    ).fetchone()
    assert sums > 20


def test_late_updates_deletes_and_bad_rows(changing: World, connection: Any) -> None:
    source = changing.app()
    for name in ("users", "sessions", "subscriptions"):
        assert sync(connection, source, name).tie_out == "matched"
    open_session = connection.execute(
        "select id from raw_app.sessions where payload->>'ended_at' is null"
        " and (payload->>'started_at')::timestamptz < '2024-12-04T00:00Z' order by id limit 1"
    ).fetchone()[0]
    later = NOW + timedelta(hours=3)
    changing.mutate("app", "update", table="sessions", id=open_session, set={
        "ended_at": "2024-12-05T12:00:00Z", "updated_at": "2024-12-05T12:00:00Z"})  # fmt: skip
    again = sync(connection, source, "sessions", now=later)
    assert (again.updated, again.tie_out) == (1, "matched")

    gone = connection.execute("select id from raw_app.users where id::bigint > 1000 order by id limit 1").fetchone()[0]
    changing.mutate("app", "delete", table="users", id=gone)
    swept = sync(connection, source, "users", now=later, sweep=True)
    assert (swept.deleted, swept.tie_out) == (1, "matched")

    sql(changing, "alter table public.subscriptions alter column amount drop not null")
    one = connection.execute("select id from raw_app.subscriptions order by id limit 1").fetchone()[0]
    changing.mutate("app", "update", table="subscriptions", id=one, set={
        "amount": None, "updated_at": "2024-12-05T12:00:00Z"})  # fmt: skip
    refused = sync(connection, source, "subscriptions", now=later)
    assert (refused.status, refused.quarantined) == ("succeeded", 1)
    raw, reason = connection.execute("select raw, reason from ops.quarantine where vendor = 'app'").fetchone()
    assert reason == "null_money" and json.loads(raw)["id"] == one
    changing.mutate("app", "update", table="subscriptions", id=one, set={
        "amount": "7.50", "updated_at": "2024-12-05T12:30:00Z"})  # fmt: skip
    mended = sync(connection, source, "subscriptions", now=later)
    assert (mended.updated, mended.quarantined, mended.tie_out) == (1, 0, "matched")
    rechecked = source.recheck(source.streams["subscriptions"], [json.loads(raw)], now=later)
    assert [item.reason for item in rechecked.rejected] == ["null_money"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_storm_loses_nothing(changing: World, connection: Any, seed: int) -> None:
    draw = random.Random(seed)
    source = small(changing, 40)
    source.id_rows = 60
    sync(connection, source, "users")
    now = NOW
    for step in range(6):
        now += timedelta(minutes=7)
        stamp = (now - timedelta(minutes=draw.choice((1, 5, 12)))).isoformat()
        for fault in draw.sample(sorted(FAULTS - {"slow_query"}), 3):
            changing.fault("app", fault, times=draw.choice((1, 1, 2)), after=draw.randint(0, 6))
        user = str(2_000_000 + seed * 100 + step)
        row = {"id": user, "email": user, "password_hash": "x", "role": "customer", "signup_source": "شكرا 🎧",
               "created_at": stamp, "updated_at": stamp}  # fmt: skip
        changing.mutate("app", "upsert", table="users", row=row)
        changing.mutate("app", "update", table="users", id=str(draw.randint(1, 19)), set={
            "country": draw.choice(("US", "DE", None)), "updated_at": stamp})  # fmt: skip
        if step == 4:
            changing.mutate("app", "delete", table="users", id=str(int(user) - 2))
        sync(connection, source, "users", now=now, sweep=step % 2 == 1)
    changing.control("/faults", method="DELETE")
    last = sync(connection, source, "users", now=now, sweep=True)
    assert (last.status, last.tie_out, last.error) == ("succeeded", "matched", None)
    landed = connection.execute(
        "select id, payload->>'country', (payload->>'updated_at')::timestamptz from raw_app.users"
        " where deleted_at is null order by id::bigint"
    ).fetchall()
    assert landed == ask(changing, "select id::text, country, updated_at from public.users order by users.id")


def test_a_stamp_that_goes_backwards_hides_nothing(changing: World, connection: Any) -> None:
    """Of two transactions on one row, the one that began earlier may commit later, with the older stamp."""
    source = changing.app()
    changing.mutate("app", "update", table="users", id="14", set={"country": "FR", "updated_at": "2024-12-05T10:59Z"})
    sync(connection, source, "users")
    changing.mutate("app", "update", table="users", id="14", set={"country": "IT", "updated_at": "2024-12-05T10:55Z"})
    assert sync(connection, source, "users").updated == 1
    query = "select payload->>'country' from raw_app.users where id = '14'"
    assert connection.execute(query).fetchone() == ("IT",)


def test_an_empty_table_shrinks_nothing(changing: World, connection: Any) -> None:
    source = changing.app()
    first = sync(connection, source, "tickets")
    sql(changing, "alter table public.tickets rename to tickets_kept")
    sql(changing, "create table public.tickets (like public.tickets_kept including all)")
    changing.mutate("app", "grant", table="tickets")
    try:
        swept = sync(connection, source, "tickets", sweep=True)
        assert swept.deleted == 0 and (swept.status == "failed" or swept.sweep == "held" or swept.held)
        live = connection.execute("select count(*) from raw_app.tickets where deleted_at is null").fetchone()[0]
        assert live == first.inserted
    finally:
        sql(changing, "drop table public.tickets")
        sql(changing, "alter table public.tickets_kept rename to tickets")
