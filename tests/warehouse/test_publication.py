"""Proven candidates become the public tables all at once, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from ops_platform.failures import DataFailure
from ops_platform.warehouse.publication import PublicModel, publish
from tests.conftest import Connect

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
ORDERS = PublicModel("marts", "fct_orders", ("order_id",), "order_id")
DAYS = PublicModel("marts", "fct_days", ("date", "channel"), "date")
METRICS = PublicModel("metrics", "fct_metrics", ("metric_id",), None)
MODELS = [ORDERS, DAYS, METRICS]


@pytest.fixture
def built(warehouse: Connect) -> Iterator[psycopg.Connection[Any]]:
    """Three candidates as dbt leaves them: contents, an index, a log of changes."""
    with warehouse() as connection:
        connection.autocommit = True
        connection.execute(
            "insert into ops.company (name, timezone, currency, as_of) values ('T', 'UTC', 'USD', %s)", (NOW,)
        )
        connection.execute(
            "create table candidate_marts.fct_orders (order_id text not null, amount numeric, state text)"
        )
        connection.execute("create unique index on candidate_marts.fct_orders (order_id)")
        connection.execute("create table candidate_marts.fct_days (date date not null, channel text, amount numeric)")
        connection.execute("create table candidate_metrics.fct_metrics (metric_id text not null, value numeric)")
        for model in MODELS:
            columns = [model.scope] if model.scope else []
            connection.execute(
                "select ops.log_changes_of(%s::regclass, %s, %s)", (model.candidate, model.candidate, columns)
            )
        connection.execute(
            "insert into candidate_marts.fct_orders select n::text, 0, 'new' from generate_series(1, 200) as n"
        )
        connection.execute(
            "insert into candidate_marts.fct_days select day::date, 'web', 0"
            " from generate_series('2026-01-01'::timestamp, '2026-03-01', '1 day') as day"
        )
        connection.execute("insert into candidate_metrics.fct_metrics values ('net_sales', 0), ('orders', null)")
        yield connection


def same(connection: psycopg.Connection[Any], model: PublicModel) -> bool:
    """Whether the public table holds exactly the candidate's rows."""
    public = f"{model.schema}.{model.name}"
    (difference,) = connection.execute(
        f"select count(*) from ((table {model.candidate} except all table {public}) union all"
        f" (table {public} except all table {model.candidate})) as rows".encode()
    ).fetchone() or (None,)
    return difference == 0


def test_the_first_publication_is_a_copy_with_its_indexes(built: psycopg.Connection[Any]) -> None:
    done = publish(built, MODELS, NOW)
    assert done.changed == {"marts.fct_orders": (0, 200), "marts.fct_days": (0, 60), "metrics.fct_metrics": (0, 2)}
    assert all(same(built, model) for model in MODELS)
    assert built.execute(
        "select indexdef from pg_indexes where schemaname = 'marts' and tablename = 'fct_orders'"
    ).fetchall() == [("CREATE UNIQUE INDEX fct_orders_order_id_idx ON marts.fct_orders USING btree (order_id)",)]


def test_only_what_changed_is_written(built: psycopg.Connection[Any]) -> None:
    publish(built, MODELS, NOW)
    untouched = built.execute("select xmin::text from marts.fct_orders where order_id = '3'").fetchone()
    built.execute("update candidate_marts.fct_orders set amount = 7 where order_id = '1'")
    built.execute("delete from candidate_marts.fct_orders where order_id = '2'")
    built.execute("insert into candidate_marts.fct_orders values ('201', null, 'new')")
    done = publish(built, MODELS, NOW)
    assert done.changed == {"marts.fct_orders": (2, 2)}
    assert same(built, ORDERS)
    assert built.execute("select xmin::text from marts.fct_orders where order_id = '3'").fetchone() == untouched
    assert publish(built, MODELS, NOW).changed == {}
    assert built.execute("select distinct publish_id from ops.published_models").fetchall() == [(done.id + 1,)]
    assert built.execute("select relation, changed_by from ops.published_models order by 1").fetchall() == [
        ("marts.fct_days", done.id - 1), ("marts.fct_orders", done.id), ("metrics.fct_metrics", done.id - 1),
    ]  # fmt: skip


def test_more_changes_than_the_log_names_are_published_too(built: psycopg.Connection[Any]) -> None:
    publish(built, MODELS, NOW)
    built.execute(
        "insert into candidate_marts.fct_orders select n::text, 1, 'new' from generate_series(300, 20400) as n"
    )
    assert publish(built, MODELS, NOW).changed == {"marts.fct_orders": (0, 20_101)}
    assert same(built, ORDERS)


