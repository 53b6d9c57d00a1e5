"""Webhook and poll, each alone enough: kept before it is answered, worked off once, nothing lost, kills survived."""

from __future__ import annotations

import json
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_platform.failures import PermanentFailure, TransientFailure
from ops_platform.records import JsonObject
from ops_platform.settings import PROJECT_ROOT
from ops_platform.work_orders import intake, store
from ops_platform.work_orders.model import Phase
from ops_platform.work_orders.rows import of_issue
from tests import killed
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of
from tests.work_orders.policy_scene import POLICY, REPOSITORY, World, rows

ROOM = PROJECT_ROOT / "ops_platform" / "work_orders"
killed.preload("ops_platform.work_orders.intake", "tests.work_orders.policy_scene", "psycopg")


def keep(warehouse: Connect, world: World, event: JsonObject, delivery_id: str, kind: str = "issues") -> bool:
    with warehouse() as connection:
        return intake.keep_delivery(connection, delivery_id, kind, json.dumps(event).encode(), at=world.now)


def work_off(warehouse: Connect, world: World, **more: Any) -> list[str]:
    made = intake.take_deliveries(warehouse, POLICY, world, [REPOSITORY], at=world.now, **more)
    return [each.change for each in made]


def poll(warehouse: Connect, world: World) -> intake.Polled:
    (polled,) = intake.poll(warehouse, POLICY, world, ["Northbeam/Operations"], at=world.now)
    return polled


def orders(warehouse: Connect) -> list[Any]:
    return rows(warehouse, "select number, round, phase, agent, priority from ops.work_orders order by number, round")


# Webhooks -----------------------------------------------------------------------------------------------------------


def test_a_delivery_is_kept_once_and_worked_off_once(warehouse: Connect) -> None:
    world = World()
    event = world.open().label("sales/leads")
    assert keep(warehouse, world, event, "d1")
    assert not keep(warehouse, world, event, "d1")
    assert work_off(warehouse, world) == ["queued"]
    assert work_off(warehouse, world) == []
    assert rows(warehouse, "select state, number, outcome from ops.work_deliveries") == [
        ("processed", 1, "queued: sales/leads goes to ai-sales; P2, as by default; no approval needed")
    ]


@pytest.mark.parametrize(
    ("event", "kind", "state"),
    [
        (b"\xff\xfe", "issues", "refused"),
        (b"[]", "issues", "refused"),
        (b"{}", "issues", "ignored"),
        (b'{"repository": {"full_name": "somebody/else"}, "action": "labeled"}', "issues", "ignored"),
        (b'{"repository": {"full_name": "northbeam/operations"}, "action": "labeled"}', "issues", "refused"),
        (b'{"repository": {"full_name": "northbeam/operations"}, "action": "created"}', "issue_comment", "ignored"),
        (b'{"zen": "Keep it logically awesome."}', "ping", "ignored"),
        (b'{"repository": "northbeam/operations", "issue": 3}', "issues", "ignored"),
        (b'{"repository": {"full_name": "northbeam/operations"}, "action": "labeled", "sender": {"login": "boss"},'
         b' "issue": {"number": -1, "state": "open", "created_at": "2026-11-16T14:00:00Z",'
         b' "updated_at": "2026-11-16T14:00:00Z"}, "label": {"name": "sales/leads"}}', "issues", "refused"),
        (b'{"repository": {"full_name": "northbeam/operations"}, "action": "labeled", "sender": {"login": "boss"},'
         b' "issue": {"number": 1, "state": "open", "created_at": "yesterday", "updated_at": "x"},'
         b' "label": {"name": "sales/leads"}}', "issues", "refused"),
    ],
)  # fmt: skip
def test_what_is_no_order_is_settled_and_holds_nothing_up(
    warehouse: Connect, event: bytes, kind: str, state: str
) -> None:
    world = World()
    with warehouse() as connection:
        intake.keep_delivery(connection, "bad", kind, event, at=world.now)
    keep(warehouse, world, world.open().label("sales/leads"), "good")
    work_off(warehouse, world)
    assert rows(warehouse, "select state from ops.work_deliveries order by delivery_id") == [(state,), ("processed",)]
    assert len(orders(warehouse)) == 1


