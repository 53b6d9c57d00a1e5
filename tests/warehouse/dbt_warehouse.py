"""A warehouse to test: the product's own migrations, raw tables and loader, and dbt on top.

Belongs here: landing payloads as a sync would, setting the company's clock, running dbt, asking. Does not
belong here: payloads and expected numbers (each test has its own).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from ops_platform.database.load import StagedLoad
from ops_platform.database.migrations import ensure_raw_tables, migrate
from ops_platform.database.server import ServerAddress
from ops_platform.garbage import rarely_collecting
from ops_platform.records import Record
from ops_platform.settings import PROJECT_ROOT
from ops_platform.warehouse.build import Outcome, settle
from ops_platform.warehouse.dbt import TARGET, prepare_manifest
from ops_platform.warehouse.publication import Publication, public_models, publish

DBT_PROJECT = PROJECT_ROOT / "dbt_project"
# The last project that was read, by all that its reading depends on.
_PARSED: dict[tuple[Any, ...], Any] = {}
STREAMS = {
    "shopify": (
        "shop", "orders", "customers", "products", "inventory_items", "locations", "fulfillment_orders", "discounts",
    ),
    "netsuite": (
        "transactions", "transaction_lines", "ledger_lines", "items", "inventory_by_location", "purchase_orders",
        "vendors", "locations", "accounts", "accounting_periods", "deleted_records",
    ),
    "slack": ("channels", "users", "messages"),
    "hubspot": (
        "owners", "pipelines", "companies", "contacts", "deals", "tickets", "emails", "calls",
        "feedback_submissions", "stage_history", "associations",
    ),
    "amazon": ("orders", "inventory_summaries", "listings", "account_health"),
    "klaviyo": (
        "accounts", "metrics", "lists", "segments", "campaigns", "flows", "events", "metric_aggregates",
        "campaign_values", "flow_values",
    ),
    "airtable": (
        "bases", "tables", "fields", "projects", "content_calendar", "sample_requests", "product_reviews",
        "competitor_prices", "search_rankings", "paid_media_spend",
    ),
    "github": ("labels", "milestones", "issues", "comments", "events"),
    "app": ("roles", "users", "subscriptions", "tickets", "sessions"),
}  # fmt: skip


class DbtWarehouse:
    """One database, a copy of `template` where there is one. `build` runs dbt in this process; the project may be
    another than the product's."""

    def __init__(
        self, address: ServerAddress, name: str, scratch: Path, project: Path = DBT_PROJECT, template: str = "template1"
    ) -> None:
        self.address = address
        self.name = name
        self.scratch = scratch
        self.project = project
        self._sync_id = 0
        with psycopg.connect(address.url("postgres"), autocommit=True) as maintenance:
            maintenance.execute(f"create database {name} template {template} strategy file_copy".encode())
        self.connection = psycopg.connect(address.url(name), options="-c timezone=UTC", autocommit=True)
        migrate(self.connection)
        ensure_raw_tables(
            self.connection, [(vendor, stream, stream) for vendor in STREAMS for stream in STREAMS[vendor]]
        )

    def close(self) -> None:
        self.connection.close()
        with psycopg.connect(self.address.url("postgres"), autocommit=True) as maintenance:
            maintenance.execute(f"drop database if exists {self.name} with (force)".encode())

    def land(
        self,
        vendor: str,
        stream: str,
        payloads: Iterable[dict[str, Any]],
        at: datetime,
        *,
        ids: Iterable[str] | None = None,
        deleted: Iterable[str] = (),
        fresh: bool = True,
    ) -> None:
        """One sync of a stream: these payloads are new or changed, those ids are gone."""
        self._sync_id += 1
        load = StagedLoad(self.connection, vendor, stream, self._sync_id)
        identities = iter(ids) if ids is not None else None
        for payload in payloads:
            identity = next(identities) if identities is not None else payload["id"]
            assert load.add([Record(identity, payload, None)]) == []
        load.finish_staging()
        with self.connection.transaction():
            _, poison = load.merge(at)
            assert poison == []
            load.soft_delete(list(deleted), at)
        load.close()
        if fresh:
            self.fresh(vendor, stream, at)

    def fresh(self, vendor: str, stream: str, at: datetime) -> None:
        """The stream is complete up to `at`."""
        self.connection.execute(
            "insert into ops.cursors (vendor, stream, fresh_to, updated_at) values (%s, %s, %s, %s)"
            " on conflict (vendor, stream) do update set fresh_to = excluded.fresh_to",
            (vendor, stream, at, at),
        )

    def clock(self, as_of: datetime, zone: str = "America/New_York", currency: str = "USD") -> None:
        self.connection.execute(
            "insert into ops.company (name, timezone, currency, as_of) values ('Test', %s, %s, %s)"
            " on conflict (singleton) do update set timezone = excluded.timezone, currency = excluded.currency,"
            " as_of = excluded.as_of",
            (zone, currency, as_of),
        )

    def build(self, *arguments: str) -> dict[str, str]:
        """`dbt build` without the unit tests; the status of every node by name. Fails when a node fails."""
        return self.dbt("build", "--exclude-resource-type", "unit_test", *arguments)

    def run(self, *arguments: str) -> dict[str, str]:
        """The tables alone, for a step after a build: the views stand, and the tests have seen such data."""
        only = ("--resource-type", "model", "--exclude", "config.materialized:lasting_view")
        return self.dbt("build", *only, *arguments)

    def dbt(self, *arguments: str) -> dict[str, str]:
        done = self._invoke(*arguments)
        if done.exception is not None:
            raise done.exception
        results: Any = done.result
        statuses = {result.node.name: str(result.status) for result in results}
        failed = {
            result.node.name: result.message or f"{result.failures} rows"
            for result in results
            if str(result.status) not in ("success", "pass", "no-op")
        }
        assert not failed, failed
        assert done.success
        self.publish()
        return statuses

    def settle(self) -> Outcome:
        """A build of the whole that may fail, and what the product makes of it: published, or nothing."""
        from ops_platform.settings import reset_settings

        started = datetime.now(UTC)
        (self.scratch / "target" / "run_results.json").unlink(missing_ok=True)
        with _environment({"OPS_HOME": str(self.scratch)}):
            reset_settings()
            try:
                done = self._invoke("build", "--exclude-resource-type", "unit_test")
                return settle(
                    self.connection, self.scratch / "target", run_id="test", fingerprint="", started=started,
                    now=datetime.now(UTC), passed=done.success,
                )  # fmt: skip
            finally:
                reset_settings()

    def _invoke(self, *arguments: str) -> Any:
        """dbt in this process, as the product runs it. What it read of a project serves every later call."""
        from ops_platform.warehouse.dbt_process import connect_to, read_project, run

        outputs = ["--target-path", self.scratch / "target", "--log-path", self.scratch / "logs"]
        options = ["--quiet", "--project-dir", self.project, "--profiles-dir", self.project, *outputs]
        known = (self.project, _state_of(self.project))
        with _environment(self._connection_environment()), rarely_collecting():
            if known not in _PARSED:
                _PARSED.clear()
                _PARSED[known] = read_project(self.project, self._reading())
            connect_to(_PARSED[known], self.name)
            return run(_PARSED[known], [*arguments, *map(str, options)])

    def _reading(self) -> Path:
        """Where what was read is kept: the product's own project beside it, for all processes."""
        if self.project != DBT_PROJECT:
            return self.scratch / "read"
        prepare_manifest()
        return TARGET

    def publish(self) -> Publication:
        """What the product does after a build that passed."""
        manifest = self.scratch / "target" / "manifest.json"
        return publish(self.connection, public_models(manifest), datetime.now(UTC))

    def _connection_environment(self) -> dict[str, str]:
        return {
            "DBT_PG_HOST": str(self.address.socket_directory),
            "DBT_PG_PORT": "5432",
            "DBT_PG_USER": "postgres",
            "DBT_PG_PASSWORD": "",
            "DBT_PG_DATABASE": self.name,
            "DBT_PG_ROLE": "",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), parameters).fetchall()

    def one(self, query: str, *parameters: object) -> Any:
        ((value,),) = self.rows(query, *parameters)
        return value

    def metric(self, metric_id: str, dimension: str = "all", value: str = "all") -> dict[str, Decimal | None]:
        """A metric by day: ISO date → value."""
        return {
            day.isoformat(): number
            for day, number in self.rows(
                "select date, value from metrics.fct_metric_daily"
                " where metric_id = %s and dimension = %s and dimension_value = %s order by date",
                metric_id, dimension, value,
            )
        }  # fmt: skip

    def candidate(self, metric_id: str, dimension: str = "all", value: str = "all") -> dict[date, Any]:
        """What the metric's own file gives, by day: the days on which something was observed."""
        return dict(
            self.rows(
                f"select date, value from candidate_metrics.{metric_id} where dimension = %s and dimension_value = %s",
                dimension, value,
            )
        )  # fmt: skip


def _state_of(project: Path) -> int:
    """A number that changes when a file of the project does."""
    files = (path for path in project.rglob("*") if "target" not in path.parts and "logs" not in path.parts)
    return hash(tuple(sorted((str(path), path.stat().st_mtime_ns) for path in files if path.is_file())))


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    # dbt sets up its own logging and prints to the process's streams; neither may leak into other tests.
    stdout = sys.stdout
    os.environ.update(values)
    try:
        yield
    finally:
        sys.stdout = stdout
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
