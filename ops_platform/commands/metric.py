"""`ops metric`: the analyst's day with one number: find it, read it, make it, see what a change would do.

Belongs here: asking the warehouse and the project's files, and showing the answer. Does not belong here: how a change
is measured (`ops_platform.warehouse.difference`), what a new metric's files say (`scaffold`), the rules (`rules`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from ops_platform.failures import ConfigurationError

if TYPE_CHECKING:
    from ops_platform.warehouse.difference import Difference, MetricChange

CHART_DAYS = 56
_CHART_ROWS = 6
_BARS = " ▁▂▃▄▅▆▇█"

_LIST = """
    with ends as (select (as_of at time zone timezone)::date as today from ops.company)
    select metrics.metric_id, metrics.label, metrics.owner, metrics.division, metrics.unit, metrics.currency,
           metrics.kind, metrics.in_pulse, latest.date as day, latest.value, latest.numerator is null as is_unknown,
           latest.tie_out, latest.fresh_to
    from metrics.dim_metric as metrics
    cross join ends
    left join lateral (
        select days.* from metrics.fct_metric_daily as days
        where days.metric_id = metrics.metric_id and days.dimension = 'all' and days.dimension_value = 'all'
          and days.date <= case when metrics.kind = 'flow' then ends.today - 1 else ends.today end
        order by days.date desc limit 1
    ) as latest on true
    order by metrics.division, metrics.metric_id
"""
_SERIES = """
    select date, value, tie_out, fresh_to from metrics.fct_metric_daily
    where metric_id = %s and dimension = 'all' and dimension_value = 'all'
    order by date desc limit %s
