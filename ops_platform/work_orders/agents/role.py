"""The shape of a role file, `agents/<name>.yaml`: who an agent is, what it may read, use and propose, what it owes.

Belongs here: the model and what can be wrong with one file on paper. Does not belong here: values (`agents/`), the
roles beside each other and against the fleet (`roster.py`).

The rule of two of three. Every agent reads what strangers wrote. One that also reads the company's data may propose
nothing beyond its own issue; one that proposes code or further issues may read no data; one with all three works only
where a person approves what it proposes (`needs_manager`). A file that breaks this is refused when it is read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ops_platform.fleet.alert_rules import OPERATORS, Limit
from ops_platform.fleet.entries import Entry
from ops_platform.fleet.models import Task
from ops_platform.fleet.reports import ColumnName, Listing, Name, Report, View, Words
from ops_platform.work_orders.limits import Allowance

Team = Literal["development", "business"]
AGENT_PURPOSES = "agent:"
#: What stays within the order's own issue and is made of proven text; the others reach further.
OWN_ISSUE: frozenset[str] = frozenset({"comment", "labels", "close", "reopen", "assign", "artefact"})
ToolName = Literal[
    "metric_lookup", "metric_history", "evidence_query", "document_search", "open_alerts", "open_issues",
    "check_results", "draft_artefact", "find_modules", "propose_files",
]  # fmt: skip
Part = Literal["lead", "figures", "checks", "lists", "readings", "design", "files"]


class Scope(Entry):
    """What the agent may read, and nothing else: the metrics of `divisions` (with `all`, every one), further `metrics`
    by id, `marts`, `readings` of the platform itself, and published documents of the kinds named."""

    divisions: Annotated[
        tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
    ] = ()
    metrics: tuple[ColumnName, ...] = ()
    marts: tuple[View, ...] = ()
    readings: tuple[Name, ...] = ()
    documents: tuple[str, ...] = ()

    @property
    def business_data(self) -> bool:
        """Whether it reads the company's figures (readings are about the platform)."""
        return bool(self.divisions or self.metrics or self.marts or self.documents)


class Check(Entry):
    """A verdict over one figure of the answer (a metric's id, `<list>_count`, a reading's figure): what must hold, and
    what is to be done where it does not. `of` says in words what the limit is."""

    label: str
    figure: ColumnName
    above: Limit | None = None
    at_least: Limit | None = None
    below: Limit | None = None
    at_most: Limit | None = None
    of: str = "the limit"
    do: str = ""
    owner: str = ""
    due_days: int = Field(default=3, ge=0, le=90)
    severity: Literal["watch", "alert", "critical"] = "watch"

    @model_validator(mode="after")
    def _one_limit(self) -> Check:
        given = [name for name in OPERATORS if getattr(self, name, None) is not None]
        if len(given) != 1:
            raise ValueError(f"the check {self.label!r} needs exactly one of above, at_least, below, at_most")
        for text in (self.label, self.do, self.of):
            if any(character.isdigit() for character in text):
                raise ValueError(f"{text!r} writes a digit: numbers come from the data")
        return self

    @property
    def limit(self) -> tuple[str, Limit]:
        """What must hold, as operator and limit (a number, or a threshold's name)."""
        return next((name, getattr(self, name)) for name in OPERATORS if getattr(self, name, None) is not None)


class Output(Entry):
    """What an answer must have to count as one. `must` are its parts; `known` are figures of which at least one has to
    be known, else the question is not answered; `artefacts` are lists handed over whole, as files."""

    must: tuple[Part, ...] = ("figures",)
    known: tuple[ColumnName, ...] = ()
    artefacts: tuple[Name, ...] = ()
    most_characters: int = Field(default=24_000, ge=1_000, le=60_000)


class Agent(Entry):
    """One role file. `name` is that of the file, `id` how the agent is called outside (`ai-finance`).

    `bot` is on whose account tokens are spent; `tokens` bounds one answer, `tokens_a_day` all of a day, `turns` how
    often the model is asked while it gathers. How many run at once is `work_orders.yaml`'s. `effects` is what it may
    propose, and how much; who applies it checks it again (`work_orders.effects`). `demo` is an order it can show."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z-]{1,29}$")]
    id: Annotated[str, Field(pattern=r"^ai-[a-z][a-z-]{1,29}$")]
    label: str
    team: Team
    description: str
    bot: str
    task: Task = "write"
    tokens: int = Field(default=8_000, ge=0, le=20_000)
    tokens_a_day: int = Field(default=12_000, ge=0)
    turns: int = Field(default=3, ge=0, le=8)
    needs_manager: bool = False
    scope: Scope = Field(default_factory=Scope)
    tools: tuple[ToolName, ...] = ()
    report: Report | None = None
    more_lists: tuple[Listing, ...] = ()
    checks: tuple[Check, ...] = ()
    effects: Allowance = Field(default_factory=Allowance)
    output: Output = Field(default_factory=Output)
    demo: dict[str, Any] = Field(default_factory=dict)

    @property
    def role(self) -> str:
        """Its role in the warehouse."""
        return f"ops_agent_{self.name.replace('-', '_')}"

    @property
    def purpose(self) -> str:
        """The name its tokens are counted under."""
        return f"{AGENT_PURPOSES}{self.name}"

    def listings(self) -> dict[str, Listing]:
        """Every list it may read, by name; those of its report come first."""
        shown = self.report.listings() if self.report is not None else []
        return {listing.name: listing for listing in (*shown, *self.more_lists)}

    def shown(self) -> Words:
        """The lists its report shows without being asked."""
        return tuple(listing.name for listing in self.report.listings()) if self.report is not None else ()

    @model_validator(mode="after")
    def _whole(self) -> Agent:
        if self.id != f"ai-{self.name}":
            raise ValueError(f"the id of agents/{self.name}.yaml is ai-{self.name}, not {self.id}")
        beyond = sorted({str(kind) for kind in self.effects.kinds} - OWN_ISSUE)
        if self.scope.business_data and beyond and not self.needs_manager:
            raise ValueError(
                f"it reads strangers' words and the company's data, so it may not also propose {', '.join(beyond)}"
                " unless a manager approves it (needs_manager: true)"
            )
        if ("file" in self.effects.kinds) != bool(self.effects.paths):
            raise ValueError("effects.paths says where a file may be put: give it with the kind `file`, and only then")
        if "propose_files" in self.tools and "file" not in self.effects.kinds:
            raise ValueError("propose_files needs the kind `file` among its effects")
        lists = self.listings()
        loose = {listing.view for listing in lists.values() if listing.view.startswith("marts.")} - set(
            self.scope.marts
        )
        if loose:
            raise ValueError(f"it lists {', '.join(sorted(loose))}, which its scope does not have")
        figures = [check.figure for check in self.checks]
        if len(set(figures)) != len(figures):
            raise ValueError("two checks hold one figure against something")
        unknown = set(self.output.artefacts) - set(lists)
        if unknown:
            raise ValueError(f"output.artefacts: there is no list {', '.join(sorted(unknown))}")
        doubled = [name for name in self.shown() if name in {one.name for one in self.more_lists}]
        if doubled:
            raise ValueError(f"two lists of the name {doubled[0]}")
        return self
