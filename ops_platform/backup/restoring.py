"""Restoring a backup beside what is there, comparing it, and only then putting it in its place.

Belongs here: the order of the steps, the comparison, the drill. Does not belong here: words for a terminal.

A restore goes into databases of its own names. It is compared with the backup's numbers, migrated, marked as restored,
and then renamed into place; what was there before is kept under a name with the moment in it, so that the restore can
be undone. The outbox then asks its vendors before it posts anything (`ops_platform.delivery.restored`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ops_platform.backup.fingerprint import differences, fingerprint
from ops_platform.backup.making import HOME_FILES
from ops_platform.backup.manifest import DRILL, Backup, name_of, verify
from ops_platform.backup.programs import BackupFailure, program, run
from ops_platform.database.connection import DAGSTER, WAREHOUSE, connect, database_url
from ops_platform.failpoints import failpoint
from ops_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    import psycopg

DATABASES = (DAGSTER, WAREHOUSE)
BEFORE = "_before_"
_UNFINISHED = re.compile(rf"(?:{'|'.join(DATABASES)})_(?:restoring|drill)_\d{{8}}t\d{{6}}z")
_LOCK = 4_172_018_017


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: how long it took, what was compared, and where what was there before is kept."""

    seconds: float
    tables: int
    rows: int
    kept_as: dict[str, str]


