"""Random short schedules of kills, stops, restarts, repeated triggers and clicks: nothing lost, nothing doubled,
nothing that nobody approved.

A schedule is one or two triggers of a playbook whose campaign waits for a word (or a person who asks for one), and
words about it: double clicks, two people at once, clicks on what was edited since, late ones, forged and repeated ones.
Some come from a terminal, some as signed requests by HTTP, some from a message at the sandbox's Slack. Processes die at
named points, stand still and wake up when another has done their work, end and start again in between.

The oracles are the sandbox's own ledger (what was made in the campaign tool, what was posted), another vendor's file,
and the outbox, in which the test's tool has no dedupe key; what may have come of the words says
`tests.approvals.history`.

`OPS_SCHEDULES=10000 pytest -m slow tests/playbooks/test_schedules.py` for as many as are wanted.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops_platform.approvals import message as shown
from ops_platform.settings import PROJECT_ROOT
from resources.slack_interactions import presses_of
from sandbox.klaviyo.account import metric_id
from sandbox.klaviyo.side import KEY, REVISION
from sandbox.server import Sandbox, running
from tests import killed
from tests.alerts.shop import SECRET
from tests.approvals.history import NEVER, Request, What, Word
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of, fresh_database
from tests.playbooks.office import APPROVERS, DUE, FIRST_TEXT, PEOPLE, campaign_for, playbook_of
from tests.playbooks.shop import NOW
from tests.playbooks.staff import Came, Order, Signed, Staff, posted_at_once, signed

LONG, FIRST = int(os.environ.get("OPS_SCHEDULES", "150")), int(os.environ.get("OPS_SCHEDULES_FROM", "1000"))
BLOCK = 25
#: One block of so many has its messages posted at the sandbox's Slack, and is clicked on there.
AT_SLACK = 8
ROOMS = ("ops_platform/playbooks", "ops_platform/approvals", "ops_platform/alerts/presses.py", "resources/klaviyo")
POINTS = sorted(
    point
    for room in ROOMS
    for point in killed.points_in(
        [PROJECT_ROOT / room] if room.endswith(".py") else (PROJECT_ROOT / room).rglob("*.py")
    )
)
#: Where each kind of order can die.
OF = {
    "run": [p for p in POINTS if p.startswith("playbooks.")] + ["approvals.requested", "outbox.enqueued"],
    "request": ["approvals.requested", "outbox.enqueued"],
    "say": ["approvals.said", "approvals.said_committed", "approvals.revised", "outbox.enqueued"],
    "settle": ["approvals.said", "approvals.said_committed", "presses.acted", "presses.settled", "outbox.enqueued"],
    "execute": [
        p for p in POINTS if p.startswith(("handover.", "klaviyo.")) or p in (
            "approvals.taken", "approvals.executed", "approvals.noted", "approvals.done",
        )
    ],
}  # fmt: skip
MOMENTS = (NOW + timedelta(minutes=1), DUE - timedelta(microseconds=1), DUE, DUE + timedelta(hours=1), NOW)
WEIGHTS = (70, 8, 8, 6, 8)
LATE = DUE + timedelta(days=2)
CLOCK = datetime(2024, 12, 5, 11, tzinfo=UTC)
_EMPTY = """
set session_replication_role = replica;
truncate ops.playbook_executions, ops.playbook_steps, ops.playbook_effects, ops.approvals, ops.approval_versions,
    ops.approval_events, ops.campaign_handovers, ops.campaign_recipients, ops.alert_presses, ops.outbox cascade;
