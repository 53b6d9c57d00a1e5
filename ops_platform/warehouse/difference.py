"""What a change of the project's files would do to the numbers people read, before anything is published.

Belongs here: building what changed aside, in schemas of its own, and laying the result against the published metric
table. Does not belong here: printing it (`ops_platform.commands.metric`), publishing.

dbt compares the files with the manifest of the last publication (`state:modified`) and reads everything that did not
change from the candidates as they stand (`--defer`), so that only the changed models and what lies between them and
the metrics are computed. The schemas and their traces in the change log are removed again; those of a run that was
killed are removed by the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.settings import PROJECT_ROOT

if TYPE_CHECKING:
    import psycopg

_PREFIX = "aside_"
# Added to a build's number it is the lock that says the build is alive; the number only has to be ours.
_ALIVE = 4_172_100_000
_TABLE = "candidate_metrics.fct_metric_daily"
# From a metric's own model to the metric table.
_CHAIN = (
    "dim_metric", "int_metric_observed", "int_metric_starts", "int_metric_ends", "int_metric_freshness",
    "int_metric_values", "fct_metric_daily",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DayChange:
    """One day of one series: what is published and what it would be. None is unknown, or no row (see `was_there`)."""

    day: date
    dimension: str
    dimension_value: str
    before: Decimal | None
    after: Decimal | None

    @property
    def size(self) -> Decimal | None:
        """after − before; None where one of them is unknown."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True, slots=True)
class DimensionChange:
    dimension: str
    rows: int
    values: int


@dataclass(frozen=True, slots=True)
class MetricChange:
    """What becomes of one metric. `kind` is new, removed, changed or same; days count the rows of the whole day.

    `before` and `after` are over the changed days that are known in both: their sum for a metric that sums over days,
    else their mean (`measure` says which)."""

    metric_id: str
    label: str
    unit: str
    kind: str
    days: int
    first_day: date | None
    last_day: date | None
    days_compared: int
    became_known: int
    became_unknown: int
    measure: str
    before: Decimal | None
    after: Decimal | None
    largest: tuple[DayChange, ...]
    dimensions: tuple[DimensionChange, ...]
    note: str = ""

    @property
    def absolute(self) -> Decimal | None:
        """After less before."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def relative(self) -> Decimal | None:
        """The same as a share of what is published for those days."""
        return None if self.absolute is None or not self.before else self.absolute / abs(self.before)


@dataclass(frozen=True, slots=True)
class Difference:
    """The metrics that would change, against which publication, and which models were built for that."""

    publication: int
    published_at: datetime
    models: tuple[str, ...]
    metrics: tuple[MetricChange, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def changed(self) -> bool:
        return any(metric.kind != "same" for metric in self.metrics)


def difference(connection: psycopg.Connection[Any], metric: str | None = None, *, largest: int = 5) -> Difference:
    """Build what changed aside and compare. `connection` is in autocommit and holds the build lock.

    Raises `ConfigurationError` when the changed files do not parse, nothing was published yet or there is no such
    metric, and `DataFailure` with dbt's words when a changed model cannot be built."""
    from ops_platform.warehouse.dbt import prepare_manifest
    from ops_platform.warehouse.publication import published_state

    state = published_state()
    if not (state / "manifest.json").is_file():
        raise ConfigurationError(f"there is no publication to compare with in {state}: `ops dbt build` makes one")
    manifest = json.loads(prepare_manifest().read_text(encoding="utf-8"))
    published = json.loads((state / "manifest.json").read_text(encoding="utf-8"))
    if metric is not None and metric not in {*metrics_of(manifest), *metrics_of(published)}:
        raise ConfigurationError(f"there is no metric {metric!r}: `ops metric list` names them")
    publication, published_at, notes = _publication(connection, state)
    sweep(connection)
    with _aside(connection) as prefix:
        built = _build(prefix, manifest, metric, state)
        metrics: tuple[MetricChange, ...] = ()
        # Where nothing that decides a number was built, the published numbers are what there would be.
        if "fct_metric_daily" in built:
            metrics = _compare(connection, prefix, manifest, published, metric, largest)
    return Difference(publication, published_at, tuple(sorted(built)), metrics, tuple(notes))


