"""Alerts that are open in the agent's divisions: how many, how loud, since when.

Belongs here: the reading. Does not belong here: when an alert opens (`ops_platform.alerts`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.work_orders.agents.findings import Finding, Line, quoted

if TYPE_CHECKING:
    from ops_platform.documents.model import State
    from ops_platform.evidence.model import Fact
    from ops_platform.work_orders.agents.findings import Reader

RELATIONS = ("ops.agent_alerts",)
SHOWN = 8
_COUNTS = """
select count(*) as open, count(*) filter (where severity = 'critical') as critical,
    count(*) filter (where acknowledged_at is null and assignee is null) as untaken
from ops.agent_alerts where resolved_at is null and opened_at <= %(as_of)s
"""
_LIST = """
select id, label, severity, opened_at from ops.agent_alerts where resolved_at is null and opened_at <= %(as_of)s
order by array_position(array['critical', 'alert', 'watch'], severity), since, id limit %(most)s
"""


def read(reader: Reader) -> Finding:
    """Open alerts of the scope, the loudest first."""
    params = {"as_of": reader.as_of}
    counts = reader.one(_COUNTS, params)

    def number(name: str, label: str) -> Fact:
        return reader.fact(
            f"alerts_{name}", label, "count", counts[name], RELATIONS[0], _COUNTS, params, direction="down_is_good"
        )

    facts = [
        number("open", "Alerts open"),
        number("critical", "Critical alerts open"),
        number("untaken", "Alerts nobody has taken"),
    ]
    lines = []
    for place, row in enumerate(reader.rows(_LIST, {**params, "most": SHOWN}), 1):
        opened = reader.day(f"alerts_{place}_opened", "Open since", row["opened_at"], RELATIONS[0])
        facts.append(opened)
        state: State = "attention" if row["severity"] in ("critical", "alert") else "info"
        lines.append(Line(state, f"{row['severity'].capitalize()}:", (opened.id,), quoted(row["label"])))
    figures = ("alerts_open", "alerts_critical", "alerts_untaken")
    return Finding("Open alerts", tuple(facts), figures, tuple(lines))
