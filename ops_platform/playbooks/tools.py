"""What a playbook can call: tools with typed input and output, and the register of them.

Belongs here: the interface of a tool, of what a step is given, of the register. Does not belong here: any one tool
(`toolbox/`, or beside the vendor it asks), running one (`runners/tool_call.py`).

A new tool: a class with a `name`, an `Input`, an `Output`, an `effect` and `run`, and its line in `jobs/toolbox.py`.
Constructing one opens nothing: the code server constructs them all, without network and without secrets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from ops_platform.failures import ConfigurationError

if TYPE_CHECKING:
    import psycopg

    from ops_platform.evidence.model import Fact

#: What calling a tool does to the world. `reads`: nothing; its transaction is read-only and it may be called again.
#: `writes`: only to our database, by the connection it is given, which commits together with the step's result; what
#: goes out goes by the outbox. `external`: to a vendor, at once; it must go through `context.once`.
Effect = Literal["reads", "writes", "external"]


class ToolInput(BaseModel):
    """What a tool is given: nothing it does not know. Fields have descriptions: they are the tool's documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolOutput(BaseModel):
    """What a step returns. Later steps name its fields in expressions, so every field has a type and a description;
    what is not known is None. It must survive JSON: decimals, dates, zoned datetimes, lists and nested models do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def facts(self) -> tuple[Fact, ...]:
        """The numbers of this result as they may be published: what a `synthesize` step writes over."""
        return ()


I = TypeVar("I", bound=ToolInput)  # noqa: E741
O = TypeVar("O", bound=ToolOutput)  # noqa: E741


@dataclass(frozen=True, slots=True)
class Arm:
    """The variant a unit (a customer, an execution) was assigned to, and what it changes."""

    experiment: str
    name: str
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepContext:
    """What a step is given beside its input; the same for a tool and for a runner.

    `connection` is in the step's own transaction, which the engine commits together with the step's result, or rolls
    back: never commit it. `as_of` is the moment the execution is for, `today` its business day: ask these, not the
    clock. `key` is the same for every attempt, also after a kill: derive dedupe keys from it. `results` holds what
    earlier steps returned (only of those that ran), `statuses` what became of each ("ran", "skipped", "failed").
    In a `dry_run` everything is rolled back afterwards, no external effect is done, no token is spent, and a tool that
    would ask a vendor answers from what is recorded up to `as_of`."""

    connection: psycopg.Connection[Any]
    execution_id: int
    playbook: str
    playbook_name: str
    version: int
    step: str
    attempt: int
    key: str
    as_of: datetime
    today: date
    zone: str
    deadline: datetime
    variables: Mapping[str, Any]
    results: Mapping[str, ToolOutput]
    statuses: Mapping[str, str]
    dry_run: bool
    #: Say a line in the run's log.
    log: Callable[[str], None]
    #: Count tokens that this step spent; kept in the execution record, also when the step fails.
    spend: Callable[[int], None]
    #: The variant of a unit in the playbook's experiment, the same for ever; None where it has none.
    variant_of: Callable[[str], Arm | None]
    #: once(name, request, do, look_up): an external effect, done at most once for this step and name, whatever is
    #: killed. `do(key)` does it and returns what is to be remembered (JSON); `look_up(key)` returns that for an effect
    #: that may have been done (None: it certainly was not), and is asked before anything is repeated; without it an
    #: unclear effect fails the step for a person to look at.
    once: Callable[..., Any]
    #: Open another connection (for what must be written whatever becomes of the step: a token ledger).
    connect: Callable[[], psycopg.Connection[Any]]


class Tool(ABC, Generic[I, O]):
    """A registered tool. `timeout_seconds` is the default of its steps. Raise `TransientFailure` for what may be tried
    again (the step's `retry` does), any other `OpsError` for what may not; both texts are shown to people."""

    name: ClassVar[str]
    description: ClassVar[str]
    Input: ClassVar[type[ToolInput]]
    Output: ClassVar[type[ToolOutput]]
    effect: ClassVar[Effect] = "reads"
    timeout_seconds: ClassVar[int] = 60

    @abstractmethod
    def run(self, given: I, context: StepContext) -> O:
        """Do it. What it returns is checked against `Output` again."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools there are, by name, and the role names that `delegate` steps may address."""

    tools: Mapping[str, Tool[Any, Any]] = field(default_factory=dict)
    roles: frozenset[str] = frozenset()

    @staticmethod
    def of(*tools: Tool[Any, Any], roles: frozenset[str] = frozenset()) -> Toolbox:
        """Raises `ConfigurationError` where two tools have one name."""
        named: dict[str, Tool[Any, Any]] = {}
        for tool in tools:
            if tool.name in named:
                raise ConfigurationError(f"two tools are called {tool.name!r}")
            named[tool.name] = tool
        return Toolbox(named, roles)

    def get(self, name: str) -> Tool[Any, Any]:
        """Raises `ConfigurationError` naming those that exist."""
        found = self.tools.get(name)
        if found is None:
            raise ConfigurationError(f"there is no tool {name!r}; there are {', '.join(sorted(self.tools)) or 'none'}")
        return found
