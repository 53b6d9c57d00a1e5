"""What was refused, held or kept out: the record a security review begins with.

Belongs here: the reading. Does not belong here: refusing (`work_orders.effects`, `policy_store`, `resources`)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ops_platform.work_orders.agents.findings import Finding, Line, quoted

if TYPE_CHECKING:
    from ops_platform.evidence.model import Direction
    from ops_platform.work_orders.agents.findings import Reader

RELATIONS = (
    "ops.work_effects", "ops.work_violations", "ops.work_assessments", "ops.work_deliveries", "ops.work_decisions",
    "ops.work_orders", "ops.alert_presses", "ops.schema_changes", "ops.outbox", "ops.approval_required",
    "ops.agent_scopes",
)  # fmt: skip
_MONTH = "%(month)s and %(as_of)s"
_COUNTS = {
    "effects_refused": (
        "Effects of agents refused", "ops.work_effects",
        f"select count(*) as n from ops.work_effects where state = 'refused' and staged_at between {_MONTH}",
    ),
    "violations": (
        "Rules broken by texts", "ops.work_violations",
        "select count(*) as n from ops.work_violations join ops.work_assessments on work_assessments.id = assessment_id"
        f" where assessed_at between {_MONTH}",
    ),
    "violations_critical": (
        "Critical rules broken", "ops.work_violations",
        "select count(*) as n from ops.work_violations join ops.work_assessments on work_assessments.id = assessment_id"
        f" where severity = 'critical' and assessed_at between {_MONTH}",
    ),
    "orders_held_now": (
        "Orders held now", "ops.work_orders",
        "select count(*) as n from ops.work_orders where held_reason is not null and phase = 'received'",
    ),
    "deliveries_refused": (
        "Webhook deliveries refused", "ops.work_deliveries",
        f"select count(*) as n from ops.work_deliveries where state = 'refused' and received_at between {_MONTH}",
    ),
    "presses_refused": (
        "Button presses refused", "ops.alert_presses",
        f"select count(*) as n from ops.alert_presses where state = 'refused' and received_at between {_MONTH}",
    ),
    "drift_paused": (
        "Streams paused by a changed source", "ops.schema_changes",
        "select count(*) as n from ops.schema_changes where pauses and settled_at is null",
    ),
    "kinds_behind_approval": (
        "Kinds of documents behind an approval", "ops.approval_required",
        "select count(*) as n from ops.approval_required",
    ),
}  # fmt: skip
_SUPERUSERS = """
select count(*) as n from pg_roles where rolcanlogin and (rolsuper or rolbypassrls) and rolname not like 'pg\\_%%'
"""
_AGENTS = """
select count(distinct roles.rolname) as n from pg_roles as roles where roles.rolname like 'ops\\_agent\\_%%'
"""
_WRITERS = """
select count(distinct grantee) as n from information_schema.role_table_grants
where grantee like 'ops\\_agent\\_%%' and privilege_type <> 'SELECT'
"""
_RULES = """
select rule, severity, sum(occurrences) as times from ops.work_violations
join ops.work_assessments on work_assessments.id = assessment_id
where assessed_at between %(month)s and %(as_of)s
group by 1, 2 order by array_position(array['critical', 'high', 'medium', 'low'], severity), 3 desc, 1 limit 6
"""
_HELD = """
select number, held_reason from ops.work_orders where held_reason is not null and phase = 'received'
order by received_at limit 5
"""


def read(reader: Reader) -> Finding:
    """Thirty days of refusals, and what the database itself says of access."""
    params = {"month": reader.as_of - timedelta(days=30), "as_of": reader.until}
    facts = []
    for name, (label, relation, query) in _COUNTS.items():
        down: Direction = "neutral" if name == "kinds_behind_approval" else "down_is_good"
        facts.append(
            reader.fact(name, label, "count", reader.one(query, params)["n"], relation, query, params, direction=down)
        )
    for name, label, query in (
        ("logins_above_policies", "Logins above every row policy", _SUPERUSERS),
        ("agent_roles", "Agent roles in the database", _AGENTS),
        ("agent_roles_writing", "Roles of agents able to write", _WRITERS),
    ):
        facts.append(
            reader.fact(name, label, "count", reader.one(query)["n"], "pg_roles", query, direction="down_is_good")
        )
    lines = []
    for place, row in enumerate(reader.rows(_RULES, params), 1):
        fact = reader.fact(f"rule_{place}_times", "Times a rule was broken", "count", row["times"],
                           "ops.work_violations", _RULES, params, about=row["rule"])  # fmt: skip
        facts.append(fact)
        lines.append(Line("attention" if row["severity"] in ("critical", "high") else "info",
                          f"Rule {row['rule'].replace('_', ' ')} ({row['severity']})", (fact.id,)))  # fmt: skip
    for row in reader.rows(_HELD):
        lines.append(Line("attention", "Held:", (), quoted(f"#{row['number']} {row['held_reason']}")))
    shown = ("effects_refused", "violations", "violations_critical", "orders_held_now", "deliveries_refused",
             "presses_refused", "agent_roles", "agent_roles_writing", "logins_above_policies")  # fmt: skip
    return Finding("Refusals and access", tuple(facts), shown, tuple(lines))
