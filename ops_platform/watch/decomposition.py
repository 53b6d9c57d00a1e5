"""Exact decomposition: how much of a change of a whole each of its parts carries.

Belongs here: the arithmetic for sums, products, ratios and mixes, in exact numbers. Does not belong here: which metric
is made of which (`tree.py`), reading values (`explain.py`).

Every answer adds up to the change to the last digit. Parts of a sum carry their own change. Factors carry the log-mean
Divisia share, L(whole) x ln(after / before) with L(a, b) = (a - b) / ln(a / b), which leaves no interaction over; it
wants positive numbers, so where a factor is zero or negative, appears, disappears or changes sign, they carry their
Shapley value instead: their change averaged over every order in which the factors could have changed. Shares are
rounded to `DIGITS` decimals; what rounding leaves over goes to the part with the largest effect, the first of those
that are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from itertools import permutations

from ops_platform.failures import DataFailure
from ops_platform.watch.tree import Breakdown, Kind

# The metric table rounds quotients to eight decimals; nothing finer is said here.
DIGITS = 8
_EXACT = Context(prec=60)
_ADDING = Context(prec=400)


class Undecidable(DataFailure):
    """The change cannot be taken apart: something it needs is unknown or undefined. The text says what."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one part carries: `effect` in the unit of the whole. `before` and `after` are the part's own values, None
    where it did not exist."""

    part: str
    before: Decimal | None
    after: Decimal | None
    effect: Decimal


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Effects that add up to `after` - `before` exactly. `method` is sum, log_mean or shapley. `unexplained` is what
    the values of the parts do not make up of the whole's change: zero where the identity holds on both sides."""

    before: Decimal
    after: Decimal
    effects: tuple[Effect, ...]
    method: str
    unexplained: Decimal = Decimal(0)

    @property
    def change(self) -> Decimal:
        return _minus(self.after, self.before)


def decompose(
    breakdown: Breakdown,
    before: Mapping[str, Decimal | None],
    after: Mapping[str, Decimal | None],
    whole_before: Decimal | None = None,
    whole_after: Decimal | None = None,
) -> Decomposition:
    """The change of `breakdown.whole` by its parts.

    `before` and `after` hold the parts' values by metric (for `moved_by`: `after` the flows summed over the days since,
    `before` is not read). `whole_before` and `whole_after` are the published values of the whole; without them the
    whole is what its parts make. A difference of at most the rounding of a published quotient goes with the largest
    effect; a larger one is `unexplained`. Raises Undecidable for an unknown part or a division by zero."""
    names = breakdown.names
    if breakdown.kind is Kind.MOVED_BY:
        return _moved(breakdown, after, whole_before, whole_after)
    for side, values in (("before", before), ("after", after)):
        missing = [name for name in names if values.get(name) is None]
        if missing:
            raise Undecidable(f"{_are(missing)} unknown {side}")
    old, new = [Fraction(_known(before[name])) for name in names], [Fraction(_known(after[name])) for name in names]
    if breakdown.kind is Kind.RATIO and (old[1] == 0 or new[1] == 0):
        raise Undecidable(f"{names[1]} is zero: nothing to divide by")
    times = Fraction(breakdown.times)

    if breakdown.kind is Kind.SUM:
        signs = [part.sign for part in breakdown.parts]
        exact: list[Fraction | Decimal] = [sign * (b - a) for sign, a, b in zip(signs, old, new, strict=True)]
        method = "sum"
        made_old, made_new = (sum(s * v for s, v in zip(signs, values, strict=True)) for values in (old, new))
    else:
        powers = [1, -1] if breakdown.kind is Kind.RATIO else [1] * len(names)
        exact, method = attribute(old, new, powers, times)
        made_old, made_new = times * _product(old, powers), times * _product(new, powers)

    said_old = _decimal(Fraction(made_old)) if whole_before is None else whole_before
    said_new = _decimal(Fraction(made_new)) if whole_after is None else whole_after
    change = _minus(said_new, said_old)
    off = (Fraction(said_new) - Fraction(said_old)) - (Fraction(made_new) - Fraction(made_old))
    unexplained = Decimal(0)
    if abs(off) > _tolerance(breakdown, max(abs(Fraction(said_old)), abs(Fraction(said_new)), *map(abs, old + new))):
        unexplained = _decimal(off)
    effects = settle(exact, _minus(change, unexplained))
    return Decomposition(
        said_old, said_new,
        tuple(Effect(n, before[n], after[n], effect) for n, effect in zip(names, effects, strict=True)),
        method, unexplained,
    )  # fmt: skip


