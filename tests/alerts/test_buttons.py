"""Buttons under an alert, from the press at Slack to what its message shows: by signed HTTP and by Socket Mode."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops_platform.commands.listen import show
from ops_platform.documents import alert as document
from ops_platform.failures import ConfigurationError, PermanentFailure
from resources.slack_interactions import HttpListener, SignatureRefused, SocketListener, presses_of, verify
from resources.slack_posting import SlackPoster
from tests.alerts.shop import SECRET, TODAY, TOKEN, Shop, buttons, sales, texts
from tests.delivery.sandboxed import Sandbox, running_sandbox

# Slack's own example (docs.slack.dev, Verifying requests from Slack).
EXAMPLE_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
EXAMPLE_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
EXAMPLE_TIME = 1531420618
EXAMPLE_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("slack")) as running:
        yield running


@pytest.fixture
def shop(warehouse: Any, sandbox: Sandbox) -> Shop:
    """An alert at Slack that nobody has touched."""
    shop = Shop(warehouse, sandbox, SlackPoster(TOKEN, base_url=sandbox.url, timeout=5))
    shop.people()
    shop.turn(sales())
    return shop


def done(shop: Shop) -> list[tuple[Any, ...]]:
    with shop.connect() as connection:
        return connection.execute("select action, actor, via from ops.alert_actions order by id").fetchall()


@pytest.mark.parametrize("socket", [False, True], ids=["http", "socket"])
def test_a_press_is_acknowledged_done_and_shown(shop: Shop, socket: bool) -> None:
    assert buttons(shop.message()) == ["acknowledge", "assign", "snooze", "mute", "useful", "noise"]
    with shop.listening(socket=socket):
        (result,) = shop.press(document.ACKNOWLEDGE)["results"]
        assert (result["via"], result["acknowledged"]) == ("socket" if socket else "http", True)
        assert result["seconds"] < 3
        shop.settled(1)
        shop.press(document.ASSIGN, user="U0LEE")
        shop.settled(2)
    message = shop.message()
    assert buttons(message) == ["snooze", "mute", "useful", "noise"]
    assert "*Acknowledged* — by Dana Whitfield" in texts(message)
    assert "*Assigned* — to Lee Moran" in texts(message)
    assert done(shop) == [
        ("acknowledge", "Dana Whitfield", "slack:U0DANA"),
        ("assign", "Lee Moran", "slack:U0LEE"),
    ]
    assert len(shop.replies(message["ts"])) == 2  # the thread is told, once each


@pytest.mark.parametrize("socket", [False, True], ids=["http", "socket"])
def test_every_button_does_its_work(shop: Shop, socket: bool) -> None:
    """All six, one after the other, under one message, with what its thread and it say in the end."""
    later = (TODAY + timedelta(days=2)).isoformat()
    pressed: list[tuple[str, dict[str, Any]]] = [
        (document.ACKNOWLEDGE, {}), (document.ASSIGN, {"user": "U0LEE"}), (document.SNOOZE, {"selected_date": later}),
        (document.MUTE, {"selected_date": later}), (document.NOISE, {}), (document.USEFUL, {}),
    ]  # fmt: skip
    with shop.listening(socket=socket):
        for number, (action, more) in enumerate(pressed, start=1):
            (result,) = shop.press(action, **more)["results"]
            assert (result["via"], result["acknowledged"]) == ("socket" if socket else "http", True)
            shop.settled(number)
    assert [state for state, _ in shop.presses()] == ["done"] * 6
    assert [row[0] for row in done(shop)] == ["acknowledge", "assign", "snooze", "mute", "noise", "useful"]
    message = shop.message()
    shown, thread = texts(message), [reply["text"] for reply in shop.replies(message["ts"])]
    for line in (
        "*Acknowledged* — by Dana Whitfield", "*Assigned* — to Lee Moran", "*Snoozed* — until Thu 5 Nov",
        "*Muted* — through Thu 5 Nov", "*Judged* — useful",
    ):  # fmt: skip
        assert line in shown
    # What changes who does what, and when it is heard of again, is told in the thread; a verdict is shown only.
    assert len(thread) == 4 and all(word in " ".join(thread) for word in ("Dana Whitfield", "Lee Moran", "2026-11-05"))
    assert buttons(message) == ["snooze", "mute", "useful", "noise"]


@pytest.mark.parametrize(
    "more", [{"deliveries": 3}, {"deliveries": 3, "replay": True}], ids=["delivered thrice", "replayed"]
)
def test_the_same_press_again_acts_once(shop: Shop, more: dict[str, Any]) -> None:
    with shop.listening():
        results = shop.press(document.USEFUL, **more)["results"]
        shop.settled(1)
    # Slack's own second delivery is signed anew; the very same request again is nobody's but an eavesdropper's.
    assert [result["status"] for result in results] == ([200, 409, 409] if more.get("replay") else [200, 200, 200])
    assert [row[0] for row in done(shop)] == ["useful"]
    assert len(shop.presses()) == 1
    assert "*Judged* — useful" in texts(shop.message())


def test_an_envelope_is_acknowledged_once_each_time_it_comes(shop: Shop) -> None:
    before = len(shop.effects("envelope_acknowledged"))
    with shop.listening(socket=True):
        results = shop.press(document.NOISE, deliveries=3)["results"]
        shop.settled(1)
    assert [result["acknowledged"] for result in results] == [True, True, True]
    heard = [entry["envelope_id"] for entry in shop.effects("envelope_acknowledged")[before:]]
    assert len(heard) == len(set(heard)) == 3
    assert [row[0] for row in done(shop)] == ["noise"]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_socket_mode_connects_anew_when_slack_says_so(shop: Shop, reason: str) -> None:
    before = len(shop.effects("socket_opened"))
    with shop.listening(socket=True) as listener:
        shop.sandbox.control("POST", "slack/disconnect", {"reason": reason})
        until = time.monotonic() + 15
        while len(shop.effects("socket_opened")) < before + 2 or not listener.connected:
            assert time.monotonic() < until
            time.sleep(0.05)
        (result,) = shop.press(document.ACKNOWLEDGE)["results"]
        assert result["acknowledged"]
        shop.settled(1)
    assert [row[0] for row in done(shop)] == ["acknowledge"]


@pytest.mark.parametrize(
    ("user", "allowed", "words"),
    [
        ("U0OTHER", frozenset(), "not a member of this workspace"),
        ("U0GUEST", frozenset(), "guests may not"),
        ("U0LEE", frozenset({"U0DANA"}), "SLACK_ALERT_USERS"),
    ],
)
def test_a_stranger_is_refused_and_told_alone(shop: Shop, user: str, allowed: frozenset[str], words: str) -> None:
    before, shown = shop.effects("ephemeral_shown"), shop.message()
    with shop.listening(allowed=allowed):
        shop.press(document.ACKNOWLEDGE, user=user)
        assert [row[0] for row in shop.settled(1)] == ["refused"]
    (told,) = shop.effects("ephemeral_shown")[len(before) :]
    assert told["user"] == user
    assert words in told["text"]
    assert done(shop) == []
    assert shop.message() == shown


def test_a_day_that_cannot_be_is_refused_in_words(shop: Shop) -> None:
    before = len(shop.effects("ephemeral_shown"))
    with shop.listening():
        shop.press(document.SNOOZE, selected_date="2026-10-30")
        shop.settled(1)
        shop.press(document.SNOOZE, selected_date="2026-11-05")
        shop.settled(2)
        shop.press(document.MUTE, selected_date="2026-11-10")
        states = shop.settled(3)
    assert [state for state, _ in states] == ["refused", "done", "done"]
    assert shop.effects("ephemeral_shown")[before:][0]["text"].startswith("Not done: ")
    shown = texts(shop.message())
    assert "*Snoozed* — until Thu 5 Nov" in shown
    assert "*Muted* — through Tue 10 Nov" in shown


def test_what_is_over_shows_so_and_can_only_be_judged(shop: Shop) -> None:
    first = shop.message()["ts"]
    for day in (1, 2, 3):
        shop.turn(sales(day, "clear", value=None, effect=None, effect_money=None), day=day)
    with shop.connect() as connection:
        assert connection.execute("select state from ops.alerts").fetchall() == [("resolved",)]
    show(shop.poster, shop.connect, 1, TODAY)
    message = shop.poster.ask("conversations.history", {"channel": "C0ALERT", "limit": 1})["messages"][0]
    assert message["ts"] == first
    assert buttons(message) == ["useful", "noise"]
    assert message["blocks"][0]["text"]["text"].startswith("🟢 ")
    edited = message["edited"]
    show(shop.poster, shop.connect, 1, TODAY)  # nothing changed since: nothing is sent
    assert shop.message()["edited"] == edited
    with shop.listening():
        shop.press(document.NOISE, ts=shop.replies(first)[-1]["ts"])
        shop.settled(1)
    assert "*Judged* — noise" in texts(shop.message())
    assert "*Judged* — noise" in texts(shop.replies(first)[-1])


def test_a_press_that_was_kept_outlives_its_process(shop: Shop) -> None:
    """Acknowledged at Slack, and the process gone before it was done."""
    listener = HttpListener(shop.desk(), SECRET)  # its desk is never started: nobody does what it keeps
    listener.start()
    shop.sandbox.control("POST", "slack/interactivity", {"url": listener.url})
    (result,) = shop.press(document.ACKNOWLEDGE)["results"]
    listener.stop()
    assert (result["status"], shop.presses()) == (200, [("received", None)])
    desks = [shop.desk(), shop.desk()]
    assert [desk.work() for desk in desks] == [1, 0]
    assert [row[0] for row in done(shop)] == ["acknowledge"]


def test_nothing_is_acknowledged_that_cannot_be_kept(shop: Shop) -> None:
    away = replace_connect(shop)
    listener = HttpListener(away.desk(), SECRET)
    listener.start()
    shop.sandbox.control("POST", "slack/interactivity", {"url": listener.url})
    (result,) = shop.press(document.ACKNOWLEDGE)["results"]
    listener.stop()
    assert (result["status"], result["shown"]) == (503, "warning")
    assert shop.presses() == []


def replace_connect(shop: Shop) -> Shop:
    import psycopg

    def away() -> Any:
        raise psycopg.OperationalError("the database is away")

    return replace(shop, connect=away)


# Signatures and payloads ------------------------------------------------------------------------------------


def test_slacks_own_example_is_accepted() -> None:
    arguments = (str(EXAMPLE_TIME), EXAMPLE_SIGNATURE, EXAMPLE_BODY)
    for drift in (-299, 0, 300):
        assert verify(EXAMPLE_SECRET, *arguments, EXAMPLE_TIME + drift) == EXAMPLE_SIGNATURE


@pytest.mark.parametrize(
    ("secret", "stamp", "signature", "body", "now"),
    [
        ("another secret", str(EXAMPLE_TIME), EXAMPLE_SIGNATURE, EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, str(EXAMPLE_TIME), EXAMPLE_SIGNATURE, EXAMPLE_BODY + b"&", EXAMPLE_TIME),
        (EXAMPLE_SECRET, str(EXAMPLE_TIME + 1), EXAMPLE_SIGNATURE, EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, str(EXAMPLE_TIME), EXAMPLE_SIGNATURE.replace("v0=", "v1="), EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, str(EXAMPLE_TIME), EXAMPLE_SIGNATURE[:-1], EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, str(EXAMPLE_TIME), "v0=ünicode", EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, str(EXAMPLE_TIME), None, EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, None, EXAMPLE_SIGNATURE, EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, "now", EXAMPLE_SIGNATURE, EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, "-1", EXAMPLE_SIGNATURE, EXAMPLE_BODY, EXAMPLE_TIME),
        (EXAMPLE_SECRET, str(EXAMPLE_TIME), EXAMPLE_SIGNATURE, EXAMPLE_BODY, EXAMPLE_TIME + 301),
        (EXAMPLE_SECRET, str(EXAMPLE_TIME), EXAMPLE_SIGNATURE, EXAMPLE_BODY, EXAMPLE_TIME - 301),
    ],
)
def test_what_slack_did_not_sign_is_refused(
    secret: str, stamp: str | None, signature: str | None, body: bytes, now: int
) -> None:
    with pytest.raises(SignatureRefused):
        verify(secret, stamp, signature, body, now)


def test_the_listener_reads_nothing_unsigned_and_little_at_all(warehouse: Any, sandbox: Sandbox) -> None:
    import http.client

    shop = Shop(warehouse, sandbox, SlackPoster(TOKEN, base_url=sandbox.url, timeout=5))
    listener = HttpListener(shop.desk(), SECRET)
    listener.start()
    where = urllib.parse.urlsplit(listener.url)
    assert where.hostname == "127.0.0.1"
    forged = {"X-Slack-Request-Timestamp": str(int(time.time())), "X-Slack-Signature": "v0=" + "0" * 64}

    def status(method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", where.port, timeout=5)
        connection.request(method, path, body, headers or {})
        found = connection.getresponse().status
        connection.close()
        return found

    try:
        payload = b"payload=" + urllib.parse.quote(json.dumps({"type": "block_actions"})).encode()
        assert status("POST", where.path, payload) == 401
        assert status("POST", where.path, payload, forged) == 401
        assert status("POST", "/elsewhere", payload, forged) == 404
        assert status("POST", where.path, None, {"Content-Length": "2000000"}) == 413
        assert status("GET", where.path) == 404
        assert status("GET", "/health") == 200
    finally:
        listener.stop()


def payload(**changes: Any) -> dict[str, Any]:
    action = {
        "type": "button", "action_id": document.ACKNOWLEDGE, "block_id": "alert:12:0:handle", "action_ts": "1.5",
        **changes.pop("action", {}),
    }  # fmt: skip
    return {
        "type": "block_actions",
        "user": {"id": "U0DANA", "team_id": "T0SANDBOX", "name": "dana"},
        "team": {"id": "T0SANDBOX"},
        "channel": {"id": "C0ALERT"},
        "container": {"message_ts": "1764000000.000100"},
        "actions": [action],
        **changes,
    }


def test_a_press_is_itself_and_no_other() -> None:
    (press,) = presses_of(payload())
    assert (press.number, press.action, press.person, press.day) == (12, "acknowledge", "U0DANA", None)
    assert presses_of(payload())[0].key == press.key
    others = [
        payload(action={"action_ts": "1.6"}), payload(action={"action_id": document.ASSIGN}),
        payload(user={"id": "U0LEE", "team_id": "T0SANDBOX"}), payload(channel={"id": "C0TEAM"}),
    ]  # fmt: skip
    assert len({presses_of(each)[0].key for each in others} | {press.key}) == 5


def test_what_is_no_press_of_ours_is_let_be() -> None:
    assert presses_of({"type": "view_submission"}) == []
    assert presses_of(payload(action={"action_id": document.OPEN})) == []  # Slack tells of opened links, too
    assert presses_of(payload(actions=None)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"action": {"block_id": "alert:x:0:handle"}},
        {"action": {"block_id": "alert:12:0:handle; drop"}},
        {"action": {"action_id": document.SNOOZE}},
        {"action": {"action_id": document.SNOOZE, "selected_date": "soon"}},
        {"user": {"id": "<@U1>"}},
        {"user": None},
        {"container": {"message_ts": "now"}},
    ],
)
def test_a_press_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PermanentFailure):
        presses_of(payload(**changes))


def test_a_bot_token_opens_no_socket(warehouse: Any, sandbox: Sandbox) -> None:
    shop = Shop(warehouse, sandbox, SlackPoster(TOKEN, base_url=sandbox.url, timeout=5))
    with pytest.raises(ConfigurationError, match="xapp-"):
        SocketListener(shop.desk(), TOKEN)
    refused = SocketListener(shop.desk(), "xapp-unknown", base_url=sandbox.url, timeout=5)
    refused.start()
    until = time.monotonic() + 5
    while refused.failed is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    refused.stop()
    assert "invalid_auth" in str(refused.failed)


# Killed -----------------------------------------------------------------------------------------------------


def work_and_die(dsn: str, failpoint: str) -> None:
    """What a listener's worker does with what was kept, killed at `failpoint`."""
    import os

    import psycopg

    from ops_platform.alerts.composing import AlertComposer
    from ops_platform.alerts.pressed import PressedActions
    from ops_platform.alerts.presses import Person, settle, waiting
    from ops_platform.fleet.profile import company_profile
    from tests.alerts.scenes import MORNING, fleet

    os.environ["OPS_FAILPOINT"] = failpoint
    company = fleet()
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        for key in waiting(connection):
            connection.commit()
            settle(
                connection, key, act=PressedActions(company, AlertComposer(company_profile(company))),
                person_of=lambda press: Person("Dana Whitfield", allowed=True), now=lambda: MORNING,
                wall=lambda: MORNING,
            )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failpoint", "after"),
    [("alerts.acted", 0), ("alerts.action_committed", 0), ("presses.acted", 0), ("presses.settled", 1)],
)
def test_a_worker_killed_anywhere_does_a_press_once(shop: Shop, failpoint: str, after: int) -> None:
    import multiprocessing

    listener = HttpListener(shop.desk(), SECRET)
    listener.start()
    shop.sandbox.control("POST", "slack/interactivity", {"url": listener.url})
    shop.press(document.ACKNOWLEDGE)
    listener.stop()
    with shop.connect() as connection:
        dsn = connection.info.dsn
    worker = multiprocessing.get_context("spawn").Process(target=work_and_die, args=(dsn, failpoint))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -9
    assert len(done(shop)) == after
    shop.desk().work()
    assert [row[0] for row in done(shop)] == ["acknowledge"]
    shop.deliver()
    assert len(shop.replies(shop.message()["ts"])) == 1
    assert [state for state, _ in shop.presses()] == ["done"]


