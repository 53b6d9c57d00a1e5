"""Making the home, the databases and the Dagster instance ready: the first step of every command.

Belongs here: idempotent preparation. Does not belong here: starting long-lived processes (`stack.py`).
"""

from __future__ import annotations

import os
import shutil

from ops_platform.settings import PROJECT_ROOT, get_settings


def prepare_database() -> None:
    """Databases, migrations, raw tables and roles: whatever is missing is made.

    Raises `ConfigurationError` or `TransientFailure` with one line that says what to do."""
    from ops_platform.database import DAGSTER, WAREHOUSE, connect, ensure_raw_tables, migrate
    from ops_platform.database.migrations import create_databases, set_once
    from ops_platform.database.roles import ensure_roles
    from ops_platform.fleet import get_fleet
    from resources.vendors import VENDORS, all_streams

    with connect(maintenance_database(), autocommit=True) as maintenance:
        create_databases(maintenance, (WAREHOUSE, DAGSTER))
        if get_settings().ops_database_url is None:
            # Dagster's event log may lose its last half second in a power cut; a lost run is found by run
            # monitoring, and nothing of ours is kept there. The warehouse stays fully durable.
            set_once(maintenance, DAGSTER, "synchronous_commit", "off")
    with connect() as connection:
        applied = migrate(connection)
        ensure_raw_tables(connection, [(s.vendor, s.name, s.description) for s in all_streams()])
        if applied or not _roles_exist(connection):
            ensure_roles(connection, get_fleet().bots, [f"raw_{vendor}" for vendor in VENDORS])


def maintenance_database() -> str:
    """The database that always exists: the one an external URL names, else `postgres`."""
    url = get_settings().ops_database_url
    if url is None:
        return "postgres"
    from urllib.parse import urlsplit

    return urlsplit(url.get_secret_value()).path.lstrip("/") or "postgres"


def _roles_exist(connection: object) -> bool:
    from typing import Any, cast

    import psycopg

    from ops_platform.database.roles import ANALYST

    row = (
        cast("psycopg.Connection[Any]", connection)
        .execute("select 1 from pg_roles where rolname = %s", (ANALYST,))
        .fetchone()
    )
    return row is not None


def prepare_dagster() -> None:
    """Put the instance's configuration in its home and its database URL in this process's environment."""
    from ops_platform.database import DAGSTER, database_url

    home = get_settings().dagster_home
    # What runs print goes through here before it is cleaned of credentials.
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    os.environ["OPS_COMPUTE_LOGS"] = str(home / "storage")
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    # A dbt build is hundreds of events; storing them one by one would cost as much as the build.
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "50")
    os.environ["OPS_DAGSTER_DATABASE_URL"] = database_url(DAGSTER)


def prepare() -> None:
    """Everything a run needs. Raises `ConfigurationError` on a home that was moved to another server."""
    from ops_platform.commands.move import refuse_if_moved

    refuse_if_moved(get_settings())
    prepare_database()
    prepare_dagster()