"""
killed.preload(
    "tests.playbooks.office", "psycopg.types.json", "cel_expr_python.cel", "resources.http_transport",
    "slack_sdk.web.client", "ops_platform.documents.slack", "ops_platform.documents.terminal",
    "ops_platform.delivery.restored", "encodings.idna", "encodings.utf_16_le", "ops_platform.evidence.encoding",
)  # fmt: skip
_numbers = itertools.count(1)


@dataclass
class Asked:
    """A request as people see it: its number, and the fingerprint of each text they were shown."""

    number: int
    title: str
    model: Request
    hashes: dict[str, str] = field(default_factory=dict)
    seed: int = 0


@dataclass
class World:
    """The vendors' side, the database, the processes."""

    connect: Connect
    sandbox: Sandbox
    staff: Staff
    folder: Path
    order: tuple[str, str]
    watching: psycopg.Connection[Any]
    at_slack: bool = False
    asked: dict[int, Asked] = field(default_factory=dict)
    seen: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    drafts_today: int = 0

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    # What people see ------------------------------------------------------------------------------------------

    def look(self, seed: int) -> list[Asked]:
        """Requests there are by now, with every text that was ever shown of each."""
        rows = self.watching.execute(
            """select a.id, a.author, v.payload ->> 'title', v.payload #>> '{groups,0,subject}', v.payload_hash
               from ops.approvals a join ops.approval_versions v on v.approval_id = a.id
               where a.id > %s order by a.id, v.version""",
            (self.seen,),
        ).fetchall()
        for number, author, title, text, digest in rows:
            known = self.asked.get(number)
            if known is None:
                model = Request(author, FIRST_TEXT, DUE, APPROVERS)
                known = self.asked[number] = Asked(number, title, model, seed=seed)
            known.hashes[text] = digest
        return [one for one in self.asked.values() if one.seed == seed]

    # The vendors' side ----------------------------------------------------------------------------------------

    def vendor(self, path: str, body: Any = None) -> Any:
        """The sandbox's control, or Klaviyo's own page of something."""
        headers = {"content-type": "application/json"}
        if path.startswith("/api/"):
            headers |= {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": REVISION}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.sandbox.url + path, data, headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def drafted(self, since: int) -> tuple[dict[str, list[str]], Counter[str], int]:
        """What stands in the campaign tool since that entry: the subjects by the campaign's title, how many of each
        kind of thing by kind and title, and the newest entry."""
        subjects: dict[str, list[str]] = {}
        made: Counter[str] = Counter()
        for entry in self.sandbox.ledger.entries(vendor="klaviyo", since=since):
            since = max(since, entry["id"]) if entry["kind"] != "request" else since
            if entry["kind"] not in ("list_made", "template_made", "campaign_drafted", "campaign_sent"):
                continue
            title = entry["detail"].get("name", "").partition(":")[0]
            made[f"{entry['kind']} {title}"] += 1
            if entry["kind"] == "campaign_drafted":
                page = self.vendor(f"/api/campaigns/{entry['detail']['campaign']}?include=campaign-messages")
                content = page["included"][0]["attributes"]["definition"]["content"]
                subjects.setdefault(title, []).append(content["subject"])
        return subjects, made, since

    def next_day(self) -> None:
        """Klaviyo makes a hundred and fifty lists a day."""
        now = self.sandbox.clock.now() + timedelta(days=1)
        self.vendor("/_sandbox/clock", {"now": now.isoformat(), "company": "keep"})


# One schedule -------------------------------------------------------------------------------------------------


class Schedule:
    """What happens, from its seed: everything that is random comes from `chance`."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.seed, self.chance = world, seed, random.Random(seed)
        self.keys = [f"{seed}:{n}" for n in range(self.chance.choice((1, 1, 1, 2)))]
        self.by_person = self.chance.choice(("dana", "lee", "kim")) if self.chance.random() < 0.15 else None
        self.said: list[tuple[Asked, Word, dict[str, Any]]] = []
        self.presses: dict[str, list[Word]] = {}
        self.sent: list[Signed] = []
        self.now = NOW
        self.runs: Counter[str] = Counter()
        self.text = playbook_of(str(world.ledger), *world.order)

    def point(self, what: str, how_often: float = 0.5) -> str | None:
        if self.chance.random() >= how_often:
            return None
        point = self.chance.choice(OF[what])
        hit = self.chance.randint(1, 8) if point.startswith("playbooks.step") else self.chance.choice((1, 1, 2, 3))
        stops = self.chance.random() < 0.12
        return f"{point}@{hit}{':stop' if stops else ''}"

    def play(self) -> None:
        staff = self.world.staff
        for _ in range(self.chance.choice((1, 1, 2))):
            staff.tell(*((slot, self._trigger()) for slot in self._slots()))
        for _ in range(self.chance.choice((1, 2, 2, 3))):
            self._tick()
            asked = self.world.look(self.seed)
            if not asked:
                staff.tell((0, self._trigger()))
                continue
            self._words(self.chance.choice(asked))
            if self.chance.random() < 0.1:
                staff.restart(self.chance.randint(0, 1))
            if self.chance.random() < 0.5:
                self._tell_and_do()
        self._to_the_end()

    def _tick(self) -> None:
        (self.now,) = self.chance.choices(MOMENTS, WEIGHTS)
        for _, word, _ in self.said:  # a press that waits may be done now
            if word.end == NEVER and self.now not in word.now:
                word.now.append(self.now)

    def _slots(self) -> list[int]:
        return self.chance.choice(([0], [0], [1], [0, 1]))

    def _trigger(self) -> Order:
        if self.by_person is not None:
            title = f"Asked {self.seed}"
            given = (self.by_person, title, campaign_for(title, *self.world.order))
            return Order("request", given, self.now, self.point("request"))
        key = self.chance.choice(self.keys)
        self.runs[key] += 1  # who takes an execution up for the sixth time gives it up
        return Order("run", (key, self.text), self.now, self.point("run", 0.5) if self.runs[key] < 3 else None)

    # Words ----------------------------------------------------------------------------------------------------

    def _words(self, asked: Asked) -> None:
        if self.world.at_slack and self.chance.random() < 0.6:
            self._at_slack(asked)
        elif self.chance.random() < 0.5:
            self._by_http(asked)
        else:
            self._at_terminal(asked)

    def _word(self, asked: Asked, edits: bool) -> tuple[Word, dict[str, Any]]:
        """One word: another one, or the very same again by who already gave it."""
        earlier = [
            (word, given) for one, word, given in self.said
            if one is asked and (edits or word.what != "edit") and given.get("terminal") == edits
        ]  # fmt: skip
        if earlier and self.chance.random() < 0.25:
            word, given = self.chance.choice(earlier)
            again = Word(word.what, word.person, word.shown, word.key, [self.now], time.monotonic(), word.text)
            return again, given
        kinds: list[What] = ["approve", "reject", "ask", "edit"]
        (what,) = self.chance.choices(kinds, (6, 1, 1, 3 if edits else 0))
        texts = list(asked.hashes)
        text = texts[-1] if self.chance.random() < 0.8 else self.chance.choice([*texts, "never shown"])
        number = next(_numbers)
        word = Word(
            what, self.chance.choice(("dana", "lee", "lee", "kim")), "" if what == "ask" else text, f"key {number}",
            [self.now], time.monotonic(), f"Edited {_letters(number)}" if what == "edit" else "",
        )  # fmt: skip
        return word, {"terminal": edits, "hash": asked.hashes.get(text, "0" * 64)}

    def _at_terminal(self, asked: Asked) -> None:
        """One or two people at once, while perhaps what was approved is being done."""
        orders, words = [], []
        slots = self._slots()
        for slot in slots:
            word, given = self._word(asked, edits=True)
            more: dict[str, Any] = {"words": "why?"} if word.what == "ask" else {"shown": given["hash"]}
            if word.what == "edit":
                more["texts"] = {"long_away_subject": word.text}
            order = Order(
                "say", (word.what, asked.number, word.person, word.key, more), self.now, self.point("say", 0.35)
            )
            orders.append((slot, order))
            words.append(word)
            self._give(asked, word, given)
        if len(slots) == 1 and self.chance.random() < 0.2:
            orders.append((1 - slots[0], Order("execute", (), self.now, self.point("execute", 0.3))))
        for word, came in zip(words, self.world.staff.tell(*orders), strict=False):
            word.end = came.end
            if came.how in ("done", "refused"):
                word.answer = came.how  # type: ignore[assignment]

    def _by_http(self, asked: Asked) -> None:
        """Signed requests, one or two at once, each on a connection of its own, and some that are none of Slack's."""
        requests, words = [], []
        for slot in self._slots():
            word, given = self._word(asked, edits=False)
            payload = given.get("payload") or _press(asked.number, word, given["hash"])
            (press,) = presses_of(payload)
            given["payload"], known = payload, press.key in self.presses
            if not known:
                self.presses[press.key] = []
                word.key = press.key
                self._give(asked, word, given)
            self.presses[press.key].append(word)
            if known:
                word = self.presses[press.key][0]
            point = f"presses.kept@{self.chance.randint(1, 2)}" if self.chance.random() < 0.15 else None
            self.world.staff.tell((slot, Order("arm", (), self.now, point)))
            request = signed(payload, SECRET)
            requests.append((slot, request))
            words.append(word)
        urls = [(self.world.staff.at(slot).url, request) for slot, request in requests]
        answers = posted_at_once(urls)
        for (slot, request), word, status in zip(requests, words, answers, strict=True):
            self._received(word, status)
            if status is None:
                self.world.staff.gone(slot)
            elif status == 200 and len(self.presses[word.key]) == 1:
                self.sent.append(request)
            else:
                self.world.counted["pressed again"] += 1
        self.world.counted["by HTTP"] += len(requests)
        for slot in self.world.staff.there:
            self.world.staff.tell((slot, Order("arm", (), self.now)))
        self._forged()
        if self.chance.random() < 0.8:
            self._settle()

    def _received(self, word: Word, status: int | None) -> None:
        # 409: the very same signed request within one second, twice; it is here already.
        assert status in (200, 409, None), status
        word.taken = word.taken or status is not None

    def _forged(self) -> None:
        if self.chance.random() >= 0.3 or not self.sent:
            return
        one = self.chance.choice(self.sent)
        other = Signed(one.body.replace(b"U0", b"U1"), one.stamp, one.signature)
        unsigned = Signed(one.body, one.stamp, f"v0={'0' * 64}")
        old = signed({"type": "block_actions"}, SECRET, age=301)
        url = self.world.staff.at(0).url
        wanted = {401: (other, unsigned, old), 409: (one,)}
        for status, requests in wanted.items():
            for request in requests:
                assert posted_at_once([(url, request)]) == [status]
                self.world.counted["forged or repeated"] += 1

    def _at_slack(self, asked: Asked) -> None:
        """The buttons as they stand in the message at Slack, which may show what counted before."""
        staff = self.world.staff
        staff.tell((0, Order("deliver", (), self.now)))
        where = self.world.watching.execute(
            "select o.channel, o.external_id from ops.approvals a join ops.outbox o on o.id = a.outbox_id"
            " where a.id = %s and o.external_id is not null",
            (asked.number,),
        ).fetchone()
        if where is None:
            return
        person, what = (
            self.chance.choice(("dana", "lee", "lee", "kim")),
            self.chance.choice(("approve", "approve", "reject", "ask")),
        )
        self.world.vendor("/_sandbox/slack/interactivity", {"url": staff.at(0).url})
        press = {
            "channel": where[0], "ts": where[1], "user": PEOPLE[person].via.removeprefix("slack:"),
            "action_id": {"approve": shown.APPROVE, "reject": shown.REJECT, "ask": shown.ASK}[what],
            "typed": {shown.FIELD: "why?"}, "deliveries": self.chance.choice((1, 1, 2)),
        }  # fmt: skip
        begin = time.monotonic()
        try:
            pressed = self.world.vendor("/_sandbox/slack/press", press)
        except urllib.error.HTTPError:
            return  # the message has no buttons any more
        (found,) = presses_of(pressed["payload"])
        texts = {digest: text for text, digest in asked.hashes.items()}
        word = Word(what, person, "" if what == "ask" else texts[found.shown], found.key, [self.now], begin)  # type: ignore[arg-type]
        self.presses[found.key] = [word]
        self._give(asked, word, {"terminal": None})
        for result in pressed["results"]:
            self._received(word, result["status"])
        self.world.counted["at Slack"] += 1
        if self.chance.random() < 0.8:
            self._settle()

    def _give(self, asked: Asked, word: Word, given: dict[str, Any]) -> None:
        asked.model.words.append(word)
        self.said.append((asked, word, given))
        self.world.counted["words"] += 1

    def _settle(self) -> None:
        orders = [(slot, Order("settle", (), self.now, self.point("settle", 0.3))) for slot in self._slots()]
        for came in self.world.staff.tell(*orders):
            self._settled(came)

    def _settled(self, came: Came) -> None:
        for key, state in came.value if came.how == "done" else ():
            word = self.presses[key][0]
            assert state in ("done", "refused"), state
            word.end, word.answer = came.end, state

    # What follows ---------------------------------------------------------------------------------------------

    def _tell_and_do(self) -> None:
        """What was approved is done, what is overdue is refused; perhaps by two at once."""
        if self.chance.random() < 0.3:
            begin = time.monotonic()
            (came,) = self.world.staff.tell((0, Order("sweep", (), self.now)))
            for one in self.world.asked.values():  # also what earlier schedules left open
                one.model.words.append(Word("sweep", "", "", "", [self.now], begin, end=came.end, answer="done"))
        self.world.staff.tell(
            *((slot, Order("execute", (), self.now, self.point("execute", 0.4))) for slot in self._slots())
        )

    def _to_the_end(self) -> None:
        """Whatever was begun is gone on with, by processes that nobody kills."""
        staff, watching = self.world.staff, self.world.watching
        if self.by_person is not None:
            assert staff.tell((0, Order("request", self._trigger().given, self.now)))[0].how in ("done", "refused")
        for key in self.keys if self.by_person is None else ():
            for turn in range(6):
                if self._state(key) not in (None, "running"):
                    break
                staff.tell((turn % 2, Order("run", (key, self.text), self.now)))
            assert self._state(key) == "succeeded", (self.seed, key)
        self.world.look(self.seed)
        for _ in range(6):
            if watching.execute("select 1 from ops.alert_presses where state = 'received' limit 1").fetchone() is None:
                break
            for came in staff.tell((0, Order("settle", (), self.now))):
                self._settled(came)
        for turn in range(6):
            left = watching.execute(
                "select (select count(*) from ops.approvals where state in ('approved', 'failed'))"
                " + (select count(*) from ops.campaign_handovers where state <> 'made')"
            ).fetchone()
            if left == (0,):
                break
            staff.tell((turn % 2, Order("execute", (), LATE)))
        if self.world.at_slack:
            staff.tell((0, Order("deliver", (), LATE)))

    def _state(self, key: str) -> str | None:
        row = self.world.watching.execute(
            "select state from ops.playbook_executions where trigger_key = %s", (key,)
        ).fetchone()
        return None if row is None else row[0]


def _letters(number: int) -> str:
    """A word for a number: no digit is written by hand."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def _press(number: int, word: Word, digest: str) -> dict[str, Any]:
    """As Slack tells of a press; each is another one by its instant."""
    action = {"approve": shown.APPROVE, "reject": shown.REJECT, "ask": shown.ASK}[word.what]
    return {
        "type": "block_actions",
        "user": {"id": PEOPLE[word.person].via.removeprefix("slack:"), "team_id": "T0SANDBOX"},
        "team": {"id": "T0SANDBOX"}, "channel": {"id": "C0TEAM"}, "container": {"message_ts": "1764000000.000100"},
        "state": {"values": {"x": {shown.FIELD: {"type": "plain_text_input", "value": "why?"}}}},
        "actions": [
            {
                "type": "button", "action_id": action, "block_id": f"approval:{number}:1:{digest}",
                "action_ts": f"1764000000.{next(_numbers):06d}",
            }
        ],
    }  # fmt: skip


# What must be true --------------------------------------------------------------------------------------------


def check(world: World, seeds: list[int], since: int) -> int:
    """Everything of these schedules was done once, and what waits for a word only as somebody approved it; the newest
    entry of the vendors' ledger."""
    subjects, made, since = world.drafted(since)
    told = dict(
        world.watching.execute(
            "select split_part(dedupe_key, ':', 2)::bigint, count(*) from ops.outbox"
            " where dedupe_key like 'approval:%:said:%' group by 1"
        ).fetchall()
    )
    requests = [one for one in world.asked.values() if one.seed in seeds]
    for one in requests:
        done = subjects.pop(one.title, [])
        assert one.model.explains(done, told.get(one.number, 0)), _told(one, done, told.get(one.number, 0))
        for kind in ("list_made", "template_made", "campaign_drafted"):
            assert made[f"{kind} {one.title}"] == len(done), (one.seed, made)
    assert not subjects, subjects  # nothing that no request is about
    assert not any(kind.startswith("campaign_sent") for kind in made)
    world.counted["requests"] += len(requests)
    world.counted["drafts"] += sum(count for kind, count in made.items() if kind.startswith("campaign_drafted"))
    world.drafts_today += len(requests)
    _check_executions(world)
    if world.at_slack:
        _check_posted(world)
    return since


def _told(one: Asked, done: list[str], lines: int) -> str:
    """What no order of the words explains."""
    words = "\n".join(str(word) for word in one.model.words)
    return f"seed {one.seed}, {one.title} of {one.model.author}: {done} done, {lines} lines told, after\n{words}"


def _check_executions(world: World) -> None:
    ended = world.watching.execute(
        "select id, success, steps_executed from ops.playbook_executions order by id"
    ).fetchall()
    ids = [number for number, success, executed in ended if success and executed == 8]
    assert len(ids) == len(ended), ended
    texts = [
        text for (text,) in world.watching.execute("select payload ->> 'text' from ops.outbox where kind = 'test'")
    ]
    assert sorted(texts) == sorted([f"first {n}" for n in ids] + [f"last {n}" for n in ids])
    lines = world.ledger.read_text().splitlines() if world.ledger.exists() else []
    assert sorted(line.split()[1] for line in lines) == sorted(f"flowers-{n}" for n in ids)
    world.counted["executions"] += len(ids)


def _check_posted(world: World) -> None:
    """Every message is at Slack, once."""
    rows = world.watching.execute("select id::text, state from ops.outbox").fetchall()
    assert {state for _, state in rows} <= {"sent"}, Counter(state for _, state in rows)
    wanted = {number for number, _ in rows}
    ids = [
        entry["detail"]["metadata"]["event_payload"]["outbox_id"]
        for entry in world.sandbox.ledger.entries(vendor="slack", kind="message_posted")
        if "metadata" in entry["detail"]
    ]
    here = [one for one in ids if one in wanted]
    assert sorted(here) == sorted(wanted)
    world.counted["posted"] += len(here)


def begin_block(world: World, number: int) -> None:
    with world.connect() as connection:
        connection.execute(_EMPTY.encode())
    world.asked.clear()
    world.ledger.unlink(missing_ok=True)
    world.at_slack = number % AT_SLACK == AT_SLACK - 1
    if world.drafts_today > 100:
        world.next_day()
        world.drafts_today = 0


def run_schedules(world: World, first: int, count: int) -> None:
    since = 0
    for number, start in enumerate(range(first, first + count, BLOCK)):
        begin_block(world, number)
        seeds = list(range(start, min(start + BLOCK, first + count)))
        for seed in seeds:
            Schedule(world, seed).play()
        since = check(world, seeds, since)


@pytest.fixture
def world(server_home: Path, migrated: str, tmp_path: Path) -> Iterator[World]:
    with (
        fresh_database(server_home, migrated, "schedules") as connect,
        running(seed=7, clock=CLOCK, state=tmp_path / "vendors", netsuite_key="ec") as sandbox,
        connect() as watching,
    ):
        watching.autocommit = True
        staff = Staff(dsn_of(connect), sandbox.url)
        made = World(connect, sandbox, staff, tmp_path, ("", ""), watching)
        made.order = _known_order(made)
        for name, person in PEOPLE.items():
            data = {"id": person.via.removeprefix("slack:"), "name": name, "real_name": person.name}
            made.vendor("/_sandbox/mutate", {"vendor": "slack", "op": "add_user", "data": data})
        yield made
        staff.close()


def _known_order(world: World) -> tuple[str, str]:
    """The number and the moment of an order that Klaviyo was told of."""
    metric = metric_id("Placed Order")
    page = world.vendor(f"/api/events?filter=equals(metric_id,'{metric}')&page[size]=1")
    said = page["data"][0]["attributes"]
    return said["event_properties"]["$event_id"], said["datetime"]


def test_every_point_is_one_of_a_kind_of_order() -> None:
    tried = {point for points in OF.values() for point in points} | {"presses.kept"}
    assert set(POINTS) <= tried, set(POINTS) - tried


def test_some_schedules(world: World) -> None:
    run_schedules(world, 0, 12)
    assert world.counted["executions"] >= 8 and world.counted["words"] >= 12
    assert world.staff.killed + world.staff.stopped >= 4


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_many_schedules(world: World) -> None:
    run_schedules(world, FIRST, LONG)
    counted = dict(sorted(world.counted.items()))
    print(f"{LONG} schedules, {world.staff.killed} processes killed, {world.staff.stopped} stopped: {counted}")
    assert world.staff.killed + world.staff.stopped > LONG // 2