def metrics_of(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The nodes of a manifest that are metrics, by id."""
    return {
        str(node["name"]): node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and (node["config"].get("meta") or {}).get("metric")
    }


def _publication(connection: psycopg.Connection[Any], state: Path) -> tuple[int, datetime, list[str]]:
    row = connection.execute(
        "select publications.id, published_at, (select count(*) from ops.sync_runs where status = 'succeeded'"
        " and inserted + updated + deleted > 0 and finished_at > builds.started_at)"
        " from ops.publications left join ops.warehouse_builds as builds on build_id = builds.id"
        " order by publications.id desc limit 1"
    ).fetchone()
    if row is None:
        raise ConfigurationError("nothing was published yet: `ops dbt build` or `ops run ops_pulse`")
    notes = []
    try:
        known = json.loads((state / "publication.json").read_text(encoding="utf-8"))["id"]
    except (OSError, ValueError, KeyError):
        known = None
    if known != row[0]:
        notes.append(
            f"publication {row[0]} was not made from this home: models are compared with those of"
            f" publication {known if known is not None else 'unknown'}, numbers with publication {row[0]}"
        )
    if row[2]:
        notes.append(
            "data was synced since the publication: a model that reads it anew shows that as a difference, too"
        )
    return row[0], row[1], notes


@contextlib.contextmanager
def _aside(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """A prefix of schemas nobody else uses; whatever was made under it is gone afterwards."""
    number = secrets.randbelow(90_000) + 10_000
    connection.execute("select pg_advisory_lock(%s)", (_ALIVE + number,))
    prefix = f"{_PREFIX}{number}_"
    try:
        yield prefix
    finally:
        _remove(connection, prefix)
        connection.execute("select pg_advisory_unlock(%s)", (_ALIVE + number,))


def sweep(connection: psycopg.Connection[Any]) -> list[str]:
    """Remove what builds aside left that were killed; the prefixes removed."""
    found = connection.execute(
        "select distinct substring(nspname from '^aside_(\\d{5})_')::int from pg_namespace"
        " where nspname ~ '^aside_\\d{5}_'"
        " union select distinct substring(model from '^aside_(\\d{5})_')::int from ops.model_progress"
        " where model ~ '^aside_\\d{5}_'"
    ).fetchall()
    removed = []
    for (number,) in found:
        row = connection.execute("select pg_try_advisory_lock(%s)", (_ALIVE + number,)).fetchone()
        if row is None or not row[0]:
            continue
        _remove(connection, f"{_PREFIX}{number}_")
        connection.execute("select pg_advisory_unlock(%s)", (_ALIVE + number,))
        removed.append(f"{_PREFIX}{number}_")
    return removed


def _remove(connection: psycopg.Connection[Any], prefix: str) -> None:
    from psycopg import sql

    schemas = connection.execute(
        "select nspname from pg_namespace where starts_with(nspname, %s)", (prefix,)
    ).fetchall()
    for (schema,) in schemas:
        connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
    connection.execute(
        "delete from ops.model_progress where starts_with(model, %(p)s) or starts_with(parent, %(p)s)", {"p": prefix}
    )
    connection.execute("delete from ops.row_changes where starts_with(relation, %s)", (prefix,))


def _build(prefix: str, manifest: dict[str, Any], metric: str | None, state: Path) -> set[str]:
    """Build the changed models under the prefix; the names of those built."""
    from ops_platform.warehouse.dbt import DBT_PROJECT

    variables: dict[str, object] = {}
    node = metrics_of(manifest).get(metric) if metric else None
    if metric is None:
        select = ["state:modified+,+fct_metric_daily"]
    else:
        select = [f"state:modified+,+{metric}", metric, *_CHAIN] if node else ["dim_metric", *_CHAIN]
        derived = node is not None and node["config"]["meta"]["metric"].get("derived")
        if not derived and node is not None:
            variables["without_metrics"] = [name for name in metrics_of(manifest) if name != metric]
    with tempfile.TemporaryDirectory(prefix="ops-aside-") as scratch:
        target = Path(scratch) / "target"
        environment = {**os.environ, "DBT_PROFILES_DIR": str(DBT_PROJECT), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        done = subprocess.run(
            [
                sys.executable, "-m", "ops_platform.warehouse.aside", prefix, scratch,
                "--resource-type", "model", "--resource-type", "seed", "--select", *select,
                # What was seen on past days is not computed again, here or in any build.
                "--exclude", "config.only_recent:true", "--defer", "--favor-state", "--state", str(state.resolve()),
                "--vars", json.dumps(variables), "--fail-fast",
            ],
            cwd=PROJECT_ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
        except (OSError, ValueError, KeyError):
            results = []
        shutil.rmtree(target, ignore_errors=True)
    failed = [item for item in results if item["status"] in ("error", "fail")]
    if failed:
        said = "\n".join(f"{item['unique_id'].split('.')[-1]}: {(item['message'] or '').strip()}" for item in failed)
        raise DataFailure(f"what changed cannot be built:\n{said}")
    if done.returncode != 0:
        raise DataFailure(f"dbt could not build what changed:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    return {str(item["unique_id"]).split(".")[-1] for item in results}


# Rows of the whole day and of dimensions that differ. A snapshot is what a build saw of its own day: only days that
# the build aside has are compared, the others stay.
_ROWS = """
    create temporary table compared as
    with after_rows as (
        select * from {aside} where %(metric)s::text is null or metric_id = %(metric)s
    ),
    before_rows as (
        select before.* from metrics.fct_metric_daily as before
        where (%(metric)s::text is null or before.metric_id = %(metric)s)
          and before.metric_id = any(%(candidates)s)
    )
    select
        coalesce(before_rows.metric_id, after_rows.metric_id) as metric_id,
        coalesce(before_rows.date, after_rows.date) as date,
        coalesce(before_rows.dimension, after_rows.dimension) as dimension,
        coalesce(before_rows.dimension_value, after_rows.dimension_value) as dimension_value,
        before_rows.value as before, after_rows.value as after,
        before_rows.metric_id is not null as was_there, after_rows.metric_id is not null as is_there,
        (before_rows.value, before_rows.numerator, before_rows.denominator)
            is distinct from (after_rows.value, after_rows.numerator, after_rows.denominator)
        or (before_rows.metric_id is null) <> (after_rows.metric_id is null) as differs
    from before_rows
    full join after_rows using (metric_id, date, dimension, dimension_value)
"""
_SUMMARY = """
    select
        metric_id,
        count(*) filter (where dimension = 'all') as days_compared,
        count(*) filter (where changed_day) as days,
        min(date) filter (where differs) as first_day,
        max(date) filter (where differs) as last_day,
        count(*) filter (where changed_day and before is null and after is not null) as became_known,
        count(*) filter (where changed_day and before is not null and after is null) as became_unknown,
        sum(before) filter (where changed_day and before is not null and after is not null) as total_before,
        sum(after) filter (where changed_day and before is not null and after is not null) as total_after,
        count(*) filter (where changed_day and before is not null and after is not null) as known_in_both,
        bool_or(differs) as differs
    from (select *, differs and dimension = 'all' as changed_day from compared) as days
    group by metric_id order by metric_id
"""


def _compare(
    connection: psycopg.Connection[Any],
    prefix: str,
    manifest: dict[str, Any],
    published: dict[str, Any],
    metric: str | None,
    largest: int,
) -> tuple[MetricChange, ...]:
    from psycopg import sql
    from psycopg.rows import dict_row

    now, before = metrics_of(manifest), metrics_of(published)
    snapshots = {
        name
        for name, node in {**before, **now}.items()
        if _meta(node).get("kind") == "snapshot" and not _meta(node).get("derived")
    }  # fmt: skip
    candidates = sorted({*now, *before})
    schema, table = f"{prefix}candidate_metrics", "fct_metric_daily"
    try:
        connection.execute("drop table if exists compared")
        connection.execute(
            sql.SQL(_ROWS).format(aside=sql.Identifier(schema, table)), {"metric": metric, "candidates": candidates}
        )
        if snapshots:
            connection.execute(
                "delete from compared where metric_id = any(%s) and not is_there", (sorted(snapshots & now.keys()),)
            )
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = {row["metric_id"]: row for row in cursor.execute(_SUMMARY).fetchall()}
        named = [metric] if metric else sorted(rows)
        changes = []
        for name in named:
            row = rows.get(name)
            meta = _meta({**before, **now}[name])
            kind = "same"
            if name not in before:
                kind = "new"
            elif name not in now:
                kind = "removed"
            elif row is not None and row["differs"]:
                kind = "changed"
            if kind == "same" and metric is None:
                continue
            note = ""
            if name in snapshots:
                note = "a snapshot: days seen before stay as they were seen; the change shows from the next build on"
            changes.append(_change(connection, name, meta, kind, row or {}, largest, note))
        return tuple(changes)
    finally:
        connection.execute("drop table if exists compared")


def _meta(node: dict[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = node["config"]["meta"]["metric"]
    return meta


def _change(
    connection: psycopg.Connection[Any],
    name: str,
    meta: dict[str, Any],
    kind: str,
    row: dict[str, Any],
    largest: int,
    note: str,
) -> MetricChange:
    days = connection.execute(
        "select date, dimension, dimension_value, before, after from compared"
        " where metric_id = %s and differs and dimension = 'all'"
        " order by abs(coalesce(after, 0) - coalesce(before, 0)) desc, date desc limit %s",
        (name, largest),
    ).fetchall()
    dimensions = connection.execute(
        "select dimension, count(*), count(distinct dimension_value) from compared"
        " where metric_id = %s and differs and dimension <> 'all' group by dimension order by 2 desc, 1",
        (name,),
    ).fetchall()
    sums = meta.get("aggregation") == "sum"
    parts = 1 if sums else row.get("known_in_both") or 1
    before, after = (
        None if row.get(key) is None else Decimal(row[key]) / parts for key in ("total_before", "total_after")
    )
    return MetricChange(
        metric_id=name, label=str(meta.get("label") or name), unit=str(meta.get("unit") or ""), kind=kind,
        days=row.get("days") or 0, first_day=row.get("first_day"), last_day=row.get("last_day"),
        days_compared=row.get("days_compared") or 0, became_known=row.get("became_known") or 0,
        became_unknown=row.get("became_unknown") or 0, measure="sum" if sums else "mean", before=before, after=after,
        largest=tuple(DayChange(*day) for day in days),
        dimensions=tuple(DimensionChange(*dimension) for dimension in dimensions), note=note,
    )  # fmt: skip
