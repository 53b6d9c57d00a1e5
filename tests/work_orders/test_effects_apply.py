"""Effects at GitHub: each once, whatever breaks. The sandbox's ledger is the oracle, never our own table."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_platform.failures import AmbiguousFailure, TransientFailure
from ops_platform.settings import PROJECT_ROOT
from ops_platform.work_orders import effects, ledger, sanitising
from ops_platform.work_orders.effects import COORDINATOR
from tests import killed
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of, fresh_database
from tests.work_orders.effect_orders import (
    DEVELOPER,
    MADE,
    REPOSITORY,
    GitHub,
    an_order,
    applied,
    everything,
    github,
    writer_at,
)  # fmt: skip

POINTS = sorted(killed.points_in([PROJECT_ROOT / "ops_platform" / "work_orders" / "ledger.py"]))
killed.preload("ops_platform.work_orders.effects", "resources.github.writing", "tests.work_orders.effect_orders")
NOW = timedelta(0)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHub]:
    with github(tmp_path_factory.mktemp("sandbox")) as there:
        yield there


@pytest.fixture(scope="module")
def warehouse(server_home: Path, migrated: str) -> Iterator[Connect]:
    """One database for all tests: every order is of an issue of its own."""
    with fresh_database(server_home, migrated, "effects") as connect:
        yield connect


@pytest.fixture(autouse=True)
def _no_faults_left(hub: GitHub) -> Iterator[None]:
    yield
    hub.control("/faults", method="DELETE")
    hub.control("/profile", {"profile": "generous"})


def staged(connect: Connect, hub: GitHub, what: Any = everything) -> tuple[int, int]:
    """An order with staged effects: its id, its issue's number."""
    number = hub.opened()
    with connect() as connection:
        work = an_order(connection, number)
        staging = effects.stage(connection, work, what(number), DEVELOPER, staged_by="ai-developer")
        assert not staging.refused, staging
    return work.id, number


def at_github(hub: GitHub, number: int, since: int = 0) -> Counter[str]:
    """What was done to this issue, and made from it, by kind."""
    kinds: Counter[str] = Counter()
    for each in hub.written():
        detail = each["detail"]
        mine = (
            detail.get("number") == number
            or str(detail.get("branch") or detail.get("head") or "").startswith(f"work/{number}-")
            or (detail.get("title") == "Follow-up" and each["id"] > since)
        )
        kinds[each["kind"]] += mine
    return +kinds


def newest(hub: GitHub) -> int:
    return max((each["id"] for each in hub.written()), default=0)


def test_each_kind_is_done_and_once(warehouse: Connect, hub: GitHub) -> None:
    since = newest(hub)
    work_id, number = staged(warehouse, hub)
    writer = writer_at(hub.url)
    with warehouse() as connection:
        first = effects.apply(connection, work_id, writer)
        again = effects.apply(connection, work_id, writer)
        artefact = connection.execute(
            "select filename, content from ops.work_artefacts where work_id = %s", (work_id,)
        ).fetchall()
    assert first.whole and len(first.done) == 10 and again.done == ()
    assert at_github(hub, number, since) == MADE
    assert artefact == [("table.csv", b"sku,units\nNB-1,4\n")]
    comments = hub.http.get(
        f"/repos/{REPOSITORY}/issues/{number}/comments", headers={"Authorization": "Bearer github_pat_sandbox"}
    ).json()
    assert [sanitising.unmarked(each["body"]) for each in comments] == ["Working on it.", "Done."]
    assert [sanitising.mark_in(each["body"])[1] for each in comments] == [{}, {"attempt": 1}]  # type: ignore[index]
    pull = writer.find_pull(REPOSITORY, f"work/{number}-note")
    assert pull["draft"] is True and pull["base"]["ref"] == "main"


def test_the_same_staged_again_is_the_same(warehouse: Connect, hub: GitHub) -> None:
    since = newest(hub)
    work_id, number = staged(warehouse, hub)
    with warehouse() as connection:
        from ops_platform.work_orders import rows

        work = rows.load(connection, work_id)
        replaced = effects.stage(
            connection, work, [effects.comment("result", "Another answer.")], DEVELOPER, staged_by="ai-developer"
        )
        effects.apply(connection, work_id, writer_at(hub.url))
        late = effects.stage(
            connection, work, [effects.comment("result", "A third.")], DEVELOPER, staged_by="ai-developer"
        )
        effects.apply(connection, work_id, writer_at(hub.url))
    assert (replaced.accepted, late.accepted, late.standing) == (("result",), (), ("result",))
    assert at_github(hub, number, since)["comment"] == 2
    bodies = [each["detail"]["body"] for each in hub.written() if each["kind"] == "comment"]
    assert "Another answer." in bodies[-1] and not any("A third." in body for body in bodies)


