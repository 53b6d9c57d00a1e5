"""What a board pack is told besides the warehouse's metrics: alerts, actions, the last pack, configuration.

Belongs here: the values that pass it in. Does not belong here: reading them (`assets/board_pack.py`), what becomes of
them (`evidence.board_pack`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from ops_platform.evidence.model import Bundle
    from ops_platform.watch.tree import MetricTree


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An incident that is open: what it is called, how loud, since when, of which division."""

    label: str
    severity: str
    since: date
    division: str | None = None


@dataclass(frozen=True, slots=True)
class OpenAction:
    """Something somebody took on: what, who (a role or division), until when, since when."""

    text: str
    owner: str
    due: date | None = None


@dataclass(frozen=True)
class PackContext:
    """None is unknown, except that without `previous` there is no last pack.

    `scorecard` and `decisions` as `fleet.yaml` has them; `previous` is the evidence of the last pack and `published`
    the facts whose numbers it showed; `hours_saved` and `infrastructure_cost` are of the month. `unproven_since` is set
    when the newest build did not pass its tests: no number of the warehouse is then published."""

    scorecard: Mapping[str, Sequence[str]] = field(default_factory=dict)
    decisions: Mapping[str, str] = field(default_factory=dict)
    fiscal_year_starts: int = 1
    alerts: Sequence[OpenAlert] | None = None
    actions: Sequence[OpenAction] | None = None
    previous: Bundle | None = None
    published: frozenset[str] = frozenset()
    hours_saved: Decimal | None = None
    infrastructure_cost: Decimal | None = None
    unproven_since: datetime | None = None
    tree: MetricTree | None = None