"""


def show_list(*, division: str | None, owner: str | None, as_json: bool) -> int:
    """Every metric with its newest complete day."""
    manifest = _manifest()
    rows = [
        row
        for row in _published(_LIST)
        if (division is None or row["division"] == division) and (owner is None or row["owner"] == owner)
    ]
    known = {row["metric_id"] for row in rows}
    unpublished = [
        {"metric_id": name, **_pick(node)}
        for name, node in sorted(_metrics(manifest).items())
        if name not in known and _fits(node, division, owner)
    ]
    if as_json:
        answer = {"metrics": [_plain(row) for row in rows], "not_published": unpublished}
        click.echo(json.dumps(answer, default=str, indent=2))
        return 0
    if not rows and not unpublished:
        raise ConfigurationError("no metric fits: `ops metric list` shows them all")
    width = max([len(row["metric_id"]) for row in rows] + [len(item["metric_id"]) for item in unpublished])
    labels = max([len(row["label"]) for row in rows] + [0])
    current = None
    for row in rows:
        if row["division"] != current:
            current = row["division"]
            click.secho(f"{current}", bold=True)
        mark = {"matched": click.style("✓", fg="green"), "mismatched": click.style("✗", fg="red")}.get(
            row["tie_out"] or "", click.style("?", fg="yellow")
        )
        fresh = "never synced" if row["fresh_to"] is None else f"fresh to {row['fresh_to']:%m-%d %H:%M}"
        day = "no day yet" if row["day"] is None else str(row["day"])
        value = _amount(row["value"], row["unit"], row["currency"])
        click.echo(
            f"  {row['metric_id']:<{width}}  {row['label']:<{labels}}  {row['owner']:<11} {row['unit']:<6}"
            f" {value:>14}  {day:<10} {mark} {row['tie_out'] or 'unknown'}, {fresh}"
        )
    for item in unpublished:
        click.echo(f"  {item['metric_id']:<{width}}  {item['label']:<{labels}}  not published yet: `ops dbt build`")
    return 0


def show_one(name: str, *, as_json: bool) -> int:
    """One metric: what it means, what it stands on, where it is used, how it went."""
    from ops_platform.warehouse.dbt import DBT_PROJECT

    manifest = _manifest()
    node = _metrics(manifest).get(name)
    if node is None:
        raise ConfigurationError(f"there is no metric {name!r}{_like(name, _metrics(manifest))}: `ops metric list`")
    metric = node["config"]["meta"]["metric"]
    above = _above(manifest, node["unique_id"])
    used = _used_by(manifest, node)
    days = _published(_SERIES, (name, CHART_DAYS))[::-1]
    known = [row for row in _published(_LIST) if row["metric_id"] == name]
    files = [node["original_file_path"], str(node["patch_path"] or "").partition("://")[2]]
    if as_json:
        answer = {
            "metric_id": name, "description": node["description"].strip(), **metric,
            "files": [str(DBT_PROJECT / file) for file in files],
            "computed_from": above, "used_by": used, "newest": _plain(known[0]) if known else None,
            "days": [_plain(row) for row in days],
        }  # fmt: skip
        click.echo(json.dumps(answer, default=str, indent=2))
        return 0
    click.secho(f"{metric['label']}  ({name})", bold=True)
    click.echo(_wrapped(node["description"].strip()))
    click.echo()
    goal = "" if metric.get("target") is None else f", target {metric['target']}"
    effect = "" if metric.get("minimum_effect") is None else f", worth a word from {metric['minimum_effect']}"
    click.echo(f"{metric['unit']}, {metric['kind']}, {metric['aggregation']}, {metric['direction']}{goal}{effect}")
    click.echo(
        f"owner {metric['owner']}, division {metric['division']}, pulse: {'yes' if metric.get('in_pulse') else 'no'}"
    )
    for file in files:
        click.echo(f"  dbt_project/{file}")
    click.echo("\nComputed from")
    for item in above:
        owner = f"  ({item['owner']})" if item["owner"] else ""
        click.echo(f"  {'  ' * item['depth']}{item['name']}{owner}")
    click.echo("\nUsed by")
    for item in used:
        click.echo(f"  {item['name']}: {item['label']} ({item['owner']}, {item['maturity'] or 'maturity not said'})")
    click.echo()
    if not known:
        click.echo("not published yet: `ops dbt build`")
        return 0
    newest = known[0]
    click.echo("\n".join(chart([(row["date"], row["value"]) for row in days], metric["unit"], newest["currency"])))
    verdicts = {
        verdict: sum(row["tie_out"] == verdict for row in days) for verdict in ("matched", "mismatched", "unknown")
    }
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items() if count)
    click.echo(f"tie-out of these days: {said or 'none'}")
    fresh = (
        "its sources were never synced" if newest["fresh_to"] is None else f"fresh to {newest['fresh_to']:%F %H:%M} UTC"
    )
    click.echo(f"{newest['day']}: {_amount(newest['value'], newest['unit'], newest['currency'])}, {fresh}")
    return 0


def chart(days: Sequence[tuple[date, Decimal | None]], unit: str, currency: str | None) -> list[str]:
    """Lines of a bar chart, a column a day; a day that is unknown is a dot on the ground, below zero hangs no bar."""
    if not days:
        return ["no day yet"]
    start, end = days[0][0], days[-1][0]
    by_day = dict(days)
    values = [by_day.get(start + timedelta(days=n)) for n in range((end - start).days + 1)][-CHART_DAYS:]
    start = end - timedelta(days=len(values) - 1)
    known = [value for value in values if value is not None]
    if not known:
        return [f"{start} to {end}: unknown on every day"]
    low, high = min(Decimal(0), *known), max(Decimal(0), *known)
    # Ground at zero where that leaves something to see; levels that hardly move are looked at closely.
    if low == 0 and min(known) > high * Decimal("0.8"):
        low = min(known) - (high - min(known)) / 4 if high > min(known) else Decimal(0)
    span = (high - low) or Decimal(1)
    heights = [
        None if value is None else int((value - low) / span * _CHART_ROWS * 8 + Decimal("0.5")) for value in values
    ]
    tags = [_amount(high, unit, currency), _amount(low, unit, currency)]
    width = max(map(len, tags))
    lines = []
    for level in range(_CHART_ROWS - 1, -1, -1):
        tag = tags[0] if level == _CHART_ROWS - 1 else tags[1] if level == 0 else ""
        cells = "".join(
            ("·" if level == 0 else " ")
            if height is None
            else ("▁" if level == 0 and height == 0 else _BARS[max(0, min(8, height - level * 8))])
            for height in heights
        )
        lines.append(f"{tag:>{width}} │{cells}")
    axis = f"{start}{'':{max(1, len(values) - 20)}}{end}"
    lines.append(f"{'':>{width}} └{'─' * len(values)}")
    lines.append(f"{'':>{width}}  {axis if len(values) >= 22 else f'{start} to {end}'}")
    if len(known) < len(values):
        lines.append(f"{'':>{width}}  · unknown ({len(values) - len(known)} of {len(values)} days)")
    return lines


def new(
    name: str,
    *,
    division: str,
    mart: str,
    measure: str | None,
    ratio: tuple[str, str] | None,
    count_by: str | None,
    dimensions: Sequence[str],
    label: str | None,
    unit: str | None,
    direction: str | None,
    as_json: bool,
) -> int:
    """Write the files, bring the list of metrics up to date and check them; nothing stays when a check fails."""
    from ops_platform.fleet import get_fleet
    from ops_platform.settings import PROJECT_ROOT
    from ops_platform.warehouse.dbt import DBT_PROJECT
    from ops_platform.warehouse.lineage import lineage
    from ops_platform.warehouse.metric_union import write_metric_union
    from ops_platform.warehouse.rules import metric_problems
    from ops_platform.warehouse.scaffold import new_metric
    from resources.vendors import all_streams

    if sum(choice is not None for choice in (measure, ratio, count_by)) > 1:
        raise click.UsageError("--measure, --ratio and --count-by exclude each other")
    manifest, fleet = _manifest(), get_fleet()
    streams = lineage()
    made = new_metric(
        DBT_PROJECT, manifest, name, division=division, mart=mart,
        divisions={key: item.bot for key, item in fleet.divisions.items()},
        streams_of={mart: streams.streams_above(mart)}, measure=measure, ratio=ratio, count_by=count_by,
        dimensions=dimensions, label=label, unit=unit, direction=direction,
    )  # fmt: skip
    try:
        write_metric_union()
        problems = [
            problem
            for problem in metric_problems(
                _manifest(), [f"{stream.vendor}.{stream.name}" for stream in all_streams()], fleet.divisions, fleet.bots
            )
            if problem.startswith(f"{name} (")
        ]
        if problems:
            raise ConfigurationError("\n".join(problems))
    except BaseException:
        made.sql.unlink(missing_ok=True)
        made.yml.unlink(missing_ok=True)
        write_metric_union()
        raise
    files = [str(file.relative_to(PROJECT_ROOT)) for file in (made.sql, made.yml)]
    steps = [
        f"say what it counts, its target and minimum effect: {files[1]}",
        f"see its history before anybody else does: ops metric diff {name}",
        "check and publish: ops dbt build",
        f"look at it: ops metric show {name}",
    ]
    if as_json:
        click.echo(json.dumps({"metric_id": name, "files": files, "choices": made.choices, "next": steps}, indent=2))
        return 0
    for file in files:
        click.echo(f"{click.style('✓', fg='green')} {file}")
    for choice in made.choices:
        click.echo(f"· {choice}")
    click.echo("Next:")
    for number, step in enumerate(steps, 1):
        click.echo(f"  {number}. {step}")
    return 0


def diff(name: str | None, *, largest: int, as_json: bool) -> int:
    """What the files as they stand would change. Exit code 0 whether or not something would."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.commands.terminal import Steps
    from ops_platform.database import connect
    from ops_platform.warehouse.build import build_lock
    from ops_platform.warehouse.difference import difference

    prepare_database()
    steps = Steps()
    with connect(autocommit=True, application="ops metric diff") as connection, build_lock(connection):
        with steps.step("building what changed aside"):
            found = difference(connection, name, largest=largest)
    if as_json:
        click.echo(json.dumps(_difference_json(found), default=_json_value, indent=2))
        return 0
    _print_difference(found, name)
    return 0


