"""The shape of a job in `fleet.yaml`: who runs it, when, what it reads and what it makes.

Belongs here: the model of an entry. Does not belong here: values (`fleet.yaml`), the shape of its report
(`reports.py`), turning it into something that runs (`jobs/fleet.py`, `assets/briefings.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ops_platform.failures import ConfigurationError
from ops_platform.fleet.entries import Entry
from ops_platform.fleet.models import Task
from ops_platform.fleet.reports import Report

ChannelKey = Literal["executive", "team", "alerts"]
#: The kind of document of every job that has a report.
BRIEFING = "briefing"
EVERYTHING = "everything"


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Job(Entry):
    """A job. `cron` is in the company's zone; one without it is `event`-driven: it runs when what it reads was
    published anew. It speaks in `channel` (its bot's own where none is given).

    What it makes: the report described in `report`; or a `document` of a kind with assets of its own; or nothing, then
    it only collects what it `reads`. A report without a `message` is kept and not posted (a bot's context). `always`
    jobs speak even with nothing to act on. A job that `collects` syncs and builds first, but only what it reads: the
    views and metrics of its report and `reads` (`marts.x`, a metric's id, a source `vendor` or `vendor.stream`,
    `everything`); a job with a document of its own reads everything. One that `looks` has the alert machine look.
    `task` is what a model does in it, which decides its tier; `token_budget` is per cycle, 0: rules write it;
    `batch_minutes` is how long its text may wait for the vendor's batch, at the batch's price."""

    bot: str
    cron: str | None = None
    event: bool = False
    channel: ChannelKey = "team"
    document: str = ""
    report: Report | None = None
    reads: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    message: bool = True
    task: Task = "write"
    token_budget: int = Field(default=0, ge=0)
    batch_minutes: int = Field(default=0, ge=0, le=24 * 60)
    max_runtime_minutes: int = Field(default=20, gt=0)
    always: bool = False
    collects: bool = True
    looks: bool = True
    description: str

    @field_validator("cron")
    @classmethod
    def _can_be_read(cls, value: str | None) -> str | None:
        if value is None:
            return None
        from ops_platform.fleet.ticks import check_cron

        try:
            check_cron(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _whole(self) -> Job:
        if (self.cron is None) != self.event:
            raise ValueError("give either a cron or event: true")
        if self.batch_minutes and self.batch_minutes + 10 > self.max_runtime_minutes:
            raise ValueError("max_runtime_minutes must leave ten minutes beside batch_minutes")
        if self.report is not None and self.document:
            raise ValueError("a job with a report has no other document")
        if self.report is None and not self.document and not self.reads:
            raise ValueError("give a report, a document or what it reads")
        if self.event and self.report is None:
            raise ValueError("an event-driven job needs a report: what it reads says when it runs")
        if self.report is not None and not (self.report.speak_when or self.always or not self.message):
            raise ValueError("say in speak_when when it speaks, or always: true")
        return self

    @property
    def kind(self) -> str:
        """The kind of its document; empty for one that only collects."""
        return BRIEFING if self.report is not None else self.document

    @property
    def posts(self) -> bool:
        """Whether it can have something to post."""
        return self.message and bool(self.kind)

    def everything(self) -> bool:
        """Whether it collects the whole: every source, every model."""
        return self.collects and (EVERYTHING in self.reads or (self.report is None and bool(self.document)))
