"""What is planted on purpose, and when: the answers a detector is later held against.

Belongs here: the plan of incidents, on fixed dates that depend on the seed and never on the clock. Does not
belong here: their execution (`trade.py`, `stock.py`) and the ledger entries (`generate.py`).

Kinds: `channel_drop` (one channel's orders fall to a factor), `demand_spike` (one SKU sells a multiple),
`stock_out` (a top SKU loses its stock and new goods wait for the end), `refund_spike` (a bad batch comes back),
`late_wave` (a warehouse stops shipping), `erp_gap` (orders never reach the ERP), `erp_late` (they reach it days
later), `erp_double` (posted twice), `price_error` (one SKU on sale at a tenth of its
price), `supply_hold` (no purchase orders for a SKU).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sandbox.company.catalogue import FIRST_DAY, NEWARK, RENO
from sandbox.company.chance import stream

KINDS = (
    "channel_drop", "demand_spike", "stock_out", "refund_spike", "late_wave", "erp_gap", "erp_late", "erp_double",
    "price_error", "supply_hold",
)  # fmt: skip
_DEALT = KINDS[:-1]

_TOP = ("NB-BUDP-BLK", "NB-ARC1-BLK", "NB-PW10-BLK", "NB-CBLC-1M", "NB-DRFM-BLK", "NB-GN65-US", "NB-WAVE-40",
        "NB-CAM4-BLK", "NB-HALO-WHT", "NB-BUDL-BLK")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """One planned incident. `sku`, `channel`, `location_id` as its kind needs; `size` is its factor, rate or days."""

    id: int
    kind: str
    start: date
    end: date
    size: float
    sku: str | None = None
    channel: str | None = None
    location_id: int | None = None

    def on(self, day: date) -> bool:
        return self.start <= day <= self.end


# The three weeks before the usual clock are set by hand, so that a first look always has something to show.
_SET_MONTH = (2026, 11)


_HOLDS = (
    Plan(1, "supply_hold", date(2025, 8, 4), date(2025, 11, 2), 0.0, sku="NB-HUB8-MID"),
    Plan(2, "supply_hold", date(2026, 9, 14), date(2026, 12, 6), 0.0, sku="NB-KEYL-US"),
    Plan(3, "supply_hold", date(2026, 8, 10), date(2026, 12, 6), 0.0, sku="NB-BUDL-WHT"),
)
"""Nothing is ordered while a dispute with the supplier lasts: the SKU sells down with no goods on the way."""


def _set_plans(number: int) -> list[Plan]:
    def day(d: int) -> date:
        return date(2026, 11, d)

    return [
        Plan(number + 1, "channel_drop", day(8), day(11), 0.30, channel="amazon"),
        Plan(number + 2, "late_wave", day(9), day(10), 13.0, location_id=RENO.id),
        Plan(number + 3, "refund_spike", day(13), day(15), 0.5, sku="NB-DRFT-BLK"),
        Plan(number + 4, "stock_out", day(15), day(25), 0.0, sku="NB-ARC1-BLK"),
        Plan(number + 5, "erp_gap", day(17), day(17), 0.22),
        Plan(number + 6, "erp_double", day(18), day(18), 1.0),
    ]


def plan_incidents(seed: int, last: date) -> tuple[Plan, ...]:
    """Every incident that starts not later than `last`: two or three a month from the second month on."""
    plans: list[Plan] = list(_HOLDS)
    year, month = FIRST_DAY.year, FIRST_DAY.month + 1
    # A deck dealt in turn, not independent draws: every kind comes round within a few months.
    deck = list(_DEALT)
    stream(seed, "incident-deck", 0).shuffle(deck)
    dealt = 0
    while (year, month) <= (last.year, last.month):
        number = (year * 12 + month) * 10
        if (year, month) == _SET_MONTH:
            plans.extend(_set_plans(number))
        else:
            rng = stream(seed, "incident", f"{year}-{month}")
            for place in range(rng.choice((2, 2, 3))):
                kind = deck[dealt % len(deck)]
                dealt += 1
                start = date(year, month, min(24, 2 + place * 9 + rng.randint(0, 6)))
                plans.append(_plan(number + place, kind, start, rng.random(), rng.random()))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return tuple(plan for plan in plans if plan.start <= last)


def _plan(number: int, kind: str, start: date, a: float, b: float) -> Plan:
    sku = _TOP[int(a * len(_TOP))]

    def until(days: int) -> date:
        return start + timedelta(days=days - 1)

    match kind:
        case "channel_drop":
            return Plan(
                number, kind, start, until(3 + int(b * 3)), 0.25 + 0.25 * a, channel="amazon" if b < 0.6 else "web"
            )
        case "demand_spike":
            return Plan(number, kind, start, until(2 + int(b * 2)), 5.0 + 3 * b, sku=sku)
        case "stock_out":
            return Plan(number, kind, start, until(7 + int(b * 6)), 0.0, sku=sku)
        case "refund_spike":
            return Plan(number, kind, start, until(3), 0.45 + 0.2 * b, sku=sku)
        case "late_wave":
            return Plan(number, kind, start, until(2), 7.0 + int(b * 5), location_id=NEWARK.id if a < 0.5 else RENO.id)
        case "erp_gap":
            return Plan(number, kind, start, start, 0.15 + 0.2 * b)
        case "erp_late":
            return Plan(number, kind, start, until(1 + int(b * 2)), 3.0)
        case "erp_double":
            return Plan(number, kind, start, start, 1.0 + int(b * 3))
        case "price_error":
            return Plan(number, kind, start, start, 0.1, sku=sku)
    raise ValueError(f"unknown incident kind: {kind}")
