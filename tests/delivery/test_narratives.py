"""The narratives' own assets against a small warehouse and a Slack: what is said where, and what is only kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, build_schedule_context, materialize

from assets import narratives
from ops_platform import clock
from ops_platform.action_items import store
from ops_platform.delivery.outbox import enqueue
from ops_platform.evidence.model import Period
from ops_platform.evidence.spans import Tier
from ops_platform.fleet import get_fleet
from ops_platform.settings import reset_settings
from resources.postgres import WarehouseResource
from sensors.schedules import newest_period
from tests.conftest import Connect
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.delivery.slack_fake import SlackFake
from tests.evidence.narrative_warehouse import FRIDAY, MONDAY, NEW_YORK, filled, put

Run = Callable[..., dict[str, Any]]
THURSDAY, SUNDAY = date(2026, 11, 19), date(2026, 11, 15)


@pytest.fixture
def run(warehouse: Connect, executive: SlackFake, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a tier's assets for the period from a day, as of a moment; gives what the delivery said of itself."""
    with warehouse() as connection:
        filled(connection)

    def run(tier: Tier, first: date, now: datetime) -> dict[str, Any]:
        monkeypatch.setattr(clock, "now", lambda: now)
        made = narratives.narrative_assets(tier)  # with the periods there are by that clock
        with DagsterInstance.ephemeral() as instance:
            result = materialize(
                made, partition_key=first.isoformat(), instance=instance,
                resources={"warehouse": WarehouseResource()},
            )  # fmt: skip
        assert result.success
        (event,) = result.asset_materializations_for_node(f"delivery__narrative_{tier}")
        return {name: value.value for name, value in event.metadata.items()}

    return run


def texts(slack: SlackFake) -> list[str]:
    return [json.dumps(message, ensure_ascii=False) for message in slack.posts()]


def documents(warehouse: Connect) -> list[tuple[str, date]]:
    with warehouse() as connection:
        return connection.execute("select kind, period_start from ops.documents order by id").fetchall()


def returns_of(warehouse: Connect, day: date) -> None:
    """The watch finds the returns of a day outside their range."""
    with warehouse() as connection:
        connection.execute(
            "insert into ops.judgements (metric_id, date, found, closeness, adverse, since, judged_at,"
            " first_judged_at) values ('returns', %(day)s, 'breached', 2, true, %(day)s, now(), now())",
            {"day": day},
        )


def pulse_of(warehouse: Connect, day: date) -> None:
    with warehouse() as connection:
        enqueue(
            connection, kind="ops_pulse", period=Period(day, day, "that day"), channel_key="executive",
            channel="C0EXEC", payload={"text": "the pulse"}, dedupe_key=f"ops_pulse:{day}:{day}:executive",
        )  # fmt: skip


def test_a_day_without_a_concern_is_kept_and_not_said(
    warehouse: Connect, slack: SlackFake, run: Run, tmp_path: Path
) -> None:
    said = run("daily", THURSDAY, FRIDAY)
    assert said["state"] == "silent" and texts(slack) == []
    assert documents(warehouse) == [("narrative_daily", THURSDAY)]
    assert (tmp_path / "documents" / "narrative_daily-2026-11-20.md").is_file()


def test_a_concern_is_said_once_in_the_thread_of_that_mornings_pulse(
    warehouse: Connect, slack: SlackFake, run: Run
) -> None:
    returns_of(warehouse, THURSDAY)
    pulse_of(warehouse, THURSDAY)
    run("daily", THURSDAY, FRIDAY)
    pulse, narrative = slack.posts()
    assert narrative["thread_ts"] == pulse["ts"]
    assert "Returns" in json.dumps(narrative) and "day in review" in json.dumps(narrative)
    run("daily", THURSDAY, FRIDAY + timedelta(minutes=10))
    assert len(slack.posts()) == 2


def test_a_concern_is_not_lost_with_the_pulse(warehouse: Connect, slack: SlackFake, run: Run) -> None:
    returns_of(warehouse, THURSDAY)
    run("daily", THURSDAY, FRIDAY)
    (narrative,) = slack.posts()
    assert "thread_ts" not in narrative


