"""Putting messages in: once per document kind, period and channel, whoever asks how often."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_platform.delivery import (
    Event,
    IllegalTransitionError,
    State,
    decide,
    enqueue,
    find_row,
    state_counts,
    undelivered,
)
from ops_platform.delivery.outbox import advance
from ops_platform.evidence.model import Period
from ops_platform.failures import DataFailure
from tests.delivery.conftest import THURSDAY, Put
from tests.sizes import examples


def count(connect: Any) -> int:
    with connect() as conn:
        return int(conn.execute("select count(*) from ops.outbox").fetchone()[0])


def force(connect: Any, row_id: uuid.UUID, state: State) -> None:
    with connect() as conn:
        conn.execute("update ops.outbox set state = %s where id = %s", (state.value, row_id))


def test_a_message_belongs_to_the_transaction_that_makes_it(warehouse: Any) -> None:
    conn = warehouse()
    enqueue(conn, kind="pulse", period=THURSDAY, channel_key="executive", channel="C0EXEC", payload={"text": "hi"})
    assert count(warehouse) == 0  # not committed: nobody else sees it
    conn.rollback()
    assert count(warehouse) == 0
    enqueue(conn, kind="pulse", period=THURSDAY, channel_key="executive", channel="C0EXEC", payload={"text": "hi"})
    conn.commit()
    conn.close()
    assert count(warehouse) == 1


def test_a_hundred_threads_make_one_message(warehouse: Any) -> None:
    start, places = threading.Barrier(100), threading.BoundedSemaphore(40)  # the server has 80 connections

    def trigger(number: int) -> tuple[str, str | None]:
        start.wait()
        with places, warehouse() as conn:
            row = enqueue(
                conn,
                kind="pulse",
                period=THURSDAY,
                channel_key="executive",
                channel="C0EXEC",
                payload={"text": "the same pulse"},
            )
            return str(row.id), row.enqueued

    with ThreadPoolExecutor(100) as pool:
        results = list(pool.map(trigger, range(100)))
    assert count(warehouse) == 1
    assert len({row_id for row_id, _ in results}) == 1
    assert sorted(outcome or "" for _, outcome in results) == ["created"] + ["unchanged"] * 99


def test_another_period_channel_or_kind_is_another_message(put: Put, warehouse: Any) -> None:
    put()
    put(channel_key="team", channel="C0TEAM")
    put("narrative_daily")
    put(period=Period(date(2026, 11, 18), date(2026, 11, 18), "yesterday"))
    put(period=Period(date(2026, 11, 19), date(2026, 11, 20), "two days"))
    assert count(warehouse) == 5


def test_recomputed_before_it_went_the_newer_text_goes(put: Put, warehouse: Any) -> None:
    first = put(payload={"text": "revenue unknown"})
    second = put(payload={"text": "revenue known"})
    assert (second.id, second.enqueued) == (first.id, "replaced")
    with warehouse() as conn:
        row = find_row(conn, first.id)
    assert row is not None
    assert row.payload == {"text": "revenue known"}
    assert row.superseded_payloads == 0


@pytest.mark.parametrize("state", [State.SENDING, State.AMBIGUOUS, State.HELD, State.SENT])
def test_recomputed_after_it_may_have_gone_it_is_counted_and_not_posted(state: State, put: Put, warehouse: Any) -> None:
    first = put(payload={"text": "old"})
    force(warehouse, first.id, state)
    again = put(payload={"text": "old"})
    assert (again.enqueued, again.superseded_payloads) == ("unchanged", 0)
    changed = put(payload={"text": "new"})
    assert (changed.id, changed.enqueued, changed.state, changed.superseded_payloads) == (
        first.id,
        "superseded",
        state,
        1,
    )
    assert changed.payload == {"text": "old"}  # what is at the vendor is what the row says


def test_a_failed_message_is_queued_again_to_the_channel_given_now(put: Put, warehouse: Any) -> None:
    first = put(channel="C0WRONG")
    force(warehouse, first.id, State.FAILED)
    again = put(channel="C0EXEC")
    assert (again.id, again.enqueued, again.state, again.channel) == (first.id, "requeued", State.PENDING, "C0EXEC")


def test_a_key_of_ones_own_and_very_long_keys(put: Put, warehouse: Any) -> None:
    one = put(dedupe_key="incident-7:opened", period=None)
    assert put(dedupe_key="incident-7:opened", period=None).id == one.id
    long = put(dedupe_key="x" * 400, period=None)
    other = put(dedupe_key="x" * 401, period=None)
    assert long.id != other.id
    assert len(long.dedupe_key) <= 255
    with pytest.raises(DataFailure, match="dedupe key"):
        put(period=None)


@pytest.mark.parametrize("payload", [{}, {"text": ""}, {"text": " \n"}, {"text": None}, {"blocks": []}])
def test_a_message_without_text_is_refused(payload: dict[str, Any], put: Put, warehouse: Any) -> None:
    with pytest.raises(DataFailure, match="no text"):
        put(payload=payload)
    assert count(warehouse) == 0


@given(text=st.text(st.characters(categories=None), min_size=1).filter(lambda t: t.replace("\x00", "").strip()))
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_can_be_stored(text: str, put: Put) -> None:
    """Emoji, right-to-left, NUL, lone surrogates: stored, and nothing but the unstorable is changed."""
    row = put(
        payload={"text": "x" + text, "blocks": [{"type": "section", "text": {"text": text}}]},
        period=None,
        dedupe_key=uuid.uuid4().hex,
    )
    expected = text.replace("\x00", "").encode("utf-8", "replace").decode()
    if "<!" not in expected:
        assert row.payload["text"] == "x" + expected
        assert row.payload["blocks"][0]["text"]["text"] == expected


@pytest.mark.parametrize("mention", ["<!channel>", "<!here|here>", "<!everyone>", "<!subteam^S123|@ops>"])
def test_nobody_elses_text_rings_every_phone(mention: str, put: Put) -> None:
    row = put(payload={"text": f"note {mention}", "blocks": [{"elements": [{"text": mention}]}]})
    assert "<!" not in str(row.payload)
    assert "&lt;!" in row.payload["text"]


def test_an_answer_needs_its_message(put: Put) -> None:
    parent = put()
    child = put("detail", thread_of=parent.id)
    assert child.thread_of == parent.id
    with pytest.raises(DataFailure, match="no message"):
        put("other", thread_of=uuid.uuid4())
    with pytest.raises(DataFailure, match="cannot belong"):
        put("other", thread_of=parent.id, channel_key="team", channel="C0TEAM")


def test_what_is_refused_changes_nothing(put: Put, warehouse: Any) -> None:
    row = put()
    with warehouse() as conn:
        with pytest.raises(IllegalTransitionError):
            advance(conn, row.id, Event.FOUND, external_id="1.0")
        with pytest.raises(IllegalTransitionError, match="attempt"):
            advance(conn, row.id, Event.CLAIMED, attempt=5)
        assert find_row(conn, row.id) is not None
        after = find_row(conn, row.id)
    assert after is not None
    assert (after.state, after.external_id) == (State.PENDING, None)


def test_what_a_person_may_decide(put: Put, warehouse: Any) -> None:
    held = put("a")
    dropped = put("b")
    confirmed = put("c")
    for row in (held, dropped, confirmed):
        force(warehouse, row.id, State.HELD)
    with warehouse() as conn:
        assert decide(conn, held.id, Event.RESEND, by="kim").state is State.PENDING
        assert decide(conn, dropped.id, Event.DROPPED, by="kim").state is State.FAILED
        with pytest.raises(DataFailure, match="ts"):
            decide(conn, confirmed.id, Event.CONFIRMED, by="kim")
        row = decide(conn, confirmed.id, Event.CONFIRMED, by="kim", external_id="1.5")
        assert (row.state, row.external_id, row.error) == (State.SENT, "1.5", "confirmed by kim")
        with pytest.raises(IllegalTransitionError, match="not for a person"):
            decide(conn, held.id, Event.ACCEPTED, by="kim")
        with pytest.raises(IllegalTransitionError):
            decide(conn, confirmed.id, Event.RESEND, by="kim")  # sent is sent


def test_counts_and_the_undelivered(put: Put, warehouse: Any) -> None:
    first, second = put("a"), put("b")
    force(warehouse, second.id, State.SENT)
    with warehouse() as conn:
        counts = state_counts(conn)
        assert counts == {**dict.fromkeys(State, 0), State.PENDING: 1, State.SENT: 1}
        assert [row.id for row in undelivered(conn)] == [first.id]


def test_serializable_callers_are_told_rather_than_given_two(warehouse: Any) -> None:
    """Two overlapping transactions of the same key under REPEATABLE READ: one message, one clear failure."""
    arguments: dict[str, Any] = {
        "kind": "pulse",
        "period": THURSDAY,
        "channel_key": "executive",
        "channel": "C0EXEC",
        "payload": {"text": "x"},
    }
    first, second = warehouse(), warehouse()
    second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    second.execute("select 1 from ops.outbox")
    enqueue(first, **arguments)
    first.commit()
    with pytest.raises((DataFailure, psycopg.errors.SerializationFailure)):
        enqueue(second, **arguments)
    first.close()
    second.close()
    assert count(warehouse) == 1
