"""`ops bot`: which bots are isolated, and letting one go.

Belongs here: what is shown and asked at a terminal. Does not belong here: when a bot is isolated
(`ops_platform.instance.crashes`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from ops_platform.commands.account import account_here
from ops_platform.commands.prepare import prepare_database
from ops_platform.failures import ConfigurationError


def show_list(*, as_json: bool) -> int:
    """Every bot of the fleet, its jobs, its own credentials and whether it is isolated."""
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.instance.crashes import isolations
    from ops_platform.settings import get_settings

    prepare_database()
    fleet, credentials = get_fleet(), get_settings().credentials_directory
    with connect() as connection:
        isolated = {one.bot: one for one in isolations(connection, datetime.now(UTC))}
    rows = []
    for name, entry in fleet.bots.items():
        one = isolated.get(name)
        rows.append({
            "bot": name, "label": entry.label, "jobs": sum(job.bot == name for job in fleet.jobs.values()),
            "own_credentials": (credentials / f"{name}.env").exists(),
            "isolated_since": one.since.isoformat() if one else None,
            "isolated_until": one.until.isoformat() if one else None, "last_job": one.last_job if one else None,
        })  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        own = "own credentials" if row["own_credentials"] else "shared credentials only"
        state = click.style("✓", fg="green")
        more = ""
        if row["isolated_until"] is not None:
            state = click.style("✗", fg="red")
            more = f"; ISOLATED until {row['isolated_until']} (last: {row['last_job']}): `ops bot release {row['bot']}`"
        click.echo(f"{state} {row['bot']:<14} {row['jobs']:>3} jobs, {own}{more}")
    return 0


def release(name: str) -> int:
    """Let the runs of `name` start again. Raises `ConfigurationError` for a bot there is not."""
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.instance.crashes import release as let_go

    if name not in get_fleet().bots:
        raise ConfigurationError(f"there is no bot {name!r}: choose among {', '.join(get_fleet().bots)}")
    prepare_database()
    with connect() as connection:
        let_go(connection, name, by=account_here(), at=datetime.now(UTC))
    click.echo(f"runs of {name} start again")
    return 0