# The doctor ---------------------------------------------------------------------------------------------------


def rows(sandbox: Sandbox, **changes: Any) -> dict[str, Any]:
    from ops_platform.commands.doctor import buttons_findings
    from ops_platform.settings import Settings

    given = {"slack_bot_token": TOKEN, "slack_base_url": sandbox.url, **changes}
    return {one.check: one for one in buttons_findings(Settings(**given), 5)}


@pytest.mark.parametrize(
    ("token", "said", "to_do"),
    [
        ("xapp-sandbox", "gives an address", ""),
        ("xoxb-sandbox", "begins with xapp-", "App-Level Tokens"),
        ("xapp-sandbox-unscoped", "missing_scope", "connections:write"),
        ("xapp-sandbox-revoked", "token_revoked", "make a new one"),
        ("xapp-unknown", "invalid_auth", "make a new one"),
    ],
)
def test_the_doctor_tries_socket_mode(sandbox: Sandbox, token: str, said: str, to_do: str) -> None:
    found = rows(sandbox, slack_app_token=token)["slack socket mode"]
    assert found.state == ("ok" if token == "xapp-sandbox" else "failed")
    assert said in found.detail and to_do in found.advice
    assert token == "xapp-sandbox" or token not in found.detail + found.advice
    # Asking opens nothing.
    assert rows(sandbox, slack_app_token=token)["slack socket mode"].detail == found.detail


