"""The watchdog as it runs: the real script under dash, a real database, a real gRPC server, and everything broken."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_platform.fleet import observations
from tests.conftest import Connect
from tests.fleet.dog import SCRIPT, SECRET, SHELL, Dog, Mailbox
from tests.fleet.scenes import receipt, tick

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAEMONS = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR", "MONITORING")


@pytest.fixture(scope="module")
def box() -> Iterator[Mailbox]:
    server = Mailbox()
    yield server
    server.shutdown()


@pytest.fixture
def dog(tmp_path: Path, box: Mailbox) -> Dog:
    box.posts.clear()
    box.refusing, box.pings = False, 0
    return Dog.at(tmp_path, box)


@pytest.fixture
def kept(dog: Dog, warehouse: Connect, server_home: Path) -> Dog:
    """A dog whose database answers: one of the test's stands for both, with Dagster's own tables in it."""
    from dagster._core.storage.runs.schema import RunStorageSqlMetadata
    from sqlalchemy import create_engine

    (dog.home / "postgres").symlink_to(server_home / "postgres")
    with warehouse() as connection:
        info = connection.info
        name = info.dbname
        engine = create_engine(f"postgresql+psycopg2://{info.user}@/{name}?host={info.host}&port={info.port}")
        RunStorageSqlMetadata.create_all(engine)
        engine.dispose()
        beat(connection, 5)
    dog.environment |= {"OPS_WATCHDOG_WAREHOUSE": name, "OPS_WATCHDOG_DAGSTER": name}
    return dog


def beat(connection: Any, seconds: float) -> None:
    for daemon in DAEMONS:
        connection.execute(
            "insert into daemon_heartbeats (daemon_type, timestamp) values (%s, (now() at time zone 'utc') - %s)"
            " on conflict (daemon_type) do update set timestamp = excluded.timestamp",
            (daemon, timedelta(seconds=seconds)),
        )


def run(connection: Any, job: str, at: datetime, tick_of: datetime | None = None) -> None:
    run_id = f"{job}-{at.timestamp()}"
    connection.execute(
        "insert into runs (run_id, pipeline_name, create_timestamp) values (%s, %s, %s)",
        (run_id, job, at.astimezone(UTC).replace(tzinfo=None)),
    )
    if tick_of is not None:
        connection.execute(
            "insert into run_tags (run_id, key, value) values (%s, '.dagster/scheduled_execution_time', %s)",
            (run_id, tick_of.isoformat()),
        )


def test_the_script_is_plain_posix() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert subprocess.run([SHELL, "-n", str(SCRIPT)], check=False).returncode == 0
    assert os.stat(SCRIPT).st_mode & stat.S_IXUSR
    for bashism in (r"\[\[ ", r"/dev/tcp", r"\blocal ", r"<<<", r"\bpython3? ", r"\bfunction ", r"&>"):
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        assert not re.search(bashism, code), bashism


def test_silent_when_all_is_well(kept: Dog) -> None:
    assert kept.told() == "" == kept.told()
    assert kept.box.pings == 2
    assert [(each.observer, each.down) for each in observations.read(kept.home)] == [("watchdog", ())] * 2


def test_a_database_that_is_away_is_told_once_and_so_is_its_end(dog: Dog, server_home: Path) -> None:
    said = dog.told()
    assert said.startswith("🔴 Watchdog on here\n• The database does not answer: there is none in")
    assert dog.told() == ""
    assert observations.read(dog.home)[-1].down == ("database",)
    (dog.home / "postgres").symlink_to(server_home / "postgres")
    over = dog.told(OPS_WATCHDOG_WAREHOUSE="postgres", OPS_WATCHDOG_DAGSTER="postgres")
    assert "Over:\n• The database does not answer" in over and "over after less than a minute" in over


def test_what_lasts_is_told_again_after_a_day(dog: Dog) -> None:
    assert dog.told()
    memory = dog.home / "watchdog" / "told"
    yesterday = int(time.time()) - 25 * 3600
    memory.write_text(re.sub(r"(database:down\t)\d+\t\d+", rf"\g<1>{yesterday}\t{yesterday}", memory.read_text()))
    assert "(since " in dog.told()
    assert dog.told() == ""


def test_what_could_not_be_looked_at_is_not_over(kept: Dog, warehouse: Connect) -> None:
    with warehouse() as connection:
        beat(connection, 900)
    assert "The daemon gives no sign of life" in kept.told()
    link = kept.home / "postgres"
    link.rename(kept.home / "away")
    said = kept.told()
    assert "The database does not answer" in said and "daemon" not in said
    (kept.home / "away").rename(link)
    with warehouse() as connection:
        beat(connection, 1)
    over = kept.told()
    assert "The database does not answer" in over and "The daemon gives no sign of life" in over
    assert over.startswith("🟢")


def test_a_daemon_that_never_ran(kept: Dog, warehouse: Connect) -> None:
    with warehouse() as connection:
        connection.execute("delete from daemon_heartbeats")
    assert "The daemon has never run" in kept.told()


def test_ticks_that_nobody_answered(kept: Dog, warehouse: Connect) -> None:
    now = datetime.now(UTC)
    kept.environment["OPS_ENV"] = "production"
    with warehouse() as connection:
        for job in ("answered", "late_run", "by_hand", "forgotten", "older_miss", "too_young"):
            tick(connection, job, now + 5 * 24 * HOUR, now + 6 * 24 * HOUR)
        for job in ("answered", "late_run", "by_hand", "forgotten"):
            tick(connection, job, now - 2 * HOUR, now + 22 * HOUR)
        tick(connection, "too_young", now - 10 * MINUTE, now + HOUR)
        for hours in (3, 2):
            tick(connection, "older_miss", now - hours * HOUR, now - (hours - 1) * HOUR)
        run(connection, "answered", now - 119 * MINUTE, now - 2 * HOUR)
        run(connection, "late_run", now - MINUTE, now - 2 * HOUR)
        run(connection, "by_hand", now - 30 * MINUTE)
        run(connection, "older_miss", now - 119 * MINUTE, now - 2 * HOUR)
        run(connection, "forgotten", now - 25 * HOUR)
    said = kept.told()
    assert re.findall(r"• (\w+) was due at", said) == ["forgotten"]
    with warehouse() as connection:
        run(connection, "forgotten", now - MINUTE, now - 2 * HOUR)
    assert "forgotten was due" in kept.told()  # over
    assert kept.told() == ""


def test_ticks_are_expected_only_where_they_run_by_themselves(kept: Dog) -> None:
    assert kept.told(OPS_ENV="development") == ""
    assert "Nobody says any more when jobs are due" in kept.told(OPS_ENV="production")


def test_a_bot_that_brings_nothing_to_an_end(kept: Dog, warehouse: Connect) -> None:
    now = datetime.now(UTC)
    kept.environment["OPS_ENV"] = "production"
    with warehouse() as connection:
        tick(connection, "hourly", now + 48 * HOUR, now + 49 * HOUR)
        for hours in (4, 3, 2):
            tick(connection, "hourly", now - hours * HOUR, now - (hours - 1) * HOUR)
            run(connection, "hourly", now - hours * HOUR + MINUTE, now - hours * HOUR)
            receipt(connection, "hourly", now - hours * HOUR + MINUTE, "failed" if hours < 4 else "succeeded")
    said = kept.told()
    assert "The bot coordinator brought nothing to an end since" in said and "2 of its jobs were due" in said
    with warehouse() as connection:
        receipt(connection, "hourly", now - HOUR)
    assert kept.told().startswith("🟢")


def test_messages_that_wait(kept: Dog, warehouse: Connect) -> None:
    with warehouse() as connection:
        for number, (state, hours) in enumerate(
            (("pending", 2), ("pending", 0), ("held", 0), ("failed", 2), ("failed", 30))
        ):
            connection.execute(
                "insert into ops.outbox (id, dedupe_key, kind, channel_key, channel, payload, payload_hash, state,"
                " created_at, updated_at) values (gen_random_uuid(), %s, 'alert', 'alerts', 'C1', '{}', 'x', %s,"
                " now() - %s, now() - %s)",
                (str(number), state, hours * HOUR, hours * HOUR),
            )  # fmt: skip
    said = kept.told()
    for words in (
        "1 message(s) wait for more than an hour",
        "1 message(s) may or may not",
        "1 message(s) of the last day",
    ):
        assert words in said


def test_the_machine(kept: Dog) -> None:
    assert kept.told() == ""
    kept.machine(free=3, killed=2, running=time.time() - 1_700_000_000)
    said = kept.told()
    assert "Only 58 MB of memory (3 %)" in said and "ended 2 process(es) for want of memory" in said
    kept.machine(free=60, killed=2)
    over = kept.told()
    # That processes were ended is an event: it is never over.
    assert "Over:\n• Only 58 MB" in over and "want of memory" not in over
    kept.machine(running=time.time() - 1_700_000_000 - 7200)
    assert "clock was set forward by 2 h" in kept.told()
    kept.machine(running=time.time() - 1_700_000_000 + 3600)
    assert "clock was set back by 3 h" in kept.told()
    kept.machine(killed=9, running=60, boot="b2")  # started anew: nothing to compare with
    assert kept.told() == ""


def test_disk_and_backup(kept: Dog, tmp_path: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "df").write_text("#!/bin/sh\necho Filesystem\necho /dev/x 1000000 970000 30000 97% /data\n")
    (fake / "df").chmod(0o755)
    old = time.time() - 30 * 3600
    sums = kept.home / "backups" / "today" / "SHA256SUMS"
    os.utime(sums, (old, old))
    (kept.home / "backups" / "new.partial").mkdir()
    (kept.home / "backups" / "new.partial" / "SHA256SUMS").write_text("x")  # one that is being made is none yet
    path = f"{fake}:{os.environ['PATH']}"
    said = kept.told(path=path, OPS_WATCHDOG_DISK_PERCENT="10")
    assert said.startswith("🔴") and "The disk /data has 3 % left (29 MB)" in said
    assert "The newest backup is older than 26 hours: today." in said
    os.utime(sums)
    (sums.parent / "drill.json").write_text('{"equal": false}')
    assert "could not be restored as it was" in kept.told(path=path, OPS_WATCHDOG_DISK_PERCENT="10")
    sums.unlink()
    assert "No backup was ever made" in kept.told(path=path, OPS_WATCHDOG_DISK_PERCENT="10")


def test_what_could_not_be_told_is_told_the_next_time(dog: Dog) -> None:
    dog.box.refusing = True
    done = dog.look()
    assert done.returncode == 1 and dog.box.pings == 0
    assert "The database does not answer" in done.stderr and SECRET not in done.stderr + done.stdout
    dog.box.refusing = False
    assert "The database does not answer" in dog.told()
    assert dog.box.pings == 1


def test_without_a_webhook_it_says_so_and_fails(dog: Dog) -> None:
    done = dog.look(OPS_WATCHDOG_WEBHOOK="")
    assert done.returncode == 1 and "OPS_WATCHDOG_WEBHOOK is not set" in done.stderr
    assert "The database does not answer" in done.stderr


def test_memory_outlives_a_disk_that_takes_nothing(dog: Dog) -> None:
    (dog.home / "watchdog").write_text("in the way")  # as a full disk: nothing can be written there
    aside = None
    try:
        assert "The database does not answer" in dog.told()
        assert dog.told() == ""
        found = [path for path in Path("/dev/shm").glob("ops-watchdog-*") if (path / "told").exists()]
        aside = max(found, key=lambda path: path.stat().st_mtime)
        (dog.home / "watchdog").unlink()
        assert dog.told() == "" and not aside.exists()
    finally:
        if aside is not None and aside.exists():
            (aside / "told").unlink(missing_ok=True)
            aside.rmdir()


def test_a_planned_stop_is_quiet_and_forgets_nothing(dog: Dog) -> None:
    assert dog.look("--quiet", "30").returncode == 0
    assert dog.told() == "" and dog.box.pings == 1
    (dog.home / "watchdog" / "quiet-until").write_text(str(int(time.time()) - 1))
    assert "The database does not answer" in dog.told()


def test_hostile_names_reach_no_markup(kept: Dog) -> None:
    stack = kept.home / "stack.json"
    stack.write_text('{"services": {"<!channel> `rm` $(id) * &": {"state": "given up", "pid": null}}}')
    said = kept.told()
    assert "&lt;!channel&gt;" in said and "<!channel>" not in said and "$(id)" in said


def test_a_service_that_was_left_down_is_told_while_its_supervisor_lives(kept: Dog) -> None:
    (kept.home / "stack.json").write_text(
        '{"supervisor": 4711, "services": {"web": {"state": "given up", "pid": null}}}'
    )
    (kept.proc / "4711").mkdir()
    assert "web ended too often" in kept.told()
    (kept.proc / "4711").rmdir()
    over = kept.told()
    assert "🟢" in over and "Over:" in over and "🔴" not in over


def test_settings_are_read_and_never_run(dog: Dog, tmp_path: Path) -> None:
    settings = tmp_path / "settings.env"
    settings.write_text(
        f"# comment\nOPS_HOME='{dog.home}'\nOPS_WATCHDOG_NAME=\"$(touch {tmp_path}/pwned)`id`\"\n"
        f"OPS_WATCHDOG_WEBHOOK = {dog.box.url}/hook\nOPS_WATCHDOG_REPEAT_HOURS=soon\n"
    )
    done = subprocess.run(
        [SHELL, str(SCRIPT), "--env", str(settings)],
        env={"PATH": os.environ["PATH"], "OPS_WATCHDOG_PROC": str(dog.proc), "NO_PROXY": "*"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "REPEAT_HOURS is no whole number; 24 is taken" in done.stderr
    assert dog.box.posts[-1].startswith(f"🔴 Watchdog on $(touch {tmp_path}/pwned)`id`")
    assert not (tmp_path / "pwned").exists()


def test_secrets_are_on_no_command_line(dog: Dog, tmp_path: Path) -> None:
    fake, log = tmp_path / "bin", tmp_path / "argv"
    fake.mkdir()
    for tool in ("curl", "psql"):
        (fake / tool).write_text(
            f'#!/bin/sh\necho "{tool} $*" >>{log}\n[ {tool} = psql ] && env | grep ^PG >>{log}.pg\n'
            f'PATH={os.environ["PATH"]}\n[ {tool} = psql ] && exit 2\nexec {tool} "$@"\n'
        )
        (fake / tool).chmod(0o755)
    path = f"{fake}:{os.environ['PATH']}"
    url = "postgresql://o%70s:p%40ss%20w%25rd%5C@db.example:6543/postgres?sslmode=require"
    assert "The database does not answer" in dog.told(path=path, OPS_DATABASE_URL=url)
    called = log.read_text()
    assert SECRET not in called and "p@ss" not in called and "p%40ss" not in called and "curl" in called
    given = dict(line.split("=", 1) for line in (tmp_path / "argv.pg").read_text().splitlines())
    assert (given["PGUSER"], given["PGPASSWORD"], given["PGHOST"], given["PGPORT"], given["PGSSLMODE"]) == (
        "ops", "p@ss w%rd\\", "db.example", "6543", "require",
    )  # fmt: skip


def test_without_curl_it_posts_by_wget(dog: Dog, tmp_path: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    tools = (
        "awk basename cat cksum cut date df dirname find grep id kill ls mkdir mv od psql rm sed sleep sort timeout tr"
    )
    for tool in f"{tools} uname wc wget".split():
        found = shutil.which(tool)
        if found:
            (fake / tool).symlink_to(found)
    if not (fake / "wget").exists():
        pytest.skip("no wget here")
    assert "The database does not answer" in dog.told(path=str(fake))
    assert dog.box.pings == 1


def test_code_server_and_web(kept: Dog, tmp_path_factory: pytest.TempPathFactory) -> None:
    import grpc  # type: ignore[import-untyped]
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

    (kept.home / "dagster").mkdir()
    socket = Path(tmp_path_factory.mktemp("s")) / "c.sock"
    (kept.home / "dagster" / "workspace.yaml").write_text(
        f'load_from:\n  - grpc_server:\n      socket: "{socket}"\n      location_name: ops_platform\n'
    )
    port = kept.box.url.rpartition(":")[2]
    said = kept.told(OPS_WEB_PORT="1")
    assert "The code server does not answer" in said and "web does not answer on port 1" in said
    assert observations.read(kept.home)[-1].down == ("code server", "web")
    server, servicer = grpc.server(ThreadPoolExecutor(2)), health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    servicer.set("DagsterApi", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        over = kept.told(OPS_WEB_PORT=port)
        assert "The code server does not answer" in over and over.startswith("🟢")
        servicer.set("DagsterApi", health_pb2.HealthCheckResponse.NOT_SERVING)
        assert "The code server does not answer" in kept.told(OPS_WEB_PORT=port)
    finally:
        server.stop(None)


def test_one_watchdog_at_a_time(dog: Dog) -> None:
    lock = dog.home / "watchdog" / "lock"
    lock.mkdir(parents=True)
    (lock / "pid").write_text(str(os.getpid()))
    assert dog.told() == "" and dog.box.pings == 0
    (lock / "pid").write_text("999999999")  # it died without a word
    assert "The database does not answer" in dog.told()
    assert not lock.exists()


@pytest.mark.parametrize("option", ["--nonsense", "--quiet"])
def test_wrong_use(dog: Dog, option: str) -> None:
    assert dog.look(option).returncode == 2
