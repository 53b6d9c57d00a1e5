"""The analyst's day, by the command line on a copy of the project: find a metric, make one, see a change before it is
published, publish what is whole and proven, and nothing else.

The shop sells two pieces at 50 on each of five days (7 to 11 March) and refunds 30 of them on the tenth."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops_platform.database.server import release_server, running_server
from ops_platform.failures import TransientFailure
from ops_platform.settings import PROJECT_ROOT
from ops_platform.warehouse.build import build_lock, judge
from ops_platform.warehouse.difference import sweep
from tests.conftest import Connect
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.part_of_project import cut_down
from tests.warehouse.payloads import line, order, product, refund

MORNING = datetime(2026, 3, 12, 10, 0, tzinfo=UTC)
SHOP = {"id": "gid://shopify/Shop/1", "name": "S", "currencyCode": "USD", "ianaTimezone": "America/New_York"}
PARTS = (
    "ops_platform",
    "resources",
    "assets",
    "jobs",
    "sensors",
    "dbt_project",
    "fleet.yaml",
    "airtable.yaml",
    ".sqlfluff",
)


@dataclass(frozen=True)
class Desk:
    """A copy of the project, a home with a warehouse, and the command line over both."""

    project: Path
    home: Path
    warehouse: DbtWarehouse

    def ops(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OPS_", "DBT_"))}
        done = subprocess.run(
            [sys.executable, "-m", "ops_platform.cli", *arguments], cwd=self.project,
            env={**clean, "OPS_HOME": str(self.home), "OPS_NOW": MORNING.isoformat(), "PYTHONPATH": str(self.project)},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert (done.returncode == 0) == ok, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ops(*arguments, "--json").stdout)

    def build(self, *arguments: str, ok: bool = True) -> str:
        """`ops dbt build` without the unit tests; what it said on standard error."""
        return self.ops("dbt", "--quiet", "build", "--exclude-resource-type", "unit_test", *arguments, ok=ok).stderr

    def metric(self, name: str) -> Path:
        (file,) = (self.project / "dbt_project" / "models" / "metrics").glob(f"*/{name}.sql")
        return file

    @contextmanager
    def measuring(self, metric: str, column: str) -> Iterator[None]:
        """The metric's file with another column than the net amount; it is put back."""
        file = self.metric(metric)
        before = file.read_text(encoding="utf-8")
        try:
            file.write_text(before.replace("'net_amount'", f"'{column}'"), encoding="utf-8")
            yield
        finally:
            file.write_text(before, encoding="utf-8")

    def leftovers(self) -> list[Any]:
        return self.warehouse.rows(
            "select nspname from pg_namespace where starts_with(nspname, 'aside')"
            " union all select model from ops.model_progress"
            " where starts_with(model, 'aside') or starts_with(parent, 'aside')"
            " union all select relation from ops.row_changes where starts_with(relation, 'aside')"
        )


def land(warehouse: DbtWarehouse) -> None:
    refunds = {10: {"refunds": [refund(1, "2026-03-10T20:00:00Z", ["30"])]}}
    orders = [
        order(
            n, f"2026-03-{n:02}T15:00:00Z", [line(n * 10, "A", 2, "50")], customer=n, country="US", **refunds.get(n, {})
        )
        for n in range(7, 12)
    ]
    warehouse.land("shopify", "orders", orders, MORNING)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    project = tmp_path_factory.mktemp("desk") / "project"
    project.mkdir()
    for part in PARTS:
        source = PROJECT_ROOT / part
        if source.is_dir():
            # What Python compiled is copied too: every command here is a process that would compile it anew.
            shutil.copytree(source, project / part, ignore=shutil.ignore_patterns("target", "logs"))
        else:
            shutil.copy(source, project / part)
    cut_down(project / "dbt_project", ["net_sales", "orders", "units_sold", "refunds", "fct_refunds"])
    home = tmp_path_factory.mktemp("home")
    warehouse = DbtWarehouse(running_server(home), "warehouse", home / "scratch", project / "dbt_project")
    warehouse.clock(MORNING)
    warehouse.land("shopify", "shop", [SHOP], MORNING)
    warehouse.land("shopify", "products", [product("A")], MORNING)
    land(warehouse)
    yield Desk(project, home, warehouse)
    warehouse.close()
    release_server(home)


