"""What a week of silence covered reaches the executive channel with Monday's pulse: made, written and posted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import DagsterInstance, materialize

from assets.delivery import delivery_ops_pulse
from assets.evidence import evidence_ops_pulse
from assets.reports import report_ops_pulse
from ops_platform import clock
from ops_platform.alerts import receipts
from ops_platform.fleet import get_fleet
from ops_platform.fleet.ticks import ticks_between
from ops_platform.settings import reset_settings
from resources.postgres import WarehouseResource
from tests.conftest import Connect
from tests.delivery.slack_fake import SlackFake

MONDAY = datetime(2026, 11, 23, 6, 0, tzinfo=ZoneInfo("America/New_York"))
DAY = timedelta(days=1)
Pulse = Callable[[datetime], list[str]]


@pytest.fixture
def pulse(warehouse: Connect, executive: SlackFake, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the pulse's own assets as of a moment; returns what Slack shows by then."""

    def run(now: datetime) -> list[str]:
        monkeypatch.setattr(clock, "now", lambda: now)
        with DagsterInstance.ephemeral() as instance:
            assert materialize(
                [evidence_ops_pulse, report_ops_pulse, delivery_ops_pulse],
                resources={"warehouse": WarehouseResource()}, instance=instance,
            ).success  # fmt: skip
        return [json.dumps(message, ensure_ascii=False) for message in executive.posts()]

    return run


def quiet_week(warehouse: Connect, *, days: int = 7) -> None:
    with warehouse() as connection:
        for number in range(days):
            at = MONDAY - (number + 1) * DAY
            receipts.settle(
                connection, f"run {number}", "ops_pulse", bot="coordinator", at=at, as_of=at, messages=0,
                looks=receipts.Looks(210, 0, 0, "Refunds", None), freshness=receipts.Freshness(at),
            )  # fmt: skip


def test_monday_tells_the_week_once_and_no_other_day_does(warehouse: Connect, pulse: Pulse) -> None:
    quiet_week(warehouse)
    (said,) = pulse(MONDAY)
    assert "Silence covered 7 days: 7 of 7 runs had nothing to say; 1,470 looks, 0 out of order" in said
    assert "not every day" not in said
    assert pulse(MONDAY + timedelta(hours=1)) == [said]
    monday, tuesday = pulse(MONDAY + DAY)
    assert monday == said and "Silence covered" not in tuesday


def test_a_day_without_a_receipt_is_said(warehouse: Connect, pulse: Pulse) -> None:
    quiet_week(warehouse, days=5)
    (said,) = pulse(MONDAY)
    assert "Silence covered 5 days" in said and "⚠ not every day has a receipt" in said


def test_a_week_without_any_receipt_is_no_silence(pulse: Pulse) -> None:
    (said,) = pulse(MONDAY)
    assert "⚠ No receipts: nothing proves that anything ran" in said


def test_without_slack_the_receipt_says_that_the_document_was_held(
    warehouse: Connect, pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.document_steps import deliver_document

    monkeypatch.setenv("SLACK_BOT_TOKEN", "")
    reset_settings()
    quiet_week(warehouse, days=1)
    assert deliver_document("run 0", WarehouseResource(), "ops_pulse")["state"] == "held"
    with warehouse() as connection:
        (receipt,) = receipts.receipts(connection)
    assert receipt.held == {"undelivered": 1} and not receipt.silent


def test_the_pulse_is_due_on_mondays_in_company_time() -> None:
    company, job = get_fleet().company, get_fleet().jobs["ops_pulse"]
    assert job.always  # it goes out even where there is nothing to act on
    assert MONDAY in ticks_between(get_fleet().scheduled()["ops_pulse"], company.timezone, MONDAY - DAY, MONDAY + DAY)
