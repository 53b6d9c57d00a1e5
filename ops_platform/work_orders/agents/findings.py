"""What a reading of the platform found: figures as facts, verdicts as lines; and what every reading needs to make them.

Belongs here: the values and the maker of facts. Does not belong here: any one reading (`readings/`), what the company's
metrics say (`evidence.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.evidence.calendar import Calendar
from ops_platform.evidence.metrics import Warehouse
from ops_platform.evidence.model import Comparison, Fact, Source
from ops_platform.evidence.quoting import minimise
from ops_platform.writing.budget import wall_clock

if TYPE_CHECKING:
    import psycopg

    from ops_platform.documents.model import State
    from ops_platform.evidence.model import CompanyProfile, Direction, Unit
    from ops_platform.fleet import Fleet
    from ops_platform.work_orders.agents.model import Order

LIMIT = "limit"
ABOUT_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Line:
    """One verdict or item: `label` in our words, the `facts` it shows (by id), what it is `about` in somebody
    else's."""

    state: State
    label: str
    facts: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a reading found. `figures` are its key figures, by fact id; `note` is a sentence of ours without numbers."""

    title: str
    facts: tuple[Fact, ...] = ()
    figures: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    note: str = ""


class Reader:
    """What a reading reads with: a connection in the agent's role, the moment, the company, and the order it is for."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        as_of: datetime,
        company: CompanyProfile,
        fleet: Fleet,
        order: Order,
    ) -> None:
        self.connection, self.as_of, self.company, self.fleet, self.order = connection, as_of, company, fleet, order
        # The platform's own records are dated by the machine's clock; the business may stand at an earlier moment.
        self.until = max(as_of, wall_clock())
        self.calendar = Calendar(as_of, ZoneInfo(company.timezone))
        self.warehouse = Warehouse(connection)

    def rows(self, query: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        return self.warehouse.rows(query, params or {})

    def one(self, query: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The single row of the query."""
        (row,) = self.rows(query, params)
        return row

    def fact(
        self,
        fact_id: str,
        label: str,
        unit: Unit,
        value: Decimal | int | None,
        relation: str,
        query: str = "",
        params: Mapping[str, Any] | None = None,
        *,
        direction: Direction = "neutral",
        limit: Decimal | int | None = None,
        limit_label: str = "the limit",
        before: tuple[str, str, Decimal | int | None] | None = None,
        about: str | None = None,
    ) -> Fact:
        """A number of the platform's own records, exact as of now; None is unknown. `before` is an earlier value as
        (name, label, value), `limit` what it is held against."""
        shown = None if value is None else Decimal(value)
        comparisons = []
        if before is not None:
            base = None if before[2] is None else Decimal(before[2])
            comparisons.append(Comparison.between(before[0], before[1], shown, base))
        if limit is not None:
            comparisons.append(Comparison.between(LIMIT, limit_label, shown, Decimal(limit)))
        told = tuple(sorted((name, str(one)) for name, one in (params or {}).items()))
        return Fact(
            id=fact_id, label=label, unit=unit, value=shown, direction=direction,
            currency="USD" if unit == "money" else None, comparisons=tuple(comparisons),
            period=self.calendar.day_period(self.calendar.today), status="unknown" if shown is None else "known",
            fresh_to=self.as_of, source=Source(relation, " ".join(query.split()), told), about=about,
        )  # fmt: skip

    def day(self, fact_id: str, label: str, at: datetime, relation: str) -> Fact:
        """A moment as the company's day."""
        return Fact(
            id=fact_id, label=label, unit="date", day=at.astimezone(self.calendar.zone).date(), fresh_to=self.as_of,
            source=Source(relation),
        )  # fmt: skip


def quoted(text: str, length: int = ABOUT_LENGTH) -> str:
    """Somebody else's words, minimised for a bundle."""
    return minimise(text, length)
