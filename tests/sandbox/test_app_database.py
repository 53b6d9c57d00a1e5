"""The app's database of the sandbox: its story, its server, what can be changed, what goes wrong on demand."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox import app_database
from sandbox.app_database.contents import PASSWORD, READER
from sandbox.app_database.wire import FAULTS
from sandbox.company import Company, generate
from sandbox.company.app_usage import (
    DEVICES,
    LOGIN_OUTAGE,
    ORPHANS,
    ROLES,
    AppUsage,
    build_app_usage,
    incidents,
    paid_feature,
)
from sandbox.company.staff import STAFF
from sandbox.mutation import MutationRefused
from tests.sandbox.conftest import EARLY, Process, Served

LATER = "2024-12-20T06:00:00-05:00"


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(7, datetime.fromisoformat(LATER))


@pytest.fixture(scope="module")
def usage(company: Company) -> AppUsage:
    return company.part(build_app_usage)


def url_of(served: Served | Process) -> str:
    http = served.http if isinstance(served, Served) else served.http()
    found: str = http.get("/_sandbox/environment").json()["APP_DATABASE_URL"]
    return found


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as opened:
        return opened.execute(query.encode()).fetchall()


# -- the story ----------------------------------------------------------------------------------------------


def test_users_from_the_shop_are_its_customers_and_had_bought_the_device(company: Company, usage: AppUsage) -> None:
    found = [user for user in usage.users if user.signup_source == "shop"]
    assert len(found) > 100
    for user in found:
        assert user.shop_customer_id is not None and user.order_id is not None
        order = company.order_by_id[user.order_id]
        customer = company.customer_by_id[user.shop_customer_id]
        assert order.customer_id == customer.id and not order.test and order.created_at < user.created_at
        assert user.device_sku in {line.sku for line in order.lines} and str(user.device_sku).startswith(tuple(DEVICES))
        assert user.country == (customer.address.country if customer.address else None)
    assert len({user.shop_customer_id for user in found}) == len(found)
    assert all(
        user.shop_customer_id is None
        for user in usage.users
        if user.signup_source in ("marketplace", "store", "internal")
    )


def test_staff_are_the_roster(usage: AppUsage) -> None:
    staff = {user.email: user for user in usage.users if user.signup_source == "internal"}
    assert set(staff) == {person.email for person in STAFF}
    assert all((staff[person.email].deleted_at is not None) == person.left for person in STAFF)
    assert {user.role for user in usage.users} <= {name for _, name, _ in ROLES}


def test_nothing_happens_before_signing_up_or_after_leaving(company: Company, usage: AppUsage) -> None:
    users = {user.id: user for user in usage.users}
    happened = [(session.user_id, session.started_at, session.updated_at) for session in usage.sessions]
    happened += [(each.user_id, each.created_at, each.updated_at) for each in usage.subscriptions]
    happened += [(ticket.user_id, ticket.created_at, ticket.updated_at) for ticket in usage.tickets]
    for number, at, updated in happened:
        assert users[number].created_at <= at <= (users[number].deleted_at or company.clock)
        assert at <= updated <= company.clock
    for session in usage.sessions:
        assert session.ended_at is None or session.started_at < session.ended_at <= company.clock
    for ticket in usage.tickets:
        if ticket.sku is not None:
            assert ticket.sku == users[ticket.user_id].device_sku
    assert all(
        len({each.id for each in rows}) == len(rows) for rows in (usage.users, usage.tickets, usage.subscriptions)
    )
    assert len({session.key for session in usage.sessions}) == len(usage.sessions)


def test_subscriptions_begin_after_the_purchase_of_a_paid_feature(usage: AppUsage) -> None:
    users = {user.id: user for user in usage.users}
    assert usage.subscriptions and {each.currency for each in usage.subscriptions} >= {"USD"}
    for each in usage.subscriptions:
        user = users[each.user_id]
        assert paid_feature(user.device_sku) and each.created_at > user.created_at
        assert (each.status == "canceled") == (each.canceled_at is not None)
        assert each.current_period_start < each.current_period_end


def test_a_later_clock_only_adds(usage: AppUsage) -> None:
    earlier = generate(7, datetime.fromisoformat(EARLY)).part(build_app_usage)
    later = {user.id: user for user in usage.users}
    assert 0 < len(earlier.users) < len(later)
    for user in earlier.users:
        assert (later[user.id].created_at, later[user.id].order_id, later[user.id].email) == (
            user.created_at, user.order_id, user.email)  # fmt: skip
    sessions = {session.key: session for session in usage.sessions}
    for session in earlier.sessions:
        then = sessions[session.key]
        assert (then.started_at, then.user_id) == (session.started_at, session.user_id)
        assert session.ended_at is None or then.ended_at == session.ended_at
        assert then.updated_at >= session.updated_at
    tickets = {ticket.id: ticket for ticket in usage.tickets}
    for ticket in earlier.tickets:
        assert tickets[ticket.id].created_at == ticket.created_at and tickets[ticket.id].subject == ticket.subject
        assert ticket.resolved_at in (None, tickets[ticket.id].resolved_at)
    subscriptions = {each.id: each for each in usage.subscriptions}
    for each in earlier.subscriptions:
        assert subscriptions[each.id].created_at == each.created_at and subscriptions[each.id].amount == each.amount
        assert subscriptions[each.id].updated_at >= each.updated_at


def test_what_is_planted_shows(company: Company, usage: AppUsage) -> None:
    planted = {incident.id: incident for incident in incidents(company)}
    outage, orphans = planted[LOGIN_OUTAGE], planted[ORPHANS]
    low, high = (datetime.fromisoformat(outage.expected[key]) for key in ("from", "to"))
    assert not [session for session in usage.sessions if low <= session.started_at < high]
    asked = Counter(company.business_day(ticket.created_at) for ticket in usage.tickets if ticket.priority == "urgent")
    assert asked[outage.start] >= 5 and asked.most_common(1)[0][0] == outage.start
    named = {int(number) for number in orphans.expected["users"].split(",")}
    unknown = {
        user.id for user in usage.users if user.shop_customer_id and user.shop_customer_id not in company.customer_by_id
    }
    assert unknown == named


def test_the_ugly_is_there(company: Company, usage: AppUsage) -> None:
    subjects = " ".join(ticket.subject for ticket in usage.tickets)
    assert "<script>" in subjects or "DROP TABLE" in subjects
    local = {session.started_at.astimezone(company.zone).time().isoformat() for session in usage.sessions}
    assert "23:59:59.999999" in local
    assert any(session.ended_at is None for session in usage.sessions)


# -- the server ---------------------------------------------------------------------------------------------


def test_nothing_is_made_before_somebody_connects(early: Served) -> None:
    assert not (early.state / "app_database").exists()
    assert ask(url_of(early), "select count(*) from public.roles") == [(len(ROLES),)]
    assert (early.state / "app_database" / "data").exists()


def test_a_company_from_a_file_has_no_app(company: Company, tmp_path: Path) -> None:
    shop_only = replace(company, source="csv")
    assert build_app_usage(shop_only) == AppUsage((), (), (), (), ())
    side = app_database.AppSide(shop_only, clock=None, ledger=None, faults=None, directory=tmp_path)  # type: ignore[arg-type]
    assert side.environment("http://127.0.0.1:1") == {}
    with pytest.raises(MutationRefused):
        side.mutate("terminate", {})
    side.close()


def test_it_refuses_what_a_server_refuses(early: Served) -> None:
    url = url_of(early)
    for wrong, state in (
        (url.replace(PASSWORD, "guess"), "password authentication failed"),
        (url.replace(READER, "app_owner"), "password"),
        (url.replace("/app", "/nothing"), "does not exist"),
        (url + "?sslmode=require", "SSL"),
    ):
        with pytest.raises(psycopg.OperationalError, match=state):
            psycopg.connect(wrong)
    with psycopg.connect(url) as opened:
        for query, error in (
            ("select email from public.users", psycopg.errors.InsufficientPrivilege),
            ("select * from public.users", psycopg.errors.InsufficientPrivilege),
            ("delete from public.roles", psycopg.errors.ReadOnlySqlTransaction),
            ("select nothing from public.roles", psycopg.errors.UndefinedColumn),
            ("create table public.mine (id int)", psycopg.errors.ReadOnlySqlTransaction),
        ):
            with pytest.raises(error):
                opened.execute(query.encode())
            opened.rollback()
    asked = early.ledger(vendor="app", kind="request")
    assert all(entry["path"] == "/app" for entry in asked)


def test_queries_are_in_the_ledger(early: Served) -> None:
    ask(url_of(early), "select id from public.roles order by id")
    time.sleep(0.2)
    (entry,) = [each for each in early.ledger(vendor="app", kind="request") if each["operation"] == "select roles"]
    assert (entry["records"], entry["status"]) == (len(ROLES), 200)


def test_changes_and_a_moved_clock(early: Served) -> None:
    def mutate(op: str, **data: Any) -> Any:
        return early.control("/mutate", {"vendor": "app", "op": op, "data": data})

    url = url_of(early)
    ((before,),) = ask(url, "select count(*) from public.users")
    mutate("update", table="users", id="12", set={"role": "tester"})
    mutate("delete", table="tickets", id=str(ask(url, "select min(id) from public.tickets")[0][0]))
    mutate("upsert", table="roles", row={"id": 99, "name": "new 🆕"})
    expected = [("tester", datetime.fromisoformat(EARLY))]
    assert ask(url, "select role, updated_at from public.users where id = 12") == expected
    for op, data in (("nonsense", {}), ("delete", {"table": "users", "id": "0"}), ("update", {"table": "pg_user"})):
        answer = early.http.post("/_sandbox/mutate", json={"vendor": "app", "op": op, "data": data})
        assert answer.status_code == 400, answer.text
    later = datetime.fromisoformat(EARLY) + timedelta(days=5)
    early.control("/clock", {"now": later.isoformat()})
    assert ask(url, "select count(*) from public.users")[0][0] > before
    assert ask(url, "select role, updated_at from public.users where id = 12") == expected
    assert ask(url, "select name from public.roles where id = 99") == [("new 🆕",)]


def test_every_fault_is_known_to_the_list_of_sides() -> None:
    assert app_database.SIDE.faults == FAULTS


def test_faults_of_the_wire(early: Served) -> None:
    url = url_of(early)
    ask(url, "select 1")
    for fault, state in (("starting_up", "starting up"), ("too_many_connections", "too many clients"),
                         ("refuse_connection", "closed|reset")):  # fmt: skip
        early.fault("app", fault)
        with pytest.raises(psycopg.OperationalError, match=state):
            psycopg.connect(url)
    query = "select id from public.roles order by id"
    for fault, code in (("kill_connection", "57P01"), ("recovery_conflict", "40001"), ("cut_connection", None)):
        early.fault("app", fault)
        with pytest.raises(psycopg.OperationalError) as raised:
            ask(url, query)
        assert raised.value.sqlstate == code
    whole = [row[0] for row in ask(url, query)]
    for fault, wanted in (("short_page", whole[:4]), ("empty_page", []), ("duplicate_rows", whole + whole[:1])):
        early.fault("app", fault)
        assert [row[0] for row in ask(url, query)] == wanted
    early.fault("app", "repeat_page")
    with psycopg.connect(url) as opened:
        opened.execute(b"select id from public.roles where id < 4 order by id").fetchall()
        early.fault("app", "repeat_page")
        assert opened.execute(b"select id from public.roles where id > 3 order by id").fetchall() == [(1,), (2,), (3,)]
    early.fault("app", "slow_query", seconds=0.3)
    started = time.monotonic()
    ask(url, query)
    assert time.monotonic() - started >= 0.3


def test_a_killed_sandbox_leaves_no_server_and_the_next_one_serves(
    launch: Callable[..., Process], tmp_path: Path
) -> None:
    first = launch()
    assert ask(url_of(first), "select count(*) from public.roles") == [(len(ROLES),)]
    pid = int((first.state / "app_database" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    first.popen.send_signal(signal.SIGKILL)
    first.popen.wait()
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)
    second = launch(state=first.state)
    assert ask(url_of(second), "select count(*) from public.roles") == [(len(ROLES),)]
    pid = int((first.state / "app_database" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    second.popen.send_signal(signal.SIGTERM)
    second.popen.wait(20)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not Path("/proc/self/stat").exists()
