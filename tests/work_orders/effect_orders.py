"""An order as a row, and a company's GitHub to write to, for the tests of effects.

Belongs here: what those tests share. Does not belong here: what orders go through (the neighbours' tests).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from ops_platform.work_orders import effects
from ops_platform.work_orders.effects import Allowance, Caps
from ops_platform.work_orders.model import WorkOrder, hash_of
from ops_platform.work_orders.staged import StagedEffect

AT = datetime(2026, 11, 20, 11, tzinfo=UTC)
REPOSITORY = "northbeam/operations"
DEVELOPER = Allowance(
    kinds=("comment", "artefact", "branch", "file", "pull_request", "issue", "labels", "assign"),
    paths=("docs/*", "src/*"),
    links=("docs.northbeam.example",),
    labels=("kind/*",),
    assignees=("mei-zhao", "lucasmeyer"),
    caps=Caps(comments=3, files=4, issues=1),
)


def an_order(connection: psycopg.Connection[Any], number: int, *, title: str = "A", body: str = "B") -> WorkOrder:
    """An order that is being worked on, as intake and claim leave it."""
    from ops_platform.work_orders import rows

    connection.execute(
        """insert into ops.work_issues (repository, number, title, body, body_hash, state, labels, author, created_at,
               updated_at, seen_at)
           values (%s, %s, %s, %s, %s, 'open', '{}', 'mei-zhao', %s, %s, %s)""",
        (REPOSITORY, number, title, body, hash_of(title, body), AT, AT, AT),
    )
    row = connection.execute(
        """insert into ops.work_orders (repository, number, round, title, body, body_hash, labels, author, labelled_by,
               labelled_at, routed_by, agent, priority, phase, attempt, received_at, clock_from, calendar, sla_minutes,
               due_at, lease_holder, lease_until, updated_at)
           values (%s, %s, 1, %s, %s, %s, '{}', 'mei-zhao', 'mei-zhao', %s, 'test', 'ai-developer', 'P2', 'queued', 0,
               %s, %s, 'always', 1440, %s, null, null, %s) returning id""",
        (REPOSITORY, number, title, body, hash_of(title, body), AT, AT, AT, AT + timedelta(days=1), AT),
    ).fetchone()
    assert row is not None
    connection.execute(
        """update ops.work_orders set phase = 'running', attempt = 1, lease_holder = 'test', lease_until = now()
           + interval '1 hour' where id = %s""",
        (row[0],),
    )
    return rows.load(connection, row[0])


def everything(number: int) -> list[StagedEffect]:
    """One effect of each kind that leaves something at GitHub, in a sensible order."""
    branch = f"work/{number}-note"
    return [
        effects.comment("started", "Working on it."),
        effects.labels("kind", add=["kind/answer"]),
        effects.assign("people", ["mei-zhao"]),
        effects.artefact("table", "table.csv", "sku,units\nNB-1,4\n", media_type="text/csv"),
        effects.branch("branch", branch),
        effects.file("file", branch, "docs/note.md", "# Note\n"),
        effects.file("second", branch, "src/new.ts", "export const two = 2;\n"),
        effects.pull_request("pull", branch, "A note", "What it says."),
        effects.issue("follow", "Follow-up", "Look again in a week.", labels=["kind/follow-up"]),
        effects.comment("result", "Done.", meta={"attempt": 1}),
    ]


#: What the sandbox's ledger must show of it, once each.
MADE = {
    "comment": 2, "label_issue": 1, "assign_issue": 1, "make_branch": 1, "write_file": 2, "open_issue": 2,
}  # fmt: skip


class GitHub:
    """The company's GitHub in the sandbox: its control and a writer that wastes no time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False, verify=False, timeout=60)

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.http.request(method, f"/_sandbox{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def mutate(self, op: str, **data: Any) -> Any:
        return self.control("/mutate", {"vendor": "github", "op": op, "data": data})["result"]

    def fault(self, name: str, **more: Any) -> None:
        self.control("/faults", {"vendor": "github", "fault": name, **more})

    def opened(self, title: str = "A", body: str = "B") -> int:
        """The number of an issue that somebody just opened."""
        return int(self.mutate("open_issue", title=title, body=body)["number"])

    def written(self) -> list[dict[str, Any]]:
        """Everything that was changed by a token, oldest first: the oracle."""
        found = self.http.get("/_sandbox/ledger", params={"vendor": "github"}).json()
        return [each for each in found if each["kind"] != "request" and each["detail"].get("via") == "api"]

    def calls(self, method: str = "") -> list[dict[str, Any]]:
        found = self.http.get("/_sandbox/ledger", params={"vendor": "github", "kind": "request"}).json()
        return [each for each in found if not method or each["method"] == method]


def writer_at(url: str) -> Any:
    """The writing client of a sandbox; it waits a fraction of what it would."""
    from ops_platform.settings import Settings
    from resources.github import writing

    writer = writing.connect(Settings(github_write_token="github_pat_sandbox_writer", github_base_url=url))
    assert writer is not None
    writer.client.http.sleep = lambda seconds: time.sleep(min(seconds / 20, 0.1))
    return writer


@contextmanager
def github(state: Path) -> Iterator[GitHub]:
    from sandbox.server import running

    clock = datetime(2024, 12, 5, 11, tzinfo=UTC)
    with running(seed=7, clock=clock, state=state, netsuite_key="ec") as sandbox:
        there = GitHub(sandbox.url)
        yield there
        there.http.close()


def applied(dsn: str, url: str, work_id: int, failpoint: str | None, settle: float = 0.3) -> None:
    """The life of a process that applies an order's effects until all are done, or it is killed."""
    from ops_platform.failures import TransientFailure

    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint
    writer = writer_at(url)
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        for _ in range(60):
            try:
                done = effects.apply(connection, work_id, writer, settle=timedelta(seconds=settle))
            except TransientFailure:
                time.sleep(0.1)
                continue
            assert done.whole, done
            return
    raise AssertionError("the effects were not applied")
