"""What the models took: tokens of the day against the fleet's bound, money of the month, calls that failed.

Belongs here: the reading. Does not belong here: reserving (`ops_platform.writing.budget`), cost per output
(`ops_platform.writing.costs`)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ops_platform.work_orders.agents.findings import Finding, Line

if TYPE_CHECKING:
    from ops_platform.work_orders.agents.findings import Reader

RELATIONS = ("ops.token_ledger",)
_TAKEN = """
select coalesce(sum(case state when 'reserved' then reserved_tokens when 'released' then 0
        else input_tokens + output_tokens + cache_read_tokens + cache_write_tokens end)
        filter (where cycle = %(cycle)s), 0) as today,
    coalesce(sum(cost_usd) filter (where created_at > %(month)s), 0) as cost,
    coalesce(sum(cost_usd) filter (where created_at > %(month)s and purpose like 'agent:%%'), 0) as agents,
    count(*) filter (where created_at > %(month)s) as calls,
    count(*) filter (where created_at > %(month)s and outcome like 'failed:%%') as failed
from ops.token_ledger where created_at <= %(as_of)s
"""


def read(reader: Reader) -> Finding:
    """Tokens and money as the ledger has them."""
    params = {
        "as_of": reader.until, "month": reader.as_of - timedelta(days=30), "cycle": reader.calendar.today.isoformat(),
    }  # fmt: skip
    row = reader.one(_TAKEN, params)
    limit = reader.fleet.budget.tokens_per_cycle
    facts = (
        reader.fact("tokens_today", "Tokens taken today", "count", row["today"], RELATIONS[0], _TAKEN, params,
                    limit=limit, limit_label="the fleet's bound", direction="down_is_good"),
        reader.fact("model_cost", "Cost of models in thirty days", "money", row["cost"], RELATIONS[0], _TAKEN, params),
        reader.fact("agent_cost", "Of it for work orders", "money", row["agents"], RELATIONS[0], _TAKEN, params),
        reader.fact("model_calls", "Calls to models", "count", row["calls"], RELATIONS[0], _TAKEN, params),
        reader.fact("model_calls_failed", "Calls that failed", "count", row["failed"], RELATIONS[0], _TAKEN, params,
                    direction="down_is_good"),
    )  # fmt: skip
    lines = (Line("attention", "The fleet's tokens of the day are nearly taken", ("tokens_today",)),)
    return Finding(
        "Cost of the models", facts, ("tokens_today", "model_cost", "agent_cost", "model_calls_failed"),
        lines if row["today"] >= limit * 0.8 else (),
    )  # fmt: skip
