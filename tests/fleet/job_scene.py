"""What a job of fleet.yaml does with marts of our own making: the marts as their contracts have them, sources that are
fresh, and one run of the job's own assets.

Belongs here: the stage on which jobs are tested. Does not belong here: rows and expectations (each test has its own);
whether a mart computes what it says (`dbt_project`'s unit tests).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from psycopg import sql

from ops_platform import clock
from ops_platform.database.roles import ensure_roles
from ops_platform.fleet import get_fleet
from ops_platform.settings import PROJECT_ROOT, reset_settings
from tests.conftest import Connect
from tests.delivery.slack_fake import TOKEN, SlackFake, running_slack

NEW_YORK = ZoneInfo("America/New_York")
MORNING = datetime(2026, 11, 20, 9, 30, tzinfo=NEW_YORK)  # a Friday
_MODELS = PROJECT_ROOT / "dbt_project" / "models" / "marts"
_METRICS = PROJECT_ROOT / "dbt_project" / "models" / "metrics"
Rows = Mapping[str, list[dict[str, Any]]]


@lru_cache(maxsize=1)
def contracts() -> dict[str, dict[str, str]]:
    """By mart, its columns and their types, as the contract that dbt enforces has them."""
    found = {}
    for file in _MODELS.rglob("*.yml"):
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
        for model in content.get("models", []):
            found[model["name"]] = {each["name"]: each["data_type"] for each in model["columns"]}
    return found


@lru_cache(maxsize=1)
def metrics() -> dict[str, dict[str, Any]]:
    """By metric, what its YAML says of it."""
    found = {}
    for file in _METRICS.glob("*/*.yml"):
        (model,) = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["models"]
        found[model["name"]] = model["config"]["meta"]["metric"]
    return found


@contextmanager
def morning(stage: Connect, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackFake]:
    """Slack, and a morning at which nothing was told yet, with marts without a row."""
    with running_slack() as fake:
        for name, value in {
            "OPS_HOME": str(home), "OPS_WRITER": "rules", "SLACK_BOT_TOKEN": TOKEN, "SLACK_BASE_URL": fake.url,
            "SLACK_CHANNEL_TEAM": "C0EXEC", "SLACK_CHANNEL_EXECUTIVE": "C0EXEC",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        reset_settings()
        monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: stage())
        monkeypatch.setattr(clock, "now", lambda: MORNING)
        with stage() as connection:
            for table in ("briefings_told", "receipts", "outbox", "documents", "evidence_bundles"):
                connection.execute(f"delete from ops.{table}".encode())
            for (mart,) in connection.execute("select tablename from pg_tables where schemaname = 'marts'").fetchall():
                connection.execute(f"truncate marts.{mart}".encode())
            connection.commit()
        yield fake
        reset_settings()


def build(connect: Connect, views: list[str], streams: list[str], fresh_to: datetime = MORNING) -> None:
    """The tables of these marts, empty; every metric, without a day; these streams complete up to a moment."""
    with connect() as connection:
        metric_tables = (PROJECT_ROOT / "tests" / "evidence" / "metrics.sql").read_text(encoding="utf-8")
        connection.execute(metric_tables.encode())
        for view in views:
            name = view.partition(".")[2]
            columns = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
                for column, kind in contracts()[name].items()
            )
            connection.execute(sql.SQL("create table {} ({})").format(sql.Identifier("marts", name), columns))
        for name, said in metrics().items():
            sources = [*said.get("sources", []), *said.get("optional_sources", [])]
            connection.execute(
                "insert into metrics.dim_metric (metric_id, label, unit, direction, aggregation, target,"
                " minimum_effect, division, in_pulse, kind, sources)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (name, said["label"], said["unit"], said["direction"], said["aggregation"], said.get("target"),
                 said.get("minimum_effect"), said["division"], said.get("in_pulse", False), said["kind"], sources),
            )  # fmt: skip
        fresh(connection, streams, fresh_to)
        ensure_roles(connection, get_fleet().bots, ())
        connection.commit()


def fresh(connection: Any, streams: list[str], at: datetime) -> None:
    """These streams (`vendor.stream`) are complete up to `at`."""
    for each in streams:
        vendor, _, stream = each.partition(".")
        connection.execute(
            "insert into ops.cursors (vendor, stream, fresh_to, updated_at) values (%s, %s, %s, %s)"
            " on conflict (vendor, stream) do update set fresh_to = excluded.fresh_to",
            (vendor, stream, at, at),
        )


def put(connect: Connect, rows: Rows) -> None:
    """These rows and no others in their marts."""
    with connect() as connection:
        for mart, given in rows.items():
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier("marts", mart)))
            for row in given:
                unknown = set(row) - set(contracts()[mart])
                assert not unknown, f"{mart} has no {sorted(unknown)}"
                connection.execute(
                    sql.SQL("insert into {} ({}) values ({})").format(
                        sql.Identifier("marts", mart),
                        sql.SQL(", ").join(map(sql.Identifier, row)),
                        sql.SQL(", ").join(sql.Placeholder() * len(row)),
                    ),
                    list(row.values()),
                )
        connection.commit()


def run(name: str) -> dict[str, Any] | None:
    """The steps of the job's assets, one after the other; what the delivery said of itself, None where it has none."""
    from assets.briefings import _deliver, _gather
    from assets.document_steps import report
    from resources.postgres import WarehouseResource

    run_id, warehouse = uuid.uuid4().hex, WarehouseResource()
    _gather(run_id, warehouse, name)
    report(warehouse, name)
    return _deliver(run_id, warehouse, name) if get_fleet().jobs[name].posts else None


def materialized(name: str) -> dict[str, Any] | None:
    """The same by Dagster: the assets that the entry makes, in their order."""
    from dagster import DagsterInstance, materialize

    from assets.briefings import briefing_assets
    from resources.postgres import WarehouseResource

    fleet = get_fleet()
    mine = fleet.model_copy(update={"jobs": {name: fleet.jobs[name]}})
    with DagsterInstance.ephemeral() as instance:
        result = materialize(briefing_assets(mine), instance=instance, resources={"warehouse": WarehouseResource()})
    assert result.success
    events = result.asset_materializations_for_node(f"delivery__{name}") if fleet.jobs[name].posts else []
    return {key: value.value for key, value in events[0].metadata.items()} if events else None


def texts(payload: Any) -> str:
    """Every text of a message, for looking into it."""
    if isinstance(payload, str):
        return payload
    if isinstance(payload, Mapping):
        return " ".join(texts(value) for key, value in payload.items() if key not in ("type", "block_id", "metadata"))
    if isinstance(payload, list):
        return " ".join(map(texts, payload))
    return ""