def backtest(name: str, *, as_json: bool) -> int:
    """A score against recorded incidents."""
    from ops_platform.warehouse.backtest import backtest_command

    there = _published("select to_regclass('reference.recorded_incidents') is not null as there")
    if not there or not there[0]["there"]:
        raise ConfigurationError("nothing was published with recorded incidents yet: `ops dbt build`")
    return backtest_command(name, as_json=as_json)


def _difference_json(found: Difference) -> dict[str, Any]:
    answer = asdict(found)
    for said, metric in zip(answer["metrics"], found.metrics, strict=True):
        said["absolute"], said["relative"] = metric.absolute, metric.relative
        for day, change in zip(said["largest"], metric.largest, strict=True):
            day["size"] = change.size
    return {"changed": found.changed, **answer}


def _json_value(value: object) -> object:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _print_difference(found: Difference, name: str | None) -> None:
    click.echo(f"against publication {found.publication} of {found.published_at:%F %H:%M} UTC; nothing was published")
    for note in found.notes:
        click.secho(f"⚠ {note}", fg="yellow")
    if found.models:
        click.echo(f"built aside: {', '.join(found.models)}")
    if not found.changed:
        what = name or "no metric"
        click.secho(f"✓ {what} would {'not ' if name else ''}change", fg="green")
    for metric in found.metrics:
        if metric.kind != "same":
            _print_change(metric)
    if found.changed:
        click.echo("\npublish it with `ops dbt build`")


def _print_change(metric: MetricChange) -> None:
    click.echo()
    click.secho(f"{metric.label}  ({metric.metric_id}): {metric.kind}", bold=True)
    if metric.note:
        click.echo(f"  {metric.note}")
    if metric.days:
        click.echo(f"  {metric.days:,} of {metric.days_compared:,} days, {metric.first_day} to {metric.last_day}")
    elif metric.dimensions:
        click.echo(f"  no whole day, dimensions only, {metric.first_day} to {metric.last_day}")
    if metric.before is not None and metric.after is not None and metric.absolute is not None:
        share = "" if metric.relative is None else f", {100 * metric.relative:+.2f} %"
        click.echo(
            f"  {metric.measure} of these days: {_amount(metric.before, metric.unit)} →"
            f" {_amount(metric.after, metric.unit)}  ({_signed(metric.absolute, metric.unit)}{share})"
        )
    if metric.became_known or metric.became_unknown:
        click.echo(f"  became known on {metric.became_known:,} days, unknown on {metric.became_unknown:,}")
    for day in metric.largest:
        size = "" if day.size is None else f"  ({_signed(day.size, metric.unit)})"
        click.echo(f"    {day.day}  {_amount(day.before, metric.unit)} → {_amount(day.after, metric.unit)}{size}")
    for dimension in metric.dimensions:
        click.echo(f"  by {dimension.dimension}: {dimension.rows:,} rows of {dimension.values:,} values")


