"""`ops schema`: the shape of payloads, what changed about it, and accepting a change.

Belongs here: showing and asking. Does not belong here: finding changes (`ops_platform.ingestion.schema_drift`).
"""

from __future__ import annotations

import json
from typing import Any

import click

from ops_platform import clock
from ops_platform.commands.account import account_here
from ops_platform.commands.safe_text import printable
from ops_platform.failures import ConfigurationError, DataFailure


def _checked(vendor: str, stream: str) -> None:
    from resources.vendors import streams

    if stream not in streams(vendor):
        raise ConfigurationError(f"{vendor} has no stream {stream!r}: choose among {', '.join(streams(vendor))}")


def show_changes(vendor: str | None, stream: str | None, *, as_json: bool) -> int:
    """The changes, open ones first. Exit code 1 while one pauses a stream."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect

    prepare_database()
    columns = (
        "vendor",
        "stream",
        "path",
        "change",
        "before",
        "after",
        "state",
        "models",
        "first_seen_at",
        "settled_at",
    )
    with connect() as connection:
        rows = connection.execute(
            f"select {', '.join(columns)} from ops.schema_changes"
            " where (%(vendor)s::text is null or vendor = %(vendor)s)"
            " and (%(stream)s::text is null or stream = %(stream)s)"
            " order by state <> 'open', first_seen_at desc, id limit 200".encode(),
            {"vendor": vendor, "stream": stream},
        ).fetchall()
    found: list[dict[str, Any]] = [dict(zip(columns, row, strict=True)) for row in rows]
    waiting = any(item["state"] == "open" for item in found)
    if as_json:
        click.echo(json.dumps({"ok": not waiting, "changes": found}, default=str, indent=2))
        return int(waiting)
    if not found:
        click.echo("no payload has changed its shape")
    for item in found:
        mark = click.style("‖", fg="red") if item["state"] == "open" else "·"
        was = f"{item['before']} → {item['after']}" if item["change"] == "retyped" else item["after"] or item["before"]
        read = f", read by {', '.join(item['models'])}" if item["models"] else ""
        click.echo(
            f"{mark} {item['vendor']}.{item['stream']}  {printable(item['path'])}  {item['change']}: {printable(was)}"
            f"{read}  ({item['state']}, {item['first_seen_at']:%F %H:%M} UTC)"
        )
    if waiting:
        click.echo("\n‖ pauses its stream: adapt what reads it, then `ops schema accept VENDOR STREAM`")
    return int(waiting)


def show_fields(vendor: str, stream: str, *, as_json: bool) -> int:
    """The fields of one stream."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.ingestion.schema_drift import load_shape
    from ops_platform.warehouse.lineage import lineage
    from resources.vendors import streams

    _checked(vendor, stream)
    prepare_database()
    with connect() as connection:
        shape = load_shape(connection, streams(vendor)[stream])
    found = lineage()
    fields: list[dict[str, Any]] = [
        {"path": path, "types": types, "always": always, "models": found.field_readers(vendor, stream, path)}
        for path, types, always in shape.paths()
    ]
    if as_json:
        click.echo(json.dumps({"vendor": vendor, "stream": stream, "fields": fields}, indent=2))
        return 0
    if not fields:
        click.echo(f"{vendor}.{stream} has not been read yet: `ops sync {vendor}.{stream}`")
    for item in fields:
        read = f"  {', '.join(item['models'])}" if item["models"] else ""
        always = "" if item["always"] else "  (sometimes)"
        click.echo(f"{printable(str(item['path']))}  {item['types']}{always}{read}")
    return 0


def accept_changes(vendor: str, stream: str, *, path: str | None, as_json: bool) -> int:
    """Accept the open changes and say what they were."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.ingestion.schema_drift import accept

    _checked(vendor, stream)
    prepare_database()
    with connect() as connection:
        changes = accept(connection, vendor, stream, now=clock.now(), by=account_here(), path=path)
    if not changes:
        raise DataFailure(f"nothing waits to be accepted for {vendor}.{stream}: `ops schema list`")
    if as_json:
        said = [
            {"path": item.path, "change": item.change, "before": item.before, "after": item.after} for item in changes
        ]
        click.echo(json.dumps({"accepted": said}, indent=2))
        return 0
    for change in changes:
        click.echo(f"{click.style('✓', fg='green')} accepted: {printable(str(change))}")
    click.echo(f"go on with `ops sync {vendor}.{stream}`")
    return 0
