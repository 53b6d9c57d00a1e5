"""Marts and metrics of work orders, from rows written by hand; each expectation counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.part_of_project import copy_part

# Friday, 10:00 in New York: what is told of the day before is complete.
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
METRICS = (
    "work_orders_received", "work_orders_answered", "work_orders_open", "work_sla_compliance", "work_success_rate",
    "work_automation_rate", "work_processing_hours", "work_answer_hours", "work_pickup_seconds", "work_order_cost",
    "work_agent_utilisation", "work_attempts_failed",
)  # fmt: skip
MARTS = (
    "fct_work_orders",
    "fct_agent_days",
    "fct_work_queue",
    "fct_work_security_events",
    "fct_work_orders_open_daily",
)
DAY = date(2026, 11, 18)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}+00:00")


def order(warehouse: DbtWarehouse, number: int, **given: Any) -> int:
    """An order as the store leaves it."""
    row = {
        "repository": "northbeam/operations", "number": number, "round": 1, "title": "t", "body": "b",
        "body_hash": "0" * 64, "labels": [], "author": "mei", "labelled_by": "mei", "routed_by": "finance/analysis",
        "agent": "ai-finance", "priority": "P2", "phase": "queued", "calendar": "always", "sla_minutes": 1440,
        "received_at": at("18T14:00"), "labelled_at": at("18T14:00"), "clock_from": at("18T14:00"),
        "queued_at": at("18T14:00"), "due_at": at("19T14:00"), "updated_at": NOW, **given,
    }  # fmt: skip
    warehouse.connection.execute(
        "insert into ops.work_issues (repository, number, title, body, body_hash, state, labels, author, created_at,"
        " updated_at, seen_at) values (%s, %s, 't', 'b', %s, 'open', '{}', 'mei', %s, %s, %s)",
        (row["repository"], number, "0" * 64, NOW, NOW, NOW),
    )
    names = ", ".join(row)
    places = ", ".join(f"%({name})s" for name in row)
    found = warehouse.connection.execute(
        f"insert into ops.work_orders ({names}) values ({places}) returning id".encode(), row
    ).fetchone()
    assert found is not None
    return int(found[0])


def attempt(
    warehouse: DbtWarehouse, work: int, number: int, begun: str, ended: str | None, outcome: str | None
) -> None:
    warehouse.connection.execute(
        "insert into ops.work_attempts (work_id, attempt, holder, agent, priority, started_at, ended_at, outcome)"
        " select id, %s, 'w', agent, priority, %s, %s, %s from ops.work_orders where id = %s",
        (number, at(begun), None if ended is None else at(ended), outcome, work),
    )


@pytest.fixture(scope="module")
def built(make_warehouse: Callable[..., DbtWarehouse], tmp_path_factory: pytest.TempPathFactory) -> DbtWarehouse:
    project = copy_part((*METRICS, *MARTS), tmp_path_factory.mktemp("project") / "dbt_project")
    made = make_warehouse(project)
    made.clock(NOW)
    made.fresh("github", "issues", NOW)
    for agent, places in (("ai-finance", 2), ("ai-operations", 1)):
        made.connection.execute(
            "insert into ops.work_agents values (%s, %s, 'all', %s, %s)", (agent, agent, places, NOW)
        )
    # In time: answered two hours after it came, one hour after it was taken up first, at a quarter of a dollar.
    done = order(
        made, 1, phase="done", attempt=2, started_at=at("18T15:00"), answered_at=at("18T16:00"),
        ended_at=at("18T16:00"), tokens=900, cost=Decimal("0.25"),
    )  # fmt: skip
    attempt(made, done, 1, "18T15:00", "18T15:30", "retried")
    attempt(made, done, 2, "18T15:45", "18T16:00", "done")
    # Late: its time was over on the 18th, the answer came on the 19th. Somebody paused its clock.
    late = order(
        made, 2, priority="P1", phase="answered", manager="pending", approver="dana", attempt=1, due_at=at("18T18:00"),
        started_at=at("18T17:00"), answered_at=at("19T17:00"),
    )  # fmt: skip
    attempt(made, late, 1, "18T17:00", "19T17:00", "answered")
    made.connection.execute(
        "insert into ops.work_decisions (work_id, decision, reason, actor, at)"
        " values (%s, 'clock_paused', 'bank', 'dana', %s)",
        (late, at("18T17:30")),
    )  # fmt: skip
    # A P0 taken up after twelve seconds, given up on the same day.
    urgent = order(
        made, 3, agent="ai-operations", priority="P0", phase="failed", reason="broken", attempt=1,
        due_at=at("18T15:00"), started_at=at("18T14:00:12"), ended_at=at("18T14:10:12"),
    )  # fmt: skip
    attempt(made, urgent, 1, "18T14:00:12", "18T14:10:12", "failed")
    # Waits, its time over since yesterday; another whose clock stands still; one that people took back.
    order(made, 4, priority="P3", due_at=at("19T20:00"))
    order(made, 5, due_at=None, paused_since=at("18T15:00"))
    order(made, 6, phase="withdrawn", reason="not wanted", ended_at=at("18T20:00"))
    made.connection.execute(
        "insert into ops.work_assessments (subject, content_hash, rules_hash, work_id, action, score, assessed_at)"
        " values ('issue', %s, %s, %s, 'hold', 90, %s)", ("1" * 64, "2" * 64, late, at("20T09:00")),
    )  # fmt: skip
    made.connection.execute(
        "insert into ops.work_violations (assessment_id, rule, category, severity, action, occurrences, first_at,"
        " mitigation) select id, 'cloud_key', 'secrets', 'critical', 'hold', 1, 0, 'revoke' from ops.work_assessments"
    )
    made.connection.execute(
        "insert into ops.work_violations (assessment_id, rule, category, severity, action, occurrences, first_at,"
        " mitigation) select id, 'told', 'injection', 'medium', 'note', 1, 0, 'read' from ops.work_assessments"
    )
    made.build()
    return made


def test_the_verdict_falls_once(built: DbtWarehouse) -> None:
    found = {
        number: (in_time, breach, overdue, None if late is None else round(late, 2), judged)
        for number, in_time, breach, overdue, late, judged in built.rows(
            "select issue_number, is_in_time, is_breach, is_overdue, hours_late, judged_day from marts.fct_work_orders"
        )
    }
    assert found == {
        1: (True, False, False, None, DAY),
        2: (False, True, False, Decimal("23.00"), DAY),
        3: (False, True, False, Decimal("48.00"), DAY),
        4: (False, True, True, Decimal("19.00"), date(2026, 11, 19)),
        5: (None, False, False, None, None),
        6: (None, False, False, None, None),
    }


def test_metrics_of_the_day(built: DbtWarehouse) -> None:
    day = DAY.isoformat()
    # Judged on the 18th: one of three in time. Ended on it, but for what was withdrawn: one of two done.
    assert built.metric("work_sla_compliance")[day] == round(Decimal(1) / 3, 8)
    assert built.metric("work_sla_compliance")["2026-11-19"] == 0
    assert built.metric("work_success_rate")[day] == Decimal("0.5")
    assert built.metric("work_orders_received")[day] == 6
    assert (built.metric("work_orders_answered")[day], built.metric("work_orders_answered")["2026-11-19"]) == (1, 1)
    assert (built.metric("work_automation_rate")[day], built.metric("work_automation_rate")["2026-11-19"]) == (1, 0)
    assert built.metric("work_processing_hours")[day] == 1
    assert built.metric("work_answer_hours")[day] == 2
    assert built.metric("work_pickup_seconds")[day] == 12
    assert built.metric("work_order_cost")[day] == Decimal("0.25")
    assert built.metric("work_attempts_failed")[day] == 1
    # At the close of the 18th: answered and not accepted, waiting, paused. Those done, failed, withdrawn are not open.
    assert built.metric("work_orders_open")[day] == 3
    assert built.metric("work_orders_open", "priority", "P1")[day] == 1


def test_an_attempt_over_midnight_counts_on_both_days(built: DbtWarehouse) -> None:
    # The 18th in New York ends at 05:00 UTC. ai-finance: 30 + 15 minutes, and 12 hours of the late one, of 48 hours.
    busy = dict(built.rows("select date, busy_hours from marts.fct_agent_days where agent = 'ai-finance'"))
    assert (busy[DAY], busy[date(2026, 11, 19)]) == (Decimal("12.75"), Decimal(12))
    assert built.metric("work_agent_utilisation", "agent", "ai-finance")[DAY.isoformat()] == round(
        Decimal("12.75") / 48, 8
    )
    # Ten minutes (hours are kept to the millionth) of 24 hours.
    assert built.metric("work_agent_utilisation", "agent", "ai-operations")[DAY.isoformat()] == Decimal("0.00694446")


def test_what_rules_look_at(built: DbtWarehouse) -> None:
    queue = {
        row[0]: row[1:] for row in built.rows("select agent, waiting, running, places, load from marts.fct_work_queue")
    }
    assert queue == {"ai-finance": (2, 0, 2, Decimal(1)), "ai-operations": (0, 0, 1, Decimal(0))}
    events = built.rows("select rule, severity, work_order, is_recent from marts.fct_work_security_events")
    assert events == [("cloud_key", "critical", "northbeam/operations#2", True)]