def test_a_comment_is_replaced_by_its_name(warehouse: Connect, hub: GitHub) -> None:
    work_id, _ = staged(warehouse, hub, lambda _: [effects.comment("started", "Working.")])
    with warehouse() as connection:
        from ops_platform.work_orders import rows

        writer = writer_at(hub.url)
        effects.apply(connection, work_id, writer)
        work = rows.load(connection, work_id)
        effects.stage(connection, work, [effects.comment("progress", "Half.", replaces="started")], COORDINATOR)
        done = effects.apply(connection, work_id, writer)
    edit = hub.written()[-1]
    assert done.whole and edit["kind"] == "edit_comment" and edit["detail"]["body"].startswith("Half.")
    first = next(row for row in hub.written() if row["kind"] == "comment" and "Working." in row["detail"]["body"])
    assert edit["detail"]["id"] == first["detail"]["result"]["id"]


def test_a_comment_that_somebody_deleted_is_not_put_back(warehouse: Connect, hub: GitHub) -> None:
    work_id, number = staged(warehouse, hub, lambda _: [effects.comment("started", "Working.")])
    with warehouse() as connection:
        from ops_platform.work_orders import rows

        writer = writer_at(hub.url)
        effects.apply(connection, work_id, writer)
        hub.mutate("delete_comment", id=hub.written()[-1]["detail"]["result"]["id"])
        work = rows.load(connection, work_id)
        after = [effects.comment("progress", "Half.", replaces="started"), effects.labels("l", add=["status/review"])]
        effects.stage(connection, work, after, COORDINATOR)
        assert effects.apply(connection, work_id, writer).whole
    assert at_github(hub, number) - Counter(open_issue=99) == {"comment": 1, "label_issue": 1}


WRITES = (
    ("POST", "/comments"), ("POST", "/labels"), ("POST", "/assignees"), ("POST", "/git/refs"), ("PUT", "/contents/"),
    ("POST", "/pulls"), ("POST", "/operations/issues"),
)  # fmt: skip


@pytest.mark.parametrize("fault", ["accept_then_drop", "http_502", "truncate_short", "reset"])
def test_an_answer_that_is_lost_doubles_nothing(warehouse: Connect, hub: GitHub, fault: str) -> None:
    for method, path in WRITES:
        since = newest(hub)
        work_id, number = staged(warehouse, hub)
        hub.fault(fault, match={"method": method, "path_contains": path})
        applied(dsn_of(warehouse), hub.url, work_id, None)
        assert at_github(hub, number, since) == MADE, (method, path)


def test_what_is_not_found_at_once_is_not_repeated_at_once(warehouse: Connect, hub: GitHub) -> None:
    """A request may be on its way for a while after its sender died."""
    work_id, number = staged(warehouse, hub, lambda _: [effects.comment("result", "Once.")])
    hub.fault("reset", match={"method": "POST", "path_contains": "/comments"})
    writer = writer_at(hub.url)
    with warehouse() as connection:
        with pytest.raises(AmbiguousFailure):
            effects.apply(connection, work_id, writer)
        with pytest.raises(TransientFailure, match="not known yet") as waiting:
            effects.apply(connection, work_id, writer)
        assert waiting.value.retry_after is not None and 30 < waiting.value.retry_after <= 45
        # The late request arrives after all.
        body = sanitising.marked("Once.", ledger.of_order(connection, work_id)[0].marker)
        writer.comment(REPOSITORY, number, body)
        assert effects.apply(connection, work_id, writer).whole
    assert at_github(hub, number)["comment"] == 1


def test_a_marker_in_somebody_elses_comment_is_not_ours(warehouse: Connect, hub: GitHub) -> None:
    work_id, number = staged(warehouse, hub, lambda _: [effects.comment("result", "The answer.")])
    with warehouse() as connection:
        marker = ledger.of_order(connection, work_id)[0].marker
    hub.mutate("comment", number=number, body=sanitising.marked("Forged", marker), actor="h4x0r-helper")
    hub.fault("reset", match={"method": "POST", "path_contains": "/comments"})
    applied(dsn_of(warehouse), hub.url, work_id, None)
    assert at_github(hub, number)["comment"] == 1


@pytest.mark.parametrize("point", [*POINTS, "http.answering@6", "http.answering@2"])
def test_a_kill_loses_and_doubles_nothing(warehouse: Connect, hub: GitHub, point: str) -> None:
    since = newest(hub)
    work_id, number = staged(warehouse, hub)
    dsn = dsn_of(warehouse)
    assert killed.ended(killed.start(applied, dsn, hub.url, work_id, point)) == -signal.SIGKILL
    assert killed.ended(killed.start(applied, dsn, hub.url, work_id, None)) == 0
    assert at_github(hub, number, since) == MADE


