"""Recovery drilled: orders rebuilt from the issues alone and compared table by table, failed ones replayed, what a dead
worker left brought together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from ops_platform.failures import DataFailure
from ops_platform.work_orders import coordinator, recovery, store
from ops_platform.work_orders.model import Phase
from resources.github.client import GitHubClient
from resources.github.recovering import WholeRepository
from resources.http import HttpClient
from tests.work_orders.office_world import DANA, POLICY, REPOSITORY, World, an_answer, emptied

# What an issue and its comments tell again, whole. Holders, launches and the like are of the machine that is gone.
COMPARED = {
    "orders": (
        "select repository, number, round, title, body, body_hash, author, labelled_by, labelled_at, agent, priority,"
        " approver, phase, manager, attempt, received_at, clock_from, calendar, sla_minutes, queued_at, due_at,"
        " paused_since, started_at, answered_at, ended_at, tokens, cost, shown_state"
        " from ops.work_orders order by repository, number, round"
    ),
    "pauses": (
        "select orders.number, orders.round, clock.paused_at, clock.resumed_at from ops.work_clock as clock"
        " join ops.work_orders as orders on orders.id = clock.work_id order by 1, 2, 3"
    ),
    "answers": (
        "select orders.number, orders.round, answers.attempt, answers.body_hash, answers.ends, answers.note,"
        " answers.body from ops.work_answers as answers join ops.work_orders as orders on orders.id = answers.work_id"
        " where answers.state = 'posted' order by 1, 2, 3"
    ),
    "posted": (
        "select orders.number, orders.round, effects.name, effects.result ->> 'id', effects.marker"
        " from ops.work_effects as effects join ops.work_orders as orders on orders.id = effects.work_id"
        " where effects.kind = 'comment' and effects.state = 'done' and effects.payload ->> 'replaces' is null"
        " order by 1, 2, 3"
    ),
}  # fmt: skip


def pictures(here: World) -> dict[str, list[tuple[Any, ...]]]:
    return {name: here.rows(query) for name, query in COMPARED.items()}


def reader(here: World) -> WholeRepository:
    environment = here.sandbox.environment()
    http = HttpClient("github", environment["GITHUB_BASE_URL"], sleep=lambda _: None)
    return WholeRepository(GitHubClient(http, SecretStr(environment["GITHUB_TOKEN"])), here.office.github)  # type: ignore[arg-type]


def many_states(here: World) -> dict[str, int]:
    """An issue in each state an order can be in, by that state."""
    from ops_platform.failures import DataFailure as Broken

    made = {
        "done": here.issue("a", "operations/monitoring"),
        "answered": here.issue("b", "finance/analysis", "priority/P1"),
        "blocked": here.issue("c", "sales/pipeline"), "failed": here.issue("d", "support/quality"),
        "revised": here.issue("e", "finance/analysis", "priority/P1"),
        "paused": here.issue("f", "marketing/campaign", "priority/P1"),
    }  # fmt: skip

    def behave(order):  # type: ignore[no-untyped-def]
        if order.number == made["blocked"]:
            return an_answer(order, complete=False, reason="nothing is known of it")
        if order.number == made["failed"]:
            raise Broken("the mart is not there")
        return None

    here.behave = behave
    coordinator.turn(here.office)
    with here.connect() as connection:
        store.pause(
            connection, here.order(made["paused"]).id, "waits for the bank", "dana", policy=POLICY, at=here.clock()
        )
    here.clock.pass_(minutes=7)
    coordinator.work_off(here.office)
    here.clock.pass_(minutes=3)
    coordinator.turn(here.office)
    with here.connect() as connection:
        work = here.order(made["revised"])
        ((request, digest),) = connection.execute(
            "select approvals.id, payload_hash from ops.approvals as approvals join ops.approval_versions as versions"
            " on versions.approval_id = approvals.id where approvals.subject = %s", (f"{work.name}:1",)
        ).fetchall()  # fmt: skip
        here.office.inbox.reject(
            connection, request, shown=digest, person=DANA, key="no", now=here.clock(), words="By channel."
        )
        connection.commit()
        here.clock.pass_(minutes=2)
    coordinator.turn(here.office)
    # Taken up, and its worker died: a state nobody shows any more.
    made["waiting"] = here.issue("g", "analytics/reporting", "priority/P3")
    coordinator.turn(here.office)
    return made


def test_restore_from_the_issues_alone_gives_the_same_state(here: World) -> None:
    made = many_states(here)
    before = pictures(here)
    phases = {name: here.order(number).phase for name, number in made.items()}
    assert {str(phase) for phase in phases.values()} == {"done", "answered", "blocked", "failed", "queued"}
    effects = len(here.effects())

    emptied(here.connect)
    with here.connect() as connection:
        done = recovery.restore(connection, here.office, reader(here), REPOSITORY)
        connection.execute(
            "insert into ops.work_repositories (repository, polled_to) values (%s, %s)",
            (REPOSITORY, before["orders"][0][11]),
        )
        connection.commit()
    taken_up = {number for name, number in made.items() if name != "waiting"}
    assert done.orders >= len(taken_up) and done.unreadable == []
    assert not [line for line in done.changed_words if any(f"#{number} " in line for number in taken_up)]
    # What no agent took up comes back by its labels, as it came the first time.
    assert here.office.intake is not None
    here.office.intake(True)
    after = pictures(here)
    ours = set(made.values())

    def of_these(rows: list[tuple[Any, ...]], place: int) -> list[tuple[Any, ...]]:
        return [row for row in rows if row[place] in ours]

    for name, place in (("orders", 1), ("pauses", 0), ("answers", 0), ("posted", 0)):
        wanted, found = before[name], of_these(after[name], place)
        if name == "orders":
            # One that waits is received anew: the moment is its own, all else as labelled.
            wanted = [row for row in wanted if row[1] != made["waiting"]]
            found = [row for row in found if row[1] != made["waiting"]]
        assert found == wanted, name
    waiting = here.order(made["waiting"])
    assert (waiting.phase, str(waiting.priority), waiting.agent) == (Phase.QUEUED, "P3", "ai-analytics")
    # Restoring told GitHub nothing, and doing it again finds everything there.
    assert len(here.effects()) == effects
    with here.connect() as connection:
        again = recovery.restore(connection, here.office, reader(here), REPOSITORY)
    assert again.orders == 0 and again.there_before == done.orders


def test_work_goes_on_after_a_restore(here: World) -> None:
    made = many_states(here)
    emptied(here.connect)
    with here.connect() as connection:
        recovery.restore(connection, here.office, reader(here), REPOSITORY)
        connection.execute(
            "insert into ops.work_repositories (repository, polled_to) values (%s, %s)", (REPOSITORY, here.clock())
        )
        connection.commit()
    here.behave = None
    comments = {name: len(here.comments(number)) for name, number in made.items()}
    here.clock.pass_(minutes=5)
    coordinator.turn(here.office)  # the answer that waits is asked about anew
    coordinator.work_off(here.office)
    coordinator.turn(here.office)
    assert here.order(made["revised"]).phase is Phase.ANSWERED
    # The card is the same comment as before; only the new answer was added.
    assert len(here.comments(made["revised"])) == comments["revised"] + 1
    assert len(here.comments(made["done"])) == comments["done"]
    asked = here.rows("select subject from ops.approvals where kind = 'work_order' and state = 'draft'")
    assert {(f"{REPOSITORY}#{made[name]}:1",) for name in ("answered", "revised")} <= set(asked)


def test_somebody_elses_card_counts_for_nothing(here: World) -> None:
    number = here.issue("a", "operations/monitoring")
    coordinator.turn(here.office)
    coordinator.work_off(here.office)
    forged = here.comments(number)[0]["body"].replace('"done|none"', '"queued|none"').replace('"round":1', '"round":7')
    here.happens("comment", number=number, body=forged, actor="mei-zhao")
    emptied(here.connect)
    with here.connect() as connection:
        recovery.restore(connection, here.office, reader(here), REPOSITORY)
        connection.commit()
    rounds = here.rows("select round, phase from ops.work_orders where number = %s", number)
    assert rounds == [(1, "done")]


def test_words_that_changed_since_are_held(here: World) -> None:
    number = here.issue("a", "finance/analysis", "priority/P1")
    coordinator.turn(here.office)
    coordinator.work_off(here.office)
    here.happens("edit_issue", number=number, body="Something else.", actor="mei-zhao")
    emptied(here.connect)
    with here.connect() as connection:
        done = recovery.restore(connection, here.office, reader(here), REPOSITORY)
        connection.commit()
    assert any(f"#{number} " in line for line in done.changed_words)
    assert here.order(number).phase is Phase.ANSWERED  # its answer was to the words before, and waits


def test_failed_operations_are_replayed_for_a_reason(here: World) -> None:
    made = many_states(here)
    with here.connect() as connection, pytest.raises(DataFailure):
        recovery.replay(connection, here.office, "dana", " ")
    here.behave = None
    with here.connect() as connection:
        (again,) = recovery.replay(connection, here.office, "dana", "the mart is there again")
        connection.commit()
    assert (again.number, again.phase) == (made["failed"], Phase.QUEUED)
    coordinator.work_off(here.office)
    assert here.order(made["failed"]).phase is Phase.DONE
    assert here.order(made["blocked"]).phase is Phase.BLOCKED  # a person has to name it
    reasons = here.rows("select reason, actor from ops.work_decisions where decision = 'queued_again'")
    assert reasons == [("the mart is there again", "dana")]


def test_a_dead_worker_is_noticed_and_its_order_goes_on(here: World) -> None:
    number = here.issue("a", "operations/monitoring")
    coordinator.turn(here.office)
    with here.connect() as connection:
        store.claim(connection, here.order(number).id, "gone", 120, at=here.clock())
        connection.commit()
    here.clock.pass_(minutes=1)
    assert recovery.reconcile(here.office).released == []
    here.clock.pass_(minutes=2)
    done = recovery.reconcile(here.office)
    assert done.released == [f"{REPOSITORY}#{number}: queued"] and done.left == []
    coordinator.work_off(here.office)
    assert (here.order(number).phase, here.order(number).attempt) == (Phase.DONE, 2)
    assert here.rows("select outcome from ops.work_attempts order by attempt") == [("died",), ("done",)]


def test_what_was_begun_and_not_noted_is_found_not_repeated(here: World) -> None:
    number = here.issue("a", "operations/monitoring")
    coordinator.turn(here.office)
    coordinator.work_off(here.office)
    with here.connect() as connection:
        connection.execute("update ops.work_effects set state = 'intended', result = null where name = 'result:1'")
        connection.commit()
    before = len(here.comments(number))
    done = recovery.reconcile(here.office)
    assert done.effects_done == 1 and done.left == []
    assert len(here.comments(number)) == before
