"""A number that its own source does not give is withheld before it is sealed, and only that one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.evidence.metrics import METRIC_TABLE, Warehouse
from ops_platform.evidence.model import Bundle, Comparison, Fact, Source
from ops_platform.evidence.pulse import build_pulse_bundle
from ops_platform.evidence.second_reading import NOTE, confirmed
from tests.evidence.board_company import SQL as BOARD
from tests.evidence.board_company import build as pack_of
from tests.evidence.bundles import AS_OF
from tests.evidence.narrative_warehouse import filled, surveyed
from tests.evidence.test_pulse_builder import COMPANY, SQL
from tests.writing.test_narrative_rules import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.conftest import Connect


@pytest.fixture
def connection(warehouse: Connect) -> Iterator[psycopg.Connection[Any]]:
    with warehouse() as opened:
        yield opened


def again(connection: psycopg.Connection[Any], bundle: Bundle, **altered: Fact) -> Bundle:
    """The bundle with some facts altered, after its second reading."""
    reader = Warehouse(connection)
    reader.probe((METRIC_TABLE, "metrics.dim_metric"))
    return confirmed(reader, replace(bundle, facts=tuple(altered.get(fact.id, fact) for fact in bundle.facts)))


def with_value(fact: Fact, value: Decimal) -> Fact:
    """Another number with comparisons that follow from it: nothing in the fact contradicts itself."""
    bases = tuple(Comparison.between(one.name, one.label, value, one.value) for one in fact.comparisons)
    return replace(fact, value=value, comparisons=bases)


def test_a_pulse_says_what_its_sources_give_and_nothing_else(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SQL.encode())
    bundle = build_pulse_bundle(connection, AS_OF, COMPANY)
    assert not [note for note in bundle.notes if NOTE in note]
    sales = bundle.fact("net_sales")
    assert sales.value is not None
    for wrong in (
        with_value(sales, sales.value + Decimal("0.01")),
        with_value(sales, -sales.value),
        replace(sales, unit="count", currency=None),
        replace(sales, currency="EUR"),
        replace(sales, period=replace(sales.period, start=DAY - timedelta(days=400))),  # type: ignore[type-var]
    ):
        found = again(connection, bundle, net_sales=wrong)
        withheld = found.fact("net_sales")
        assert (withheld.value, withheld.status, withheld.comparisons) == (None, "unknown", ())
        assert withheld.unknown_since == bundle.as_of
        assert found.notes == (*bundle.notes, f"net_sales {NOTE}")
        # Everything else stands as it was.
        others = [fact for fact in found.facts if fact.id != "net_sales"]
        assert others == [fact for fact in bundle.facts if fact.id != "net_sales"]


def test_a_base_that_is_not_of_its_day_is_withheld_alone(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SQL.encode())
    bundle = build_pulse_bundle(connection, AS_OF, COMPANY)
    sales = bundle.fact("net_sales")
    week, *rest = sales.comparisons
    assert week.name == "same_weekday" and week.value is not None
    wrong = Comparison.between(week.name, week.label, sales.value, week.value + 1)
    found = again(connection, bundle, net_sales=replace(sales, comparisons=(wrong, *rest)))
    kept = found.fact("net_sales")
    assert kept.value == sales.value
    assert kept.comparisons == (Comparison(week.name, week.label, None), *rest)
    assert found.notes == (*bundle.notes, f"net_sales.same_weekday {NOTE}")
    # A plan of what has none, under the same number.
    renamed = replace(bundle.fact("orders").comparisons[0], name="plan")
    planned = again(connection, bundle, orders=replace(bundle.fact("orders"), comparisons=(renamed,)))
    assert planned.fact("orders").comparisons == (Comparison("plan", renamed.label, None),)


def test_the_name_of_another_figure_is_put_right(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SQL.encode())
    bundle = build_pulse_bundle(connection, AS_OF, COMPANY)
    found = again(connection, bundle, net_sales=replace(bundle.fact("net_sales"), label="Refunds"))
    assert found.fact("net_sales").label == "Net sales" and found.fact("net_sales").value is None


def test_a_month_and_a_pack_stand_as_they_were_built(connection: psycopg.Connection[Any]) -> None:
    connection.execute(BOARD.encode())
    pack = pack_of(connection)
    assert not [note for note in pack.notes if NOTE in note]
    read = [fact for fact in pack.facts if fact.source.relation == METRIC_TABLE and fact.source.query and fact.known]
    assert len(read) > 20
    wrong = with_value(pack.fact("net_sales_ytd"), Decimal(1))
    assert again(connection, pack, net_sales_ytd=wrong).fact("net_sales_ytd").value is None


def test_a_channel_that_is_new_had_nothing_before(connection: psycopg.Connection[Any]) -> None:
    connection.execute(BOARD.encode())
    connection.execute(
        "update metrics.fct_metric_daily set dimension_value = 'kiosk' where metric_id = 'channel_net_sales'"
        " and dimension = 'channel' and dimension_value = (select min(dimension_value) from metrics.fct_metric_daily"
        " where metric_id = 'channel_net_sales' and dimension = 'channel') and date >= '2026-10-01'"
    )
    pack = pack_of(connection)
    assert not [note for note in pack.notes if NOTE in note]
    (kiosk,) = [fact for fact in pack.facts if fact.about == "kiosk" and fact.id.count("_") == 1]
    assert kiosk.known and kiosk.value
    assert {held.name: held.value for held in kiosk.comparisons} == {"month_before": 0, "year_before": 0}


@pytest.mark.parametrize(("tier", "back"), [("daily", 0), ("weekly", 7), ("monthly", 31)])
def test_narratives_stand_as_they_were_built(connection: psycopg.Connection[Any], tier: Any, back: int) -> None:
    filled(connection)
    found = surveyed(connection, tier, DAY - timedelta(days=back))
    assert not [note for note in found.notes if NOTE in note]
    assert found.facts["net_sales"].known


def test_what_has_no_query_of_its_own_is_left_as_it_is(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SQL.encode())
    bundle = build_pulse_bundle(connection, AS_OF, COMPANY)
    counted = replace(bundle.fact("net_sales"), value=Decimal(7), comparisons=(), source=Source("fleet.yaml"))
    assert again(connection, bundle, net_sales=counted).fact("net_sales") == counted
