"""The shape of a job's `report:` in `fleet.yaml`: what it shows, what of it is news, when it speaks.

Belongs here: the model of a report and what can be wrong with it on paper. Does not belong here: values (`fleet.yaml`),
reading the warehouse (`ops_platform.evidence.briefing`), how it looks (`ops_platform.documents.briefing`).

A report is sections. A section shows metrics (the published ones, by id), the rows of a list (a mart, or a metric's
rows), the news of divisions, or several of these. `speak_when` is a rule over what was found; where none of it holds,
the job is silent and its receipt says what was looked at. Examples and every key: `docs/jobs.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ops_platform.fleet.alert_rules import OPERATORS, Limit
from ops_platform.fleet.entries import Entry

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
ColumnName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
View = Annotated[str, Field(pattern=r"^(marts|metrics)\.[a-z_][a-z0-9_]*$")]
Unit = Literal["money", "count", "ratio", "percent", "days", "hours", "score", "text", "date", "flag"]
NUMBERS: frozenset[str] = frozenset({"money", "count", "ratio", "percent", "days", "hours", "score"})
_PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


def _several(value: object) -> object:
    return (value,) if isinstance(value, str | bool) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Test(Entry):
    """One test of one column; all of a list's tests must hold.

    Numbers: `above`, `at_least`, `below`, `at_most`, `beyond` (either way), each a threshold's name or a number. Words:
    `is` and `is_not` one of some. `known` whether it is filled. Days (a date or a moment): within the `next_days` from
    today, today included; within the `last_days` up to today, today included; `before_days` or more days ago."""

    above: Limit | None = None
    at_least: Limit | None = None
    below: Limit | None = None
    at_most: Limit | None = None
    beyond: Limit | None = None
    is_: Annotated[tuple[str | bool, ...] | None, BeforeValidator(_several)] = Field(default=None, alias="is")
    is_not: Annotated[tuple[str | bool, ...] | None, BeforeValidator(_several)] = None
    known: bool | None = None
    next_days: int | None = Field(default=None, ge=0, le=366)
    last_days: int | None = Field(default=None, ge=0, le=366)
    before_days: int | None = Field(default=None, ge=0, le=3660)

    @model_validator(mode="after")
    def _exactly_one(self) -> Test:
        if len(self.given()) != 1:
            raise ValueError(f"give exactly one of {', '.join(_TESTS)}")
        return self

    def given(self) -> list[str]:
        """The names of the tests that are set."""
        return [name for name, field in _TESTS.items() if getattr(self, field) is not None]

    def limit(self) -> tuple[str, Limit] | None:
        """The operator and its limit, of a test of numbers."""
        return next(((name, getattr(self, name)) for name in OPERATORS if getattr(self, name) is not None), None)


_TESTS = {name: name for name in (*OPERATORS, "is_not", "known", "next_days", "last_days", "before_days")} | {
    "is": "is_"
}


def _as_test(value: object) -> object:
    """A bare word, true or false is the test that the column is that; nothing that it is not filled."""
    if value is None:
        return {"known": False}
    return {"is": value} if isinstance(value, str | bool) else value


Where = dict[ColumnName, Annotated[Test, BeforeValidator(_as_test)]]


class Column(Entry):
    """A column of a list as a reader sees it. `as` puts words about the value: `"{} in stock"`. A `flag` shows its
    words where the column is true; `hide_zero` leaves out a number that is nothing. Text is somebody else's and is
    shortened to `width`."""

    column: ColumnName
    as_: str = Field(default="{}", alias="as")
    unit: Unit = "text"
    width: int = Field(default=48, ge=8, le=200)
    hide_zero: bool = False

    @model_validator(mode="after")
    def _has_a_place(self) -> Column:
        if self.unit != "flag" and "{}" not in self.as_:
            raise ValueError(f"{self.as_!r} has no {{}} where the value goes")
        if any(character.isdigit() for character in self.as_):
            raise ValueError(f"{self.as_!r} writes a digit: numbers come from the data")
        return self


class Group(Entry):
    """Rows of equal `column` stand together under its label, in the order given; values that are not named are left
    out of the report. Each group says how many it has."""

    column: ColumnName
    labels: dict[str, str] = Field(min_length=1)


class Listing(Entry):
    """Rows of a view. `name` is how `speak_when` speaks of it. What makes two rows the same thing is `key`; a row is
    new when its key was not told before, or one of its `news` columns was told otherwise. `date` names the column that
    says which day a row is of: only the rows of the newest of the last `days` days that has any are taken (`every_day`:
    all of them). `total` columns are summed over all rows. `draft` is a text for each row with columns in braces."""

    name: Name
    view: View
    where: Where = Field(default_factory=dict)
    date: ColumnName | None = None
    days: int = Field(default=7, ge=1, le=366)
    every_day: bool = False
    key: Annotated[tuple[ColumnName, ...], BeforeValidator(_several)] = Field(min_length=1)
    news: Annotated[tuple[ColumnName, ...], BeforeValidator(_several)] = ()
    columns: tuple[Column, ...] = Field(min_length=1)
    order: Words = ()
    limit: int = Field(default=8, ge=1, le=50)
    only_new: bool = False
    group: Group | None = None
    total: tuple[Column, ...] = ()
    one: str = ""
    many: str = "rows"
    empty: str = ""
    draft: str = ""
    sources: Words = ()
    any_source: Words = ()

    @field_validator("order")
    @classmethod
    def _columns_named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"-?[a-z_][a-z0-9_]*", name):
                raise ValueError(f"{name!r} is not a column, or -column for the largest first")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Listing:
        if not (self.sources or self.any_source):
            raise ValueError(f"list {self.name} names the sources it stands on")
        names = [column.column for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"list {self.name} shows a column twice")
        if any(column.unit not in NUMBERS for column in self.total):
            raise ValueError(f"list {self.name}: only numbers can be summed")
        loose = set(_PLACE.findall(self.draft)) - set(names)
        if loose:
            raise ValueError(f"list {self.name}: the draft speaks of columns it does not show: {sorted(loose)}")
        if self.every_day and self.date is None:
            raise ValueError(f"list {self.name}: every_day needs the column that says the day")
        return self

    def read(self) -> Iterator[str]:
        """Every column the list reads, once each."""
        named = [*self.key, *self.news, *self.where, *(column.column for column in (*self.columns, *self.total))]
        named += [name.removeprefix("-") for name in self.order]
        named += [self.date] if self.date else []
        named += [self.group.column] if self.group else []
        yield from dict.fromkeys(named)

    def thresholds(self) -> Iterator[str]:
        """The thresholds its conditions name."""
        for test in self.where.values():
            limit = test.limit()
            if limit is not None and isinstance(limit[1], str):
                yield limit[1]


class Section(Entry):
    """A part of the report. `divisions` are the news of divisions: `all`, or some, `most` figures each."""

    title: str = ""
    icon: str = ""
    metrics: Words = ()
    list_: Listing | None = Field(default=None, alias="list")
    divisions: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    most: int = Field(default=4, ge=1, le=12)

    @model_validator(mode="after")
    def _shows_something(self) -> Section:
        if not (self.metrics or self.list_ or self.divisions):
            raise ValueError("a section shows metrics, a list or divisions")
        return self


class Condition(Entry):
    """One reason to speak: a list has `rows`, or `new` ones (at least `count` of them); a `metric` is beyond a limit;
    a division of the report has `news`."""

    rows: Name | None = None
    new: Name | None = None
    count: int = Field(default=1, ge=1)
    metric: ColumnName | None = None
    news: Literal[True] | None = None
    above: Limit | None = None
    at_least: Limit | None = None
    below: Limit | None = None
    at_most: Limit | None = None
    beyond: Limit | None = None

    @model_validator(mode="after")
    def _one_reason(self) -> Condition:
        if sum(part is not None for part in (self.rows, self.new, self.metric, self.news)) != 1:
            raise ValueError("give exactly one of rows, new, metric, news")
        if (self.metric is not None) != (self.limit() is not None):
            raise ValueError("a metric needs a limit, and only a metric has one")
        return self

    def limit(self) -> tuple[str, Limit] | None:
        """The operator and its limit, of a metric's condition."""
        given = [(name, getattr(self, name)) for name in OPERATORS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(OPERATORS)}")
        return given[0] if given else None