def restore(
    backup: Backup,
    *,
    maintenance: str,
    replace: bool,
    settings: Settings | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Put `backup` in the place of this server's databases. `maintenance` is the database that always exists.

    Raises `BackupFailure` when it differs in anything from what was backed up, and, without `replace`, when there is
    anything to be replaced; then everything is as it was."""
    settings = settings or get_settings()
    began = time.monotonic()
    step("checksums")
    verify(backup.path)
    with connect(maintenance, settings=settings, autocommit=True) as server:
        _alone(server)
        existing = _databases(server)
        if not replace and any(_holds_something(name, settings) for name in DATABASES if name in existing):
            raise BackupFailure("this server already holds data: --replace puts the backup in its place, and keeps it")
        _refuse_older_server(server, backup)
        _refuse_company(server)
        stamp = name_of(datetime.now(UTC)).lower()
        fresh = {name: f"{name}_restoring_{stamp}" for name in DATABASES}
        tables = rows = 0
        try:
            for name in DATABASES:
                step(f"restore of {name}")
                found = _into(server, backup, name, fresh[name], settings)
                tables += len(found["tables"])
                rows += sum(count for count, _ in found["tables"].values())
                failpoint(f"restore.made_{name}")
            _prepare_restored(fresh[WAREHOUSE], backup, settings)
            failpoint("restore.prepared")
        except BaseException:
            for name in fresh.values():
                _drop(server, name)
            raise
        step("putting it in place")
        kept = {name: f"{name}{BEFORE}{stamp}" for name in DATABASES if name in existing}
        for name in DATABASES:
            _move(server, name, fresh[name], kept.get(name))
            failpoint("restore.moved")
    unpack_home(backup.path / "home.tar.gz", settings.ops_home)
    return Restored(round(time.monotonic() - began, 1), tables, rows, kept)


def drill(backup: Backup, *, maintenance: str, settings: Settings | None = None) -> dict[str, Any]:
    """Restore `backup` into databases of its own, compare every table and sequence, and drop them again. The result
    stays beside the backup."""
    settings = settings or get_settings()
    began = time.monotonic()
    lines: list[str] = []
    tables = rows = 0
    stamp = name_of(datetime.now(UTC)).lower()
    try:
        verify(backup.path)
        with connect(maintenance, settings=settings, autocommit=True) as server:
            _alone(server)
            for name in DATABASES:
                fresh = f"{name}_drill_{stamp}"
                try:
                    found = _into(server, backup, name, fresh, settings)
                    tables += len(found["tables"])
                    rows += sum(count for count, _ in found["tables"].values())
                finally:
                    _drop(server, fresh)
    except BackupFailure as error:
        lines = [str(error)]
    result = {
        "at": datetime.now(UTC).isoformat(), "equal": not lines, "problems": lines, "tables": tables, "rows": rows,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    (backup.path / DRILL).write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def kept_before(server: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """Databases that a restore replaced and kept, by the moment in their name, the newest first."""
    found: dict[str, list[str]] = {}
    for name in _databases(server):
        if BEFORE in name:
            found.setdefault(name.rpartition(BEFORE)[2], []).append(name)
    return dict(sorted(found.items(), reverse=True))


def undo(stamp: str, *, maintenance: str, settings: Settings | None = None) -> list[str]:
    """Put back what a restore replaced at `stamp`; what it had put there is dropped. Returns the databases."""
    settings = settings or get_settings()
    with connect(maintenance, settings=settings, autocommit=True) as server:
        kept = kept_before(server).get(stamp, [])
        if not kept:
            raise BackupFailure(f"there is nothing kept from {stamp}")
        for name in sorted(kept):
            _drop(server, name.partition(BEFORE)[0])
            _rename(server, name, name.partition(BEFORE)[0])
        return sorted(kept)


def forget(stamp: str, *, maintenance: str, settings: Settings | None = None) -> None:
    """Drop what a restore replaced at `stamp`."""
    with connect(maintenance, settings=settings, autocommit=True) as server:
        for name in kept_before(server).get(stamp, []):
            _drop(server, name)


# -- steps ------------------------------------------------------------------------------------------------------


def _into(server: psycopg.Connection[Any], backup: Backup, name: str, fresh: str, settings: Settings) -> dict[str, Any]:
    """Restore one dump into the new database `fresh` and compare it. Returns its fingerprint."""
    import psycopg
    from psycopg import sql

    said = backup.manifest["databases"][name]
    _make_roles(server, backup.manifest["roles"])
    server.execute(sql.SQL("create database {} template template0 encoding 'UTF8'").format(sql.Identifier(fresh)))
    major = int(said["server_major"])
    command = [
        program("pg_restore", major), "--exit-on-error", "--no-owner", "--no-password", "--jobs=2", f"--dbname={fresh}",
        str(backup.path / said["file"]),
    ]  # fmt: skip
    run(command, fresh, settings)
    with psycopg.connect(database_url(fresh, settings), application_name="ops_backup") as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        found = fingerprint(connection)
    lines = differences(said, found)
    if lines:
        more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
        raise BackupFailure(f"the restore of {name} differs from what was backed up: {'; '.join(lines[:5])}{more}")
    return dict(found)


def _prepare_restored(database: str, backup: Backup, settings: Settings) -> None:
    """Bring the restored warehouse to this release, and have its outbox ask before it posts."""
    import psycopg

    from ops_platform.database import migrate
    from ops_platform.delivery.restored import mark_restored

    with psycopg.connect(database_url(database, settings), application_name="ops_backup") as connection:
        migrate(connection)
        with connection.transaction():
            mark_restored(connection, backup=backup.name, backup_at=backup.at, now=datetime.now(UTC))
    with psycopg.connect(database_url(database, settings), autocommit=True) as connection:
        connection.execute("analyze")


def _make_roles(server: psycopg.Connection[Any], roles: list[str]) -> None:
    from psycopg import sql

    known = {name for (name,) in server.execute("select rolname from pg_roles")}
    for role in roles:
        if role not in known and role.startswith("ops_"):
            server.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
            server.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))


def _refuse_older_server(server: psycopg.Connection[Any], backup: Backup) -> None:
    row = server.execute("select current_setting('server_version_num')::int / 10000").fetchone()
    major = max(int(said["server_major"]) for said in backup.manifest["databases"].values())
    if row is not None and row[0] < major:
        raise BackupFailure(f"the backup is of PostgreSQL {major}, this server is {row[0]}: use one at least as new")


def _alone(server: psycopg.Connection[Any]) -> None:
    """One restore or drill at a time; what an earlier one that was killed left behind is dropped."""
    row = server.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
    if not row or not row[0]:
        raise BackupFailure("another restore or drill is under way on this server")
    for name in _databases(server):
        if _UNFINISHED.fullmatch(name):
            _drop(server, name)


def _refuse_company(server: psycopg.Connection[Any]) -> None:
    """Nobody may be at work while the databases change under him."""
    rows = server.execute(
        "select distinct application_name from pg_stat_activity where datname = any(%s) and pid <> pg_backend_pid()"
        " and backend_type = 'client backend'",
        (list(DATABASES),),
    ).fetchall()
    if rows:
        who = ", ".join(sorted(name or "somebody" for (name,) in rows))
        raise BackupFailure(f"the databases are in use ({who}): `ops down`, or stop the units, first")


def _databases(server: psycopg.Connection[Any]) -> set[str]:
    return {name for (name,) in server.execute("select datname from pg_database").fetchall()}


def _holds_something(database: str, settings: Settings) -> bool:
    """Whether anything was ever synced, said or run here; tables alone are what every command makes."""
    with connect(database, settings=settings) as connection:
        tables = ("ops.sync_runs", "ops.outbox", "ops.documents", "ops.restores", "public.runs")
        for table in tables:
            there = connection.execute("select to_regclass(%s) is not null", (table,)).fetchone()
            if there and there[0]:
                row = connection.execute(f"select exists (select 1 from {table})".encode()).fetchone()
                if row and row[0]:
                    return True
    return False


def _move(server: psycopg.Connection[Any], name: str, fresh: str, kept: str | None) -> None:
    if kept is not None:
        _rename(server, name, kept)
    _rename(server, fresh, name)


def _rename(server: psycopg.Connection[Any], old: str, new: str) -> None:
    from psycopg import sql

    names = {"old": sql.Identifier(old), "new": sql.Identifier(new)}
    # Nobody may come in between the end of the sessions and the new name.
    server.execute(sql.SQL("alter database {old} with allow_connections false").format(**names))
    server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (old,))
    for attempt in range(50):
        try:
            server.execute(sql.SQL("alter database {old} rename to {new}").format(**names))
            break
        except Exception:
            if attempt == 49:
                server.execute(sql.SQL("alter database {old} with allow_connections true").format(**names))
                raise
            time.sleep(0.1)
    server.execute(sql.SQL("alter database {new} with allow_connections true").format(**names))


def _drop(server: psycopg.Connection[Any], name: str) -> None:
    from psycopg import sql

    server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def unpack_home(file: Path, home: Path) -> None:
    """The files of the home; what is there and not in the backup stays. Raises `BackupFailure` for anything in the
    archive that is no plain file below the home."""
    if not file.exists():
        return
    home.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "r:gz") as archive:
        # By hand: `extractall` can refuse what reaches outside only from Python 3.11.4 on.
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if not parts or parts[0] not in HOME_FILES:
                continue
            if ".." in parts or not (member.isfile() or member.isdir()):
                raise BackupFailure(f"{file}: {member.name!r} is no plain file below the home")
            target = home.joinpath(*parts)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            content = archive.extractfile(member)
            assert content is not None
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("wb") as written:
                shutil.copyfileobj(content, written)
            target.chmod(member.mode & 0o755)
            os.utime(target, (member.mtime, member.mtime))
