"""Backups of a real server: equal after a restore into another one, refused when anything is wrong with them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_platform.backup.keeping import Keep, remove_old, to_keep
from ops_platform.backup.making import make
from ops_platform.backup.manifest import Backup, backups_in, name_of, verify
from ops_platform.backup.programs import BackupFailure
from ops_platform.backup.restoring import drill, kept_before, restore, undo, unpack_home
from tests.backup.conftest import Server

ODD = "quote ' and \" and \\ and tab\t and newline\n and é中🚀"


def fill(server: Server) -> None:
    """Rows of every kind that a dump may get wrong."""
    with server.connect() as connection:
        connection.execute(
            "create table marts.odd (id bigint generated always as identity primary key, words text, money numeric,"
            " at timestamptz, raw bytea, doc jsonb, many int[], nothing text)"
        )
        connection.execute(
            "insert into marts.odd (words, money, at, raw, doc, many)"
            " select %s || n, n::numeric / 7, '2026-03-08 06:59:59.999999+00'::timestamptz + n * interval '1 hour',"
            " decode(md5(n::text), 'hex'), jsonb_build_object('n', n, 'text', %s::text), array[n, null, -n]"
            " from generate_series(1, 500) as n",
            (ODD, ODD),
        )
        connection.execute("create role ops_bot_test nologin") if not connection.execute(
            "select 1 from pg_roles where rolname = 'ops_bot_test'"
        ).fetchone() else None
        connection.execute("grant select on marts.odd to ops_bot_test")
    with server.connect("dagster") as connection:
        connection.execute("insert into runs (body) select repeat('x', n) from generate_series(1, 50) as n")
    (server.settings.ops_home / "documents").mkdir(exist_ok=True)
    (server.settings.ops_home / "documents" / "pulse.html").write_text("<p>pulse</p>", encoding="utf-8")


def everything(server: Server) -> dict[str, list[Any]]:
    """All rows of the filled tables, read by other means than the code that compares."""
    with server.connect() as connection, server.connect("dagster") as runs:
        return {
            "odd": connection.execute("select * from marts.odd order by id").fetchall(),
            "runs": runs.execute("select * from runs order by id").fetchall(),
            "migrations": connection.execute("select name, digest from ops_migrations.applied order by 1").fetchall(),
        }


def test_a_restore_into_another_server_holds_the_same(source: Server, target: Server) -> None:
    fill(source)
    backup = make(settings=source.settings)
    done = restore(backup, maintenance="postgres", replace=False, settings=target.settings)
    assert everything(target) == everything(source)
    assert done.kept_as == {}
    assert (target.settings.ops_home / "documents" / "pulse.html").read_text() == "<p>pulse</p>"
    with target.connect() as connection:
        granted = connection.execute("select has_table_privilege('ops_bot_test', 'marts.odd', 'select')").fetchone()
        connection.execute("insert into marts.odd (words) values ('the next')")
        newest = connection.execute("select max(id) from marts.odd").fetchone()
    assert granted == (True,)
    assert newest == (501,)


def test_work_goes_on_while_a_backup_is_made(source: Server, target: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are written between the dump and the counting are in neither."""
    import ops_platform.backup.making as making

    fill(source)
    before = everything(source)
    ran = making.run

    def meanwhile(command: list[str], database: str, settings: Any = None) -> str:
        said = ran(command, database, settings)
        if database == "warehouse" and command[0].endswith("pg_dump"):
            with source.connect() as connection:
                connection.execute("insert into marts.odd (words) values ('meanwhile')")
                connection.execute("delete from marts.odd where id = 1")
        return said

    monkeypatch.setattr(making, "run", meanwhile)
    backup = make(settings=source.settings)
    restore(backup, maintenance="postgres", replace=False, settings=target.settings)
    assert everything(target) == before


def test_the_checksums_are_read_by_the_systems_own_program(source: Server) -> None:
    backup = make(settings=source.settings)
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=backup.path, capture_output=True)
    assert done.returncode == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in (backup.path, *backup.path.iterdir()))


