"""`ops watch` and `ops detect`: what was expected of a metric, what the watch would have said, and scores of a file.

Belongs here: asking the watch and showing the answer. Does not belong here: judging (`ops_platform.watch`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops_platform.failures import ConfigurationError

if TYPE_CHECKING:
    from ops_platform.watch.judgement import Judgement

_SIMULATED_DAYS = 92


def detect(path: Path) -> int:
    """Print `timestamp,score` for each row of a CSV, in the file's order. What was wrong with it goes to stderr."""
    from ops_platform.watch.series import read_csv

    read = read_csv(path)
    from ops_platform.watch.detector import FEWEST_ROWS, scores

    found = scores(read.seconds, read.values)
    for note in read.notes:
        click.echo(f"! {note}", err=True)
    if len(read.labels) <= FEWEST_ROWS:
        click.echo(f"! too little history: {len(read.labels)} rows, the first {FEWEST_ROWS} are scored 0", err=True)
    lines = [f"{label},{score:.6f}" for label, score in zip(read.labels, found.tolist(), strict=True)]
    sys.stdout.write("timestamp,score\n" + "\n".join(lines) + "\n")
    return 0


def judge(names: Sequence[str], *, keep: bool, as_json: bool) -> int:
    """Judge the newest complete days now, and keep what was found (unless `keep` is False)."""
    from ops_platform import clock
    from ops_platform.database import connect
    from ops_platform.watch.judgement import Finding
    from ops_platform.watch.store import company_zone
    from ops_platform.watch.tick import look

    with connect(application="ops watch judge") as connection:
        zone = company_zone(connection)
        if zone is None:
            raise ConfigurationError("the warehouse was never built: `ops dbt build`")
        found = look(connection, clock.now(), zone=zone, names=names or None, keep=keep)
        connection.commit()
    if names and found.metrics < len(set(names)):
        raise ConfigurationError(f"not all of {', '.join(names)} are watched metrics: `ops metric list`")
    if as_json:
        answer = {
            "metrics": found.metrics, "series": found.series, "changed": found.changed, "reasons": found.reasons,
            "counts": {each.value: found.count(each) for each in Finding},
            "judgements": [_plain(each) for each in found.judgements],
        }  # fmt: skip
        click.echo(json.dumps(answer, indent=2))
        return 0
    newest = max((each.day for each in found.judgements if each.found is not Finding.UNKNOWN), default=None)
    for each in found.judgements:
        if each.found is Finding.BREACHED:
            click.echo(_line(each))
    counts = ", ".join(f"{found.count(each)} {each.value}" for each in Finding)
    click.echo(f"{found.metrics} metrics, {found.series} series to {newest or 'no day'}: {counts}")
    if found.reasons:
        click.echo("not judged: " + ", ".join(f"{count} {reason}" for reason, count in sorted(found.reasons.items())))
    return 0


def show(name: str, *, days: int, as_json: bool) -> int:
    """The kept judgements of one metric, whole, newest first."""
    from ops_platform.database import connect
    from ops_platform.watch.store import history

    with connect(autocommit=True, application="ops watch show") as connection:
        found = history(connection, name, days)
    if not found:
        raise ConfigurationError(f"nothing is kept of {name!r}: is it a metric (`ops metric list`)? `ops watch judge`")
    if as_json:
        click.echo(json.dumps([_plain(each) for each in found], indent=2))
        return 0
    for each in found:
        click.echo(_line(each))
    click.echo(f"newest: {found[0].explanation}")
    return 0


