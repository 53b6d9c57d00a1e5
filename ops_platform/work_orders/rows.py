"""Reading orders from the database, and their clock.

Belongs here: the columns of an order, look-ups, when it is due. Does not belong here: what changes an order
(`store.py`, `receiving.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.failures import DataFailure
from ops_platform.work_orders.calendars import ALWAYS
from ops_platform.work_orders.model import FailureClass, Manager, Phase, Priority, WorkOrder
from ops_platform.work_orders.policy import WorkPolicy
from ops_platform.work_orders.sla import Clock, Pause

if TYPE_CHECKING:
    import psycopg

COLUMNS = ", ".join(field.name for field in fields(WorkOrder))


def order_of(row: Any) -> WorkOrder:
    """An order from a row of `COLUMNS`."""
    values: dict[str, Any] = dict(zip((field.name for field in fields(WorkOrder)), row, strict=True))
    failure = values["failure_class"]
    return WorkOrder(
        **values
        | {
            "labels": tuple(values["labels"]),
            "assignees": tuple(values["assignees"]),
            "priority": Priority(values["priority"]),
            "phase": Phase(values["phase"]),
            "manager": Manager(values["manager"]),
            "failure_class": None if failure is None else FailureClass(failure),
        }
    )


def orders(
    connection: psycopg.Connection[Any], condition: str, parameters: Mapping[str, Any] | None = None, *, tail: str = ""
) -> list[WorkOrder]:
    """The orders of a condition of ours; `tail` orders and limits them."""
    rows = connection.execute(
        f"select {COLUMNS} from ops.work_orders where {condition} {tail or 'order by id'}".encode(),
        dict(parameters or {}),
    )
    return [order_of(row) for row in rows]


def load(connection: psycopg.Connection[Any], work_id: int) -> WorkOrder:
    """Raises `DataFailure` where there is none."""
    found = orders(connection, "id = %(id)s", {"id": work_id})
    if not found:
        raise DataFailure(f"there is no work order {work_id}: `ops work list` shows them")
    return found[0]


def of_issue(connection: psycopg.Connection[Any], repository: str, number: int) -> WorkOrder | None:
    """The newest round of an issue."""
    found = orders(
        connection, "repository = %(repository)s and number = %(number)s",
        {"repository": repository.lower(), "number": number}, tail="order by round desc limit 1",
    )  # fmt: skip
    return found[0] if found else None


def listed(
    connection: psycopg.Connection[Any],
    *,
    phases: tuple[Phase, ...] = (),
    agent: str | None = None,
    limit: int = 100,
) -> list[WorkOrder]:
    """Orders in the order of the queue: most urgent, then soonest due."""
    return orders(
        connection,
        "(%(phases)s::text[] = '{}' or phase = any(%(phases)s)) and (%(agent)s::text is null or agent = %(agent)s)",
        {"phases": [str(phase) for phase in phases], "agent": agent, "limit": limit},
        tail="order by priority, due_at nulls last, id limit %(limit)s",
    )


def calendar_of(policy: WorkPolicy, priority: Priority, agent: str, assignees: tuple[str, ...]) -> str:
    """Whose hours count: of a priority whose clock always runs, nobody's; else those of the people the issue is
    assigned to, else the agent's. Of several people the one with the most hours: the strictest."""
    if policy.priorities[priority].clock == ALWAYS:
        return ALWAYS
    names = [person.calendar for login in assignees if (person := policy.person_of(login)) is not None]
    if not names:
        rule = policy.agents.get(agent)
        return rule.calendar if rule is not None else ALWAYS
    return min(names, key=lambda name: (-_hours_a_week(policy, name), name))


def _hours_a_week(policy: WorkPolicy, name: str) -> int:
    calendar = policy.calendar(name)
    if calendar is None:
        return 7 * 24 * 60
    return sum(
        (int(end[:2]) * 60 + int(end[3:])) - (int(start[:2]) * 60 + int(start[3:]))
        for spans in calendar.hours.values()
        for start, end in (span.split("-") for span in spans)
    )


def pauses_of(connection: psycopg.Connection[Any], work_id: int) -> tuple[Pause, ...]:
    rows = connection.execute(
        "select paused_at, resumed_at from ops.work_clock where work_id = %s order by paused_at", (work_id,)
    )
    return tuple(Pause(start, end) for start, end in rows)


def clock_of(work: WorkOrder, pauses: tuple[Pause, ...], policy: WorkPolicy) -> Clock:
    """The clock of an order. A calendar that the policy has no more counts every hour: the strictest."""
    calendar = None if work.calendar not in policy.calendars else policy.calendar(work.calendar)
    return Clock(work.clock_from, timedelta(minutes=work.sla_minutes), calendar, pauses)


def reclock(connection: psycopg.Connection[Any], work_id: int, policy: WorkPolicy) -> datetime | None:
    """Write down when the order is due, by its pauses as they are now; None while its clock stands still."""
    work = load(connection, work_id)
    pauses = pauses_of(connection, work_id)
    due = clock_of(work, pauses, policy).due()
    open_since = next((pause.start for pause in pauses if pause.end is None), None)
    connection.execute(
        "update ops.work_orders set due_at = %s, paused_since = %s where id = %s", (due, open_since, work_id)
    )
    return due
