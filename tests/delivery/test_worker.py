"""Delivering: what is due is posted once, in order, at Slack's pace, and every ending is written down."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops_platform.delivery import OutboxRow, State, deliver, find_row
from resources.slack_posting import SlackPoster
from tests.delivery.conftest import FAST, Put
from tests.delivery.slack_fake import TOKEN, SlackFake

POST = "chat.postMessage"


def read(connect: Any, row: OutboxRow) -> OutboxRow:
    with connect() as conn:
        found = find_row(conn, row.id)
    assert found is not None
    return found


def later(seconds: float) -> Any:
    return lambda: datetime.now(UTC) + timedelta(seconds=seconds)


def test_what_is_enqueued_is_posted_and_written_down(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    row = put(payload={"text": "Pulse", "blocks": [{"type": "divider"}]})
    report = deliver(warehouse, poster, policy=FAST)
    (message,) = slack.posts()
    after = read(warehouse, row)
    assert (message["text"], message["blocks"]) == ("Pulse", [{"type": "divider"}])
    assert (after.state, after.external_id, after.attempts, after.error) == (State.SENT, message["ts"], 1, None)
    assert after.sent_at is not None
    assert [r.id for r in report.sent] == [row.id]
    assert str(report) == "1 sent, 0 waiting, 0 held, 0 failed"


def test_delivering_again_posts_nothing(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    put()
    deliver(warehouse, poster, policy=FAST)
    put()  # the same morning, run again
    put(payload={"text": "recomputed"})
    report = deliver(warehouse, poster, policy=FAST)
    assert len(slack.posts()) == 1
    assert (report.posts, report.lookups, report.rows) == (0, 0, {})


def test_an_empty_outbox_calls_nobody(warehouse: Any, slack: SlackFake, poster: SlackPoster) -> None:
    assert str(deliver(warehouse, poster, policy=FAST)) == "0 sent, 0 waiting, 0 held, 0 failed"
    assert slack.requests == []


def test_a_refused_message_fails_with_the_reason_and_the_others_go(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    wrong = put("wrong", channel="C0NOWHERE")
    right = put("right")
    report = deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, right).state is State.SENT
    after = read(warehouse, wrong)
    assert (after.state, after.attempts) == (State.FAILED, 1)
    assert "channel_not_found" in (after.error or "")
    assert "channel_not_found" in str(report)
    deliver(warehouse, poster, policy=FAST)
    assert [r["arguments"]["channel"] for r in slack.requests] == ["C0NOWHERE", "C0EXEC"]  # and never again
    put("wrong", channel="C0TEAM")  # the setting was corrected and the job run again
    deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, wrong).state is State.SENT


def test_a_refused_layout_goes_as_text(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    row = put(payload={"text": "Pulse in words", "blocks": [{"type": "nonsense"}]})
    slack.fault(POST, "error", value="invalid_blocks")
    deliver(warehouse, poster, policy=FAST)
    (message,) = slack.posts()
    assert "blocks" not in message
    after = read(warehouse, row)
    assert (after.state, after.attempts) == (State.SENT, 2)
    assert "invalid_blocks" in after.payload["layout_refused"]
    again = put(payload={"text": "Pulse in words", "blocks": [{"type": "nonsense"}]})
    assert again.enqueued == "unchanged"


def test_a_text_refused_for_its_layout_fails(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    row = put()
    slack.fault(POST, "error", value="invalid_blocks")
    deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, row).state is State.FAILED


def test_throttled_waits_as_long_as_told_and_its_channel_with_it(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    rows = [put(kind) for kind in ("a", "b", "c")]
    other = put("d", channel_key="team", channel="C0TEAM")
    slack.fault(POST, "ratelimited", value="60")
    report = deliver(warehouse, poster, policy=FAST)
    assert [message["channel"] for message in slack.posts()] == ["C0TEAM"]
    assert len(slack.requests) == 2  # b and c did not have to learn it for themselves
    assert len(report.waiting) == 1
    for row in rows:
        after = read(warehouse, row)
        assert after.state is State.PENDING
        assert after.not_before is not None
        assert timedelta(seconds=55) < after.not_before - datetime.now(UTC) <= timedelta(seconds=60)
    assert read(warehouse, other).state is State.SENT
    deliver(warehouse, poster, policy=FAST, now=later(61))
    assert [message["text"][0] for message in slack.posts()] == ["d", "a", "b", "c"]


def test_with_patience_one_call_is_enough(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    rows = [put(kind) for kind in ("a", "b")]
    slack.fault(POST, "ratelimited", value="1")
    began = time.monotonic()
    report = deliver(warehouse, poster, policy=FAST, patience=10)
    assert {r.id for r in report.sent} == {r.id for r in rows}
    assert 0.9 < time.monotonic() - began < 5


def test_patience_ends(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    put()
    slack.fault(POST, "ratelimited", value="600", times=9)
    began = time.monotonic()
    report = deliver(warehouse, poster, policy=FAST, patience=2)
    assert time.monotonic() - began < 2  # 600 s will not pass in 2: it does not even wait
    assert len(report.waiting) == 1


def test_nobody_listening_backs_off_and_recovers(
    put: Put, warehouse: Any, slack: SlackFake, poster: SlackPoster
) -> None:
    row = put()
    nowhere = SlackPoster(TOKEN, base_url="http://127.0.0.1:9", timeout=2)
    policy = replace(FAST, backoff=timedelta(seconds=10), backoff_limit=timedelta(seconds=30))
    waits = []
    shift = 0.0
    for _ in range(4):
        deliver(warehouse, nowhere, policy=policy, now=later(shift))
        after = read(warehouse, row)
        assert after.state is State.PENDING
        assert after.not_before is not None
        waits.append(round((after.not_before - datetime.now(UTC)).total_seconds() - shift))
        shift += waits[-1] + 1
    assert waits == [10, 20, 30, 30]
    deliver(warehouse, poster, policy=policy, now=later(shift))
    assert read(warehouse, row).state is State.SENT
    assert len(slack.posts()) == 1


def test_old_news_is_not_posted(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    row = put()
    slack.fault(POST, "ratelimited", value="3600")
    deliver(warehouse, poster, policy=FAST)
    deliver(warehouse, poster, policy=FAST, now=later(24 * 3600 + 1))
    after = read(warehouse, row)
    assert after.state is State.FAILED
    assert after.error is not None
    assert "not delivered within 24 h" in after.error
    assert "ratelimited" in after.error
    assert slack.posts() == []


def test_messages_of_a_channel_keep_their_order_and_the_pace(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    for kind in ("a", "b", "c"):
        put(kind)
    put("d", channel_key="team", channel="C0TEAM")
    policy = replace(FAST, pace=timedelta(seconds=0.4))
    deliver(warehouse, poster, policy=policy)
    posts = slack.posts()
    executive = [float(m["ts"]) for m in posts if m["channel"] == "C0EXEC"]
    assert [m["text"][0] for m in posts if m["channel"] == "C0EXEC"] == ["a", "b", "c"]
    # 10 ms for the two clock readings on our side of the wire.
    assert all(second - first >= 0.39 for first, second in itertools.pairwise(executive))


def test_the_pace_holds_across_workers(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    policy = replace(FAST, pace=timedelta(seconds=0.4))
    put("a")
    deliver(warehouse, poster, policy=policy)
    put("b")
    deliver(warehouse, poster, policy=policy)
    first, second = (float(m["ts"]) for m in slack.posts())
    assert second - first >= 0.39


def test_an_answer_waits_for_its_message(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    parent = put("pulse")
    child = put("detail", thread_of=parent.id)
    slack.fault(POST, "ratelimited", value="60")
    deliver(warehouse, poster, policy=FAST)
    assert slack.posts() == []
    deliver(warehouse, poster, policy=FAST, now=later(61))
    first, second = slack.posts()
    assert second["thread_ts"] == first["ts"]
    assert read(warehouse, child).state is State.SENT


def test_an_answer_to_a_failed_message_fails(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    parent = put("pulse")
    child = put("detail", thread_of=parent.id)
    slack.fault(POST, "error", value="is_archived")
    deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, parent).state is State.FAILED
    after = read(warehouse, child)
    assert (after.state, after.error) == (State.FAILED, "the message it answers failed")
    assert slack.posts() == []


def test_the_limit_bounds_one_call(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    for number in range(5):
        put(f"kind_{number}")
    deliver(warehouse, poster, policy=FAST, limit=2)
    assert len(slack.posts()) == 2
    deliver(warehouse, poster, policy=FAST)
    assert len(slack.posts()) == 5


def test_twenty_workers_post_each_message_once(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    rows = [put(f"kind_{n}") for n in range(15)]
    rows += [put(f"kind_{n}", channel_key="team", channel="C0TEAM") for n in range(15)]
    start = threading.Barrier(20)

    def work(_: int) -> None:
        start.wait()
        deliver(warehouse, poster, policy=FAST, patience=30)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
    assert sorted(slack.outbox_ids()) == sorted(str(row.id) for row in rows)
    assert all(read(warehouse, row).state is State.SENT for row in rows)


def test_a_poster_that_fails_unexpectedly_is_ambiguous_not_fatal(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    class Buggy(SlackPoster):
        def post(self, *args: Any, **kwargs: Any) -> str:
            super().post(*args, **kwargs)
            raise KeyError("ts")

    row = put()
    deliver(warehouse, Buggy(TOKEN, base_url=slack.url), policy=FAST)
    assert len(slack.posts()) == 1
    assert read(warehouse, row).state is State.SENT  # found by its tag


def test_a_dead_database_is_raised(poster: SlackPoster) -> None:
    import psycopg

    with pytest.raises(psycopg.OperationalError):
        deliver(lambda: psycopg.connect("host=127.0.0.1 port=9 connect_timeout=1"), poster)


def test_an_autocommit_connection_serves_as_well(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    row = put()

    def connect() -> Any:
        conn = warehouse()
        conn.autocommit = True
        return conn

    deliver(connect, poster, policy=FAST)
    assert read(warehouse, row).state is State.SENT
