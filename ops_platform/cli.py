"""`ops`: the command line. Parses words and calls `ops_platform.commands`; nothing heavy at import.

Belongs here: commands, options, their help and examples. Does not belong here: what they do.
Exit codes: 0 done, 1 failed, 2 wrong use.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from ops_platform.failures import OpsError

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ops-platform", prog_name="ops")
def cli() -> None:
    """Executive operations on schedule: sync, warehouse, proven documents, one quiet Slack."""


@cli.command()
@click.option("--orders", type=click.Path(path_type=Path), help="Serve this CSV (plain or .gz) as the shop's orders.")
@_JSON
def demo(orders: Path | None, as_json: bool) -> None:
    """Run one whole morning cycle on the sandbox and print the pulse.

    \b
    ops demo
    ops demo --orders orders.csv.gz     columns InvoiceNo, StockCode, Description, Quantity,
                                        InvoiceDate, UnitPrice, CustomerID, Country
    """
    from ops_platform.commands.demo import demo as run

    sys.exit(run(orders, as_json=as_json))


@cli.command()
@click.option("--foreground", is_flag=True, help="Stay in the foreground (systemd, containers).")
def up(foreground: bool) -> None:
    """Start the database, Dagster's code server, web and daemon.

    \b
    ops up
    ops up --foreground
    """
    from ops_platform.commands.stack import up as run

    sys.exit(run(foreground=foreground))


@cli.command()
def down() -> None:
    """Stop what `ops up` started."""
    from ops_platform.commands.stack import down as run

    sys.exit(run())


@cli.command()
@_JSON
def status(as_json: bool) -> None:
    """Show processes, sources, the newest build and messages on one screen."""
    from ops_platform.commands.status import status as run

    sys.exit(run(as_json=as_json))


@cli.command()
@click.argument("names", nargs=-1, metavar="[VENDOR]…")
@click.option("--vendor", "vendors", multiple=True, metavar="NAME", help="Only this vendor (may be repeated).")
@click.option("--timeout", default=30.0, type=click.FloatRange(1, 600), help="Seconds an endpoint may take.")
@_JSON
def doctor(names: tuple[str, ...], vendors: tuple[str, ...], timeout: float, as_json: bool) -> None:
    """Ask every endpoint of every connected vendor for something known; check clocks, database, dbt and disk.

    \b
    ops doctor
    ops doctor hubspot
    ops doctor --vendor hubspot --json
    Exit code 1 when something failed, with what to do and which numbers are lost without it.
    """
    from ops_platform.commands.doctor import doctor as run

    sys.exit(run(vendors=(*names, *vendors), as_json=as_json, seconds=timeout))


@cli.command()
@click.argument("names", nargs=-1, metavar="[VENDOR[.STREAM]]…")
@click.option("--sweep", is_flag=True, help="Also look for records the vendor no longer has.")
@click.option("--allow-shrink", is_flag=True, help="Let a full listing remove more rows than the shrink guard allows.")
@_JSON
def sync(names: tuple[str, ...], sweep: bool, allow_shrink: bool, as_json: bool) -> None:
    """Bring raw tables up to date, with a receipt for each stream.

    --allow-shrink approves once, for the streams named, that more than 5 % of the rows go.

    \b
    ops sync
    ops sync shopify
    ops sync shopify.orders netsuite.transactions --sweep
    """
    from ops_platform.commands.syncs import sync as run

    sys.exit(run(names, allow_shrink=allow_shrink, sweep=sweep, as_json=as_json))


@cli.group()
def quarantine() -> None:
    """Records that could not be landed: look at them, and try them again."""


_VENDOR = click.option("--vendor", metavar="NAME", help="Only this vendor.")
_STREAM = click.option("--stream", metavar="NAME", help="Only this stream (orders, or shopify.orders).")
_REASON = click.option("--reason", metavar="REASON", help="Only what was refused for this reason.")


@quarantine.command("list")
@_VENDOR
@_STREAM
@_REASON
@click.option("--all", "everything", is_flag=True, help="Settled ones, too.")
@click.option("--limit", default=20, type=click.IntRange(1, 10_000), help="How many entries to show.")
@_JSON
def quarantine_list(
    vendor: str | None, stream: str | None, reason: str | None, everything: bool, limit: int, as_json: bool
) -> None:
    """What waits, counted by stream and reason, the latest first.

    \b
    ops quarantine list
    ops quarantine list --stream shopify.orders --reason unknown_currency
    """
    from ops_platform.commands.quarantine import show_list

    sys.exit(
        show_list(vendor=vendor, stream=stream, reason=reason, everything=everything, limit=limit, as_json=as_json)
    )


@quarantine.command("show")
@click.argument("which", metavar="NUMBER|ID")
@click.option("--full", is_flag=True, help="Do not cut a long payload.")
@_JSON
def quarantine_show(which: str, full: bool, as_json: bool) -> None:
    """One entry with what the vendor sent; control characters are written out and secrets left out."""
    from ops_platform.commands.quarantine import show_one

    sys.exit(show_one(which, full=full, as_json=as_json))


@quarantine.command("retry")
@click.argument("which", metavar="[NUMBER|ID]", required=False)
@_VENDOR
@_STREAM
@_REASON
@_JSON
def quarantine_retry(
    which: str | None, vendor: str | None, stream: str | None, reason: str | None, as_json: bool
) -> None:
    """Check what waits again, as the present code does, and land what passes.

    \b
    ops quarantine retry
    ops quarantine retry --vendor shopify --reason unknown_currency
    ops quarantine retry 4711
    """
    from ops_platform.commands.quarantine import retry as run

    sys.exit(run(vendor=vendor, stream=stream, reason=reason, which=which, as_json=as_json))


@cli.group()
def schema() -> None:
    """What payloads look like, what changed about it, and accepting a change that pauses a stream."""


@schema.command("list")
@click.argument("vendor", required=False)
@click.argument("stream", required=False)
@_JSON
def schema_list(vendor: str | None, stream: str | None, as_json: bool) -> None:
    """Changes of shape, those that pause a stream first.

    \b
    ops schema list
    ops schema list shopify orders
    """
    from ops_platform.commands.schema import show_changes

    sys.exit(show_changes(vendor, stream, as_json=as_json))


@schema.command("show")
@click.argument("vendor")
@click.argument("stream")
@_JSON
def schema_show(vendor: str, stream: str, as_json: bool) -> None:
    """The fields of a stream as they were seen: path, types, whether in every record, who reads them."""
    from ops_platform.commands.schema import show_fields

    sys.exit(show_fields(vendor, stream, as_json=as_json))


@schema.command("accept")
@click.argument("vendor")
@click.argument("stream")
@click.option("--path", metavar="FIELD", help="Only the change of this field.")
@_JSON
def schema_accept(vendor: str, stream: str, path: str | None, as_json: bool) -> None:
    """Take the changes that pause a stream as its shape from now on; its next sync goes on where it stopped.

    \b
    ops schema accept shopify orders
    ops schema accept shopify orders --path totalPriceSet.shopMoney.amount
    """
    from ops_platform.commands.schema import accept_changes

    sys.exit(accept_changes(vendor, stream, path=path, as_json=as_json))


@cli.command()
@click.option("--from", "start", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]), help="First day.")
@click.option("--to", "end", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--limit", default=50, type=click.IntRange(0, 100_000), help="How many differing orders to print.")
@_JSON
def reconcile(start: datetime | None, end: datetime | None, limit: int, as_json: bool) -> None:
    """Compare the shop's orders with the ERP's postings, as the warehouse was last built.

    \b
    ops reconcile
    ops reconcile --from 2026-11-01 --to 2026-11-19
    Exit code 1 when orders differ that are due.
    """
    from ops_platform.commands.reconcile import reconcile as run

    sys.exit(run(start.date() if start else None, end.date() if end else None, limit=limit, as_json=as_json))


@cli.command("run")
@click.argument("job")
def run_command(job: str) -> None:
    """Run a job of fleet.yaml now, as its schedule would.

    \b
    ops run ops_pulse
    """
    from ops_platform import progress
    from ops_platform.commands.prepare import prepare
    from ops_platform.commands.runs import run_job
    from ops_platform.commands.terminal import Steps

    prepare()
    steps = Steps()
    with progress.listening(steps.detail), steps.step(f"job {job}"):
        outcome = run_job(job)
    for failure in outcome.failures:
        click.secho(f"✗ {failure}", fg="red", err=True)
    for check in outcome.failed_checks:
        click.secho(f"⚠ check did not pass: {check}", fg="yellow", err=True)
    click.echo(f"run {outcome.run_id}: {'succeeded' if outcome.succeeded else 'failed'}")
    sys.exit(0 if outcome.succeeded else 1)


@cli.command()
@click.option("--preview", is_flag=True, help="Compose it from today's data without storing or sending it.")
@click.option("--format", "shape", type=click.Choice(["terminal", "markdown", "slack", "html"]), default="terminal")
def pulse(preview: bool, shape: str) -> None:
    """Show the newest pulse, or a preview of the next one.

    \b
    ops pulse
    ops pulse --preview
    ops pulse --preview --format slack      the Block Kit JSON
    """
    from ops_platform.commands.pulse import show

    sys.exit(show(preview=preview, shape=shape))


@cli.group()
def metric() -> None:
    """The company's numbers: find one, read it, make one, see what a change would do before it is published."""


