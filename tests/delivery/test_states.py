"""The table of transitions: what it promises, checked on the table itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ops_platform.database
from ops_platform.delivery.states import DECISIONS, TRANSITIONS, Event, IllegalTransitionError, State, after


def test_nothing_leaves_sent() -> None:
    ways = {(event, to) for (state, event), to in TRANSITIONS.items() if state is State.SENT}
    assert ways == {(Event.SUPERSEDED, State.SENT)}


def test_an_unclear_message_is_posted_again_only_after_somebody_looked() -> None:
    """From a state in which it may be at the vendor, the only ways back to pending are a look or a person."""
    back = {
        event
        for (state, event), to in TRANSITIONS.items()
        if to is State.PENDING and state in (State.AMBIGUOUS, State.HELD)
    }
    assert back == {Event.ABSENT, Event.RESEND}
    assert after(State.SENDING, Event.UNCLEAR) is State.AMBIGUOUS
    assert after(State.SENDING, Event.ABANDONED) is State.AMBIGUOUS


def test_posting_starts_from_pending_alone() -> None:
    assert {state for (state, event) in TRANSITIONS if event is Event.CLAIMED} == {State.PENDING}
    into = {state for (state, _), to in TRANSITIONS.items() if to is State.SENDING and state is not State.SENDING}
    assert into == {State.PENDING}


def test_every_unsent_state_can_still_get_there() -> None:
    reachable = {State.SENT}
    while True:
        more = {state for (state, _), to in TRANSITIONS.items() if to in reachable} | reachable
        if more == reachable:
            break
        reachable = more
    assert reachable == set(State)


def test_every_event_is_used_and_people_decide_only_on_settled_states() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event)
    decided = {state for (state, event) in TRANSITIONS if event in DECISIONS}
    assert decided == {State.HELD, State.FAILED}


def test_what_is_not_in_the_table_is_refused() -> None:
    for state in State:
        for event in Event:
            if (state, event) not in TRANSITIONS:
                with pytest.raises(IllegalTransitionError, match=state.value):
                    after(state, event)


def test_the_database_knows_the_same_states() -> None:
    migrations = Path(ops_platform.database.__file__).parent / "migrations"
    sql = "".join(path.read_text() for path in sorted(migrations.glob("*.sql")))
    table = sql[sql.index("create table ops.outbox") :]
    listed = re.search(r"check \(state in \(([^)]*)\)\)", table)
    assert listed is not None
    assert set(re.findall(r"'(\w+)'", listed[1])) == {state.value for state in State}
