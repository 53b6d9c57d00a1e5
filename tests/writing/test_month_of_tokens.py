"""A month of every job that has a model, against the sandbox's Claude: within its bounds, and what it costs.

    python -m pytest -s tests/writing/test_month_of_tokens.py     tells the figures

The month is one whose first day is a Monday, so that on it everything is written: pulse, day, week, month, board pack;
digests follow on Fridays and Sundays. Every fifth document is refused in every sentence at first and repaired. The
vendor's clock and the ledger's move with the month, so that nothing is read from a cache that would be gone by then.
What may wait is handed to the vendor's batch, as `fleet.yaml` has it; every second asking finds it still going on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.evidence.briefing import Surroundings, build_briefing
from ops_platform.fleet import load_fleet
from ops_platform.fleet.reports import Report
from ops_platform.settings import Settings
from ops_platform.writing import batches as batches_room
from ops_platform.writing import budget as budget_room
from ops_platform.writing.batches import Batches
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.budget import TokenBudget
from ops_platform.writing.claude import ClaudeWriter
from ops_platform.writing.compose import write
from ops_platform.writing.costs import costs
from ops_platform.writing.routing import route
from ops_platform.writing.rules import RulesWriter
from resources.claude import AnthropicModel
from tests.database.fresh_database import fresh_database
from tests.delivery.sandboxed import running_sandbox
from tests.documents.test_narrative_document import week
from tests.evidence.board_company import AS_OF, COMPANY, SQL, build
from tests.evidence.bundles import morning
from tests.platform.test_fleet import FILE

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from ops_platform.evidence.model import Bundle
    from tests.conftest import Connect

FIRST = date(2026, 6, 1)
DAYS = 30
WHEN = {"ops_pulse": (6, 0), "narrative_daily": (6, 30), "narrative_weekly": (7, 0), "narrative_monthly": (7, 0),
             "board_pack": (8, 0), "division_digest": (16, 0), "logistics_weekly_digest": (20, 0),
             "marketing_weekly_digest": (20, 1), "sales_weekly_digest": (20, 2)}  # fmt: skip
DIGESTS = {"division_digest": "all", "logistics_weekly_digest": "supply_chain", "marketing_weekly_digest": "marketing",
           "sales_weekly_digest": "sales"}  # fmt: skip


def digest(connection: psycopg.Connection[Any], divisions: str) -> Bundle:
    """A week's digest of a division, from the company's metrics."""
    report = Report.model_validate(
        {"title": "Week", "over": "week", "digest": True, "sections": [{"divisions": divisions, "most": 4}],
         "speak_when": [{"news": True}]}
    )  # fmt: skip
    return build_briefing(connection, AS_OF, COMPANY, "briefing", report, Surroundings(), always=True)


@pytest.fixture
def bundles(server_home: Path, migrated: str) -> dict[str, Bundle]:
    with fresh_database(server_home, migrated, "board") as connect, connect() as opened:
        opened.execute(SQL.encode())
        pack = build(opened)
        digests = {name: digest(opened, divisions) for name, divisions in DIGESTS.items()}
    narratives = {name: replace(week(), kind=name) for name in WHEN if name.startswith("narrative_")}
    return {"ops_pulse": morning(), **narratives, "board_pack": pack, **digests}


def due(day: date) -> list[str]:
    """The jobs of a day, in the order of its morning."""
    names = ["ops_pulse", "narrative_daily"]
    if day.weekday() == 0:
        names.append("narrative_weekly")
    if day.day == 1:
        names += ["narrative_monthly", "board_pack"]
    if day.weekday() == 4:
        names.append("division_digest")
    if day.weekday() == 6:
        names += ["logistics_weekly_digest", "marketing_weekly_digest", "sales_weekly_digest"]
    return names


def test_a_month_of_all_jobs(
    bundles: dict[str, Bundle], warehouse: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = load_fleet(FILE, Settings())
    assert set(WHEN) == {name for name, job in fleet.jobs.items() if job.token_budget}  # every job with a model
    budget = TokenBudget.of(fleet, warehouse)
    at = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    for room in (budget_room, batches_room):
        monkeypatch.setattr(room, "wall_clock", lambda: at)
    number = 0
    by_rules: list[tuple[date, str, str]] = []
    with running_sandbox(tmp_path) as sandbox:
        model = AnthropicModel.from_settings(
            Settings(anthropic_api_key="sk-ant-sandbox", anthropic_base_url=sandbox.url)
        )
        days = [FIRST + timedelta(days=after) for after in range(DAYS)]
        for day in days:
            for name in due(day):
                hour, minute = WHEN[name]
                at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                sandbox.control("POST", "clock", {"now": at.isoformat(), "company": "keep"})
                number += 1
                if number % 5 == 2:
                    sandbox.fault("anthropic", "mode", "/v1/messages", times=1, mode="sloppy")
                way = route(fleet, name, day.isoformat())
                batches = None
                if way.batch_seconds:
                    sandbox.fault("anthropic", "slow_batch", "/v1/messages/batches/", times=1)
                    batches = Batches(model, warehouse, budget, wait_seconds=way.batch_seconds, poll_seconds=0.01)
                claude = ClaudeWriter(model, budget, way.allowance, model_id=way.model, backoff=0.01, batches=batches)
                bundle = bundles[name]
                written = write(bundle, brief_for(bundle), rules=RulesWriter(), claude=claude)
                if written.writer_name != "claude" and brief_for(bundle).slots:
                    by_rules.append((day, name, written.note))
    used: dict[date, Any] = {day: budget.use(day.isoformat()).used for day in days}
    month = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    with warehouse() as connection:
        found = costs(connection, month, month + timedelta(days=DAYS + 1), top=fleet.models.top)
        late = connection.execute(
            "select sum(cost_usd) from ops.token_ledger where batch and purpose = 'narrative_daily'"
        ).fetchone()
    assert found.saved is not None and late is not None
    print(
        f"\n{number} documents, {found.total.calls} calls, {found.total.tokens:,} tokens, ${found.total.cost_usd:.4f};"
        f" all on {found.one_model} ${found.one_model_usd:.4f}: saved {100 * found.saved:.1f}%; a day"
        f" {median(used.values()):,.0f} tokens, at most {max(used.values()):,}; by rules: {by_rules or 'none'}"
    )
    for line in found.by_job:
        print(f"  {line.name:<24}{line.calls:>4} calls {line.tokens:>9,} tokens  ${line.cost_usd:.4f}")
    # A fifth of the batches that do not end in time and are made at once instead cost this much more, at most.
    fifth = 1 - (found.total.cost_usd + late[0] / 5) / found.one_model_usd
    print(f"  with every fifth day's batch too late: saved {100 * fifth:.1f}%")
    assert by_rules == []
    assert number == len([name for day in days for name in due(day)])
    assert max(used.values()) < fleet.budget.tokens_per_cycle
    assert median(used.values()) < 8_000
    assert found.saved >= Decimal("0.8")
