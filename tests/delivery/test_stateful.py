"""Any order of enqueueing, delivering, failing, crashing and waiting: one message, once.

The machine drives the real outbox on a real Postgres against the fake Slack, whose ledger is the oracle.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ops_platform.delivery import Event, OutboxRow, State, decide, deliver, enqueue
from ops_platform.delivery.outbox import rows_where
from resources.slack_posting import SlackPoster
from tests.delivery.conftest import FAST, THURSDAY
from tests.delivery.slack_fake import TOKEN, SlackFake
from tests.delivery.test_worker import later

POST_FAULTS = [
    ("accept_then_drop", ""),
    ("accept_then_500", ""),
    ("truncate", ""),
    ("drop", ""),
    ("reset", ""),
    ("ratelimited", "2"),
    ("error", "is_archived"),
    ("error", "invalid_blocks"),
    ("error", "internal_error"),
    ("page", "502"),
]
READ_FAULTS = [("ratelimited", "3"), ("error", "missing_scope"), ("drop", ""), ("truncate", "")]
CHANNELS = {"executive": "C0EXEC", "team": "C0TEAM"}


class CrashError(BaseException):
    """The process ends here."""


class CrashingPoster(SlackPoster):
    """Ends the worker before or after its post, as a kill would: nothing is written down."""

    crash = ""

    def post(self, *args: Any, **kwargs: Any) -> str:
        if self.crash == "before":
            raise CrashError
        ts = super().post(*args, **kwargs)
        if self.crash == "after":
            raise CrashError
        return ts


class Mornings(RuleBasedStateMachine):
    connect: Any
    slack: SlackFake

    def __init__(self) -> None:
        super().__init__()
        with self.connect() as conn:
            conn.execute("delete from ops.outbox")
        with self.slack.lock:
            self.slack.messages.clear()
        self.slack.faults.clear()
        self.poster = CrashingPoster(TOKEN, base_url=self.slack.url, timeout=3)
        self.shift = 0.0
        self.sent: dict[Any, str] = {}
        self.asked: set[Any] = set()

    def rows(self) -> list[OutboxRow]:
        with self.connect() as conn:
            return rows_where(conn, "true", {})

    def run(self, patience: float = 0.0) -> None:
        deliver(self.connect, self.poster, policy=FAST, now=later(self.shift), patience=patience)

    @rule(kind=st.sampled_from("abc"), channel=st.sampled_from(sorted(CHANNELS)), text=st.sampled_from("xyz"),
          answers=st.booleans())  # fmt: skip
    def ask(self, kind: str, channel: str, text: str, answers: bool) -> None:
        parents = [row.id for row in self.rows() if row.kind == "a" and row.channel_key == channel]
        with self.connect() as conn:
            row = enqueue(
                conn,
                kind=kind,
                period=THURSDAY,
                channel_key=channel,
                channel=CHANNELS[channel],
                payload={"text": text, "blocks": [{"type": "divider"}]},
                thread_of=parents[0] if answers and parents and kind == "b" else None,
            )
        self.asked.add(row.id)

    @rule()
    def deliver_well(self) -> None:
        self.run()

    @rule(
        posts=st.lists(st.sampled_from(POST_FAULTS), min_size=1, max_size=3),
        reads=st.lists(st.sampled_from(READ_FAULTS), max_size=2),
    )
    def deliver_badly(self, posts: list[tuple[str, str]], reads: list[tuple[str, str]]) -> None:
        for kind, value in posts:
            self.slack.fault("chat.postMessage", kind, value=value)
        for kind, value in reads:
            self.slack.fault("conversations.history", kind, value=value)
            self.slack.fault("conversations.replies", kind, value=value)
        self.run()
        self.slack.faults.clear()

    @rule(when=st.sampled_from(["before", "after"]), lost=st.booleans())
    def crash(self, when: str, lost: bool) -> None:
        if lost:
            self.slack.fault("chat.postMessage", "accept_then_drop")
        self.poster.crash = when
        try:
            self.run()
        except CrashError:
            pass
        finally:
            self.poster.crash = ""
            self.slack.faults.clear()

    @rule(seconds=st.sampled_from([0.1, 0.5, 3.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.shift += seconds

    @rule()
    def ask_for_a_failed_one_again(self) -> None:
        failed = [row for row in self.rows() if row.state is State.FAILED]
        if failed:
            with self.connect() as conn:
                decide(conn, failed[0].id, Event.REQUEUED, by="kim")

    @invariant()
    def the_vendor_shows_each_at_most_once(self) -> None:
        assert all(times == 1 for times in Counter(self.slack.outbox_ids()).values())

    @invariant()
    def our_table_never_contradicts_the_vendor(self) -> None:
        shown = {m["metadata"]["event_payload"]["outbox_id"]: m for m in self.slack.posts()}
        for row in self.rows():
            message = shown.get(str(row.id))
            if row.state is State.SENT:
                assert message is not None
                assert message["ts"] == row.external_id
                assert message["text"] == row.payload["text"]
            elif row.state in (State.PENDING, State.FAILED):
                assert message is None, f"{row.state} and yet at the vendor"
            if row.thread_of is not None and message is not None:
                assert message["thread_ts"] == self.sent.get(row.thread_of, message["thread_ts"])

    @invariant()
    def sent_is_for_ever_and_nothing_disappears(self) -> None:
        rows = {row.id: row for row in self.rows()}
        assert self.asked == set(rows)
        for row_id, ts in self.sent.items():
            assert (rows[row_id].state, rows[row_id].external_id) == (State.SENT, ts)
        self.sent |= {row.id: row.external_id or "" for row in rows.values() if row.state is State.SENT}

    def teardown(self) -> None:
        """With a vendor that is well again, everything asked for arrives, or failed with its reason."""
        for _ in range(12):
            self.shift += 30
            self.run()
        for row in self.rows():
            assert row.state is State.SENT or (row.state is State.FAILED and row.error), row
        self.our_table_never_contradicts_the_vendor()


def machine(connect: Any, slack: SlackFake) -> type[Mornings]:
    return type("MorningsHere", (Mornings,), {"connect": staticmethod(connect), "slack": slack})


def test_any_order_of_events(warehouse: Any, slack: SlackFake) -> None:
    run_state_machine_as_test(
        machine(warehouse, slack),
        settings=settings(
            max_examples=7,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


@pytest.mark.slow
def test_any_order_of_events_for_long(warehouse: Any, slack: SlackFake) -> None:
    run_state_machine_as_test(
        machine(warehouse, slack),
        settings=settings(
            max_examples=400,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
