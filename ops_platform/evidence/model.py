"""What a fact is, what a bundle is.

Belongs here: the frozen values a writer and a renderer may use, their canonical JSON and digest. Does not
belong here: SQL (`evidence.pulse`, `evidence.store`), formatting (`ops_platform.documents.claims`).

A **fact** is one number (or text, or date) somebody may publish: what it is called, its unit, the period it
covers, what it is compared with, whether it is known, how fresh it is, whether its source tied out, and the
query it came from. A **series** is a row of such numbers that belong together, for a chart. A **bundle** is every
fact and series a document may use. Nothing outside the bundle can be published.

Conventions: `ratio` is a fraction of one (0.031 is shown as 3.1%); `percent` is already in hundredths
(3.1 is shown as 3.1%); `delta_pct` is always a fraction of one. Period ends are inclusive. NULL is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal

from ops_platform.evidence.encoding import decode, digest_of, encode
from ops_platform.failures import DataFailure

Unit = Literal["money", "count", "ratio", "percent", "days", "hours", "score", "text", "date"]
Direction = Literal["up_is_good", "down_is_good", "neutral"]
Status = Literal["known", "unknown", "stale"]
TieOut = Literal["matched", "mismatched", "unknown"]

FACT_ID = re.compile(r"[a-z][a-z0-9_]{0,79}")
_NUMERIC: frozenset[str] = frozenset({"money", "count", "ratio", "percent", "days", "hours", "score"})


@dataclass(frozen=True, slots=True)
class Period:
    """Business days from `start` to `end`, both included. `label` is how a reader is told of it."""

    start: date
    end: date
    label: str

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise DataFailure(f"A period cannot end ({self.end}) before it starts ({self.start}).")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The fact's value against another: `delta` = fact − value, `delta_pct` = delta ÷ |value| as a fraction
    (None where the base is zero or unknown). `label` completes "vs …"."""

    name: str
    label: str
    value: Decimal | None
    delta: Decimal | None = None
    delta_pct: Decimal | None = None

    @staticmethod
    def between(name: str, label: str, value: Decimal | None, base: Decimal | None) -> Comparison:
        """Compare `value` (the fact's) with `base`; anything that involves an unknown is unknown."""
        if value is None or base is None:
            return Comparison(name, label, base)
        delta = value - base
        return Comparison(name, label, base, delta, delta / abs(base) if base else None)

    def follows_from(self, value: Decimal | None) -> bool:
        """Whether the change is that of `value` against this base, to the last digits of a division."""
        own = Comparison.between(self.name, self.label, value, self.value)
        return _alike(self.delta, own.delta) and _alike(self.delta_pct, own.delta_pct)


