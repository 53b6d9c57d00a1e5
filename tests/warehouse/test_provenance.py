"""From a published number down to raw records: on a small warehouse written by hand, and on the project's own graph."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from ops_platform.cli import cli
from ops_platform.commands.trace import find_claim, trace
from ops_platform.evidence.model import Source
from ops_platform.failures import DataFailure
from ops_platform.warehouse import provenance
from ops_platform.warehouse.provenance import Graph, Node, descend, graph
from ops_platform.writing import archive
from tests.approvals.stored import stored
from tests.evidence.bundles import fact, morning

# Two channels on two days; order 3 was refunded a day later; order 2's customer has an earlier order.
WAREHOUSE = """
create schema raw_shop; create schema if not exists staging; create schema if not exists marts;
create schema if not exists metrics;
create table raw_shop.orders (id text primary key, payload jsonb, updated_at timestamptz, payload_hash bytea,
    sync_id bigint, deleted_at timestamptz);
insert into raw_shop.orders values
    ('o1', '{"email": "a@example.com"}', '2026-11-18 20:00Z', '\\xaa11', 3, null),
    ('o2', '{"email": "b@example.com"}', '2026-11-19 20:00Z', '\\xbb22', 4, null),
    ('o3', '{"email": "c@example.com"}', '2026-11-19 21:00Z', '\\xcc33', 4, null);
create table staging.stg_orders (order_id text, customer_email text, day date, channel text, net_amount numeric);
insert into staging.stg_orders values
    ('o1', 'b@example.com', '2026-11-18', 'web', 40), ('o2', 'b@example.com', '2026-11-19', 'web', 100.50),
    ('o3', 'c@example.com', '2026-11-19', 'amazon', 60);
create table staging.stg_refunds (refund_id text, order_id text, refund_day date, refund_amount numeric);
insert into staging.stg_refunds values ('r1', 'o3', '2026-11-20', 60);
create table marts.fct_daily (date date, channel text, net_amount numeric, rate numeric);
insert into marts.fct_daily values
    ('2026-11-18', 'web', 40, 1), ('2026-11-19', 'web', 100.50, 1), ('2026-11-19', 'amazon', 60, 1),
    ('2026-11-20', 'amazon', -60, 1);
create table marts.fct_open (subject text, opened_day date, open_until date);
insert into marts.fct_open values ('early', '2026-11-01', '2026-11-10'), ('now', '2026-11-15', null),
    ('later', '2026-11-30', null);
create table metrics.fct_metric_daily (metric_id text, date date, dimension text, dimension_value text, value numeric);
insert into metrics.fct_metric_daily values ('net_sales', '2026-11-19', 'all', 'all', 160.50),
    ('net_sales', '2026-11-20', 'all', 'all', -60), ('net_sales', '2026-11-19', 'channel', 'amazon', 60);
