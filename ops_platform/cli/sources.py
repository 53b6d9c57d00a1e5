"""Words about sources: asking them, syncing them, what they refused, how their payloads look, whether they agree.

Belongs here: `ops doctor`, `ops sync`, `ops quarantine`, `ops schema`, `ops reconcile`. Does not belong here: what they
do (`commands/`), models and metrics (`warehouse.py`).
"""

from __future__ import annotations

import sys
from datetime import datetime

import click

from ops_platform.cli.options import DAY, JSON

_VENDOR = click.option("--vendor", metavar="NAME", help="Only this vendor.")
_STREAM = click.option("--stream", metavar="NAME", help="Only this stream (orders, or shopify.orders).")
_REASON = click.option("--reason", metavar="REASON", help="Only what was refused for this reason.")


@click.command()
@click.argument("names", nargs=-1, metavar="[VENDOR]…")
@click.option("--vendor", "vendors", multiple=True, metavar="NAME", help="Only this vendor (may be repeated).")
@click.option("--timeout", default=30.0, type=click.FloatRange(1, 600), help="Seconds an endpoint may take.")
@JSON
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


@click.command()
@click.argument("names", nargs=-1, metavar="[VENDOR[.STREAM]]…")
@click.option("--sweep", is_flag=True, help="Also look for records the vendor no longer has.")
@click.option("--allow-shrink", is_flag=True, help="Let a full listing remove more rows than the shrink guard allows.")
@JSON
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


@click.group()
def quarantine() -> None:
    """Records that could not be landed: look at them, and try them again."""


@quarantine.command("list")
@_VENDOR
@_STREAM
@_REASON
@click.option("--all", "everything", is_flag=True, help="Settled ones, too.")
@click.option("--limit", default=20, type=click.IntRange(1, 10_000), help="How many entries to show.")
@JSON
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
@JSON
def quarantine_show(which: str, full: bool, as_json: bool) -> None:
    """One entry with what the vendor sent; control characters are written out and secrets left out."""
    from ops_platform.commands.quarantine import show_one

    sys.exit(show_one(which, full=full, as_json=as_json))


@quarantine.command("retry")
@click.argument("which", metavar="[NUMBER|ID]", required=False)
@_VENDOR
@_STREAM
@_REASON
@JSON
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


@click.group()
def schema() -> None:
    """What payloads look like, what changed about it, and accepting a change that pauses a stream."""


@schema.command("list")
@click.argument("vendor", required=False)
@click.argument("stream", required=False)
@JSON
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
@JSON
def schema_show(vendor: str, stream: str, as_json: bool) -> None:
    """The fields of a stream as they were seen: path, types, whether in every record, who reads them."""
    from ops_platform.commands.schema import show_fields

    sys.exit(show_fields(vendor, stream, as_json=as_json))


@schema.command("accept")
@click.argument("vendor")
@click.argument("stream")
@click.option("--path", metavar="FIELD", help="Only the change of this field.")
@JSON
def schema_accept(vendor: str, stream: str, path: str | None, as_json: bool) -> None:
    """Take the changes that pause a stream as its shape from now on; its next sync goes on where it stopped.

    \b
    ops schema accept shopify orders
    ops schema accept shopify orders --path totalPriceSet.shopMoney.amount
    """
    from ops_platform.commands.schema import accept_changes

    sys.exit(accept_changes(vendor, stream, path=path, as_json=as_json))


@click.command()
@click.option("--from", "start", metavar="YYYY-MM-DD", type=DAY, help="First day.")
@click.option("--to", "end", metavar="YYYY-MM-DD", type=DAY, help="Last day.")
@click.option("--limit", default=50, type=click.IntRange(0, 100_000), help="How many differing orders to print.")
@JSON
def reconcile(start: datetime | None, end: datetime | None, limit: int, as_json: bool) -> None:
    """Compare the shop's orders with the ERP's postings, as the warehouse was last built.

    \b
    ops reconcile
    ops reconcile --from 2026-11-01 --to 2026-11-19
    Exit code 1 when orders differ that are due.
    """
    from ops_platform.commands.reconcile import reconcile as run

    sys.exit(run(start.date() if start else None, end.date() if end else None, limit=limit, as_json=as_json))
