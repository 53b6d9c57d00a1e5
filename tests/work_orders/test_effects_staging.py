"""What may be staged and what not: allow-list, caps, branches, paths; every refusal a row with its reason."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ops_platform.work_orders import effects, ledger, limits
from ops_platform.work_orders.effects import COORDINATOR, Allowance, Caps
from ops_platform.work_orders.model import WorkOrder
from ops_platform.work_orders.staged import StagedEffect
from tests.database.fresh_database import fresh_database
from tests.sizes import examples
from tests.work_orders.effect_orders import DEVELOPER, an_order, everything


@pytest.fixture(scope="module")
def opened(server_home: Path, migrated: str) -> Iterator[psycopg.Connection[Any]]:
    """One database for all: staging writes in the caller's transaction, which is taken back."""
    with fresh_database(server_home, migrated, "staging") as connect, connect() as connection:
        yield connection


@pytest.fixture
def connection(opened: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    yield opened
    opened.rollback()


@pytest.fixture
def work(connection: psycopg.Connection[Any]) -> WorkOrder:
    return an_order(connection, 12)


def refused(
    connection: psycopg.Connection[Any], work: WorkOrder, *wanted: StagedEffect, by: Allowance = DEVELOPER
) -> list[str]:
    """The reasons, in order."""
    return [each.reason for each in effects.stage(connection, work, wanted, by, staged_by="ai-developer").refused]


def test_all_kinds_are_staged_in_their_order(connection: psycopg.Connection[Any], work: WorkOrder) -> None:
    staging = effects.stage(connection, work, everything(12), DEVELOPER, staged_by="ai-developer")
    rows = ledger.of_order(connection, work.id)
    assert staging.refused == () and [row.name for row in rows] == list(staging.accepted)
    assert {row.state for row in rows} == {"staged"} and {row.attempt for row in rows} == {1}
    assert len({row.marker for row in rows}) == len(rows)


def test_a_kind_that_is_not_the_roles_is_refused(connection: psycopg.Connection[Any], work: WorkOrder) -> None:
    plain = Allowance(kinds=("comment", "artefact"))
    every = [*everything(12), effects.close("close"), effects.reopen("again"), StagedEffect("merge", "m", {})]  # type: ignore[arg-type]
    staging = effects.stage(connection, work, every, plain, staged_by="ai-finance")
    assert staging.accepted == ("started", "table", "result")
    assert {each.kind for each in staging.refused} == {
        "labels", "assign", "branch", "file", "pull_request", "issue", "close", "reopen", "merge",
    }  # fmt: skip
    kept = ledger.refusals(connection, datetime.now(UTC) - timedelta(minutes=1))
    assert len(kept) == len(staging.refused) and all(row.payload == {} and row.error for row in kept)


def test_nobody_but_a_developer_ever_touches_code() -> None:
    assert not {"branch", "file", "pull_request"} & set(COORDINATOR.kinds)
    assert "merge" not in limits.KINDS


@pytest.mark.parametrize(
    "path",
    [
        "README.md", ".github/workflows/ci.yml", ".GitHub/workflows/ci.yml", "docs/../.github/x.yml", "docs//x.md",
        "/docs/x.md", "docs/", "docs/.hidden", "docs/x.md ", "docs/x\u202e.md", "docs/\x00x.md", "docs\\x.md",
        "docs/CODEOWNERS", "docs/codeowners", "src/package.json", "src/deploy.sh", "docs/a:b.md", "docs/x.md/../../y",
        "src/Makefile", "docs/~x", "docs/x.", "docs/" + "a" * 300, "DOCS/../SRC", "src/ｆull.ts", "src/conftest.py",
        "docs/%2e%2e/x.md", "docs/x\n.md", "",
    ],
)  # fmt: skip
def test_paths_that_steer_or_escape_are_refused(
    connection: psycopg.Connection[Any], work: WorkOrder, path: str
) -> None:
    branch = "work/12-x"
    reasons = refused(connection, work, effects.branch("b", branch), effects.file("f", branch, path, "x"))
    assert len(reasons) == 1, path


@pytest.mark.parametrize(
    "name",
    [
        "main", "master", "work/13-x", "work/12", "work/12-", "work/12-X", "work/12-a..b", "refs/heads/work/12-x",
        "work/12-x/../main", "work/12-x y", "work/012-x", "WORK/12-x", "work/12-x\n", "work/12-x.lock", "work/12-é",
    ],
)  # fmt: skip
def test_only_branches_of_the_order_itself(connection: psycopg.Connection[Any], work: WorkOrder, name: str) -> None:
    assert len(refused(connection, work, effects.branch("b", name))) == 1
    assert len(refused(connection, work, effects.file("f", name, "docs/x.md", "x"))) == 1
    assert len(refused(connection, work, effects.pull_request("p", name, "t", "b"))) == 1


def test_files_only_on_a_branch_of_the_same_order(connection: psycopg.Connection[Any], work: WorkOrder) -> None:
    assert refused(connection, work, effects.file("f", "work/12-x", "docs/x.md", "x")) == [
        "'work/12-x' is not a branch that this order makes"
    ]


def test_caps_count_over_all_attempts(connection: psycopg.Connection[Any], work: WorkOrder) -> None:
    three = [effects.comment(f"c{each}", "Text") for each in range(4)]
    assert refused(connection, work, *three) == ["is more than the 3 that one order may have"]
    # The same names again replace; a new one is one too many still.
    assert refused(connection, work, *three[:3]) == []
    assert len(refused(connection, work, effects.comment("later", "Text"))) == 1
    # The coordinator's own are counted by themselves.
    own = effects.stage(connection, work, [effects.comment("state", "Text")], COORDINATOR)
    assert own.accepted == ("state",)


def test_sizes_are_bounded(connection: psycopg.Connection[Any], work: WorkOrder) -> None:
    long = base64.b64encode(b"x" * 1001).decode()
    tight = DEVELOPER.model_copy(update={"caps": Caps(comment_bytes=500, file_bytes=100, artefact_bytes=1000)})
    reasons = refused(
        connection,
        work,
        effects.comment("c", "é" * 251),
        effects.branch("b", "work/12-x"),
        effects.file("f", "work/12-x", "docs/x.md", "x" * 101),
        effects.artefact("a", "a.md", "x" * 1001),
        effects.artefact("p", "p.pdf", long, media_type="application/pdf", encoding="base64"),
        by=tight,
    )  # fmt: skip
    assert reasons == ["is longer than 500 bytes", "is longer than 100 bytes"] + ["is longer than 1000 bytes"] * 2


@pytest.mark.parametrize(
    "effect",
    [
        effects.labels("l", add=["status/done"]),
        effects.labels("l", add=["manager/approved"]),
        effects.labels("l", add=["agent/ai-developer"]),
        effects.labels("l", remove=["status/review"]),
        effects.labels("l", add=["kind/a\nstatus/done"]),
        effects.labels("l"),
        effects.assign("a", ["h4x0r-helper"]),
        effects.assign("a", ["mei-zhao", "*"]),
        effects.issue("i", "T", "B", labels=["development/code"]),
        effects.comment("c", "\u200b\u200d"),
        effects.comment("c", " \n "),
        effects.issue("i", "\u202e", "B"),
        StagedEffect("comment", "c", {"body": 5}),
        StagedEffect("comment", "c", {"body": "x", "extra": 1}),
        StagedEffect("comment", "c", {}),
        StagedEffect("comment", "C C", {"body": "x"}),
        StagedEffect("comment", "c" * 61, {"body": "x"}),
        StagedEffect("comment", None, {"body": "x"}),  # type: ignore[arg-type]
        StagedEffect("artefact", "a", {"filename": "../x", "content": "x"}),
        StagedEffect("artefact", "a", {"filename": "x.pdf", "content": "%%%", "encoding": "base64"}),
        StagedEffect("artefact", "a", {"filename": "x", "content": "x", "media_type": "text/html"}),
        StagedEffect("close", "c", {"reason": "merged"}),
    ],
)
def test_what_is_not_allowed_or_malformed_is_refused(
    connection: psycopg.Connection[Any], work: WorkOrder, effect: StagedEffect
) -> None:
    allowed = DEVELOPER.model_copy(update={"kinds": limits.KINDS})
    assert len(refused(connection, work, effect, by=allowed)) == 1
    # What was refused takes no name and can be told.
    row = ledger.of_order(connection, work.id)[-1]
    assert row.state == "refused" and row.error and row.error.isprintable()


def test_the_number_of_effects_is_bounded(connection: psycopg.Connection[Any], work: WorkOrder) -> None:
    many = [effects.labels(f"l{each}", add=["kind/x"]) for each in range(70)]
    wide = DEVELOPER.model_copy(update={"caps": Caps(label_changes=60, effects=40)})
    staging = effects.stage(connection, work, many, wide)
    assert len(staging.accepted) == 40 and len(staging.refused) == 30
    assert staging.refused[0].reason == "is beyond the 40 effects that one order may have"


def test_the_houses_caps_only_narrow_a_roles() -> None:
    from ops_platform.work_orders.policy import POLICY_FILE, load_policy

    house = load_policy(POLICY_FILE).caps
    for role in (DEVELOPER, Allowance(caps=Caps(comments=30, file_bytes=500_000, effects=100))):
        narrowed = limits.within(role, house).caps
        assert narrowed.comments == min(role.caps.comments, house.comments)
        assert narrowed.file_bytes == min(role.caps.file_bytes, house.file_bytes)
        assert narrowed.effects <= house.effects and narrowed.issues == role.caps.issues


def test_texts_are_clean_before_they_are_kept(connection: psycopg.Connection[Any], work: WorkOrder) -> None:
    staging = effects.stage(
        connection, work, [effects.comment("c", "@mei-zhao http://evil.example <img>")], DEVELOPER
    )  # fmt: skip
    row = ledger.of_order(connection, work.id)[0]
    assert "evil" not in str(row.payload) and row.cut == {"mentions": 1, "links": 1, "html": 1} == staging.cut


@given(payload=st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8,
), kind=st.sampled_from([*limits.KINDS, "merge", "", "comment "]), name=st.text(max_size=12))  # fmt: skip
@settings(max_examples=examples(300), deadline=None)
def test_no_payload_breaks_the_staging(kind: Any, name: str, payload: Any) -> None:
    """Checked without a database: what passes fits the shape, what does not says why."""
    work = type("Work", (), {"id": 1, "repository": "a/b", "number": 12})()
    allowed = Allowance(kinds=limits.KINDS, labels=("*",), paths=("docs/*",), assignees=("*",))
    effect = StagedEffect(kind, name, payload)
    with suppress(effects._No):
        done = effects._checked(effect, work, allowed, Counter(), set(), Counter())
        assert kind in limits.KINDS and isinstance(done, dict)


def test_an_allowance_is_checked_when_it_is_read() -> None:
    with pytest.raises(ValidationError):
        Allowance(links=("https://x.example/",))
    with pytest.raises(ValidationError):
        Allowance(kinds=("merge",))
    with pytest.raises(ValidationError):
        Caps(comments=1_000)