def simulate(name: str, *, since: datetime | None, output: Path | None, parts: bool, as_json: bool) -> int:
    """Which alerts a metric would have brought since a day, with a chart in the terminal and as a file."""
    from ops_platform import clock
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.settings import get_settings
    from ops_platform.watch.judgement import SeriesKey
    from ops_platform.watch.simulate import episodes, first_known, page, replay, svg, text_chart, told_as
    from ops_platform.watch.store import WINDOW_DAYS, company_zone, metrics_watched, read_panel

    if output is not None and output.suffix not in (".html", ".svg"):
        raise click.UsageError(f"{output}: as .html or .svg")
    now, alone_from = clock.now(), get_fleet().alerts.parts_alone_from
    with connect(autocommit=True, application="ops watch simulate") as connection:
        metrics = metrics_watched(connection, [name])
        zone = company_zone(connection)
        if not metrics or zone is None:
            raise ConfigurationError(f"{name!r} is no published metric: `ops metric list`")
        end = clock.business_day(now, zone)
        if metrics[0].kind != "snapshot":
            end -= timedelta(days=1)
        first = since.date() if since else end - timedelta(days=_SIMULATED_DAYS - 1)
        if first > end:
            raise click.UsageError(f"--since {first} is after the newest day, {end}")
        window = max(WINDOW_DAYS, (end - first).days + WINDOW_DAYS // 2)
        replayed = [first + timedelta(days=number) for number in range((end - first).days + 1)]
        panel = read_panel(
            connection, metrics, end=end, zone=zone, judged_days=replayed, window=window, parts=parts
        )  # fmt: skip
    # Before its first known day a metric has no past to replay.
    first = max(first, first_known(panel) or end)
    found = replay(panel, first, now)
    told = episodes(found)
    manner = {one: told_as(one, told, alone_from=alone_from) for one in told}
    whole = SeriesKey(name)
    path = output or get_settings().ops_home / "charts" / f"{name}.html"
    drawings = {
        ".html": lambda: page(metrics[0], found, alone_from=alone_from),
        ".svg": lambda: svg(metrics[0], whole, found),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(drawings[path.suffix](), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the chart cannot be written to {path}: {error.strerror}") from None
    if as_json:
        answer = {
            "metric_id": name, "since": first.isoformat(), "until": end.isoformat(), "file": str(path),
            "alerts": [
                {
                    "series": str(one.key), "first": one.first.isoformat(), "last": one.last.isoformat(),
                    "told": manner[one], "worst": _plain(one.worst),
                }
                for one in told
            ],
        }  # fmt: skip
        click.echo(json.dumps(answer, indent=2))
        return 0
    click.secho(f"{metrics[0].label}, {first} to {end}", bold=True)
    for line in text_chart([each for each in found if each.key == whole]):
        click.echo(line)
    for one in told:
        until = "" if one.first == one.last else f"  ({one.first} to {one.last})"
        aside = "" if manner[one] == "alone" else f"  [{manner[one]}]"
        click.echo(f"{_line(one.worst)}{until}{aside}")
    alone = sum(how == "alone" for how in manner.values())
    rest = f", {len(told) - alone} parts told with the whole or listed only" if alone < len(told) else ""
    days = (end - first).days + 1
    click.echo(f"{alone} alert{'' if alone == 1 else 's'} in {days} days{rest}; chart: {path}")
    return 0


def _line(each: Judgement) -> str:
    if each.closeness is None:
        return f"{each.day}  {each.key}  not judged: {each.explanation}"
    mark = {"breached": "✗" if each.adverse else "↑", "clear": "✓"}[each.found.value]
    return (
        f"{each.day} {mark} {each.key}  {_short(each.value)}, {_short(each.expected_low)} to"
        f" {_short(each.expected_high)} expected, at {each.closeness:.2f} of its limit"
        + (f", since {each.since}" if each.since and each.since != each.day else "")
    )


def _short(number: Any) -> str:
    return "?" if number is None else f"{number:,.2f}".rstrip("0").rstrip(".")


def _plain(each: Judgement) -> dict[str, Any]:
    """For a script: numbers as text, exactly."""
    return {
        "metric_id": each.key.metric_id, "dimension": each.key.dimension, "dimension_value": each.key.dimension_value,
        "date": each.day.isoformat(), "found": each.found.value, "reason": each.reason.value if each.reason else None,
        **{
            name: None if getattr(each, name) is None else str(getattr(each, name))
            for name in ("value", "expected_low", "expected", "expected_high", "effect", "effect_money", "closeness")
        },
        "adverse": each.adverse, "since": _iso(each.since), "baseline": each.baseline,
        "explanation": each.explanation, "fresh_to": _iso(each.fresh_to), "tie_out": each.tie_out,
    }  # fmt: skip


def _iso(moment: date | datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