@pytest.fixture(scope="module")
def published(desk: Desk) -> Desk:
    """The first publication."""
    assert desk.warehouse.rows("select tablename from pg_tables where schemaname in ('marts', 'metrics')") == []
    said = desk.build()
    assert "✓ publication 1:" in said
    assert "metrics.fct_metric_daily" in said
    assert desk.warehouse.metric("net_sales")["2026-03-10"] == 70
    assert desk.warehouse.rows("select status, failures from ops.warehouse_builds") == [("succeeded", 0)]
    return desk


def test_every_metric_is_listed_and_shown(published: Desk) -> None:
    listed = {row["metric_id"]: row for row in published.json("metric", "list")["metrics"]}
    assert listed["net_sales"]["value"] == "100"
    assert listed["net_sales"]["day"] == "2026-03-11"
    assert listed["net_sales"]["tie_out"] == "unknown"
    shown = published.json("metric", "show", "net_sales")
    assert [Path(file).name for file in shown["files"]] == ["net_sales.sql", "net_sales.yml"]
    above = {item["name"]: item["owner"] for item in shown["computed_from"]}
    assert above["fct_sales_daily"] == "sales"
    assert "source shopify.orders" in above
    assert {"ops_pulse", "command_line"} <= {item["name"] for item in shown["used_by"]}
    text = published.ops("metric", "show", "net_sales").stdout
    assert "2026-03-11: 100.00 USD" in text
    assert "Computed from" in text and "█" in text
    wrong = published.ops("metric", "show", "net_sale", ok=False)
    assert "like net_sales" in wrong.stderr


@pytest.mark.slow
def test_a_part_is_built_and_not_published(published: Desk) -> None:
    """By the command; `test_what_may_be_published` has the rule."""
    standing = "select xmin::text, published.* from ops.published_models as published order by 2, 3"
    before = published.warehouse.rows(standing)
    said = published.build("--select", "stg_shopify__shop")
    assert "nothing was published: only a part was built" in said
    assert published.warehouse.rows(standing) == before
    assert published.warehouse.rows("select max(id) from ops.publications") == [(1,)]


@pytest.mark.slow
def test_a_change_is_seen_before_it_is_published(published: Desk) -> None:
    with published.measuring("net_sales", "sales_amount"):
        found = published.json("metric", "diff", "net_sales")
        (change,) = found["metrics"]
        assert (change["kind"], change["days"], change["first_day"], change["last_day"]) == (
            "changed", 1, "2026-03-10", "2026-03-10",
        )  # fmt: skip
        assert [Decimal(change[key]) for key in ("before", "after", "absolute")] == [70, 100, 30]
        assert {item["dimension"] for item in change["dimensions"]} == {"channel", "country"}
        assert Decimal(change["largest"][0]["size"]) == 30
        assert "net_sales" in found["models"] and "fct_orders" not in found["models"]
        assert published.leftovers() == []
        assert published.warehouse.metric("net_sales")["2026-03-10"] == 70
        text = published.ops("metric", "diff", "net_sales").stdout
        assert "1 of 5 days" in text and "+30.00" in text and "nothing was published" in text
    assert published.json("metric", "diff")["changed"] is False


