"""What a stretch of company time left behind, held against the timetable and the vendors' side of the story.

    python -m tests.company_time.judge HOME START END

Belongs here: reading Dagster's ticks and runs, the platform's receipts and outbox, the vendors' ledger; saying what is
wrong. Does not belong here: what is due (`timetable.py`), making it happen (`week.py`).

Everything found is a list of faults in words; an empty report is a stretch in which every job ran at its time once and
nothing was said but what a receipt accounts for.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from tests.company_time.timetable import ALWAYS, BY_EVENTS, NEVER, ZONE, Due, due_between, jobs

#: So late a run may begin: what was due with it goes first, two at a time.
LATE = timedelta(minutes=25)
#: Messages that no tick of a job asks for, but what was found: their run's receipt says what.
OF_FINDINGS = frozenset({"alert", "alert_storm", "alert_escalation", "approval", "custom_orders"})
_TIMED, _SCHEDULE, _SENSOR = ".dagster/scheduled_execution_time", "dagster/schedule_name", "dagster/sensor_name"
_RETRY = "dagster/retry_number"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of Dagster's; `due` where a schedule asked for it."""

    id: str
    job: str
    status: str
    begun: datetime
    ended: datetime
    due: datetime | None
    sensor: str | None
    retry: bool


@dataclass
class Report:
    """What was seen, counted, and what is wrong with it."""

    counts: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def wrong(self, text: str) -> None:
        self.faults.append(text)


def judged(home: Path, start: datetime, end: datetime) -> Report:
    """The report on [start, end) of the home; its database answers."""
    report = Report()
    runs = _runs(home, start, end)
    due = due_between(start, end)
    _ticks(report, home, due, start, end)
    _answered(report, due, runs)
    _started_otherwise(report, runs)
    receipts = _receipts(report, home, runs)
    _messages(report, home, due, runs, receipts, start, end)
    return report


# Time -------------------------------------------------------------------------------------------------------


def _ticks(report: Report, home: Path, due: Sequence[Due], start: datetime, end: datetime) -> None:
    """Dagster's own ticks of schedules are those of the timetable, each once and good."""
    found: Counter[Due] = Counter()
    for status, at, body in _rows(
        home, "dagster", "select status, timestamp, tick_body from job_ticks where type = 'SCHEDULE'"
    ):
        moment = at.replace(tzinfo=UTC)
        if start <= moment < end:
            job = json.loads(body)["job_name"].removesuffix("_schedule")
            found[Due(job, moment)] += 1
            if status != "SUCCESS":
                report.wrong(f"tick {job} {_local(moment)}: {status}")
    expected = Counter(due)
    for each, times in sorted((found - expected).items(), key=lambda item: item[0].at):
        report.wrong(f"{each.job} ticked {times} times too often at {_local(each.at)}")
    for each in sorted((expected - found).elements(), key=lambda item: item.at):
        report.wrong(f"{each.job} did not tick at {_local(each.at)}")
    report.counts["ticks"] = sum(found.values())
    report.counts["jobs on schedule"] = len({each.job for each in found})
    report.counts["jobs of the timetable without a tick"] = sorted(set(jobs()) - {each.job for each in found})


def _answered(report: Report, due: Sequence[Due], runs: Sequence[Run]) -> None:
    """Every moment at which a job was due was answered by one run, in time and to a good end."""
    by_due: dict[Due, list[Run]] = defaultdict(list)
    for run in runs:
        if run.due is not None:
            by_due[Due(run.job, run.due)].append(run)
    late = timedelta()
    for each in due:
        answers = by_due.pop(each, [])
        first = [run for run in answers if not run.retry]
        if len(first) != 1:
            report.wrong(f"{each.job} of {_local(each.at)} ran {len(first)} times")
        if not any(run.status == "SUCCESS" for run in answers):
            report.wrong(f"{each.job} of {_local(each.at)} did not succeed: {[run.status for run in answers]}")
        for run in first:
            late = max(late, run.begun - each.at)
            if not timedelta() <= run.begun - each.at <= LATE:
                report.wrong(f"{each.job} of {_local(each.at)} began at {_local(run.begun)}")
    for each, answers in by_due.items():
        report.wrong(f"{each.job} ran {len(answers)} times for {_local(each.at)}, when it was not due")
    report.counts["latest start, minutes"] = round(late.total_seconds() / 60, 1)