class Report(Entry):
    """What a job tells. `over` is the time its metrics are of: the `day` before, or a `week`, the last seven whole days
    (states: as they stand at its end). `divisions` says whose report it is. In a `digest` each section is a message of
    its own in the first one's thread; with `thread: day` the later messages of a day answer its first."""

    title: str
    over: Literal["day", "week"] = "day"
    divisions: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    sections: tuple[Section, ...] = Field(min_length=1)
    speak_when: tuple[Condition, ...] = ()
    digest: bool = False
    thread: Literal["day"] | None = None
    closing: str = ""

    @model_validator(mode="after")
    def _names_agree(self) -> Report:
        names = [listing.name for listing in self.listings()]
        if len(set(names)) != len(names):
            raise ValueError("two lists of one name")
        for condition in self.speak_when:
            wanted = condition.rows or condition.new
            if wanted is not None and wanted not in names:
                raise ValueError(f"speak_when: there is no list {wanted!r}")
            if condition.news and not self.news_of():
                raise ValueError("speak_when: news needs a section of divisions")
        return self

    def listings(self) -> list[Listing]:
        return [section.list_ for section in self.sections if section.list_ is not None]

    def metrics(self) -> list[str]:
        """The metrics the report shows or is judged by, once each; those of its divisions are the warehouse's."""
        shown = [name for section in self.sections for name in section.metrics]
        return list(dict.fromkeys([*shown, *(each.metric for each in self.speak_when if each.metric)]))

    def news_of(self) -> tuple[str, ...]:
        """The divisions whose news it tells; `all` is every one."""
        return tuple(dict.fromkeys(name for section in self.sections for name in section.divisions))

    def views(self) -> list[str]:
        return list(dict.fromkeys(listing.view for listing in self.listings()))


def problems_of(
    jobs: Iterable[tuple[str, Any]], thresholds: set[str], vendors: set[str], divisions: set[str]
) -> list[str]:
    """What is wrong with the jobs' reports against the rest of the file, each named."""
    found = []
    for name, job in jobs:
        report: Report | None = job.report
        if report is None:
            continue
        limits = [limit for listing in report.listings() for limit in listing.thresholds()]
        for condition in report.speak_when:
            limit = condition.limit()
            if limit is not None and isinstance(limit[1], str):
                limits.append(limit[1])
        found += [f"job {name}: there is no threshold {limit!r}" for limit in dict.fromkeys(limits)
                  if limit not in thresholds]  # fmt: skip
        streams = [each for listing in report.listings() for each in (*listing.sources, *listing.any_source)]
        found += [f"job {name}: there is no source {stream!r}" for stream in dict.fromkeys(streams)
                  if stream.count(".") != 1 or stream.partition(".")[0] not in vendors]  # fmt: skip
        named = dict.fromkeys((*report.divisions, *report.news_of()))
        found += [f"job {name}: there is no division {each!r}" for each in named
                  if each not in divisions and each != "all"]  # fmt: skip
    return found
