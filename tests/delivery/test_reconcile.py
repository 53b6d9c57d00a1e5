"""An unclear post is looked up before it is repeated; what cannot be looked up is held, and says so."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.delivery import State, deliver, undelivered
from ops_platform.delivery.reconcile import ReconcilePolicy
from tests.delivery.conftest import FAST, Put
from tests.delivery.test_worker import POST, later, read

if TYPE_CHECKING:
    from resources.slack_posting import SlackPoster
    from tests.delivery.slack_fake import SlackFake

READ = "conversations.history"


@pytest.mark.parametrize(
    "kind", ["accept_then_drop", "accept_then_reset", "accept_then_500", "accept_then_html", "truncate"]
)
def test_accepted_and_lost_is_found_and_posted_exactly_once(
    kind: str, put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    row = put()
    slack.fault(POST, kind)
    report = deliver(warehouse, poster, policy=FAST)
    after = read(warehouse, row)
    assert len(slack.posts()) == 1
    assert (after.state, after.external_id, after.attempts) == (State.SENT, slack.posts()[0]["ts"], 1)
    assert [r.id for r in report.sent] == [row.id]


@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_lost_on_the_way_is_repeated_once_it_has_settled(
    kind: str, put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    row = put()
    slack.fault(POST, kind)
    patient = replace(
        FAST, settle=timedelta(minutes=5), reconcile=replace(FAST.reconcile, give_up=timedelta(minutes=10))
    )
    deliver(warehouse, poster, policy=patient)
    assert read(warehouse, row).state is State.AMBIGUOUS  # not there yet; it may still be on its way
    deliver(warehouse, poster, policy=patient, now=later(60))
    assert slack.posts() == []
    deliver(warehouse, poster, policy=patient, now=later(301))
    after = read(warehouse, row)
    assert (after.state, after.attempts, len(slack.posts())) == (State.SENT, 2, 1)


def test_with_patience_a_lost_post_is_repeated_in_the_same_call(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    row = put()
    slack.fault(POST, "reset", times=2)
    deliver(warehouse, poster, policy=FAST, patience=5)
    after = read(warehouse, row)
    assert (after.state, after.attempts, len(slack.posts())) == (State.SENT, 3, 1)


def test_a_message_that_arrives_late_is_not_doubled(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    """The connection breaks, the look-up sees nothing, and then the vendor shows the message after all."""
    row = put()
    slack.fault(POST, "drop")
    deliver(warehouse, poster, policy=FAST)
    sent = slack.requests[0]["arguments"]
    with slack.lock:
        slack._append({key: sent.get(key) for key in ("channel", "text", "metadata")})
    time.sleep(FAST.settle.total_seconds())
    deliver(warehouse, poster, policy=FAST)
    after = read(warehouse, row)
    assert (after.state, after.attempts, len(slack.posts())) == (State.SENT, 1, 1)


def test_an_unreadable_history_holds_the_message_and_says_why(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    row = put()
    slack.fault(POST, "accept_then_drop")
    slack.fault(READ, "error", value="missing_scope", times=3)
    report = deliver(warehouse, poster, policy=FAST)
    after = read(warehouse, row)
    assert after.state is State.HELD
    assert after.error is not None
    assert "missing_scope" in after.error
    assert "not repeated" in after.error
    assert [r.id for r in report.held] == [row.id]
    assert "missing_scope" in str(report)
    with warehouse() as conn:
        assert [r.id for r in undelivered(conn)] == [row.id]
    for _ in range(2):  # looked up again, now and then, and never posted again
        time.sleep(0.25)
        deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, row).state is State.HELD
    assert len(slack.posts()) == 1
    time.sleep(0.25)
    deliver(warehouse, poster, policy=FAST)  # somebody granted the scope
    assert read(warehouse, row).state is State.SENT
    assert len(slack.posts()) == 1


def test_held_and_truly_lost_goes_once_the_history_is_readable(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    row = put()
    slack.fault(POST, "reset")
    slack.fault(READ, "error", value="not_in_channel", times=1)
    deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, row).state is State.HELD
    time.sleep(0.4)
    deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, row).state is State.SENT
    assert len(slack.posts()) == 1


def test_a_history_throttled_for_long_ends_in_held(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    row = put()
    slack.fault(POST, "accept_then_drop")
    slack.fault(READ, "ratelimited", value="1", times=99)
    deliver(warehouse, poster, policy=FAST)
    after = read(warehouse, row)
    assert after.state is State.AMBIGUOUS
    assert after.not_before is not None
    assert after.not_before - datetime.now(UTC) > timedelta(seconds=0.5)  # Retry-After, not our own 0.1 s
    deliver(warehouse, poster, policy=FAST, now=later(5))
    assert read(warehouse, row).state is State.HELD
    slack.faults.clear()
    deliver(warehouse, poster, policy=FAST, now=later(10))
    assert read(warehouse, row).state is State.SENT
    assert len(slack.posts()) == 1


def test_an_unclear_answer_is_looked_up_in_its_thread(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    parent = put("pulse")
    child = put("detail", thread_of=parent.id)
    slack.fault(POST, "accept_then_drop", after=1)
    deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, child).state is State.SENT
    assert len(slack.posts()) == 2
    assert [r["method"] for r in slack.requests][-1] == "conversations.replies"


@pytest.mark.parametrize("skew", [-400 * 86400.0, -7200.0, 0.0, 7200.0, 400 * 86400.0])
def test_the_vendors_clock_may_differ_from_ours(
    skew: float, put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    """A sandbox that lives on another day, a vendor two hours off: found all the same, first or later post."""
    slack.skew = skew
    for number in range(3):
        row = put(f"kind_{number}")
        slack.fault(POST, "accept_then_drop")
        deliver(warehouse, poster, policy=FAST)
        assert read(warehouse, row).state is State.SENT, number
    assert len(slack.posts()) == 3


def test_clocks_that_agree_narrow_the_look_up(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    put("first")
    deliver(warehouse, poster, policy=FAST)
    slack.skew = 0
    put("second")
    slack.fault(POST, "accept_then_drop")
    before = time.time()
    deliver(warehouse, poster, policy=replace(FAST, reconcile=ReconcilePolicy(margin=timedelta(seconds=30))))
    oldest = float(slack.requests[-1]["arguments"]["oldest"])
    assert before - 31 < oldest < before


def test_a_chatty_channel_is_read_to_the_bound(put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake) -> None:
    """Thousands of older messages do not make the look-up give up when an older post of ours bounds it."""
    for number in range(3000):
        slack.say("C0EXEC", f"chatter {number}", ts=time.time() - 9 * 86400 + number)
    slack.last_ts = 0.0
    put("first")
    deliver(warehouse, poster, policy=FAST)
    row = put("second")
    slack.fault(POST, "reset")
    deliver(warehouse, poster, policy=FAST, patience=5)
    assert read(warehouse, row).state is State.SENT
    assert len(slack.outbox_ids()) == 2


def test_a_first_post_in_a_chatty_channel_is_settled_too(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    for number in range(3000):
        slack.say("C0EXEC", f"chatter {number}", ts=time.time() - 9 * 86400 + number)
    slack.last_ts = 0.0
    row = put("first")
    slack.fault(POST, "reset")
    deliver(warehouse, poster, policy=FAST, patience=5)
    assert read(warehouse, row).state is State.SENT
    assert len(slack.outbox_ids()) == 1


def test_a_channel_busier_than_we_can_read_holds(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    """Nothing of ours bounds the look-up, and ten pages do not reach back to the row's making."""
    row = put("first")
    slack.fault(POST, "reset")
    slack.page_size = 2
    for number in range(100):
        slack.say("C0EXEC", f"chatter {number}")
    policy = replace(FAST, reconcile=replace(FAST.reconcile, margin=timedelta(0)))
    deliver(warehouse, poster, policy=policy, patience=2)
    after = read(warehouse, row)
    assert after.state is State.HELD
    assert "too long" in (after.error or "")
    assert slack.outbox_ids() == []


def test_a_persons_wrong_id_never_bounds_a_look_up(
    put: Put, warehouse: Any, poster: SlackPoster, slack: SlackFake
) -> None:
    with warehouse() as conn:
        first = put("first")
        conn.execute(
            """update ops.outbox set state = 'sent', external_id = '99999999999.0', sent_at = now(),
               error = 'confirmed by kim' where id = %s""",
            (first.id,),
        )
    put("second")
    slack.fault(POST, "accept_then_drop")
    deliver(warehouse, poster, policy=FAST, patience=3)
    assert len(slack.posts()) == 1