def _started_otherwise(report: Report, runs: Sequence[Run]) -> None:
    """What no schedule asked for was asked for by a sensor, and is a job of those that sensors start."""
    counted: Counter[str] = Counter()
    for run in runs:
        if run.due is None:
            counted[run.job] += 1
            if run.sensor is None or run.job not in BY_EVENTS:
                report.wrong(f"{run.job} ran at {_local(run.begun)} and nobody asked for it ({run.sensor})")
            if run.status != "SUCCESS":
                report.wrong(f"{run.job} of {_local(run.begun)}, started by {run.sensor}: {run.status}")
    report.counts["runs"] = len(runs)
    report.counts["runs by events"] = dict(counted)


# Silence ----------------------------------------------------------------------------------------------------


def _receipts(report: Report, home: Path, runs: Sequence[Run]) -> dict[str, tuple[str, int]]:
    """Every run has one receipt, good and complete; by run the job and what it says it said."""
    found = {
        run_id: (job, status, messages, checked, error)
        for run_id, job, status, messages, checked, error in _rows(
            home, "warehouse", "select run_id, job, status, messages, checked, error from ops.receipts"
        )
    }
    for run in runs:
        receipt = found.get(run.id)
        if receipt is None:
            report.wrong(f"{run.job} of {_local(run.begun)} has no receipt")
        elif receipt[1] != "succeeded" or receipt[4]:
            report.wrong(f"{run.job} of {_local(run.begun)}: its receipt says {receipt[1]} {receipt[4] or ''}")
    return {run_id: (job, int(messages)) for run_id, (job, _, messages, _, _) in found.items()}


def _messages(
    report: Report,
    home: Path,
    due: Sequence[Due],
    runs: Sequence[Run],
    receipts: dict[str, tuple[str, int]],
    start: datetime,
    end: datetime,
) -> None:
    rows = _rows(
        home, "warehouse",
        "select id::text, kind, channel_key, state, thread_of is not null, created_at, sent_at, attempts"
        " from ops.outbox where created_at >= %s and created_at < %s order by created_at", (start, end),
    )  # fmt: skip
    report.counts["messages"] = dict(Counter(f"{kind} to {channel}" for _, kind, channel, *_ in rows))
    ids = {row[0] for row in rows}
    # The vendors' side: each of our messages is there once, and nothing else of ours.
    posted: Counter[str] = Counter()
    for kind, clock, text in _ledger(home, "select kind, clock, detail from effects where vendor = 'slack'"):
        if kind != "message_posted" or not start <= datetime.fromisoformat(clock) < end:
            continue
        said = (json.loads(text).get("metadata") or {}).get("event_payload") or {}
        if "outbox_id" not in said:
            report.wrong(f"a message without an id at {_local(datetime.fromisoformat(clock))}: {text[:80]}")
        posted[said.get("outbox_id", "?")] += 1
    mailed = Counter(
        json.loads(text).get("message_id", "").strip("<>").partition("@")[0]
        for clock, text in _ledger(home, "select clock, detail from effects where vendor = 'mail'")
        if start <= datetime.fromisoformat(clock) < end
    )
    for where, seen in (("Slack", posted), ("mail", mailed)):
        for outbox_id, times in seen.items():
            if times > 1:
                report.wrong(f"{where} has message {outbox_id} {times} times")
            if outbox_id not in ids and not _older(home, outbox_id, start):
                report.wrong(f"{where} has message {outbox_id}, which the outbox does not")
    for outbox_id, kind, channel, state, _, created, sent, _ in rows:
        shown = mailed[outbox_id] if channel == "email" else posted[outbox_id]
        if (state == "sent") != bool(shown) and kind != "board_pack":
            report.wrong(f"{kind} of {_local(created)} is {state} and shown {shown} times")
        if state not in ("sent", "pending"):
            report.wrong(f"{kind} of {_local(created)} is {state}")
        if sent is not None and not any(run.begun <= sent <= run.ended for run in runs):
            report.wrong(f"{kind} was posted at {_local(sent)}, when nothing ran")
    report.counts["Slack messages"] = sum(posted.values())
    report.counts["mails"] = sum(mailed.values())
    _spoken(report, rows, due, runs, receipts)


