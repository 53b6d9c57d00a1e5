"""The rules of fleet.yaml: each finding from figures written by hand, and every way a rule can be wrong, named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from ops_platform.alerts.rules import problems, rule_signals
from ops_platform.alerts.signal import Severity, Signal, Subject, SubjectKind
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import Fleet, get_fleet, load_fleet
from ops_platform.settings import Settings
from ops_platform.watch.judgement import Finding
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
STOCK = {
    "label": "Stock of {subject}", "view": "marts.fct_stock", "dimension": "sku", "where": {"is_active": True},
    "value": {"min": "days_of_supply"}, "unit": "days", "money": {"sum": "sales"}, "because": "reason",
    "levels": {
        "critical": {"when": {"severity": {"is": "critical"}}}, "alert": {"when": {"severity": {"is": "warning"}}},
    },
    "near": {"days_of_supply": {"below": "stock_warning_days"}},
    "any_source": ["netsuite.items", "shopify.inventory_items"], "owner": "logistics", "division": "supply_chain",
}  # fmt: skip
LATE = {
    "label": "Late orders", "view": "marts.fct_late", "money": {"sum": "value"}, "owner": "logistics",
    "levels": {
        "critical": {"when": {"bucket": {"is": "critical"}}},
        "watch": {"when": {"bucket": {"is": "watch"}}, "rows": 3},
    },
    "sources": ["shopify.orders"],
}  # fmt: skip
GAP = {
    "label": "Gap", "view": "marts.fct_gaps", "date": "date", "lookback_days": 3, "value": {"sum": "gap"},
    "unit": "money", "money": {"sum": "gap"}, "levels": {"alert": {"when": {"status": {"is": "mismatched"}}}},
    "sources": ["shopify.orders"], "owner": "coordinator",
}  # fmt: skip
ROAS = {
    "label": "ROAS of {subject}", "metric": "roas", "dimension": "channel", "days": 2, "money_metric": "spend",
    "levels": {"alert": {"when": {"value": {"below": "ads_roas_poor"}}}},
}  # fmt: skip
HOURS = {
    "label": "Hours", "metric": "hours",
    "levels": {
        "critical": {"when": {"value": {"above": "fulfilment_critical_hours"}}},
        "alert": {"when": {"value": {"above": "fulfilment_warning_hours"}}},
    },
}  # fmt: skip
OVERDUE = {"label": "Overdue", "metric": "overdue", "levels": {"watch": {"when": {"value": {"above": 0}}}}}


def fleet_of(tmp_path: Path, **rules: dict[str, Any]) -> Fleet:
    data = yaml.load((ROOT / "fleet.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    path = tmp_path / "fleet.yaml"
    path.write_text(
        yaml.dump({**data, "alert_rules": rules}, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8"
    )
    return load_fleet(path, Settings())


def fill(connection: psycopg.Connection[Any]) -> None:
    """The small warehouse that the rules look at."""
    for file in ("evidence/metrics.sql", "alerts/rules.sql"):
        connection.execute((ROOT / "tests" / file).read_bytes())


@pytest.fixture(scope="module")
def database(server_home: Path, migrated: str) -> Iterator[Connect]:
    """One filled database for the file; each test's changes are rolled back."""
    with fresh_database(server_home, migrated, "rules") as connect:
        with connect() as connection:
            fill(connection)
        yield connect


@pytest.fixture
def filled(database: Connect) -> Iterator[psycopg.Connection[Any]]:
    connection = database()
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture
def look(filled: psycopg.Connection[Any], tmp_path: Path) -> Callable[..., dict[str, Signal]]:
    def looked(*open_subjects: Subject, **rules: dict[str, Any]) -> dict[str, Signal]:
        found = rule_signals(filled, fleet_of(tmp_path, **rules), NOW, open_subjects=open_subjects)
        assert len({signal.subject for signal in found}) == len(found)
        return {signal.subject.key: signal for signal in found}

    return looked


