"""The model of `fleet.yaml`: read once, validated whole, every wrong entry named.

Belongs here: shapes and cross-checks of the file. Does not belong here: values.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from ops_platform.fleet.alert_policy import AlertPolicy
from ops_platform.fleet.alert_rules import AlertRule, problems_of
from ops_platform.fleet.approval_policy import ApprovalPolicy
from ops_platform.fleet.board_pack import BoardPack
from ops_platform.fleet.delivery_policy import DeliveryRoutes
from ops_platform.fleet.entries import Entry as _Entry
from ops_platform.fleet.entries import Exact, read_yaml, wrong_entries
from ops_platform.fleet.health_policy import HealthPolicy
from ops_platform.fleet.jobs import BRIEFING, ChannelKey, Job
from ops_platform.fleet.models import Models
from ops_platform.fleet.narratives import Narratives
from ops_platform.fleet.reports import problems_of as problems_of_reports
from ops_platform.fleet.roles import Role
from ops_platform.settings import Settings, get_settings
from ops_platform.zones import zone_of

__all__ = ["ChannelKey", "Fleet", "Job", "get_fleet", "load_fleet", "reset_fleet"]


class Company(_Entry):
    """Who the platform works for. `timezone` decides what a day is, `currency` what money is told in."""

    name: str
    timezone: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        zone_of(value)
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
    """The fleet's tokens of a cycle, and how many of them the agents of work orders may take together: the rest is the
    scheduled documents', whatever is asked in the night."""

    tokens_per_cycle: int = Field(gt=0)
    tokens_for_agents: int = Field(default=10_000, ge=0)


class Source(_Entry):
    label: str
    stale_after_hours: int = Field(gt=0)


class Threshold(_Entry):
    value: Exact
    unit: str


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
    delivery: DeliveryRoutes = Field(default_factory=DeliveryRoutes)
    board_pack: BoardPack = Field(default_factory=BoardPack)
    narratives: Narratives = Field(default_factory=Narratives)
    health: HealthPolicy = Field(default_factory=HealthPolicy)
    roles: dict[str, Role] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _bots_channels(cls, data: Any) -> Any:
        """A job without a channel of its own speaks in its bot's."""
        if not isinstance(data, dict) or not isinstance(data.get("jobs"), dict):
            return data
        given = data.get("bots")
        bots: dict[str, Any] = given if isinstance(given, dict) else {}
        jobs = {}
        for name, job in data["jobs"].items():
            bot = bots.get(str(job.get("bot"))) if isinstance(job, dict) else None
            jobs[name] = {"channel": bot["channel"], **job} if isinstance(bot, dict) and "channel" in bot else job
        return {**data, "jobs": jobs}

    @model_validator(mode="after")
    def _names_agree(self) -> Fleet:
        problems = []
        if set(self.channels) != {"executive", "team", "alerts"}:
            problems.append("channels must be executive, team and alerts")
        for kind, entries in (("division", self.divisions), ("job", self.jobs), ("role", self.roles)):
            problems += [
                f"{kind} {name}: there is no bot {entry.bot!r}"
                for name, entry in entries.items()
                if entry.bot not in self.bots
            ]
        problems += problems_of(
            self.alert_rules, set(self.thresholds), set(self.sources), set(self.divisions), set(self.bots),
            set(self.jobs),
        )  # fmt: skip
        problems += problems_of_reports(
            self.jobs.items(), set(self.thresholds), set(self.sources), set(self.divisions)
        )  # fmt: skip
        problems += [
            f"job {name}: it reads {each!r}, and there is no source {each.partition('.')[0]!r}"
            for name, job in self.jobs.items()
            for each in job.reads
            if "." in each and each.partition(".")[0] not in {*self.sources, "marts"}
        ]
        problems += self.delivery.problems(set(self.jobs), {job.kind for job in self.jobs.values()})
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def scheduled(self) -> dict[str, str]:
        """The cron of each job that has one, in the order of the file."""
        return {name: job.cron for name, job in self.jobs.items() if job.cron is not None}

    def evidence_kind(self, name: str) -> str:
        """The kind under which the evidence of job `name` is kept: of a briefing, with the job's name."""
        kind = self.jobs[name].kind
        return f"{kind}:{name}" if kind == BRIEFING else kind

    def division_labels(self) -> list[tuple[str, str]]:
        """(id, label) of each division, in the order of the file."""
        return [(name, division.label) for name, division in self.divisions.items()]


def load_fleet(path: Path, settings: Settings) -> Fleet:
    """Read `path`; `OPS_TIMEZONE` and `OPS_CURRENCY` override the company's own.

    Raises `ConfigurationError` naming the file, the entry and what is wrong with it."""
    raw = read_yaml(path, str(path), "set OPS_FLEET_FILE or restore it")
    try:
        fleet = Fleet.model_validate(raw)
        overrides = {"timezone": settings.ops_timezone, "currency": settings.ops_currency}
        company = fleet.company.model_dump() | {key: value for key, value in overrides.items() if value}
        return fleet.model_copy(update={"company": Company.model_validate(company)})
    except ValidationError as error:
        raise wrong_entries(str(path), error) from None


@lru_cache(maxsize=1)
def get_fleet() -> Fleet:
    """The fleet of this process."""
    settings = get_settings()
    return load_fleet(settings.ops_fleet_file, settings)


def reset_fleet() -> None:
    """Forget the fleet read so far (demo, tests)."""
    get_fleet.cache_clear()