def _spoken(
    report: Report,
    rows: Sequence[tuple[Any, ...]],
    due: Sequence[Due],
    runs: Sequence[Run],
    receipts: dict[str, tuple[str, int]],
) -> None:
    """Digests speak at each tick, once; the silent never; the others where the receipt of that run says so."""
    first = [
        (kind, created) for _, kind, channel, _, threaded, created, _, _ in rows if not threaded and channel != "email"
    ]
    due_of: Counter[str] = Counter(each.job for each in due)
    for job in sorted(ALWAYS):
        said = sum(kind == job for kind, _ in first)
        if said != due_of[job]:
            report.wrong(f"{job} was due {due_of[job]} times and spoke {said} times")
    for job in sorted(NEVER):
        if any(kind == job for _, kind, *_ in rows):
            report.wrong(f"{job} spoke, and never may")
    # What each run says it said, against what was put into the outbox while it ran under its name.
    named: Counter[str] = Counter()
    for _, kind, channel, _, _, created, _, _ in rows:
        if channel == "email":
            continue
        mine = [run for run in runs if run.job == kind and run.begun <= created <= run.ended]
        if mine:
            named[mine[0].id] += 1
        elif kind in {run.job for run in runs}:
            report.wrong(f"{kind} put in at {_local(created)}, when no run of it ran")
    for run in runs:
        job, messages = receipts.get(run.id, (run.job, 0))
        if named[run.id] > messages:
            report.wrong(f"{job} of {_local(run.begun)} said {named[run.id]} and its receipt says {messages}")
    spoke = {run.job for run in runs if named[run.id]}
    report.counts["silent runs"] = sum(not receipts.get(run.id, ("", 0))[1] for run in runs)
    report.counts["jobs that spoke"] = sorted(spoke)
    report.counts["jobs always silent"] = sorted({run.job for run in runs} - spoke)


# Reading ----------------------------------------------------------------------------------------------------


def _runs(home: Path, start: datetime, end: datetime) -> list[Run]:
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for run_id, key, value in _rows(home, "dagster", "select run_id, key, value from run_tags"):
        tags[run_id][key] = value
    found = []
    for run_id, job, status, begun, ended in _rows(
        home, "dagster", "select run_id, pipeline_name, status, start_time, end_time from runs order by id"
    ):
        said = tags[run_id]
        due = datetime.fromisoformat(said[_TIMED]) if _TIMED in said else None
        at = datetime.fromtimestamp(begun or 0, UTC)
        if start <= (due or at) < end:
            found.append(
                Run(run_id, job, status, at, datetime.fromtimestamp(ended or 0, UTC),
                    None if due is None else due.astimezone(UTC), said.get(_SENSOR), _RETRY in said)
            )  # fmt: skip
    return found


def _older(home: Path, outbox_id: str, start: datetime) -> bool:
    found = _rows(
        home, "warehouse", "select 1 from ops.outbox where id::text = %s and created_at < %s", (outbox_id, start)
    )
    return bool(found)


def _rows(home: Path, database: str, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    from ops_platform.database.server import running_server

    with psycopg.connect(running_server(home).url(database)) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def _ledger(home: Path, query: str) -> Iterator[tuple[Any, ...]]:
    with sqlite3.connect(home / "sandbox" / "ledger.sqlite") as connection:
        yield from connection.execute(query)


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%a %d %b %H:%M %Z}"


def main() -> int:
    report = judged(Path(sys.argv[1]), *(datetime.fromisoformat(text) for text in sys.argv[2:4]))
    for name, count in report.counts.items():
        print(f"{name}: {count}")
    print(*report.faults, sep="\n")
    print(f"{len(report.faults)} faults")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
