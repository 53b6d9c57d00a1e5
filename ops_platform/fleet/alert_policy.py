"""The `alerts` section of `fleet.yaml`: every number the alert machine goes by.

Belongs here: the shapes of that section and their defaults. Does not belong here: which rules there are
(`alert_rules.py`), what the machine does with a number (`ops_platform.alerts`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from ops_platform.fleet.entries import Entry, Exact

SubjectKindName = Literal["metric", "threshold", "source", "tie_out", "job"]
SeverityName = Literal["watch", "alert", "critical"]


class Persistence(Entry):
    """Of the last `of` looks, `open` must breach to open; `resolve` clear ones in a row resolve.

    A look counts as clear when its closeness to the limit is at most `clear_below` (1 is the limit): between that and
    the limit it neither opens nor resolves. `look` says what one look is: a business `day` (looking at the same day
    again corrects the look) or the `moment` of looking."""

    open: int = Field(default=1, ge=1, le=100)
    of: int = Field(default=1, ge=1, le=100)
    resolve: int = Field(default=1, ge=1, le=100)
    clear_below: Exact = Field(default=Decimal("0.9"), gt=0, le=1)
    look: Literal["day", "moment"] = "moment"

    @model_validator(mode="after")
    def _possible(self) -> Persistence:
        if self.open > self.of:
            raise ValueError(f"open: {self.open} of {self.of} looks can never breach")
        return self


class Flapping(Entry):
    """What came out of its limits `after` times within `within_days` days is flapping: told once, then silent until
    `resolve` clear looks in a row."""

    after: int = Field(default=3, ge=2)
    within_days: int = Field(default=7, ge=1)
    resolve: int = Field(default=4, ge=1)


class Storm(Entry):
    """More than `after` incidents opening in one channel within `interval_minutes` are told in one message."""

    after: int = Field(default=5, ge=1)
    interval_minutes: int = Field(default=60, ge=1)


class RepeatHours(Entry):
    """Hours after which an open incident nobody has taken is told again; none: never."""

    watch: int | None = Field(default=None, ge=1)
    alert: int | None = Field(default=72, ge=1)
    critical: int | None = Field(default=24, ge=1)


class WolfPolicy(Entry):
    """A metric cries wolf when, of at least `least` rated alerts in `days` days, less than `precision` were useful."""

    days: int = Field(default=90, ge=1)
    least: int = Field(default=4, ge=1)
    precision: Exact = Field(default=Decimal("0.5"), gt=0, le=1)


def _persistence() -> dict[SubjectKindName, Persistence]:
    return {
        "metric": Persistence(resolve=2, look="day"),
        "threshold": Persistence(resolve=2),
        "source": Persistence(clear_below=Decimal(1)),
        "tie_out": Persistence(clear_below=Decimal(1)),
        "job": Persistence(clear_below=Decimal(1)),
    }


class AlertPolicy(Entry):
    """The whole section.

    `exceptions` are by subject (`metric:refund_rate`, `threshold:stock_critical:sku:A-1`; the longest that fits wins).
    `worsening_factor`: beyond so many times what was last told, it has worsened. `group_interval_minutes`: at most one
    message an incident within it, the first one and the resolution included. `join_hours`: what opens later than that
    after a related incident is news, and an incident of its own. `unknown_hours`: an incident, or a subject without
    one, that cannot be judged for so long is said to be unknown. `unseen_days`: an incident nobody looks at for so long
    is closed, and told as closed unseen. `part_severity`: how loud a part of a metric is (one channel, one product)
    beside the whole, which is an alert; `parts_alone_from`: how many times its limit a part must be to be told while
    no whole is out, for a metric has dozens of parts, each with its own false alarms. `favourable`: what becomes of a
    breach in the good direction. `inhibitors`: the kinds whose breach silences what depends on them. `working_days`:
    ISO weekdays."""

    persistence: dict[SubjectKindName, Persistence] = Field(default_factory=_persistence)
    exceptions: dict[str, Persistence] = Field(default_factory=dict)
    worsening_factor: Exact = Field(default=Decimal("1.5"), gt=1)
    group_interval_minutes: int = Field(default=15, ge=0)
    join_hours: int = Field(default=48, ge=0)
    repeat_hours: RepeatHours = Field(default_factory=RepeatHours)
    flapping: Flapping = Field(default_factory=Flapping)
    storm: Storm = Field(default_factory=Storm)
    unknown_hours: int = Field(default=48, ge=1)
    unseen_days: int = Field(default=14, ge=1)
    snooze_days_most: int = Field(default=45, ge=1)
    mute_days_most: int = Field(default=120, ge=1)
    snoozed_resolution: Literal["at_once", "at_the_end"] = "at_once"
    critical_breaks_snooze: bool = True
    tell_recovering: bool = True
    part_severity: SeverityName = "watch"
    parts_alone_from: Exact = Field(default=Decimal(3), ge=1)
    favourable: Literal["silent", "watch", "same"] = "watch"
    inhibitors: frozenset[SubjectKindName] = frozenset({"source"})
    working_days: frozenset[int] = frozenset({1, 2, 3, 4, 5})
    wolf: WolfPolicy = Field(default_factory=WolfPolicy)

    @model_validator(mode="after")
    def _whole(self) -> AlertPolicy:
        missing = sorted(set(_persistence()) - set(self.persistence))
        if missing:
            raise ValueError(f"persistence says nothing of {', '.join(missing)}")
        if not self.working_days or not self.working_days <= set(range(1, 8)):
            raise ValueError("working_days are ISO weekdays, 1 (Monday) to 7")
        wrong = sorted(name for name in self.exceptions if name.partition(":")[0] not in self.persistence)
        if wrong:
            raise ValueError(f"exceptions begin with a kind of subject, as metric:net_sales; not {', '.join(wrong)}")
        return self