def test_who_cannot_be_looked_up_now_is_looked_up_later(warehouse: Connect) -> None:
    world = World()
    keep(warehouse, world, world.open().label("sales/leads"), "d1")
    world.broken = TransientFailure("github: too many requests", retry_after=5)
    assert work_off(warehouse, world) == []
    assert orders(warehouse) == []
    world.broken = None
    assert work_off(warehouse, world) == []  # not before its time
    world.tick(seconds=10)
    assert work_off(warehouse, world) == ["queued"]


def test_a_deleted_label_is_looked_into(warehouse: Connect) -> None:
    world = World()
    issue = world.open()
    keep(warehouse, world, issue.label("sales/leads"), "d1")
    told = {"action": "deleted", "label": {"name": "sales/leads"}, "repository": {"full_name": REPOSITORY, "id": 5}}
    keep(warehouse, world, told, "d2", kind="label")
    work_off(warehouse, world)
    # GitHub takes the label off every issue without changing when they were updated.
    issue.labels.clear()
    poll(warehouse, world)
    assert orders(warehouse) == [(1, 1, "withdrawn", "ai-sales", "P2")]


def test_a_renamed_repository_keeps_its_orders(warehouse: Connect) -> None:
    world = World()
    issue = world.open()
    keep(warehouse, world, issue.label("sales/leads"), "d1")
    work_off(warehouse, world)
    poll(warehouse, world)
    world.tick(minutes=5)
    event = issue.label("priority/P1")
    event["repository"] = {"full_name": "northbeam/renamed", "id": 811_300_202}
    keep(warehouse, world, event, "d2")
    intake.take_deliveries(warehouse, POLICY, world, ["northbeam/renamed"], at=world.now)
    assert rows(warehouse, "select repository, number, priority, round from ops.work_orders") == [
        ("northbeam/renamed", 1, "P1", 1)
    ]


# Poll alone -----------------------------------------------------------------------------------------------------------


def test_the_poll_alone_finds_everything(warehouse: Connect) -> None:
    """Not one webhook arrives."""
    world = World()
    first = world.open()
    assert poll(warehouse, world).seen == 1
    world.tick(minutes=1)
    first.label("sales/leads")
    world.open().label("security/compliance", by="outsider")
    world.open(labels=("operations/monitoring",))
    third = world.open(author="boss", labels=("finance/analysis", "priority/P0"))
    assert poll(warehouse, world).seen == 4
    assert orders(warehouse) == [(1, 1, "queued", "ai-sales", "P2"), (4, 1, "queued", "ai-finance", "P0")]
    # Nothing changed: one request, and no timeline.
    world.asked.clear()
    assert poll(warehouse, world).unchanged
    assert world.asked == ["changed"]
    world.tick(hours=1)
    first.edit("and now something else", "outsider")
    third.close()
    poll(warehouse, world)
    assert [row[2] for row in orders(warehouse)] == ["received", "withdrawn"]
    assert rows(warehouse, "select count(*) from ops.work_decisions where decision = 'label_ignored'") == [(2,)]


def test_an_issue_changed_since_its_label_is_held_where_only_the_poll_saw_it(warehouse: Connect) -> None:
    """A comment came after the label: whether the words changed too, GitHub's API does not tell."""
    world = World()
    theirs, own = world.open("outsider"), world.open("writer")
    for issue in (theirs, own):
        issue.label("sales/leads")
    world.tick(minutes=30)
    for issue in (theirs, own):
        issue.updated_at = world.now
    poll(warehouse, world)
    assert [row[2] for row in orders(warehouse)] == ["received", "queued"]
    # With the webhook before it, the words are known to be the same.
    world.tick(hours=1)
    known = world.open("outsider")
    keep(warehouse, world, known.payload() | {}, "x")  # something else arrives too
    keep(warehouse, world, world.sent[-1], "d1")
    work_off(warehouse, world)
    world.tick(hours=1)
    known.label("sales/leads")
    world.tick(minutes=5)
    known.updated_at = world.now
    poll(warehouse, world)
    assert orders(warehouse)[-1][2] == "queued"


