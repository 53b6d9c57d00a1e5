"""One rule decides what needs attention; each line of the table was decided by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.evidence.judgement import judge
from ops_platform.evidence.metrics import Metric
from tests.evidence.bundles import EVE, WEEK, fact

TARGET = ("target", "target")


@pytest.mark.parametrize(
    ("unit", "direction", "value", "bases", "floor", "state"),
    [
        # Against a target: worse by more than the minimum effect.
        ("count", "down_is_good", "4", [(*TARGET, "0")], "3", "attention"),
        ("count", "down_is_good", "3", [(*TARGET, "0")], "3", "ok"),
        ("count", "down_is_good", "1", [(*TARGET, "0")], None, "attention"),
        ("ratio", "up_is_good", "0.97", [(*TARGET, "1")], "0.02", "attention"),
        ("ratio", "up_is_good", "0.985", [(*TARGET, "1")], "0.02", "ok"),
        ("ratio", "up_is_good", "1.3", [(*TARGET, "1")], "0.02", "ok"),
        # Without one: a quarter worse than the week before, and by the minimum effect.
        ("money", "up_is_good", "700", [(*WEEK, "1000")], "250", "attention"),
        ("money", "up_is_good", "800", [(*WEEK, "1000")], "250", "ok"),
        ("money", "up_is_good", "700", [(*WEEK, "1000")], "500", "ok"),
        ("money", "up_is_good", "700", [(*WEEK, "1000")], None, "ok"),
        ("money", "up_is_good", "1700", [(*WEEK, "1000")], "250", "ok"),
        ("money", "up_is_good", "700", [(*WEEK, None)], "250", "ok"),
        ("count", "down_is_good", "20", [(*EVE, "0")], "10", "attention"),
        ("count", "down_is_good", "5", [(*EVE, "0")], "10", "ok"),
        # Neutral metrics are shown, never flagged.
        ("money", "neutral", "900", [(*TARGET, "0")], "50", "ok"),
        ("count", "up_is_good", None, [(*WEEK, "10")], "1", "unknown"),
    ],
)
def test_verdict(unit: Any, direction: Any, value: str | None, bases: list[Any], floor: str | None, state: str) -> None:
    subject = fact("metric", "Metric", unit, value, *bases, direction=direction)
    metric = Metric("metric", "Metric", unit, direction, minimum_effect=Decimal(floor) if floor else None)
    assert judge(subject, metric).state == state


def test_the_weight_counts_minimum_effects_and_names_what_decided() -> None:
    subject = fact("metric", "Metric", "money", "500", (*WEEK, "1000"))
    metric = Metric("metric", "Metric", "money", "up_is_good", minimum_effect=Decimal(200))
    verdict = judge(subject, metric)
    assert (verdict.against, verdict.weight) == ("same_weekday", Decimal("2.5"))


def test_stale_is_judged_like_known() -> None:
    subject = replace(fact("metric", "Metric", "count", "9", (*TARGET, "0"), direction="down_is_good"), status="stale")
    assert judge(subject, Metric("metric", "Metric", "count", "down_is_good")).state == "attention"
