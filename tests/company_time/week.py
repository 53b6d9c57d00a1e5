"""A stretch of company time on the whole platform: the daemon's own loops over every moment, runs by its own queue and
launcher, against the vendors' side.

    python -m tests.company_time.week HOME START END      (ISO with offsets)

Belongs here: moving the clock from moment to moment and turning the daemon's loops until nothing is left to do at each.
Does not belong here: what is expected of it (`timetable.py`, `judge.py`). The schedules decide what runs; the moments
are every quarter of an hour, whether anything is due or not, and after runs a few minutes more, in which sensors look.

What is kept, in HOME: the databases, `sandbox/ledger.sqlite` (the vendors' side of the story), `moments.jsonl` (what
each moment took), `runs.jsonl` (processor seconds and peak memory of each run), `days.jsonl` (what a day added).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.company_time.clock import become_shifted
from tests.company_time.daemon import Daemon, prepare_forking, seen_by_supervisor, tell_server_the_time
from tests.company_time.forked import COSTS

NEW_YORK = ZoneInfo("America/New_York")
STEP = timedelta(minutes=15)
#: Jobs other than at a quarter: retention.
ODD_MINUTES = (20,)
#: So long after runs ended sensors have all looked once more.
AFTERWARDS = timedelta(minutes=5, seconds=5)
#: The company of the vendors' side is made anew at these hours; between them nothing new happens there.
NEWS_HOURS = (6, 14)


class Platform:
    """The databases, the vendors' side, the daemon; one process, and a forked one a run."""

    def __init__(self, home: Path, start: datetime) -> None:
        self.home, self._stack = home, ExitStack()
        self._begin(start)

    def __enter__(self) -> Platform:
        return self

    def __exit__(self, *_: object) -> None:
        from ops_platform.database.server import release_server

        self._stack.close()
        release_server(self.home)

    def _begin(self, start: datetime) -> None:
        from ops_platform.commands.demo import Scenario, point_settings_at, sandbox
        from ops_platform.database.server import running_server
        from ops_platform.settings import reset_settings

        tell_server_the_time()
        scenario = Scenario(self.home, start.isoformat(), None, None, None)
        self.url = self._stack.enter_context(sandbox(scenario))
        running_server(self.home)
        point_settings_at(self.url, scenario)
        os.environ.update(OPS_ENV="production", OPS_NOW="")
        os.environ[COSTS] = str(self.home / "runs.jsonl")
        reset_settings()
        prepare_forking()
        self.daemon = self._stack.enter_context(Daemon())
        self.daemon.begin()
        self.clock = self.daemon.clock

    def at(self, moment: datetime, *, news: bool) -> int:
        """Everything that is to be done at `moment`; how many runs ended meanwhile."""
        moment = max(moment, self.clock.now())
        self._ask("/_sandbox/clock", {
            "now": moment.isoformat(), "ticking": True, "company": "follow" if news else "keep"
        })  # fmt: skip
        self.clock.move_to(moment)
        seen_by_supervisor(self.home, moment)
        before = self._ended()
        self.daemon.work()
        return self._ended() - before

    def _ended(self) -> int:
        path = Path(os.environ[COSTS])
        return len(path.read_text(encoding="ascii").splitlines()) if path.exists() else 0

    def _ask(self, path: str, body: dict[str, Any]) -> None:
        import httpx

        answer = httpx.post(f"{self.url}{path}", json=body, timeout=300, trust_env=False)
        answer.raise_for_status()

    # What it cost -------------------------------------------------------------------------------------------

    def day_over(self) -> dict[str, Any]:
        """How large everything is by now, and what it has cost in processor seconds since the beginning."""
        from ops_platform.database import connect

        with connect() as connection:
            sizes = dict(connection.execute("select datname, pg_database_size(datname) from pg_database").fetchall())
            counted = connection.execute(
                "select (select count(*) from ops.outbox), (select count(*) from ops.receipts),"
                " (select coalesce(sum(input_tokens + output_tokens), 0) from ops.token_ledger)"
            ).fetchone() or (0, 0, 0)
        return {
            "at": self.clock.now().isoformat(), "warehouse": sizes["warehouse"], "dagster": sizes["dagster"],
            "messages": counted[0], "receipts": counted[1], "tokens": int(counted[2]),
            "cpu_database": server_seconds(self.home), "cpu_daemon": time.process_time(),
            "cpu_of_daemons": {each.name: [round(each.cpu, 1), each.turns] for each in self.daemon.loops},
        }  # fmt: skip


def server_seconds(home: Path) -> float:
    """Processor seconds of the database so far: of its processes, and of those whose end it has taken."""
    tick = os.sysconf("SC_CLK_TCK")
    first = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    total = sum(_fields(first)[11:15])
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != first:
            fields = _fields(int(entry.name))
            if fields and fields[1] == first:
                total += fields[11] + fields[12]
    return total / tick


def _fields(pid: int) -> list[int]:
    """What the kernel says of a process after its name: state (as 0), parent, …, its own and its children's time."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [int(word) if word.lstrip("-").isdigit() else 0 for word in text.rpartition(")")[2].split()]


def moments(start: datetime, end: datetime) -> Iterator[datetime]:
    """Every quarter of an hour of [start, end), in order, and the odd minutes."""
    moment = start.astimezone(UTC)
    while moment < end:
        yield moment
        for minute in ODD_MINUTES:
            odd = moment + timedelta(minutes=minute - moment.minute)
            if moment < odd < moment + STEP:
                yield odd
        moment += STEP


def keep(path: Path, what: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def main() -> None:
    home, start, end = Path(sys.argv[1]), *(datetime.fromisoformat(text) for text in sys.argv[2:4])
    become_shifted("tests.company_time.week", home / "clock", start - timedelta(seconds=90))
    with Platform(home, start - timedelta(seconds=60)) as platform:
        day = start.astimezone(NEW_YORK).date()
        keep(home / "days.jsonl", {"day": "before", **platform.day_over()})
        planned = list(moments(start, end))
        for moment, following in zip(planned, [*planned[1:], end.astimezone(UTC)], strict=True):
            local = moment.astimezone(NEW_YORK)
            if local.date() != day:
                keep(home / "days.jsonl", {"day": day.isoformat(), **platform.day_over()})
                day = local.date()
            # Work that took longer than until here is looked at as late as it then is.
            moment += timedelta(milliseconds=300)
            began = time.monotonic()
            ended = platform.at(moment, news=local.minute == 0 and local.hour in NEWS_HOURS)
            while ended:
                keep(home / "moments.jsonl", {
                    "moment": local.isoformat(), "runs": ended, "seconds": round(time.monotonic() - began, 1)
                })  # fmt: skip
                began = time.monotonic()
                if platform.clock.now() + AFTERWARDS >= following:
                    break
                ended = platform.at(platform.clock.now() + AFTERWARDS, news=False)
        keep(home / "days.jsonl", {"day": day.isoformat(), **platform.day_over()})
        keep(
            home / "days.jsonl",
            {"day": "over", "errors": {loop.name: loop.errors for loop in platform.daemon.loops if loop.errors}},
        )


if __name__ == "__main__":
    main()
