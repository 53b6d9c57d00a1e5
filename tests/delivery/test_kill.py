"""Killed at any point, nothing is lost and nothing is doubled. The fake Slack's ledger is the judge.

`OPS_KILL_TRIALS` sets the trials per point (default 2, in `make test-all` 8; with n clean trials the rate is below
about 3/n).
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.delivery import State, find_row, undelivered
from tests import killed
from tests.database.fresh_database import dsn_of
from tests.delivery.morning import POLICY, morning
from tests.sizes import times

if TYPE_CHECKING:
    from tests.delivery.slack_fake import SlackFake

TRIALS = int(os.environ.get("OPS_KILL_TRIALS", times(8, by_default=2)))
SOURCE = Path(__file__).resolve().parents[2] / "ops_platform" / "delivery"
POINTS = [
    "outbox.enqueued",
    "outbox.enqueued@2",
    "outbox.claimed",
    "outbox.claimed@2",
    "outbox.sending",
    "outbox.before_post",
    "outbox.before_post@2",
    "outbox.posted",
    "outbox.posted@2",
    "outbox.marked",
    "outbox.marked@2",
    "outbox.sent",
]
LOOKUP_POINTS = ["outbox.lookup", "outbox.looked_up"]

killed.preload("psycopg", "slack_sdk", "tests.delivery.morning")


@pytest.fixture
def dsn(warehouse: Any) -> str:
    return dsn_of(warehouse)


def run(*arguments: Any) -> int | None:
    return killed.ended(killed.start(morning, *arguments))


def check(slack: SlackFake, warehouse: Any, days: int) -> None:
    """0 lost, 0 doubled, and our table says what the vendor's side shows."""
    posts = slack.posts()
    expected = Counter({f"{kind} {day}": 1 for kind in ("pulse", "detail") for day in range(days)})
    assert Counter(message["text"] for message in posts) == expected
    with warehouse() as conn:
        assert undelivered(conn) == []
        shown = {message["metadata"]["event_payload"]["outbox_id"]: message for message in posts}
        for row_id, external_id in conn.execute("select id::text, external_id from ops.outbox").fetchall():
            assert shown[row_id]["ts"] == external_id
    parents = {message["text"]: message["ts"] for message in posts}
    for message in posts:
        if message["text"].startswith("detail"):
            assert message["thread_ts"] == parents[message["text"].replace("detail", "pulse")]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, dsn: str, slack: SlackFake, warehouse: Any) -> None:
    for day in range(TRIALS):
        assert run(dsn, slack.url, day, point) == -signal.SIGKILL
        assert run(dsn, slack.url, day) == 0
    check(slack, warehouse, TRIALS)


@pytest.mark.parametrize("fault", ["accept_then_drop", "reset"])
@pytest.mark.parametrize("point", LOOKUP_POINTS)
def test_killed_while_looking_up(point: str, fault: str, dsn: str, slack: SlackFake, warehouse: Any) -> None:
    for day in range(TRIALS):
        slack.fault("chat.postMessage", fault)
        assert run(dsn, slack.url, day, point) == -signal.SIGKILL
        assert run(dsn, slack.url, day) == 0
    check(slack, warehouse, TRIALS)


def test_killed_again_and_again(dsn: str, slack: SlackFake, warehouse: Any) -> None:
    """The same morning, killed at each point in turn, some of them also by the vendor."""
    for number, point in enumerate([*POINTS, *LOOKUP_POINTS, *POINTS]):
        if number % 3 == 0:
            slack.fault("chat.postMessage", "accept_then_drop")
        run(dsn, slack.url, 0, point)
    slack.faults.clear()
    assert run(dsn, slack.url, 0) == 0
    check(slack, warehouse, 1)


def test_every_point_in_the_code_is_killed_at() -> None:
    import re

    text = "".join(path.read_text() for path in SOURCE.glob("*.py"))
    # Those of a restore are killed at in tests/backup, the last step of files and of mails in their own tests.
    elsewhere = {"outbox.before_handover", "outbox.handed_over"}
    found = {point for point in re.findall(r'failpoint\("([^"]+)"\)', text) if not point.startswith("restore.")}
    assert found == elsewhere | {point.partition("@")[0] for point in (*POINTS, *LOOKUP_POINTS)}


def test_a_worker_that_stands_still_loses_its_message(dsn: str, slack: SlackFake, warehouse: Any) -> None:
    """SIGSTOP just before posting (a paused machine). Another worker takes over when the lease has run out,
    and the first one, woken, must not post: neither twice, nor at all."""
    policy = replace(POLICY, lease=timedelta(seconds=1))
    stopped = killed.start(morning, dsn, slack.url, 0, "outbox.before_post:stop", policy)
    assert stopped.pid is not None
    until = time.monotonic() + 20
    while Path(f"/proc/{stopped.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
        assert time.monotonic() < until
        time.sleep(0.02)
    began = time.monotonic()
    assert run(dsn, slack.url, 0, "", policy) == 0
    assert time.monotonic() - began < 10
    check(slack, warehouse, 1)
    os.kill(stopped.pid, signal.SIGCONT)
    stopped.join(30)
    assert not stopped.is_alive()
    check(slack, warehouse, 1)


def test_a_message_is_on_record_as_sending_before_the_vendor_hears_of_it(
    dsn: str, slack: SlackFake, warehouse: Any
) -> None:
    assert run(dsn, slack.url, 0, "outbox.before_post") == -signal.SIGKILL
    assert slack.requests == []
    with warehouse() as conn:
        (first,) = conn.execute("select id from ops.outbox where kind = 'pulse'").fetchone()
        row = find_row(conn, first)
    assert row is not None
    assert (row.state, row.attempts) == (State.SENDING, 1)
