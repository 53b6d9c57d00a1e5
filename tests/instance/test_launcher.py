"""Runs as real processes on a real instance: whose credentials they see, what becomes of one that dies, what is kept
of credentials anywhere."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ops_platform.settings import PROJECT_ROOT, Settings, reset_settings

SECRET_FIELDS = sorted(name for name, field in Settings.model_fields.items() if "SecretStr" in repr(field))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A prepared home whose settings hold a canary in every credential; what each holds."""
    from ops_platform.commands.prepare import prepare_dagster
    from ops_platform.database import connect, migrate
    from ops_platform.database.migrations import create_databases
    from ops_platform.database.server import release_server

    base = tmp_path_factory.mktemp("instance")
    directory = base / "credentials"
    directory.mkdir(mode=0o700)
    canaries = {name: f"canary-{number:02}-Zq9x{number * 7919:06}" for number, name in enumerate(SECRET_FIELDS)}
    canaries["ops_database_url"] = ""
    canaries["app_database_url"] = "postgresql://reader:canary-password-77@127.0.0.1:1/app"
    canaries["smtp_url"] = "smtp://mail:canary-password-88@127.0.0.1:1" if "smtp_url" in canaries else ""
    canaries["netsuite_private_key"] = (
        "-----BEGIN PRIVATE KEY-----\n" + "\n".join("canarykeyline" + str(n) * 40 for n in range(3))
        + "\n-----END PRIVATE KEY-----"
    )  # fmt: skip
    (directory / "sales.env").write_text(
        "HUBSPOT_TOKEN=canary-of-sales-alone-1\nKLAVIYO_API_KEY=canary-sales-klaviyo-2\n"
    )
    (directory / "marketing.env").write_text("HUBSPOT_TOKEN=canary-of-marketing-alone-3\n")
    for file in directory.iterdir():
        file.chmod(0o600)
    patch = pytest.MonkeyPatch()
    for name in Settings.model_fields:
        patch.setenv(name.upper(), canaries.get(name, ""))
        if name not in canaries:
            patch.delenv(name.upper())
    patch.setenv("OPS_HOME", str(base / "home"))
    patch.setenv("OPS_CREDENTIALS", str(directory))
    patch.setenv("TOLD", str(base / "told"))
    reset_settings()
    with connect("postgres", autocommit=True) as maintenance:
        create_databases(maintenance, ("warehouse", "dagster"))
    with connect() as connection:
        migrate(connection)
    patch.setenv("DAGSTER_HOME", "")
    patch.setenv("OPS_DAGSTER_DATABASE_URL", "")
    prepare_dagster()
    seen = {name: value for name, value in canaries.items() if value}
    yield base, seen
    release_server(base / "home")
    patch.undo()
    reset_settings()


def run(job: str, patience: float = 90.0) -> Any:
    """Have the instance's own launcher run a job of the code location; the run as it stands when it is over."""
    from dagster import DagsterInstance, DagsterRunStatus
    from dagster._core.definitions.reconstruct import ReconstructableJob, reconstructable
    from dagster._core.launcher.base import LaunchRunContext
    from dagster._core.storage.dagster_run import DagsterRun

    import tests.instance.code_location as location
    from ops_platform.instance.launcher import WORKER_TAG
    from ops_platform.instance.processes import living

    with DagsterInstance.get() as instance:
        reconstructed = reconstructable(getattr(location, job))
        assert isinstance(reconstructed, ReconstructableJob)
        made = instance.create_run_for_job(
            getattr(location, job), job_code_origin=reconstructed.get_python_origin(),
            tags=getattr(location, job).tags, status=DagsterRunStatus.STARTING,
        )  # fmt: skip
        launcher = instance.run_launcher
        launcher.launch_run(LaunchRunContext(dagster_run=made, workspace=None))
        until = time.monotonic() + patience
        while time.monotonic() < until:
            found = instance.get_run_by_id(made.run_id)
            assert isinstance(found, DagsterRun)
            if found.is_finished:
                # What it printed is gone through before its process ends.
                while living(found.tags.get(WORKER_TAG, "")) is not None and time.monotonic() < until:
                    launcher.check_run_worker_health(found)
                    time.sleep(0.1)
                return found
            if found.status is DagsterRunStatus.STARTED:
                health = launcher.check_run_worker_health(found)
                if health.status.value != "RUNNING":
                    instance.report_run_failed(found, str(health))
            time.sleep(0.2)
    raise AssertionError(f"{job} did not end: {instance.run_launcher.get_run_worker_debug_info(made)}")


