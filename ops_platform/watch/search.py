"""Which slices of a table moved apart from the rest: a search over combinations of dimensions.

Belongs here: the search over leaf rows with an actual and an expected value, and what it leaves unexplained. Does not
belong here: reading files or the warehouse (`explain.py`), the arithmetic of the metric tree (`decomposition.py`).

A slice, as `category=Computers&country=Germany`, fixes one or more dimensions. When something happens to a slice, every
leaf in it moves by about the same proportion (the ripple effect). So each leaf's relative change is judged against how
far leaves of its size stray by themselves, learnt from the side of the table that moved less; and a slice is worth
naming when telling its common change describes its leaves so much better than chance that it pays for the words needed
to name it (minimum description length). That one currency weighs a short slice against a long one, a pure one against
a diluted one, one slice against several, and one against none. It is surprise; the size of the effect, which puts the
answer in order, is explanatory power. A slice is a place where the change is found; why it is there, no table says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

# What a look may cost: leaves times combinations of dimensions. Beyond it the search stays shallower.
_BUDGET = 8_000_000
_CANDIDATES = 24  # the best slices of each combination that are weighed against each other
_MANY = 500  # leaves from which chance is learnt a second time
_ROUNDS = 4  # how often the whole table is looked through again without what was found
_STRAYING = 0.25  # the part of a slice's leaves that may not go with it
_SHORT = 5.0  # nats the first slice may fall short of its words: that something moved is why one looks
_MARGIN = 2.0  # nats that a further slice must be worth beyond its words
_NARROWEST = 0.01  # the least spread of relative change within a slice
_SMALLEST_SHIFT = 0.03  # a common change of less is none (of the mean of actual and expected)


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice and what changed in it. `actual`, `expected` and `effect` (actual less expected) are sums over its
    leaves; `share` is the effect over the whole table's, None where that is zero; `own` is the effect of the leaves
    that no slice before it holds; `evidence` is in nats, above zero."""

    pairs: tuple[tuple[str, str], ...]
    actual: float
    expected: float
    effect: float
    own: float
    share: float | None
    shift: float
    leaves: int
    evidence: float

    @property
    def element(self) -> str:
        """As `category=Computers&country=Germany`, dimensions in order of their names."""
        return "&".join(f"{dimension}={value}" for dimension, value in sorted(self.pairs))


@dataclass(frozen=True, slots=True)
class Found:
    """What the search found: slices, the most explaining first, and the change they leave over.

    `unexplained` is the effect of the leaves in no slice, `unexplained_share` its part of `effect` (None where that is
    zero); `depth` is the number of dimensions looked at together; `notes` say what was set aside."""

    slices: tuple[Slice, ...]
    actual: float
    expected: float
    effect: float
    unexplained: float
    unexplained_share: float | None
    depth: int
    leaves: int
    notes: tuple[str, ...] = field(default=())


def search(
    dimensions: Mapping[str, Sequence[str] | NDArray[Any]],
    actual: Floats,
    expected: Floats,
    *,
    depth: int | None = None,
    most: int = 10,
    smallest_share: float = 0.0,
) -> Found:
    """The slices that moved apart from the rest of the table.

    `dimensions` maps a name to one value per row; `actual` and `expected` hold one finite number per row. Rows of the
    same leaf are added up. `depth` limits the dimensions of a slice (default: as many as are affordable, 2 at least);
    `most` limits the answer; a slice whose effect is below `smallest_share` of the whole movement is left out.
    Raises ValueError for lengths that differ and values that are not finite."""
    import numpy as np

    real, forecast = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    if any(len(column) != len(real) for column in dimensions.values()) or len(real) != len(forecast):
        raise ValueError("the columns differ in length")
    if not (np.isfinite(real).all() and np.isfinite(forecast).all()):
        raise ValueError("a value is not finite")
    notes: list[str] = []
    table = _Table.of(dimensions, real, forecast, notes)
    total_actual, total_expected = float(real.sum()), float(forecast.sum())
    reach = _reach(len(table.names), len(table.real), depth)
    if table.names and depth is None and reach < len(table.names):
        notes.append(f"combinations of more than {reach} dimensions were not looked at")
    chosen = _choose(table, reach) if len(table.real) > 1 and table.names else []
    return _answer(table, chosen, total_actual, total_expected, reach, most, smallest_share, notes)


