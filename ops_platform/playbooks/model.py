"""What a playbook says: the shapes of its YAML file.

Belongs here: fields, their types and bounds; the JSON Schema that editors read is made from these. Does not belong
here: where in the file a mistake is (`source.py`), whether names agree (`checks.py`), doing anything.

`docs/playbooks.md` explains every field in the words of its descriptions here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
#: Text in which `${{ … }}` is replaced by the value of a CEL expression.
Template = Annotated[str, Field(min_length=1, max_length=4000)]
Expression = Annotated[str, Field(min_length=1, max_length=500)]
Severity = Literal["low", "normal", "high", "critical"]
ThreadKind = Literal["growth_review", "campaign", "incident"]


class Part(BaseModel):
    """A part of the file: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Variable(Part):
    """A value that whoever starts a run may set."""

    type: Literal["text", "integer", "number", "boolean", "list"]
    default: Any = Field(default=None, description="Without a default the variable must be given at every start.")
    description: str = Field(default="", max_length=300)
    minimum: float | None = None
    maximum: float | None = None
    choices: list[Any] = Field(default_factory=list, max_length=200, description="The only values allowed.")


class Retry(Part):
    """How often a step that failed for now is tried, waiting `delay_seconds`, then `backoff` times as long."""

    attempts: int = Field(default=1, ge=1, le=5)
    delay_seconds: float = Field(default=5.0, ge=0, le=300)
    backoff: float = Field(default=2.0, ge=1, le=10)


class StepBase(Part):
    """What every step has."""

    id: Identifier
    name: str = Field(default="", max_length=120, description="What people are shown; the id where there is none.")
    needs: list[Identifier] = Field(default_factory=list, description="Runs only if all of these ran.")
    after: list[Identifier] = Field(
        default_factory=list,
        description="Waits for these, and runs also if they were skipped, or failed with continue.",
    )
    when: list[Identifier] = Field(default_factory=list, description="Condition steps that must hold.")
    unless: list[Identifier] = Field(default_factory=list, description="Condition steps that must not hold.")
    retry: Retry = Retry()
    timeout_seconds: int | None = Field(default=None, ge=1, le=1800, description="The tool's own, else 120.")
    on_error: Literal["fail", "continue", "stop"] = Field(
        default="fail",
        description="fail: what waits for this step does not run, other branches do. continue: steps after it run."
        " stop: nothing more is started. The execution has failed in every case.",
    )

    @field_validator("when", "unless", "needs", "after", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class ToolCall(StepBase):
    """Runs a registered tool and keeps its result."""

    type: Literal["tool_call"]
    tool: str
    input: dict[str, Any] = Field(default_factory=dict)


class Delegate(StepBase):
    """Hands a task to an agent role, with its own tools, model tier and budget."""

    type: Literal["delegate"]
    role: Identifier
    task: Template
    results: list[Identifier] = Field(default_factory=list, description="Steps whose results the agent is given.")


class Synthesize(StepBase):
    """Writes a report over earlier results; every number in it is one of theirs."""

    type: Literal["synthesize"]
    report: Identifier = Field(description="The kind of report.")
    title: Template
    results: list[Identifier] = Field(
        min_length=1, description="Steps it is written over: those that did not run are told as missing."
    )
    instructions: str = Field(default="", max_length=2000, description="What the writer should look at first.")
    role: Identifier | None = Field(default=None, description="On whose account and tier it is written.")


class Target(Part):
    """Where a notification goes: exactly one of these."""

    slack: Literal["executive", "team", "alerts"] | None = None
    email: list[str] | str | None = Field(
        default=None, description="Addresses, the name of a list of fleet.yaml, or a ${{ vars.… }} that gives them."
    )
    dashboard: bool = False


class Notify(StepBase):
    """Tells people: once for each `dedupe` key and target, however often it is run."""

    type: Literal["notify"]
    to: list[Target] = Field(min_length=1)
    severity: Severity = "normal"
    title: Template
    text: Template | None = None
    report: Identifier | None = Field(default=None, description="A synthesize step whose document is sent.")
    dedupe: Template | None = Field(
        default=None, description="Told once for each value of this, over all executions; else once an execution."
    )


class CreateThread(StepBase):
    """Opens an inbox thread, assigned, and where it needs approval, one that nothing happens without."""

    type: Literal["create_thread"]
    thread: ThreadKind
    title: Template
    text: Template | None = None
    report: Identifier | None = Field(default=None, description="A synthesize step whose document is attached.")
    subject: Template | None = Field(
        default=None, description="One open thread for each value of this; else one an execution."
    )
    assignee: Template | None = Field(default=None, description="A person of fleet.yaml's approvals.")
    due_hours: int = Field(default=72, ge=1, le=24 * 60)
    needs_approval: bool = False
    payload: dict[str, Any] = Field(
        default_factory=dict, description="What exactly is done once it is approved; values may be ${{ … }}."
    )


class Condition(StepBase):
    """A question with the answer yes or no, over earlier results. Steps run `when` it holds or `unless` it does."""

    type: Literal["condition"]
    if_: Expression = Field(alias="if")


Step = Annotated[ToolCall | Delegate | Synthesize | Notify | CreateThread | Condition, Field(discriminator="type")]


class Triggers(Part):
    """What starts it, beside `ops playbook run`."""

    schedule: str | None = Field(default=None, description="A five-field cron in the company's own time.")
    http: bool = Field(default=False, description="POST /playbook-runner?playbookId=… may start it.")
    events: list[Identifier] = Field(
        default_factory=list, description="Names of events (`ops playbook event NAME`) that start it."
    )


class ArmOf(Part):
    """One way of doing it, and how many of a hundred parts of the units get it."""

    weight: int = Field(default=1, ge=0, le=1000)
    variables: dict[str, Any] = Field(default_factory=dict, description="Values of variables in this arm.")


class Outcome(Part):
    """What is measured of a unit `after_days` after it was assigned: a number field of a tool's output."""

    tool: str
    field: str
    after_days: int = Field(ge=0, le=365)
    unit_input: str = Field(default="unit", description="The tool's input field that is given the unit.")
    label: str = Field(default="outcome", max_length=80)


class Experiment(Part):
    """Two or more arms. A unit's arm follows from its name and the experiment's, so it never changes."""

    name: Identifier
    unit: Literal["execution", "subject"] = Field(
        default="execution", description="execution: the whole run. subject: each customer a tool asks about."
    )
    arms: dict[Identifier, ArmOf] = Field(min_length=2)
    outcome: Outcome | None = None


class Playbook(Part):
    """A whole file."""

    id: Identifier
    name: str = Field(min_length=1, max_length=120)
    version: int = Field(
        ge=1, le=2_147_483_647, description="One more with every change: what ran under a version stays what it was."
    )
    description: str = Field(default="", max_length=2000)
    owner: Identifier = Field(description="The agent role that leads it.")
    bot: Identifier = Field(default="coordinator", description="The bot of fleet.yaml whose job it is.")
    enabled: bool = True
    triggers: Triggers = Triggers()
    timeout_minutes: int = Field(default=15, ge=1, le=180, description="Nothing is started after this.")
    variables: dict[Identifier, Variable] = Field(default_factory=dict)
    experiment: Experiment | None = None
    steps: list[Step] = Field(min_length=1, max_length=60)

    def step(self, step_id: str) -> Any:
        return next(step for step in self.steps if step.id == step_id)
