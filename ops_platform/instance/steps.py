"""A step with many outputs at a cost that grows with their number, not with its square.

Belongs here: what Dagster asks of a step again and again although it cannot change. Does not belong here: what a step
does (`assets/`).

For every output of a step Dagster makes the set of all its assets anew, and for each of those the set of all assets and
checks of its definition. dbt's one step has 1,100 outputs, which made that a fifth of the processor time of a run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def know_outputs_once() -> bool:
    """From now on a step of this process knows its outputs after the first look. Safe to repeat; False where another
    release of Dagster is made otherwise, which costs processor time and breaks nothing."""
    from dagster import AssetsDefinition
    from dagster._core.execution.context.system import StepExecutionContext

    ours = [
        _remembered(AssetsDefinition, "asset_and_check_keys", is_property=True),
        _remembered(StepExecutionContext, "get_output_asset_keys", is_property=False),
    ]
    return all(ours)


def _remembered(owner: type[Any], name: str, *, is_property: bool) -> bool:
    """Have each object of `owner` remember what its `name` answered first: definitions and plans do not change."""
    found = owner.__dict__.get(name)
    if getattr(found, "remembers", False):
        return True
    ask: Callable[[Any], Any] | None = found.fget if isinstance(found, property) else found
    if ask is None or isinstance(found, property) != is_property or not callable(ask):
        return False
    kept = f"_ops_kept_{name}"

    @functools.wraps(ask)
    def remembering(self: Any) -> Any:
        try:
            return self.__dict__[kept]
        except KeyError:
            answer = self.__dict__[kept] = ask(self)
            return answer

    setattr(owner, name, _Remembering(remembering) if is_property else remembering)
    if not is_property:
        remembering.remembers = True  # type: ignore[attr-defined]
    return True


class _Remembering(property):
    """A property that was given a memory."""

    remembers = True
