"""dbt as a tool: where its project is, its manifest, its environment, and what a build depends on.

Belongs here: everything about running dbt that is not Dagster's. Does not belong here: SQL of models.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_platform.failures import ConfigurationError
from ops_platform.settings import PROJECT_ROOT

if TYPE_CHECKING:
    import psycopg

DBT_PROJECT = PROJECT_ROOT / "dbt_project"
TARGET = DBT_PROJECT / "target"
MANIFEST = TARGET / "manifest.json"
_STAMP = TARGET / "manifest.stamp"
_SOURCES = ("models", "macros", "seeds", "snapshots", "tests", "analyses")


def dbt_executable() -> str:
    """dbt as installed beside this interpreter; PATH may not have it under a supervisor."""
    return str(Path(sys.executable).parent / "dbt")


def dbt_process() -> str:
    """dbt as the platform runs it (`dbt_process.py`), installed beside this interpreter."""
    return str(Path(sys.executable).parent / "ops-dbt")


def connection_environment() -> dict[str, str]:
    """The variables `profiles.yml` reads, for the configured server; holds the password of an external one."""
    from ops_platform.database import WAREHOUSE, address

    where = address(WAREHOUSE)
    return {
        "DBT_PG_HOST": where.host,
        "DBT_PG_PORT": str(where.port),
        "DBT_PG_USER": where.user,
        "DBT_PG_PASSWORD": where.password,
        "DBT_PG_DATABASE": where.database,
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }


def no_server() -> dict[str, str]:
    """The variables `profiles.yml` reads, for no server at all. The project is always read with these: dbt reads all
    of it anew when the connection is another than last time."""
    return {
        "DBT_PG_HOST": "nowhere",
        "DBT_PG_PORT": "5432",
        "DBT_PG_USER": "nobody",
        "DBT_PG_PASSWORD": "",
        "DBT_PG_DATABASE": "warehouse",
        "DBT_PG_ROLE": "",
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }


def project_files() -> Iterator[Path]:
    """The files that decide what dbt builds, in a stable order."""
    yield DBT_PROJECT / "dbt_project.yml"
    yield DBT_PROJECT / "profiles.yml"
    for folder in _SOURCES:
        yield from sorted(path for path in (DBT_PROJECT / folder).rglob("*") if path.is_file())


def project_digest() -> str:
    """A digest of the project: names and contents of its files, and how it is read."""
    # What the project was read with is part of what was read.
    digest = hashlib.sha256(repr(sorted(no_server().items())).encode())
    for path in project_files():
        digest.update(str(path.relative_to(DBT_PROJECT)).encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def prepared_manifest(digest: str | None = None) -> Path | None:
    """`target/manifest.json` where it is that of the project's files as they are; else None. `digest` is their digest,
    where it is known."""
    if not (MANIFEST.exists() and _STAMP.exists()):
        return None
    return MANIFEST if _STAMP.read_text(encoding="utf-8") == (digest or project_digest()) else None


def prepare_manifest() -> Path:
    """Bring `target/manifest.json` up to date with the project's files and return its path.

    Needs neither network, database nor secrets. Raises `ConfigurationError` with dbt's own message when
    the project does not parse."""
    from ops_platform.warehouse.metric_union import write_metric_union

    TARGET.mkdir(parents=True, exist_ok=True)
    with (TARGET / ".prepare.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_metric_union()
        wanted = project_digest()
        if prepared_manifest(wanted) is not None:
            return MANIFEST
        _STAMP.unlink(missing_ok=True)
        done = subprocess.run(
            [dbt_executable(), "--quiet", "parse", "--project-dir", str(DBT_PROJECT)],
            env={**os.environ, **no_server()},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise ConfigurationError(f"the dbt project does not parse:\n{(done.stdout + done.stderr).strip()}")
        _STAMP.write_text(wanted, encoding="utf-8")
    return MANIFEST


def build_fingerprint(connection: psycopg.Connection[Any], selection: str) -> str:
    """What a build's result depends on: the project, the data that changed, the company's hour and rules.

    Two equal fingerprints mean that building again would change nothing."""
    digest = hashlib.sha256(project_digest().encode())
    digest.update(selection.encode())
    for query in (
        # A receipt grows after its landing, by a sweep and by days read again.
        "select distinct on (vendor, stream) vendor, stream, id, inserted + updated + deleted + revived"
        " from ops.sync_runs where status = 'succeeded' and inserted + updated + deleted + revived > 0"
        " order by vendor, stream, id desc",
        "select vendor, stream, entity, day, status from ops.tie_outs where status <> 'matched' order by 1, 2, 3, 4",
        "select vendor, stream, (fresh_to at time zone company.timezone)::date from ops.cursors, ops.company"
        " order by 1, 2",
        "select vendor, connected from ops.connections order by 1",
        "select name, timezone, currency, date_trunc('hour', as_of)::text from ops.company",
        "select name, value::text from ops.thresholds order by 1",
    ):
        for row in connection.execute(query.encode()):
            digest.update(repr(row).encode())
    return digest.hexdigest()


def last_good_fingerprint(connection: psycopg.Connection[Any]) -> str | None:
    """The fingerprint of the newest build, if that build passed every test without a warning."""
    row = connection.execute(
        "select fingerprint, status, warnings from ops.warehouse_builds order by id desc limit 1"
    ).fetchone()
    return row[0] if row is not None and row[1] == "succeeded" and row[2] == 0 else None


def unproven_since(
    connection: psycopg.Connection[Any], now: datetime, models: Collection[str] | None = None
) -> datetime | None:
    """None when the newest build of each of `models` (names; None: of everything) passed its tests; else the moment of
    the last one that did (`now` when none), the earliest of them.

    A build that failed leaves tables that were never proven whole: no number of theirs is published."""
    rows = connection.execute(
        "select id, status, of_models from ops.warehouse_builds where id >= coalesce("
        "(select max(id) from ops.warehouse_builds where of_models is null), 0) order by id desc"
    ).fetchall()
    # Of what was built apart since the newest build of the whole, its own newest build decides.
    decided: dict[str, str] = {}
    rest = ""
    for _, status, of_models in rows:
        if of_models is None:
            rest = status
        else:
            for name in of_models:
                decided.setdefault(name, status)
    named = list(decided) if models is None else list(models)
    failed = [name for name in named if decided.get(name, rest) == "failed"]
    if models is None and rest == "failed":
        failed.append("")  # the whole: no part can make up for it
    if not failed:
        return None
    row = connection.execute(
        "select min(good.at) from unnest(%(failed)s::text[]) as bad (name) left join lateral ("
        " select max(finished_at) as at from ops.warehouse_builds where status = 'succeeded'"
        " and (of_models is null or bad.name = any(of_models))) as good on true",
        {"failed": failed},
    ).fetchone()
    good: datetime | None = row[0] if row is not None else None
    return min(good, now) if good is not None else now
