"""The pulse's evidence from a small warehouse made by hand: every expectation below was worked out on paper."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from ops_platform.evidence.model import Bundle, CompanyProfile, Division, Fact, SourceSystem
from ops_platform.evidence.pulse import Operations, build_pulse_bundle
from ops_platform.evidence.store import load_bundle, save_bundle
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Connect

NEW_YORK = ZoneInfo("America/New_York")
AS_OF = datetime(2026, 11, 20, 6, 0, tzinfo=NEW_YORK)
FRESH = datetime(2026, 11, 20, 5, 40, tzinfo=NEW_YORK)
SQL = "".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("metrics.sql", "warehouse.sql"))
COMPANY = CompanyProfile(
    name="Northlight Audio",
    timezone="America/New_York",
    currency="USD",
    divisions=(
        Division("customer_support", "Customer Support"),
        Division("sales", "Sales"),
        Division("marketing", "Marketing"),
        Division("design", "Design"),
        Division("supply_chain", "Supply Chain"),
    ),
    sources=(
        SourceSystem("shopify", "Shopify"),
        SourceSystem("netsuite", "NetSuite"),
        SourceSystem("slack", "Slack"),
        SourceSystem("klaviyo", "Klaviyo"),
    ),
)
Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(warehouse: Connect) -> Iterator[Connection]:
    with warehouse() as opened:
        yield opened


@pytest.fixture
def filled(connection: Connection) -> Connection:
    connection.execute(SQL.encode())
    connection.commit()
    return connection


def build(connection: Connection, **more: Any) -> Bundle:
    return build_pulse_bundle(connection, more.pop("as_of", AS_OF), more.pop("company", COMPANY), **more)


def change(fact: Fact, name: str) -> tuple[Decimal | None, Decimal | None]:
    comparison = fact.comparison(name)
    assert comparison is not None
    return comparison.value, comparison.delta


def test_net_sales_of_yesterday_against_the_same_weekday_and_the_month_against_plan(filled: Connection) -> None:
    bundle = build(filled)
    sales = bundle.fact("net_sales")
    assert (sales.value, sales.currency, sales.status, sales.tie_out) == (
        Decimal("1500.505"),
        "USD",
        "known",
        "matched",
    )
    assert sales.period is not None
    assert (sales.period.start.isoformat(), sales.period.label) == ("2026-11-19", "Thursday 19 November")
    assert change(sales, "same_weekday") == (Decimal(1000), Decimal("500.505"))
    assert sales.primary is not None
    assert (sales.primary.label, sales.primary.delta_pct) == ("Thursday last week", Decimal("0.500505"))
    month = bundle.fact("net_sales_mtd")
    # Eighteen days of 1,000 and 1,500.505, against nineteen days of 1,100.
    assert month.value == Decimal("19500.505")
    assert change(month, "plan") == (Decimal(20900), Decimal("-1399.495"))
    assert month.period is not None
    assert month.period.label == "1–19 November"
    assert month.fresh_to == FRESH


def test_orders_pending_and_late_by_bucket(filled: Connection) -> None:
    bundle = build(filled)
    assert bundle.fact("orders").value == 30
    assert change(bundle.fact("orders"), "same_weekday") == (Decimal(40), Decimal(-10))
    # States are read as they stand today, against the day before.
    assert bundle.fact("orders_pending").value == 14
    assert change(bundle.fact("orders_pending"), "day_before") == (Decimal(11), Decimal(3))
    assert bundle.fact("late_orders").value == 7
    late = [(row.mark, bundle.fact(row.facts["orders"]).value) for row in bundle.rows("late")]
    assert late == [("watch", 4), ("critical", 3)]
    assert bundle.fact("high_value_late_orders").value == 1


def test_health_with_band_change_driver_and_what_it_could_not_see(filled: Connection) -> None:
    bundle = build(filled)
    health = bundle.fact("health")
    assert health.value == Decimal("71.25")
    assert change(health, "day_before") == (Decimal("74.5"), Decimal("-3.25"))
    assert (bundle.fact("health_low").value, bundle.fact("health_high").value) == (Decimal("66.25"), Decimal("81.25"))
    driver = bundle.fact("driver")
    # The largest change among the known; the unknown component's 9.99 is no news of the business.
    assert (driver.label, driver.value, driver.change) == ("order trend", Decimal("-4.5"), True)
    (unseen,) = bundle.rows("health_unknown")
    fact = bundle.fact(unseen.facts["component"])
    assert (fact.label, fact.status) == ("support", "unknown")
    assert fact.unknown_since == datetime(2026, 11, 17, tzinfo=NEW_YORK)


def test_inventory_lists_critical_before_warning_fastest_first_without_the_covered(filled: Connection) -> None:
    bundle = build(filled)
    rows = [(row.texts["sku"], row.mark) for row in bundle.rows("inventory")]
    assert rows == [("DOCK-01", "critical"), ("PAD_7", "critical"), ("CABLE-9", "warning")]
    assert bundle.fact("stock_1_available").value == 0
    assert bundle.fact("stock_2_days").value == Decimal("4.8")
    assert bundle.fact("stock_2_days").about == "PAD_7"


def test_messages_are_minimised_oldest_first_and_end_at_the_morning(filled: Connection) -> None:
    bundle = build(filled)
    assert bundle.fact("messages_waiting").value == 2
    assert bundle.fact("messages_oldest_wait").value == 9
    first, second = bundle.rows("messages")
    assert first.texts == {
        "partner": "Shenzhen Acoustics",
        "channel": "factory-shenzhen",
        "text": "Which [mention] box, see [link]",
    }
    assert second.texts["text"] == "Container 7 waits: call [phone]"
    assert bundle.fact(second.facts["wait"]).value == Decimal("4.5")
    stored = str(bundle.to_json())
    assert not any(name in stored for name in ("Li Wei", "'Ann'", "U123", "x.example", "1234567"))


def test_divisions_are_judged_by_their_own_metrics(filled: Connection) -> None:
    rows = {row.texts["division"]: row for row in build(filled).rows("divisions")}
    # Refunds 20 over last week's 100: under the minimum effect of 250. The division was named by its label.
    assert (rows["customer_support"].mark, rows["customer_support"].facts["lead"]) == ("ok", "refunds")
    # Plan attainment is 0.067 off its target, more than three times its minimum effect of 0.02; orders are 10 and a
    # quarter down, twice theirs of 5.
    assert rows["sales"].mark == "attention"
    assert rows["sales"].facts["lead"] == "revenue_plan_attainment"
    assert rows["sales"].texts["against"] == "target"
    assert rows["sales"].facts["second"] == "orders"
    assert rows["supply_chain"].mark == "attention"
    assert (rows["marketing"].mark, rows["marketing"].texts["reason"]) == ("unknown", "not_connected")
    assert (rows["design"].mark, rows["design"].texts["reason"]) == ("unknown", "no_metrics")


def test_footer_sources_jobs_and_tokens(filled: Connection) -> None:
    bundle = build(filled, operations=Operations(jobs_due=3, jobs_nominal=2, tokens_budget=20000))
    marks = {row.facts["freshness"]: row.mark for row in bundle.rows("sources")}
    assert marks == {
        "source_shopify": "synced",
        "source_netsuite": "synced",
        "source_slack": "synced",
        "source_klaviyo": "not_connected",
    }
    # The stalest stream of Shopify is ten minutes older: half an hour before the pulse.
    assert bundle.fact("source_shopify").value == Decimal("0.5")
    assert (bundle.fact("sources_synced").value, bundle.fact("sources_expected").value) == (3, 3)
    assert (bundle.fact("jobs_nominal").value, bundle.fact("jobs_due").value) == (2, 3)
    # Only what was spent in the day before the pulse: 700 + 120 + 80.
    assert bundle.fact("tokens_used").value == 900
    assert bundle.fact("tokens_budget").value == 20000


def test_jobs_nobody_told_of_are_unknown(filled: Connection) -> None:
    bundle = build(filled)
    assert not bundle.fact("jobs_due").known
    assert not bundle.fact("tokens_budget").known


def test_every_fact_names_its_source_and_the_sync_that_last_changed_it(filled: Connection) -> None:
    bundle = build(filled)
    assert all(fact.source.relation for fact in bundle.facts)
    ((changed,),) = filled.execute("select max(id) from ops.sync_runs where inserted = 3").fetchall()
    assert bundle.fact("net_sales").source.sync_ids == (changed,)


def test_the_query_a_fact_carries_gives_its_value_again(filled: Connection) -> None:
    bundle = build(filled)
    checked = 0
    for fact in bundle.facts:
        if not fact.source.relation.startswith("metrics.") or fact.value is None:
            continue
        row = filled.execute(fact.source.query.encode(), dict(fact.source.params)).fetchone()
        assert row is not None, fact.id
        assert row[0] == fact.value, fact.id
        checked += 1
    assert checked >= 12


def test_the_same_morning_gives_the_same_bytes_and_reads_only(filled: Connection) -> None:
    first = build(filled)
    filled.execute(
        "insert into ops.sync_runs (vendor, stream, status, started_at)"
        " values ('shopify', 'orders', 'succeeded', '2026-11-20 05:55-05')"
    )
    filled.commit()
    assert build(filled).digest == first.digest
    assert build(filled, as_of=AS_OF.astimezone(UTC)).digest == first.digest


def test_saved_and_loaded_bundles_are_equal_and_an_altered_row_is_caught(filled: Connection) -> None:
    bundle = build(filled)
    assert save_bundle(filled, bundle) == save_bundle(filled, bundle) == bundle.digest
    assert load_bundle(filled, bundle.digest) == bundle
    ((rows,),) = filled.execute("select count(*) from ops.evidence_bundles").fetchall()
    assert rows == 1
    for statement in (
        "update ops.evidence_bundles set payload = jsonb_set(payload, '{facts,0,value}', '\"1500.506\"')",
        "update ops.evidence_bundles set payload = payload - 'notes'",
        "update ops.evidence_bundles set period_end = period_end + 1",
        "update ops.evidence_bundles set as_of = as_of + interval '1 second'",
    ):
        with filled.transaction(force_rollback=True):
            filled.execute(statement.encode())
            with pytest.raises(DataFailure, match="altered"):
                load_bundle(filled, bundle.digest)
    with pytest.raises(DataFailure, match="No evidence bundle"):
        load_bundle(filled, "0" * 64)


def test_a_failed_sync_is_told_at_once_and_not_when_its_last_data_are_old(filled: Connection) -> None:
    filled.execute(
        "insert into ops.sync_runs (vendor, stream, status, started_at) values"
        " ('shopify', 'orders', 'failed', '2026-11-20 05:45-05'),"
        " ('shopify', 'orders', 'failed', '2026-11-20 05:55-05'),"
        " ('shopify', 'orders', 'succeeded', '2026-11-20 06:10-05'),"
        " ('shopify', 'products', 'running', '2026-11-20 05:56-05'),"
        " ('netsuite', 'items', 'paused', '2026-11-19 05:45-05'),"
        " ('netsuite', 'items', 'paused', '2026-11-20 05:45-05')"
    )
    # A record of the quarantine that lands is no sync.
    filled.execute(
        "insert into ops.sync_runs (vendor, stream, status, started_at, kind)"
        " values ('shopify', 'orders', 'succeeded', '2026-11-20 05:57-05', 'retry')"
    )
    filled.commit()
    bundle = build(filled)
    rows = {row.facts["freshness"]: row for row in bundle.rows("sources")}
    assert (rows["source_shopify"].mark, rows["source_shopify"].texts["streams"]) == ("failed", "orders")
    assert (rows["source_netsuite"].mark, rows["source_netsuite"].texts["streams"]) == ("paused", "items")
    assert rows["source_slack"].mark == "synced"
    since = bundle.fact("source_shopify_failing").unknown_since
    assert since == datetime(2026, 11, 20, 5, 45, tzinfo=NEW_YORK)
    assert bundle.fact("source_netsuite_failing").unknown_since == datetime(2026, 11, 19, 5, 45, tzinfo=NEW_YORK)
    assert (bundle.fact("sources_synced").value, bundle.fact("sources_expected").value) == (1, 3)
    # It recovered at 06:10: the next document says so.
    later = build(filled, as_of=datetime(2026, 11, 20, 7, 0, tzinfo=NEW_YORK))
    assert next(row.mark for row in later.rows("sources") if row.facts["freshness"] == "source_shopify") == "synced"


def test_a_new_field_is_told_in_one_document(filled: Connection) -> None:
    filled.execute(
        "insert into ops.schema_changes (vendor, stream, path, change, before, after, pauses, state, first_seen_at,"
        " last_seen_at) values ('shopify', 'orders', 'giftMessage', 'added', '', 'string', false, 'noted',"
        " '2026-11-20 05:40-05', '2026-11-20 05:40-05')"
    )
    filled.commit()
    (row,) = build(filled).rows("new_fields")
    assert dict(row.texts) == {"stream": "Shopify orders", "fields": "giftMessage"}
    assert build(filled, as_of=datetime(2026, 11, 21, 6, 0, tzinfo=NEW_YORK)).rows("new_fields") == ()


# What is missing is unknown ---------------------------------------------------------------------------------


def test_before_the_first_build_everything_is_unknown_and_nothing_is_zero(connection: Connection) -> None:
    connection.execute("drop schema if exists metrics cascade")
    connection.execute("drop schema if exists marts cascade")
    connection.commit()
    bundle = build(connection)
    assert "empty_warehouse" in bundle.notes
    # Counted, not measured: no source is connected, no token was spent.
    counted = {"sources_synced", "sources_expected", "tokens_used"}
    assert {fact.id for fact in bundle.facts if fact.known} == counted
    assert {row.mark for row in bundle.rows("divisions")} == {"unknown"}


def test_empty_tables_are_unknown_too(filled: Connection) -> None:
    for table in (
        "metrics.fct_metric_daily",
        "marts.fct_business_health_daily",
        "marts.fct_business_health_attribution",
        "marts.fct_inventory_position",
        "ops.cursors",
    ):
        filled.execute(f"delete from {table}".encode())
    filled.commit()
    bundle = build(filled)
    known = {fact.id for fact in bundle.facts if fact.known}
    assert known == {"sources_synced", "sources_expected", "tokens_used"}
    assert bundle.fact("net_sales").unknown_since is None


@pytest.mark.parametrize(
    "statement", ["delete from metrics.fct_metric_daily", "update metrics.fct_metric_daily set value = null"]
)
def test_a_day_without_its_number_is_unknown_since_the_last_day_that_had_one(
    filled: Connection, statement: str
) -> None:
    filled.execute(f"{statement} where metric_id = 'net_sales' and date in ('2026-11-18', '2026-11-19')".encode())
    filled.commit()
    bundle = build(filled)
    sales = bundle.fact("net_sales")
    assert (sales.status, sales.value) == ("unknown", None)
    # The 17th was the last known day; today's 77 counts for nothing, as today has not ended.
    assert sales.unknown_since == datetime(2026, 11, 18, tzinfo=NEW_YORK)
    month = bundle.fact("net_sales_mtd")
    assert (month.status, month.unknown_since) == ("unknown", sales.unknown_since)


def test_a_hole_in_the_middle_of_the_month_makes_the_month_unknown_since_then(filled: Connection) -> None:
    filled.execute("delete from metrics.fct_metric_daily where metric_id = 'net_sales' and date = '2026-11-09'")
    filled.commit()
    bundle = build(filled)
    assert bundle.fact("net_sales").known
    assert bundle.fact("net_sales_mtd").unknown_since == datetime(2026, 11, 9, tzinfo=NEW_YORK)


def test_the_last_known_day_may_be_long_before_the_window(filled: Connection) -> None:
    filled.execute("update metrics.fct_metric_daily set date = date - 400 where metric_id = 'orders'")
    filled.commit()
    since = build(filled).fact("orders").unknown_since
    # The 19th less 400 days is 15 October 2025; unknown from the end of that day.
    assert since == datetime(2025, 10, 16, tzinfo=NEW_YORK)


def test_half_a_day_is_not_the_day(filled: Connection) -> None:
    stopped = datetime(2026, 11, 19, 14, 30, tzinfo=NEW_YORK)
    filled.execute("update metrics.fct_metric_daily set fresh_to = %s where date >= '2026-11-19'", (stopped,))
    filled.commit()
    bundle = build(filled)
    for fact_id in ("net_sales", "orders", "net_sales_mtd", "refunds"):
        fact = bundle.fact(fact_id)
        assert (fact.status, fact.value, fact.unknown_since) == ("unknown", None, stopped), fact_id
    # A state of yesterday afternoon is still a state, and says how old it is.
    late = bundle.fact("late_orders")
    assert (late.status, late.value, late.fresh_to) == ("stale", 7, stopped)


def test_a_state_past_the_limit_of_its_source_is_unknown(filled: Connection) -> None:
    stopped = datetime(2026, 11, 18, 5, 40, tzinfo=NEW_YORK)
    filled.execute("update metrics.fct_metric_daily set fresh_to = %s where metric_id like 'skus%%'", (stopped,))
    filled.commit()
    bundle = build(filled)
    critical = bundle.fact("skus_stock_critical")
    assert (critical.status, critical.unknown_since) == ("unknown", stopped)
    assert bundle.rows("inventory") == ()


def test_a_longer_limit_of_the_source_keeps_a_state_stale(filled: Connection) -> None:
    stopped = datetime(2026, 11, 18, 5, 40, tzinfo=NEW_YORK)
    filled.execute("update metrics.fct_metric_daily set fresh_to = %s where metric_id like 'skus%%'", (stopped,))
    filled.commit()
    patient = replace(COMPANY, sources=(SourceSystem("netsuite", "NetSuite", 72),))
    assert build(filled, company=patient).fact("skus_stock_critical").status == "stale"


def test_a_state_without_todays_row_is_yesterdays_and_says_so(filled: Connection) -> None:
    filled.execute("delete from metrics.fct_metric_daily where metric_id = 'late_orders' and date = '2026-11-20'")
    filled.commit()
    late = build(filled).fact("late_orders")
    assert late.value == 6
    assert late.period is not None
    assert late.period.label == "Thursday 19 November"


def test_a_state_of_the_day_before_yesterday_is_never_shown(filled: Connection) -> None:
    filled.execute("delete from metrics.fct_metric_daily where metric_id = 'late_orders' and date >= '2026-11-19'")
    filled.execute(
        "insert into metrics.fct_metric_daily values"
        " ('late_orders', '2026-11-18', 'all', 'all', 5, null, null, '2026-11-20 05:40-05', 'matched')"
    )
    filled.commit()
    late = build(filled).fact("late_orders")
    assert (late.status, late.unknown_since) == ("unknown", datetime(2026, 11, 19, tzinfo=NEW_YORK))


def test_yesterdays_health_is_not_this_mornings(filled: Connection) -> None:
    filled.execute("delete from marts.fct_business_health_daily where date = '2026-11-20'")
    filled.commit()
    bundle = build(filled)
    health = bundle.fact("health")
    assert (health.status, health.unknown_since) == ("unknown", datetime(2026, 11, 19, tzinfo=NEW_YORK))
    assert bundle.get("driver") is None
    assert bundle.get("health_low") is None


def test_messages_are_unknown_when_slack_is_stale_and_zero_only_when_it_is_fresh(filled: Connection) -> None:
    filled.execute("delete from marts.fct_factory_messages")
    filled.commit()
    assert build(filled).fact("messages_waiting").value == 0
    stopped = datetime(2026, 11, 18, 5, 0, tzinfo=NEW_YORK)
    filled.execute("update ops.cursors set fresh_to = %s where vendor = 'slack'", (stopped,))
    filled.commit()
    waiting = build(filled).fact("messages_waiting")
    assert (waiting.status, waiting.unknown_since) == ("unknown", stopped)
    filled.execute("delete from ops.cursors where vendor = 'slack'")
    filled.commit()
    assert build(filled).fact("messages_waiting").unknown_since is None


def test_a_source_that_stopped_is_not_synced_and_says_since_when(filled: Connection) -> None:
    stopped = datetime(2026, 11, 18, 5, 0, tzinfo=NEW_YORK)
    filled.execute("update ops.cursors set fresh_to = %s where vendor = 'netsuite'", (stopped,))
    filled.commit()
    bundle = build(filled)
    marks = {row.facts["freshness"]: row.mark for row in bundle.rows("sources")}
    assert marks["source_netsuite"] == "not_synced"
    assert bundle.fact("source_netsuite").unknown_since == stopped
    assert (bundle.fact("sources_synced").value, bundle.fact("sources_expected").value) == (2, 3)


def test_a_mismatch_on_one_day_marks_the_month(filled: Connection) -> None:
    filled.execute(
        "update metrics.fct_metric_daily set tie_out = 'mismatched'"
        " where metric_id = 'net_sales' and date = '2026-11-05'"
    )
    filled.commit()
    bundle = build(filled)
    assert bundle.fact("net_sales").tie_out == "matched"
    assert bundle.fact("net_sales_mtd").tie_out == "mismatched"
    assert bundle.fact("refunds").tie_out == "mismatched"


def test_not_a_number_in_the_warehouse_is_unknown(filled: Connection) -> None:
    filled.execute(
        "update metrics.fct_metric_daily set value = 'NaN' where metric_id = 'orders' and date = '2026-11-19'"
    )
    filled.commit()
    assert build(filled).fact("orders").status == "unknown"


def test_a_metric_of_an_unheard_of_unit_is_left_out_and_named(filled: Connection) -> None:
    filled.execute("update metrics.dim_metric set unit = 'furlongs' where metric_id = 'refunds'")
    filled.commit()
    bundle = build(filled)
    assert bundle.get("refunds") is None
    assert any("refunds" in note for note in bundle.notes)


def test_the_reader_role_is_enough_and_a_missing_grant_is_said(filled: Connection) -> None:
    from ops_platform.database.roles import EVIDENCE_MARTS, EVIDENCE_OPERATIONS, WRITER_READER

    filled.execute(f"drop role if exists {WRITER_READER}_probe".encode())
    filled.execute(f"create role {WRITER_READER}_probe".encode())
    try:
        filled.execute(f"grant usage on schema marts, metrics, ops to {WRITER_READER}_probe".encode())
        filled.execute(f"grant select on all tables in schema metrics to {WRITER_READER}_probe".encode())
        present = {row[0] for row in filled.execute("select tablename from pg_tables where schemaname = 'marts'")}
        for mart in present & set(EVIDENCE_MARTS):
            filled.execute(f"grant select on marts.{mart} to {WRITER_READER}_probe".encode())
        for table in EVIDENCE_OPERATIONS:
            filled.execute(f"grant select on ops.{table} to {WRITER_READER}_probe".encode())
        filled.commit()
        whole = build(filled)
        filled.execute(f"set role {WRITER_READER}_probe".encode())
        filled.commit()
        assert build(filled).digest == whole.digest
        filled.execute("reset role")
        filled.execute(f"revoke select on marts.fct_factory_messages from {WRITER_READER}_probe".encode())
        filled.execute(f"set role {WRITER_READER}_probe".encode())
        filled.commit()
        less = build(filled)
        assert "not readable: marts.fct_factory_messages" in less.notes
        assert not less.fact("messages_waiting").known
    finally:
        filled.rollback()
        filled.execute("reset role")
        filled.execute(f"drop owned by {WRITER_READER}_probe".encode())
        filled.execute(f"drop role {WRITER_READER}_probe".encode())
        filled.commit()


def test_a_build_that_did_not_pass_its_tests_withholds_every_number_of_the_warehouse(filled: Connection) -> None:
    proven = datetime(2026, 11, 19, 5, 50, tzinfo=NEW_YORK)
    bundle = build(filled, operations=Operations(jobs_due=1, jobs_nominal=1, unproven_since=proven))
    assert "warehouse_unproven" in bundle.notes
    for fact in bundle.facts:
        if fact.source.relation.startswith(("metrics.", "marts.")):
            assert (fact.status, fact.value, fact.comparisons) == ("unknown", None, ()), fact.id
            assert fact.unknown_since is not None
            assert fact.unknown_since <= max(proven, FRESH)
    assert bundle.fact("net_sales").unknown_since == proven
    assert (bundle.get("driver"), bundle.get("health_low")) == (None, None)
    assert [bundle.rows(name) for name in ("inventory", "messages", "late")] == [(), (), ()]
    assert {row.mark for row in bundle.rows("divisions")} == {"unknown"}
    # What the warehouse does not tell is told as ever.
    assert bundle.fact("sources_synced").value == 3
    assert bundle.fact("tokens_used").value == 900


# Other companies, other days --------------------------------------------------------------------------------


def test_a_british_shop_in_its_own_zone_and_currency_with_one_source(filled: Connection) -> None:
    filled.execute("delete from metrics.fct_metric_daily")
    filled.execute("update metrics.dim_metric set currency = null")
    filled.execute(
        "insert into metrics.fct_metric_daily values"
        " ('net_sales', '2011-11-14', 'all', 'all', 112141.11, null, null, '2011-11-15 06:00+00', 'matched'),"
        " ('net_sales', '2011-11-07', 'all', 'all', 100000, null, null, '2011-11-15 06:00+00', 'matched')"
    )
    filled.execute("delete from ops.cursors where vendor <> 'shopify'")
    filled.execute("update ops.cursors set fresh_to = '2011-11-15 06:00+00'")
    filled.execute("update ops.connections set connected = (vendor = 'shopify')")
    filled.commit()
    british = replace(COMPANY, timezone="Europe/London", currency="GBP")
    bundle = build(filled, as_of=datetime(2011, 11, 15, 6, 0, tzinfo=UTC), company=british)
    sales = bundle.fact("net_sales")
    assert (sales.value, sales.currency) == (Decimal("112141.11"), "GBP")
    assert change(sales, "same_weekday") == (Decimal(100000), Decimal("12141.11"))
    # Thirteen days of the month have no row: the month is another number, so it is unknown.
    assert bundle.fact("net_sales_mtd").status == "unknown"
    assert (bundle.fact("sources_synced").value, bundle.fact("sources_expected").value) == (1, 1)
    assert not bundle.fact("skus_stock_critical").known
    assert not bundle.fact("messages_waiting").known


def test_the_first_of_a_month_reports_the_month_that_ended(filled: Connection) -> None:
    filled.execute("update metrics.fct_metric_daily set fresh_to = '2026-12-01 05:40-05'")
    filled.execute(
        "insert into metrics.fct_metric_daily select 'net_sales', day::date, 'all', 'all', 10, null, null,"
        " '2026-12-01 05:40-05', 'matched'"
        " from generate_series('2026-11-21'::date, '2026-11-30'::date, interval '1 day') day"
    )
    filled.commit()
    month = build(filled, as_of=datetime(2026, 12, 1, 6, 0, tzinfo=NEW_YORK)).fact("net_sales_mtd")
    assert month.period is not None
    assert month.period.label == "1–30 November"
    # 19,500.505 to the 19th, today's 77 of the 20th (now a whole day), ten days of 10.
    assert month.value == Decimal("19677.505")


def test_a_day_is_the_companys_not_utcs(filled: Connection) -> None:
    # 23:30 on the 19th in New York is the 20th in UTC: yesterday is the 18th.
    bundle = build(filled, as_of=datetime(2026, 11, 20, 4, 30, tzinfo=UTC))
    assert bundle.period.start.isoformat() == "2026-11-18"
    assert bundle.fact("net_sales").value == 1000


def test_a_moment_without_zone_is_refused(filled: Connection) -> None:
    with pytest.raises(DataFailure, match="time zone"):
        build(filled, as_of=datetime(2026, 11, 20, 6, 0))
