"""What people said of alerts: precision per metric, and a word when one cries wolf.

Belongs here: counting useful and noise, and the edit that is suggested. Does not belong here: taking the word in
(`actions.py`). Nothing here changes a metric or a rule: a suggestion is a text, and a person edits the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet.alert_policy import AlertPolicy, Persistence

# An alert rated by several is useful when at least half of them say so.
_RATED = """
with rated as (
    select
        alert_id,
        count(*) filter (where verdict = 'useful') >= count(*) filter (where verdict = 'noise') as is_useful
    from ops.alert_feedback
    group by alert_id
)

select
    split_part(alerts.head, ':', 1) as kind,
    split_part(alerts.head, ':', 2) as name,
    count(*) as alerts,
    count(rated.alert_id) as rated,
    count(*) filter (where rated.is_useful) as useful,
    count(*) filter (where not rated.is_useful) as noise,
    array_agg(abs((members.signal ->> 'effect')::numeric)) filter (where not rated.is_useful) as noise_effects,
    max(members.signal ->> 'label') as label,
    max(members.signal ->> 'unit') as unit
from ops.alerts
left join rated on rated.alert_id = alerts.id
left join ops.alert_members as members on members.alert_id = alerts.id and members.subject = alerts.head
where alerts.opened_at > %(since)s and alerts.first_told_at is not null
group by 1, 2
order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Precision:
    """The alerts of one metric or rule, by the head of their incident. `precision` is useful over rated, None while
    nobody has rated any; `suggestion` is the edit that would quieten it, where it cries wolf."""

    kind: str
    name: str
    label: str
    alerts: int
    rated: int
    useful: int
    noise: int
    suggestion: str | None = None

    @property
    def precision(self) -> Decimal | None:
        return Decimal(self.useful) / self.rated if self.rated else None


def precision(connection: psycopg.Connection[Any], now: datetime, policy: AlertPolicy) -> list[Precision]:
    """Of every metric and rule that alerted in the policy's days, those that cry wolf first."""
    from psycopg.rows import dict_row

    since = now - timedelta(days=policy.wolf.days)
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_RATED.encode(), {"since": since}).fetchall()
    found = []
    for row in rows:
        suggested = None
        rated, useful = row["rated"], row["useful"]
        if rated >= policy.wolf.least and Decimal(useful) / rated < policy.wolf.precision:
            suggested = _suggestion(row, policy)
        found.append(
            Precision(
                row["kind"], row["name"], row["label"] or row["name"], row["alerts"], rated, useful, row["noise"],
                suggested,
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.suggestion is None, -one.noise, one.kind, one.name))


def _suggestion(row: dict[str, Any], policy: AlertPolicy) -> str:
    kind, name = row["kind"], row["name"]
    said = f"{row['noise']} of {row['rated']} rated alerts were noise."
    effects = sorted(effect for effect in row["noise_effects"] or [] if effect is not None)
    persistence = policy.exceptions.get(f"{kind}:{name}") or policy.persistence[kind]
    patient = _more_patient(persistence)
    in_fleet = (
        f"in fleet.yaml under alerts.exceptions: `{kind}:{name}: {{ open: {patient.open}, of: {patient.of}, "
        f"resolve: {patient.resolve}, clear_below: {patient.clear_below}, look: {patient.look} }}`"
    )
    if kind == "metric" and effects:
        # Three quarters of what was noise would have stayed below it.
        bound = _two_figures(effects[(3 * len(effects) - 1) // 4])
        return (
            f"{said} Suggestion, for a person to edit: in dbt_project/models/metrics/…/{name}.yml set "
            f"`minimum_effect: {bound}` (three quarters of the noise was no larger), or {in_fleet}."
        )
    where = "raise the limit in fleet.yaml under alert_rules, or " if kind == "threshold" else ""
    return f"{said} Suggestion, for a person to edit: {where}ask it to last longer, {in_fleet}."


def _more_patient(rule: Persistence) -> Persistence:
    return rule.model_copy(update={"open": rule.open + 1, "of": max(rule.of + 1, rule.open + 1)})


def _two_figures(value: Decimal) -> str:
    """The next number up with two significant figures."""
    if value == 0:
        return "0"
    step = Decimal(1).scaleb(value.adjusted() - 1)
    return format((value / step).to_integral_value(rounding=ROUND_CEILING) * step, "f")
