"""Steps that call a tool.

Belongs here: checking what a file gives a tool, calling it, checking what it returned. Does not belong here: any tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.playbooks import expressions
from ops_platform.playbooks.model import ToolCall
from ops_platform.playbooks.tools import Effect, StepContext, Toolbox, ToolOutput

if TYPE_CHECKING:
    from ops_platform.playbooks.model import Playbook


class ToolCallRunner:
    """Implements `Runner`."""

    def output(self, step: ToolCall, tools: Toolbox) -> type[ToolOutput]:
        return tools.get(step.tool).Output

    def problems(self, step: ToolCall, playbook: Playbook, tools: Toolbox) -> list[tuple[str, str]]:
        try:
            tool = tools.get(step.tool)
        except ConfigurationError:
            return []  # told by `output`
        fields = tool.Input.model_fields
        found = [
            (f"input.{name}", f"{tool.name} takes no {name!r}; it takes {', '.join(fields) or 'nothing'}")
            for name in step.input
            if name not in fields
        ]
        found += [
            ("input", f"{tool.name} needs {name!r}")
            for name, entry in fields.items()
            if entry.is_required() and name not in step.input
        ]
        # A value that is written out is checked now; one that an expression gives, when it is there.
        fixed = {name: value for name, value in step.input.items() if not _has_slots(value)}
        try:
            tool.Input.model_validate(fixed)
        except ValidationError as error:
            found += [
                (f"input.{'.'.join(map(str, one['loc']))}", one["msg"].removeprefix("Value error, "))
                for one in error.errors(include_url=False)
                if one["loc"] and one["loc"][0] in fixed and one["loc"][0] in fields
            ]
        return found

    def effect(self, step: ToolCall, tools: Toolbox) -> Effect:
        return tools.get(step.tool).effect

    def timeout_seconds(self, step: ToolCall, tools: Toolbox) -> int:
        return tools.get(step.tool).timeout_seconds

    def run(self, step: ToolCall, given: Mapping[str, Any], context: StepContext, tools: Toolbox) -> ToolOutput:
        tool = tools.get(step.tool)
        try:
            wanted = tool.Input.model_validate(given.get("input", {}))
        except ValidationError as error:
            raise DataFailure(f"{tool.name} was given what it does not take: {in_words(error)}") from None
        return tool.run(wanted, context)


def in_words(error: ValidationError) -> str:
    """What a validation found, without the values: they may be a customer's."""
    found = [f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors(include_input=False)]
    return "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")


def _has_slots(value: Any) -> bool:
    return any("${{" in text for _, text in expressions.texts_in(value))
