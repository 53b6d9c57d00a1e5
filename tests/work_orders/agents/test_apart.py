"""An agent's process: what it can reach, what becomes of its failures, and one real answer made and posted by it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ops_platform.failures import DataFailure, PermanentFailure, TransientFailure
from ops_platform.instance.confinement import available
from ops_platform.settings import Settings
from ops_platform.work_orders import answers, store
from ops_platform.work_orders.apart import answer_apart, handed, surroundings
from ops_platform.work_orders.store import LostLeaseError
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of
from tests.work_orders import policy_scene
from tests.work_orders.agents.company import moment
from tests.work_orders.office_world import TABLES, emptied

PROBE = "tests.work_orders.agents.apart_probe"
CANARY = "canary-81c7f0"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings full of secrets, as a run of the coordinator has them: in the environment and in its bot's file."""
    directory = tmp_path / "credentials"
    directory.mkdir(mode=0o700)
    (directory / "coordinator.env").write_text(f"GITHUB_WRITE_TOKEN={CANARY}\n", encoding="utf-8")
    for name in ("GITHUB_WRITE_TOKEN", "GITHUB_TOKEN", "SLACK_BOT_TOKEN", "CRON_SECRET", "HUBSPOT_TOKEN", "AWS_SECRET"):
        monkeypatch.setenv(name, CANARY)
    return Settings(
        ops_home=tmp_path, ops_credentials=directory, anthropic_api_key="the-models-key", github_write_token=CANARY
    )  # fmt: skip


def said_by(settings: Settings, holder: str, *, seconds: float = 60.0) -> list[str]:
    lines: list[str] = []
    answer_apart(1, holder, settings, lines.append, module=PROBE, seconds=seconds)
    return lines


def test_only_what_an_answer_needs_is_handed_over(settings: Settings) -> None:
    given = handed(settings)
    assert given["anthropic_api_key"] == "the-models-key"
    assert CANARY not in str(given)
    environment = surroundings(os.environ)
    assert "PATH" in environment
    assert CANARY not in environment.values()


@pytest.mark.skipif(not available(), reason="this kernel has no Landlock")
def test_the_process_reaches_no_token(settings: Settings) -> None:
    # It tells its failure, for a probe answers nothing; what it could reach it told before.
    assert said_by(settings, "look") == [
        "holds ['anthropic_api_key']", "environment False", "coordinator.env PermissionError",
        "environ PermissionError", "status True", "apart_probe.py True",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("holder", "kind", "words"),
    [
        ("transient", TransientFailure, "overloaded"),
        ("data", DataFailure, "a mart is not there"),
        ("unnamed", PermanentFailure, "ZeroDivisionError: division by zero"),
        ("killed", TransientFailure, "ended by SIGKILL"),
        ("silent", TransientFailure, "ended by status 0"),
    ],
)
def test_a_failure_in_the_process_is_the_attempts(
    settings: Settings, holder: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        said_by(settings, holder)
    assert type(caught.value) is kind
    if holder == "transient":
        assert getattr(caught.value, "retry_after", None) == 7.5


def test_a_process_that_takes_too_long_is_ended(settings: Settings) -> None:
    with pytest.raises(TransientFailure, match="took longer than 3 s"):
        said_by(settings, "slow", seconds=3)


def test_it_makes_and_stages_a_real_answer(agents_company: Connect, tmp_path: Path) -> None:
    """The real process on a real warehouse: finance answers by rules, and the answer waits to be posted."""
    world = policy_scene.World(now=moment(), first=8801)
    issue = world.open("boss", title="How much are we owed?", labels=())
    policy_scene.take_all(agents_company, world)
    issue.label("finance/analysis")
    (received,) = policy_scene.take_all(agents_company, world)
    number = received.work.id if received.work is not None else 0
    settings = Settings(
        ops_home=tmp_path, ops_writer="rules", ops_now=moment(), github_write_token=CANARY,
        github_token=CANARY, github_repository="northbeam/operations", ops_database_url=url_of(dsn_of(agents_company)),
    )  # fmt: skip
    try:
        with agents_company() as connection:
            work = store.claim(connection, number, "the run", 120)
        assert work is not None
        with pytest.raises(LostLeaseError):
            answer_apart(number, "somebody else", settings, print)
        answer_apart(number, "the run", settings, print)
        with agents_company() as connection:
            kept = answers.staged(connection, work)
        assert kept is not None
        assert kept.ends == "done"
        assert "Receivables past due: 2, 2 above the aim" in body_of(agents_company, number)
    finally:
        emptied(agents_company, [name for name in TABLES if name.startswith("work_")])


def body_of(connect: Connect, number: int) -> str:
    with connect() as connection:
        row: Any = connection.execute("select body from ops.work_answers where work_id = %s", (number,)).fetchone()
    return str(row[0])


def url_of(dsn: str) -> str:
    parts = dict(part.split("=", 1) for part in dsn.split())
    return f"postgresql://{parts['user']}@/x?host={parts['host']}&port={parts['port']}&dbname={parts['dbname']}"