def test_each_row_of_a_mart_is_a_subject_with_its_grade(look: Callable[..., dict[str, Signal]]) -> None:
    found = look(stock=STOCK)
    assert {
        key: (signal.found, signal.severity) for key, signal in found.items() if signal.found is Finding.BREACHED
    } == {
        "threshold:stock:sku:A-1": (Finding.BREACHED, Severity.CRITICAL),
        "threshold:stock:sku:B-2": (Finding.BREACHED, Severity.ALERT),
    }
    assert "threshold:stock:sku:X-9" not in found
    first = found["threshold:stock:sku:A-1"]
    assert (first.value, first.expected_low, first.effect, first.effect_money) == (3, 14, -11, 900)
    assert first.closeness == round(Decimal(14) / 3, 4)
    assert (first.label, first.owner, first.division) == ("Stock of A-1", "logistics", "supply_chain")
    assert (first.period, first.observed_at, first.since) == (date(2026, 11, 20), NOW, date(2026, 11, 20))
    assert first.depends_on == ("netsuite.items",)
    assert first.explanation == "days of supply"
    # Covered by an order: whatever the days of supply say, it is clear, and nothing is near.
    assert (found["threshold:stock:sku:C-3"].found, found["threshold:stock:sku:C-3"].closeness) == (Finding.CLEAR, None)
    assert found["threshold:stock:sku:D-4"].closeness == Decimal("0.28")
    assert found["threshold:stock:sku:E-5"].found is Finding.CLEAR


def test_a_subject_is_called_by_its_name_and_stays_its_key(
    look: Callable[..., dict[str, Signal]], filled: psycopg.Connection[Any]
) -> None:
    found = look(stock={**STOCK, "named": "reason"})
    assert found["threshold:stock:sku:A-1"].label == "Stock of days_of_supply"
    filled.execute("update marts.fct_stock set severity = null where sku = 'A-1'")
    unjudged = look(stock={**STOCK, "named": "reason"})["threshold:stock:sku:A-1"]
    assert (unjudged.found, unjudged.label) == (Finding.UNKNOWN, "Stock of days_of_supply")


def test_what_leaves_its_watching_to_a_job_names_one_there_is(tmp_path: Path) -> None:
    assert fleet_of(tmp_path, stock={**STOCK, "told_by": "competitor_watch"}).alert_rules["stock"].told_by
    with pytest.raises(ConfigurationError, match="alert rule stock: there is no job 'nobody'"):
        fleet_of(tmp_path, stock={**STOCK, "told_by": "nobody"})


def test_a_rule_over_all_rows_counts_them(look: Callable[..., dict[str, Signal]], filled: Any) -> None:
    three = look(late=LATE)["threshold:late:all:all"]
    assert (three.found, three.severity, three.value, three.effect_money) == (
        Finding.BREACHED, Severity.WATCH, 3, Decimal("60.5"),
    )  # fmt: skip
    filled.execute("delete from marts.fct_late where order_name = '#3'")
    two = look(late=LATE)["threshold:late:all:all"]
    assert (two.found, two.value, two.closeness) == (Finding.CLEAR, 2, Decimal("0.6667"))
    filled.execute("insert into marts.fct_late values ('#9', 'critical', null)")
    worst = look(late=LATE)["threshold:late:all:all"]
    # One amount is unknown: so is the sum.
    assert (worst.severity, worst.value, worst.effect_money) == (Severity.CRITICAL, 3, None)
    filled.execute("delete from marts.fct_late")
    assert look(late=LATE)["threshold:late:all:all"].found is Finding.CLEAR


def test_what_arrives_late_is_seen_within_the_days_looked_back(
    look: Callable[..., dict[str, Signal]], filled: Any
) -> None:
    found = look(gap=GAP)["threshold:gap:all:all"]
    assert (found.found, found.value, found.period, found.since) == (
        Finding.BREACHED, -500, date(2026, 11, 19), date(2026, 11, 17),
    )  # fmt: skip
    assert look(gap={**GAP, "lookback_days": 2})["threshold:gap:all:all"].found is Finding.CLEAR
    filled.execute("delete from marts.fct_gaps where date > '2026-11-16'")
    assert look(gap=GAP)["threshold:gap:all:all"].found is Finding.CLEAR, "no rows at all: nothing to look at"


def test_a_ratio_over_days_is_the_ratio_of_the_sums(look: Callable[..., dict[str, Signal]]) -> None:
    found = look(roas=ROAS)
    google, tiktok = found["threshold:roas:channel:Google"], found["threshold:roas:channel:TikTok"]
    assert (google.found, google.value) == (Finding.CLEAR, 2)
    assert (tiktok.found, tiktok.value, tiktok.effect_money) == (Finding.BREACHED, Decimal("0.75"), 200)
    assert (tiktok.expected_low, tiktok.effect, tiktok.unit) == (2, Decimal("-1.25"), "ratio")
    assert (tiktok.owner, tiktok.division, tiktok.depends_on) == ("marketing", "marketing", ("airtable.spend",))
    assert tiktok.explanation == "limit: below 2 over 2 days"