def test_a_change_of_columns_makes_the_table_anew(built: psycopg.Connection[Any]) -> None:
    publish(built, MODELS, NOW)
    built.execute("alter table candidate_marts.fct_days add column units bigint")
    built.execute("update candidate_marts.fct_days set units = 4")
    assert publish(built, MODELS, NOW).changed == {"marts.fct_days": (0, 60)}
    assert same(built, DAYS)


def test_what_stands_on_a_table_is_not_dropped_with_it(built: psycopg.Connection[Any]) -> None:
    publish(built, MODELS, NOW)
    built.execute("create view marts.own_view as select amount from marts.fct_days")
    built.execute("alter table candidate_marts.fct_days drop column channel")
    built.execute("update candidate_marts.fct_orders set amount = 9")
    with pytest.raises(DataFailure, match=r"own_view.*nothing was published"):
        publish(built, MODELS, NOW)
    assert built.execute("select distinct amount from marts.fct_orders").fetchall() == [(0,)]


def test_readers_see_one_publication_at_a_time(built: psycopg.Connection[Any], warehouse: Connect) -> None:
    """Fifty publications under three readers that never rest: no error, no mixture."""
    publish(built, MODELS, NOW)
    over = threading.Event()
    seen: list[set[Any]] = []
    mixed: list[Any] = []
    errors: list[BaseException] = []

    def reader() -> None:
        mine = set()
        try:
            with warehouse() as connection:
                connection.autocommit = True
                while not over.is_set():
                    row = connection.execute(
                        "select (select array_agg(distinct amount) from marts.fct_orders),"
                        " (select array_agg(distinct amount) from marts.fct_days),"
                        " (select array_agg(distinct value) from metrics.fct_metrics where value is not null),"
                        " (select array_agg(distinct publish_id) from ops.published_models)"
                    ).fetchone()
                    assert row is not None
                    if any(len(part) != 1 for part in row) or len({part[0] for part in row[:3]}) != 1:
                        mixed.append(row)
                    mine.add((row[0][0], row[3][0]))
        except BaseException as error:
            errors.append(error)
        seen.append(mine)

    readers = [threading.Thread(target=reader) for _ in range(3)]
    for thread in readers:
        thread.start()
    for number in range(1, 51):
        built.execute("update candidate_marts.fct_orders set amount = %s", (number,))
        built.execute("update candidate_marts.fct_days set amount = %s", (number,))
        built.execute("update candidate_metrics.fct_metrics set value = %s where value is not null", (number,))
        publish(built, MODELS, NOW)
    over.set()
    for thread in readers:
        thread.join()
    assert errors == []
    assert mixed == []
    # They did look in between, and each amount came with the publication it is of.
    assert len(set().union(*seen)) > 10
    assert all(publish_id == int(amount) + 1 for amount, publish_id in set().union(*seen))


PUBLISHER = """
import sys
import psycopg
from tests.warehouse.test_publication import MODELS, NOW
from ops_platform.warehouse.publication import publish
with psycopg.connect(sys.argv[1]) as connection:
    publish(connection, MODELS, NOW)
"""


@pytest.mark.parametrize(
    ("point", "published"),
    [("publish.before_table@1", False), ("publish.before_table@3", False), ("publish.before_commit", False),
     ("publish.after_commit", True)],
)  # fmt: skip
def test_killed_at_any_point_it_is_all_or_nothing(built: psycopg.Connection[Any], point: str, published: bool) -> None:
    publish(built, MODELS, NOW)
    built.execute("update candidate_marts.fct_orders set amount = 5")
    built.execute("update candidate_marts.fct_days set amount = 5")
    info = built.info
    dsn = f"host={info.host} port={info.port} user={info.user} dbname={info.dbname}"
    killed = subprocess.run(
        [sys.executable, "-c", PUBLISHER, dsn], env={**os.environ, "OPS_FAILPOINT": point}, check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    (amounts,) = built.execute(
        "select array_agg(distinct amount) from (select amount from marts.fct_orders union all"
        " select amount from marts.fct_days) as all_rows"
    ).fetchone() or (None,)
    assert amounts == ([5] if published else [0])
    done = publish(built, MODELS, NOW)
    assert done.changed == ({} if published else {"marts.fct_orders": (200, 200), "marts.fct_days": (60, 60)})
    assert all(same(built, model) for model in MODELS)