def test_what_vanished_is_found_by_asking_for_it(warehouse: Connect) -> None:
    world = World()
    gone, moved, stays = world.open("writer"), world.open("writer"), world.open("writer")
    for issue in (gone, moved, stays):
        issue.label("sales/leads")
    poll(warehouse, world)
    gone.delete()
    moved.transfer("northbeam/elsewhere")
    world.tick(minutes=50)
    poll(warehouse, world)
    assert [row[2] for row in orders(warehouse)] == ["queued"] * 3
    world.tick(minutes=20)
    world.asked.clear()
    poll(warehouse, world)
    assert [row[2] for row in orders(warehouse)] == ["withdrawn", "withdrawn", "queued"]
    assert rows(warehouse, "select reason from ops.work_orders where number = 2") == [
        ("the issue was transferred to northbeam/elsewhere#3",)
    ]
    # What is living was seen, and is not asked for again.
    world.asked.clear()
    poll(warehouse, world)
    assert "issue 3" not in world.asked


@pytest.mark.parametrize("failure", [TransientFailure("reset"), PermanentFailure("github: the token was refused")])
def test_a_poll_that_fails_loses_nothing(warehouse: Connect, failure: Exception) -> None:
    world = World()
    world.open().label("sales/leads")
    world.broken = failure
    assert poll(warehouse, world).error is not None
    assert rows(warehouse, "select polled_to, error is not null from ops.work_repositories") == [(None, True)]
    world.broken = None
    poll(warehouse, world)
    assert len(orders(warehouse)) == 1


def test_what_webhooks_lost_doubled_and_disordered_the_poll_puts_right(warehouse: Connect) -> None:
    """Thirty issues; of every webhook a third is lost, a third comes twice, all in a random order; then one poll."""
    import random

    chance = random.Random(11)
    world = World()
    for number in range(30):
        issue = world.open("outsider" if number % 2 else "writer")
        world.tick(minutes=5)
        issue.label("sales/leads" if number % 3 else "finance/analysis")
        world.tick(minutes=5)
        if number % 4 == 0:
            issue.label("priority/P1")
            world.tick(minutes=5)
        if number % 5 == 0:
            issue.edit("changed", "outsider")
            world.tick(minutes=5)
        if number % 7 == 0:
            issue.unlabel(issue.labels[0])
            world.tick(minutes=5)
        if number % 11 == 0:
            issue.close()
    sent = [event for event in world.sent for _ in range(chance.choice((0, 1, 2)))]
    chance.shuffle(sent)
    for place, event in enumerate(sent):
        keep(warehouse, world, event, f"d{place}")
    work_off(warehouse, world, limit=1000)
    poll(warehouse, world)
    with warehouse() as connection:
        for issue in world.issues.values():
            work = of_issue(connection, REPOSITORY, issue.number)
            if issue.state == "closed" or not issue.labels:
                assert work is None or work.phase is Phase.WITHDRAWN, issue
                continue
            assert work is not None, issue
            assert work.phase in (Phase.QUEUED, Phase.RECEIVED)
            assert work.round == 1 or work.phase is Phase.QUEUED
            if work.phase is Phase.QUEUED:
                assert (work.title, work.body) == (issue.title, issue.body)
                assert work.priority == ("P1" if "priority/P1" in issue.labels else "P2")
            if issue.body == "changed":
                assert work.phase is Phase.RECEIVED, "edited by an outsider after the label"
    assert rows(warehouse, "select count(*) from ops.work_issues where look_again") == [(0,)]


# Killed ---------------------------------------------------------------------------------------------------------------

INTAKE_POINTS = (
    "work_orders.issue_seen", "work_orders.received", "work_orders.delivery_received",
    "work_orders.delivery_processed",
)  # fmt: skip
QUEUE_POINTS = ("work_orders.claimed", "work_orders.finished", "work_orders.released")


