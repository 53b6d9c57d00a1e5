"""The whole group killed at chance moments, hour after hour, and begun anew: daemon and runs, and often the database.

    python -m tests.company_time.kills HOME TRIALS SEED

Belongs here: the stage (a few jobs of the fleet that each have one thing to tell every hour), the killing, what is
found afterwards. Does not belong here: kills at named points of one part (`tests/delivery`, `tests/faults`,
`tests/playbooks`), the supervisor and the code server, which hold nothing (`tests/platform/test_supervisor.py`).

Each trial is an hour of company time. What is new in it is put into the marts before its jobs are due; a group of
processes (the daemon with its runs) lives through it and is killed, all at once, after a time drawn by chance; a second
one is begun and left alone until nothing is left to do. One trial in four also loses the database, without a word.
Results go to `HOME/trials.jsonl`, a line a trial, as the vendor's side shows them.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.company_time.clock import CompanyClock, become_shifted
from tests.company_time.daemon import Daemon, prepare_forking, seen_by_supervisor, tell_server_the_time
from tests.company_time.forked import COSTS, leave_connections
from tests.company_time.timetable import ZONE

#: Job and bot, the mart it lists, and a row of it that is news under its number.
STAGE: dict[str, tuple[str, dict[str, Any]]] = {
    "review_monitor": (
        "fct_low_reviews",
        {"review_id": "{}", "rating": 1, "product_name": "Review {}", "review_day": "today", "is_verified": True},
    ),
    "lead_scoring": (
        "fct_leads_open", {"lead_id": "{}", "lead": "Lead {}", "tier": "hot", "score": 80, "days_quiet": 2},
    ),
    "custom_orders": (
        "fct_custom_orders_open",
        {"order_id": "{}", "order_name": "Order {}", "stage": "in_time", "promised_day": "today", "value": 10},
    ),
}  # fmt: skip
SPOKEN = {"review_monitor": "Review {}", "lead_scoring": "Lead {}", "custom_orders": "Order {}"}
CRON = "0 * * * *"
FIRST = datetime(2026, 10, 28, 6, 0, tzinfo=ZONE)
HOURS = 16  # from six to nine in the evening: what is told in the night waits for the morning
DATABASE_TOO = 0.25
#: A life that is not killed, in seconds; how long it really is shows as the trials go on.
LIFE_SECONDS = 8.0


def write_fleet(path: Path) -> None:
    """The company's fleet with only the jobs of the stage and its own health; they tell every hour what is there."""
    import yaml

    from ops_platform.settings import PROJECT_ROOT

    fleet = yaml.safe_load((PROJECT_ROOT / "fleet.yaml").read_text(encoding="utf-8"))
    fleet["jobs"] = {name: job for name, job in fleet["jobs"].items() if name in (*STAGE, "fleet_health")}
    for name in STAGE:
        fleet["jobs"][name].pop("event", None)
        fleet["jobs"][name].pop("reads", None)
        fleet["jobs"][name] |= {"cron": CRON, "collects": False}
    fleet["jobs"]["fleet_health"]["cron"] = CRON
    # What speaks of jobs that are not there.
    fleet["alert_rules"] = {}
    fleet["board_pack"]["hours_saved"] = {}
    fleet["delivery"]["documents"] = {}
    path.write_text(yaml.safe_dump(fleet), encoding="utf-8")


def hour_of(trial: int) -> datetime:
    """The moment at which the jobs of a trial are due: an hour of the company's day."""
    days, hours = divmod(trial, HOURS)
    return (FIRST + timedelta(days=days, hours=hours)).astimezone(UTC)  # by the company's clock, which is put back


class Group:
    """A daemon and its runs in a group of processes of their own."""

    def __init__(self, daemon: Daemon, moment: datetime) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setsid()
                leave_connections()
                daemon.begin()
                if daemon.clock.now() < moment:
                    daemon.clock.move_to(moment)
                daemon.work()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)

    def ended(self, within: float) -> int | None:
        """Its exit code, None where it still lives after so many seconds."""
        until = time.monotonic() + within
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= until:
                return None
            time.sleep(0.01)

    def kill(self) -> list[int]:
        """SIGKILL for every process of it at once; which there were."""
        members = _members(self.pid)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return members


def _members(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ProcessLookupError):
                if os.getpgid(int(entry.name)) == group:
                    found.append(int(entry.name))
    return found


def kill_database(home: Path) -> None:
    """SIGKILL for the server and all its processes."""
    postmaster = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    family = [postmaster]
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if entry.name.isdigit() and int(parent) == postmaster:
                family.append(int(entry.name))
    for process in family:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    until = time.monotonic() + 20
    while any(Path(f"/proc/{process}").exists() for process in family) and time.monotonic() < until:
        time.sleep(0.02)