"""
SUM = (
    "select sum(value) from metrics.fct_metric_daily where metric_id = %(metric_id)s and dimension = %(dimension)s"
    " and date between %(start)s and %(end)s"
)


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LINEAGE = Graph(
    [
        Node("metric", "net_sales", "metrics.net_sales", ("daily",), {"fct_daily": "date"},
             words=words("date net_amount channel"), kept=False),
        Node("open", "things_open", "metrics.things_open", ("opened", "clock"),
             {"fct_open": "opened_day..open_until", "clock": []}, words=words("subject"), kept=False),
        Node("opened", "fct_open", "marts.fct_open", key=("subject",)),
        Node("clock", "clock", "marts.clock"),
        Node("daily", "fct_daily", "marts.fct_daily", ("orders", "refunds", "seed.countries"),
             {"stg_orders": "day", "stg_refunds": "refund_day"}, "date", ("date", "channel"),
             words("day net_amount refund_amount rate")),
        Node("orders", "stg_orders", "staging.stg_orders", ("raw",), {"orders": "id"}, "order_id", ("order_id",)),
        Node("refunds", "stg_refunds", "staging.stg_refunds", ("raw",), {"orders": "id"}, "order_id", ("refund_id",)),
        Node("raw", "orders", "raw_shop.orders", key=("id",), stored=True),
    ]
)  # fmt: skip


@pytest.fixture
def small(warehouse: Any) -> Any:
    with warehouse() as connection:
        connection.execute(WAREHOUSE.encode())
    return warehouse


def below(connect: Any, name: str, *values: str, **where: str) -> dict[str, provenance.Level]:
    start = LINEAGE.model(name)
    assert start is not None
    with connect() as connection:
        return {level.relation: level for level in descend(connection, LINEAGE, start, values, where=where)}


def test_every_level_down_to_the_records(small: Any) -> None:
    found = below(small, "net_sales", "2026-11-19")
    assert [(name, level.count) for name, level in found.items()] == [
        ("marts.fct_daily", 2), ("staging.stg_orders", 2), ("staging.stg_refunds", 0), ("raw_shop.orders", 2),
    ]  # fmt: skip
    assert found["marts.fct_daily"].sums == (("net_amount", Decimal("160.50")),)
    assert found["staging.stg_orders"].sums == (("net_amount", Decimal("160.50")),)
    assert [row[0] for row in found["raw_shop.orders"].shown] == ["o2", "o3"]
    assert found["raw_shop.orders"].shown[0][2:4] == ("4", "bb22")


def test_a_refund_leads_to_the_order_of_another_day(small: Any) -> None:
    found = below(small, "net_sales", "2026-11-20")
    assert found["staging.stg_refunds"].count == 1
    assert [row[0] for row in found["raw_shop.orders"].shown] == ["o3"]


def test_a_part_is_followed_as_a_part(small: Any) -> None:
    found = below(small, "net_sales", "2026-11-19", channel="amazon")
    assert found["marts.fct_daily"].sums == (("net_amount", Decimal(60)),)
    assert [row[0] for row in found["raw_shop.orders"].shown] == ["o3"]


def test_a_row_counts_from_its_beginning_to_its_end(small: Any) -> None:
    assert [row[0] for row in below(small, "things_open", "2026-11-19")["marts.fct_open"].shown] == ["now"]
    assert [row[0] for row in below(small, "things_open", "2026-11-05")["marts.fct_open"].shown] == ["early"]


def test_no_personal_data_is_shown(small: Any) -> None:
    found = below(small, "net_sales", "2026-11-19")
    assert "example.com" not in repr(found)


def test_a_relation_that_is_not_there_is_left_out(small: Any) -> None:
    with small() as connection:
        connection.execute("drop table staging.stg_refunds")
    assert "staging.stg_refunds" not in below(small, "net_sales", "2026-11-20")


def test_more_than_is_followed_is_said(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "VALUES_MOST", 1)
    found = below(small, "net_sales", "2026-11-18", "2026-11-19")
    assert found["staging.stg_orders"].count == 1  # of the first day alone: fct_daily has two days, one was followed
    assert found["staging.stg_orders"].cut and found["raw_shop.orders"].cut


def test_a_detour_is_counted_and_not_followed(small: Any) -> None:
    """The customers' other orders matter to some columns of the mart; the day's orders are followed by themselves."""
    through = Node(
        "customers", "customers", "staging.customers", ("orders",), {"stg_orders": "customer_email"}, "email"
    )
    daily = replace(
        LINEAGE.nodes["daily"], parents=("orders", "customers"), changed_by={"stg_orders": "day", "customers": "day"}
    )
    lineage = Graph([*(node for node in LINEAGE.nodes.values() if node.id != "daily"), daily, through])
    with small() as connection:
        connection.execute(
            "create table staging.customers as select customer_email as email, day from staging.stg_orders"
        )
        levels = descend(connection, lineage, lineage.nodes["metric"], ["2026-11-19"])
    both = [(level.of, level.count, level.cut) for level in levels if level.relation == "staging.stg_orders"]
    assert sorted(both) == [("marts.fct_daily", 2, False), ("staging.customers", 3, True)]
    assert [level.count for level in levels if level.stored] == [2]


def test_every_metric_of_the_project_leads_to_raw_tables() -> None:
    """On the real graph: nothing but what is counted of the platform itself ends anywhere else."""
    from ops_platform.warehouse.dbt import MANIFEST

    if not MANIFEST.exists():
        pytest.skip("the project was never parsed here")
    lineage = graph()
    ends = {}
    for node in lineage.nodes.values():
        if node.relation.startswith("metrics.") and not node.name.startswith(("fct_", "dim_")):
            seen, waiting = set(), [node]
            while waiting:
                here = waiting.pop()
                if here.id not in seen:
                    seen.add(here.id)
                    waiting += [parent for parent, columns in lineage.reaching(here) if columns != []]
            ends[node.name] = any(lineage.nodes[name].stored for name in seen)
    assert len(ends) > 100
    assert [name for name, reached in ends.items() if not reached] == []
    odd = [
        f"{node.name}: {node.scope}"
        for node in lineage.nodes.values()
        if node.scope is not None and not provenance._WORD.fullmatch(node.scope)
    ]
    assert odd == []


# The command ------------------------------------------------------------------------------------------------


def document(connect: Any, query: str = SUM, **params: str) -> int:
    """A pulse whose net sales come from the small warehouse."""
    given = {"metric_id": "net_sales", "dimension": "all", "start": "2026-11-19", "end": "2026-11-19", **params}
    source = Source("metrics.fct_metric_daily", query, tuple(given.items()), (4,))
    sales = fact("net_sales", "Net sales", "money", "160.50", ("day_before", "the day before", "40"))
    return stored(connect, morning(net_sales=replace(sales, source=source)))


def traced(connect: Any, number: int, claim: str = "net_sales") -> Any:
    with connect() as connection:
        archived = archive.load(connection, number)
        connection.rollback()
        return trace(connection, LINEAGE, archived, find_claim(archived.document, claim))


def test_a_number_is_traced_and_its_source_run_again(small: Any) -> None:
    found = traced(small, document(small))
    assert (found.now.text, found.now.same) == ("160.50", True)
    assert found.days == ("2026-11-19",)
    assert [level.relation for level in found.levels][-1] == "raw_shop.orders"
    ratio = SUM.replace("sum(value)", "sum(value) + 0.000000001")  # kept to eight places
    assert traced(small, document(small, ratio)).now.same is True
    with small() as connection:
        connection.execute("update metrics.fct_metric_daily set value = 150 where dimension = 'all'")
    assert traced(small, document(small)).now.same is False


def test_a_month_is_traced_by_its_days_and_a_state_by_its_last(small: Any) -> None:
    month = traced(small, document(small, start="2026-11-01", end="2026-11-20"))
    assert len(month.days) == 20 and month.days[0] == "2026-11-01"
    assert {level.relation: level.count for level in month.levels}["raw_shop.orders"] == 3
    state = SUM.replace("between %(start)s and %(end)s", "= %(end)s")
    assert traced(small, document(small, state, start="2026-11-01", end="2026-11-19")).days == ("2026-11-19",)


def test_a_point_of_a_chart_is_traced_by_its_own_month(small: Any) -> None:
    from ops_platform.documents.model import UsedClaim
    from ops_platform.evidence.model import Point, Series

    with small() as connection:
        archived = archive.load(connection, document(small))
        connection.rollback()
        params = {"metric_id": "net_sales", "dimension": "all", "start": "2026-01-01", "end": "2026-12-31"}
        source = Source("metrics.fct_metric_daily", SUM, tuple(params.items()))
        points = (Point("Oct 2026", None), Point("Nov 2026", Decimal("100.50")))
        line = Series("trend", "Net sales", "money", points, "USD", source)
        archived = replace(archived, bundle=replace(archived.bundle, series=(line,)))
        claim = UsedClaim("trend", "points.1", "$101", "Net sales, Nov 2026", "matched", "known", source)
        found = trace(connection, LINEAGE, archived, claim)
    assert (found.days[0], found.days[-1]) == ("2026-11-01", "2026-11-30")
    assert found.now is not None and (found.now.text, found.now.same) == ("100.50", True)


def test_a_query_reads_only_and_what_it_may(small: Any) -> None:
    for query in ("select 1 from nowhere", "select setval('ops.documents_id_seq', 99)"):
        found = traced(small, document(small, query))
        assert found.now.same is None and "cannot be run now" in found.now.text
        assert found.levels


def test_a_source_that_is_no_table_says_so(small: Any) -> None:
    found = traced(small, document(small), "tokens_budget")
    assert found.levels == () and found.note


def test_a_claim_is_meant_by_place_by_fact_and_by_what_is_printed(small: Any) -> None:
    with small() as connection:
        claims = archive.load(connection, document(small)).document
    first = claims.claims[0]
    assert find_claim(claims, "1") == find_claim(claims, "#1") == first
    assert find_claim(claims, "net_sales").path == "value"
    assert find_claim(claims, "$160.50").fact == "net_sales"
    with pytest.raises(DataFailure, match="claims no 'rubbish'"):
        find_claim(claims, "rubbish")


def test_at_a_terminal(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: small())
    monkeypatch.setattr("ops_platform.warehouse.provenance.graph", lambda *_: LINEAGE)
    document(small)
    listed = CliRunner().invoke(cli, ["trace", "ops_pulse"])
    assert listed.exit_code == 0 and "$160.50" in listed.output and "claims in document" in listed.output
    shown = CliRunner().invoke(cli, ["trace", "ops_pulse", "$160.50"]).output
    for part in (
        "net_sales.value in document #1 ops_pulse", "Net sales: 160.50 USD", "gives now: 160.50 (as in the document)",
        "marts.fct_daily  2 rows, by date 2026-11-19", "Σ net_amount 160.50", "raw_shop.orders  2 records",
    ):  # fmt: skip
        assert part in shown, shown
    assert "example.com" not in shown
