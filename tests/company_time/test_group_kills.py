"""Everything that runs killed at once, again and again: what was to be told is told once, nothing stays behind, and the
next jobs are in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ops_platform.settings import PROJECT_ROOT
from tests.company_time.clock import compiler
from tests.company_time.kills import SPOKEN, STAGE

#: From the kill to the end of the hour's last job: a dead run is noticed within half a minute and tried again.
BOUND_MINUTES = 10.0

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="no C compiler to make the company's clock with"),
    pytest.mark.timeout(4 * 3600),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What became of each hour."""
    home = tmp_path_factory.mktemp("killed")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OPS_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.company_time.kills", str(home), "100", "7"],
        cwd=PROJECT_ROOT, env=clean, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in (Path(home) / "trials.jsonl").read_text().splitlines()]


def test_every_hour_is_told_once(trials: list[dict[str, Any]]) -> None:
    """One thing was new for each job in each hour. The vendor's side has it once, whatever was killed meanwhile."""
    for trial in trials:
        name = f"N{trial['trial']:03}"
        said = {
            job: sum(words.format(name) in post["text"] for post in trial["posts"]) for job, words in SPOKEN.items()
        }
        assert said == dict.fromkeys(STAGE, 1), trial
    posts = Counter(post["outbox"] for trial in trials for post in trial["posts"])
    assert [outbox for outbox, seen in posts.items() if seen > 1] == []


def test_nothing_is_left_behind(trials: list[dict[str, Any]]) -> None:
    for trial in trials:
        assert trial["ended"][1] == 0, trial
        assert set(trial["outbox"]) == {"sent"}, trial
        assert trial["slots"] == 0, trial
        assert {status for _, status in trial["runs"]} <= {"SUCCESS", "FAILURE"}, trial
        # Killed between its last step and its end, a run counts as failed, and there is nothing left to try again: its
        # receipt says that it did all it was to do.
        done = {job for job, status in trial["runs"] if status == "SUCCESS"}
        done |= {job for job, status, _ in trial["receipts"] if status == "succeeded"}
        assert done >= set(STAGE), trial


def test_the_jobs_of_the_hour_end_in_time_all_the_same(trials: list[dict[str, Any]]) -> None:
    assert max(trial["minutes_back"] for trial in trials) < BOUND_MINUTES
    assert sum(trial["members"] > 0 for trial in trials) >= len(trials) / 2  # it was not over before it was killed