@dataclass(slots=True)
class _Table:
    """Leaves with their codes per dimension, values, relative change and what that is worth under chance."""

    names: list[str]
    values: list[list[str]]
    codes: list[Codes]
    real: Floats
    forecast: Floats
    change: Floats  # (actual - expected) / mean size: from -2 to 2
    size: Floats
    active: NDArray[np.bool_]
    counted: bool  # whether the actual values are counts
    chance: Floats  # log density of the change, were nothing the matter
    measured: Floats  # variance of the change that comes from the leaf's smallness alone
    voice: Floats  # how much the leaf's evidence counts, to 1

    @classmethod
    def of(
        cls,
        dimensions: Mapping[str, Sequence[str] | NDArray[Any]],
        real: Floats,
        forecast: Floats,
        notes: list[str],
    ) -> _Table:
        import numpy as np
        import pandas as pd

        names, values, codes = [], [], []
        for name, column in dimensions.items():
            numbers, unique = pd.factorize(np.asarray(column, dtype=object))
            if len(unique) < 2:
                if len(column):
                    notes.append(f"{name} has one value only and tells nothing apart")
                continue
            names.append(name)
            values.append([str(value) for value in unique])
            codes.append(numbers.astype(np.int64))
        if names and len(real):
            key, groups = _keys(codes, [len(unique) for unique in values])
            if groups < len(real):
                first = np.full(groups, len(real), dtype=np.int64)
                np.minimum.at(first, key, np.arange(len(real)))
                real, forecast = (np.bincount(key, one, groups).astype(float) for one in (real, forecast))
                codes = [column[first] for column in codes]
        size = (np.abs(real) + np.abs(forecast)) / 2
        active = size > 0
        change = np.divide(real - forecast, size, out=np.zeros_like(size), where=active)
        filled = np.zeros((3, len(size)))
        counted = bool(np.all(real == np.round(real)) and float(np.abs(real).max(initial=0)) > 1)
        filled[:, active] = _chance(change[active], size[active], counted)
        return cls(names, values, codes, real, forecast, change, size, active, counted, *filled)


def _keys(codes: Sequence[Codes], sizes: Sequence[int]) -> tuple[Codes, int]:
    """One dense number per row for its values in these dimensions, and how many there may be."""
    import numpy as np

    key = codes[0].copy()
    room = sizes[0]
    for column, count in zip(codes[1:], sizes[1:], strict=True):
        key = key * count + column
        room *= count
        if room > 4 * len(key) + 1000:  # no table for combinations nobody has
            _, key = np.unique(key, return_inverse=True)
            room = int(key.max()) + 1 if len(key) else 0
    return key, room


