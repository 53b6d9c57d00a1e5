"""The rule-based writer's narratives, over evidence of every sort: always publishable, never silent about a concern."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.documents.claims import fill
from ops_platform.documents.kinds import compose
from ops_platform.documents.model import plain
from ops_platform.evidence.model import Bundle, Comparison, Fact, Row, Source
from ops_platform.evidence.spans import TIERS, comparison_names, span_of
from ops_platform.failures import DataFailure
from ops_platform.writing.asking import system_prompt
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import check
from ops_platform.writing.draft import Draft
from ops_platform.writing.rules import RulesWriter
from tests.evidence.narrative_warehouse import COMPANY

DAY = date(2026, 11, 19)
LABELS = (
    "Net sales", "Orders", "Late orders", "Average order value", "Refund rate", "Orders known to e-mail", "MRR",
    "Issue cycle time", "Subscribers lost", "Key SKUs out of stock", "Keywords in the top ten", "Sales cycle",
    "90-day customer value", "Shipped within 24 h", "Spend without conversion", "ERP less shop",
    "Tickets per 100 orders",
)  # fmt: skip
UNITS = ("money", "count", "ratio", "days", "hours", "score")
SEEDS = 40


def made(seed: int) -> Bundle:
    """A narrative's evidence of any tier with figures of any size, sign and gap."""
    dice = random.Random(seed)
    span = span_of(dice.choice(TIERS), DAY - timedelta(days=40 * dice.randrange(3)))
    against = list(comparison_names(span).values())
    labels = dice.sample(LABELS, dice.randint(2, 9))

    def number(unit: str) -> Decimal:
        size = Decimal(dice.choice((0, 1, 2, 7, 40, 999, 1000, 123456)))
        value = size / 100 if unit == "ratio" else size + Decimal(dice.choice(("0", "0.5", "0.004")))
        return -value if dice.random() < 0.1 else value

    facts, points = [], []
    for label in labels:
        unit: Any = dice.choice(UNITS)
        value = None if dice.random() < 0.15 else number(unit)
        direction: Any = dice.choice(("up_is_good", "down_is_good"))
        bases = [
            (name, text, dice.choice((number(unit), value, None)) if value is not None else None)
            for name, text, _ in against
        ]
        compared = [Comparison.between(name, text, value, base) for name, text, base in bases]
        if dice.random() < 0.5:
            compared.append(Comparison.between("target", "target", value, number(unit)))
        fact_id = "f_" + "".join(c if c.isalnum() else "_" for c in label.lower())
        since = datetime(2026, 11, 3, 5, tzinfo=UTC) if dice.random() < 0.7 else None
        facts.append(
            Fact(
                id=fact_id, label=label, unit=unit, value=value, currency="USD" if unit == "money" else None,
                period=span.period, comparisons=tuple(compared), direction=direction,
                status="unknown" if value is None else "known", unknown_since=since if value is None else None,
                tie_out=dice.choice(("matched", "mismatched", "unknown")), source=Source("metrics.fct_metric_daily"),
            )
        )  # fmt: skip
        why = "unknown" if value is None else dice.choice(("breached", "target", "change"))
        named = "target" if why == "target" and compared[-1].name == "target" else compared[0].name
        texts = {"subject": f"metric:{fact_id}:all:all", "label": label, "why": why, "against": named, "division": "x"}
        points.append(Row(texts, {"figure": fact_id}, "attention"))
    half = len(points) // 2
    lists = {
        "lead": tuple(Row({}, {"figure": each.id}) for each in facts[: dice.randint(0, 2)]),
        "concerns": tuple(points[:half]), "highlights": tuple(points[half:]),
    }  # fmt: skip
    now = datetime(2026, 12, 1, 12, tzinfo=UTC)
    return Bundle(f"narrative_{span.tier}", span.period, now, COMPANY, tuple(facts), lists)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_the_evidence_the_draft_may_be_published(seed: int) -> None:
    bundle = made(seed)
    brief = brief_for(bundle)
    draft = RulesWriter().write(bundle, brief)
    assert check(draft, bundle, brief) == []
    # Every concern has a sentence, and the document shows each of them.
    text = plain(compose(bundle, draft).summary)
    assert text
    for slot in brief.slots:
        assert slot.name in draft.slots, slot.name


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_direction_is_the_numbers_own(seed: int) -> None:
    """Read again from the finished words: up and above only where the change is above zero."""
    bundle = made(seed)
    for name, text in RulesWriter().write(bundle, brief_for(bundle)).slots.items():
        if name == "lead":
            continue
        shown = plain(fill(text, bundle))
        rows = bundle.rows(name.rpartition("_")[0] + "s")
        fact = bundle.fact(rows[int(name.rpartition("_")[2]) - 1].facts["figure"])
        moves = [c.delta for c in fact.comparisons if c.delta and c.label in shown]
        if " up " in shown or " above " in shown:
            assert any(delta > 0 for delta in moves), shown
        if " down " in shown or " below " in shown:
            assert any(delta < 0 for delta in moves), shown


def test_a_kind_nobody_knows_is_no_document() -> None:
    stranger = replace(made(0), kind="horoscope")
    with pytest.raises(DataFailure, match="no writing brief"):
        brief_for(stranger)
    with pytest.raises(DataFailure, match="no rules"):
        RulesWriter().write(stranger, replace(brief_for(made(0)), kind="horoscope"))
    with pytest.raises(DataFailure, match="no layout"):
        compose(stranger, Draft())


def test_days_weeks_and_months_share_a_prompt_and_its_cache() -> None:
    kinds = {made(seed).kind: brief_for(made(seed)).kind for seed in range(SEEDS)}
    assert kinds == {"narrative_daily": "narrative", "narrative_weekly": "narrative", "narrative_monthly": "narrative"}
    assert "{{c:" in system_prompt("narrative")
