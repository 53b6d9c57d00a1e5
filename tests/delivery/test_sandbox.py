"""The outbox against the sandbox's Slack, whose ledger outlives both and is the judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.delivery import OutboxRow, State, deliver
from resources.slack_posting import SlackPoster
from tests.delivery.conftest import FAST, Put
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.delivery.test_worker import read

if TYPE_CHECKING:
    from collections.abc import Iterator

POST = "chat.postMessage"
TOKEN = "xoxb-sandbox"


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(vendor: Sandbox) -> Iterator[Sandbox]:
    yield vendor
    vendor.calm()


def shown(sandbox: Sandbox, *rows: OutboxRow) -> list[int]:
    ids = sandbox.outbox_ids()
    return [ids.count(str(row.id)) for row in rows]


def test_the_pulse_and_its_answer_arrive_once(put: Put, warehouse: Any, sandbox: Sandbox) -> None:
    poster = SlackPoster(TOKEN, base_url=sandbox.url, timeout=5)
    pulse = put(
        payload={"text": "Pulse", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*Pulse*"}}]}
    )
    detail = put("detail", thread_of=pulse.id)
    for _ in range(3):
        deliver(warehouse, poster, policy=FAST)
        put()
    assert shown(sandbox, pulse, detail) == [1, 1]
    messages = {m["metadata"]["event_payload"]["outbox_id"]: m for m in sandbox.posted()}
    assert messages[str(detail.id)]["thread_ts"] == messages[str(pulse.id)]["ts"]
    assert read(warehouse, pulse).external_id == messages[str(pulse.id)]["ts"]


@pytest.mark.parametrize(
    "fault",
    ["accept_then_drop", "reset", "http_500", "http_502_html", "html_200", "truncate", "truncate_short", "http_429"],
)
@pytest.mark.parametrize("answer", [False, True], ids=["message", "answer"])
def test_a_fault_while_posting(fault: str, answer: bool, put: Put, warehouse: Any, sandbox: Sandbox) -> None:
    poster = SlackPoster(TOKEN, base_url=sandbox.url, timeout=5)
    rows = [put()]
    if answer:
        deliver(warehouse, poster, policy=FAST)
        rows.append(put("detail", thread_of=rows[0].id))
    sandbox.fault("slack", fault, POST)
    deliver(warehouse, poster, policy=FAST, patience=5)
    assert shown(sandbox, *rows) == [1] * len(rows)
    assert {read(warehouse, row).state for row in rows} == {State.SENT}


def test_a_history_that_cannot_be_read_holds(put: Put, warehouse: Any, sandbox: Sandbox) -> None:
    poster = SlackPoster(TOKEN, base_url=sandbox.url, timeout=5)
    row = put()
    sandbox.fault("slack", "accept_then_drop", POST)
    sandbox.fault("slack", "http_500", "conversations.history", times=99)
    deliver(warehouse, poster, policy=FAST, patience=1.5)
    assert read(warehouse, row).state is State.HELD
    sandbox.calm()
    policy = replace(FAST, reconcile=replace(FAST.reconcile, recheck=timedelta(0)))
    with warehouse() as conn:
        conn.execute("update ops.outbox set not_before = null")
    deliver(warehouse, poster, policy=policy)
    assert read(warehouse, row).state is State.SENT
    assert shown(sandbox, row) == [1]


def test_what_slack_refuses(put: Put, warehouse: Any, sandbox: Sandbox) -> None:
    poster = SlackPoster(TOKEN, base_url=sandbox.url, timeout=5)
    nowhere = put("a", channel="C0NOWHERE")
    ugly = put("b", payload={"text": "in words", "blocks": [{"type": "nonsense"}]})
    deliver(warehouse, poster, policy=FAST)
    assert read(warehouse, nowhere).error == "Slack chat.postMessage: channel_not_found"
    assert read(warehouse, ugly).state is State.SENT
    stranger = put("c")
    deliver(warehouse, SlackPoster("xoxb-stranger", base_url=sandbox.url), policy=FAST)
    assert "invalid_auth" in (read(warehouse, stranger).error or "")
    assert shown(sandbox, nowhere, ugly, stranger) == [0, 1, 0]


def test_slacks_own_pace(put: Put, warehouse: Any, tmp_path: Any) -> None:
    """With the limits of a normal account, ten messages in a row arrive: our pace is Slack's."""
    with running_sandbox(tmp_path, "standard") as sandbox:
        poster = SlackPoster(TOKEN, base_url=sandbox.url, timeout=5)
        rows = [put(f"kind_{number}") for number in range(5)]
        deliver(warehouse, poster, policy=replace(FAST, pace=timedelta(seconds=1)), patience=30)
        assert shown(sandbox, *rows) == [1] * 5
        throttled = [e for e in sandbox.control("GET", "ledger?vendor=slack&kind=request") if e["status"] == 429]
        assert throttled == []


def test_a_history_of_one_page_a_minute(put: Put, warehouse: Any, tmp_path: Any) -> None:
    """The limits of an app sold outside the Marketplace: one look-up is enough to find what arrived, and what
    did not arrive waits for the next one rather than being posted blindly."""
    with running_sandbox(tmp_path, "restricted") as sandbox:
        poster = SlackPoster(TOKEN, base_url=sandbox.url, timeout=5)
        arrived = put("arrived")
        sandbox.fault("slack", "accept_then_drop", POST)
        deliver(warehouse, poster, policy=FAST)
        assert read(warehouse, arrived).state is State.SENT
        lost = put("lost", channel_key="team", channel="C0TEAM")
        sandbox.fault("slack", "reset", POST)
        deliver(warehouse, poster, policy=FAST)
        after = read(warehouse, lost)
        assert after.state is State.AMBIGUOUS
        assert "ratelimited" in (after.error or "")
        assert shown(sandbox, arrived, lost) == [1, 0]
