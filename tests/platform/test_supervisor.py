"""The supervisor's services: restarted with growing pauses, left down when they cannot stay, ended with their
supervisor; and log files that do not grow for ever."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops_platform.commands import stack
from ops_platform.commands.services import SUPERVISOR, refuse_taken_port
from ops_platform.failures import ConfigurationError
from ops_platform.log_files import Rotation
from ops_platform.settings import PROJECT_ROOT


def watched(service: stack.Service, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not service.given_up:
        service.keep_running()
        time.sleep(0.01)


def test_a_crash_loop_stops_alone_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "LONGEST_PAUSE_SECONDS", 0.05)
    crashing = stack.Service(
        "bad", [sys.executable, "-c", "raise SystemExit('port 3000 is taken')"], tmp_path / "bad.log"
    )
    steady = stack.Service("good", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "good.log")
    try:
        steady.keep_running()
        watched(crashing, 30)
        assert crashing.given_up
        assert len(crashing.starts) == stack.RESTARTS_ALLOWED + 1
        assert crashing.last_words() == "port 3000 is taken"
        assert steady.state == "running"
    finally:
        assert steady.process is not None
        steady.process.kill()


def test_pauses_grow(tmp_path: Path) -> None:
    crashing = stack.Service("bad", [sys.executable, "-c", "raise SystemExit(1)"], tmp_path / "bad.log")
    watched(crashing, 2.0)
    assert 2 <= len(crashing.starts) <= 3
    assert not crashing.given_up


def test_services_end_with_a_supervisor_that_is_killed() -> None:
    """SIGKILL leaves the supervisor no chance to tidy up; the kernel does it."""
    child = (
        "import os, time\nfrom ops_platform.commands.services import _end_with_supervisor\n"
        "_end_with_supervisor()\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys\n"
        f"env = {{**os.environ, {SUPERVISOR!r}: str(os.getpid())}}\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], env=env)"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", parent], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert supervisor.stdout is not None
    service = int(supervisor.stdout.readline())
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(10)
    until = time.monotonic() + 50
    while time.monotonic() < until and Path(f"/proc/{service}").exists():
        if Path(f"/proc/{service}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{service}").exists()


def test_what_a_killed_supervisor_left_behind_is_no_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its process id belongs to somebody else by now, who is neither taken for it nor ended in its place."""
    monkeypatch.setattr(stack, "_paths", lambda: (tmp_path / "stack.json", tmp_path / "logs"))
    mine = [stack.Service("web", ["true"], tmp_path / "web.log")]
    stack._write_state(tmp_path / "stack.json", mine)
    written = stack.stack_state()
    assert written is not None and written["supervisor"] == os.getpid()
    # What a release before this one wrote says no more than its process id.
    bare = {name: value for name, value in written.items() if name != "identity"}
    (tmp_path / "stack.json").write_text(json.dumps(bare))
    assert stack.stack_state() == bare
    (tmp_path / "stack.json").write_text(json.dumps(bare | {"supervisor": 2**22 + 1}))
    assert stack.stack_state() is None
    stack._write_state(tmp_path / "stack.json", mine)
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            old = (tmp_path / "stack.json").read_text().replace(f": {os.getpid()},", f": {other.pid},")
            # The same process id, begun at another time: the end of an identity is when it began.
            begun = str(written["identity"]).replace(f":{os.getpid()}:", f":{other.pid}:")
            (tmp_path / "stack.json").write_text(old.replace(str(written["identity"]), begun))
            assert stack.stack_state() is None
            assert stack.down() == 0 and "Nothing is up" in capsys.readouterr().out
            assert other.poll() is None
        finally:
            other.kill()


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            refuse_taken_port("127.0.0.1", port, "OPS_WEB_PORT")
    refuse_taken_port("127.0.0.1", port, "OPS_WEB_PORT")


# -- logs -----------------------------------------------------------------------------------------------------------


def test_a_large_log_is_turned_while_somebody_writes_it(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old line\n" * 200)
        assert Rotation([log], largest=1000).look() == [log]
        writer.write(b"new line\n")
    assert log.read_bytes() == b"new line\n"
    assert gzip.decompress((tmp_path / "web.log.1.gz").read_bytes()) == b"old line\n" * 200
    assert (tmp_path / "web.log.1.gz").stat().st_mode & 0o077 == 0


def test_only_the_last_few_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    for number in range(9):
        log.write_text(f"{number}" * 100)
        Rotation([log], largest=10, kept=3).look()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["web.log", "web.log.1.gz", "web.log.2.gz", "web.log.3.gz"]
    assert [gzip.decompress((tmp_path / f"web.log.{n}.gz").read_bytes())[:1] for n in (1, 2, 3)] == [b"8", b"7", b"6"]


def test_a_small_log_and_none_are_left_alone(tmp_path: Path) -> None:
    small = tmp_path / "small.log"
    small.write_text("x")
    rotation = Rotation([small, tmp_path / "none.log"])
    assert rotation.look() == []
    assert os.listdir(tmp_path) == ["small.log"]
