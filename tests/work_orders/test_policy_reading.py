"""Intake against the sandbox's GitHub, over HTTP: paging, conditional requests, permissions, what vanished, checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from ops_platform.failures import OpsError
from ops_platform.work_orders import gates, intake
from ops_platform.work_orders.model import Phase
from ops_platform.work_orders.policy import WorkPolicy
from resources.github.client import GitHubClient
from resources.github.issues import IssueReading
from resources.http import HttpClient
from resources.retry import RetryPolicy
from tests.conftest import Connect
from tests.work_orders.policy_scene import POLICY, rows

REPOSITORY = "northbeam/operations"
NOW = datetime(2024, 12, 5, 11, tzinfo=UTC)


class GitHub:
    """The sandbox's GitHub, its clock, and our reader of it."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        environment = sandbox.environment()
        http = HttpClient("github", environment["GITHUB_BASE_URL"], sleep=lambda seconds: None)

        def reading(token: str) -> IssueReading:
            return IssueReading(GitHubClient(http, SecretStr(environment[token]), retry=RetryPolicy(tries=2)))

        self.reader, self.checks = reading("GITHUB_TOKEN"), reading("GITHUB_WRITE_TOKEN")
        self.now = NOW

    def happens(self, op: str, **data: Any) -> dict[str, Any]:
        self.now += timedelta(minutes=7)
        return dict(self.sandbox.mutate("github", op, {"at": self.now.isoformat(), "actor": "mei-zhao", **data}))

    def issue(self, *labels: str, **data: Any) -> int:
        made = self.happens("open_issue", title="Cash", body="?", labels=list(labels), create=True, **data)
        return int(made["number"])

    def requests(self) -> list[str]:
        return [each["path"] for each in self.sandbox.ledger.entries(vendor="github") if each["kind"] == "request"]


@pytest.fixture(scope="module")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from sandbox.server import running

    with running(seed=7, clock=NOW, state=tmp_path_factory.mktemp("reading"), netsuite_key="ec") as sandbox:
        yield sandbox


@pytest.fixture
def github(running_sandbox: Any) -> Iterator[GitHub]:
    made = GitHub(running_sandbox)
    # Each test ten days after the one before it: what those did is past. The sandbox's own story stands still.
    GitHub.start = made.now = getattr(GitHub, "start", NOW) + timedelta(days=10)  # type: ignore[attr-defined]
    yield made
    running_sandbox.faults.disarm(None)


def poll(warehouse: Connect, github: GitHub, policy: WorkPolicy = POLICY) -> intake.Polled:
    (polled,) = intake.poll(warehouse, policy, github.reader, [REPOSITORY], at=github.now + timedelta(minutes=1))
    assert polled.error is None, polled.error
    return polled


def phases(warehouse: Connect, *numbers: int) -> list[str | None]:
    found = dict(rows(warehouse, "select number, phase from ops.work_orders order by number, round"))
    return [found.get(number) for number in numbers]


