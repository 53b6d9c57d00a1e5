"""The few signs every channel shares, so that a document looks like itself everywhere.

Belongs here: the marks of a status line and the score bar. Does not belong here: anything a channel may differ in.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

BAR_CELLS = 10
MARKS = {"ok": "✓", "attention": "⚠", "unknown": "◌", "info": "•"}


def bar(fraction: Decimal | None, cells: int = BAR_CELLS) -> str:
    """`▰▰▰▰▰▰▰▰▱▱`; dots when unknown. Never full below 1 nor empty above 0, so that rounding cannot mislead."""
    if fraction is None:
        return "┈" * cells
    clamped = min(max(fraction, Decimal(0)), Decimal(1))
    filled = int((clamped * cells).to_integral_value(rounding=ROUND_HALF_UP))
    if 0 < clamped < 1:
        filled = min(max(filled, 1), cells - 1)
    return "▰" * filled + "▱" * (cells - filled)
