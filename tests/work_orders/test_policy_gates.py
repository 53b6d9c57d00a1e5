"""Gates are judged on what real checks reported, and on nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.work_orders import gates
from tests.conftest import Connect
from tests.work_orders.policy_scene import POLICY, rows

SHA, OTHER = "a" * 40, "b" * 40
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def run(name: str, title: str, conclusion: str | None = "success", *, sha: str = SHA, minute: int = 0, app: str = "ci"):  # type: ignore[no-untyped-def] # fmt: skip
    """A check run as GitHub's API gives it."""
    at = (NOON + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "name": name, "head_sha": sha, "status": "completed" if conclusion else "in_progress",
        "conclusion": conclusion, "started_at": at, "completed_at": at if conclusion else None,
        "output": {"title": title, "summary": "…"}, "app": {"slug": app}, "html_url": "https://github.com/x",
    }  # fmt: skip


def judged(*runs: Any, statuses: tuple[Any, ...] = ()) -> dict[str, tuple[bool, str]]:
    found = gates.judge(gates.checks_of(SHA, runs, statuses, POLICY), SHA, POLICY)
    return {each.gate: (each.passed, each.reason) for each in found}


def test_all_four_pass_on_real_figures() -> None:
    found = judged(
        run("coverage", "Coverage 80.0%"), run("tests", "412 of 420 passed"), run("security", "Score: 85 %"),
        run("performance", "90% of the budget"),
    )  # fmt: skip
    assert found == {
        "coverage": (True, "80 %, at least 80 %"), "tests": (True, "98 %, at least 95 %"),
        "security": (True, "85 %, at least 85 %"), "performance": (True, "90 %, at least 90 %"),
    }  # fmt: skip


def test_nothing_reported_is_not_passed() -> None:
    assert judged() == dict.fromkeys(POLICY.gates, (False, "no check reported it"))


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (run("coverage", "Coverage 79.96%"), "79.9 %, less than 80 %"),
        (run("coverage", "Coverage 95%", None), "coverage is not finished"),
        (run("coverage", "Coverage 95%", "cancelled"), "coverage ended cancelled: it measured nothing"),
        (run("coverage", "Coverage 95%", "timed_out"), "coverage ended timed_out: it measured nothing"),
        (run("coverage", "All good"), "coverage (success) gave no clear figure"),
        (run("coverage", "95% lines, 60% branches"), "coverage (success) gave no clear figure"),
        (run("coverage", "Coverage 950%"), "coverage (success) gave no clear figure"),
        (run("coverage", "5 of 3"), "coverage (success) gave no clear figure"),
        (run("coverage", "0 of 0 lines"), "coverage (success) gave no clear figure"),
        (run("coverage", "Coverage 95%", sha=OTHER), "no check reported it"),
        (run("uncoverage", "Coverage 95%"), "no check reported it"),
    ],
)
def test_what_does_not_count(check: Any, reason: str) -> None:
    assert judged(check)["coverage"] == (False, reason)


def test_the_worst_of_several_counts_and_the_newest_of_the_same() -> None:
    assert judged(run("coverage/app", "91%"), run("coverage/api", "72%"))["coverage"] == (False, "72 %, less than 80 %")
    assert judged(run("coverage", "60%"), run("coverage", "88%", minute=5))["coverage"][0]
    assert not judged(run("coverage", "88%"), run("coverage", "60%", minute=5))["coverage"][0]
    # One that is missing its figure is not made good by another.
    assert not judged(run("coverage/app", "91%"), run("coverage/api", "done"))["coverage"][0]
    # The same name by another app is another check.
    assert not judged(run("coverage", "60%"), run("coverage", "88%", minute=5, app="other"))["coverage"][0]


def test_commit_statuses_count_too() -> None:
    status = {"context": "codecov/project", "state": "success", "description": "83.31% (+0.2)",
              "updated_at": "2026-11-20T12:00:00Z", "target_url": "https://x"}  # fmt: skip
    assert judged(statuses=(status,))["coverage"] == (True, "83.3 %, at least 80 %")
    assert judged(statuses=({**status, "state": "pending"},))["coverage"][0] is False


@pytest.mark.parametrize(
    ("text", "value"),
    [("87.3%", "87.3"), ("12/16 passed", "75"), ("412 of 420", "98.09523809523809523809523810"),
     ("v1.2.3 100 %", "100"),
     ("1,234%", None), ("2026-11-20", None), ("", None), ("50% and 50%", "50")],
)  # fmt: skip
def test_the_figure_in_words(text: str, value: str | None) -> None:
    assert gates.figure_in(text) == (None if value is None else Decimal(value))


def test_checks_are_remembered_and_judgements_kept(warehouse: Connect) -> None:
    checks = gates.checks_of(SHA, [run("coverage", "88%"), run("tests", "90%")], [], POLICY)
    newer = gates.checks_of(SHA, [run("coverage", "70%", minute=9)], [], POLICY)
    with warehouse() as connection:
        gates.keep_checks(connection, "a/b", checks, at=NOON)
        gates.keep_checks(connection, "a/b", newer, at=NOON)
        gates.keep_checks(connection, "a/b", checks, at=NOON)  # older, told again
        known = gates.known_checks(connection, "a/b", SHA)
        results = gates.judge(known, SHA, POLICY)
        gates.keep_judgement(connection, "a/b", SHA, results, at=NOON)
    assert [(each.gate, each.value) for each in known] == [("coverage", Decimal(70)), ("tests", Decimal(90))]
    assert rows(warehouse, "select gate, passed, reason from ops.work_gates order by id") == [
        ("coverage", False, "70 %, less than 80 %"), ("tests", False, "90 %, less than 95 %"),
        ("security", False, "no check reported it"), ("performance", False, "no check reported it"),
    ]  # fmt: skip
