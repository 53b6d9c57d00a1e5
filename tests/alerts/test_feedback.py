"""Useful or noise: counted per metric, and an edit suggested, never made."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ops_platform.alerts.actions import Action, Request, act
from ops_platform.alerts.feedback import Precision, precision
from tests.alerts.scenes import DAY, MORNING, fleet, signal, turn


def incidents(connect: Any, name: str, sizes: list[str], kind: str = "metric", first: int = 0) -> None:
    """One incident a size, each over before the next begins."""
    day = first
    for size in sizes:
        turn(connect, signal(name, day=day, money=size, kind=kind), at=day)
        for quiet in (1, 2):
            turn(connect, signal(name, "clear", day + quiet, kind=kind), at=day + quiet)
        day += 10


def rate(connect: Any, number: int, verdict: Action, actor: str = "kim") -> None:
    with connect() as connection:
        request = Request(verdict, actor, "cli", f"{number} {verdict} {actor}", alert_id=number)
        act(connection, request, MORNING, fleet=fleet())


def measured(connect: Any, at: int = 60) -> dict[str, Precision]:
    with connect() as connection:
        return {one.name: one for one in precision(connection, MORNING + at * DAY, fleet().alerts)}


def test_precision_is_useful_over_rated(desk: Any) -> None:
    incidents(desk, "net_sales", ["-4000"] * 3)
    rate(desk, 1, Action.USEFUL)
    rate(desk, 2, Action.NOISE)
    rate(desk, 2, Action.USEFUL)  # changed their mind
    found = measured(desk)["net_sales"]
    assert (found.alerts, found.rated, found.useful, found.noise) == (3, 2, 2, 0)
    assert (found.precision, found.suggestion) == (Decimal(1), None)
    rate(desk, 3, Action.NOISE)
    rate(desk, 3, Action.NOISE, "lee")
    rate(desk, 3, Action.USEFUL, "max")
    assert measured(desk)["net_sales"].precision == Decimal(2) / 3
    assert measured(desk, at=400) == {}  # of the policy's days only


def test_nobody_has_rated_it(desk: Any) -> None:
    incidents(desk, "net_sales", ["-4000"])
    assert measured(desk)["net_sales"].precision is None


def test_a_metric_that_cries_wolf_gets_a_suggestion_and_nothing_is_changed(desk: Any) -> None:
    incidents(desk, "net_sales", ["-110", "-520", "-640", "-1234", "-9000"])
    for number in (1, 2, 3, 4):
        rate(desk, number, Action.NOISE)
    rate(desk, 5, Action.USEFUL)
    suggestion = measured(desk)["net_sales"].suggestion
    assert suggestion is not None
    assert "4 of 5 rated alerts were noise" in suggestion
    assert "`minimum_effect: 640`" in suggestion  # 110, 520 and 640 of the four would not have come
    assert "for a person to edit" in suggestion
    assert "net_sales.yml" in suggestion


def test_a_rule_that_cries_wolf_is_asked_to_last_longer(desk: Any) -> None:
    incidents(desk, "stock", ["-1"] * 4, kind="threshold")
    for number in (1, 2, 3, 4):
        rate(desk, number, Action.NOISE)
    suggestion = measured(desk)["stock"].suggestion
    assert suggestion is not None
    assert "alert_rules" in suggestion
    assert "`threshold:stock: { open: 2, of: 2, resolve: 2, clear_below: 0.9, look: moment }`" in suggestion
