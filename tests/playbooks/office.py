"""A process of the platform that lives until it is killed: it runs playbooks, takes presses and words, does what was
approved.

Belongs here: such a process, what it can be told over a pipe, the playbook whose campaign waits for a word. Does not
belong here: who says what when, and what must be true afterwards (`test_schedules.py`).

As in `ops listen` the product's own listener, desk, engine and hand-over work in one process. Its connections are kept
for the next use and cleaned in between (`discard all`, as a pooler does it): a process that opens each anew spends half
its time on that, and shows nothing more.
"""

from __future__ import annotations

import gc
import os
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from pydantic import Field, SecretStr

import resources.http_transport  # noqa: F401  # here once, not in every life
from ops_platform import failpoints
from ops_platform.alerts.presses import Handlers, Settled
from ops_platform.approvals.campaign_handover import hand_over
from ops_platform.approvals.execution import execute_approved
from ops_platform.approvals.inbox import Inbox
from ops_platform.approvals.message import show_standing
from ops_platform.approvals.model import Person
from ops_platform.approvals.pressed import PressedApprovals
from ops_platform.delivery import deliver
from ops_platform.failures import OpsError, TransientFailure
from ops_platform.fleet.approval_policy import ApprovalPolicy
from ops_platform.playbooks.checks import House, plan_of
from ops_platform.playbooks.engine import Machine, run
from ops_platform.playbooks.plan import Plan
from ops_platform.playbooks.runners.condition import ConditionRunner
from ops_platform.playbooks.runners.create_thread import CreateThreadRunner
from ops_platform.playbooks.runners.tool_call import ToolCallRunner
from ops_platform.playbooks.steps import Runners
from ops_platform.playbooks.tools import StepContext, Tool, Toolbox, ToolInput, ToolOutput
from ops_platform.settings import Settings, reset_settings
from resources.klaviyo import drafts
from resources.slack_interactions import Desk, HttpListener, SlackPeople
from resources.slack_posting import SlackPoster
from sandbox.klaviyo.side import DRAFTS_KEY
from tests.alerts.shop import SECRET, TOKEN
from tests.approvals.campaign import inbox
from tests.approvals.stored import company
from tests.delivery.conftest import FAST
from tests.playbooks.shop import NOW, TOOLS, ZONE, call, condition, playbook

PEOPLE = {
    "dana": Person("dana", "Dana Whitfield", "slack:U0DANA"),
    "lee": Person("lee", "Lee Moran", "slack:U0LEE"),
    "kim": Person("kim", "Kim Osei", "slack:U0KIM"),
}
APPROVERS = frozenset({"dana", "lee"})
POLICY = ApprovalPolicy.model_validate(
    {
        "people": {
            name: {"name": person.name, "slack": person.via.removeprefix("slack:"), "account": name}
            for name, person in PEOPLE.items()
        },
        "rules": {"campaign": {"approvers": sorted(APPROVERS), "channel": "team"}},
    }
)
FLEET = company().model_copy(update={"approvals": POLICY})
VENDORS = Settings(klaviyo_drafts_api_key=SecretStr(DRAFTS_KEY))
DUE = NOW + timedelta(hours=72)
FIRST_TEXT = "We miss you"


class DraftedInput(ToolInput):
    title: str
    order: str = Field(description="An order that the campaign tool was told of.")
    ordered_at: str


class Drafted(ToolOutput):
    payload: dict[str, Any]


class DraftedCampaign(Tool[DraftedInput, Drafted]):
    name, description = "drafted", "Drafts a campaign for one customer."
    Input, Output = DraftedInput, Drafted

    def run(self, given: DraftedInput, context: StepContext) -> Drafted:
        return Drafted(payload=campaign_for(given.title, given.order, given.ordered_at))


def campaign_for(title: str, order: str, ordered_at: str) -> dict[str, Any]:
    recipient = {"customer": "1", "order": order, "ordered_at": ordered_at, "products": ["A lamp"], "arm": "warm"}
    group = {
        "reason": "long_away", "label": "long away", "subject": FIRST_TEXT, "preview": "A little something",
        "body": "For you: {products}. The code is {code}.", "recipients": [recipient],
    }  # fmt: skip
    offer = {"code": "COMEBACK15", "title": "", "in_shop": True}
    return {"mark": "winback", "title": title, "offer": offer, "groups": [group], "unreachable": 0}


def playbook_of(ledger: str, order: str, ordered_at: str) -> str:
    """Reads, writes, asks for a word, changes a vendor at once; a branch that is skipped, and a join."""
    asked = """\
  - id: ask
    type: create_thread
    thread: campaign
    title: Win-back ${{ run.id }}
    subject: s-${{ run.id }}
    payload: {campaign: "${{ steps.draft.result.payload }}"}
    due_hours: 72
    needs_approval: true
    needs: [draft]
"""
    return playbook(
        call("look", "look", count=1)
        + condition("any", "steps.look.result.customers.size() > 0")
        + call("tell", "tell", "when: any", text="first ${{ run.id }}")
        + call("never", "tell", "unless: any", text="never")
        + call("draft", "drafted", "when: any", title="Execution ${{ run.id }}", order=order, ordered_at=ordered_at)
        + asked
        # The order by itself: a process that stands still in another step, while this one has just seen that the
        # execution is still its own, would order when it wakes, and this vendor knows no key by which to refuse that.
        + call("rest", "look", "after: [never, tell, ask]", count=1)
        + call("order", "order", "after: rest", what="flowers-${{ run.id }}", ledger=ledger)
        + call("last", "tell", "needs: [order, tell, ask]", text="last ${{ run.id }}")
    )


@dataclass(frozen=True)
class Place:
    """What a process is told of the world: the database, the vendors' side."""

    dsn: str
    url: str
    name: str


