"""The fleet's health: the published formula by hand, exact shares of every change, and what unknown does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_platform.failures import ConfigurationError
from ops_platform.fleet.health import FACTORS, Reading, Score, Weight, Weights, band_of, score_of, weights_on

D = Decimal
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
WEIGHTS = weights_on(date(2026, 11, 20))
KNOWN = st.decimals(0, 1, places=4)


def known(**values: str) -> dict[str, Reading]:
    return {name: Reading.exact(D(value), name) for name, value in values.items()}


def scored(*looks: dict[str, Reading]) -> list[Score]:
    scores: list[Score] = []
    for number, readings in enumerate(looks):
        scores.append(score_of(readings, WEIGHTS, NOON + number * HALF_HOUR, scores[-1] if scores else None))
    return scores


def test_the_weights_are_those_published() -> None:
    assert {each.factor: each.points for each in WEIGHTS.factors} == {
        "uptime": 25, "completion": 25, "freshness": 20, "errors": 15, "tokens": 15,
    }  # fmt: skip


def test_by_hand() -> None:
    (score,) = scored(known(uptime="0.96", completion="0.9", freshness="0.5", errors="0.8", tokens="1"))
    # 24 + 22.5 + 10 + 12 + 15
    assert score.score == D("83.5") == score.low == score.high
    assert (score.band, score.coverage, score.change) == ("fair", 1, None)


@pytest.mark.parametrize(
    ("score", "band"),
    [("100", "healthy"), ("90", "healthy"), ("89.999", "fair"), ("70", "fair"), ("69.99", "poor"), ("50", "poor"),
     ("49.9", "critical"), ("0", "critical")],
)  # fmt: skip
def test_bands(score: str, band: str) -> None:
    assert band_of(D(score)) == band


def test_an_unknown_factor_moves_nothing_and_widens_the_band() -> None:
    everything = known(uptime="1", completion="1", freshness="0.5", errors="1", tokens="1")
    first, second, third = scored(
        everything, {**everything, "freshness": Reading(None, detail="no answer")}, {**everything}
    )
    assert first.score == second.score == third.score == 90
    assert (second.low, second.high) == (80, 100)
    assert second.coverage == D("0.8")
    part = next(part for part in second.parts if part.factor == "freshness")
    assert not part.known and part.unknown_since == second.at and part.attainment == D("0.5")
    assert (third.low, third.high) == (90, 90)


def test_what_was_never_known_shares_its_weight_out() -> None:
    (score,) = scored(known(uptime="1", completion="0.5"))
    # 25 and 25 become 50 and 50.
    assert score.score == 75
    assert (score.low, score.high) == (D("37.5"), D("87.5"))


def test_nothing_known_is_no_score() -> None:
    (score,) = scored({})
    assert score.score is None and score.band == "unknown" and (score.low, score.high) == (0, 100)
    (_, after) = scored({}, known(uptime="1"))
    assert after.score == 100 and after.change is None


def test_partly_unknown_bounds() -> None:
    half = Reading(D("0.8"), D("0.4"), D("0.9"))
    (score,) = scored({**known(completion="1", freshness="1", errors="1", tokens="1"), "uptime": half})
    assert (score.score, score.low, score.high) == (95, 85, D("97.5"))


@given(st.lists(st.dictionaries(st.sampled_from(FACTORS), st.none() | KNOWN), min_size=2, max_size=6))
def test_changes_of_the_factors_add_up_to_the_change_of_the_score(looks: list[dict[str, Decimal | None]]) -> None:
    readings = [
        {name: Reading(None) if value is None else Reading.exact(value, "") for name, value in look.items()}
        for look in looks
    ]
    for score in scored(*readings):
        if score.score is None:
            continue
        assert sum(part.contribution for part in score.parts) == score.score
        assert sum(part.weight for part in score.parts) == 100
        assert 0 <= score.score <= 100
        if score.change is not None:
            assert sum(part.change or 0 for part in score.parts) == score.change


@given(st.dictionaries(st.sampled_from(FACTORS), KNOWN, min_size=5, max_size=5))
def test_the_formula_where_everything_is_known(values: dict[str, Decimal]) -> None:
    (score,) = scored({name: Reading.exact(value, "") for name, value in values.items()})
    points = {"uptime": 25, "completion": 25, "freshness": 20, "errors": 15, "tokens": 15}
    assert score.score == sum(points[name] * value for name, value in values.items())


def test_a_new_version_of_the_weights_is_accounted_for() -> None:
    (before,) = scored(known(uptime="1", completion="1", freshness="1", errors="1", tokens="0"))
    other = Weights(2, (Weight("uptime", "Uptime", D(60)), Weight("completion", "Task completion", D(40))))
    after = score_of(known(uptime="0.5", completion="1"), other, NOON + HALF_HOUR, before)
    assert before.score == 85 and after.score == 70
    assert sum(part.change or 0 for part in after.parts) == after.change == -15


def test_weights_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    head = "version,valid_from,factor,label,weight\n"
    (tmp_path / "short.csv").write_text(f"{head}1,2000-01-01,uptime,Uptime,99\n", encoding="utf-8")
    (tmp_path / "wrong.csv").write_text(f"{head}1,2000-01-01,uptme,Uptime,100\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="do not add up to 100"):
        weights_on(date(2026, 1, 1), tmp_path / "short.csv")
    with pytest.raises(ConfigurationError, match="no factor uptme"):
        weights_on(date(2026, 1, 1), tmp_path / "wrong.csv")


def test_the_version_of_the_day_holds(tmp_path: Path) -> None:
    file = tmp_path / "two.csv"
    file.write_text(
        "version,valid_from,factor,label,weight\n1,2000-01-01,uptime,Uptime,100\n2,2026-12-01,errors,Errors,100\n",
        encoding="utf-8",
    )
    assert weights_on(date(2026, 11, 30), file).version == 1
    assert weights_on(date(2026, 12, 1), file).version == 2