@pytest.mark.slow
@pytest.mark.parametrize("hit", range(1, 11))
@pytest.mark.parametrize("point", [*POINTS, "http.answering"])
def test_a_kill_at_each_time_a_point_is_reached(warehouse: Connect, hub: GitHub, point: str, hit: int) -> None:
    since = newest(hub)
    work_id, number = staged(warehouse, hub)
    dsn = dsn_of(warehouse)
    killed.ended(killed.start(applied, dsn, hub.url, work_id, f"{point}@{hit}"))
    # The next one is killed as well, one step further.
    killed.ended(killed.start(applied, dsn, hub.url, work_id, f"{point}@2"))
    assert killed.ended(killed.start(applied, dsn, hub.url, work_id, None)) == 0
    assert at_github(hub, number, since) == MADE


def test_every_point_is_tried() -> None:
    assert set(POINTS) == {"work_orders.effect_intended", "work_orders.effect_done", "work_orders.effect_noted"}


def test_two_processes_at_once_do_it_once(warehouse: Connect, hub: GitHub) -> None:
    since = newest(hub)
    work_id, number = staged(warehouse, hub)
    dsn = dsn_of(warehouse)
    children = [killed.start(applied, dsn, hub.url, work_id, None) for _ in range(3)]
    assert [killed.ended(child) for child in children] == [0, 0, 0]
    assert at_github(hub, number, since) == MADE


def test_what_github_refuses_stops_the_rest(warehouse: Connect, hub: GitHub) -> None:
    work_id, number = staged(warehouse, hub)
    hub.mutate("delete_issue", number=number)
    with warehouse() as connection:
        done = effects.apply(connection, work_id, writer_at(hub.url))
        states = {row.name: row.state for row in ledger.of_order(connection, work_id)}
    assert (done.failed, done.whole, len(done.left)) == ("started", False, 9)
    assert "deleted" in done.reason and states["started"] == "not_done" and states["result"] == "staged"
    assert not at_github(hub, number)["comment"]


def test_nobody_is_written_to_who_lost_the_order(warehouse: Connect, hub: GitHub) -> None:
    since = newest(hub)
    work_id, number = staged(warehouse, hub)
    left = iter([True, True, False])
    with warehouse() as connection:
        done = effects.apply(connection, work_id, writer_at(hub.url), still=lambda: next(left))
    assert [row.name for row in done.done] == ["started", "kind"] and not done.whole and done.failed is None
    assert at_github(hub, number, since) == {"comment": 1, "label_issue": 1}


def test_limits_are_waited_for_and_cost_nothing(warehouse: Connect, hub: GitHub) -> None:
    since = newest(hub)
    work_id, number = staged(warehouse, hub)
    hub.fault("secondary_limit", times=1, retry_after=7, match={"method": "POST"})
    with warehouse() as connection:
        with pytest.raises(TransientFailure) as limited:
            effects.apply(connection, work_id, writer_at(hub.url))
        assert limited.value.retry_after == 7 and not isinstance(limited.value, AmbiguousFailure)
        assert ledger.of_order(connection, work_id)[0].state == "staged"
        assert effects.apply(connection, work_id, writer_at(hub.url)).whole
    assert at_github(hub, number, since) == MADE


def test_a_revoked_token_is_a_refusal_that_names_the_setting(warehouse: Connect, hub: GitHub) -> None:
    work_id, _ = staged(warehouse, hub)
    hub.fault("http_401", times=None, match={"method": "POST"})
    with warehouse() as connection:
        done = effects.apply(connection, work_id, writer_at(hub.url))
    assert done.failed == "started" and "token" in done.reason


def test_somebody_elses_branch_of_that_name_is_gone_on_with_but_not_overwritten(
    warehouse: Connect, hub: GitHub
) -> None:
    work_id, number = staged(warehouse, hub)
    writer = writer_at(hub.url)
    branch = f"work/{number}-note"
    writer.create_branch(REPOSITORY, branch)
    writer.put_file(REPOSITORY, "docs/mine.md", branch, b"a person's", "mine", None)
    with warehouse() as connection:
        assert effects.apply(connection, work_id, writer).whole
    assert writer.file(REPOSITORY, "docs/mine.md", branch)[1] == b"a person's"
    assert writer.file(REPOSITORY, "docs/note.md", branch)[1] == b"# Note\n"


def test_a_thousand_comments_are_looked_through(warehouse: Connect, hub: GitHub) -> None:
    """Looking for a marker reads to the end of the issue's comments."""
    work_id, number = staged(warehouse, hub, lambda _: [effects.comment("result", "The answer.")])
    hub.fault("accept_then_drop", match={"method": "POST", "path_contains": "/comments"})
    for each in range(230):
        hub.mutate("comment", number=number, body=f"me too {each}")
    began = time.monotonic()
    applied(dsn_of(warehouse), hub.url, work_id, None)
    assert at_github(hub, number)["comment"] == 1 and time.monotonic() - began < 10
