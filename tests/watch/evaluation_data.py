"""Seeded tables with known root causes, for measuring the search: two families whose ranking of methods inverts.

Belongs here: making such tables and scoring answers. Does not belong here: the search.

`many_leaves`: every combination of several dimensions, values spread widely, forecast errors alike on both sides and up
to a quarter of the value; one to three groups of slices of one to all dimensions scaled by a common factor, all one way
(the shape of the public RiskLoc-S set). `monitoring`: failures counted by a few skewed technical dimensions, the
forecast being the mean of the last four minutes, most leaves tiny, one or two slices in trouble to a different degree
in each leaf (the shape of the public RobustSpot set).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.random import Generator


@dataclass(frozen=True)
class Case:
    """A table of dimensions, `real` and `predict`, and the elements that were planted."""

    table: pd.DataFrame
    truth: frozenset[str]


def element(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{dimension}={value}" for dimension, value in sorted(pairs))


def many_leaves(seed: int, sizes: tuple[int, ...] = (10, 12, 10, 8, 5)) -> Case:
    rng = np.random.default_rng(seed)
    names = "abcdefgh"[: len(sizes)]
    grid = np.indices(sizes).reshape(len(sizes), -1)
    table = pd.DataFrame({name: [f"{name}{i + 1}" for i in column] for name, column in zip(names, grid, strict=True)})
    leaves = len(table)
    noise = rng.uniform(0, 0.25)
    value = rng.weibull(rng.uniform(0.5, 1.0), leaves) * 100
    value[rng.random(leaves) < rng.uniform(0, 0.25)] = 0
    off = np.maximum(value * (1 + rng.normal(0, noise, leaves)), 0)
    turned = rng.random(leaves) < 0.5
    real, predict = np.where(turned, off, value), np.where(turned, value, off)
    down = real.sum() <= predict.sum()
    truth: set[str] = set()
    taken: list[dict[int, set[int]]] = []
    for _ in range(rng.integers(1, 4)):
        planted = _plant(rng, sizes, taken)
        if planted is None:
            continue
        dimensions, chosen = planted
        taken.append({d: {values[i] for values in chosen} for i, d in enumerate(dimensions)})
        severity, spread = rng.uniform(0.2, 1.0) + noise, rng.uniform(0, 0.1)
        for values in chosen:
            inside = np.all([grid[d] == v for d, v in zip(dimensions, values, strict=True)], axis=0)
            if not (real[inside] + predict[inside]).any():
                continue  # nothing there that could change
            truth.add(element((names[d], f"{names[d]}{v + 1}") for d, v in zip(dimensions, values, strict=True)))
            factor = np.maximum(1 - rng.normal(severity, spread, inside.sum()), 0)
            if down:
                real[inside] = predict[inside] * factor
            else:
                predict[inside] = real[inside] * factor
    return Case(table.assign(real=real, predict=predict), frozenset(truth))


def _plant(
    rng: Generator, sizes: tuple[int, ...], taken: list[dict[int, set[int]]]
) -> tuple[list[int], list[tuple[int, ...]]] | None:
    """Dimensions and the slices of one group, apart from those taken; None where there is no room."""
    for _ in range(50):
        level = rng.integers(1, len(sizes) + 1)
        dimensions = sorted(int(d) for d in rng.choice(len(sizes), level, replace=False))
        if any(set(dimensions) == set(other) for other in taken):
            continue
        free = [sorted(set(range(sizes[d])) - {v for other in taken for v in other.get(d, ())}) for d in dimensions]
        if not all(free):
            continue
        chosen = {tuple(int(rng.choice(values)) for values in free) for _ in range(rng.integers(1, 4))}
        return dimensions, sorted(chosen)
    return None


def monitoring(seed: int, measure: str = "failures") -> Case:
    """`measure`: failures, successes (both counts), or success_rate (of each leaf, whatever its size)."""
    rng = np.random.default_rng(seed)
    values: dict[str, list[str]] = {
        "bitrate": ["0", "500", "1200", "2000", "4000", "8000"],
        "cdn": ["1", "3", "5", "7", "255"],
        "p2p": ["0", "1"],
    }
    if rng.random() < 0.35:
        values |= {"device": ["adr", "ios", "ipad", "pc", "tv", "web"], "isp": ["x", "y", "z", "other"]}
    names = list(values)
    shares = [rng.permutation(rng.dirichlet(np.full(len(values[name]), 0.7))) + 0.004 for name in names]
    grid = np.indices([len(values[name]) for name in names]).reshape(len(names), -1)
    share = np.prod([part[column] for part, column in zip(shares, grid, strict=True)], axis=0)
    share *= rng.lognormal(0, 0.8, len(share))
    share /= share.sum()
    requests = rng.uniform(2e4, 3e5) * share
    asked = rng.poisson(requests, (5, len(share)))
    rate = np.clip(0.015 * rng.lognormal(0, 0.5, len(share)), 0, 0.3)
    drift = rng.lognormal(0, 0.12)
    history = rng.binomial(asked[:4], np.clip(rng.gamma(20, 1 / 20, (4, len(share))) * rate, 0, 1))
    predict = history.mean(axis=0)
    expected = rate * drift * rng.gamma(20, 1 / 20, len(share))
    truth: set[str] = set()
    slices = 2 if rng.random() < 0.12 else 1
    for _ in range(200):
        level = int(rng.choice([1, 2, 3], p=[0.55, 0.32, 0.13]))
        dimensions = sorted(int(d) for d in rng.choice(len(names), level, replace=False))
        chosen = {tuple(int(rng.integers(len(values[names[d]]))) for d in dimensions) for _ in range(slices)}
        inside = [np.all([grid[d] == v for d, v in zip(dimensions, one, strict=True)], axis=0) for one in chosen]
        # Somebody noticed: the slices failed visibly more, had traffic, and were not nearly everything.
        weight = [float(predict[mask].sum() / max(predict.sum(), 1)) for mask in inside]
        seen = [0.04 < part < 0.7 and mask.sum() > 1 for part, mask in zip(weight, inside, strict=True)]
        if len(chosen) == slices and all(seen):
            break
    else:
        raise ValueError(f"seed {seed}: no slice to plant")
    factor = 1 + rng.uniform(0.6, 8)
    for one, mask in zip(sorted(chosen), inside, strict=True):
        expected[mask] *= np.maximum(1, factor * rng.lognormal(0, 0.35, mask.sum()))
        truth.add(element((names[d], values[names[d]][v]) for d, v in zip(dimensions, one, strict=True)))
    failed = rng.binomial(asked[4], np.clip(expected, 0, 0.95))
    real = failed.astype(float)
    if measure == "successes":
        real, predict = (asked[4] - failed).astype(float), (asked[:4] - history).mean(axis=0)
    elif measure == "success_rate":
        real = 1 - failed / np.maximum(asked[4], 1)
        rates = np.where(asked[:4] > 0, 1 - history / np.maximum(asked[:4], 1), np.nan)
        known = ~np.isnan(rates).all(axis=0)
        predict = np.where(known, np.nansum(rates, axis=0) / np.maximum((~np.isnan(rates)).sum(axis=0), 1), 0)
    table = pd.DataFrame({name: [values[name][i] for i in column] for name, column in zip(names, grid, strict=True)})
    table = table.assign(real=real, predict=predict)[asked[4] > 0]
    return Case(table.sample(frac=1, random_state=seed).reset_index(drop=True), frozenset(truth))


@dataclass
class Score:
    """Counts over cases: F1 is 2 hits / (2 hits + wrong + missed)."""

    hits: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, found: Iterable[str], truth: frozenset[str]) -> None:
        elements = set(found)
        self.hits += len(elements & truth)
        self.wrong += len(elements - truth)
        self.missed += len(truth - elements)

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(2 * self.hits + self.wrong + self.missed, 1)

    @property
    def recall(self) -> float:
        return self.hits / max(self.hits + self.missed, 1)

    @property
    def precision(self) -> float:
        return self.hits / max(self.hits + self.wrong, 1)


def cases(family: str, seeds: Iterable[int]) -> Iterator[Case]:
    for seed in seeds:
        yield many_leaves(seed) if family == "many_leaves" else monitoring(seed, family)