def _manifest() -> dict[str, Any]:
    from ops_platform.warehouse.dbt import prepare_manifest

    manifest: dict[str, Any] = json.loads(prepare_manifest().read_text(encoding="utf-8"))
    return manifest


def _metrics(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    from ops_platform.warehouse.rules import is_metric

    return {str(node["name"]): node for node in manifest["nodes"].values() if is_metric(node)}


def _published(query: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
    """Rows of the published tables; none where nothing was published yet."""
    from psycopg.rows import dict_row

    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect

    prepare_database()
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        there = cursor.execute("select to_regclass('metrics.fct_metric_daily') is not null as there").fetchone()
        if not there or not there["there"]:
            return []
        return cursor.execute(query.encode(), parameters).fetchall()


def _pick(node: dict[str, Any]) -> dict[str, Any]:
    metric = node["config"]["meta"]["metric"]
    return {key: metric.get(key) for key in ("label", "owner", "division", "unit")}


def _fits(node: dict[str, Any], division: str | None, owner: str | None) -> bool:
    metric = node["config"]["meta"]["metric"]
    return (division is None or metric.get("division") == division) and (owner is None or metric.get("owner") == owner)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: format(value, "f") if isinstance(value, Decimal) else value for key, value in row.items()}


def _above(manifest: dict[str, Any], unique_id: str) -> list[dict[str, Any]]:
    """Everything above a node down to the sources, nearest first, each once, with its depth and owner."""
    found: list[dict[str, Any]] = []
    seen = {unique_id}

    def walk(node_id: str, depth: int) -> None:
        node = manifest["nodes"].get(node_id) or manifest["sources"].get(node_id) or {}
        for parent in sorted((node.get("depends_on") or {}).get("nodes") or []):
            if parent in seen:
                continue
            seen.add(parent)
            above = manifest["nodes"].get(parent) or manifest["sources"][parent]
            meta = (above.get("config") or {}).get("meta") or above.get("meta") or {}
            owners = (meta.get("dagster") or {}).get("owners") or []
            owner = meta.get("owner") or (str(owners[0]).removeprefix("team:") if owners else "")
            name = above["name"]
            if above["resource_type"] == "source":
                name = f"source {above['source_name'].removeprefix('raw_')}.{above['name']}"
            found.append({"name": name, "depth": depth, "owner": owner, "kind": above["resource_type"]})
            walk(parent, depth + 1)

    walk(unique_id, 0)
    return found


def _used_by(manifest: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    """Exposures that read the metric, by itself or through the metric table; metrics and models computed from it."""
    readers = {node["unique_id"]}
    table = next((uid for uid, n in manifest["nodes"].items() if n["name"] == "fct_metric_daily"), "")
    readers.add(table)
    found = []
    for exposure in sorted(manifest["exposures"].values(), key=lambda item: str(item["name"])):
        if readers & set(exposure["depends_on"]["nodes"]):
            job = ((exposure.get("config") or {}).get("meta") or {}).get("job")
            if job == "ops_pulse" and not node["config"]["meta"]["metric"].get("in_pulse"):
                continue
            found.append(
                {
                    "name": exposure["name"], "label": exposure["label"] or exposure["name"],
                    "owner": exposure["owner"]["name"], "maturity": exposure["maturity"],
                }
            )  # fmt: skip
    return found


def _like(name: str, metrics: dict[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(name, metrics, n=3)
    return f" (like {', '.join(close)}?)" if close else ""


def _amount(value: Decimal | None, unit: str, currency: str | None = None) -> str:
    if value is None:
        return "unknown"
    if unit == "money":
        return f"{value:,.2f}" + (f" {currency}" if currency else "")
    if unit == "ratio":
        return f"{100 * value:,.2f} %"
    if unit == "count" and value == value.to_integral_value():
        return f"{value:,.0f}"
    return f"{value:,.2f}"


def _signed(value: Decimal, unit: str) -> str:
    text = _amount(abs(value), unit)
    return ("+" if value >= 0 else "−") + text


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(" ".join(text.split()), width=min(100, shutil.get_terminal_size((100, 24)).columns))
