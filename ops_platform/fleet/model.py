"""The model of `fleet.yaml`: read once, validated whole, every wrong entry named.

Belongs here: shapes and cross-checks of the file. Does not belong here: values.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from ops_platform.failures import ConfigurationError
from ops_platform.fleet.alert_policy import AlertPolicy
from ops_platform.fleet.alert_rules import AlertRule, problems_of
from ops_platform.fleet.approval_policy import ApprovalPolicy
from ops_platform.fleet.board_pack import BoardPack
from ops_platform.fleet.entries import Entry as _Entry
from ops_platform.fleet.entries import Exact
from ops_platform.fleet.models import Models, Task
from ops_platform.fleet.narratives import Narratives
from ops_platform.settings import Settings, get_settings

ChannelKey = Literal["executive", "team", "alerts"]


class Company(_Entry):
    """Who the platform works for. `timezone` decides what a day is, `currency` what money is told in."""

    name: str
    timezone: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone, e.g. America/New_York")
        return value


class Division(_Entry):
    label: str
    bot: str


class Bot(_Entry):
    """A named owner of assets, jobs, credentials and tokens. `token_budget` is per cycle."""

    label: str
    channel: ChannelKey
    token_budget: int = Field(ge=0)


class Budget(_Entry):
    tokens_per_cycle: int = Field(gt=0)


class Source(_Entry):
    label: str
    stale_after_hours: int = Field(gt=0)


class Threshold(_Entry):
    value: Exact
    unit: str


class Job(_Entry):
    """A scheduled job. `cron` is in the company's zone; `always` jobs speak even with nothing to act on. A job that
    `collects` syncs the sources and builds the warehouse first; another stands on what an earlier one built. `task` is
    what a model does in it, which decides its tier; `token_budget` is per cycle."""

    bot: str
    cron: str
    channel: ChannelKey
    document: str
    task: Task
    token_budget: int = Field(ge=0)
    max_runtime_minutes: int = Field(gt=0)
    always: bool = False
    collects: bool = True
    description: str

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if len(value.split()) != 5:
            raise ValueError(f"{value!r} is not a five-field cron expression")
        return value


class Fleet(_Entry):
    """The whole file."""

    company: Company
    channels: dict[ChannelKey, str]
    divisions: dict[str, Division]
    bots: dict[str, Bot]
    budget: Budget
    models: Models
    sources: dict[str, Source]
    jobs: dict[str, Job]
    thresholds: dict[str, Threshold]
    alert_rules: dict[str, AlertRule] = Field(default_factory=dict)
    alerts: AlertPolicy = Field(default_factory=AlertPolicy)
    approvals: ApprovalPolicy = Field(default_factory=ApprovalPolicy)
    board_pack: BoardPack = Field(default_factory=BoardPack)
    narratives: Narratives = Field(default_factory=Narratives)

    @model_validator(mode="after")
    def _names_agree(self) -> Fleet:
        problems = []
        if set(self.channels) != {"executive", "team", "alerts"}:
            problems.append("channels must be executive, team and alerts")
        for kind, entries in (("division", self.divisions), ("job", self.jobs)):
            problems += [
                f"{kind} {name}: there is no bot {entry.bot!r}"
                for name, entry in entries.items()
                if entry.bot not in self.bots
            ]
        problems += problems_of(
            self.alert_rules, set(self.thresholds), set(self.sources), set(self.divisions), set(self.bots)
        )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def division_labels(self) -> list[tuple[str, str]]:
        """(id, label) of each division, in the order of the file."""
        return [(name, division.label) for name, division in self.divisions.items()]


def load_fleet(path: Path, settings: Settings) -> Fleet:
    """Read `path`; `OPS_TIMEZONE` and `OPS_CURRENCY` override the company's own.

    Raises `ConfigurationError` naming the file, the entry and what is wrong with it."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist: set OPS_FLEET_FILE or restore it") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from None
    try:
        fleet = Fleet.model_validate(raw)
        overrides = {"timezone": settings.ops_timezone, "currency": settings.ops_currency}
        company = fleet.company.model_dump() | {key: value for key, value in overrides.items() if value}
        return fleet.model_copy(update={"company": Company.model_validate(company)})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise ConfigurationError(f"{path}: {problems}") from None


@lru_cache(maxsize=1)
def get_fleet() -> Fleet:
    """The fleet of this process."""
    settings = get_settings()
    return load_fleet(settings.ops_fleet_file, settings)


def reset_fleet() -> None:
    """Forget the fleet read so far (demo, tests)."""
    get_fleet.cache_clear()