def _moved(
    breakdown: Breakdown,
    flows: Mapping[str, Decimal | None],
    before: Decimal | None,
    after: Decimal | None,
) -> Decomposition:
    missing = [name for name in breakdown.names if flows.get(name) is None]
    if missing:
        raise Undecidable(f"{_are(missing)} unknown on a day between")
    if before is None or after is None:
        raise Undecidable(f"{breakdown.whole} is unknown {'before' if before is None else 'after'}")
    exact = [part.sign * Fraction(_known(flows[part.metric])) for part in breakdown.parts]
    change = _minus(after, before)
    off = Fraction(change) - sum(exact)
    unexplained = (
        _decimal(off) if abs(off) > _tolerance(breakdown, max(map(abs, exact), default=Fraction(0))) else Decimal(0)
    )
    effects = settle(exact, _minus(change, unexplained))
    return Decomposition(
        before, after,
        tuple(Effect(n, None, flows[n], effect) for n, effect in zip(breakdown.names, effects, strict=True)),
        "sum", unexplained,
    )  # fmt: skip


def by_value(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> Decomposition:
    """The change of a sum by the values of a dimension; a value on one side only was zero on the other."""
    names = list(dict.fromkeys((*before, *after)))
    effects = [Effect(n, before.get(n), after.get(n), _minus(after.get(n), before.get(n))) for n in names]
    return Decomposition(_sum(before.values()), _sum(after.values()), tuple(effects), "sum")


@dataclass(frozen=True, slots=True)
class MixEffect:
    """What one value of a dimension carries of a ratio's change: by its own `rate`, and by its weight in the `mix`."""

    value: str
    rate: Decimal
    mix: Decimal


def mix_and_rate(
    before: Mapping[str, tuple[Decimal, Decimal]], after: Mapping[str, tuple[Decimal, Decimal]]
) -> tuple[MixEffect, ...]:
    """The change of a ratio by the values of a dimension: (numerator, denominator) of each, before and after.

    rate: the value's own ratio changed, at its mean weight. mix: its weight (its part of the denominator) changed, by
    how far its mean ratio lies from the whole's. Both add up to the change of the whole ratio. A value without a
    denominator on one side has the ratio of the other: all it carries is mix. Raises Undecidable where the whole has
    no denominator."""
    names = list(dict.fromkeys((*before, *after)))
    old, old_total, old_whole = _ratios(before, "before")
    new, new_total, new_whole = _ratios(after, "after")
    middle = (old_whole + new_whole) / 2
    rates, mixes = [], []
    for name in names:
        upper_old, lower_old = old.get(name, (Fraction(0), Fraction(0)))
        upper_new, lower_new = new.get(name, (Fraction(0), Fraction(0)))
        if lower_old or lower_new:
            rate_new = upper_new / lower_new if lower_new else upper_old / lower_old
            rate_old = upper_old / lower_old if lower_old else rate_new
        else:  # it is on neither side
            rate_old = rate_new = middle
        weight_old, weight_new = lower_old / old_total, lower_new / new_total
        rates.append((weight_old + weight_new) / 2 * (rate_new - rate_old))
        mixes.append((weight_new - weight_old) * ((rate_old + rate_new) / 2 - middle))
    settled = settle([*rates, *mixes], _minus(_decimal(new_whole), _decimal(old_whole)))
    return tuple(
        MixEffect(name, rate, mix)
        for name, rate, mix in zip(names, settled[: len(names)], settled[len(names) :], strict=True)
    )


def _ratios(
    values: Mapping[str, tuple[Decimal, Decimal]], side: str
) -> tuple[dict[str, tuple[Fraction, Fraction]], Fraction, Fraction]:
    """The pairs as exact numbers, the whole denominator and the whole ratio."""
    pairs = {name: (Fraction(upper), Fraction(lower)) for name, (upper, lower) in values.items()}
    stray = [name for name, (upper, lower) in pairs.items() if lower == 0 and upper != 0]
    if stray:
        raise Undecidable(f"{', '.join(stray)} has something to divide and nothing to divide by {side}")
    total = sum((lower for _, lower in pairs.values()), Fraction(0))
    if total == 0:
        raise Undecidable(f"nothing to divide by {side}")
    return pairs, total, sum((upper for upper, _ in pairs.values()), Fraction(0)) / total


@dataclass(frozen=True, slots=True)
class PriceVolumeMix:
    """What one value of a dimension carries of a value's change: the whole's volume, its weight, and its price."""

    value: str
    volume: Decimal
    mix: Decimal
    price: Decimal


def price_volume_mix(
    before: Mapping[str, tuple[Decimal, Decimal]], after: Mapping[str, tuple[Decimal, Decimal]]
) -> tuple[PriceVolumeMix, ...]:
    """The change of a sum by the values of a dimension, each as (amount, quantity) before and after.

    The amount of a value is whole quantity x its part of that x amount per quantity; each factor carries what
    `attribute` gives. A value on one side only has that side's price on both. Adds up to the change of the sum.
    Raises Undecidable where the whole quantity is zero or a value has an amount without a quantity."""
    names = list(dict.fromkeys((*before, *after)))
    zero = (Decimal(0), Decimal(0))
    totals = []
    for side, values in (("before", before), ("after", after)):
        stray = [name for name, (amount, quantity) in values.items() if quantity == 0 and amount != 0]
        if stray:
            raise Undecidable(f"{', '.join(stray)} has an amount without a quantity {side}")
        totals.append(sum((Fraction(quantity) for _, quantity in values.values()), Fraction(0)))
        if totals[-1] == 0:
            raise Undecidable(f"no quantity {side}")
    exact: list[Fraction | Decimal] = []
    for name in names:
        (amount_old, count_old), (amount_new, count_new) = (
            tuple(map(Fraction, values.get(name, zero))) for values in (before, after)
        )
        if not count_old and not count_new:
            exact += [Fraction(0)] * 3
            continue
        price_new = amount_new / count_new if count_new else amount_old / count_old
        price_old = amount_old / count_old if count_old else price_new
        carried, _ = attribute(
            [totals[0], count_old / totals[0], price_old], [totals[1], count_new / totals[1], price_new], [1, 1, 1]
        )
        exact += carried
    change = _minus(_sum(pair[0] for pair in after.values()), _sum(pair[0] for pair in before.values()))
    settled = settle(exact, change)
    return tuple(PriceVolumeMix(name, *settled[3 * n : 3 * n + 3]) for n, name in enumerate(names))


def attribute(
    before: Sequence[Fraction], after: Sequence[Fraction], powers: Sequence[int], times: Fraction = Fraction(1)
) -> tuple[list[Fraction | Decimal], str]:
    """What each factor carries of the change of `times` x the product of factors to their powers (1 or -1), and how it
    was found: log_mean, or shapley where a factor is not positive. Not rounded."""
    if all(value > 0 for value in (*before, *after)) and times > 0:
        old, new = (_big(times * _product(values, powers)) for values in (before, after))
        ratio = _EXACT.ln(_EXACT.divide(new, old)) if new != old else Decimal(0)
        mean = _EXACT.divide(_EXACT.subtract(new, old), ratio) if ratio else old
        carried: list[Fraction | Decimal] = []
        for a, b, power in zip(before, after, powers, strict=True):
            log = _EXACT.ln(_EXACT.divide(_big(b), _big(a))) if a != b else Decimal(0)
            carried.append(_EXACT.multiply(mean, power * log))
        return carried, "log_mean"
    shares = [Fraction(0)] * len(before)
    orders = list(permutations(range(len(before))))
    for order in orders:
        values = list(before)
        reached = _product(values, powers)
        for n in order:
            values[n] = after[n]
            now = _product(values, powers)
            shares[n] += now - reached
            reached = now
    return [times * share / len(orders) for share in shares], "shapley"


def settle(exact: Sequence[Fraction | Decimal], total: Decimal) -> list[Decimal]:
    """The numbers rounded to `DIGITS` decimals so that they add up to `total` exactly: what is left over goes to the
    largest in size, the first of equals. Nothing to settle gives nothing."""
    rounded = [_decimal(value if isinstance(value, Fraction) else Fraction(value)) for value in exact]
    if not rounded:
        return []
    left = _minus(total, _sum(rounded))
    largest = max(range(len(rounded)), key=lambda n: (abs(rounded[n]), -n))
    rounded[largest] = _tidy(_ADDING.add(rounded[largest], left))
    return rounded


def scale(effects: Sequence[Decimal], total: Decimal) -> list[Decimal]:
    """Effects brought to another unit in which they add up to `total`, in proportion; all zero where they cancel."""
    whole = sum((Fraction(effect) for effect in effects), Fraction(0))
    if whole == 0:
        return [Decimal(0)] * len(effects) if not total else settle([Fraction(0)] * len(effects), total)
    return settle([Fraction(effect) * Fraction(total) / whole for effect in effects], total)


def _tolerance(breakdown: Breakdown, largest: Fraction) -> Fraction:
    """How far a whole may lie from what its parts make: nothing for sums; for quotients and products the rounding of
    the published numbers, half a unit of the eighth decimal, times what it is multiplied by."""
    if breakdown.kind in (Kind.SUM, Kind.MOVED_BY):
        return Fraction(0)
    return Fraction(2, 10**DIGITS) * max(largest, Fraction(1)) * max(Fraction(breakdown.times), Fraction(1))


def _are(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _product(values: Sequence[Fraction], powers: Sequence[int]) -> Fraction:
    made = Fraction(1)
    for value, power in zip(values, powers, strict=True):
        made = made * value if power == 1 else made / value
    return made


def _big(value: Fraction) -> Decimal:
    return _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _decimal(value: Fraction) -> Decimal:
    """The number rounded half even to `DIGITS` decimals, without idle zeros."""
    return _tidy(_ADDING.divide(Decimal(round(value * 10**DIGITS)), Decimal(10**DIGITS)))


def _tidy(value: Decimal) -> Decimal:
    if value == value.to_integral_value(context=_ADDING):
        return value.quantize(Decimal(1), context=_ADDING)
    return value.normalize(_ADDING)


def _minus(after: Decimal | None, before: Decimal | None) -> Decimal:
    return _tidy(_ADDING.subtract(after or Decimal(0), before or Decimal(0)))


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = _ADDING.add(total, value)
    return _tidy(total)


def _known(value: Decimal | None) -> Decimal:
    if value is None or not value.is_finite():
        raise Undecidable(f"{value} is no known value")
    return value
