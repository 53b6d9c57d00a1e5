"""Which model does which work, and what it costs: tier per task, model per tier, list price per model.

Belongs here: the shape of `models` in `fleet.yaml`. Does not belong here: values, spending (`ops_platform.writing`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, get_args

from pydantic import Field, model_validator

from ops_platform.fleet.entries import Entry, Exact

Tier = Literal["small", "large"]
# What a call is for: reading facts out of a text, putting a thing into a class, writing over evidence that is at hand,
# bringing many sources together.
Task = Literal["extract", "classify", "write", "synthesise"]
TASKS: tuple[Task, ...] = get_args(Task)


class ModelPrice(Entry):
    """USD per million tokens, as listed. `cache_write` is that of the cache of five minutes, the only one asked for;
    `batch` is the share of every price that a call in a batch costs."""

    input: Exact = Field(ge=0)
    output: Exact = Field(ge=0)
    cache_read: Exact = Field(ge=0)
    cache_write: Exact = Field(ge=0)
    batch: Exact = Field(default=Decimal("0.5"), gt=0, le=1)


class Models(Entry):
    """`tasks` names the tier of each kind of work, `tiers` the model behind it, `prices` what that model costs."""

    tiers: dict[Tier, str]
    tasks: dict[Task, Tier]
    prices: dict[str, ModelPrice]

    @model_validator(mode="after")
    def _whole(self) -> Models:
        if missing := [task for task in TASKS if task not in self.tasks]:
            raise ValueError(f"no tier for the task {', '.join(missing)}")
        if absent := sorted(set(self.tasks.values()) - set(self.tiers)):
            raise ValueError(f"no model for the tier {', '.join(absent)}")
        if unpriced := sorted(set(self.tiers.values()) - set(self.prices)):
            raise ValueError(f"no price for {', '.join(unpriced)}")
        return self

    @property
    def top(self) -> tuple[str, ModelPrice]:
        """The dearest model in use, with its price: what everything would be done with if nothing were routed."""
        name = max(self.tiers.values(), key=lambda model: (self.prices[model].output, model))
        return name, self.prices[name]
