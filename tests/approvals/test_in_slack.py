"""A request as people meet it in Slack: its message, its buttons, its thread, and where it stands later."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from ops_platform.action_items.store import standing
from ops_platform.alerts.presses import Handlers, Person
from ops_platform.approvals import message as shown
from ops_platform.approvals.inbox import Inbox
from ops_platform.approvals.message import show_standing
from ops_platform.approvals.pressed import PressedApprovals
from ops_platform.approvals.thread_subjects import payload
from ops_platform.delivery import deliver
from ops_platform.failures import PermanentFailure
from resources.slack_interactions import Desk, HttpListener, SlackPeople, answer_privately, presses_of
from resources.slack_posting import SlackPoster
from tests.alerts.shop import SECRET, TOKEN, texts
from tests.approvals.campaign import asked_for
from tests.approvals.campaign import inbox as threads_inbox
from tests.approvals.notes import CHANNELS, DUE, NOW, Notes, asked, events, inbox, posted, say, states
from tests.approvals.test_threads import ACTIONS
from tests.delivery.conftest import FAST
from tests.delivery.sandboxed import Sandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("slack")) as running:
        for person in (
            {"id": "U0DANA", "name": "dana", "real_name": "Dana Whitfield"},
            {"id": "U0LEE", "name": "lee", "real_name": "Lee Moran"},
            {"id": "U0KIM", "name": "kim", "real_name": "Kim Osei"},
        ):
            running.control("POST", "mutate", {"vendor": "slack", "op": "add_user", "data": person})
        yield running


@dataclass
class Office:
    """A request at Slack and the listener that takes what people press."""

    connect: Any
    sandbox: Sandbox
    poster: SlackPoster
    inbox: Inbox = field(default_factory=inbox)
    channel: str = "C0EXEC"

    def deliver(self) -> None:
        report = deliver(self.connect, self.poster, policy=FAST)
        assert not (report.failed or report.held or report.waiting), str(report)

    def desk(self) -> Desk:
        from ops_platform.commands.listen import after_press

        return Desk(
            connect=self.connect,
            act=Handlers({"approval": PressedApprovals(self.inbox)}),
            people=SlackPeople(self.poster.ask),
            now=lambda: NOW,
            answer=partial(answer_privately, base_url=self.sandbox.url),
            after=partial(after_press, poster=self.poster, connect=self.connect, inbox=self.inbox, policy=FAST),
        )

    @contextmanager
    def listening(self) -> Iterator[HttpListener]:
        desk = self.desk()
        listener = HttpListener(desk, SECRET)
        desk.start()
        listener.start()
        self.sandbox.control("POST", "slack/interactivity", {"url": listener.url})
        try:
            yield listener
        finally:
            self.sandbox.control("POST", "slack/interactivity", {"url": None})
            listener.stop()
            desk.stop()

    def message(self) -> dict[str, Any]:
        page = self.poster.ask("conversations.history", {"channel": self.channel, "limit": 1})
        return dict(page["messages"][0])

    def thread(self) -> list[str]:
        page = self.poster.ask("conversations.replies", {"channel": self.channel, "ts": self.message()["ts"]})
        return [texts(message) for message in page["messages"][1:]]

    def press(self, action: str, user: str = "U0DANA", **more: Any) -> dict[str, Any]:
        body = {"channel": self.channel, "ts": self.message()["ts"], "action_id": action, "user": user, **more}
        return dict(self.sandbox.control("POST", "slack/press", body))

    def settled(self, count: int) -> list[tuple[str, str]]:
        until = time.monotonic() + 10
        while True:
            with self.connect() as connection:
                rows = connection.execute(
                    "select state, outcome from ops.alert_presses where answered order by received_at"
                ).fetchall()
            if len(rows) >= count:
                return rows
            assert time.monotonic() < until, rows
            time.sleep(0.02)

    def told_alone(self) -> list[str]:
        found = self.sandbox.control("GET", "ledger?vendor=slack&kind=ephemeral_shown")
        return [entry["detail"]["text"] for entry in found]


@pytest.fixture(autouse=True)
def clock_stands(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from ops_platform.settings import reset_settings

    monkeypatch.setenv("OPS_NOW", NOW.isoformat())
    reset_settings()
    yield
    reset_settings()


@pytest.fixture
def office(warehouse: Any, sandbox: Sandbox) -> Office:
    office = Office(warehouse, sandbox, SlackPoster(TOKEN, base_url=sandbox.url, timeout=5))
    asked(warehouse, office.inbox, "Stock is counted on Friday <!channel> https://evil.example")
    office.deliver()
    return office


def buttons(message: dict[str, Any]) -> list[str]:
    return [
        element["action_id"]
        for block in message["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
    ]


def test_the_message_shows_what_when_and_exactly_which(office: Office) -> None:
    message = office.message()
    said = texts({"blocks": [block for block in message["blocks"] if block["type"] != "input"]})
    assert "🖊 For decision: A note" in said
    assert "posts this note" in said
    assert "Decide by  Thu 5 Nov 09:00 · after that it counts as refused" in said
    assert "Stock is counted on Friday &lt;!channel&gt;" in said
    assert "asked for by the job notes" in said
    assert buttons(message) == [shown.APPROVE, shown.REJECT, shown.ASK]
    (field_,) = [block for block in message["blocks"] if block["type"] == "input"]
    assert field_["element"]["action_id"] == shown.FIELD
    with office.connect() as connection:
        (digest,) = connection.execute("select payload_hash from ops.approval_versions").fetchone()
    (actions,) = [block for block in message["blocks"] if block["type"] == "actions"]
    assert actions["block_id"] == f"approval:1:1:{digest}"
    assert digest[:12] in said and digest[:12] in actions["elements"][0]["confirm"]["text"]["text"]


def test_approved_by_a_button_it_is_done_once_and_the_thread_is_told(office: Office) -> None:
    with office.listening():
        results = office.press(shown.APPROVE, deliveries=3, typed={shown.FIELD: "good"})["results"]
        office.settled(1)
    assert [result["status"] for result in results] == [200, 200, 200]
    assert posted(office.connect) == ["Stock is counted on Friday &lt;!channel> https://evil.example"]
    assert states(office.connect) == [(1, "sent")]
    said, done = office.thread()
    assert said.startswith("*Dana Whitfield* approved version 1 (") and "“good”" in said
    assert done.startswith("Done, once, with version 1 (") and "Posted to the team channel." in done
    message = office.message()
    assert buttons(message) == []
    assert "✅ Approved and done: A note" in texts(message)
    assert "*Approved* — by Dana Whitfield: good" in texts(message)


def test_two_press_at_once_and_one_is_told_that_it_is_decided(office: Office) -> None:
    before = len(office.told_alone())
    desk = office.desk()  # not started: both presses are there before either is settled
    listener = HttpListener(desk, SECRET)
    listener.start()
    office.sandbox.control("POST", "slack/interactivity", {"url": listener.url})
    office.press(shown.REJECT)
    office.press(shown.APPROVE, user="U0LEE")
    listener.stop()
    import threading

    workers = [threading.Thread(target=office.desk().work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    outcomes = sorted(state for state, _ in office.settled(2))
    assert outcomes == ["done", "refused"]
    assert len(office.told_alone()) == before + 1
    decided = [event for event in events(office.connect) if event in ("approved", "rejected")]
    assert len(decided) == 1
    assert len(posted(office.connect)) == (decided == ["approved"])


def test_a_button_of_before_an_edit_is_refused(office: Office) -> None:
    before = len(office.told_alone())
    with office.connect() as connection:
        (digest,) = connection.execute("select payload_hash from ops.approval_versions").fetchone()
    say(office.connect, office.inbox, "edit", 1, shown=digest, texts={"text": "Edited."})
    with office.listening():
        office.press(shown.APPROVE, user="U0LEE")  # the message still shows version 1
        office.settled(1)
    assert "has changed since you were shown it: version 2" in office.told_alone()[before]
    assert states(office.connect) == [(1, "draft")]
    show_standing(office.connect, office.poster, office.inbox)
    assert "Edited." in texts({"blocks": [b for b in office.message()["blocks"] if b["type"] != "input"]})
    with office.listening():
        office.press(shown.APPROVE, user="U0LEE")
        office.settled(2)
    assert posted(office.connect) == ["Edited."]


def test_a_press_that_is_too_late_refuses_for_good(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its presser is told, and no later press counts, whatever the clock says then."""
    before, desk = len(office.told_alone()), office.desk()
    listener = HttpListener(desk, SECRET)
    listener.start()
    office.sandbox.control("POST", "slack/interactivity", {"url": listener.url})
    for moment in (DUE, NOW):
        office.press(shown.APPROVE, user="U0LEE")
        desk.now = partial(deepcopy, moment)
        desk.work()
    listener.stop()
    assert [state for state, _ in office.settled(2)] == ["refused", "refused"]
    assert all("was not decided in time" in words for words in office.told_alone()[before:])
    assert states(office.connect) == [(1, "expired")] and posted(office.connect) == []