def test_labels_are_read_with_who_set_them(warehouse: Connect, github: GitHub) -> None:
    poll(warehouse, github)
    mine = github.issue("finance/analysis", "priority/P1")
    theirs = github.issue("finance/analysis", actor="h4x0r-helper")
    later = github.issue(actor="h4x0r-helper")
    unseen = github.issue(actor="h4x0r-helper")
    github.happens("label_issue", number=unseen, label="support/quality", create=True)
    poll(warehouse, github)
    github.happens("label_issue", number=later, label="support/quality", create=True)
    poll(warehouse, github)
    # A stranger's words that nobody saw before they were labelled might be others by now.
    assert phases(warehouse, mine, theirs, later, unseen) == ["queued", None, "queued", "received"]
    found = rows(
        warehouse,
        "select agent, priority, labelled_by, author from ops.work_orders where phase = 'queued' order by number",
    )
    assert found == [
        ("ai-finance", "P1", "mei-zhao", "mei-zhao"), ("ai-support", "P2", "mei-zhao", "h4x0r-helper"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("permission", "phase"),
    [("admin", "queued"), ("maintain", "queued"), ("write", "queued"), ("triage", None), ("read", None)],
)
def test_a_permission_is_githubs_word(warehouse: Connect, github: GitHub, permission: str, phase: str | None) -> None:
    poll(warehouse, github)
    login = "audio-fan-99"
    github.happens("set_permission", login=login, permission=permission)
    number = github.issue("sales/leads", actor=login)
    poll(warehouse, github)
    assert phases(warehouse, number) == [phase]


def test_nothing_new_costs_one_conditional_request(warehouse: Connect, github: GitHub) -> None:
    github.issue("sales/leads")
    poll(warehouse, github)
    poll(warehouse, github)
    before = github.requests()
    spent = github.reader.client.spent
    assert poll(warehouse, github).unchanged
    assert [each for each in github.requests()[len(before) :] if "timeline" in each or "permission" in each] == []
    assert github.reader.client.spent == spent  # 304 is free


def test_more_than_a_page_of_changes_is_read_whole(warehouse: Connect, github: GitHub) -> None:
    """110 issues, 104 of them changed within the same second."""
    poll(warehouse, github)
    first = [github.issue("sales/leads") for _ in range(3)]
    github.now += timedelta(hours=2)
    at = github.now.isoformat()
    made = []
    for number in range(107):
        moment = at if number < 104 else (github.now + timedelta(seconds=number)).isoformat()
        data = {"at": moment, "actor": "mei-zhao", "title": "x", "body": "y", "labels": ["sales/leads"]}
        made.append(int(github.sandbox.mutate("github", "open_issue", {**data, "create": True})["number"]))
    github.now += timedelta(hours=1)
    poll(warehouse, github)
    assert set(phases(warehouse, *first, *made)) == {"queued"}


def test_deleted_and_transferred_issues_are_withdrawn(warehouse: Connect, github: GitHub) -> None:
    poll(warehouse, github)
    deleted, moved = github.issue("sales/leads"), github.issue("sales/leads")
    poll(warehouse, github)
    github.happens("delete_issue", number=deleted)
    github.happens("transfer_issue", number=moved, to="northbeam/companion-app")
    github.now += timedelta(hours=2)
    poll(warehouse, github)
    assert phases(warehouse, deleted, moved) == [Phase.WITHDRAWN, Phase.WITHDRAWN]
    assert "companion-app#" in str(rows(warehouse, "select reason from ops.work_orders where number = %s", moved))


RARER = ("reset", "html_200", "primary_limit")


@pytest.mark.parametrize(
    "fault", ["http_500", "secondary_limit", *(pytest.param(fault, marks=pytest.mark.slow) for fault in RARER)]
)
def test_a_github_that_fails_loses_nothing(warehouse: Connect, github: GitHub, fault: str) -> None:
    poll(warehouse, github)
    number = github.issue("sales/leads")
    known = github.sandbox.faults
    known.arm({"vendor": "github", "fault": fault, "times": 50})
    (polled,) = intake.poll(warehouse, POLICY, github.reader, [REPOSITORY], at=github.now)
    assert polled.error
    known.disarm(None)
    poll(warehouse, github)
    assert phases(warehouse, number) == ["queued"]


def test_checks_are_asked_for_remembered_and_judged(warehouse: Connect, github: GitHub) -> None:
    for name, title in (("coverage", "Coverage 91.5%"), ("tests", "412 of 420 passed"), ("security", "Score: 80 %")):
        github.happens(
            "check_run", repository=REPOSITORY, name=name, ref="main", conclusion="success",
            output={"title": title, "summary": "x"},
        )  # fmt: skip
    for _ in range(2):
        judged = gates.look(warehouse, github.checks, REPOSITORY, POLICY, branches=["main", "no-such-branch"])
    assert {each.gate: (each.passed, each.reason) for each in judged["main"]} == {
        "coverage": (True, "91.5 %, at least 80 %"), "tests": (True, "98 %, at least 95 %"),
        "security": (False, "80 %, less than 85 %"), "performance": (False, "no check reported it"),
    }  # fmt: skip
    assert "no-such-branch" not in judged
    # Judged twice the same: written down once.
    assert rows(warehouse, "select count(*) from ops.work_gates") == [(4,)]


def test_a_revoked_token_is_said_and_nothing_lost(warehouse: Connect, github: GitHub) -> None:
    poll(warehouse, github)
    number = github.issue("sales/leads")
    broken = replace(github.reader, client=GitHubClient(github.reader.client.http, SecretStr("github_pat_revoked")))
    (polled,) = intake.poll(warehouse, POLICY, broken, [REPOSITORY], at=github.now)
    assert "token was refused" in (polled.error or "")
    with pytest.raises(OpsError):
        broken.permission(REPOSITORY, "mei-zhao")
    poll(warehouse, github)
    assert phases(warehouse, number) == ["queued"]
