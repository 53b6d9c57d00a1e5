"""The shape of `alert_rules` in `fleet.yaml`: what is held against a limit, and what becomes of a breach.

Belongs here: the model of a rule and what can be wrong with it on paper. Does not belong here: values (`fleet.yaml`),
looking at the warehouse (`ops_platform.alerts.rules`), what is said (`ops_platform.documents`).

A rule looks at a published metric or at a mart. Its levels are tried from the loudest down; the first whose conditions
hold is the finding. A limit is the name of a threshold or a plain number, so that changing a threshold changes the
warehouse and the alerts together.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ops_platform.fleet.entries import Entry, Exact, exact

Limit = Annotated[str | Decimal, BeforeValidator(exact)]
Loudness = Literal["watch", "alert", "critical"]
LOUDEST_FIRST: tuple[Loudness, ...] = ("critical", "alert", "watch")
OPERATORS = ("above", "at_least", "below", "at_most", "beyond")
_NAME = r"^[a-z_][a-z0-9_]*$"
Column = Annotated[str, Field(pattern=_NAME)]


class Comparison(Entry):
    """One test of one value. `beyond` is above the limit or below its negative; `is` is one of some words."""

    above: Limit | None = None
    at_least: Limit | None = None
    below: Limit | None = None
    at_most: Limit | None = None
    beyond: Limit | None = None
    is_: tuple[str | bool, ...] | None = Field(default=None, alias="is")

    @field_validator("is_", mode="before")
    @classmethod
    def _one_is_enough(cls, value: object) -> object:
        return (value,) if isinstance(value, str | bool) else value

    @model_validator(mode="after")
    def _exactly_one(self) -> Comparison:
        given = [name for name in (*OPERATORS, "is_") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(OPERATORS)}, is")
        return self

    def limit(self) -> tuple[str, str | Decimal] | None:
        """The operator and its limit; None for words."""
        return next(((name, getattr(self, name)) for name in OPERATORS if getattr(self, name) is not None), None)


class Level(Entry):
    """`when` any (or `match: all`) of the conditions holds, for at least `rows` rows of a mart, it is this loud."""

    when: dict[Column, Comparison] = Field(min_length=1)
    match: Literal["any", "all"] = "any"
    rows: int = Field(default=1, ge=1)


class Measure(Entry):
    """A number over the rows of one subject: how many, or the sum, least or greatest of a column. `less` is a column
    taken off first; the sign is kept."""

    count: Literal["rows"] | None = None
    sum: Column | None = None
    min: Column | None = None
    max: Column | None = None
    less: Column | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Measure:
        if sum(part is not None for part in (self.count, self.sum, self.min, self.max)) != 1:
            raise ValueError("give exactly one of count, sum, min, max")
        return self

    @property
    def column(self) -> str | None:
        """The column it reads; None for a count."""
        return self.sum or self.min or self.max

    def columns(self) -> Iterator[str]:
        """Every column it reads."""
        yield from (name for name in (self.column, self.less) if name is not None)


class AlertRule(Entry):
    """One rule. `{subject}` in the label is the value of the dimension.

    A metric: the value over the last `days` complete days (a state: as it stands). A mart: its rows that fit `where`,
    those of each value of `dimension` together; `date` names the column that says which day a row is of. Either way,
    each of the last `lookback_days` days is looked at and the worst of them counts: entries that arrive late are seen
    when they come. `near` only tells how near a subject is that no level holds for; `because` is a column of the mart
    that says why in a word. Below `minimum_money` (company currency) a breach is not worth a word.
    `about` names metrics that tell of the same thing, besides the one it reads: one incident, not two. `named` is a
    column of the mart with the name people know a subject by, for the label; the subject stays its key. `told_by` is
    the job that lists the same matter in the team's channel: what is only watched is left to it."""

    label: str
    metric: Column | None = None
    view: str | None = Field(default=None, pattern=r"^(marts|metrics)\.[a-z_][a-z0-9_]*$")
    dimension: Column = "all"
    date: Column | None = None
    days: int = Field(default=1, ge=1, le=92)
    lookback_days: int = Field(default=1, ge=1, le=31)
    where: dict[Column, str | bool] = Field(default_factory=dict)
    value: Measure = Measure(count="rows")
    unit: Literal["money", "count", "ratio", "percent", "days", "hours", "score"] = "count"
    money: Measure | None = None
    money_metric: Column | None = None
    money_is: str = ""
    minimum_money: Exact | None = None
    because: Column | None = None
    levels: dict[Loudness, Level] = Field(min_length=1)
    near: dict[Column, Comparison] = Field(default_factory=dict)
    sources: tuple[str, ...] = ()
    any_source: tuple[str, ...] = ()
    division: str | None = None
    owner: str | None = None
    adverse: bool = True
    about: tuple[Column, ...] = ()
    named: Column | None = None
    told_by: str | None = None

    @field_validator("sources", "any_source")
    @classmethod
    def _streams(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name.count(".") != 1:
                raise ValueError(f"{name!r} is not vendor.stream")
        return value

    @model_validator(mode="after")
    def _whole(self) -> AlertRule:
        if (self.metric is None) == (self.view is None):
            raise ValueError("give either a metric or a view")
        if self.view is not None:
            if not (self.sources or self.any_source):
                raise ValueError("a view's rule names the sources it stands on")
            if self.owner is None:
                raise ValueError("a view's rule names its owner")
            if self.days != 1 or self.money_metric is not None:
                raise ValueError("days and money_metric belong to a metric's rule")
            if self.lookback_days != 1 and self.date is None:
                raise ValueError("lookback_days needs the column that says the day")
        elif self.where or self.money or self.date or self.because or self.named:
            raise ValueError("where, money, date, because and named belong to a view's rule")
        if self.named is not None and self.dimension == "all":
            raise ValueError("named needs a dimension")
        if self.minimum_money is not None and self.money is None and self.metric is None:
            raise ValueError("minimum_money needs money")
        return self

    def comparisons(self) -> Iterator[tuple[str, Comparison]]:
        """Every (column or metric, comparison) of the rule."""
        for level in self.levels.values():
            yield from level.when.items()
        yield from self.near.items()

    def threshold_names(self) -> Iterator[str]:
        """The thresholds the rule speaks of, by name."""
        for _, comparison in self.comparisons():
            found = comparison.limit()
            if found is not None and isinstance(found[1], str):
                yield found[1]

    def metrics(self) -> Iterator[str]:
        """The metrics the rule reads."""
        if self.metric is not None:
            yield self.metric
            yield from (name for name, _ in self.comparisons() if name != "value")
            if self.money_metric is not None:
                yield self.money_metric

    def about_metrics(self) -> Iterator[str]:
        """The metrics that tell of the same thing as the rule."""
        if self.metric is not None:
            yield self.metric
        yield from self.about

    def columns(self) -> Iterator[str]:
        """The columns of the view the rule reads."""
        if self.view is not None:
            if self.dimension != "all":
                yield self.dimension
            if self.date is not None:
                yield self.date
            yield from self.where
            yield from (name for name, _ in self.comparisons())
            yield from self.value.columns()
            if self.money is not None:
                yield from self.money.columns()
            yield from (name for name in (self.because, self.named) if name is not None)


def problems_of(rules: dict[str, AlertRule], thresholds: set[str], vendors: set[str], divisions: set[str],
                owners: set[str], jobs: set[str]) -> list[str]:  # fmt: skip
    """What is wrong with the rules against the rest of the file, each named."""
    found = []
    for name, rule in rules.items():
        limits = dict.fromkeys(rule.threshold_names())
        found += [f"alert rule {name}: there is no threshold {limit!r}" for limit in limits if limit not in thresholds]
        streams = (*rule.sources, *rule.any_source)
        found += [
            f"alert rule {name}: there is no source {stream!r}"
            for stream in streams
            if stream.partition(".")[0] not in vendors
        ]
        if rule.division is not None and rule.division not in divisions:
            found.append(f"alert rule {name}: there is no division {rule.division!r}")
        if rule.owner is not None and rule.owner not in owners:
            found.append(f"alert rule {name}: there is no bot {rule.owner!r}")
        if rule.told_by is not None and rule.told_by not in jobs:
            found.append(f"alert rule {name}: there is no job {rule.told_by!r}")
    return found