def test_who_may_not_decide_is_told_alone(office: Office) -> None:
    before = len(office.told_alone())
    with office.listening():
        office.press(shown.APPROVE, user="U0KIM")
        office.settled(1)
    assert office.told_alone()[before:] == ["Not done: this is for Dana Whitfield, Lee Moran to decide"]
    assert states(office.connect) == [(1, "draft")]


def test_a_question_needs_words_and_is_in_the_thread(office: Office) -> None:
    before = len(office.told_alone())
    with office.listening():
        office.press(shown.ASK)
        office.settled(1)
        office.press(shown.ASK, typed={shown.FIELD: "Which <@U1> warehouse?"})
        office.settled(2)
    assert "write your question into the field" in office.told_alone()[before]
    (told,) = office.thread()
    assert told.startswith("*Dana Whitfield* asks about version 1") and "Which &lt;@U1&gt; warehouse?" in told
    assert "*Question* — by Dana Whitfield" in texts(
        {"blocks": [block for block in office.message()["blocks"] if block["type"] != "input"]}
    )
    assert buttons(office.message()) == [shown.APPROVE, shown.REJECT, shown.ASK]


def test_a_message_that_was_deleted_is_not_tried_for_ever(office: Office) -> None:
    class Gone:
        calls = 0

        def update(self, *_: Any, **__: Any) -> None:
            self.calls += 1
            raise PermanentFailure("message_not_found")

    gone = Gone()
    with office.connect() as connection:
        (digest,) = connection.execute("select payload_hash from ops.approval_versions").fetchone()
    say(office.connect, office.inbox, "reject", 1, shown=digest)
    for _ in range(3):
        show_standing(office.connect, gone, office.inbox)
    assert gone.calls == 1


