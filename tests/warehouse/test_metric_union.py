"""A metric is one SQL file with its YAML: the list of metrics follows the folder, and the metric table the list."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops_platform.failures import ConfigurationError
from ops_platform.warehouse.metric_union import find_metrics, main, metric_union, write_metric_union
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DBT_PROJECT
from tests.warehouse.payloads import line, order

NEW_METRIC = "{{ daily_sum('fct_sales_daily', 'cancelled_orders', dimensions=['channel']) }}\n"
NEW_DESCRIPTION = """
version: 2
models:
  - name: cancelled_orders
    description: Orders cancelled on the day.
    config:
      group: logistics
      meta:
        metric:
          label: Cancelled orders
          unit: count
          direction: down_is_good
          aggregation: sum
          kind: flow
          target: 0
          minimum_effect: 2
          owner: logistics
          division: customer_support
          sources: [shopify.orders]
          in_pulse: false
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the dbt project that may be changed."""
    return Path(shutil.copytree(DBT_PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("target", "logs")))


def test_the_committed_lists_are_current() -> None:
    for file, text in metric_union().items():
        assert file.read_text(encoding="utf-8") == text, f"run python -m ops_platform.warehouse.metric_union for {file}"
    assert main(["--check"]) == 0


def test_every_metric_is_listed_once_and_derived_ones_apart() -> None:
    base, derived = find_metrics()
    assert len(base) == len(set(base)) >= 36
    assert derived == ["business_health"]
    assert not set(base) & set(derived)


def test_writing_twice_writes_once(project: Path) -> None:
    models = project / "models"
    (models / "metrics" / "sales" / "cancelled_orders.sql").write_text(NEW_METRIC)
    (models / "metrics" / "sales" / "cancelled_orders.yml").write_text(NEW_DESCRIPTION)
    assert [file.name for file in write_metric_union(models)] == ["int_metric_observed.sql"]
    assert write_metric_union(models) == []


@pytest.mark.parametrize(
    ("name", "description", "said"),
    [
        ("half", None, "half.yml"),
        ("Half", NEW_DESCRIPTION, "lower case"),
        ("net_sales", NEW_DESCRIPTION.replace("cancelled_orders", "net_sales"), "defined twice"),
        ("half", "models: [{name: other}]", "named half"),
        ("half", "models: [", "named half"),
        ("half", "models: [{name: half, config: {meta: {}}}]", "config.meta.metric"),
    ],
)
def test_a_metric_that_is_not_whole_is_refused(project: Path, name: str, description: str | None, said: str) -> None:
    folder = project / "models" / "metrics" / "operations"
    (folder / f"{name}.sql").write_text(NEW_METRIC)
    if description is not None:
        (folder / f"{name}.yml").write_text(description)
    with pytest.raises(ConfigurationError, match=said):
        find_metrics(project / "models")


def test_wrong_use_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--wrong"]) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.slow
def test_a_metric_appears_with_its_two_files_alone(project: Path, make_warehouse: MakeWarehouse) -> None:
    morning = datetime(2026, 3, 12, 10, tzinfo=UTC)
    folder = project / "models" / "metrics" / "operations"
    (folder / "cancelled_orders.sql").write_text(NEW_METRIC)
    (folder / "cancelled_orders.yml").write_text(NEW_DESCRIPTION)
    write_metric_union(project / "models")
    warehouse = make_warehouse(project)
    warehouse.clock(morning)
    bought = order(1, "2026-03-10T15:00:00Z", [line(1, "A", 1, "50")], cancelledAt="2026-03-11T15:00:00Z")
    warehouse.land("shopify", "orders", [bought], morning)
    warehouse.build()
    assert warehouse.metric("cancelled_orders") == {"2026-03-10": 0, "2026-03-11": 1}
    assert warehouse.metric("cancelled_orders", "channel", "web") == {"2026-03-10": 0, "2026-03-11": 1}
    assert warehouse.rows("select label, owner from metrics.dim_metric where metric_id = 'cancelled_orders'") == [
        ("Cancelled orders", "logistics")
    ]
