"""Making a backup: each database in one snapshot, with the numbers a restore is compared by.

Belongs here: the order of the steps. Does not belong here: which backups stay (`keeping.py`).

The dump and the fingerprint of a database are of the same exported snapshot, so that a restore can be compared exactly
while work goes on. The two databases are a moment apart: Dagster's first, so that every run the warehouse tells of is
either in it or younger than it. Nothing in a backup is a credential of `.env` or `credentials/`; it does hold the
company's data, so its directory is ours alone.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops_platform.backup.fingerprint import fingerprint, sequences
from ops_platform.backup.manifest import FORMAT, MANIFEST, PARTIAL, Backup, name_of, read, verify, write_sums
from ops_platform.backup.programs import BackupFailure, program, run
from ops_platform.database.connection import DAGSTER, WAREHOUSE, connect, database_url
from ops_platform.failpoints import failpoint
from ops_platform.settings import PROJECT_ROOT, Settings, get_settings

#: What of the home belongs to the company rather than to this machine.
HOME_FILES = ("documents", "warehouse", "charts")
#: Free space needed beyond what the last backup took, as a factor.
HEADROOM = 1.5
_LOCK = 4_172_018_016


def make(
    directory: Path | None = None, *, settings: Settings | None = None, step: Callable[[str], None] = lambda _: None,
    before_upgrade: bool = False,
) -> Backup:  # fmt: skip
    """Make a backup in `directory` (default: the settings') and prove that it can be read back. One made
    `before_upgrade` is kept until the next such.

    Raises `BackupFailure`; an unfinished one leaves nothing behind but what ends in `.partial`."""
    settings = settings or get_settings()
    directory = directory or settings.backups_directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    began = time.monotonic()
    at = datetime.now(UTC)
    partial = directory / (name_of(at) + PARTIAL)
    with connect(settings=settings, autocommit=True, application="ops_backup") as guard:
        row = guard.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        if not row or not row[0]:
            raise BackupFailure("another backup of this database is being made just now")
        for left in directory.glob(f"*{PARTIAL}"):  # of a process that died: nobody else holds the lock
            shutil.rmtree(left, ignore_errors=True)
        _refuse_full_disk(directory, settings)
        partial.mkdir(mode=0o700)
        try:
            backup = _fill(partial, at, settings, step, began, before_upgrade)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise BackupFailure(f"cannot write {partial}: {error.strerror or error}") from None
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return backup


def _fill(
    partial: Path, at: datetime, settings: Settings, step: Callable[[str], None], began: float, before_upgrade: bool
) -> Backup:
    databases = {}
    for database in (DAGSTER, WAREHOUSE):
        step(f"dump of {database}")
        databases[database] = _dump(database, partial / f"{database}.dump", settings)
        failpoint(f"backup.dumped_{database}")
    step("files")
    _pack_home(settings.ops_home, partial / "home.tar.gz")
    step("reading it back")
    for database in databases:
        run([program("pg_restore", 0), "--list", str(partial / f"{database}.dump")], database, settings)
    manifest = {
        "format": FORMAT, "at": min(databases[name]["at"] for name in databases), "made_at": at.isoformat(),
        "release": release(), "databases": databases, "roles": _roles(settings),
        "seconds": round(time.monotonic() - began, 1), "before_upgrade": before_upgrade,
    }  # fmt: skip
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    write_sums(partial)
    for file in partial.iterdir():
        file.chmod(0o600)
        with file.open("rb") as content:
            os.fsync(content.fileno())
    verify(partial)
    failpoint("backup.before_name")
    final = partial.with_name(partial.name.removesuffix(PARTIAL))
    partial.rename(final)
    descriptor = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return read(final)


def _dump(database: str, file: Path, settings: Settings) -> dict[str, Any]:
    import psycopg

    with psycopg.connect(database_url(database, settings), application_name="ops_backup") as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        row = connection.execute(
            "select pg_export_snapshot(), clock_timestamp(), current_setting('server_version_num')::int / 10000"
        ).fetchone()
        assert row is not None
        snapshot, at, major = row
        before = sequences(connection)
        command = [
            program("pg_dump", major), "--format=custom", "--compress=6", "--no-password", f"--snapshot={snapshot}",
            f"--file={file}",
        ]  # fmt: skip
        run(command, database, settings)
        # In the very snapshot that was dumped.
        found = fingerprint(connection)
    return {
        "at": at.isoformat(), "server_major": major, "file": file.name, "bytes": file.stat().st_size, **found,
        "sequences_before": before,
    }  # fmt: skip


def _pack_home(home: Path, file: Path) -> None:
    with tarfile.open(file, "w:gz", compresslevel=6) as archive:
        for name in HOME_FILES:
            if (home / name).is_dir():
                archive.add(home / name, arcname=name)


def _roles(settings: Settings) -> list[str]:
    with connect(settings=settings) as connection:
        rows = connection.execute("select rolname from pg_roles where rolname like 'ops\\_%' order by 1").fetchall()
    return [name for (name,) in rows]


def _refuse_full_disk(directory: Path, settings: Settings) -> None:
    from ops_platform.backup.manifest import backups_in

    last = next(iter(backups_in(directory)), None)
    needed = int(last.size * HEADROOM) if last is not None else 0
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise BackupFailure(
            f"{free / 1e6:,.0f} MB free at {directory}, {needed / 1e6:,.0f} MB needed: make room, or set OPS_BACKUPS"
        )


def release() -> dict[str, str]:
    """Which release this is: its version and, in a checkout, its commit."""
    import subprocess
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("ops-platform")
    except PackageNotFoundError:
        number = "unknown"
    marker = PROJECT_ROOT / "RELEASE"
    if marker.exists():
        return {"version": number, "commit": marker.read_text(encoding="utf-8").strip()}
    try:
        said = subprocess.run(
            ["git", "-C", str(PROJECT_ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
    except OSError:  # a container has no git
        said = ""
    return {"version": number, "commit": said or "unknown"}
