"""Steps that ask a question of earlier results.

Belongs here: what a condition returns. Does not belong here: the language (`expressions.py`), what runs on the answer
(`engine.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ops_platform.failures import DataFailure
from ops_platform.playbooks.model import Condition
from ops_platform.playbooks.tools import Effect, StepContext, Toolbox, ToolOutput

if TYPE_CHECKING:
    from ops_platform.playbooks.model import Playbook


class Answer(ToolOutput):
    """What a condition found."""

    holds: bool = Field(description="Whether it holds.")


class ConditionRunner:
    """Implements `Runner`. The engine evaluates the expression and hands over its value, as it does every slot."""

    def output(self, step: Condition, tools: Toolbox) -> type[ToolOutput]:
        return Answer

    def problems(self, step: Condition, playbook: Playbook, tools: Toolbox) -> list[tuple[str, str]]:
        return []

    def effect(self, step: Condition, tools: Toolbox) -> Effect:
        return "reads"

    def timeout_seconds(self, step: Condition, tools: Toolbox) -> int:
        return 10

    def run(self, step: Condition, given: Mapping[str, Any], context: StepContext, tools: Toolbox) -> Answer:
        value = given["if"]
        # Nothing is true by being there: an empty list, a text, an unknown are no answers.
        if not isinstance(value, bool):
            raise DataFailure(
                f"{step.if_!r} is neither true nor false: it is {'unknown' if value is None else value!r}"
            )
        return Answer(holds=value)