@dataclass
class Pool:
    """Connections of one process, kept for the next use."""

    dsn: str
    idle: list[Kept] = field(default_factory=list)

    def connect(self) -> Kept:
        while self.idle:
            found = self.idle.pop()
            found.lent = True
            # What a server says unasked is that it has ended the session.
            if not found.closed and not select.select([found.fileno()], [], [], 0)[0]:
                return found
            found.kept_in = None
            found.close()
        made = Kept.connect(self.dsn, prepare_threshold=None)
        made.kept_in = self
        return made


class Kept(psycopg.Connection[Any]):
    """A connection that goes back to its pool when it is closed, as clean as a new one."""

    kept_in: Pool | None = None
    lent = True

    def close(self) -> None:
        pool = self.kept_in
        if not self.lent:
            return
        if pool is None or self.closed or self.info.transaction_status == TransactionStatus.ACTIVE:
            super().close()
            return
        try:
            self.rollback()
            self.read_only = None
            self.autocommit = True
            self.execute("discard all")
            self.autocommit = False
        except psycopg.Error:
            super().close()
            return
        self.lent = False
        pool.idle.append(self)


def house_of(inbox_here: Callable[[], Inbox]) -> House:
    threads = CreateThreadRunner(lambda: FLEET, inbox_here)
    return House(
        Toolbox.of(*TOOLS.tools.values(), DraftedCampaign()),
        Runners({"tool_call": ToolCallRunner(), "condition": ConditionRunner(), "create_thread": threads}),
    )


# The first expression of a process costs a tenth of a second: before it forks, once for all.
plan_of(playbook_of("", "1", NOW.isoformat()), "demo.yaml", house_of(inbox))
# What is there when it forks stays there to the end: looked through as garbage, every page of it would be copied.
gc.freeze()


class Office:
    """What the process does when it is told to. Every method's answer goes back over the pipe."""

    def __init__(self, place: Place) -> None:
        self.pool = Pool(f"{place.dsn} application_name={place.name} options='-c timezone=UTC'")
        self.connect: Callable[[], Any] = self.pool.connect
        desk = inbox()
        self.inbox = Inbox(POLICY, desk.subjects, desk.zone, desk.channel_of)
        self.now, self.settled = NOW, list[tuple[str, str]]()
        self.poster = SlackPoster(TOKEN, base_url=place.url, timeout=5)
        self.desk = Desk(
            connect=self.connect, act=Handlers({"approval": PressedApprovals(self.inbox)}),
            people=SlackPeople(self.poster.ask), now=lambda: self.now, answer=self._note, after=lambda settled: None,
        )  # fmt: skip
        self.listener = HttpListener(self.desk, SECRET)
        self.listener.start()
        made = drafts.connect(VENDORS.model_copy(update={"klaviyo_base_url": place.url}))
        assert made is not None
        made.client.pace.enabled = False
        self.drafter = made
        self.house = house_of(lambda: self.inbox)
        self.plans: dict[str, Plan] = {}

    def _note(self, settled: Settled) -> None:
        self.settled.append((settled.press.key, settled.state))

    def run(self, key: str, text: str) -> tuple[str, str | None]:
        if text not in self.plans:
            self.plans[text] = plan_of(text, "demo.yaml", self.house)
        ended = run(Machine(self.connect, self.house, ZONE), self.plans[text], key=key, as_of=NOW)
        return ended.state, ended.error

    def request(self, author: str, title: str, payload: dict[str, Any]) -> int:
        """A person asks."""
        with self.connect() as connection:
            return self.inbox.request(
                connection, kind="campaign", subject=title, title=title, payload=payload, author=author,
                channel_key="team", due_at=DUE, now=NOW,
            ).id  # fmt: skip

    def say(self, what: str, number: int, person: str, key: str, given: dict[str, Any]) -> bool:
        """A word at a terminal."""
        with self.connect() as connection:
            getattr(self.inbox, what)(connection, number, person=PEOPLE[person], key=key, now=self.now, **given)
        return True

    def settle(self) -> list[tuple[str, str]]:
        """Do the presses that wait; (key, what came of it) of each."""
        self.settled = []
        self.desk.work()
        return self.settled

    def arm(self) -> None:
        """The point at which to die waits for what comes by HTTP."""

    def sweep(self) -> None:
        with self.connect() as connection:
            self.inbox.expire_due(connection, self.now)

    def execute(self) -> None:
        execute_approved(self.connect, self.inbox, self.now)
        hand_over(self.connect, self.drafter, self.inbox, self.now)

    def deliver(self) -> None:
        deliver(self.connect, self.poster, policy=FAST)
        show_standing(self.connect, self.poster, self.inbox)


def live(pipe: Connection, place: Place) -> None:
    """Do what comes over the pipe, (what, arguments, now, the point at which to die): answers are ("done", value),
    ("refused", why) or, where it may be tried again, ("later", why)."""
    os.environ["OPS_NOW"] = NOW.isoformat()
    reset_settings()
    office = Office(place)
    pipe.send(office.listener.url)
    while True:
        try:
            what, given, office.now, point = pipe.recv()
        except EOFError:
            return
        failpoints._hits.clear()
        os.environ["OPS_FAILPOINT"] = point or ""
        pipe.send(_answer(getattr(office, what), given))
        if what != "arm":
            os.environ["OPS_FAILPOINT"] = ""


def _answer(do: Callable[..., Any], given: Sequence[Any]) -> tuple[str, Any]:
    try:
        return "done", do(*given)
    except (TransientFailure, psycopg.OperationalError) as error:
        return "later", str(error)
    except OpsError as error:
        return "refused", str(error)
