"""A division, a bot and a job are entries: added to fleet.yaml alone they are there, collect what they read and speak.
What is wrong with an entry is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops_platform import clock
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import get_fleet, load_fleet, reset_fleet
from ops_platform.settings import Settings, reset_settings
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.delivery.slack_fake import TOKEN, running_slack
from tests.fleet import job_scene
from tests.fleet.job_scene import MORNING

FILE = Path(__file__).resolve().parents[2] / "fleet.yaml"
JOB: dict[str, Any] = {
    "bot": "repairs",
    "cron": "0 12 * * *",
    "description": "Repairs that wait; silent if none does.",
    "report": {
        "title": "Repairs",
        "divisions": "repairs",
        "sections": [
            {
                "list": {
                    "name": "waiting",
                    "view": "marts.fct_samples",
                    "where": {"age_days": {"above": "late_watch_days"}, "is_done": False},
                    "key": "sample",
                    "columns": [{"column": "sample"}, {"column": "age_days", "unit": "days", "as": "{} old"}],
                    "order": ["-age_days"],
                    "many": "repairs waiting",
                    "one": "repair waiting",
                    "sources": ["airtable.sample_requests"],
                }
            }
        ],
        "speak_when": [{"rows": "waiting"}],
    },
}


def grown(tmp_path: Path, change: Callable[[dict[str, Any]], object] = lambda data: None) -> Path:
    """The shipped file with one division, one bot and one job more, and what `change` does to it."""
    data = yaml.load(FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    data["divisions"]["repairs"] = {"label": "Repairs", "bot": "repairs"}
    data["bots"]["repairs"] = {"label": "Repairs", "channel": "team", "token_budget": 1000}
    data["jobs"]["repairs_waiting"] = yaml.safe_load(yaml.safe_dump(JOB))
    change(data)
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def stage(server_home: Any, migrated: str) -> Iterator[Connect]:
    with fresh_database(server_home, migrated, "entries") as connect:
        job_scene.build(connect, [], ["airtable.sample_requests"])
        with connect() as connection:
            connection.execute("create table marts.fct_samples (sample text, age_days integer, is_done boolean)")
            connection.execute(
                "insert into marts.fct_samples values ('R-1', 9, false), ('R-2', 7, false), ('R-3', 30, true),"
                " ('R-4', null, false), ('R-5', 12, false)"
            )
            connection.commit()
        yield connect


@pytest.fixture
def entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fleet of this process is the grown one."""
    monkeypatch.setenv("OPS_FLEET_FILE", str(grown(tmp_path)))
    reset_settings()
    reset_fleet()
    yield
    monkeypatch.undo()
    reset_settings()
    reset_fleet()


def test_the_new_job_speaks_in_its_bots_channel(
    entered: None, stage: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_slack() as fake:
        for name, value in {
            "OPS_HOME": str(tmp_path), "OPS_WRITER": "rules", "SLACK_BOT_TOKEN": TOKEN, "SLACK_BASE_URL": fake.url,
            "SLACK_CHANNEL_TEAM": "C0TEAM",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        reset_settings()
        monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: stage())
        monkeypatch.setattr(clock, "now", lambda: MORNING)
        job_scene.run("repairs_waiting")
        (message,) = fake.posts()
    told = job_scene.texts(message)
    assert message["channel"] == "C0TEAM" and "2 repairs waiting" in told
    assert told.index("R-5") < told.index("R-1") and "12 days old" in told
    assert not any(each in told for each in ("R-2", "R-3", "R-4"))
    with stage() as connection:
        kept = connection.execute(
            "select bot, checked, breached, messages from ops.receipts where job = 'repairs_waiting'"
        ).fetchone()
    assert kept == ("repairs", 5, 2, 1)


def test_it_becomes_assets_with_its_bot_and_division(entered: None) -> None:
    from assets.briefings import briefing_assets

    mine = {
        key.to_user_string(): definition
        for definition in briefing_assets(get_fleet())
        for key in definition.keys
        if key.path[-1] == "repairs_waiting"
    }
    assert list(mine) == ["evidence/repairs_waiting", "report/repairs_waiting", "delivery/repairs_waiting"]
    for definition in mine.values():
        (spec,) = definition.specs
        assert list(spec.owners) == ["team:repairs"]
        assert spec.tags["bot"] == "repairs" and spec.tags["division"] == "repairs"
    (evidence,) = mine["evidence/repairs_waiting"].specs
    assert {dep.asset_key.to_user_string() for dep in evidence.deps} == {"marts/fct_samples", "alerts/cycle"}


def test_the_new_division_has_its_line_everywhere(entered: None) -> None:
    from ops_platform.fleet.profile import company_profile

    assert ("repairs", "Repairs") in [(each.id, each.label) for each in company_profile(get_fleet()).divisions]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda job: job.update(cron="every day"), "five-field cron"),
        (lambda job: job.update(cron="0 25 * * *"), "not between 0 and 23"),
        (lambda job: job.update(event=True), "either a cron or event"),
        (lambda job: job.update(document="pulse"), "no other document"),
        (lambda job: job["report"].pop("speak_when"), "speak_when"),
        (lambda job: job["report"].update(speak_when=[{"rows": "nobody"}]), "no list 'nobody'"),
        (lambda job: job["report"].update(speak_when=[{"metric": "orders"}]), "needs a limit"),
        (lambda job: job["report"]["sections"][0]["list"].update(sources=["fax.pages"]), "no source 'fax.pages'"),
        (lambda job: job["report"]["sections"][0]["list"].pop("sources"), "names the sources"),
        (
            lambda job: job["report"]["sections"][0]["list"]["where"].update(age_days={"above": "never_days"}),
            "no threshold 'never_days'",
        ),
        (lambda job: job["report"]["sections"][0]["list"].update(order=["age_days; drop"]), "is not a column"),
        (
            lambda job: job["report"]["sections"][0]["list"]["columns"][1].update({"as": "about 3 {}"}),
            "writes a digit",
        ),
        (lambda job: job["report"]["sections"][0]["list"].update(draft="{nothing}"), "does not show"),
        (lambda job: job.update(reads=["fax"]) or job.update(reads=["fax.pages"]), "no source 'fax'"),
        (lambda job: job["report"].update(divisions="nowhere"), "no division 'nowhere'"),
    ],
)
def test_what_is_wrong_with_an_entry_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_fleet(grown(tmp_path, lambda data: change(data["jobs"]["repairs_waiting"]) and None), Settings())


def test_a_column_that_is_not_there_is_named(
    entered: None, stage: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.briefings import gathered
    from resources.postgres import WarehouseResource

    with stage() as connection:
        connection.execute("alter table marts.fct_samples rename column is_done to done")
        connection.commit()
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: stage())
    monkeypatch.setattr(clock, "now", lambda: MORNING)
    with pytest.raises(ConfigurationError, match=r"list waiting: marts\.fct_samples has no column is_done"):
        gathered(WarehouseResource(), get_fleet(), "repairs_waiting")
