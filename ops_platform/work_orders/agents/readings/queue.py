"""Work orders: what is open, due, late, blocked, waiting for the manager, and how the last thirty days went.

Belongs here: the reading. Does not belong here: clocks and ladders (`work_orders.sla`), the metrics of it (dbt)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.work_orders.agents.findings import Finding, Line, quoted

if TYPE_CHECKING:
    from ops_platform.evidence.model import Fact
    from ops_platform.work_orders.agents.findings import Reader

RELATIONS = ("ops.work_orders", "ops.work_tickets")
SHOWN = 8
_NOW = """
select count(*) filter (where answered_at is null) as unanswered,
    count(*) filter (where phase = 'running') as running,
    count(*) filter (where priority in ('P0', 'P1') and answered_at is null) as urgent,
    count(*) filter (where answered_at is null and due_at < %(as_of)s) as late,
    count(*) filter (where answered_at is null and due_at between %(as_of)s and %(soon)s) as due_soon,
    count(*) filter (where phase = 'blocked') as blocked,
    count(*) filter (where held_reason is not null) as held,
    count(*) filter (where manager in ('pending', 'escalated') and phase = 'answered') as waiting
from ops.work_orders
where phase in ('received', 'queued', 'running', 'answered', 'blocked') and received_at <= %(as_of)s
"""
_PAST = """
select count(*) as answered, count(*) filter (where answered_at <= due_at) as inside,
    count(*) filter (where due_at is not null) as timed,
    round((avg(extract(epoch from answered_at - received_at)) / 3600)::numeric, 2) as hours
from ops.work_orders where answered_at > %(month)s and answered_at <= %(as_of)s
"""
_FAILED = """
select count(*) as failed from ops.work_orders where phase = 'failed' and ended_at > %(month)s and ended_at <= %(as_of)s
"""
_TICKETS = "select count(*) as open from ops.work_tickets where resolved_at is null and opened_at <= %(as_of)s"
_NEXT = """
select number, title, priority, agent, phase, due_at from ops.work_orders
where phase in ('received', 'queued', 'running', 'blocked') and answered_at is null and id <> %(mine)s
    and received_at <= %(as_of)s
order by priority, due_at nulls last, id limit %(most)s
"""
_BY_AGENT = """
select agent, count(*) as open from ops.work_orders
where phase in ('received', 'queued', 'running', 'blocked') and answered_at is null and received_at <= %(as_of)s
group by 1 order by 2 desc, 1 limit 5
"""


def read(reader: Reader) -> Finding:
    """The queue as it stands, and the thirty days behind it."""
    params = {
        "as_of": reader.as_of, "soon": reader.as_of + timedelta(hours=4), "month": reader.as_of - timedelta(days=30),
        "mine": reader.order.id, "most": SHOWN,
    }  # fmt: skip
    now, past = reader.one(_NOW, params), reader.one(_PAST, params)
    failed, tickets = reader.one(_FAILED, params), reader.one(_TICKETS, params)
    counted = (
        ("orders_open", "Orders without an answer", now["unanswered"], _NOW),
        ("orders_running", "Orders being worked on", now["running"], _NOW),
        ("orders_urgent", "Urgent orders (P0, P1)", now["urgent"], _NOW),
        ("orders_late", "Orders past their deadline", now["late"], _NOW),
        ("orders_due_soon", "Orders due within four hours", now["due_soon"], _NOW),
        ("orders_blocked", "Orders blocked", now["blocked"], _NOW),
        ("orders_held", "Orders held until labelled again", now["held"], _NOW),
        ("orders_waiting", "Answers waiting for the manager", now["waiting"], _NOW),
        ("orders_answered", "Orders answered in thirty days", past["answered"], _PAST),
        ("orders_failed", "Orders failed in thirty days", failed["failed"], _FAILED),
        ("tickets_open_orders", "Escalation tickets open", tickets["open"], _TICKETS),
    )
    facts: list[Fact] = [
        reader.fact(name, label, "count", value, RELATIONS[0], query, params, direction="down_is_good")
        for name, label, value, query in counted
    ]
    shown = ["orders_open", "orders_urgent", "orders_late", "orders_due_soon", "orders_blocked", "orders_waiting",
             "orders_answered", "orders_failed"]  # fmt: skip
    if past["timed"]:
        inside = (Decimal(past["inside"]) / past["timed"]).quantize(Decimal("0.0001"))
        facts.append(
            reader.fact("orders_inside", "Orders answered inside their deadline", "ratio", inside, RELATIONS[0], _PAST,
                        params, direction="up_is_good")
        )  # fmt: skip
        facts.append(
            reader.fact("orders_hours", "Mean time to an answer", "hours", past["hours"], RELATIONS[0], _PAST, params)
        )
        shown += ["orders_inside", "orders_hours"]
    lines = []
    for place, row in enumerate(reader.rows(_NEXT, params), 1):
        told: list[str] = []
        if row["due_at"] is not None:
            left = (row["due_at"] - reader.as_of).total_seconds() / 3600
            fact = reader.fact(
                f"order_{place}_left", "Time left" if left >= 0 else "Time past its deadline", "hours",
                Decimal(str(round(abs(left), 2))), RELATIONS[0], _NEXT, params, about=f"#{row['number']}",
            )  # fmt: skip
            facts.append(fact)
            told.append(fact.id)
        late = row["due_at"] is not None and row["due_at"] < reader.as_of
        when = "past its deadline by" if late else "due in" if told else "clock paused"
        label = f"{row['priority']} {row['agent']}, {when}"
        state = "attention" if late or row["phase"] == "blocked" else "info"
        lines.append(Line(state, label, tuple(told), quoted(f"#{row['number']} {row['title']}", 90)))  # type: ignore[arg-type]
    for place, row in enumerate(reader.rows(_BY_AGENT, params), 1):
        fact = reader.fact(
            f"load_{place}", "Orders open", "count", row["open"], RELATIONS[0], _BY_AGENT, params, about=row["agent"]
        )
        facts.append(fact)
        lines.append(Line("info", f"Load of {row['agent']}", (fact.id,)))
    note = (
        "" if past["answered"] or now["unanswered"] else "No work order is open, and none was answered in thirty days."
    )
    return Finding("Work orders", tuple(facts), tuple(shown), tuple(lines), note)
