"""Evidence of every kind that is written about, in as many shapes as anybody asks for.

Belongs here: bundles of pulses, of narratives of the day, the week and the month, of playbooks' reports, of answers to
work orders and of board packs, each from a number that makes it again. Does not belong here: what is done to them
(`mutations.py`, `test_generated.py`).

A pack is built by its own builder from a small company's months with every figure moved at random, a playbook's report
by its builder from sections of any figures; pulses and narratives are the bundles of their builders with every figure
moved.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ops_platform.database.migrations import migrate
from ops_platform.evidence.metrics import METRIC_TABLE, Warehouse
from ops_platform.evidence.model import Bundle, Comparison, Fact, Row
from ops_platform.evidence.second_reading import read_again
from ops_platform.evidence.spans import TIERS, comparison_names
from ops_platform.playbooks.reporting import Action, Line, Section, bundle_of
from ops_platform.playbooks.tools import StepContext
from tests.documents.test_narrative_document import week
from tests.evidence.board_company import AS_OF, SQL, build
from tests.evidence.bundles import HOSTILE, morning
from tests.evidence.narrative_warehouse import filled, surveyed
from tests.writing.test_narrative_rules import DAY, made

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


def playbook_report(seed: int) -> Bundle:
    """A playbook's report over sections of any figures: verdicts held against limits, what is to be done, a step that
    was skipped, names of the worst sort."""
    dice = random.Random(f"playbook {seed}")
    base = made(seed)
    facts = [_limited(_short(fact), dice) for fact in base.facts]
    cut = dice.randint(1, len(facts))
    parts: dict[str, Section | None] = {"first_look": _section("First look", facts[:cut], dice)}
    if facts[cut:]:
        parts["second_look"] = _section("A closer look", facts[cut:], dice)
    if dice.random() < 0.3:
        parts["ask_the_factory"] = None
    context = StepContext(
        connection=cast("Any", None), execution_id=seed, playbook="morning_look", playbook_name="Morning look",
        version=1, step="report", attempt=1, key=f"morning_look:{seed}", as_of=base.as_of, today=base.as_of.date(),
        zone="UTC", deadline=base.as_of + timedelta(hours=1), variables={}, results={}, statuses={}, dry_run=False,
        log=lambda line: None, spend=lambda tokens: None, variant_of=lambda unit: None, once=lambda *given: None,
        connect=cast("Any", None),
    )  # fmt: skip
    return bundle_of("Morning look", "morning_look", parts, base.company, context)


def _short(fact: Fact) -> Fact:
    """The fact under the shorter id that a report gives its own figures."""
    return replace(fact, id=fact.id.removeprefix("f_")[:60]) if fact.id[2:3].isalpha() else fact


def _limited(fact: Fact, dice: random.Random) -> Fact:
    """Some facts are held against a limit, as those of verdicts are."""
    if dice.random() < 0.5 or fact.value is None:
        return fact
    bound = Comparison.between("limit", "the limit", fact.value, _other(fact.value, fact, dice))
    return replace(fact, comparisons=(*fact.comparisons, bound))


def _section(title: str, facts: list[Fact], dice: random.Random) -> Section:
    states: Any = ("ok", "attention", "unknown", "info")
    lines = tuple(
        Line("unknown" if not fact.known else dice.choice(states), f"{fact.label} as it should be", (fact.id,),
             dice.choice(HOSTILE))
        for fact in facts[: dice.randint(0, len(facts))]
    )  # fmt: skip
    actions = tuple(
        Action(f"metric:{fact.id}", "Look at the figure", dice.choice(("watch", "alert", "critical")), "Supply Chain",
               dice.randint(1, 9), dice.choice(HOSTILE), (fact.id,))
        for fact in facts[: dice.randint(0, 2)]
    )  # fmt: skip
    return Section(title, tuple(facts), tuple(fact.id for fact in facts), lines, actions)


def work_answer(seed: int) -> Bundle:
    """The answer to a work order: what was asked about with its parts and how the watch found it, verdicts, readings of
    the platform, documents cited, in the lists of `work_orders.agents.evidence`."""
    dice = random.Random(f"answer {seed}")
    base = made(seed)
    facts = [_limited(fact, dice) for fact in base.facts]
    asked, rest = facts[: dice.randint(0, 2)], facts[2:]
    rows, more, lists = [], [], {}
    for fact in asked:
        parts = [replace(_moved(fact, dice), id=f"{fact.id}_part_{n}", label=f"{fact.label}, part", about=name)
                 for n, name in enumerate(("web", "amazon"), 1)]  # fmt: skip
        more += parts
        lists[f"parts_{fact.id}"] = tuple(Row({"name": str(part.about)}, {"figure": part.id}) for part in parts)
        texts = {"metric": fact.id, "label": fact.label, "dimension": "channel"}
        rows.append(Row(texts, {"figure": fact.id}))
        if fact.value is not None:
            low, high = (
                replace(
                    fact, id=f"{fact.id}_{end}", label=f"Expected {end} end", comparisons=(), value=fact.value + step
                )
                for end, step in (("low", Decimal(-7)), ("high", Decimal(-2)))
            )
            more += [low, high]
            ends = {"value": fact.id, "expected_low": low.id, "expected_high": high.id}
            judged = Row({"label": fact.label, "day": "on the last day"}, ends, dice.choice(("ok", "attention")))
            lists["judged"] = (*lists.get("judged", ()), judged)
    checks = [
        Row(
            {"label": f"{fact.label} within its limit", "do": "Look at the figure", "owner": "Supply Chain",
             "due_days": "2", "severity": dice.choice(("watch", "alert", "critical"))},
            {"figure": fact.id}, "unknown" if not fact.known else dice.choice(("ok", "attention")),
        )
        for fact in rest[: dice.randint(0, len(rest))]
    ]  # fmt: skip
    reading = Row({"name": "sources", "title": "Sources", "note": "" if seed % 2 else "Read as they stand."})
    order = Row({"number": str(100 + seed), "title": dice.choice(HOSTILE), "agent": "Sales agent", "id": "sales",
                 "priority": "2", "repository": "northbeam/operations"})  # fmt: skip
    lists |= {
        "order": (order,), "head": (Row({"title": "Sales agent", "over": "week"}),), "sections": (),
        "asked": tuple(rows), "asked_over": (Row({"label": base.period.label}),), "checks": tuple(checks),
        "readings": (reading,), "reading_figures_sources": tuple(Row({}, {"figure": fact.id}) for fact in rest[-2:]),
        "reading_lines_sources": tuple(
            Row({"label": "Read", "about": dice.choice(HOSTILE)}, {"figure_0": fact.id}, "info") for fact in rest[-1:]
        ),
    }  # fmt: skip
    return Bundle("work_answer:sales", base.period, base.as_of, base.company, (*facts, *more), lists)


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
    with _database(home) as connection:
        connection.execute(SQL.encode())
        connection.commit()

        def pack(seed: int) -> Bundle:
            _moved_company(connection, random.Random(f"pack {seed}"))
            bundle = build(connection)
            connection.rollback()
            return bundle

        yield pack


@contextmanager
def _database(home: Path) -> Iterator[psycopg.Connection[Any]]:
    import psycopg

    from ops_platform.database.server import running_server

    address, name = running_server(home), f"packs_{random.SystemRandom().randrange(10**9)}"
    with psycopg.connect(address.url("postgres"), autocommit=True) as maintenance:
        maintenance.execute(f"create database {name}".encode())
        try:
            with psycopg.connect(address.url(name), options="-c timezone=UTC") as connection:
                yield connection
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


def _moved_company(connection: psycopg.Connection[Any], dice: random.Random) -> None:
    """Other months for every metric, in the connection's open transaction."""
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