@metric.command("list")
@click.option("--division", metavar="NAME", help="Only this division.")
@click.option("--owner", metavar="BOT", help="Only this owner.")
@_JSON
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
@_JSON
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
@_JSON
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
@_JSON
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
@_JSON
def metric_backtest(name: str, as_json: bool) -> None:
    """How well a score told recorded incidents from ordinary days.

    \b
    ops metric backtest business_health
    """
    from ops_platform.commands.metric import backtest as run

    sys.exit(run(name, as_json=as_json))


@cli.group()
def alert() -> None:
    """What is the matter: look, take it in hand, silence it for known days, say whether it was worth it."""


_DAY = click.DateTime(["%Y-%m-%d"])
_BY = click.option("--by", "actor", metavar="NAME", help="Who does it (default: your account's name).")
_KEY = click.option("--key", metavar="TEXT", help="Makes it once: the same key again does nothing.")
_PART = click.option("--part", metavar="DIMENSION=VALUE", help="Of a named metric, only this part.")
_KIND = click.option(
    "--kind", type=click.Choice(["metric", "threshold", "source", "tie_out", "job"]), default="metric",
    help="What a name is of (default: metric).",
)  # fmt: skip


@alert.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@click.option("--days", default=30, type=click.IntRange(1, 3650), help="With --all: how far back.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="How many to show.")
@_JSON
def alert_list(everything: bool, days: int, limit: int, as_json: bool) -> None:
    """What stands, the newest first, and what is muted.

    \b
    ops alert list
    ops alert list --all --days 90 --json
    """
    from ops_platform.commands.alert import show_list

    sys.exit(show_list(everything=everything, days=days, limit=limit, as_json=as_json))


@alert.command("show")
@click.argument("number", type=int)
@_JSON
def alert_show(number: int, as_json: bool) -> None:
    """One alert: its subjects, what was told where, what people did, what happened.

    \b
    ops alert show 12
    """
    from ops_platform.commands.alert import show_one

    sys.exit(show_one(number, as_json=as_json))


@alert.command("ack")
@click.argument("number", type=int)
@_BY
@_KEY
@_JSON
def alert_ack(number: int, actor: str | None, key: str | None, as_json: bool) -> None:
    """Acknowledge: somebody knows. It is not repeated; what changes is still told.

    \b
    ops alert ack 12
    """
    from ops_platform.commands.alert import act

    sys.exit(act("acknowledge", alert_id=number, actor=actor, key=key, as_json=as_json))


@alert.command("assign")
@click.argument("number", type=int)
@click.argument("assignee", metavar="PERSON")
@_BY
@_KEY
@_JSON
def alert_assign(number: int, assignee: str, actor: str | None, key: str | None, as_json: bool) -> None:
    """Say whose it is.

    \b
    ops alert assign 12 kim
    """
    from ops_platform.commands.alert import act

    sys.exit(act("assign", alert_id=number, assignee=assignee, actor=actor, key=key, as_json=as_json))


@alert.command("snooze")
@click.argument("number", type=int)
@click.option("--until", type=_DAY, metavar="YYYY-MM-DD", help="A business day: no weekend, no holiday.")
@click.option("--days", type=click.IntRange(1, 365), help="For so many business days.")
@_BY
@_KEY
@_JSON
def alert_snooze(
    number: int, until: datetime | None, days: int | None, actor: str | None, key: str | None, as_json: bool
) -> None:
    """Silent until a business day; if it ends before, that is told.

    \b
    ops alert snooze 12 --days 1               until the next business day
    ops alert snooze 12 --until 2026-11-30
    """
    from ops_platform.commands.alert import snooze as run

    sys.exit(run(number, until.date() if until else None, days, actor=actor, key=key, as_json=as_json))


@alert.command("unsnooze")
@click.argument("number", type=int)
@_BY
@_KEY
@_JSON
def alert_unsnooze(number: int, actor: str | None, key: str | None, as_json: bool) -> None:
    """Let it speak again.

    \b
    ops alert unsnooze 12
    """
    from ops_platform.commands.alert import act

    sys.exit(act("unsnooze", alert_id=number, actor=actor, key=key, as_json=as_json))


@alert.command("mute")
@click.argument("target", metavar="NUMBER|NAME")
@click.option("--from", "start", type=_DAY, metavar="YYYY-MM-DD", help="First day (default: the day it is about).")
@click.option("--to", "end", type=_DAY, metavar="YYYY-MM-DD", required=True, help="Last day.")
@click.option("--reason", default="", metavar="TEXT", help="Why these days are known to be odd.")
@_PART
@_KIND
@_BY
@_KEY
@_JSON
def alert_mute(
    target: str,
    start: datetime | None,
    end: datetime,
    reason: str,
    part: str | None,
    kind: str,
    actor: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Watch a metric or rule, and say nothing of it, for a known period; what began before and ends is told after.

    \b
    ops alert mute 12 --to 2026-11-30 --reason "stocktaking"
    ops alert mute net_sales --from 2026-11-27 --to 2026-11-30 --reason "Black Friday"
    ops alert mute net_sales --part channel=amazon --to 2026-12-01
    """
    from ops_platform.commands.alert import mute as run

    first = start.date() if start else None
    sys.exit(
        run(target, kind=kind, part=part, first_day=first, last_day=end.date(), reason=reason, actor=actor, key=key,
            as_json=as_json)
    )  # fmt: skip


@alert.command("unmute")
@click.argument("target", metavar="NUMBER|NAME")
@_PART
@_KIND
@_BY
@_KEY
@_JSON
def alert_unmute(target: str, part: str | None, kind: str, actor: str | None, key: str | None, as_json: bool) -> None:
    """End the mutes of an alert's subjects, or of a metric or rule.

    \b
    ops alert unmute 12
    ops alert unmute net_sales
    """
    from ops_platform.commands.alert import unmute as run

    sys.exit(run(target, kind=kind, part=part, actor=actor, key=key, as_json=as_json))


_NOTE = click.option("--note", default="", metavar="TEXT", help="Why.")


@alert.command("useful")
@click.argument("number", type=int)
@_NOTE
@_BY
@_KEY
@_JSON
def alert_useful(number: int, note: str, actor: str | None, key: str | None, as_json: bool) -> None:
    """It was worth it.

    \b
    ops alert useful 12
    """
    from ops_platform.commands.alert import act

    sys.exit(act("useful", alert_id=number, note=note, actor=actor, key=key, as_json=as_json))


@alert.command("noise")
@click.argument("number", type=int)
@_NOTE
@_BY
@_KEY
@_JSON
def alert_noise(number: int, note: str, actor: str | None, key: str | None, as_json: bool) -> None:
    """It was not worth it. Enough of that, and `ops alert precision` suggests an edit.

    \b
    ops alert noise 12 --note "the usual Monday"
    """
    from ops_platform.commands.alert import act

    sys.exit(act("noise", alert_id=number, note=note, actor=actor, key=key, as_json=as_json))


@alert.command("precision")
@_JSON
def alert_precision(as_json: bool) -> None:
    """How many alerts of each metric and rule were useful, and the edit that would quieten what cries wolf.

    \b
    ops alert precision
    """
    from ops_platform.commands.alert import precision as run

    sys.exit(run(as_json=as_json))


@cli.command()
@click.option("--job", metavar="NAME", help="Only this job.")
@click.option("--since", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]), help="From this business day on.")
@click.option("--limit", default=30, type=click.IntRange(1, 100_000), help="How many to show.")
@click.option("--week", is_flag=True, help="What silence covered: the last seven days, or seven from --since.")
@_JSON
def receipts(job: str | None, since: datetime | None, limit: int, week: bool, as_json: bool) -> None:
    """What every run looked at, how close the closest came, and whether it said anything.

    \b
    ops receipts
    ops receipts --job ops_pulse --since 2026-11-01
    ops receipts --week
    """
    from ops_platform.commands.receipts import show

    sys.exit(show(job=job, since=since.date() if since else None, limit=limit, week=week, as_json=as_json))


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the signed HTTP listener (default 3001).")
@click.option("--socket-mode/--no-socket-mode", default=None, help="Default: with SLACK_APP_TOKEN.")
def listen(port: int | None, socket_mode: bool | None) -> None:
    """Take presses of buttons under alerts: by Socket Mode, by signed HTTP on this machine, or both.

    \b
    ops listen                         SLACK_APP_TOKEN: Socket Mode; SLACK_SIGNING_SECRET: HTTP
    ops listen --port 3001
    Runs until it is stopped; `ops up` runs it, too, where either of the two is set.
    """
    from ops_platform.commands.listen import listen as run

    sys.exit(run(port=port, socket_mode=socket_mode))


@cli.command()
@click.argument("metric_id", metavar="[METRIC]", required=False)
@click.option("--date", "day", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]), help="The day looked at.")
@click.option("--against", metavar="WHAT", default="expected", help="expected (default), week, year or a day.")
@click.option("--dimension", metavar="NAME", help="Only by this dimension.")
@click.option("--csv", "file", type=click.Path(path_type=Path, dir_okay=False), help="A file in a metric's place.")
@click.option("--depth", type=click.IntRange(1, 10), help="With --csv: dimensions of an element at most.")
@click.option("--top", default=10, type=click.IntRange(1, 1000), help="With --csv: how many elements at most.")
@_JSON
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


@cli.command()
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


@cli.group()
def watch() -> None:
    """What was expected of every metric, and whether it was so."""


@watch.command("judge")
@click.argument("names", nargs=-1, metavar="[METRIC]…")
@click.option("--dry-run", is_flag=True, help="Keep nothing.")
@_JSON
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
@_JSON
def watch_show(name: str, days: int, as_json: bool) -> None:
    """What was found of a metric of late, and how it was expected.

    \b
    ops watch show net_sales
    """
    from ops_platform.commands.watch import show as run

    sys.exit(run(name, days=days, as_json=as_json))


@watch.command("simulate")
@click.argument("name", metavar="METRIC")
@click.option("--since", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]), help="Default: a quarter back.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The chart, .html or .svg.")
@click.option("--parts/--whole", default=True, help="With its dimensions (default) or the whole only.")
@_JSON
def watch_simulate(name: str, since: datetime | None, output: Path | None, parts: bool, as_json: bool) -> None:
    """Which alerts a metric would have brought, each day judged from the days before it; with a chart.

    \b
    ops watch simulate net_sales
    ops watch simulate refunds --since 2026-08-01 --output refunds.svg
    """
    from ops_platform.commands.watch import simulate as run

    sys.exit(run(name, since=since, output=output, parts=parts, as_json=as_json))


@cli.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
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


def main() -> None:
    """The entry point: our own failures are one line on standard error, never a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OpsError as error:
        click.secho(f"✗ {error}", fg="red", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