def test_a_slack_that_is_away_is_not_a_bad_token(sandbox: Sandbox) -> None:
    found = rows(sandbox, slack_app_token="xapp-sandbox", slack_base_url="http://127.0.0.1:9")["slack socket mode"]
    assert found.state == "failed" and "try again" in found.advice
    sandbox.fault("slack", "error", "apps.connections.open", error="internal_error")
    found = rows(sandbox, slack_app_token="xapp-sandbox")["slack socket mode"]
    sandbox.calm()
    assert found.state == "failed" and "internal_error" in found.detail and "try again" in found.advice


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (SECRET, "as Slack's are"),
        ("xoxb-123-456", "this is a token"),
        (f" {SECRET}", "white space"),
        ("aB3dEfGh1jKlMn0pQrStUvWx", "verification token"),
        ("secret", "6 characters"),
        (SECRET.upper(), "32 hexadecimal"),
    ],
)
def test_the_doctor_knows_a_signing_secret_by_its_shape(sandbox: Sandbox, secret: str, said: str) -> None:
    found = rows(sandbox, slack_signing_secret=secret)["slack signing secret"]
    assert found.state == ("ok" if secret == SECRET else "failed")
    assert said in found.detail and secret.strip() not in found.detail + found.advice
    assert secret == SECRET or "Signing Secret" in found.advice


def test_the_doctor_says_when_buttons_do_nothing(sandbox: Sandbox) -> None:
    found = rows(sandbox)["slack buttons"]
    assert found.state == "not connected" and "ops alert" in found.advice
    assert rows(sandbox, slack_bot_token=None) == {}