def test_a_small_amount_is_not_worth_a_word(look: Callable[..., dict[str, Signal]]) -> None:
    found = look(roas={**ROAS, "minimum_money": 200.01})["threshold:roas:channel:TikTok"]
    assert (found.found, found.effect_money, found.closeness) == (Finding.CLEAR, None, None)
    assert "below the amount worth a word" in found.explanation


def test_a_flow_is_of_yesterday_and_a_state_of_today(look: Callable[..., dict[str, Signal]]) -> None:
    found = look(hours=HOURS, overdue=OVERDUE)
    hours, overdue = found["threshold:hours:all:all"], found["threshold:overdue:all:all"]
    assert (hours.value, hours.period, hours.severity) == (50, date(2026, 11, 19), Severity.ALERT)
    assert (overdue.value, overdue.period) == (4, date(2026, 11, 20))
    # Only what it cannot do without silences it.
    assert overdue.depends_on == ("shopify.orders",)


@pytest.mark.parametrize(
    "change",
    [
        "update metrics.fct_metric_daily set value = null, numerator = null",
        "update metrics.fct_metric_daily set fresh_to = '2026-11-19 12:00-05'",
        "update metrics.fct_metric_daily set value = 'NaN', numerator = 'NaN'",
        "delete from metrics.fct_metric_daily",
    ],
    ids=["null", "not fresh to the end of the day", "nan", "no row"],
)
def test_an_unknown_metric_value_is_unknown_and_never_clear(
    look: Callable[..., dict[str, Signal]], filled: Any, change: str
) -> None:
    filled.execute(change)
    for key, signal in look(hours=HOURS, roas=ROAS).items():
        assert signal.found is Finding.UNKNOWN, key


@pytest.mark.parametrize(
    "change",
    [
        "update ops.connections set connected = false",
        "update ops.cursors set fresh_to = '2026-11-18 12:00-05'",
        "delete from ops.cursors",
        "drop table marts.fct_stock, marts.fct_late, metrics.dim_metric",
    ],
    ids=["not connected", "stale", "never synced", "before the first build"],
)
def test_a_mart_without_its_sources_is_unknown(
    look: Callable[..., dict[str, Signal]], filled: Any, change: str
) -> None:
    filled.execute(change)
    still_open = Subject(SubjectKind.THRESHOLD, "stock", "sku", "A-1")
    found = look(still_open, stock=STOCK, late=LATE)
    assert {signal.found for signal in found.values()} == {Finding.UNKNOWN}
    # Nobody can tell whether it is over.
    assert still_open.key not in found


def test_one_of_two_sources_is_enough_where_the_rule_says_so(
    look: Callable[..., dict[str, Signal]], filled: Any
) -> None:
    filled.execute("update ops.cursors set vendor = 'shopify', stream = 'inventory_items' where vendor = 'netsuite'")
    assert look(stock=STOCK)["threshold:stock:sku:A-1"].depends_on == ("shopify.inventory_items",)


def test_an_open_subject_that_is_no_longer_there_is_clear(look: Callable[..., dict[str, Signal]]) -> None:
    sold, dropped = Subject(SubjectKind.THRESHOLD, "stock", "sku", "Z-0"), Subject(SubjectKind.THRESHOLD, "removed")
    other = Subject(SubjectKind.METRIC, "stock")
    found = look(sold, dropped, other, stock=STOCK)
    assert (found[sold.key].found, found[sold.key].explanation) == (Finding.CLEAR, "no longer there")
    assert (found[dropped.key].found, found[dropped.key].explanation) == (Finding.CLEAR, "the rule was taken out")
    assert other.key not in found


