"""An office on the sandbox's GitHub: issues opened by people, orders moved by the product's own code.

Belongs here: what the tests of the queue, the coordinator, the manager and recovery share. Does not belong here: agents
(their tests have the warehouse; here one answers in a word), effects of their own (`effect_orders.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
from pydantic import SecretStr

from ops_platform.approvals.assembly import inbox_of
from ops_platform.approvals.model import Person
from ops_platform.documents import markdown
from ops_platform.documents.model import Document, Paragraph, Title, rich
from ops_platform.evidence.model import Bundle, CompanyProfile, Period
from ops_platform.fleet import get_fleet
from ops_platform.work_orders.agents.model import Answer
from ops_platform.work_orders.intake import poll, take_deliveries
from ops_platform.work_orders.model import Received, WorkOrder
from ops_platform.work_orders.office import Office
from ops_platform.work_orders.policy import POLICY_FILE, WorkPolicy, load_policy
from tests.conftest import Connect

AT = datetime(2026, 11, 20, 15, tzinfo=UTC)  # Friday, 10:00 in New York
REPOSITORY = "northbeam/operations"
DANA = Person("dana", "Dana Whitfield", "cli:dana")
POLICY: WorkPolicy = load_policy(POLICY_FILE)


@dataclass
class Clock:
    """A clock that is moved by hand, and GitHub's with it."""

    at: datetime = AT
    moved: Callable[[datetime], None] = lambda at: None

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **span: float) -> datetime:
        return self.set(self.at + timedelta(**span))

    def set(self, at: datetime) -> datetime:
        self.at = at
        self.moved(at)
        return at


