"""Seeded chance: every draw comes from a stream named by (seed, purpose, day), never from shared state.

Belongs here: the streams and the few distributions the generator draws from. Because a day's stream depends
on nothing but its name, moving the clock forward adds days and changes none that were drawn before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from random import Random


def stream(seed: int, purpose: str, day: date | int | str) -> Random:
    """A generator of its own for one purpose and day (or key)."""
    key = day.toordinal() if isinstance(day, date) else day
    return Random(f"{seed}|{purpose}|{key}")


def poisson(rng: Random, mean: float) -> int:
    """A Poisson draw; by normal approximation above 40, where the difference does not show."""
    if mean <= 0:
        return 0
    if mean > 40:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def cumulative(weights: Sequence[float]) -> list[float]:
    """Running sums scaled to end at 1, for `bisect`."""
    total, running, sums = sum(weights), 0.0, []
    for weight in weights:
        running += weight
        sums.append(running / total)
    sums[-1] = 1.0
    return sums


_money: dict[int, Decimal] = {}


def money(cents: int) -> Decimal:
    """Cents to a two-decimal amount; equal amounts share one object."""
    amount = _money.get(cents)
    if amount is None:
        amount = _money[cents] = Decimal(cents).scaleb(-2)
    return amount


def split_cents(total: int, weights: Sequence[int]) -> list[int]:
    """Shares of `total` in proportion to `weights` that sum to it exactly (largest remainder)."""
    whole = sum(weights)
    if whole == 0 or total == 0:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    missing = total - sum(shares)
    if missing:
        order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
        for i in order[:missing]:
            shares[i] += 1
    return shares
