"""Figures of a tool as facts: with unit, source, freshness and tie-out, unknown where the data are too old.

Belongs here: what every tool of the warehouse needs to make a number publishable. Does not belong here: which numbers
(the tools), how one is written (`documents.claims`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.evidence.calendar import Calendar
from ops_platform.evidence.combining import PeriodReader
from ops_platform.evidence.metrics import METRIC_TABLE, Warehouse, finite
from ops_platform.evidence.model import Comparison, Fact, Source
from ops_platform.fleet import get_fleet
from ops_platform.fleet.profile import company_profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops_platform.evidence.model import CompanyProfile, Direction, Period, TieOut, Unit
    from ops_platform.evidence.spans import Span
    from ops_platform.playbooks.tools import StepContext

LIMIT = "limit"
_STANDING = """
select min(cursors.fresh_to), count(*), array_agg(distinct runs.id) filter (where runs.id is not null),
    bool_or(ties.mismatched), bool_and(ties.matched)
from unnest(%(vendors)s::text[], %(streams)s::text[]) as wanted (vendor, stream)
join ops.cursors as cursors on cursors.vendor = wanted.vendor and cursors.stream = wanted.stream
left join lateral (
    select max(sync_runs.id) as id from ops.sync_runs
    where sync_runs.vendor = wanted.vendor and sync_runs.stream = wanted.stream and sync_runs.status = 'succeeded'
        and sync_runs.started_at <= %(as_of)s
) as runs on true
left join lateral (
    select bool_or(tie_outs.status = 'mismatched') as mismatched, bool_and(tie_outs.status = 'matched') as matched
    from ops.tie_outs
    where tie_outs.vendor = wanted.vendor and tie_outs.stream = wanted.stream and tie_outs.day > %(today)s - 8
) as ties on true
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the sources of a figure can be trusted. `known` is false where one of them was never loaded or is older
    than it may be; then `since` is the moment up to which it was whole."""

    known: bool
    fresh_to: datetime | None
    since: datetime | None
    tie_out: TieOut
    sync_ids: tuple[int, ...]
    stale: bool


class Figures:
    """Makes facts for one tool's answer."""

    def __init__(self, context: StepContext) -> None:
        self.context = context
        self.company: CompanyProfile = company_profile(get_fleet())
        self.zone = ZoneInfo(self.company.timezone)
        self.calendar = Calendar(context.as_of, self.zone)
        self._warehouse = Warehouse(context.connection)

    def rows(self, query: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._warehouse.rows(query, params)

    def one(self, query: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The single row of the query."""
        (row,) = self.rows(query, params)
        return row

    def standing(self, *sources: str) -> Standing:
        """How the sources (`vendor.stream`) stand as of the tool's moment."""
        vendors, streams = zip(*(source.split(".") for source in sources), strict=True)
        row = self.context.connection.execute(
            _STANDING,
            {"vendors": list(vendors), "streams": list(streams), "as_of": self.context.as_of,
             "today": self.context.today},
        ).fetchone()  # fmt: skip
        assert row is not None
        fresh_to, count, runs, mismatched, matched = row
        limits = {source.vendor: source.stale_after_hours for source in self.company.sources}
        longest = timedelta(hours=min(limits.get(vendor, 26) for vendor in vendors))
        known = count == len(sources) and fresh_to is not None and self.context.as_of - fresh_to <= longest
        ties: TieOut = "mismatched" if mismatched else "matched" if matched else "unknown"
        stale = known and fresh_to < self.calendar.start_of(self.context.today)
        return Standing(known, fresh_to, None if known else fresh_to, ties, tuple(sorted(runs or ())), stale)

    def fact(
        self,
        fact_id: str,
        label: str,
        unit: Unit,
        value: Decimal | int | None,
        standing: Standing | None,
        relation: str,
        query: str = "",
        params: Mapping[str, Any] | None = None,
        *,
        direction: Direction = "neutral",
        period: Period | None = None,
        limit: Decimal | int | None = None,
        limit_label: str = "the limit",
        before: tuple[str, str, Decimal | None] | None = None,
        change: bool = False,
        about: str | None = None,
    ) -> Fact:
        """A number as a fact. Unknown where `value` is None or its sources are; `limit` is what it is held against,
        `before` an earlier value as (name, label, value)."""
        shown = None if value is None or (standing is not None and not standing.known) else Decimal(value)
        comparisons = []
        if before is not None:
            comparisons.append(Comparison.between(before[0], before[1], shown, before[2]))
        if limit is not None:
            comparisons.append(Comparison.between(LIMIT, limit_label, shown, Decimal(limit)))
        told = tuple(sorted((name, str(one)) for name, one in (params or {}).items()))
        source = Source(relation, " ".join(query.split()), told, standing.sync_ids if standing is not None else ())
        return Fact(
            id=fact_id, label=label, unit=unit, value=shown, period=period, direction=direction,
            currency=self.company.currency if unit == "money" else None, comparisons=tuple(comparisons),
            status="unknown" if shown is None else "stale" if standing is not None and standing.stale else "known",
            unknown_since=standing.since if standing is not None and shown is None else None,
            fresh_to=standing.fresh_to if standing is not None else self.context.as_of,
            tie_out=standing.tie_out if standing is not None else "unknown", source=source, change=change, about=about,
        )  # fmt: skip

    def metrics(self, span: Span, names: tuple[str, ...], dimensions: tuple[str, ...] = ("all",)) -> Metrics:
        """The published metrics over a span of whole days."""
        self._warehouse.probe((METRIC_TABLE, "metrics.dim_metric", "ops.sync_runs"))
        reader = PeriodReader(self._warehouse, self.calendar, self.company, span, dimensions=dimensions)
        return Metrics(reader, names)


class Metrics:
    """Published metrics over a span: their facts, and their values before."""

    def __init__(self, reader: PeriodReader, names: tuple[str, ...]) -> None:
        self._reader = reader
        found = {}
        for name in names:
            metric = reader.metrics.get(name)
            fact = reader.fact(metric) if metric is not None else None
            if fact is not None:
                found[name] = fact
        self.facts = found

    def value(self, name: str) -> Decimal | None:
        fact = self.facts.get(name)
        return None if fact is None else fact.value

    def before(self, name: str) -> Decimal | None:
        """The value of the span before."""
        metric = self._reader.metrics.get(name)
        return None if metric is None else self._reader.combined(metric, "before").value

    def parts(self, name: str, dimension: str) -> dict[str, Decimal]:
        """The values of a dimension over the span."""
        return dict(self._reader.parts(name, dimension))


def share(part: Decimal | int | None, whole: Decimal | int | None) -> Decimal | None:
    """A fraction of one to eight places; None where either is unknown or the whole is nothing."""
    if part is None or whole is None or not whole:
        return None
    return finite((Decimal(part) / Decimal(whole)).quantize(Decimal("0.00000001")))


def growth(now: Decimal | None, before: Decimal | None) -> Decimal | None:
    """The change as a fraction of what was before; None where that cannot be told."""
    return None if now is None or not before else share(now - before, abs(before))
