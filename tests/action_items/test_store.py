"""Action items: one a subject, carried over until somebody has done it, resting afterwards."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ops_platform.action_items.store import Proposal, assign, item, items, open_items, settle, settled, standing
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Connect

NOW = datetime(2026, 11, 20, 11, 30, tzinfo=UTC)
THURSDAY, FRIDAY = date(2026, 11, 19), date(2026, 11, 20)
Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(warehouse: Connect) -> Iterator[Connection]:
    with warehouse() as opened:
        yield opened


def ask(connection: Connection, *subjects: str, day: date = THURSDAY, due: date = date(2026, 11, 23)) -> int:
    asked = [Proposal(name, "Look into", name.title(), "alert", "sales", "Sales", due) for name in subjects]
    return open_items(connection, asked, day=day, by="narrative_daily", now=NOW, rest_days=7)


def done(connection: Connection, number: int, day: date) -> bool:
    return settle(connection, number, state="done", actor="kim", day=day, now=NOW, note="  asked\n the supplier ")


def events(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute("select event, actor from ops.action_item_events order by id").fetchall()


def test_a_concern_that_comes_again_is_carried_over_and_opens_no_second(connection: Connection) -> None:
    assert ask(connection, "late orders") == 1
    assert ask(connection, "late orders", day=FRIDAY, due=date(2026, 12, 1)) == 0
    (carried,) = standing(connection)
    assert (carried.opened_for, carried.seen_for, carried.due_on) == (THURSDAY, FRIDAY, date(2026, 11, 23))
    assert events(connection) == [("opened", "narrative_daily")]


def test_the_same_narrative_made_again_changes_nothing(connection: Connection) -> None:
    ask(connection, "late orders", "refunds")
    before = standing(connection)
    assert ask(connection, "late orders", "refunds") == 0
    assert standing(connection) == before


def test_what_is_done_is_done_once_by_somebody(connection: Connection) -> None:
    ask(connection, "late orders")
    (open_one,) = standing(connection)
    assert done(connection, open_one.id, FRIDAY)
    assert not done(connection, open_one.id, FRIDAY)
    assert standing(connection) == [] and [each.id for each in settled(connection, FRIDAY, FRIDAY)] == [open_one.id]
    found = item(connection, open_one.id)
    assert (found.state, found.settled_by, found.settled_on, found.note) == (
        "done", "kim", FRIDAY, "asked the supplier",
    )  # fmt: skip
    assert events(connection) == [("opened", "narrative_daily"), ("done", "kim")]


def test_a_subject_rests_after_it_was_settled(connection: Connection) -> None:
    ask(connection, "late orders")
    done(connection, standing(connection)[0].id, FRIDAY)
    assert ask(connection, "late orders", day=FRIDAY) == 0
    assert ask(connection, "late orders", day=date(2026, 11, 26), due=date(2026, 12, 1)) == 0
    assert ask(connection, "late orders", day=date(2026, 11, 27), due=date(2026, 12, 1)) == 1
    assert [each.state for each in items(connection, everything=True)] == ["open", "done"]


def test_what_was_open_on_a_past_day_can_be_told(connection: Connection) -> None:
    ask(connection, "late orders")
    ask(connection, "refunds", day=FRIDAY)
    first = next(each for each in standing(connection) if each.subject == "late orders")
    done(connection, first.id, FRIDAY)
    assert [each.subject for each in standing(connection, THURSDAY)] == ["late orders"]
    assert [each.subject for each in standing(connection, FRIDAY)] == ["refunds"]


def test_an_owner_and_a_day_are_given_by_a_person(connection: Connection) -> None:
    ask(connection, "late orders")
    number = standing(connection)[0].id
    given = assign(connection, number, owner=" kim  lee ", due_on=date(2026, 11, 27), actor="ada", now=NOW)
    assert (given.owner, given.due_on) == ("kim lee", date(2026, 11, 27))
    # The next narrative does not take it away again.
    ask(connection, "late orders", day=FRIDAY)
    assert standing(connection)[0].owner == "kim lee"
    assert [each.owner for each in items(connection, owner="KIM LEE")] == ["kim lee"]
    assert items(connection, owner="sales") == []
    assert [name for name, _ in events(connection)] == ["opened", "assigned", "moved"]


@pytest.mark.parametrize(
    ("owner", "due", "why"), [(" ", None, "needs an owner"), ("kim", date(2026, 11, 1), "before action item")]
)
def test_what_makes_no_sense_is_refused(connection: Connection, owner: str, due: date | None, why: str) -> None:
    ask(connection, "late orders")
    with pytest.raises(DataFailure, match=why):
        assign(connection, standing(connection)[0].id, owner=owner, due_on=due, actor="ada", now=NOW)


def test_what_is_not_there_or_settled_is_said(connection: Connection) -> None:
    with pytest.raises(DataFailure, match="no action item 4711"):
        done(connection, 4711, FRIDAY)
    ask(connection, "late orders")
    number = standing(connection)[0].id
    done(connection, number, FRIDAY)
    with pytest.raises(DataFailure, match="is done"):
        assign(connection, number, owner="kim", due_on=None, actor="ada", now=NOW)


def test_two_narratives_at_once_open_one(warehouse: Connect) -> None:
    with warehouse() as one, warehouse() as other:
        assert ask(one, "late orders") == 1
        one.commit()
        assert ask(other, "late orders") == 0
        other.commit()
        assert len(standing(other)) == 1


def test_the_first_due_stands_first(connection: Connection) -> None:
    ask(connection, "refunds", due=date(2026, 11, 24))
    ask(connection, "late orders", due=date(2026, 11, 20))
    assert [each.subject for each in standing(connection)] == ["late orders", "refunds"]