@pytest.mark.slow
def test_a_change_that_cannot_be_built_says_so_and_leaves_nothing(published: Desk) -> None:
    with published.measuring("net_sales", "no_such_column"):
        assert "no_such_column" in published.ops("metric", "diff", "net_sales", ok=False).stderr
    assert published.leftovers() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Gross",), "lower case"), (("net__sales",), "lower case"), (("9_lives",), "lower case"), (("select",), "SQL"),
        (("net_sales",), "exists already"), (("fct_orders",), "other layers"), (("stg_mine",), "other layers"),
        (("x" * 51,), "too long"), (("mine", "--measure", "no_such"), "no number 'no_such'"),
        (("mine", "--division", "mars"), "no division 'mars'"), (("mine", "--mart", "fct_nothing"), "no mart"),
        (("mine", "--mart", "fct_refunds"), "--count-by"),
    ],
)  # fmt: skip
def test_a_bad_new_metric_is_refused(
    arguments: tuple[str, ...], said: str, manifest: dict[str, Any], tmp_path: Path
) -> None:
    """The rules themselves; that the command asks them, the next test says."""
    from ops_platform.failures import ConfigurationError
    from ops_platform.warehouse.scaffold import new_metric

    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    with pytest.raises(ConfigurationError, match=said):
        new_metric(
            tmp_path, manifest, arguments[0], division=options.get("--division", "sales"),
            mart=options.get("--mart", "fct_sales_daily"), divisions={"sales": "sales"}, streams_of={},
            measure=options.get("--measure"),
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def manifest(published: Desk) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (published.project / "dbt_project" / "target" / "manifest.json").read_text(encoding="utf-8")
    )
    return content


