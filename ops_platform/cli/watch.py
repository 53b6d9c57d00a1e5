"""Words about what was expected: judgements of metrics, scores of a series, where a change lies.

Belongs here: `ops watch`, `ops detect`, `ops explain`. Does not belong here: what they do (`commands/`), what becomes
of a judgement (`alert.py`).
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from ops_platform.cli.options import DAY, JSON


@click.group()
def watch() -> None:
    """What was expected of every metric, and whether it was so."""


@watch.command("judge")
@click.argument("names", nargs=-1, metavar="[METRIC]…")
@click.option("--dry-run", is_flag=True, help="Keep nothing.")
@JSON
def watch_judge(names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Judge the newest complete days of every metric (or those named), now.

    \b
    ops watch judge
    ops watch judge net_sales orders --dry-run
    """
    from ops_platform.commands.watch import judge as run

    sys.exit(run(names, keep=not dry_run, as_json=as_json))


@watch.command("show")
@click.argument("name", metavar="METRIC")
@click.option("--days", default=28, type=click.IntRange(1, 1000), help="How many of the newest days.")
@JSON
def watch_show(name: str, days: int, as_json: bool) -> None:
    """What was found of a metric of late, and how it was expected.

    \b
    ops watch show net_sales
    """
    from ops_platform.commands.watch import show as run

    sys.exit(run(name, days=days, as_json=as_json))


@watch.command("simulate")
@click.argument("name", metavar="METRIC")
@click.option("--since", metavar="YYYY-MM-DD", type=DAY, help="Default: a quarter back.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The chart, .html or .svg.")
@click.option("--parts/--whole", default=True, help="With its dimensions (default) or the whole only.")
@JSON
def watch_simulate(name: str, since: datetime | None, output: Path | None, parts: bool, as_json: bool) -> None:
    """Which alerts a metric would have brought, each day judged from the days before it; with a chart.

    \b
    ops watch simulate net_sales
    ops watch simulate refunds --since 2026-08-01 --output refunds.svg
    """
    from ops_platform.commands.watch import simulate as run

    sys.exit(run(name, since=since, output=output, parts=parts, as_json=as_json))


@click.command()
@click.option("--csv", "file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The series.")
def detect(file: Path) -> None:
    """Score each row of a series by how surprising it is, from the rows before it only.

    The file has the columns timestamp,value; printed are timestamp,score with scores from 0 (as ever) to 1, in the
    file's order. Steps from seconds to days, gaps and repeats are taken as they come; what is wrong with the file is
    said on standard error.

    \b
    ops detect --csv taxi.csv > scores.csv
    """
    from ops_platform.commands.watch import detect as run

    sys.exit(run(file))


@click.command()
@click.argument("metric_id", metavar="[METRIC]", required=False)
@click.option("--date", "day", metavar="YYYY-MM-DD", type=DAY, help="The day looked at.")
@click.option("--against", metavar="WHAT", default="expected", help="expected (default), week, year or a day.")
@click.option("--dimension", metavar="NAME", help="Only by this dimension.")
@click.option("--csv", "file", type=click.Path(path_type=Path, dir_okay=False), help="A file in a metric's place.")
@click.option("--depth", type=click.IntRange(1, 10), help="With --csv: dimensions of an element at most.")
@click.option("--top", default=10, type=click.IntRange(1, 1000), help="With --csv: how many elements at most.")
@JSON
def explain(
    metric_id: str | None,
    day: datetime | None,
    against: str,
    dimension: str | None,
    file: Path | None,
    depth: int | None,
    top: int,
    as_json: bool,
) -> None:
    """Where a number's change lies: its parts, its dimensions, the slices that moved apart from the rest.

    \b
    ops explain net_sales                             its last day against what was expected
    ops explain net_sales --date 2026-11-19 --against week --dimension channel
    ops explain --csv changes.csv                     columns: the dimensions, then real, predict
                                                      rows: element,share,effect,real,predict
    It says where a change lies and how much of it, and what is left unexplained; never why.
    """
    from ops_platform.commands.explain import explain_file, explain_metric

    if (metric_id is None) == (file is None):
        raise click.UsageError("name a metric, or a file with --csv")
    if file is not None:
        sys.exit(explain_file(file, depth=depth, most=top, as_json=as_json))
    assert metric_id is not None
    sys.exit(
        explain_metric(
            metric_id, day=day.date() if day else None, against=against, dimension=dimension, as_json=as_json
        )
    )