def _alike(left: Decimal | None, right: Decimal | None) -> bool:
    if left is None or right is None:
        return left is right
    return left == right or abs(left - right) <= abs(right) * Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the number came from: the relation, the query with its parameters (as text), the syncs it rests
    on. Enough for a person to run it again."""

    relation: str
    query: str = ""
    params: tuple[tuple[str, str], ...] = ()
    sync_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """One publishable value. `value` is set for numeric units, `text` for "text", `day` for "date"; all are
    None when the status is unknown. `about` names the entity (a division, a SKU) the fact speaks of, if any.
    `superlative` is what the data itself supports ("highest", "lowest", or None): only then may a text say so.
    `change` says that the value is itself a change, so it is shown with its sign and read as a direction.
    """

    id: str
    label: str
    unit: Unit
    value: Decimal | None = None
    text: str | None = None
    day: date | None = None
    currency: str | None = None
    period: Period | None = None
    comparisons: tuple[Comparison, ...] = ()
    direction: Direction = "neutral"
    status: Status = "known"
    unknown_since: datetime | None = None
    fresh_to: datetime | None = None
    tie_out: TieOut = "unknown"
    source: Source = Source("")
    about: str | None = None
    superlative: Literal["highest", "lowest"] | None = None
    change: bool = False

    def __post_init__(self) -> None:
        if not FACT_ID.fullmatch(self.id):
            raise DataFailure(f"Fact id {self.id!r} must be lower case letters, digits and underscores.")
        filled = [name for name in ("value", "text", "day") if getattr(self, name) is not None]
        wanted = "value" if self.unit in _NUMERIC else "text" if self.unit == "text" else "day"
        if self.status == "unknown":
            if filled:
                raise DataFailure(f"Fact {self.id} is unknown, so it cannot carry a {filled[0]}.")
        elif filled != [wanted]:
            raise DataFailure(f"Fact {self.id} with unit {self.unit} needs exactly a {wanted}, has {filled}.")
        if self.unit == "money" and not self.currency:
            raise DataFailure(f"Fact {self.id} is an amount of money without a currency.")
        names = [comparison.name for comparison in self.comparisons]
        if len(set(names)) != len(names):
            raise DataFailure(f"Fact {self.id} names a comparison twice: {names}.")
        for comparison in self.comparisons:
            if not comparison.follows_from(self.value):
                raise DataFailure(f"Fact {self.id} is not what its comparison {comparison.name!r} says it changed by.")

    @property
    def known(self) -> bool:
        """True where there is a value to publish (stale counts as known, and is shown with its age)."""
        return self.status != "unknown"

    @property
    def numeric(self) -> bool:
        return self.unit in _NUMERIC

    @property
    def primary(self) -> Comparison | None:
        """The first comparison: what `delta` and `delta_pct` mean when no comparison is named."""
        return self.comparisons[0] if self.comparisons else None

    def comparison(self, name: str) -> Comparison | None:
        return next((item for item in self.comparisons if item.name == name), None)

    def favourable(self, delta: Decimal | None) -> bool | None:
        """Whether a change of `delta` is good news; None when neutral, unknown or no change."""
        if not delta or self.direction == "neutral":
            return None
        return (delta > 0) == (self.direction == "up_is_good")


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a series under the label a reader sees (`Oct 2025`, `Amazon`); None is unknown and drawn as a
    gap."""

    label: str
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers of one kind in reading order, as a chart and its appendix show them. All have the unit and the source;
    `tie_out` is that of the worst of them. `change` says that they are changes, shown with their sign."""

    id: str
    label: str
    unit: Unit
    points: tuple[Point, ...]
    currency: str | None = None
    source: Source = Source("")
    tie_out: TieOut = "unknown"
    change: bool = False

    def __post_init__(self) -> None:
        if not FACT_ID.fullmatch(self.id):
            raise DataFailure(f"Series id {self.id!r} must be lower case letters, digits and underscores.")
        if self.unit not in _NUMERIC:
            raise DataFailure(f"Series {self.id} has the unit {self.unit}, which is no number.")
        if self.unit == "money" and not self.currency:
            raise DataFailure(f"Series {self.id} is money without a currency.")
        labels = self.labels
        if len(set(labels)) != len(labels):
            raise DataFailure(f"Series {self.id} has two points of one label.")

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(point.label for point in self.points)

    @property
    def values(self) -> tuple[Decimal | None, ...]:
        return tuple(point.value for point in self.points)

    @property
    def known(self) -> bool:
        """True where at least one point has a value."""
        return any(point.value is not None for point in self.points)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: `texts` are short vendor texts (untrusted, already minimised), `facts` name the
    facts that belong to it, `mark` classifies it (a severity, a status)."""

    texts: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Division:
    """A division of the company: `id` as metrics name their division, `label` as people do."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class SourceSystem:
    """A source the documents rest on: past `stale_after_hours` without a sync it counts as not synced."""

    vendor: str
    label: str
    stale_after_hours: int = 26


@dataclass(frozen=True, slots=True)
class CompanyProfile:
    """Who the document is for: name, IANA time zone of the business day, ISO currency, and, in the order in
    which they are shown, its divisions and sources."""

    name: str
    timezone: str
    currency: str
    divisions: tuple[Division, ...] = ()
    sources: tuple[SourceSystem, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """Everything one document may say. `facts` keeps the order in which they were gathered; `lists` holds the
    rows of repeating things; `notes` are short machine words about the whole (e.g. "empty_warehouse"); `series` are
    for charts."""

    ADDED: ClassVar[frozenset[str]] = frozenset({"series"})
    kind: str
    period: Period
    as_of: datetime
    company: CompanyProfile
    facts: tuple[Fact, ...] = ()
    lists: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()

    def __post_init__(self) -> None:
        ids = [*(fact.id for fact in self.facts), *(series.id for series in self.series)]
        if len(set(ids)) != len(ids):
            raise DataFailure(f"Bundle names a fact or series twice: {sorted({i for i in ids if ids.count(i) > 1})}.")
        known = {fact.id for fact in self.facts}
        for name, rows in self.lists.items():
            for row in rows:
                missing = set(row.facts.values()) - known
                if missing:
                    raise DataFailure(f"List {name} refers to facts the bundle lacks: {sorted(missing)}.")

    @cached_property
    def by_id(self) -> dict[str, Fact]:
        return {fact.id: fact for fact in self.facts}

    def fact(self, fact_id: str) -> Fact:
        """The fact, or `DataFailure` when the bundle has none of that name."""
        try:
            return self.by_id[fact_id]
        except KeyError:
            raise DataFailure(f"The evidence bundle has no fact {fact_id!r}.") from None

    def get(self, fact_id: str) -> Fact | None:
        return self.by_id.get(fact_id)

    def line(self, series_id: str) -> Series | None:
        """The series of that name, if the bundle has one."""
        return next((series for series in self.series if series.id == series_id), None)

    def rows(self, name: str) -> tuple[Row, ...]:
        return self.lists.get(name, ())

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form; `from_json` gives back an equal bundle with the same digest."""
        encoded: dict[str, Any] = encode(self)
        return encoded

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Bundle:
        return decode(cls, dict(data))

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON: the bundle's name in `ops.evidence_bundles`."""
        return digest_of(self)