def test_an_old_day_is_for_the_archive(warehouse: Connect, slack: SlackFake, run: Run) -> None:
    said = run("daily", SUNDAY, FRIDAY)  # late orders turned that day
    assert said["state"] == "archived" and texts(slack) == []
    with warehouse() as connection:
        assert store.standing(connection) == []


def test_a_concern_opens_an_action_that_is_carried_over_until_it_is_done(
    warehouse: Connect, slack: SlackFake, run: Run
) -> None:
    returns_of(warehouse, SUNDAY)
    run("daily", SUNDAY, MONDAY)
    with warehouse() as connection:
        opened = store.standing(connection)
    # Monday's morning: two business days are Wednesday.
    assert [(each.about, each.owner, each.due_on) for each in opened] == [
        ("Late orders", "Supply Chain", date(2026, 11, 18)), ("Returns", "Supply Chain", date(2026, 11, 18)),
    ]  # fmt: skip
    run("weekly", date(2026, 11, 9), MONDAY)
    week = texts(slack)[-1]
    assert "week in review" in week and "Late orders" in week and "due Wed 18 Nov" in week
    with warehouse() as connection:
        store.settle(
            connection, opened[0].id, state="done", actor="kim", day=date(2026, 11, 17), now=MONDAY
        )  # fmt: skip
    returns_of(warehouse, THURSDAY)
    run("daily", THURSDAY, FRIDAY)
    day = texts(slack)[-1]
    # What is done is gone; what is not is late, and says since when it is carried over.
    assert "Bring back to target: " not in day
    assert "was due Wed 18 Nov" in day and "carried over since Sun 15 Nov" in day


def test_the_week_is_posted_once_and_names_the_days_it_builds_on(
    warehouse: Connect, slack: SlackFake, run: Run
) -> None:
    for number in range(2):
        run("daily", date(2026, 11, 9) + timedelta(days=number), MONDAY)
    run("weekly", date(2026, 11, 9), MONDAY)
    run("weekly", date(2026, 11, 9), MONDAY + timedelta(hours=1))
    (week,) = texts(slack)
    assert "built on the narratives of 2 of 7 days" in week and "no narrative" in week
    assert "$10,500" in week and "50%" in week


def test_the_month_speaks_of_a_month(warehouse: Connect, slack: SlackFake, run: Run) -> None:
    run("monthly", date(2026, 10, 1), FRIDAY)
    (month,) = texts(slack)
    # October has 31 days of 1,000, September 30.
    assert "October 2026 — month in review" in month and "$31,000" in month and "up 3.3% on September" in month


def test_without_slack_a_concern_is_held_and_a_quiet_day_is_silent(
    warehouse: Connect, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "")
    reset_settings()
    assert run("daily", THURSDAY, FRIDAY)["state"] == "silent"
    returns_of(warehouse, THURSDAY)
    assert run("daily", THURSDAY, FRIDAY + timedelta(minutes=1))["state"] == "held"


def test_what_is_past_its_time_is_forgotten_and_months_are_not(
    warehouse: Connect, slack: SlackFake, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouse() as connection:
        put(connection, "net_sales", {date(2026, 8, 19): 1000, date(2026, 8, 23): 1000})
    run("daily", date(2026, 8, 19), FRIDAY)
    run("daily", date(2026, 8, 23), FRIDAY)
    run("monthly", date(2026, 8, 1), FRIDAY)
    returns_of(warehouse, THURSDAY)
    run("daily", THURSDAY, FRIDAY)
    # On 21 November, 90 days back is 23 August: what ended before it goes.
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 21, 6, 30, tzinfo=NEW_YORK))
    with DagsterInstance.ephemeral() as instance:
        assert materialize(
            [narratives.retention_narratives], resources={"warehouse": WarehouseResource()}, instance=instance
        ).success
    assert documents(warehouse) == [
        ("narrative_daily", date(2026, 8, 23)), ("narrative_monthly", date(2026, 8, 1)), ("narrative_daily", THURSDAY),
    ]  # fmt: skip
    with warehouse() as connection:
        kept = connection.execute("select period_start from ops.evidence_bundles order by 1").fetchall()
        messages = connection.execute("select count(*) from ops.outbox").fetchone()
    assert [day for (day,) in kept] == [date(2026, 8, 1), date(2026, 8, 23), THURSDAY] and messages == (1,)
    assert sorted(path.name for path in (tmp_path / "documents").glob("*.md")) == [
        "narrative_daily-2026-08-24.md", "narrative_daily-2026-11-20.md", "narrative_monthly-2026-09-01.md",
    ]  # fmt: skip
    assert len(slack.posts()) == 1