# With the warehouse they were read from ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Built:
    """Evidence beside the warehouse it was built from: `again` reads a fact a second time, as builders do before they
    let one go."""

    bundle: Bundle
    again: Callable[[Fact], Fact]


def built(home: Path, each: int) -> Iterator[Built]:
    """So many packs, and days, weeks and months in review, each while the rows it was built from are there."""
    with _database(home) as connection:
        connection.execute(SQL.encode())
        connection.commit()
        for seed in range(each):
            _moved_company(connection, random.Random(f"built pack {seed}"))
            yield Built(build(connection), partial(_again, connection, {}))
            connection.rollback()
    with _database(home) as connection:
        migrate(connection)
        filled(connection)
        for seed in range(each):
            connection.execute(_MOVE_DAYS, {"seed": seed})
            tier = TIERS[seed % len(TIERS)]
            found = surveyed(connection, tier, DAY - timedelta(days={"daily": 0, "weekly": 7}.get(tier, 31)))
            spans = {name: (of.start, of.end) for name, _, of in comparison_names(found.span).values()}
            yield Built(found.bundle([], [], most_actions=8), partial(_again, connection, spans))
            connection.rollback()


def _again(connection: psycopg.Connection[Any], spans: dict[str, tuple[date, date]], fact: Fact) -> Fact:
    warehouse = Warehouse(connection)
    warehouse.probe((METRIC_TABLE, "metrics.dim_metric"))
    (kept,), _ = read_again(warehouse, [fact], AS_OF, "USD", spans)
    return kept


# Every day of every metric by a factor of its own, the same for the same seed.
_MOVE_DAYS = b"""
update metrics.fct_metric_daily
set value = round(value * factor, 2), numerator = round(numerator * factor, 2)
from (
    select ctid as place, 0.4 + (hashtext(metric_id || date || %(seed)s::text) %% 1000 + 1000) / 1000.0 as factor
    from metrics.fct_metric_daily
) as moved
where fct_metric_daily.ctid = moved.place
"""
