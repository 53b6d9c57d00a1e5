"""The policy of work orders: the model of `work_orders.yaml`, read once, validated whole, every wrong entry named.

Belongs here: shapes and cross-checks of the file. Does not belong here: values, deciding by them (`routing.py`,
`sla.py`, `ladder.py`, `gates.py`, `policy_store.py`).
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, field_validator, model_validator

from ops_platform.fleet.entries import Entry, Exact, read_yaml, wrong_entries
from ops_platform.settings import PROJECT_ROOT
from ops_platform.work_orders.calendars import ALWAYS, Calendar
from ops_platform.work_orders.model import Priority
from ops_platform.work_orders.patterns import problem_of_pattern

POLICY_FILE = PROJECT_ROOT / "work_orders.yaml"
SCHEMA_FILE = PROJECT_ROOT / "docs" / "schema" / "work_orders.schema.json"

_DURATION = re.compile(r"(?:(\d{1,4})d)?\s*(?:(\d{1,4})h)?\s*(?:(\d{1,5})m)?\s*(?:(\d{1,6})s)?")
_AGENT = re.compile(r"ai-[a-z][a-z0-9-]{1,38}")
_LABEL = re.compile(r"[a-z0-9][a-z0-9 _.-]*(/[a-z0-9 _.*-]+)*")
RESERVED = ("status/", "manager/", "priority/", "agent/")


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"{value!r} is no duration like 1h, 90m or 3d 12h")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+d)?\s*(\d+h)?\s*(\d+m)?\s*(\d+s)?$", "examples": ["1h"]}),
]
Severity = Literal["low", "medium", "high", "critical"]
Action = Literal["note", "warn", "hold", "block"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
ACTIONS: tuple[Action, ...] = ("note", "warn", "hold", "block")
Scope = Literal["issue", "answer", "file"]
Permission = Literal["admin", "maintain", "write", "triage"]


class Authorised(Entry):
    """Whose labels count: these accounts, and people whose permission on the repository GitHub says is one of these.
    An app (`name[bot]`) counts only by its name here."""

    logins: list[str] = Field(default_factory=list)
    permissions: list[Permission] = Field(default_factory=list)

    @model_validator(mode="after")
    def _somebody(self) -> Authorised:
        if not self.logins and not self.permissions:
            raise ValueError("nobody could start a work order: name logins or permissions")
        return self


class Intake(Entry):
    """`own_logins` are the accounts we act under: what they set counts for nothing. `accept_label`, set by an
    authorised person, takes over all labels that are there and the words as they stand. An edit within `race` of the
    labelling holds the order: whoever labelled it may have read other words. An issue with a longer body than
    `largest_body` (characters) is held. What was labelled longer than `backlog` before the repository was connected
    is no order until it is labelled again: connecting an old repository starts no storm."""

    authorised: Authorised
    own_logins: list[str] = Field(default_factory=list)
    accept_label: str = "work/accepted"
    race: Duration = Field(default=timedelta(minutes=2), ge=timedelta(0))
    largest_body: int = Field(default=65_536, gt=0, le=262_144)
    backlog: Duration = Field(default=timedelta(days=3), ge=timedelta(0))
    poll_every: Duration = Field(default=timedelta(minutes=1), gt=timedelta(0))
    poll_overlap: Duration = Field(default=timedelta(minutes=10), ge=timedelta(0))


class RoutingRule(Entry):
    """An issue with a label like this goes to that agent. `*` stands for anything after a slash."""

    label: str
    agent: str

    @field_validator("label")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _LABEL.fullmatch(value) or "*" in value.rstrip("*") or (value.endswith("*") and value[-2:] != "/*"):
            raise ValueError(f"{value!r}: small letters, and * only after the last slash")
        if value.startswith(RESERVED):
            raise ValueError(f"{value!r}: {', '.join(RESERVED)} mean something else")
        return value

    def matches(self, label: str) -> bool:
        return fnmatch.fnmatchcase(label, self.label)


class Routing(Entry):
    """The first rule that one of the labels matches decides; `agent/<name>` wins over all of them."""

    rules: list[RoutingRule] = Field(min_length=1)
    unknown: str
    default_priority: Priority = Priority.P2

    @property
    def prefixes(self) -> frozenset[str]:
        """What the labels of work begin with: another label with such a beginning is work of an unknown kind."""
        return frozenset(rule.label.partition("/")[0] for rule in self.rules)


class PriorityRule(Entry):
    """`sla` is the time until the proven answer is posted. `clock`: `always`, or `assignee`: the calendar of the person
    the issue is assigned to, else of the agent. `lane` is how it is run. Who is asked for a yes has `decide_within`
    until silence is told on; the six steps of an escalation's ticket are to be taken `ticket_within`."""

    sla: Duration = Field(ge=timedelta(minutes=1), le=timedelta(days=365))
    requires_manager: bool
    clock: Literal["always", "assignee"] = "always"
    lane: Literal["immediate", "priority_batch", "standard_batch", "background"]
    expected: Duration = Field(default=timedelta(minutes=5), gt=timedelta(0))
    decide_within: Duration = Field(default=timedelta(hours=72), gt=timedelta(0))
    ticket_within: Duration = Field(default=timedelta(hours=48), gt=timedelta(0))

    @property
    def sla_minutes(self) -> int:
        return int(self.sla.total_seconds() // 60)


class AgentRule(Entry):
    """What the queue needs to know of an agent; its role is `agents/<name>.yaml`. `limit` is how many orders it works
    on at once. `owner` and `deputy` are people who are reminded."""

    limit: int = Field(default=2, ge=1, le=100)
    calendar: str = ALWAYS
    owner: str
    deputy: str | None = None


class Person(Entry):
    """A person under the account at GitHub, the name in `fleet.yaml: approvals.people`, and with their hours."""

    name: str = Field(min_length=1, max_length=80)
    github: str | None = None
    calendar: str = ALWAYS


class LadderStep(Entry):
    """One rung. It is due at a share of the SLA that is used (`used`, percent), when the forecast says that the order
    will be late (`forecast: true`), or `after_breach`. `whom`: the agent's owner or deputy, the manager, a person."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")
    does: Literal["remind", "deputy", "breach", "escalate"]
    whom: str
    used: int | None = Field(default=None, ge=1, le=100)
    forecast: bool = False
    after_breach: Duration | None = Field(default=None, ge=timedelta(0))
    priorities: list[Priority] = Field(default_factory=lambda: list(Priority), min_length=1)
    ticket: bool = False

    @model_validator(mode="after")
    def _one_moment(self) -> LadderStep:
        if (self.used is not None) + self.forecast + (self.after_breach is not None) == 0:
            raise ValueError("say when: used, forecast or after_breach")
        if self.after_breach is not None and (self.used is not None or self.forecast):
            raise ValueError("after_breach stands alone")
        if self.does in ("breach",) and self.after_breach is None:
            raise ValueError("a breach is told after_breach, never before")
        return self


class ForecastRule(Entry):
    """Durations of the last `days` at this `percentile`, from at least `fewest` orders; with fewer, of wider groups,
    at last `priorities.*.expected`. `margin` is added: late is said early."""

    days: int = Field(default=30, ge=1, le=365)
    percentile: int = Field(default=80, ge=50, le=99)
    fewest: int = Field(default=5, ge=1)
    margin: Duration = Field(default=timedelta(minutes=5), ge=timedelta(0))


class Retries(Entry):
    """Attempts of one order, and how long is waited between them: doubled each time, up to `longest`."""

    attempts: int = Field(default=4, ge=1, le=20)
    first: Duration = Field(default=timedelta(seconds=30), gt=timedelta(0))
    longest: Duration = Field(default=timedelta(minutes=15), gt=timedelta(0))
    deaths: int = Field(default=3, ge=1, le=20)


class Gate(Entry):
    """`minimum` in percent. `checks` are the names under which GitHub's checks report it, `*` for anything."""

    minimum: Exact = Field(ge=0, le=100)
    label: str
    checks: list[str] = Field(min_length=1)


class Caps(Entry):
    """What one order may do at most."""

    comments: int = Field(default=3, ge=1, le=20)
    comment_characters: int = Field(default=20_000, ge=500, le=65_536)
    effects: int = Field(default=20, ge=1, le=100)
    artefacts: int = Field(default=5, ge=0, le=50)
    artefact_bytes: int = Field(default=1_000_000, ge=1_000)
    files: int = Field(default=10, ge=0, le=100)
    file_bytes: int = Field(default=200_000, ge=100)
    open_pull_requests: int = Field(default=1, ge=0, le=10)


class PolicyRole(Entry):
    """Who looks after rules of which categories."""

    label: str
    person: str
    categories: list[str] = Field(min_length=1)


class PolicyRule(Entry):
    """A `pattern` that must not be in a text of this `scope`; what is done then, and what a person does about it.
    With a `checksum` only what satisfies it counts: an order number of sixteen digits is no card."""

    category: str = Field(pattern=r"^[a-z][a-z_]{1,39}$")
    severity: Severity
    pattern: str = Field(min_length=1, max_length=500)
    action: Action
    mitigation: str = Field(min_length=1, max_length=500)
    scope: list[Scope] = Field(default=["issue"], min_length=1)
    checksum: Literal["luhn"] | None = None
    enabled: bool = True

    @field_validator("pattern")
    @classmethod
    def _harmless(cls, value: str) -> str:
        problem = problem_of_pattern(value)
        if problem:
            raise ValueError(f"{value!r}: {problem}")
        return value


class PolicyStore(Entry):
    roles: dict[str, PolicyRole] = Field(default_factory=dict)
    rules: dict[str, PolicyRule] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Which rules: a text assessed under the same ones is not assessed again."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class WorkPolicy(Entry):
    """The whole file. `pause_when` names what stops a clock by itself; a person pauses with a reason."""

    version: int = Field(ge=1)
    intake: Intake
    routing: Routing
    priorities: dict[Priority, PriorityRule]
    agents: dict[str, AgentRule]
    people: dict[str, Person]
    manager: str
    manager_deputy: str | None = None
    calendars: dict[str, Calendar] = Field(default_factory=dict)
    pause_when: list[Literal["held", "blocked"]] = Field(default=["held"])
    ladder: list[LadderStep] = Field(default_factory=list)
    forecast: ForecastRule = Field(default_factory=ForecastRule)
    retries: Retries = Field(default_factory=Retries)
    gates: dict[str, Gate] = Field(default_factory=dict)
    caps: Caps = Field(default_factory=Caps)
    policy_store: PolicyStore = Field(default_factory=PolicyStore)

    @model_validator(mode="after")
    def _names_agree(self) -> WorkPolicy:
        problems = [f"priority {each} is missing" for each in Priority if each not in self.priorities]
        problems += [f"agent {name!r}: ai- and small letters" for name in self.agents if not _AGENT.fullmatch(name)]
        problems += [
            f"routing {rule.label}: there is no agent {rule.agent!r}"
            for rule in self.routing.rules
            if rule.agent not in self.agents
        ]
        if self.routing.unknown not in self.agents:
            problems.append(f"routing.unknown: there is no agent {self.routing.unknown!r}")
        seen: list[RoutingRule] = []
        for rule in self.routing.rules:
            problems += [f"routing {rule.label}: never reached after {a.label}" for a in seen if a.matches(rule.label)]
            seen.append(rule)
        if self.intake.accept_label.startswith(RESERVED) or any(
            rule.matches(self.intake.accept_label) for rule in self.routing.rules
        ):
            problems.append(f"accept_label {self.intake.accept_label!r} means something else")
        calendars = {ALWAYS, *self.calendars}
        if ALWAYS in self.calendars:
            problems.append(f"the calendar {ALWAYS!r} is there by itself")
        for kind, holders in (("agent", self.agents), ("person", self.people)):
            problems += [
                f"{kind} {name}: there is no calendar {one.calendar!r}"
                for name, one in holders.items()
                if one.calendar not in calendars
            ]
        named = [("manager", self.manager), ("manager_deputy", self.manager_deputy)]
        named += [(f"agent {name}.owner", one.owner) for name, one in self.agents.items()]
        named += [(f"agent {name}.deputy", one.deputy) for name, one in self.agents.items()]
        named += [(f"policy_store.roles.{name}", one.person) for name, one in self.policy_store.roles.items()]
        named += [
            (f"ladder.{step.name}", step.whom)
            for step in self.ladder
            if step.whom not in ("owner", "deputy", "manager", "manager_deputy")
        ]
        problems += [f"{where}: there is no person {who!r}" for where, who in named if who and who not in self.people]
        accounts = [one.github.lower() for one in self.people.values() if one.github]
        problems += [f"two people have the account {each!r}" for each in sorted(_twice(accounts))]
        problems += [f"two rungs are called {each!r}" for each in sorted(_twice([s.name for s in self.ladder]))]
        if self.ladder and not any(step.does == "breach" for step in self.ladder):
            problems.append("ladder: no step tells a breach")
        covered = {category for role in self.policy_store.roles.values() for category in role.categories}
        problems += [
            f"policy_store.rules.{name}: no role looks after {rule.category!r}"
            for name, rule in self.policy_store.rules.items()
            if rule.category not in covered
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def calendar(self, name: str) -> Calendar | None:
        """The hours of a calendar; None where the clock never stops. Raises `KeyError` for one that is not there."""
        return None if name == ALWAYS else self.calendars[name]

    def person_of(self, login: str) -> Person | None:
        """The person behind a GitHub account."""
        wanted = login.lower()
        return next((one for one in self.people.values() if one.github and one.github.lower() == wanted), None)

    def recipient(self, whom: str, agent: str) -> str:
        """The person a rung means: the key under `people`."""
        rule = self.agents.get(agent)
        owner = rule.owner if rule is not None else self.manager
        found = {
            "owner": owner,
            "deputy": (rule.deputy if rule is not None else None) or self.manager_deputy or self.manager,
            "manager": self.manager,
            "manager_deputy": self.manager_deputy or self.manager,
        }
        return found.get(whom, whom)


def _twice(values: list[str]) -> set[str]:
    return {value for value in values if values.count(value) > 1}


def load_policy(path: Path) -> WorkPolicy:
    """Read `path`. Raises `ConfigurationError` naming the file, the entry and what is wrong with it."""
    raw = read_yaml(path, str(path))
    try:
        return WorkPolicy.model_validate(raw)
    except ValidationError as error:
        raise wrong_entries(str(path), error) from None


@lru_cache(maxsize=1)
def get_work_policy() -> WorkPolicy:
    """The policy of this process."""
    return load_policy(POLICY_FILE)


def reset_work_policy() -> None:
    """Forget the policy read so far (tests)."""
    get_work_policy.cache_clear()


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, as it is published for editors."""
    made = WorkPolicy.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