def test_a_failure_is_told_and_said_in_the_message(warehouse: Any, sandbox: Sandbox) -> None:
    desk = inbox(Notes([PermanentFailure("the channel is archived")]))
    office = Office(warehouse, sandbox, SlackPoster(TOKEN, base_url=sandbox.url, timeout=5), desk)
    asked(warehouse, desk)
    office.deliver()
    with office.listening():
        office.press(shown.APPROVE)
        office.settled(1)
    assert states(warehouse) == [(1, "failed")] and posted(warehouse) == []
    assert "Could not be done with version 1" in office.thread()[1]
    assert "Approved, and not done" in texts(office.message())


def press_payload(block_id: str, action_id: str = shown.APPROVE) -> dict[str, Any]:
    return {
        "type": "block_actions", "user": {"id": "U0DANA", "team_id": "T0SANDBOX"}, "team": {"id": "T0SANDBOX"},
        "channel": {"id": "C0EXEC"}, "container": {"message_ts": "1764000000.000100"},
        "state": {"values": {"x": {shown.FIELD: {"type": "plain_text_input", "value": "w\x00 " * 2000}}}},
        "actions": [{"type": "button", "action_id": action_id, "block_id": block_id, "action_ts": "1.5"}],
    }  # fmt: skip


def test_a_press_carries_the_whole_fingerprint_and_few_words() -> None:
    (press,) = presses_of(press_payload(f"approval:12:3:{'a' * 64}"))
    assert (press.about, press.number, press.shown) == ("approval", 12, "a" * 64)
    assert len(press.words) <= 2000 and "\x00" not in press.words


@pytest.mark.parametrize(
    "block_id",
    [
        f"approval:12:3:{'a' * 63}",
        f"approval:12:{'a' * 64}",
        "alert:12:0:handle",
        f"approval:x:3:{'a' * 64}",
        "approval:12:3:",
    ],
)
def test_a_press_that_makes_no_sense_is_refused(block_id: str) -> None:
    with pytest.raises(PermanentFailure):
        presses_of(press_payload(block_id))


