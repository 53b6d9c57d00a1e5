"""A step with many outputs at a cost that grows with their number, not with its square.

Belongs here: what Dagster asks of a step again and again although it cannot change. Does not belong here: what a step
does (`assets/`).

For every output of a step Dagster makes the set of all its assets anew, and for each of those the set of all assets and
checks of its definition. dbt's one step has 1,100 outputs, which made that a fifth of the processor time of a run. And
for each asset that an output stands on it asks the event log by itself, 500 times a run, what the step told of it.
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
        _asked_together(),
    ]
    return all(ours)


def _asked_together() -> bool:
    """Where a step asks for what is known of one asset it stands on, ask for all that it made since it last asked."""
    from dagster._core.execution.context import data_version_cache as module

    cache: Any = getattr(module, "DataVersionCache", None)
    one = getattr(cache, "maybe_fetch_and_get_input_asset_version_info", None)
    if one is None or not callable(getattr(cache, "_fetch_input_asset_version_info", None)):
        return False
    if getattr(one, "remembers", False):
        return True

    @functools.wraps(one)
    def together(self: Any, key: Any) -> Any:
        known = self.input_asset_version_info
        if key not in known:
            # A data version is set when an asset was made, and its event is told before the next output is looked at.
            self._fetch_input_asset_version_info(
                [key, *(made for made in self.values if made not in known and made != key)]
            )
        return known[key]

    together.remembers = True  # type: ignore[attr-defined]
    cache.maybe_fetch_and_get_input_asset_version_info = together
    return True


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
