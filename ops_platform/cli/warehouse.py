"""Words about the warehouse: its metrics, and dbt.

Belongs here: `ops metric`, `ops dbt`. Does not belong here: what they do (`commands/`), whether a metric is as expected
(`watch.py`).
"""

from __future__ import annotations

import sys

import click

from ops_platform.cli.options import JSON


@click.group()
def metric() -> None:
    """The company's numbers: find one, read it, make one, see what a change would do before it is published."""


@metric.command("list")
@click.option("--division", metavar="NAME", help="Only this division.")
@click.option("--owner", metavar="BOT", help="Only this owner.")
@JSON
def metric_list(division: str | None, owner: str | None, as_json: bool) -> None:
    """Every metric: label, owner, unit, the newest complete day, tie-out and freshness.

    \b
    ops metric list
    ops metric list --division sales
    ops metric list --json
    """
    from ops_platform.commands.metric import show_list

    sys.exit(show_list(division=division, owner=owner, as_json=as_json))


@metric.command("show")
@click.argument("name")
@JSON
def metric_show(name: str, as_json: bool) -> None:
    """One metric: definition, files, what it is computed from, where it is used, the last eight weeks.

    \b
    ops metric show net_sales
    """
    from ops_platform.commands.metric import show_one

    sys.exit(show_one(name, as_json=as_json))


@metric.command("new")
@click.argument("name")
@click.option("--division", required=True, metavar="NAME", help="The division it belongs to; its bot owns it.")
@click.option("--mart", required=True, metavar="MODEL", help="The mart it is computed from.")
@click.option("--measure", metavar="COLUMN", help="Sum this column by day.")
@click.option("--ratio", nargs=2, metavar="UPPER LOWER", help="Divide one column by another.")
@click.option("--count-by", metavar="COLUMN", help="Count rows on the day in this column.")
@click.option("--dimension", "dimensions", multiple=True, metavar="COLUMN", help="Also by this (may be repeated).")
@click.option("--label", metavar="TEXT", help="How it is called in documents.")
@click.option("--unit", type=click.Choice(["money", "count", "ratio", "percent", "days", "hours", "score"]))
@click.option("--direction", type=click.Choice(["up_is_good", "down_is_good", "neutral"]))
@JSON
def metric_new(
    name: str,
    division: str,
    mart: str,
    measure: str | None,
    ratio: tuple[str, str] | None,
    count_by: str | None,
    dimensions: tuple[str, ...],
    label: str | None,
    unit: str | None,
    direction: str | None,
    as_json: bool,
) -> None:
    """Write the SQL and YAML of a new metric, checked, and say what to do next.

    \b
    ops metric new shipping_income --division sales --mart fct_sales_daily --measure shipping_amount
    ops metric new units_an_order --division sales --mart fct_sales_daily --ratio units orders --unit count
    ops metric new big_refunds --division sales --mart fct_refunds --count-by date
    """
    from ops_platform.commands.metric import new as run

    sys.exit(
        run(
            name, division=division, mart=mart, measure=measure, ratio=ratio, count_by=count_by,
            dimensions=dimensions, label=label, unit=unit, direction=direction, as_json=as_json,
        )
    )  # fmt: skip


@metric.command("diff")
@click.argument("name", required=False)
@click.option("--largest", default=5, type=click.IntRange(0, 1000), help="How many of the largest days to show.")
@JSON
def metric_diff(name: str | None, largest: int, as_json: bool) -> None:
    """What your changed files would do to history, before anything is published.

    Builds what differs from the last publication in schemas of its own, compares, and removes them.

    \b
    ops metric diff                every metric that would change
    ops metric diff net_sales --largest 20
    """
    from ops_platform.commands.metric import diff as run

    sys.exit(run(name, largest=largest, as_json=as_json))


@metric.command("backtest")
@click.argument("name")
@JSON
def metric_backtest(name: str, as_json: bool) -> None:
    """How well a score told recorded incidents from ordinary days.

    \b
    ops metric backtest business_health
    """
    from ops_platform.commands.metric import backtest as run

    sys.exit(run(name, as_json=as_json))


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt(arguments: tuple[str, ...]) -> None:
    """Run dbt on the configured warehouse; what was built whole and passed every test is published.

    \b
    ops dbt build                          build, test, publish
    ops dbt build --select +net_sales      a part: tested, not published
    ops dbt docs                           documentation as one file
    """
    from ops_platform.commands.analyst import run_dbt

    sys.exit(run_dbt(arguments))