def test_without_a_handler_nothing_is_done(office: Office) -> None:
    from ops_platform.alerts.presses import keep, settle

    (press,) = presses_of(press_payload(f"approval:1:1:{'a' * 64}"))
    with office.connect() as connection:
        keep(connection, press, via="http", at=NOW)
        settled = settle(
            connection, press.key, act=Handlers({}), person_of=lambda _: Person("Dana", allowed=True),
            now=lambda: NOW, wall=lambda: NOW,
        )  # fmt: skip
    assert settled is not None and settled.state == "refused" and "nobody here handles" in settled.words


def test_the_listeners_turn_sees_to_what_others_left_behind(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approved, and the process gone before it was done; and one that nobody decided in time."""
    from ops_platform.commands.listen import do_approved
    from ops_platform.settings import reset_settings

    with office.connect() as connection:
        (digest,) = connection.execute("select payload_hash from ops.approval_versions").fetchone()
    say(office.connect, office.inbox, "approve", 1, shown=digest)
    asked(office.connect, office.inbox, "Nobody cares.", subject="monday")
    office.deliver()
    monkeypatch.setenv("OPS_NOW", DUE.isoformat())
    reset_settings()
    do_approved(office.poster, office.connect, office.inbox, None)
    assert states(office.connect) == [(1, "sent"), (2, "expired")]
    assert len(posted(office.connect)) == 1
    assert "⌛ Not decided in time: refused: A note" in texts(office.message())


# The threads of playbooks ------------------------------------------------------------------------------------


def signed_post(url: str, payload: dict[str, Any], secret: str = SECRET, age: float = 0) -> int:
    """The status of a press as Slack would send it: a form, signed by the time of `age` seconds ago."""
    body, stamp = urlencode({"payload": json.dumps(payload)}).encode(), str(int(time.time() - age))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    return httpx.post(url, content=body, headers=headers, timeout=5, verify=False).status_code


@pytest.mark.parametrize("kind", ["growth_review", "campaign", "incident"])
def test_threads_of_playbooks_are_decided_by_a_signed_press_once(warehouse: Any, sandbox: Sandbox, kind: str) -> None:
    role, desk = {"growth_review": "executive", "campaign": "team", "incident": "alerts"}[kind], threads_inbox()
    office = Office(warehouse, sandbox, SlackPoster(TOKEN, base_url=sandbox.url, timeout=5), desk, CHANNELS[role])
    if kind == "campaign":
        asked_for(warehouse, desk, channel_key=role)
    else:
        given = payload("2026-11-02", "As it stands.", None, ACTIONS if kind == "growth_review" else [])
        asked(warehouse, desk, kind=kind, payload=given, author="job:ops", channel_key=role, assignee="lee")
    office.deliver()
    before = len(office.told_alone())
    with office.listening() as listener:
        pressed = office.press(shown.APPROVE, deliveries=2, replay=True, typed={shown.FIELD: "go"})
        office.settled(1)
        # Slack's second delivery was the very same signed request: it is known, and does nothing.
        assert [one["status"] for one in pressed["results"]] == [200, 409]
        # Forged, or from a time that is over: nothing of it is looked at.
        again = {**pressed["payload"], "user": {**pressed["payload"]["user"], "id": "U0LEE"}}
        assert signed_post(listener.url, again, secret="0" * 32) == 401
        assert signed_post(listener.url, again, age=301) == 401
        # Lee's Slack still shows the buttons: well received, and told who was first.
        assert signed_post(listener.url, again) == 200
        rows = office.settled(2)
    assert sorted(state for state, _ in rows) == ["done", "refused"]
    (told,) = office.told_alone()[before:]
    assert "was approved and is done by Dana Whitfield" in told
    assert states(warehouse) == [(1, "sent")]
    assert [event for event in events(warehouse) if event in ("approved", "rejected", "sent")] == ["approved", "sent"]
    with warehouse() as connection:
        opened = len(standing(connection))
        drafts = connection.execute("select count(*) from ops.campaign_handovers").fetchone()
    assert (opened, drafts) == {"growth_review": (2, (0,)), "campaign": (0, (2,)), "incident": (0, (0,))}[kind]
    thread = office.thread()
    assert thread[0].startswith("*Dana Whitfield* approved version 1") and thread[1].startswith("Done, once")
    assert buttons(office.message()) == []
