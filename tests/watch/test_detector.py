"""Scores of plain series: causal, calibrated, sparing with repeats, and an answer for every row of any file."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ops_platform.cli import cli
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.watch.detector import FEWEST_ROWS, scores
from ops_platform.watch.series import read_csv


def daily_wave(rows: int, step: int = 300, seed: int = 1) -> tuple[list[float], np.ndarray]:
    chance = np.random.default_rng(seed)
    seconds = 1_400_000_400.0 + step * np.arange(rows)
    return seconds.tolist(), 50 + 10 * np.sin(2 * np.pi * seconds / 86_400) + chance.normal(0, 1, rows)


@pytest.mark.parametrize(("rows", "step"), [(4000, 300), (1500, 3600), (900, 1800), (400, 86_400)])
def test_a_row_is_scored_without_knowing_later_rows(rows: int, step: int) -> None:
    seconds, values = daily_wave(rows, step)
    values[rows // 2] += 40
    whole = scores(seconds, values.tolist())
    for end in (FEWEST_ROWS + 1, rows // 3, rows // 2 + 1, rows - 1):
        assert np.array_equal(scores(seconds[:end], values[:end].tolist()), whole[:end])


@pytest.mark.parametrize(("rows", "step"), [(4000, 300), (1500, 3600), (400, 86_400)])
def test_the_largest_score_is_the_spike(rows: int, step: int) -> None:
    seconds, values = daily_wave(rows, step)
    place = 2 * rows // 3
    values[place] += 25
    found = scores(seconds, values.tolist())
    assert int(np.argmax(found)) == place
    assert found[place] > 0.6
    assert found.max() < 1
    assert found.min() >= 0


def test_an_incident_is_one_burst() -> None:
    seconds, values = daily_wave(4000)
    values[2500:2600] += 25
    found = scores(seconds, values.tolist())
    assert found[2500:2510].max() > 0.5
    # Its end is a change, too.
    assert (found[2510:] > 0.45).sum() <= 1


def test_a_missing_wave_is_noticed_where_no_value_is_new() -> None:
    seconds, values = daily_wave(5000)
    flat = values.copy()
    flat[3500:3650] = 50 + np.random.default_rng(2).normal(0, 1, 150)
    found = scores(seconds, flat.tolist())
    assert found[3500:3650].max() > 0.45 > found[1000:3500].max()


def test_what_is_always_wild_is_not_surprising() -> None:
    values = np.random.default_rng(3).lognormal(0, 1.2, 4000)
    found = scores([300.0 * row for row in range(4000)], values.tolist())
    assert (found[600:] > 0.6).sum() <= 4


def test_a_series_that_never_changes_is_scored_nought_until_it_does() -> None:
    values = [5.0] * 500
    assert scores(list(range(500)), values).tolist() == [0.0] * 500
    values[400] = 6.0
    assert scores(list(range(500)), values)[400] > 0.9


@pytest.mark.parametrize("rows", [0, 1, 2, FEWEST_ROWS])
def test_too_few_rows_are_scored_nought(rows: int) -> None:
    assert scores([300.0 * row for row in range(rows)], [float(row) for row in range(rows)]).tolist() == [0.0] * rows


def test_values_that_are_no_numbers_are_nought_and_leave_no_trace() -> None:
    seconds, values = daily_wave(1000)
    spoilt = values.copy()
    spoilt[[300, 301, 302, 500]] = [math.nan, math.inf, -math.inf, math.nan]
    found = scores(seconds, spoilt.tolist())
    assert found[[300, 301, 302, 500]].tolist() == [0.0] * 4
    assert np.isfinite(found).all()
    kept = np.isfinite(spoilt)
    alone = scores(np.asarray(seconds)[kept].tolist(), spoilt[kept].tolist())
    assert np.array_equal(found[kept], alone)


def test_disordered_rows_are_scored_in_the_order_of_time() -> None:
    seconds, values = daily_wave(600)
    values[400] += 30
    order = np.random.default_rng(5).permutation(600)
    found = scores(np.asarray(seconds)[order].tolist(), values[order].tolist())
    assert np.array_equal(found, scores(seconds, values.tolist())[order])


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 moments and 1 values"):
        scores([1.0, 2.0], [1.0])


def test_twenty_thousand_rows_take_two_seconds_at_most() -> None:
    seconds, values = daily_wave(20_000)
    scores(seconds[:100], values[:100].tolist())  # imports
    began = time.process_time()
    scores(seconds, values.tolist())
    assert time.process_time() - began < 2


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_every_row_of_a_file_is_answered_in_its_order(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv",
        "timestamp,value,label\n2026-01-01 00:10:00,1,x\n2026-01-01 00:05:00,nan,x\n2026-01-01 00:10:00,,x\n",
    )
    done = CliRunner().invoke(cli, ["detect", "--csv", str(file)])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "timestamp,score",
        "2026-01-01 00:10:00,0.000000",
        "2026-01-01 00:05:00,0.000000",
        "2026-01-01 00:10:00,0.000000",
    ]
    for words in ("2 values are no finite numbers", "1 rows are older", "1 timestamps are repeated", "too little"):
        assert words in done.stderr


def test_a_change_of_zone_moves_no_row(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv",
        "timestamp,value\n2026-03-08T01:30:00-05:00,1\n2026-03-08T03:00:00-04:00,2\n2026-03-08T07:30:00Z,3\n",
    )
    read = read_csv(file)
    assert [later - earlier for earlier, later in zip(read.seconds, read.seconds[1:], strict=False)] == [1800, 1800]
    assert read.notes == ["the timestamps stand in 3 offsets from UTC: taken as the moments they name"]


@pytest.mark.parametrize(
    ("text", "failure", "words"),
    [
        ("time,value\n1,2\n", ConfigurationError, "no column timestamp"),
        ("", DataFailure, "is empty"),
        ("timestamp,value\n", DataFailure, "has no rows"),
        ("timestamp,value\n2026-01-01,NaN\n2026-01-02,five\n", DataFailure, "has no finite number"),
        ("timestamp,value\nyesterday,2\n", ConfigurationError, "line 2: 'yesterday' is no timestamp"),
        ("timestamp,value\n2026-01-01,1\n2026-01-02T00:00:00Z,2\n", ConfigurationError, "give all of them one"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, failure: type[Exception], words: str) -> None:
    with pytest.raises(failure, match=words):
        read_csv(write(tmp_path / "a.csv", text))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 50)
    with pytest.raises(ConfigurationError, match="is no text in UTF-8"):
        read_csv(tmp_path / "binary.csv")


def test_a_single_point_has_too_little_history_and_nothing_else_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "timestamp,value\n2026-01-01,5\n")
    done = CliRunner().invoke(cli, ["detect", "--csv", str(file)])
    assert (done.exit_code, done.stdout) == (0, "timestamp,score\n2026-01-01,0.000000\n")
    assert done.stderr.count("!") == 1 and "too little history" in done.stderr