def test_what_a_rule_names_and_is_not_there_is_named_all_at_once(filled: Any, tmp_path: Path) -> None:
    fleet = fleet_of(
        tmp_path,
        one={**OVERDUE, "metric": "overdoo"},
        two={**STOCK, "view": "marts.fct_stok"},
        three={**STOCK, "because": "raison"},
        four={**ROAS, "money_metric": "spent"},
    )
    with pytest.raises(ConfigurationError) as caught:
        rule_signals(filled, fleet, NOW)
    for part in (
        "alert rule one: there is no metric 'overdoo'",
        "alert rule two: there is no view 'marts.fct_stok'",
        "alert rule three: marts.fct_stock has no column 'raison'",
        "alert rule four: there is no metric 'spent'",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (
            {**OVERDUE, "levels": {"watch": {"when": {"value": {"above": "no_such"}}}}},
            "there is no threshold 'no_such'",
        ),
        ({**OVERDUE, "levels": {"watch": {"when": {"value": {"above": 1, "below": 2}}}}}, "exactly one of"),
        ({**OVERDUE, "levels": {"watch": {"when": {}}}}, "at least 1 item"),
        ({**OVERDUE, "levels": {}}, "at least 1 item"),
        ({**OVERDUE, "levels": {"loud": {"when": {"value": {"above": 1}}}}}, "'watch', 'alert' or 'critical'"),
        ({**OVERDUE, "view": "marts.fct_stock"}, "either a metric or a view"),
        ({**OVERDUE, "where": {"a": "b"}}, "belong to a view's rule"),
        ({**OVERDUE, "owner": "nobody"}, "there is no bot 'nobody'"),
        ({**OVERDUE, "division": "nowhere"}, "there is no division 'nowhere'"),
        ({**STOCK, "any_source": []}, "names the sources it stands on"),
        ({**STOCK, "any_source": ["acme.orders"]}, "there is no source 'acme.orders'"),
        ({**STOCK, "any_source": ["shopify"]}, "'shopify' is not vendor.stream"),
        ({**STOCK, "view": "raw_shopify.orders"}, "pattern"),
        ({**STOCK, "dimension": "sku; drop table x"}, "pattern"),
        ({**STOCK, "lookback_days": 2}, "lookback_days needs the column"),
        ({**STOCK, "money": None, "minimum_money": 5}, "minimum_money needs money"),
        ({**STOCK, "value": {"min": "a", "max": "b"}}, "exactly one of count"),
    ],
)
def test_a_rule_that_cannot_be_is_named_when_the_file_is_read(tmp_path: Path, rule: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        fleet_of(tmp_path, wrong=rule)


def test_changing_a_threshold_changes_the_finding(filled: Any, tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, hours=HOURS)
    thresholds = {**fleet.thresholds, "fulfilment_warning_hours": fleet.thresholds["late_archived_days"]}
    looser = fleet.model_copy(update={"thresholds": thresholds})
    assert rule_signals(filled, looser, NOW)[0].found is Finding.CLEAR


# The shipped file ---------------------------------------------------------------------------------------------------


def shipped_columns() -> dict[str, set[str]]:
    """Columns of every mart as its YAML describes them."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "dbt_project" / "models" / "marts").rglob("*.yml"):
        for model in (yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}).get("models") or []:
            names = {column["name"] for column in model.get("columns") or []}
            found.setdefault(f"marts.{model['name']}", set()).update(names)
    return found


def test_the_shipped_rules_name_metrics_and_marts_that_exist() -> None:
    columns = shipped_columns()
    metrics = {path.stem for path in (ROOT / "dbt_project" / "models" / "metrics").glob("*/*.sql")}
    for name, rule in get_fleet().alert_rules.items():
        assert {*rule.metrics(), *rule.about} <= metrics, name
        if rule.view is not None:
            assert set(rule.columns()) <= columns[rule.view], name


def test_every_rule_of_the_mission_is_there() -> None:
    """Each limit of the mission's thresholds, the rule that holds something against it, and how loud."""
    rules = get_fleet().alert_rules
    assert set(rules["stock"].levels) == {"critical", "alert", "watch"}
    assert set(rules["late_orders"].levels) == {"critical", "alert", "watch"}
    assert set(rules["stale_deals"].levels) == {"critical", "alert", "watch"}
    limits = {
        "overstock": ("watch", "above", "stock_overstock_days"),
        "fulfilment_time": ("critical", "above", "fulfilment_critical_hours"),
        "purchase_order_overdue": ("alert", "above", "purchase_order_overdue_days"),
        "channel_balance": ("watch", "beyond", "channel_balance_share"),
        "roas_poor": ("alert", "below", "ads_roas_poor"),
        "spend_without_conversion": ("alert", "at_least", "ads_barren_spend"),
    }
    for name, (severity, operator, threshold) in limits.items():
        (comparison,) = rules[name].levels[severity].when.values()  # type: ignore[index]
        assert comparison.limit() == (operator, threshold), name
    assert {"late_orders_high_value", "ad_budget_pacing", "stale_deal_high_priority", "deals_over_expected",
            "lead_touches", "hot_lead", "high_deal_score", "erp_shop_gap"} <= set(rules)  # fmt: skip


def test_before_the_first_build_nothing_is_wrong_with_the_rules(warehouse: Connect) -> None:
    with warehouse() as connection:
        assert problems(connection, get_fleet()) == []
        found = rule_signals(connection, get_fleet(), NOW)
    assert {signal.found for signal in found} == {Finding.UNKNOWN}
    assert {signal.subject.name for signal in found} == set(get_fleet().alert_rules)
