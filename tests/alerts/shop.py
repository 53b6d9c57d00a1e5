"""A workspace with alerts in it, for the tests of buttons: the sandbox's Slack, a real database, the real machine."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.composing import AlertComposer
from ops_platform.alerts.cycle import handle
from ops_platform.alerts.pressed import PressedActions
from ops_platform.alerts.signal import Driver
from ops_platform.delivery import deliver
from ops_platform.fleet.profile import company_profile
from resources.slack_interactions import Desk, HttpListener, SlackPeople, SocketListener, answer_privately
from resources.slack_posting import SlackPoster
from tests.alerts.scenes import CHANNELS, DAY, MORNING, fleet, signal
from tests.delivery.conftest import FAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.alerts.signal import Signal
    from tests.delivery.sandboxed import Sandbox

TOKEN, APP_TOKEN, SECRET = "xoxb-sandbox", "xapp-sandbox", "5a4db0c5519a15ec2e7fa11ed0e5ca9e"
TODAY = date(2026, 11, 3)
COMPANY = fleet()


def sales(day: int = 0, found: str = "breached", **changes: Any) -> Signal:
    """Net sales below their range, with a driver."""
    made = replace(
        signal("net_sales", found, day, severity="critical"),
        label="Net sales", value=Decimal("8120.40"), expected_low=Decimal(11200), expected=Decimal(12990),
        expected_high=Decimal(14800), effect=Decimal("-4869.60"), effect_money=Decimal("-4869.60"),
        drivers=(Driver("channel amazon", Decimal(-3900), Decimal("0.80")),),
        explanation="the same weekday of eight weeks",
    )  # fmt: skip
    return replace(made, **changes)


@dataclass
class Shop:
    """`connect` opens connections to the database, `sandbox` plays Slack."""

    connect: Any
    sandbox: Sandbox
    poster: SlackPoster

    def turn(self, *signals: Signal, day: int = 0) -> None:
        """One committed turn of the machine, and its messages at Slack."""
        with self.connect() as connection:
            handle(
                connection, signals, MORNING + day * DAY, fleet=COMPANY,
                compose=AlertComposer(company_profile(COMPANY)), channels=CHANNELS.__getitem__,
            )  # fmt: skip
        self.deliver()

    def deliver(self) -> None:
        report = deliver(self.connect, self.poster, policy=FAST)
        assert not (report.failed or report.held or report.waiting), str(report)

    def desk(self, *, allowed: frozenset[str] = frozenset()) -> Desk:
        from ops_platform.commands.listen import after_press

        return Desk(
            connect=self.connect,
            act=PressedActions(COMPANY, AlertComposer(company_profile(COMPANY))),
            people=SlackPeople(self.poster.ask, allowed),
            now=lambda: MORNING,
            answer=partial(answer_privately, base_url=self.sandbox.url),
            after=partial(after_press, poster=self.poster, connect=self.connect, today=lambda: TODAY, policy=FAST),
        )

    @contextmanager
    def listening(self, *, socket: bool = False, allowed: frozenset[str] = frozenset()) -> Iterator[Any]:
        """Listen by HTTP (or by a WebSocket), and have Slack's side know it."""
        import time

        desk = self.desk(allowed=allowed)
        listener: Any
        if socket:
            listener = SocketListener(desk, APP_TOKEN, base_url=self.sandbox.url, timeout=5)
        else:
            listener = HttpListener(desk, SECRET)
        desk.start()
        listener.start()
        try:
            if socket:
                until = time.monotonic() + 10
                while not listener.connected:
                    assert time.monotonic() < until, listener.failed
                    time.sleep(0.02)
            else:
                self.sandbox.control("POST", "slack/interactivity", {"url": listener.url})
            yield listener
        finally:
            if not socket:
                self.sandbox.control("POST", "slack/interactivity", {"url": None})
            listener.stop()
            desk.stop()

    def message(self) -> dict[str, Any]:
        """The alert channel's newest message as Slack shows it now."""
        page = self.poster.ask("conversations.history", {"channel": "C0ALERT", "limit": 1})
        return dict(page["messages"][0])

    def replies(self, ts: str) -> list[dict[str, Any]]:
        page = self.poster.ask("conversations.replies", {"channel": "C0ALERT", "ts": ts})
        return list(page["messages"][1:])

    def people(self) -> None:
        """Two members, a guest, somebody of a connected workspace."""
        for person in (
            {"id": "U0DANA", "name": "dana", "real_name": "Dana Whitfield"},
            {"id": "U0LEE", "name": "lee", "real_name": "Lee Moran"},
            {"id": "U0GUEST", "name": "guest", "real_name": "A Guest", "partner": "Some Factory"},
            {"id": "U0OTHER", "name": "other", "real_name": "Somebody Else", "team": "T0OTHER"},
        ):
            self.sandbox.control("POST", "mutate", {"vendor": "slack", "op": "add_user", "data": person})

    def press(self, action_id: str, **more: Any) -> dict[str, Any]:
        more.setdefault("user", "U0DANA")
        body = {"channel": "C0ALERT", "ts": more.pop("ts", None) or self.message()["ts"], "action_id": action_id}
        return dict(self.sandbox.control("POST", "slack/press", {**body, **more}))

    def effects(self, kind: str) -> list[dict[str, Any]]:
        return [entry["detail"] for entry in self.sandbox.control("GET", f"ledger?vendor=slack&kind={kind}")]

    def presses(self) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute("select state, outcome from ops.alert_presses order by received_at").fetchall()

    def settled(self, count: int) -> list[tuple[Any, ...]]:
        """Wait until `count` presses are settled and answered."""
        import time

        until = time.monotonic() + 10
        while True:
            with self.connect() as connection:
                row = connection.execute("select count(*) from ops.alert_presses where answered").fetchone()
            if row[0] >= count:
                return self.presses()
            assert time.monotonic() < until, self.presses()
            time.sleep(0.02)


def texts(message: dict[str, Any]) -> str:
    """All that a message shows, in one string."""
    found = []
    for block in message.get("blocks", []):
        if "text" in block:
            found.append(block["text"]["text"])
        for element in block.get("elements", []):
            inner = element.get("text") or element.get("placeholder")
            found.append(inner["text"] if isinstance(inner, dict) else str(inner))
    return "\n".join(found)


def buttons(message: dict[str, Any]) -> list[str]:
    return [
        element["action_id"].removeprefix("alert_")
        for block in message.get("blocks", [])
        if block["type"] == "actions"
        for element in block["elements"]
    ]
