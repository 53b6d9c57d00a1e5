"""Who gets which document by which way, as `fleet.yaml` has it under `delivery`.

Belongs here: the shape of the entry: lists of addresses, routes, quiet hours, escalation. Does not belong here: values,
putting messages in the outbox (`ops_platform.delivery`), which channel a job or an alert has (their own entries).
"""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ops_platform.fleet.entries import Entry

Level = Literal["info", "watch", "alert", "critical"]
LEVELS: tuple[Level, ...] = ("info", "watch", "alert", "critical")
_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$"
Address = Annotated[str, Field(pattern=_ADDRESS)]


def _clock_time(value: object) -> object:
    # YAML reads 22:30 without quotes as the number 1350, base sixty.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    return value


ClockTime = Annotated[time, BeforeValidator(_clock_time)]


class QuietHours(Entry):
    """From `start` to `end` on the company's clock nobody is disturbed by what is below `below`: it waits for the end,
    in Slack and by e-mail. The hours may reach over midnight."""

    start: ClockTime
    end: ClockTime
    below: Level = "alert"

    @model_validator(mode="after")
    def _some_hours(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError("quiet hours that begin and end at one moment are none: leave the entry out")
        return self


class Route(Entry):
    """How the documents of a job, or of a kind, go out. `channel` and `thread_of` replace the job's own: the channel's
    role, and the job whose message of the same period this answers. `email` names lists. `level` says how loud it is
    for quiet hours."""

    channel: Literal["executive", "team", "alerts"] | None = None
    thread_of: str | None = None
    email: list[str] = Field(default_factory=list)
    level: Level = "info"


class Escalation(Entry):
    """What becomes of an alert of this level that nobody has taken: after so many minutes it is told in `channel` and
    to the lists `email`, once."""

    after_minutes: int = Field(ge=0, le=7 * 24 * 60)
    email: list[str] = Field(default_factory=list)
    channel: Literal["executive", "team", "alerts"] | None = None


class DeliveryRoutes(Entry):
    """The `delivery` entry. What has no route goes to its job's channel alone."""

    lists: dict[str, list[Address]] = Field(default_factory=dict)
    documents: dict[str, Route] = Field(default_factory=dict)
    quiet_hours: QuietHours | None = None
    escalation: dict[Literal["alert", "critical"], Escalation] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _lists_exist(self) -> DeliveryRoutes:
        named = [(f"documents.{name}", route.email) for name, route in self.documents.items()]
        named += [(f"escalation.{level}", step.email) for level, step in self.escalation.items()]
        problems = [
            f"{where}: there is no list {one!r}" for where, lists in named for one in lists if one not in self.lists
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def problems(self, jobs: set[str], kinds: set[str]) -> list[str]:
        """What is wrong with the routes against the rest of the file, each named."""
        found = [
            f"delivery.documents.{name}: there is no job and no kind of document called that"
            for name in self.documents
            if name not in jobs | kinds
        ]
        return found + [
            f"delivery.documents.{name}: there is no job {route.thread_of!r} to answer"
            for name, route in self.documents.items()
            if route.thread_of is not None and route.thread_of not in jobs
        ]

    def route(self, job: str, kind: str) -> Route:
        """Of the job where it has one, else of its kind of document."""
        return self.documents.get(job) or self.documents.get(kind) or Route()

    def addresses(self, lists: list[str]) -> list[str]:
        """The addresses of these lists, each once, in order."""
        return list(dict.fromkeys(address for name in lists for address in self.lists[name]))
