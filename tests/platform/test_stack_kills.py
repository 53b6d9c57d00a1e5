"""`ops up` killed whole, at chance moments while jobs run: supervisor, web page, code server, daemon, runs and database
at once; then `ops up` again and nothing else. What was asked for is done, what was to be told is told once."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.sizes import times

TRIALS = times(12, 6)
SEED = 7
#: From the kill to the end of what was asked for before it.
BOUND_SECONDS = 600.0
#: A job lasts some ten seconds, after the daemon has taken it up within ten.
LONGEST_LIFE = 25.0
OF_THE_STACK = {
    "supervisor": "up --foreground", "web": "service web", "daemon": "instance.pace", "code server": "api grpc",
    "database": "postgres",
}  # fmt: skip
BINARIES = Path(sys.executable).parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * 3600)]


class Stack:
    """The platform of one home beside a company of its own, with everything connected."""

    def __init__(self, home: Path, sandbox: Sandbox) -> None:
        now = datetime.now(UTC)
        sandbox.control("POST", "clock", {"now": now.isoformat(), "ticking": True})
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        # It is noon wherever this runs: in the night much waits for the morning.
        zone = f"Etc/GMT{now.hour - 12:+d}" if now.hour != 12 else "Etc/GMT"
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OPS_", "PYTEST"))}
        self.home, self.sandbox = home, sandbox
        self.environment = {
            **clean, **sandbox.control("GET", "environment"), "OPS_HOME": str(home), "OPS_WEB_PORT": str(port),
            "OPS_TIMEZONE": zone, "OPS_ENV": "production",
        }  # fmt: skip

    def ops(self, *words: str) -> str:
        done = subprocess.run(
            [str(BINARIES / "ops"), *words], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (words, done.stdout[-1500:], done.stderr[-2500:])
        return done.stdout

    def launch(self, job: str) -> None:
        """Have the daemon run it, as the web page does."""
        dagster = {
            "DAGSTER_HOME": str(self.home / "dagster"),
            "OPS_DAGSTER_DATABASE_URL": f"postgresql://postgres@/dagster?host={self.home / 'run'}",
        }
        workspace = str(self.home / "dagster" / "workspace.yaml")
        subprocess.run(
            [str(BINARIES / "dagster"), "job", "launch", "-w", workspace, "-j", job],
            env=self.environment | dagster, check=True, capture_output=True,
        )  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        """All that lives of it."""
        found: dict[int, psutil.Process] = {}
        with suppress(OSError, psutil.Error):  # the database's environment names no home
            server = psutil.Process(int((self.home / "postgres" / "postmaster.pid").read_text().split()[0]))
            found = {each.pid: each for each in (server, *server.children())}
        for process in psutil.process_iter():
            if _belongs(process, self.home):
                found[process.pid] = process
        return list(found.values())

    def kill(self) -> list[str]:
        """SIGKILL for all of it; what each was."""
        processes, words = self.processes(), []
        for process in processes:
            with suppress(psutil.Error):
                words.append(" ".join(process.cmdline()))
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=20)
        return words

    def ask(self, database: str, query: str, *given: Any) -> list[Any]:
        with psycopg.connect(f"host={self.home / 'run'} user=postgres dbname={database}") as connection:
            return connection.execute(query.encode(), given).fetchall()

    def done(self, job: str, since: datetime) -> bool:
        """Whether all its steps are done, in one run or in those made in its place. (One killed after its last step
        counts as failed, with nothing left to do.)"""
        query = """
            with runs_since as (
                select run_id, status from runs where pipeline_name = %s and create_timestamp >= %s
            ), steps as (
                select step_key, bool_or(dagster_event_type = 'STEP_SUCCESS') as succeeded
                from event_logs join runs_since using (run_id)
                where dagster_event_type in ('ASSET_MATERIALIZATION_PLANNED', 'STEP_SUCCESS') group by step_key
            )
            select bool_and(succeeded) from steps
            where not exists (select 1 from runs_since where status not in ('SUCCESS', 'FAILURE', 'CANCELED'))
        """
        return self.ask("dagster", query, job, since.replace(tzinfo=None)) == [(True,)]

    def left(self) -> list[Any]:
        """What is still under way: runs, messages, receipts that nobody has closed, places in a pool."""
        return [
            *self.ask(
                "dagster",
                "select pipeline_name, status from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')"
                " union all select run_id, concurrency_key from pending_steps"
                " union all select run_id, concurrency_key from concurrency_slots where run_id is not null",
            ),
            *self.ask(
                "warehouse",
                "select channel, state from ops.outbox where state in ('pending', 'sending')"
                " union all select job, status from ops.receipts where status = 'running'",
            ),
        ]

    def quiet(self, within: float) -> None:
        """Wait until nothing is under way."""
        until = time.monotonic() + within
        while left := self.left():
            assert time.monotonic() < until, left
            time.sleep(1)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Up, with everything read and built once; in memory where there is some, for nothing here depends on a disk."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="ops-kills-", dir=place) as scratch:
        home = Path(scratch) / "home"
        home.mkdir()
        (Path(scratch) / "vendors").mkdir()
        Path(scratch).chmod(0o755)
        with running_sandbox(Path(scratch) / "vendors", company=True) as sandbox:
            stack = Stack(home, sandbox)
            try:
                stack.ops("run", "nightly_collection")
                stack.ops("up")
                yield stack
            finally:
                with suppress(AssertionError):
                    stack.ops("down")
                stack.kill()


def test_all_of_it_killed_again_and_again(stack: Stack) -> None:
    from ops_platform.fleet import get_fleet

    chance = random.Random(SEED)
    # A narrative is asked for with its day.
    fleet = get_fleet()
    jobs = chance.sample([name for name in sorted(fleet.jobs) if not name.startswith("narrative_")], TRIALS)
    amid_a_run, slowest = 0, 0.0
    for job in jobs:
        asked = datetime.now(UTC)
        stack.launch(job)
        time.sleep(chance.uniform(0, LONGEST_LIFE))
        killed = stack.kill()
        for kind, words in OF_THE_STACK.items():
            assert any(words in command for command in killed), (kind, killed)
        amid_a_run += any("instance.worker" in command for command in killed)

        began = time.monotonic()
        assert "Up." in stack.ops("up")
        while not stack.done(job, asked):
            assert time.monotonic() - began < BOUND_SECONDS, (job, stack.ask(
                "dagster", "select pipeline_name, status, create_timestamp from runs order by id desc limit 8"
            ))  # fmt: skip
            time.sleep(0.5)
        took = time.monotonic() - began
        slowest = max(slowest, took)
        print(f"{job}: {len(killed)} processes killed; done {took:.0f} s later", flush=True)
        # Three deaths of one bot's runs within half an hour isolate it, which is another proof's matter.
        for bot in {fleet.jobs[job].bot, fleet.jobs["fleet_health"].bot}:
            stack.ops("bot", "release", bot)
    stack.quiet(300)

    assert amid_a_run >= TRIALS / 3  # most moments were amid a run
    outbox = stack.ask("warehouse", "select id::text, state from ops.outbox")
    told = Counter(stack.sandbox.outbox_ids())
    assert outbox and {state for _, state in outbox} == {"sent"}
    assert [each for each, seen in told.items() if seen > 1] == []
    by_mail = {each for (each,) in stack.ask("warehouse", "select outbox_id::text from ops.outbox_handovers")}
    assert set(told) <= {each for each, _ in outbox} == set(told) | by_mail
    mails = stack.sandbox.control("GET", "ledger?vendor=mail&kind=mail_accepted")
    identities = Counter(entry["detail"].get("message_id") for entry in mails)
    assert [each for each, seen in identities.items() if seen > 1] == []
    states = json.loads((stack.home / "stack.json").read_text())["services"]
    assert {service["state"] for service in states.values()} == {"running"}
    print(f"{len(told)} messages, {len(mails)} mails; slowest {slowest:.0f} s; {amid_a_run} of {TRIALS} amid a run")


def test_it_stops_and_leaves_nothing(stack: Stack) -> None:
    before = stack.processes()
    assert any("postgres" in each.name() for each in before)
    assert "Down." in stack.ops("down")
    assert not (stack.home / "stack.json").exists()
    _, left = psutil.wait_procs(before, timeout=30)  # the server goes when nobody uses it
    assert left == [] and stack.processes() == []


def _belongs(process: psutil.Process, home: Path) -> bool:
    with suppress(psutil.Error):
        return process.environ().get("OPS_HOME") == str(home)
    return False
