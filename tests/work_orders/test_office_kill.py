"""SIGKILL at every named point between an issue and its answer: each issue handled once, nothing lost.

The oracle is GitHub itself: the sandbox's own record of what our account did there.
"""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from ops_platform.settings import PROJECT_ROOT
from ops_platform.work_orders import coordinator
from ops_platform.work_orders.model import Phase
from tests import killed
from tests.database.fresh_database import dsn_of
from tests.work_orders.office_victim import life
from tests.work_orders.office_world import World

ROOM = PROJECT_ROOT / "ops_platform" / "work_orders"
#: On the way of an order, in the order in which they are reached. Others are the ladder's and the deliveries'.
POINTS = (
    "work_orders.issue_seen", "work_orders.received", "work_orders.claimed", "work_orders.taken_up",
    "work_orders.answered", "work_orders.staged", "work_orders.effect_intended", "work_orders.effect_done",
    "work_orders.effect_noted", "work_orders.finished", "work_orders.posted",
)  # fmt: skip
killed.preload("ops_platform.work_orders.coordinator", "tests.work_orders.office_world", "psycopg")


def test_every_point_on_the_way_is_tried() -> None:
    named = killed.points_in(ROOM.glob("*.py"))
    assert set(POINTS) <= named


def lives(here: World, point: str) -> int | None:
    """A first process that is killed at `point`, then as many as it takes."""
    dsn, environment = dsn_of(here.connect), here.sandbox.environment()
    ended = killed.ended(killed.start(life, dsn, environment, here.clock().isoformat(), point))
    for _ in range(6):
        here.clock.pass_(minutes=5)
        assert killed.ended(killed.start(life, dsn, environment, here.clock().isoformat(), None)) == 0
        if all(work.phase in (Phase.DONE, Phase.ANSWERED) for work in here.orders()) and here.orders():
            break
    return ended


def check(here: World, done: int, asked: int) -> None:
    """`done` is an issue of P2, `asked` one of P1."""
    assert here.order(done).phase is Phase.DONE, here.order(done).reason
    assert here.order(asked).phase is Phase.ANSWERED
    for number, closed in ((done, True), (asked, False)):
        bodies = [comment["body"] for comment in here.comments(number)]
        assert len(bodies) == 2, bodies
        assert sum("Cash is enough." in body for body in bodies) == 1
        kinds = Counter(entry["kind"] for entry in here.effects(number))
        assert kinds["comment"] == 2
        assert kinds["close_issue"] == (1 if closed else 0), kinds
        assert here.look(number)["state"] == ("closed" if closed else "open")
    assert "status/done" in here.look(done)["labels"]
    assert {"status/review", "manager/pending"} <= set(here.look(asked)["labels"])
    assert here.rows("select count(*) from ops.approvals where kind = 'work_order'") == [(1,)]
    assert here.rows("select count(*) from ops.work_effects where state in ('staged', 'intended')") == [(0,)]
    told = here.rows("select step from ops.work_notices where recipient = 'dana' and told order by step")
    assert told == [("ended",), ("started",)]


#: Where most could go wrong; the others are tried by `make test-all`.
FEW = ("work_orders.staged", "work_orders.effect_done")


@pytest.mark.parametrize(
    "point", [point if point in FEW else pytest.param(point, marks=pytest.mark.slow) for point in POINTS]
)
def test_a_kill_loses_and_doubles_nothing(here: World, point: str) -> None:
    done = here.issue("Late orders", "operations/monitoring")
    asked = here.issue("Margin fell", "finance/analysis", "priority/P1")
    assert lives(here, point) == -signal.SIGKILL
    check(here, done, asked)
    # Whichever attempt made the answer that was posted, a yes to it closes the order.
    here.approved(asked)
    coordinator.turn(here.office)
    assert here.order(asked).phase is Phase.DONE
    assert here.look(asked)["state"] == "closed"


@pytest.mark.slow
@pytest.mark.parametrize("hit", range(2, 14))
@pytest.mark.parametrize("point", [point for point in POINTS if "effect" in point])
def test_a_kill_at_each_effect(here: World, point: str, hit: int) -> None:
    done = here.issue("Late orders", "operations/monitoring")
    asked = here.issue("Margin fell", "finance/analysis", "priority/P1")
    lives(here, f"{point}@{hit}")
    check(here, done, asked)