def main() -> None:
    home, trials, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    become_shifted("tests.company_time.kills", home / "clock", FIRST - timedelta(minutes=10))
    from tests.delivery.slack_fake import TOKEN, running_slack

    write_fleet(home / "fleet.yaml")
    (home / "playbooks").mkdir(exist_ok=True)
    with running_slack() as slack:
        for name in [name for name in os.environ if name.startswith(("OPS_", "SLACK_")) and "OPS_TEST" not in name]:
            del os.environ[name]
        os.environ.update({
            "OPS_ENV": "production", "OPS_HOME": str(home), "OPS_WRITER": "rules", COSTS: str(home / "runs.jsonl"),
            "OPS_FLEET_FILE": str(home / "fleet.yaml"), "OPS_PLAYBOOKS": str(home / "playbooks"),
            "SLACK_BOT_TOKEN": TOKEN, "SLACK_BASE_URL": slack.url, "SLACK_CHANNEL_EXECUTIVE": "C0EXEC",
            "SLACK_CHANNEL_TEAM": "C0TEAM", "SLACK_CHANNEL_ALERTS": "C0ALERT",
        })  # fmt: skip
        tell_server_the_time()
        prepare_forking()
        _stage()
        clock, chance, life = CompanyClock(), random.Random(seed), LIFE_SECONDS
        with Daemon() as daemon:
            # The schedules begin to count before the first hour.
            assert Group(daemon, FIRST - timedelta(minutes=2)).ended(300) == 0
            for trial in range(trials):
                due = hour_of(trial)
                _news(trial, due)
                before = len(slack.posts())
                if clock.now() < due - timedelta(minutes=1):
                    clock.move_to(due - timedelta(minutes=1))
                seen_by_supervisor(home, clock.now())
                wait = chance.uniform(0, life)
                group = Group(daemon, due + timedelta(seconds=1))
                code, members, began = group.ended(wait), [], time.monotonic()
                if code is None:
                    members = group.kill()
                database = code is None and chance.random() < DATABASE_TOO
                if database:
                    kill_database(home)
                    from ops_platform.database.server import revive

                    assert revive(home)
                back = clock.now()
                after = Group(daemon, due + timedelta(seconds=1))
                ended = after.ended(600)
                took = time.monotonic() - began
                if not members or len(members) == 1:
                    life = (life + took) / 2  # what was begun anew did everything
                _keep(home / "trials.jsonl", {
                    "trial": trial, "due": due.isoformat(), "killed_after": round(wait, 2), "members": len(members),
                    "database": database, "ended": [code, ended], "seconds": round(took, 1),
                    **_found(daemon, home, due, back), "posts": [
                        {"channel": post["channel"], "ts": post["ts"], "text": _texts(post),
                         "outbox": post["metadata"]["event_payload"]["outbox_id"]}
                        for post in slack.posts()[before:]
                    ],
                })  # fmt: skip
        from ops_platform.database.server import release_server

    release_server(home)


def _stage() -> None:
    """Marts as their contracts have them, empty, with sources that are fresh."""
    from functools import partial

    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from tests.fleet import job_scene

    fleet, opened = get_fleet(), partial(connect, application="stage")
    views = [view for name in STAGE for view in fleet.jobs[name].report.views()]  # type: ignore[union-attr]
    job_scene.build(opened, views, [], FIRST)


def _news(trial: int, due: datetime) -> None:
    """One new thing for each job, and sources that are complete up to now."""
    from functools import partial

    from ops_platform.database import connect
    from tests.fleet import job_scene

    def filled(value: Any) -> Any:
        if value == "today":
            return due.astimezone(ZONE).date()
        return value.format(f"N{trial:03}") if isinstance(value, str) else value

    opened = partial(connect, application="stage")
    rows = {mart: [{key: filled(value) for key, value in row.items()}] for mart, row in STAGE.values()}
    job_scene.put(opened, rows)
    with opened() as connection:
        streams = ["airtable.product_reviews", "hubspot.contacts", "hubspot.companies", "shopify.orders"]
        job_scene.fresh(connection, streams, due)
        connection.commit()


def _found(daemon: Daemon, home: Path, due: datetime, back: datetime) -> dict[str, Any]:
    """What the platform's own tables say after a trial."""
    from ops_platform.database import DAGSTER, connect

    with connect() as connection:
        outbox = connection.execute("select state, count(*) from ops.outbox group by 1 order by 1").fetchall()
        receipts = connection.execute(
            "select job, status, count(*) from ops.receipts where started_at >= %s group by 1, 2 order by 1, 2", (due,)
        ).fetchall()
    with connect(DAGSTER) as connection:
        runs = connection.execute(
            "select pipeline_name, status, extract(epoch from end_time)::float8"
            " from (select pipeline_name, status, to_timestamp(end_time) as end_time from runs"
            " where create_timestamp >= %s) as made order by 1, 3",
            (due.replace(tzinfo=None),),
        ).fetchall()
        slots = connection.execute("select count(*) from pending_steps").fetchone() or (0,)
        held = connection.execute("select count(*) from concurrency_slots where run_id is not null").fetchone() or (0,)
    done = [end for job, status, end in runs if job in STAGE and status == "SUCCESS"]
    return {
        "outbox": dict(outbox), "receipts": receipts, "runs": [list(run[:2]) for run in runs],
        "slots": slots[0] + held[0], "minutes": round((max(done) - due.timestamp()) / 60, 2) if done else None,
        "minutes_back": round((max(done) - back.timestamp()) / 60, 2) if done else None,
    }  # fmt: skip


def _texts(post: dict[str, Any]) -> str:
    from tests.fleet.job_scene import texts

    blocks = post.get("blocks")
    return f"{post.get('text', '')} {texts(json.loads(blocks) if isinstance(blocks, str) else blocks)}"


def _keep(path: Path, what: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(what, default=str) + "\n")


if __name__ == "__main__":
    main()