def test_a_run_sees_its_bots_credentials_over_the_shared_ones(home: tuple[Path, dict[str, str]]) -> None:
    finished = run("telling")
    assert finished.status.value == "SUCCESS"
    assert (home[0] / "told").read_text() == "sales canary-of-sales-alone-1"


def test_no_credential_is_kept_anywhere(home: tuple[Path, dict[str, str]]) -> None:
    """A job that writes every credential wherever it can; then all of both databases and the home, searched."""
    from ops_platform.backup.making import make
    from ops_platform.backup.programs import program
    from ops_platform.backup.programs import run as run_program
    from ops_platform.settings import get_settings

    base, seen = home
    finished = run("leaking")
    assert finished.status.value == "FAILURE"
    backup = make(base / "backup")
    haystacks = {}
    for database in ("warehouse", "dagster"):
        text = base / f"{database}.sql"
        run_program([program("pg_dump", 18), f"--file={text}"], database, get_settings())
        haystacks[text] = text.read_bytes()
        text.unlink()
    for file in [*(base / "home").rglob("*"), *backup.path.rglob("*")]:
        if file.is_file() and "postgres" not in file.parts:
            haystacks[file] = file.read_bytes()
    needles = [line for value in seen.values() for line in value.splitlines() if len(line) > 30 or "canary" in line]
    needles += ["canary-password-77", "canary-password-88", "canary-of-sales-alone-1", "canary-sales-klaviyo-2",
                "canary-of-marketing-alone-3"]  # fmt: skip
    needles = [needle for needle in needles if "PRIVATE KEY" not in needle]
    assert len(needles) >= 20
    found = [
        (str(place), needle)
        for place, content in haystacks.items()
        for needle in needles
        if needle.encode() in content or quote(needle, safe="").encode() in content
    ]
    assert found == []
    everything = b"".join(haystacks.values())
    # It did write, and what it wrote was gone through.
    assert everything.count(b"logged by Dagster: [secret]") >= 15
    assert everything.count(b"printed: [secret]") >= 30
    assert b"failed with [secret]" in everything


def test_a_run_whose_process_dies_is_found_and_a_loop_isolates_its_bot(home: tuple[Path, dict[str, str]]) -> None:
    from dagster._core.errors import DagsterLaunchFailedError

    from ops_platform.database import connect
    from ops_platform.instance.crashes import isolations, release

    for _ in range(3):
        began = time.monotonic()
        assert run("dying").status.value == "FAILURE"
        assert time.monotonic() - began < 90
    with pytest.raises(DagsterLaunchFailedError, match="ops bot release marketing"):
        run("dying")
    assert run("telling").status.value == "SUCCESS"
    with connect() as connection:
        now = datetime.now(UTC)
        assert [one.bot for one in isolations(connection, now)] == ["marketing"]
        assert isolations(connection, now + timedelta(hours=7)) == []
        release(connection, "marketing", by="somebody", at=now)
        assert isolations(connection, now) == []
        connection.rollback()


def test_deaths_far_apart_are_no_loop(warehouse: Any) -> None:
    from ops_platform.instance.crashes import isolations, note_death

    noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    with warehouse() as connection:
        for number, minutes in enumerate((0, 16, 31, 47)):
            at = noon + timedelta(minutes=minutes)
            note_death(connection, run_id=str(number), bot="sales", job="pulse", why="gone", at=at)
            note_death(connection, run_id=str(number), bot="sales", job="pulse", why="told twice", at=at)
        assert isolations(connection, noon + timedelta(hours=1)) == []
        note_death(connection, run_id="5", bot="sales", job="pulse", why="gone", at=noon + timedelta(minutes=60))
        assert [one.bot for one in isolations(connection, noon + timedelta(hours=1))] == ["sales"]


def test_a_process_is_told_apart_from_a_later_one_and_another_machines() -> None:
    from ops_platform.instance.processes import here, identity, living

    own = identity(os.getpid())
    assert living(own) == os.getpid()
    assert living(re.sub(r":\d+$", ":1", own)) is None
    assert living(own.replace(here(), "another-boot:pid:[1]")) is None
    assert living(f"{here()}:999999999:1") is None
    assert living("") is None
    assert (PROJECT_ROOT / "dagster.yaml").exists()