def test_a_new_metric_is_made_looked_at_and_published(published: Desk) -> None:
    refused = published.ops("metric", "new", "Net-Sales", "--division", "sales", "--mart", "fct_sales_daily", ok=False)
    assert "lower case" in refused.stderr
    made = published.json(
        "metric", "new", "pieces_an_order", "--division", "sales", "--mart", "fct_sales_daily",
        "--ratio", "units", "orders", "--unit", "count", "--dimension", "channel",
    )  # fmt: skip
    assert [Path(file).name for file in made["files"]] == ["pieces_an_order.sql", "pieces_an_order.yml"]
    assert any("ops metric diff pieces_an_order" in step for step in made["next"])
    lint = subprocess.run(
        [sys.executable, "-m", "sqlfluff", "lint", made["files"][0]], cwd=published.project, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert lint.returncode == 0, lint.stdout
    (change,) = published.json("metric", "diff", "pieces_an_order")["metrics"]
    assert (change["kind"], change["days"], change["became_known"]) == ("new", 5, 5)
    assert published.warehouse.metric("pieces_an_order") == {}
    listed = published.json("metric", "list")["not_published"]
    assert [row["metric_id"] for row in listed] == ["pieces_an_order"]
    assert "✓ publication 2:" in published.build()
    assert set(published.warehouse.metric("pieces_an_order").values()) == {Decimal(2)}


def test_a_build_that_fails_publishes_nothing(published: Desk) -> None:
    warehouse = published.warehouse
    newest = warehouse.one("select max(id) from ops.publications")
    bad = order(99, "9999-12-31T00:00:00Z", [line(990, "A", 1, "10")], customer=99, country="US")
    try:
        warehouse.land("shopify", "orders", [bad], MORNING)
        said = published.build(ok=False)
        assert "nothing was published" in said and "plausible_stg_shopify__orders" in said
    finally:
        warehouse.land("shopify", "orders", [], MORNING, deleted=[bad["id"]])
    assert warehouse.one("select max(id) from ops.publications") == newest
    assert warehouse.metric("net_sales")["2026-03-10"] == 70


def test_builds_take_turns(published: Desk) -> None:
    name = "dagster run 1a2b3c4d"
    url = published.warehouse.address.url("warehouse")
    with psycopg.connect(url, autocommit=True, application_name=name) as other, build_lock(other):
        for arguments in (("dbt", "build"), ("dbt", "run", "--select", "net_sales"), ("metric", "diff")):
            done = published.ops(*arguments, ok=False)
            assert "another build of the warehouse is running" in done.stderr
            assert name in done.stderr
            assert "Traceback" not in done.stderr


def test_a_lock_is_waited_for_and_given_back(warehouse: Connect) -> None:
    with warehouse() as first, warehouse() as second:
        first.autocommit = second.autocommit = True
        with build_lock(first):
            with pytest.raises(TransientFailure, match="another build"), build_lock(second, wait_seconds=0.1):
                pass
        with build_lock(second):
            pass
        with pytest.raises(RuntimeError), build_lock(first):
            raise RuntimeError
        with build_lock(second):
            pass


def test_what_a_killed_diff_left_is_swept_but_not_what_runs(warehouse: Connect) -> None:
    with warehouse() as mine, warehouse() as running:
        mine.autocommit = running.autocommit = True
        mine.execute("create schema aside_12345_marts; create table aside_12345_marts.t (id int)")
        mine.execute("insert into ops.model_progress values ('aside_12345_marts.t', 'clock', 0, '')")
        mine.execute("create schema aside_54321_marts")
        running.execute("select pg_advisory_lock(%s)", (4_172_100_000 + 54_321,))
        assert sweep(mine) == ["aside_12345_"]
        assert mine.execute("select nspname from pg_namespace where nspname like 'aside%'").fetchall() == [
            ("aside_54321_marts",)
        ]
        assert mine.execute("select count(*) from ops.model_progress").fetchone() == (0,)


def artifacts(folder: Path, statuses: dict[str, str], **options: object) -> tuple[Path, Path]:
    nodes = {
        name: {"name": name.split(".")[-1], "resource_type": name.split(".")[0], "config": {"materialized": "table"}}
        for name in ("model.p.a", "model.p.b", "seed.p.s", "test.p.t")
    }
    manifest, results = folder / "manifest.json", folder / "run_results.json"
    manifest.write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
    said = [{"unique_id": name, "status": status} for name, status in statuses.items()]
    results.write_text(json.dumps({"results": said, "args": {"which": "build", **options}}), encoding="utf-8")
    return manifest, results


WHOLE = {"model.p.a": "success", "model.p.b": "no-op", "seed.p.s": "success", "test.p.t": "warn"}


@pytest.mark.parametrize(
    ("statuses", "options", "why_not"),
    [
        (WHOLE, {}, ""),
        ({**WHOLE, "unit_test.p.u": "pass"}, {"vars": {}, "empty": False}, ""),
        ({**WHOLE, "test.p.t": "fail"}, {}, "1 of 4 did not pass: t"),
        ({**WHOLE, "model.p.a": "error", "model.p.b": "skipped"}, {}, "2 of 4 did not pass: a, b"),
        ({name: status for name, status in WHOLE.items() if name != "test.p.t"}, {}, "only a part was built: 3 of 4"),
        ({}, {}, "only a part was built: 0 of 4"),
        (WHOLE, {"which": "run"}, "does not test"),
        (WHOLE, {"empty": True}, "--empty"),
        (WHOLE, {"vars": {"aside": "x"}}, "--vars"),
        (WHOLE, {"defer": True}, "--defer"),
        (WHOLE, {"sample": "3 days"}, "--sample"),
    ],
)
def test_what_may_be_published(
    tmp_path: Path, statuses: dict[str, str], options: dict[str, object], why_not: str
) -> None:
    verdict = judge(*artifacts(tmp_path, statuses, **options))
    assert verdict.publishable == (why_not == "")
    assert why_not in verdict.why_not


def test_results_that_cannot_be_read_publish_nothing(tmp_path: Path) -> None:
    manifest, results = artifacts(tmp_path, WHOLE)
    assert not judge(manifest, results, passed=False).publishable
    results.write_text('{"results": [{"unique_id"', encoding="utf-8")
    assert not judge(manifest, results).publishable
    assert not judge(manifest, tmp_path / "nothing.json").publishable