def _chance(
    change: Floats, size: Floats, counted: bool, learn: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats, Floats]:
    """How leaves stray by themselves: the log density of each change, the variance that smallness brings, and
    the leaf's voice: a leaf so small that it is all or nothing has next to none.

    The side on which less happened is taken for undisturbed and mirrored. The variance of a leaf is
    `bold` + `small` / size: a part in proportion, and a part as of counting (1 at least where values are counts), both
    by likelihood. The shape is a mixture of normal densities of rising width, so that rare large errors of a
    forecast surprise nobody. With `learn`, those leaves are known to be undisturbed: both their sides are learnt from,
    about their own middle."""
    import numpy as np

    if len(change) == 0:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    # The smallest leaves, all or nothing, say little about spread: the larger ones that make up most of the whole do.
    order = np.argsort(-size, kind="stable") if learn is None else np.flatnonzero(learn)[np.argsort(-size[learn])]
    reaching = int(np.searchsorted(np.cumsum(size[order]), 0.95 * size[order].sum())) + 1
    large = order[: max(reaching, min(30, len(order)))]
    middle_change = 0.0 if learn is None else float(np.median(change[large]))
    if learn is None:
        side, of = _quiet_side(change[large], size[large])
    else:
        side, of = np.abs(change[large] - middle_change), size[large]
    moved = side > 0
    if moved.sum() >= 12:
        side, of = side[moved], of[moved]  # a leaf that did not move at all (1 and 1) fits every spread
    if len(side) > 5000:
        step = len(side) // 5000
        side, of = side[::step], of[::step]
    middle = float(np.median(of))
    smalls = [1.0, 1.25, 1.6, 2.0, 3.0, 5.0, 8.0] if counted else [0.0, *(middle * np.geomspace(1e-4, 1, 13))]
    best, bold, small = -math.inf, 0.01, smalls[0]
    for proportion in np.geomspace(1e-5, 1, 31):
        for count in smalls:
            variance = proportion + count / of
            # Student's t with four degrees of freedom; a simpler guess wins against a hardly better one.
            likelihood = float((-0.5 * np.log(variance) - 2.5 * np.log1p(side**2 / (4 * variance))).sum())
            likelihood -= 0.0 if count == smalls[0] else 2.0
            if likelihood > best:
                best, bold, small = likelihood, float(proportion), float(count)
    typical = np.sqrt(bold + small / of)
    relative = side / typical
    widths = 2.0 ** np.arange(-1, max(4, math.ceil(math.log2(1 / math.sqrt(bold + small / middle))) + 1))
    # A little of every width beforehand: what was not seen among few leaves may still happen.
    prior = np.array([0.5, 2.0, 0.5, 0.25, *[0.1] * (len(widths) - 4)])
    weights = prior / prior.sum()
    density = np.exp(-0.5 * (relative[:, None] / widths) ** 2) / widths
    for _ in range(40):
        belonging = density * weights
        belonging /= np.maximum(belonging.sum(axis=1, keepdims=True), 1e-300)
        weights = belonging.sum(axis=0) + prior
        weights /= weights.sum()
    typical = np.sqrt(bold + small / size)
    scaled = (change - middle_change) / typical
    terms = np.log(weights / widths) - 0.5 * (scaled[:, None] / widths) ** 2 - 0.5 * math.log(2 * math.pi)
    top = terms.max(axis=1)
    chance = top + np.log(np.exp(terms - top[:, None]).sum(axis=1)) - np.log(typical)
    whole = np.abs(change) == 2
    if whole.any():
        chance[whole] = _appearing(change, size)[whole]
    return chance, small / size, np.minimum(1.0, 0.5 / typical**2)


