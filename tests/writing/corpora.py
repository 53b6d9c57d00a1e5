"""Evidence of every kind that is written about, in as many shapes as anybody asks for.

Belongs here: bundles of pulses, of narratives of the day, the week and the month, and of board packs, each from a
number that makes it again. Does not belong here: what is done to them (`mutations.py`, `test_generated.py`).

A pack is built by its own builder from a small company's months with every figure moved at random; pulses and
narratives are the bundles of their builders with every figure moved.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.model import Bundle, Comparison, Fact
from tests.documents.test_narrative_document import week
from tests.evidence.board_company import SQL, build
from tests.evidence.bundles import HOSTILE, morning
from tests.writing.test_narrative_rules import made

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

Pack = Callable[[int], Bundle]
_FACTORS = tuple(map(Decimal, ("0", "0.4", "0.7", "0.88", "0.97", "1", "1.004", "1.03", "1.12", "1.4", "2.5", "40")))
# What may be unknown, and what may not have tied out, in each hundred.
_UNKNOWN, _STALE, _LOOSE = 10, 5, 8


def pulse(seed: int) -> Bundle:
    """A morning with other figures: ups, downs and nothings mixed, some unknown, old or untied, some absent, and other
    people's words of the worst sort."""
    dice = random.Random(f"pulse {seed}")
    base = morning()
    needed = {name for rows in base.lists.values() for row in rows for name in row.facts.values()}
    facts = [_moved(fact, dice) for fact in base.facts if fact.id in needed or dice.random() > 0.1]
    lists = dict(base.lists)
    lists["messages"] = tuple(
        replace(row, texts={**row.texts, "text": dice.choice(HOSTILE), "partner": dice.choice(HOSTILE)})
        for row in base.rows("messages")
    )
    return replace(base, facts=tuple(facts), lists=lists)


def narrative(seed: int) -> Bundle:
    """A day, a week or a month: two of three made from nothing, the third the written week with other figures."""
    if seed % 3:
        return made(seed)
    dice = random.Random(f"narrative {seed}")
    base = week(about=dice.choice(HOSTILE) or "Late orders", channel=dice.choice(("amazon", "web", "<b>")))
    return replace(base, facts=tuple(_moved(fact, dice) for fact in base.facts))


def _moved(fact: Fact, dice: random.Random) -> Fact:
    """The fact with another figure and what follows from it."""
    roll = dice.randrange(100)
    if not fact.numeric:
        return fact
    if roll < _UNKNOWN and not fact.change:
        since = dice.choice((None, datetime(2026, 11, 18, 3, 0, tzinfo=UTC), datetime(2025, 10, 1, 12, 0, tzinfo=UTC)))
        bases = tuple(Comparison.between(held.name, held.label, None, held.value) for held in fact.comparisons)
        return replace(fact, value=None, status="unknown", unknown_since=since, comparisons=bases)
    value = _other(fact.value if fact.value is not None else Decimal(dice.choice((3, 47, 1200))), fact, dice)
    bases = tuple(
        Comparison.between(
            held.name, held.label, value, dice.choice((held.value, held.value, value, _other(held.value, fact, dice)))
        )
        for held in fact.comparisons
    )
    status: Any = "stale" if roll < _UNKNOWN + _STALE else "known"
    loose = dice.randrange(100) < _LOOSE
    return replace(
        fact, value=value, comparisons=bases, status=status, unknown_since=None,
        tie_out="mismatched" if loose else fact.tie_out,
    )  # fmt: skip


def _other(number: Decimal | None, fact: Fact, dice: random.Random) -> Any:
    if number is None:
        return None
    step = Decimal(1) if fact.unit == "count" else Decimal("0.01")
    if fact.unit == "score":
        return min((number * dice.choice(_FACTORS)).quantize(step), Decimal(100))
    if fact.change and not number * dice.choice(_FACTORS[1:]):
        return number
    return (number * dice.choice(_FACTORS[1 if fact.change else 0 :])).quantize(step)


# Packs -------------------------------------------------------------------------------------------------------


@contextmanager
def packs(home: Path) -> Iterator[Pack]:
    """A function from a number to a pack, on a database of its own under the server at `home`."""
    import psycopg

    from ops_platform.database.server import running_server

    address, name = running_server(home), f"packs_{random.SystemRandom().randrange(10**9)}"
    with psycopg.connect(address.url("postgres"), autocommit=True) as maintenance:
        maintenance.execute(f"create database {name}".encode())
        try:
            with psycopg.connect(address.url(name), options="-c timezone=UTC") as connection:
                connection.execute(SQL.encode())
                connection.commit()
                yield lambda seed: _pack(connection, seed)
        finally:
            maintenance.execute(f"drop database {name} with (force)".encode())


_MOVE = """
update metrics.fct_metric_daily as daily
set value = round(daily.value * moved.factor, 2), numerator = round(daily.numerator * moved.factor, 2),
    tie_out = case when moved.loose then 'mismatched' else daily.tie_out end,
    fresh_to = daily.fresh_to - moved.late
from unnest(%s::text[], %s::date[], %s::numeric[], %s::boolean[], %s::interval[])
    as moved (metric_id, month, factor, loose, late)
where daily.metric_id = moved.metric_id and date_trunc('month', daily.date)::date = moved.month
"""


def _pack(connection: psycopg.Connection[Any], seed: int) -> Bundle:
    """The pack of a company whose every metric had other months."""
    dice = random.Random(f"pack {seed}")
    rows = connection.execute(
        "select distinct metric_id, date_trunc('month', date)::date from metrics.fct_metric_daily order by 1, 2"
    ).fetchall()
    moved = [
        (
            metric, month, dice.choice(_FACTORS[:-1]) * Decimal(dice.randrange(80, 120)) / 100,
            dice.randrange(1000) < 8, timedelta(days=30) if dice.randrange(1000) < 5 else timedelta(0),
        )
        for metric, month in rows
    ]  # fmt: skip
    connection.execute(_MOVE.encode(), [list(column) for column in zip(*moved, strict=True)])
    gone = dice.sample(sorted({metric for metric, _ in rows}), dice.randrange(4))
    connection.execute("delete from metrics.fct_metric_daily where metric_id = any(%s) and date >= %s",
                       (gone, datetime(2026, dice.randrange(1, 11), 1).date()))  # fmt: skip
    connection.execute(
        "update metrics.dim_metric set target = round(target * %s, 2) where target is not null",
        (dice.choice(_FACTORS),),
    )
    bundle = build(connection)
    connection.rollback()
    return bundle