@pytest.mark.parametrize("harm", ["flipped byte", "shorter", "missing", "no sums", "forged manifest", "no manifest"])
def test_a_backup_that_is_not_what_it_was_is_refused(source: Server, target: Server, harm: str) -> None:
    backup = make(settings=source.settings)
    dump = backup.path / "warehouse.dump"
    if harm == "flipped byte":
        content = bytearray(dump.read_bytes())
        content[len(content) // 2] ^= 1
        dump.write_bytes(content)
    elif harm == "shorter":
        os.truncate(dump, dump.stat().st_size - 1)
    elif harm == "missing":
        dump.unlink()
    elif harm == "no sums":
        (backup.path / "SHA256SUMS").unlink()
    elif harm == "forged manifest":
        manifest = json.loads((backup.path / "manifest.json").read_text())
        manifest["at"] = "2000-01-01T00:00:00+00:00"
        (backup.path / "manifest.json").write_text(json.dumps(manifest))
    else:
        (backup.path / "manifest.json").unlink()
    with pytest.raises(BackupFailure):
        restore(backup, maintenance="postgres", replace=False, settings=target.settings)
    assert target.databases() == set()


def test_a_restore_that_differs_is_not_put_in_place(source: Server, target: Server) -> None:
    """A dump that lacks a row, with sums that fit it: what only a comparison of contents finds."""
    from ops_platform.backup.manifest import write_sums

    fill(source)
    backup = make(settings=source.settings)
    said = backup.manifest["databases"]["warehouse"]["tables"]["marts.odd"]
    said[0] += 1
    found = drill(backup, maintenance="postgres", settings=target.settings)
    assert not found["equal"]
    assert "marts.odd has 500 rows instead of 501" in found["problems"][0]
    said[0] -= 1
    said[1] = "17"
    with pytest.raises(BackupFailure, match=r"marts\.odd has other contents"):
        restore(backup, maintenance="postgres", replace=False, settings=target.settings)
    assert target.databases() == set()
    write_sums(backup.path)


def test_a_drill_leaves_nothing_and_is_remembered(source: Server, target: Server) -> None:
    fill(source)
    backup = make(settings=source.settings)
    found = drill(backup, maintenance="postgres", settings=target.settings)
    assert found["equal"]
    assert found["rows"] > 550
    assert target.databases() == set()
    assert backups_in(backup.path.parent)[0].drill == found
    verify(backup.path)


def test_data_that_is_there_is_replaced_only_when_asked_and_comes_back(source: Server) -> None:
    fill(source)
    backup = make(settings=source.settings)
    with source.connect() as connection:
        connection.execute("insert into marts.odd (words) values ('after the backup')")
        connection.execute(
            "insert into ops.sync_runs (vendor, stream, status, started_at) values ('app', 'users', 'failed', now())"
        )
    with pytest.raises(BackupFailure, match="already holds data"):
        restore(backup, maintenance="postgres", replace=False, settings=source.settings)
    done = restore(backup, maintenance="postgres", replace=True, settings=source.settings)
    assert len(everything(source)["odd"]) == 500
    with source.connect("postgres") as server:
        (stamp,) = kept_before(server)
    assert all(name.endswith(stamp) for name in done.kept_as.values())
    undo(stamp, maintenance="postgres", settings=source.settings)
    assert len(everything(source)["odd"]) == 501
    assert source.databases() == {"warehouse", "dagster"}


def test_nobody_is_at_work_while_databases_are_replaced(source: Server) -> None:
    backup = make(settings=source.settings)
    with source.connect(), pytest.raises(BackupFailure, match="in use"):
        restore(backup, maintenance="postgres", replace=True, settings=source.settings)


def test_two_backups_at_once_are_one_too_many(source: Server) -> None:
    from ops_platform.backup.making import _LOCK

    with source.connect() as other:
        other.execute("select pg_advisory_lock(%s)", (_LOCK,))
        with pytest.raises(BackupFailure, match="being made just now"):
            make(settings=source.settings)


def test_a_full_disk_is_told_before_it_is_full(source: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from ops_platform.backup.making import _LOCK

    make(settings=source.settings)
    with source.connect() as other:  # until the server has let the first one's lock go
        other.execute("select pg_advisory_lock(%s)", (_LOCK,))
        other.execute("select pg_advisory_unlock(%s)", (_LOCK,))
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(BackupFailure, match="make room"):
        make(settings=source.settings)


def archive_of(file: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for member in members:
            member.size = len(b"evil") if member.isfile() else 0
            archive.addfile(member, io.BytesIO(b"evil") if member.isfile() else None)
    return file


def test_files_of_the_home_come_back_as_they_were(tmp_path: Path) -> None:
    own = tarfile.TarInfo("documents/pulse.html")
    own.mode, own.mtime = 0o4777, 1_700_000_000
    stranger = tarfile.TarInfo("credentials/sales.env")
    unpack_home(archive_of(tmp_path / "home.tar.gz", own, stranger), tmp_path / "home")
    back = tmp_path / "home" / "documents" / "pulse.html"
    assert back.read_bytes() == b"evil"
    assert (back.stat().st_mode & 0o7777, back.stat().st_mtime) == (0o755, 1_700_000_000)
    assert not (tmp_path / "home" / "credentials").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("documents/../../outside", tarfile.REGTYPE),
        ("documents/link", tarfile.SYMTYPE),
        ("charts/hard", tarfile.LNKTYPE),
    ],
)
def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(BackupFailure, match="no plain file"):
        unpack_home(archive_of(tmp_path / "home.tar.gz", member), tmp_path / "home" / "below")
    assert not (tmp_path / "outside").exists()


# -- what is kept -------------------------------------------------------------------------------------------------


def dated(directory: Path, at: datetime, *, proven: bool = False, before_upgrade: bool = False) -> Backup:
    path = directory / name_of(at)
    path.mkdir(parents=True)
    said = {"format": 1, "at": at.isoformat(), "before_upgrade": before_upgrade}
    (path / "manifest.json").write_text(json.dumps(said))
    if proven:
        (path / "drill.json").write_text('{"equal": true}')
    return Backup(path, at, {})


def test_days_weeks_and_months_are_kept(tmp_path: Path) -> None:
    newest = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # a Saturday
    every = [dated(tmp_path, newest - timedelta(days=day)) for day in range(400)]
    kept = to_keep(backups_in(tmp_path), Keep(daily=7, weekly=4, monthly=6))
    days = sorted((newest.date() - backup.at.date()).days for backup in every if backup.path in kept)
    # The last seven days; the newest of this week and three before (Sundays); of this month and five before.
    assert days == [0, 1, 2, 3, 4, 5, 6, 13, 20, 21, 52, 82, 113, 144]


def test_a_proven_backup_outlives_the_rule_and_strangers_are_left_alone(tmp_path: Path) -> None:
    newest = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
    for day in range(40):
        dated(tmp_path, newest - timedelta(days=day), proven=day == 33)
    (tmp_path / "holiday photographs").mkdir()
    remove_old(tmp_path, Keep(daily=2, weekly=0, monthly=0))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([*(name_of(newest - timedelta(days=day)) for day in (0, 1, 33)), "holiday photographs"])


def test_what_an_upgrade_goes_back_to_is_kept_until_the_next_one(tmp_path: Path) -> None:
    """Whatever else is backed up on that day and for months after it."""
    newest = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
    last, one_before = newest - timedelta(days=3, hours=2), newest - timedelta(days=30, hours=2)
    for hours in range(0, 24 * 40, 6):
        dated(tmp_path, newest - timedelta(hours=hours))
    for at in (last, one_before):
        dated(tmp_path, at, before_upgrade=True)
    remove_old(tmp_path, Keep(daily=1, weekly=0, monthly=0))
    assert {path.name for path in tmp_path.iterdir()} == {name_of(newest), name_of(last)}


def test_several_backups_a_day_count_as_one_day(tmp_path: Path) -> None:
    newest = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
    for hour in range(48):
        dated(tmp_path, newest - timedelta(hours=hour))
    remove_old(tmp_path, Keep(daily=2, weekly=1, monthly=1))
    assert len(list(tmp_path.iterdir())) == 2