def life(dsn: str, point: str | None, shift: int) -> None:
    """A process that works off deliveries, then takes up and finishes what is due; it may be killed at `point`."""
    import psycopg

    if point:
        os.environ["OPS_FAILPOINT"] = point
    world = World().tick(minutes=shift)

    def connect() -> Any:
        return psycopg.connect(dsn, options="-c timezone=UTC")

    intake.take_deliveries(connect, POLICY, world, [REPOSITORY], at=world.now)
    with connect() as connection:
        store.release_dead(connection, policy=POLICY, at=world.now)
    with connect() as connection:
        due = store.next_due(connection, 10, at=world.now)
    for work in due:
        with connect() as connection:
            claimed = store.claim(connection, work.id, f"worker {shift}", 60, at=world.now)
        if claimed is not None:
            with connect() as connection:
                store.finish(connection, work.id, f"worker {shift}", "done", "posted", policy=POLICY, at=world.now)


def test_every_point_of_intake_and_queue_is_tried() -> None:
    mine = [ROOM / f"{name}.py" for name in ("intake", "receiving", "store", "polling", "mirror")]
    assert killed.points_in(mine) == {*INTAKE_POINTS, *QUEUE_POINTS}


@pytest.mark.parametrize("hit", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("point", [*INTAKE_POINTS, *QUEUE_POINTS])
def test_a_kill_loses_and_doubles_no_order(warehouse: Connect, tmp_path: Path, point: str, hit: int) -> None:
    world = World()
    for number in range(3):
        keep(warehouse, world, world.open().label("sales/leads"), f"d{number}")
    dsn = dsn_of(warehouse)
    if point == "work_orders.released":
        assert killed.ended(killed.start(life, dsn, "work_orders.claimed@2", 0)) == -signal.SIGKILL
        killed.ended(killed.start(life, dsn, f"{point}@1", 10))
    else:
        assert killed.ended(killed.start(life, dsn, f"{point}@{hit}", 0)) == -signal.SIGKILL
    for shift in (20, 40):
        assert killed.ended(killed.start(life, dsn, None, shift)) == 0
    assert [row[1:3] for row in orders(warehouse)] == [(1, "done")] * 3
    finished = rows(warehouse, "select work_id, count(*) from ops.work_attempts where outcome = 'done' group by 1")
    assert [times for _, times in finished] == [1, 1, 1]
    assert rows(warehouse, "select count(*) from ops.work_attempts where outcome is null") == [(0,)]
    assert rows(warehouse, "select distinct state from ops.work_deliveries") == [("processed",)]


def test_an_order_that_kills_everybody_is_given_up(warehouse: Connect) -> None:
    world = World()
    keep(warehouse, world, world.open().label("sales/leads"), "d1")
    work_off(warehouse, world)
    for _ in range(3):
        with warehouse() as connection:
            assert store.claim(connection, 1, "worker", 60, at=world.now) is not None
        world.tick(minutes=2)
        with warehouse() as connection:
            store.release_dead(connection, policy=POLICY, at=world.now)
    work = rows(warehouse, "select phase, failure_class, reason from ops.work_orders")
    assert work[0][:2] == ("failed", "died") and "a person must look" in work[0][2]


def test_waits_between_attempts_double_and_end(warehouse: Connect) -> None:
    world = World()
    keep(warehouse, world, world.open().label("sales/leads"), "d1")
    work_off(warehouse, world)
    waits = []
    for _ in range(4):
        with warehouse() as connection:
            work = store.claim(connection, 1, "worker", 60, at=world.now)
            assert work is not None
            failed = store.fail(
                connection, 1, "worker", store.class_of(TransientFailure("reset")), "reset", policy=POLICY,
                at=world.now,
            )  # fmt: skip
        if failed.not_before is None:
            break
        waits.append(failed.not_before - world.now)
        with warehouse() as connection:
            assert store.claim(connection, 1, "worker", 60, at=world.now) is None
        world.now = failed.not_before
    assert waits == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert rows(warehouse, "select phase, ended_at is not null from ops.work_orders") == [("failed", True)]
