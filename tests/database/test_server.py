"""The embedded server: made once, shared by processes, survives being killed, says what is wrong."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from ops_platform.database.server import EmbeddedServer, release_server, running_server
from ops_platform.failures import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
USE = textwrap.dedent(
    """
    import sys, psycopg
    from pathlib import Path
    from ops_platform.database.server import running_server
    address = running_server(Path(sys.argv[1]))
    with psycopg.connect(address.url("postgres")) as connection:
        print(connection.execute("select 40 + 2").fetchone()[0], flush=True)
    if len(sys.argv) > 2:
        sys.stdin.read(1)
    """
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    release_server(tmp_path / "home")
    _kill_server(tmp_path / "home")


def _postmaster(home: Path) -> int | None:
    try:
        return int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError):
        return None


def _kill_server(home: Path) -> None:
    pid = _postmaster(home)
    if pid is None or not psutil.pid_exists(pid):
        return
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)


def _child(home: Path, *more: str, user: str | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USE, str(home), *more], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, user=user, group=user and pwd.getpwnam(user).pw_gid,
        extra_groups=[] if user else None,
    )  # fmt: skip


def test_starts_serves_and_stops_with_its_last_user(home: Path) -> None:
    address = running_server(home)
    with psycopg.connect(address.url("postgres")) as connection:
        version, listen = connection.execute(
            "select current_setting('server_version_num')::int, current_setting('listen_addresses')"
        ).fetchone() or (0, "")
    assert version // 10000 == 18
    assert listen == ""
    assert _postmaster(home) is not None
    release_server(home)
    assert _postmaster(home) is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address.url("postgres"))


def test_two_processes_at_once_make_one_server(home: Path) -> None:
    home.mkdir()
    children = [_child(home) for _ in range(4)]
    outputs = [child.communicate(timeout=120) for child in children]
    assert [out.strip() for out, _ in outputs] == ["42"] * 4, [err for _, err in outputs]


def test_a_leaving_process_does_not_stop_the_server_under_another(home: Path) -> None:
    home.mkdir()
    staying = _child(home, "stay")
    assert staying.stdout is not None
    assert staying.stdout.readline().strip() == "42"
    assert _child(home).communicate(timeout=60)[0].strip() == "42"
    pid = _postmaster(home)
    assert pid is not None
    assert psutil.pid_exists(pid)
    staying.communicate("x", timeout=60)
    assert _postmaster(home) is None


def test_a_user_of_a_home_that_was_removed_does_not_stop_the_server_made_in_its_place(home: Path) -> None:
    home.mkdir()
    staying = _child(home, "stay")
    assert staying.stdout is not None
    assert staying.stdout.readline().strip() == "42"
    of_before = _postmaster(home)
    shutil.rmtree(home)

    address = running_server(home)
    staying.communicate("x", timeout=60)

    with psycopg.connect(address.url("postgres")) as connection:
        assert connection.execute("select 40 + 2").fetchone() == (42,)
    assert staying.returncode == 0
    # Left alone it would end within a minute, and take the socket at its path with it.
    assert of_before is not None
    assert not psutil.pid_exists(of_before) or psutil.Process(of_before).status() == psutil.STATUS_ZOMBIE


def test_starts_again_after_everything_was_killed(home: Path) -> None:
    home.mkdir()
    child = _child(home, "stay")
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "42"
    with psycopg.connect(EmbeddedServer(home.resolve()).address.url("postgres"), autocommit=True) as connection:
        connection.execute("create table kept as select 1 as one")
    child.send_signal(signal.SIGKILL)
    child.wait()
    _kill_server(home)
    assert (home / "postgres" / "postmaster.pid").exists()
    with psycopg.connect(running_server(home).url("postgres")) as connection:
        assert connection.execute("select one from kept").fetchone() == (1,)


def test_a_stale_lock_naming_a_living_stranger_is_no_obstacle(home: Path) -> None:
    running_server(home)
    _kill_server(home)
    release_server(home)
    pid_file = home / "postgres" / "postmaster.pid"
    lines = ["1", str(home / "postgres"), "0", "5432", str(home / "run"), "", "  1   1", "ready   "]
    pid_file.write_text("\n".join(lines) + "\n")
    with psycopg.connect(running_server(home).url("postgres")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_an_initialisation_that_was_cut_short_is_begun_again(home: Path) -> None:
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "base").mkdir()
    (home / "postgres" / "postgresql.conf").write_text("half a li")
    with psycopg.connect(running_server(home).url("postgres")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs under another account")
def test_a_home_copied_by_root_without_its_owners_starts(home: Path, tmp_path: Path) -> None:
    running_server(home)
    release_server(home)
    _kill_server(home)
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(home), str(copy)], check=True)
    assert (copy / "postgres" / "PG_VERSION").owner() == "root"
    try:
        with psycopg.connect(running_server(copy).url("postgres")) as connection:
            assert connection.execute("select 40 + 2").fetchone() == (42,)
    finally:
        release_server(copy)
        _kill_server(copy)


def test_a_directory_of_another_version_is_refused_and_left_alone(home: Path) -> None:
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 16"):
        running_server(home)
    assert (home / "postgres" / "PG_VERSION").read_text() == "16\n"


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(ConfigurationError, match="no space left on the disk"):
            running_server(disk / "home")
    finally:
        release_server(disk / "home")
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_home_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(ConfigurationError, match="Set OPS_HOME to a directory you may write"):
        running_server(blocker / "home")


def test_a_very_long_home_still_gets_a_socket(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 60) / ("y" * 60)
    home.parent.mkdir()
    try:
        with psycopg.connect(running_server(home).url("postgres")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        release_server(home)


def test_works_as_a_normal_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this whole suite already runs as a normal user")
    shared = Path("/tmp") / f"ops-user-{os.getpid()}"
    shared.mkdir()
    shutil.chown(shared, "nobody")
    try:
        try:
            child = _child(shared / "home", user="nobody")
        except PermissionError:
            pytest.skip("this Python is not executable by other users, so none can be tried")
        out, err = child.communicate(timeout=120)
        assert out.strip() == "42", err
        assert (shared / "home" / "postgres").owner() == "nobody"
        time.sleep(0.2)
    finally:
        shutil.rmtree(shared, ignore_errors=True)
