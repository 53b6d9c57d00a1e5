"""A week of company time on the whole platform, with a change of the clocks and the end of a month in it: every job
runs at its time once, and what is said is what is to be said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops_platform.settings import PROJECT_ROOT
from tests.company_time.clock import compiler
from tests.company_time.judge import judged
from tests.company_time.timetable import ALWAYS, BY_EVENTS, NEVER, ZONE, due_between, jobs

#: Clocks are put back in the night to Sunday the 1st.
START = datetime(2026, 10, 29, 22, 0, tzinfo=ZONE)
END = datetime(2026, 11, 5, 22, 0, tzinfo=ZONE)


def test_the_timetable_is_what_dagster_is_told() -> None:
    """The schedules as declared, by the scheduler's own iterator over the week: the promised times and no others."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    from jobs.retention import CRON
    from jobs.toolbox import house
    from ops_platform.fleet import get_fleet
    from ops_platform.playbooks.catalogue import catalogue

    crons = {**get_fleet().scheduled(), "retention": CRON}
    for name, plan in catalogue(house()).plans.items():
        if plan.playbook.triggers.schedule is not None and plan.playbook.enabled:
            crons[f"playbook_{name}"] = plan.playbook.triggers.schedule
    assert sorted(crons) == sorted(jobs())
    promised = due_between(START, END)
    for name, cron in crons.items():
        told = []
        for moment in schedule_execution_time_iterator(START.timestamp(), cron, get_fleet().company.timezone, True):
            if moment >= END:
                break
            told.append(moment.astimezone(UTC))
        assert told == [each.at for each in promised if each.job == name], name


def test_the_timetable_knows_every_job() -> None:
    from ops_platform.fleet import get_fleet

    fleet = get_fleet()
    assert set(fleet.jobs) - set(jobs()) - BY_EVENTS == set()
    assert {name for name, job in fleet.jobs.items() if job.event} <= BY_EVENTS
    assert set(jobs()) >= ALWAYS | NEVER


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
@pytest.mark.skipif(compiler() is None, reason="no C compiler to make the company's clock with")
def test_a_week_of_the_whole_platform(tmp_path: Path) -> None:
    from ops_platform.database.server import release_server

    home = tmp_path / "home"
    home.mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OPS_")}
    begun = START - timedelta(minutes=15)
    done = subprocess.run(
        [sys.executable, "-m", "tests.company_time.week", str(home), begun.isoformat(), END.isoformat()],
        cwd=PROJECT_ROOT, env=clean, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    try:
        report = judged(home, START, END)
    finally:
        release_server(home)
    days = [json.loads(line) for line in (home / "days.jsonl").read_text().splitlines()]
    assert days[-1]["errors"] == {}
    assert report.faults == [], report.counts
    assert report.counts["jobs of the timetable without a tick"] == []