def _appearing(change: Floats, size: Floats) -> Floats:
    """How often leaves of about its size come out of nothing, or vanish, as each leaf did: log probabilities."""
    import numpy as np

    # What vanished or appeared has half its size: its neighbours are those of the size it had.
    order = np.argsort(np.where(np.abs(change) == 2, 2 * size, size), kind="stable")
    around = max(10, len(size) // 20)
    often = np.zeros(len(size))
    for extreme in (-2.0, 2.0):
        here = change[order] == extreme
        before = np.concatenate(([0.0], np.cumsum(here)))
        low = np.maximum(np.arange(len(size)) - around, 0)
        high = np.minimum(np.arange(len(size)) + around + 1, len(size))
        often[order] = np.where(here, (before[high] - before[low]) / (high - low), often[order])
    return np.log(np.clip(often, 1e-9, 0.999))


def _quiet_side(change: Floats, size: Floats) -> tuple[Floats, Floats]:
    """The absolute changes of the side, up or down, on which leaves of some size changed less; and their sizes."""
    import numpy as np

    sides = []
    for mask in (change >= 0, change <= 0):
        off, of = np.abs(change[mask]), size[mask]
        enough = len(off) >= max(6, 0.1 * len(change))
        order = np.argsort(off)
        half = np.searchsorted(np.cumsum(of[order]), of.sum() / 2) if len(off) else 0
        sides.append((float(off[order][min(half, len(off) - 1)]) if enough else math.inf, off, of))
    if math.isinf(sides[0][0]) and math.isinf(sides[1][0]):
        return np.abs(change), size
    quiet = min(sides, key=lambda side: side[0])
    return quiet[1], quiet[2]


def _reach(dimensions: int, leaves: int, depth: int | None) -> int:
    """How many dimensions a slice may fix."""
    if depth is not None:
        return max(1, min(depth, dimensions))
    reach, cost = 0, 0
    for level in range(1, dimensions + 1):
        cost += math.comb(dimensions, level) * leaves
        if level > 2 and cost > _BUDGET:
            break
        reach = level
    return reach


@dataclass(slots=True)
class _Cuboid:
    """A combination of dimensions: the group of each leaf, and what naming one of its groups costs, in nats."""

    dims: tuple[int, ...]
    key: Codes
    groups: int
    words: float


@dataclass(slots=True)
class _Candidate:
    cuboid: _Cuboid
    group: int
    evidence: float
    shift: float


def _cuboids(table: _Table, rows: Codes, reach: int, inside: tuple[int, ...] = ()) -> list[_Cuboid]:
    """Every combination of dimensions that goes beyond `inside`, over these rows."""
    import numpy as np

    free = [d for d in range(len(table.names)) if d not in inside]
    made = []
    for level in range(1, reach - len(inside) + 1):
        for more in combinations(free, level):
            key, room = _keys([table.codes[d][rows] for d in more], [len(table.values[d]) for d in more])
            groups = int(np.count_nonzero(np.bincount(key, minlength=room)))
            words = math.log(max(groups, 1)) + math.log(math.comb(len(free), level)) + 0.7 * level
            made.append(_Cuboid(tuple(sorted(inside + more)), key, room, words))
    return made


def _fit(
    key: Codes, groups: int, change: Floats, chance: Floats, measured: Floats, voice: Floats, start: Floats
) -> tuple[Floats, Floats]:
    """For each group, the evidence in nats for one common change and that change.

    A few rounds of expectation and maximisation from `start`, the first belief that a leaf goes with its group."""
    import numpy as np

    belief = start
    whole = np.abs(change) == 2
    count = np.bincount(key, minlength=groups)
    shift = np.zeros(groups)
    spread = np.full(groups, 0.1)
    gain = np.zeros(groups)
    for turn in range(4):
        precision = belief / (measured + spread[key] ** 2)
        total = np.bincount(key, precision, groups)
        shift = np.divide(np.bincount(key, precision * change, groups), total, out=np.zeros(groups), where=total > 0)
        off = change - shift[key]
        weight = np.bincount(key, belief, groups)
        # What is scattered beyond the leaves' own smallness.
        beyond = np.bincount(key, belief * np.maximum(off**2 - measured, 0), groups)
        spread = np.sqrt(np.divide(beyond, weight, out=np.zeros(groups), where=weight > 0))
        spread = np.maximum(spread, _NARROWEST)
        variance = measured + spread[key] ** 2
        going = -0.5 * off**2 / variance + math.log(1 - _STRAYING)
        # Of what appeared or vanished whole, probabilities are compared; of all else, densities.
        going -= np.where(whole, 0.0, 0.5 * np.log(2 * math.pi * variance))
        ratio = going - chance
        stays = math.log(_STRAYING)
        both = np.maximum(ratio, stays) + np.log1p(np.exp(-np.abs(ratio - stays)))
        if turn < 3:
            belief = np.exp(ratio - both)
        else:
            gain = np.bincount(key, voice * both, groups).astype(float)
    # The common change and its spread are told, too, as exactly as they need to be.
    told = np.log(4 * np.sqrt(np.maximum(count, 1)) / np.maximum(spread, _NARROWEST)).clip(min=0) + 1.5
    gain = np.where((count > 0) & (np.abs(shift) >= _SMALLEST_SHIFT), gain - told, -np.inf)
    return gain, shift


def _best(
    cuboids: Sequence[_Cuboid], open_rows: Codes, change: Floats, chance: Floats, measured: Floats, voice: Floats
) -> list[_Candidate]:
    """The best groups of each combination that pay for their words, over the rows still open."""
    import numpy as np

    some = change[open_rows]
    by_chance, by_size, heard = chance[open_rows], measured[open_rows], voice[open_rows]
    strange = 1 - np.exp(np.minimum(by_chance - by_chance.max(initial=-math.inf), 0))
    all_alike = np.ones(len(some))
    found = []
    for cuboid in cuboids:
        key = cuboid.key[open_rows]
        gain, shift = _fit(key, cuboid.groups, some, by_chance, by_size, heard, all_alike)
        other, moved = _fit(key, cuboid.groups, some, by_chance, by_size, heard, strange + 1e-3)
        better = other > gain
        gain, shift = np.where(better, other, gain), np.where(better, moved, shift)
        worth = np.flatnonzero(gain > cuboid.words - _SHORT)
        if len(worth) > _CANDIDATES:
            worth = worth[np.argpartition(-gain[worth], _CANDIDATES)[:_CANDIDATES]]
        found += [_Candidate(cuboid, int(g), float(gain[g] - cuboid.words), float(shift[g])) for g in worth]
    return found


def _greedy(table: _Table, rows: Codes, cuboids: Sequence[_Cuboid], most: int) -> list[tuple[_Candidate, Codes]]:
    """Slices one after another, each the best on what those before it left; with the positions in `rows` it takes."""
    import heapq

    import numpy as np

    leaves = table.change[rows], table.chance[rows], table.measured[rows], table.voice[rows]
    is_open = np.ones(len(rows), dtype=bool)
    taken: list[tuple[_Candidate, Codes]] = []
    for _ in range(_ROUNDS):
        open_rows = np.flatnonzero(is_open)
        if len(open_rows) == 0 or len(taken) >= most:
            break
        pool = _best(cuboids, open_rows, *leaves)
        heap = [(-item.evidence, n, len(taken)) for n, item in enumerate(pool)]
        heapq.heapify(heap)
        before = len(taken)
        while heap and len(taken) < most:
            _, n, since = heapq.heappop(heap)
            item = pool[n]
            inside = np.flatnonzero((item.cuboid.key == item.group) & is_open)
            if since < len(taken):
                # Something was taken since: what is left of it?
                again = _weigh(item.cuboid, inside, *leaves)
                if again is not None:
                    pool[n] = _Candidate(item.cuboid, item.group, *again)
                    heapq.heappush(heap, (-again[0], n, len(taken)))
                continue
            if taken and item.evidence < _MARGIN:
                break
            is_open[inside] = False
            taken.append((item, inside))
        if len(taken) == before:
            break
    return taken


def _weigh(
    cuboid: _Cuboid, inside: Codes, change: Floats, chance: Floats, measured: Floats, voice: Floats
) -> tuple[float, float] | None:
    import numpy as np

    if len(inside) == 0:
        return None
    key = np.zeros(len(inside), dtype=np.int64)
    some = change[inside], chance[inside], measured[inside], voice[inside]
    strange = 1 - np.exp(np.minimum(some[1] - some[1].max(), 0))
    tries = [_fit(key, 1, *some, start) for start in (np.ones(len(inside)), strange + 1e-3)]
    gain, shift = max(((float(g[0]), float(s[0])) for g, s in tries), key=lambda pair: pair[0])
    return (gain - cuboid.words, shift) if gain > cuboid.words - _SHORT else None


def _choose(table: _Table, reach: int) -> list[tuple[_Candidate, Codes]]:
    """The slices that together describe the table in the fewest words."""
    import numpy as np

    rows = np.flatnonzero(table.active)
    if len(rows) < 2:
        return []
    cuboids = _cuboids(table, rows, reach)
    chosen = [(item, rows[inside]) for item, inside in _greedy(table, rows, cuboids, 24)]
    found = [part for item, inside in chosen for part in _split(table, item, inside, reach)]
    return _confirmed(table, rows, found)


def _confirmed(table: _Table, rows: Codes, found: list[tuple[_Candidate, Codes]]) -> list[tuple[_Candidate, Codes]]:
    """Those slices that stand when chance is learnt anew from both sides of all that the strong slices do not hold.

    A forecast's errors are not alike on both sides, and over many leaves the little that the mirrored side is wrong by
    adds up. Small tables have too few leaves to learn anew from."""
    import numpy as np

    if len(rows) < _MANY or len(found) < 2:
        return found
    strongest = max(item.evidence for item, _ in found)
    undisturbed = table.active.copy()
    for item, inside in found:
        if item.evidence > max(20.0, 0.1 * strongest):
            undisturbed[inside] = False
    if undisturbed.sum() < 0.15 * len(rows):
        return found
    leaves = [np.zeros(len(table.size)) for _ in range(3)]
    known = _chance(table.change[rows], table.size[rows], table.counted, undisturbed[rows])
    for column, values in zip(leaves, known, strict=True):
        column[rows] = values
    middle = float(table.change[undisturbed].mean())
    kept = []
    for item, inside in found:
        again = _weigh(item.cuboid, inside, table.change, *leaves)
        if again is None or again[0] < _MARGIN:
            continue
        # Of many leaves the plain mean, too, must lie apart: a shape that fits a little better is no change.
        some = table.change[inside]
        apart = (float(some.mean()) - middle) ** 2 * len(some) / max(2 * float(some.var()), 1e-12)
        if len(some) < 8 or apart >= item.cuboid.words:
            kept.append((item, inside))
    return kept


def _split(table: _Table, item: _Candidate, inside: Codes, reach: int) -> list[tuple[_Candidate, Codes]]:
    """The slice, or finer slices within it where they describe its leaves in fewer words."""
    dims = item.cuboid.dims
    if len(dims) >= reach or len(inside) < 3:
        return [(item, inside)]
    finer = _cuboids(table, inside, reach, dims)
    for cuboid in finer:
        cuboid.words += item.cuboid.words
    parts = _greedy(table, inside, finer, 6)
    if sum(part.evidence for part, _ in parts) > item.evidence:
        return [(part, inside[leaves]) for part, leaves in parts]
    return [(item, inside)]


def _answer(
    table: _Table,
    chosen: Sequence[tuple[_Candidate, Codes]],
    actual: float,
    expected: float,
    reach: int,
    most: int,
    smallest_share: float,
    notes: list[str],
) -> Found:
    import numpy as np

    effect = actual - expected
    movement = float(np.abs(table.real - table.forecast).sum())

    def share(part: float) -> float | None:
        return part / effect if abs(effect) > 1e-12 * max(movement, 1e-300) else None

    slices = []
    for item, inside in chosen:
        dims = item.cuboid.dims
        pairs = tuple((table.names[d], table.values[d][int(table.codes[d][inside[0]])]) for d in dims)
        member = np.all([table.codes[d] == table.codes[d][inside[0]] for d in dims], axis=0)
        real, forecast = float(table.real[member].sum()), float(table.forecast[member].sum())
        own = float((table.real[inside] - table.forecast[inside]).sum())
        if abs(own) < smallest_share * movement:
            continue
        slices.append(
            Slice(
                pairs, real, forecast, real - forecast, own, share(real - forecast), item.shift,
                int((member & table.active).sum()), item.evidence,
            )
        )  # fmt: skip
    slices.sort(key=lambda part: (-abs(part.own), part.element))
    if len(slices) > most:
        notes.append(f"{len(slices) - most} more slices moved apart from the rest, each by less than those told")
    slices = slices[:most]
    covered = np.zeros(len(table.real), dtype=bool)
    for part in slices:
        wanted = dict(part.pairs)
        covered |= np.all(
            [
                column == values.index(wanted[name])
                for name, values, column in zip(table.names, table.values, table.codes, strict=True)
                if name in wanted
            ],
            axis=0,
        )
    left = float((table.real - table.forecast)[~covered].sum())
    return Found(
        tuple(slices), actual, expected, effect, left, share(left), reach, int(table.active.sum()), tuple(notes)
    )
