"""What the board pack shows and asks, as `fleet.yaml` has it.

Belongs here: the shape of the entry. Does not belong here: values, how a figure is read (`ops_platform.evidence`).
"""

from __future__ import annotations

from pydantic import Field

from ops_platform.fleet.entries import Entry, Exact


class BoardPack(Entry):
    """`scorecard`: by heading, the metrics of the scorecard, in order. `decisions`: what is asked of the board where a
    metric is off its target, plan or year. `hours_saved`: hours of a person's work that one delivered document of a
    job stands for. `infrastructure_cost`: of a month, in the company's currency. `review_days`: how long a draft waits
    for a decision before silence counts as a refusal."""

    scorecard: dict[str, list[str]] = Field(default_factory=dict)
    decisions: dict[str, str] = Field(default_factory=dict)
    hours_saved: dict[str, Exact] = Field(default_factory=dict)
    infrastructure_cost: Exact | None = None
    review_days: int = Field(default=7, gt=0)