@dataclass
class World:
    """`sandbox` is the running one, `office` the product's side; `said` is what agents are to answer, by issue
    number."""

    sandbox: Any
    office: Office
    clock: Clock
    connect: Connect
    lines: list[str] = field(default_factory=list)
    answered: list[tuple[int, int]] = field(default_factory=list)
    behave: Callable[[WorkOrder], Answer | None] | None = None

    # People at GitHub ---------------------------------------------------------------------------------------

    def happens(self, op: str, **data: Any) -> dict[str, Any]:
        """Something done at GitHub from outside, at the world's time."""
        return dict(self.sandbox.mutate("github", op, {"at": self.clock.at.isoformat(), **data}))

    def issue(
        self, title: str = "Cash of the week", *labels: str, body: str = "Please.", actor: str = "mei-zhao"
    ) -> int:
        made = self.happens("open_issue", title=title, body=body, actor=actor, labels=list(labels), create=True)
        return int(made["number"])

    def look(self, number: int) -> dict[str, Any]:
        """The issue as GitHub has it."""
        found: dict[str, Any] = self.ask(f"/repos/{REPOSITORY}/issues/{number}")
        return {**found, "labels": sorted(label["name"] for label in found["labels"])}

    def comments(self, number: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(f"/repos/{REPOSITORY}/issues/{number}/comments?per_page=100")
        return found

    def ask(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.sandbox.environment()['GITHUB_TOKEN']}"}
        answer = httpx.get(f"{self.sandbox.url}{path}", headers=headers, verify=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def effects(self, number: int | None = None) -> list[dict[str, Any]]:
        """What was changed at GitHub by our account, from the sandbox's own ledger."""
        found = [
            entry for entry in self.sandbox.ledger.entries(vendor="github")
            if entry["kind"] != "request" and (entry["detail"] or {}).get("by") == "northbeam-ops"
        ]  # fmt: skip
        return [e for e in found if number is None or (e["detail"].get("number") == number)]

    def approved(self, number: int) -> int:
        """Dana says yes to the answer that waits at an issue; the number of the request."""
        with self.connect() as connection:
            ((request, digest),) = connection.execute(
                """select approvals.id, versions.payload_hash from ops.approvals as approvals
                   join ops.approval_versions as versions on versions.approval_id = approvals.id
                       and versions.version = approvals.version
                   where kind = 'work_order' and state = 'draft' and subject like %s""",
                (f"{REPOSITORY}#{number}:%",),
            ).fetchall()
            self.office.inbox.approve(
                connection, request, shown=digest, person=DANA, key=f"yes:{request}", now=self.clock()
            )  # fmt: skip
            connection.commit()
        return int(request)

    # Our side -----------------------------------------------------------------------------------------------

    def orders(self, condition: str = "true") -> list[WorkOrder]:
        from ops_platform.work_orders.rows import orders

        with self.connect() as connection:
            return orders(connection, condition)

    def order(self, number: int) -> WorkOrder:
        from ops_platform.work_orders.rows import of_issue

        with self.connect() as connection:
            found = of_issue(connection, REPOSITORY, number)
        assert found is not None, f"there is no order of issue {number}"
        return found

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query.encode(), values).fetchall()


def an_answer(work: WorkOrder, *, words: str = "Cash is enough.", **more: Any) -> Answer:
    """A finished answer of one sentence."""
    day = AT.date()
    title = rich(f"Answer of {work.agent}")
    document = Document(
        kind="work_answer", period=Period(day, day, ""), as_of=AT, summary=title,
        blocks=(Title(title), Paragraph(rich(words))), claims=(), evidence="", writer="rules",
    )  # fmt: skip
    fleet = get_fleet()
    company = CompanyProfile(fleet.company.name, fleet.company.timezone, fleet.company.currency)
    bundle = Bundle("work_answer", Period(day, day, ""), AT, company, (), {})
    given: dict[str, Any] = {"tokens": 0, "cost": Decimal(0), "note": "rules"}
    return Answer(document, bundle, markdown.render(document), **{**given, **more})


def github_of(environment: dict[str, str]) -> tuple[Any, Any]:
    """The product's writing and reading clients, against the sandbox; they wait for nothing."""
    from resources.github.client import GitHubClient
    from resources.github.issues import IssueReading
    from resources.github.writing import GitHubWriter
    from resources.http import HttpClient

    def client(token: str) -> GitHubClient:
        http = HttpClient("github", environment["GITHUB_BASE_URL"], sleep=lambda _: None)
        return GitHubClient(http, SecretStr(token))

    return GitHubWriter(client(environment["GITHUB_WRITE_TOKEN"])), IssueReading(client(environment["GITHUB_TOKEN"]))


def office_on(
    connect: Connect, environment: dict[str, str], clock: Clock, *, log: Callable[[str], None] = lambda line: None
) -> Office:
    """An office whose agents answer in a word."""
    writer, reader = github_of(environment)

    def intake(whole: bool) -> tuple[list[Received], list[str]]:
        received = take_deliveries(connect, POLICY, reader, [REPOSITORY], at=clock())
        problems = []
        for polled in poll(connect, POLICY, reader, [REPOSITORY], at=clock()) if whole else ():
            received += polled.received
            problems += [polled.error] if polled.error else []
        return received, problems

    return Office(
        connect=connect, policy=POLICY, fleet=get_fleet(), inbox=inbox_of(get_fleet(), lambda role: f"C-{role}"),
        github=writer, answering=lambda work, connection: an_answer(work), intake=intake, now=clock, log=log,
        settle=timedelta(0), patience=5.0, sleep=lambda seconds: None, simulated=True,
    )  # fmt: skip


def world_on(sandbox: Any, connect: Connect, at: datetime) -> World:
    """An office on a sandbox that is running, from `at` on: what happened there before is no work of it."""
    clock = Clock(at, sandbox.clock.set)
    clock.set(at)
    made = World(sandbox, office_on(connect, sandbox.environment(), clock), clock, connect)

    def answering(work: WorkOrder, connection: psycopg.Connection[Any]) -> Answer:
        made.answered.append((work.number, work.attempt))
        found = made.behave(work) if made.behave is not None else None
        return found or an_answer(work)

    made.office = replace(made.office, answering=answering, log=made.lines.append)
    with connect() as connection:
        connection.execute(
            "insert into ops.work_repositories (repository, polled_to, polled_at) values (%s, %s, %s)"
            " on conflict (repository) do update set polled_to = excluded.polled_to, etag = null",
            (REPOSITORY, at - timedelta(seconds=1), at),
        )
    return made


@contextmanager
def sandbox_at(at: datetime, state: Path) -> Iterator[Any]:
    """A sandbox of one's own."""
    from sandbox.server import running

    with running(seed=7, clock=at, state=state, netsuite_key="ec") as sandbox:
        yield sandbox


TABLES = (
    "work_answers", "work_artefacts", "work_effects", "work_notices", "work_gates", "work_checks", "work_tickets",
    "work_violations", "work_assessments", "work_suggestions", "work_clock", "work_attempts", "work_decisions",
    "work_orders", "work_issues", "work_deliveries", "work_repositories", "work_agents", "work_reviews",
    "outbox", "approvals",
)  # fmt: skip


def emptied(connect: Connect, tables: Sequence[str] = TABLES) -> None:
    """Forget everything, as only a replica may: the record refuses to be emptied."""
    with connect() as connection:
        names = ", ".join(f"ops.{name}" for name in tables)
        connection.execute("set session_replication_role = replica")
        connection.execute(f"truncate {names} restart identity cascade".encode())
        connection.commit()


def without_waiting() -> None:
    os.environ.pop("OPS_FAILPOINT", None)