def test_forgetting_a_document_keeps_its_message(warehouse: Connect, slack: SlackFake, run: Run) -> None:
    from ops_platform.documents.retention import forget

    returns_of(warehouse, THURSDAY)
    run("daily", THURSDAY, FRIDAY)
    with warehouse() as connection:
        assert forget(connection, "narrative_daily", "narrative_daily", date(2026, 11, 19)) == 0
        assert forget(connection, "narrative_daily", "narrative_daily", date(2026, 11, 20)) == 1
        row = connection.execute("select state, document_id from ops.outbox").fetchone()
    assert row == ("sent", None)


@pytest.mark.parametrize(
    ("job", "due", "period"),
    [
        ("narrative_daily", datetime(2026, 11, 20, 6, 30, tzinfo=NEW_YORK), "2026-11-19"),
        ("narrative_weekly", MONDAY, "2026-11-09"),
        ("narrative_monthly", datetime(2026, 12, 1, 7, 0, tzinfo=NEW_YORK), "2026-11-01"),
    ],
)
def test_a_schedule_asks_for_the_period_that_has_just_ended(job: str, due: datetime, period: str) -> None:
    from ops_platform.fleet.ticks import ticks_between

    fleet = get_fleet()
    cron = fleet.scheduled()[job]
    assert ticks_between(cron, fleet.company.timezone, due, due + timedelta(minutes=1)) == [due]
    request = newest_period(fleet, job)
    assert request is not None
    # However late the daemon gets to it.
    asked = request(build_schedule_context(scheduled_execution_time=due))
    assert asked.partition_key == period
    assert newest_period(fleet, "ops_pulse") is None


# By e-mail -------------------------------------------------------------------------------------------------------


@pytest.fixture
def mail(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The sandbox's mail server as the platform's settings name it."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        given = sandbox.control("GET", "environment")
        for name in ("SMTP_URL", "SMTP_FROM"):
            monkeypatch.setenv(name, given[name])
        reset_settings()
        yield sandbox


def mails(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [entry["detail"] for entry in sandbox.control("GET", "ledger?vendor=mail&kind=mail_accepted")]


def test_the_week_goes_to_its_list_too_once_and_to_it_alone_where_slack_is_missing(
    warehouse: Connect, slack: SlackFake, run: Run, mail: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("weekly", date(2026, 11, 9), MONDAY)
    said = run("weekly", date(2026, 11, 9), MONDAY + timedelta(hours=1))
    assert said["outbox"] == "superseded, superseded" and len(texts(slack)) == 1
    (week,) = mails(mail)
    assert (week["to"], week["subject"]) == (["leadership@northbeam.example"], "9–15 November 2026 — week in review")
    assert "$10,500" in week["text"] and "$10,500" in week["html"]
    monkeypatch.setenv("SLACK_BOT_TOKEN", "")
    reset_settings()
    run("monthly", date(2026, 10, 1), FRIDAY)
    assert [one["subject"] for one in mails(mail)][1:] == ["October 2026 — month in review"]
    assert len(texts(slack)) == 1


def test_without_a_mail_server_the_lineage_says_who_gets_nothing(slack: SlackFake, run: Run) -> None:
    said = run("weekly", date(2026, 11, 9), MONDAY)
    assert said["email"] == "not sent to leadership@northbeam.example: e-mail is not connected, set SMTP_URL"
    assert len(texts(slack)) == 1


def test_a_wrong_address_of_the_mail_server_keeps_nothing_from_slack(
    slack: SlackFake, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://user:secret@mail.example?tls=none")
    reset_settings()
    run("weekly", date(2026, 11, 9), MONDAY)
    assert len(texts(slack)) == 1
