"""How a type of step is carried out: the seam behind which each type keeps its meaning.

Belongs here: the interface of a runner and the register of them. Does not belong here: any one runner (`runners/`),
when a step runs (`engine.py`).

A runner gets its step with every `${{ … }}` already replaced (`texts` and `values`), does what it does in the step's
transaction (`context.connection`), and returns a `ToolOutput`, whose fields later steps may name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.playbooks.tools import Effect, StepContext, Toolbox, ToolOutput

if TYPE_CHECKING:
    from ops_platform.playbooks.model import Playbook


class Runner(Protocol):
    """One type of step. Every method but `run` is called when a playbook is checked: without a database, without
    network, without secrets."""

    def output(self, step: Any, tools: Toolbox) -> type[ToolOutput]:
        """What the step returns. Raises `ConfigurationError` where the step names what does not exist."""
        ...

    def problems(self, step: Any, playbook: Playbook, tools: Toolbox) -> list[tuple[str, str]]:
        """What is wrong with the step beyond its shape: (field, sentence). References to other steps and expressions
        are checked by `checks.py`."""
        ...

    def effect(self, step: Any, tools: Toolbox) -> Effect:
        """As of a tool: in a `reads` step the transaction is read-only."""
        ...

    def timeout_seconds(self, step: Any, tools: Toolbox) -> int:
        """How long it may take where the step does not say."""
        ...

    def run(self, step: Any, given: Mapping[str, Any], context: StepContext, tools: Toolbox) -> ToolOutput:
        """Do it. `given` holds the step's templated fields with their values, by field name (for a tool call `input`,
        for a notification `title`, `text`, `to`, `dedupe` …); everything else is read from `step`. Raises
        `TransientFailure` (tried again by the step's `retry`), another `OpsError` (the step has failed)."""
        ...


@dataclass(frozen=True, slots=True)
class Runners:
    """The runner of each type of step."""

    types: Mapping[str, Runner] = field(default_factory=dict)

    def of(self, kind: str) -> Runner:
        from ops_platform.failures import ConfigurationError

        found = self.types.get(kind)
        if found is None:
            raise ConfigurationError(f"nothing here carries out a step of the type {kind!r}")
        return found
