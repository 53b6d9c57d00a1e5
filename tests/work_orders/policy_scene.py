"""A small repository on paper: issues, who labels them, what GitHub would send of it.

Belongs here: webhook payloads and listings of issues that a test describes, and the shipped policy. Does not belong
here: what must come of them (the tests), the sandbox's GitHub (`sandbox/github`), which speaks HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ops_platform.records import JsonObject
from ops_platform.work_orders.intake import Changed, Elsewhere
from ops_platform.work_orders.model import IssueSeen, Received
from ops_platform.work_orders.policy import POLICY_FILE, WorkPolicy, load_policy
from ops_platform.work_orders.receiving import receive
from ops_platform.work_orders.sights import of_webhook
from tests.conftest import Connect

REPOSITORY = "northbeam/operations"
START = datetime(2026, 11, 16, 14, 0, tzinfo=UTC)  # a Monday, 09:00 in New York
POLICY: WorkPolicy = load_policy(POLICY_FILE)
PERMISSIONS = {"boss": "admin", "triager": "triage", "writer": "write", "outsider": "read", "lucasmeyer": "write"}


def moment(text: datetime) -> str:
    return text.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Issue:
    """One issue with its past; each method is something that happens to it, at `world.now`."""

    world: World
    number: int
    author: str
    title: str
    body: str
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    state: str = "open"
    created_at: datetime = START
    updated_at: datetime = START
    timeline: list[JsonObject] = field(default_factory=list)
    gone: str = ""

    def payload(self) -> JsonObject:
        return {
            "id": 9_000_000 + self.number, "node_id": f"I_{self.number}", "number": self.number, "title": self.title,
            "body": self.body, "state": self.state, "state_reason": None, "user": {"login": self.author},
            "labels": [{"name": name} for name in self.labels],
            "assignees": [{"login": name} for name in self.assignees],
            "created_at": moment(self.created_at), "updated_at": moment(self.updated_at),
            "url": f"https://api.github.com/repos/{REPOSITORY}/issues/{self.number}",
        }  # fmt: skip

    def _event(self, action: str, actor: str, *, timeline: str = "", **more: Any) -> JsonObject:
        self.updated_at = self.world.now
        if timeline:
            detail = {key: value for key, value in more.items() if key in ("label", "rename")}
            self.timeline.append(
                {"event": timeline, "actor": {"login": actor}, "created_at": moment(self.world.now), **detail}
            )
        event = {
            "action": action, "issue": self.payload(), "sender": {"login": actor},
            "repository": {"full_name": REPOSITORY, "id": 811_300_202}, **more,
        }  # fmt: skip
        self.world.sent.append(event)
        return event

    def label(self, name: str, by: str = "boss") -> JsonObject:
        self.labels.append(name)
        return self._event("labeled", by, timeline="labeled", label={"name": name})

    def unlabel(self, name: str, by: str = "boss") -> JsonObject:
        self.labels.remove(name)
        return self._event("unlabeled", by, timeline="unlabeled", label={"name": name})

    def edit(self, body: str, by: str) -> JsonObject:
        before, self.body = self.body, body
        return self._event("edited", by, changes={"body": {"from": before}})

    def assign(self, to: str, by: str = "boss") -> JsonObject:
        self.assignees.append(to)
        return self._event("assigned", by, timeline="assigned")

    def close(self, by: str = "boss") -> JsonObject:
        self.state = "closed"
        return self._event("closed", by, timeline="closed")

    def reopen(self, by: str = "boss") -> JsonObject:
        self.state = "open"
        return self._event("reopened", by, timeline="reopened")

    def delete(self, by: str = "boss") -> JsonObject:
        self.gone = "deleted"
        return self._event("deleted", by)

    def transfer(self, to: str = "northbeam/elsewhere", by: str = "boss") -> JsonObject:
        self.gone = to
        changes = {"new_issue": {"number": 3}, "new_repository": {"full_name": to}}
        return self._event("transferred", by, changes=changes)


@dataclass
class World:
    """The repository. `sent` are the webhooks, in the order in which things happened."""

    now: datetime = START
    issues: dict[int, Issue] = field(default_factory=dict)
    sent: list[JsonObject] = field(default_factory=list)
    permissions: dict[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    asked: list[str] = field(default_factory=list)
    broken: Exception | None = None
    first: int = 1

    def tick(self, **passed: float) -> World:
        self.now += timedelta(**passed)
        return self

    def open(
        self, author: str = "outsider", *, title: str = "Refund rate", body: str = "Why did it rise?",
        labels: Sequence[str] = (),
    ) -> Issue:  # fmt: skip
        issue = Issue(
            self,
            len(self.issues) + self.first,
            author,
            title,
            body,
            list(labels),
            created_at=self.now,
            updated_at=self.now,
        )
        self.issues[issue.number] = issue
        for name in labels:
            issue.timeline.append(
                {
                    "event": "labeled", "actor": {"login": author}, "created_at": moment(self.now),
                    "label": {"name": name},
                }
            )  # fmt: skip
        issue._event("opened", author)
        return issue

    def holds(self, repository: str, login: str) -> bool:
        return self.permissions.get(login) in POLICY.intake.authorised.permissions

    # What intake asks GitHub --------------------------------------------------------------------------------

    def repository(self, name: str) -> tuple[str, int]:
        if self.broken is not None:
            raise self.broken
        return name, 811_300_202

    def permission(self, repository: str, login: str) -> str:
        self.asked.append(f"permission {login}")
        if self.broken is not None:
            raise self.broken
        return self.permissions.get(login, "none")

    def changed(self, repository: str, since: datetime | None, etag: str) -> Changed | None:
        self.asked.append("changed")
        if self.broken is not None:
            raise self.broken
        tag = str(hash(tuple((each.number, each.updated_at) for each in self.issues.values())))
        if tag == etag:
            return None
        found = [each for each in self.issues.values() if not each.gone]
        found = [each for each in found if (each.state == "open" if since is None else each.updated_at >= since)]
        found.sort(key=lambda each: (each.updated_at, each.number))
        return Changed([each.payload() for each in found], tag)

    def issue(self, repository: str, number: int) -> JsonObject | Elsewhere:
        self.asked.append(f"issue {number}")
        found = self.issues[number]
        if found.gone:
            return Elsewhere(None if found.gone == "deleted" else f"{found.gone}#3")
        return found.payload()

    def timeline(self, repository: str, number: int) -> Sequence[JsonObject]:
        self.asked.append(f"timeline {number}")
        return list(self.issues[number].timeline)


def seen(world: World, event: JsonObject) -> IssueSeen:
    """What intake reads out of a webhook, after it went over the wire."""
    return of_webhook(json.loads(json.dumps(event)), world.holds, world.now)


def take(warehouse: Connect, world: World, event: JsonObject, policy: WorkPolicy = POLICY) -> Received:
    with warehouse() as connection:
        return receive(connection, seen(world, event), policy, at=world.now)


def take_all(warehouse: Connect, world: World) -> list[Received]:
    """Everything that was sent and not taken in yet."""
    events, world.sent = world.sent, []
    return [take(warehouse, world, event) for event in events]


def rows(warehouse: Connect, query: str, *parameters: Any) -> list[Any]:
    with warehouse() as connection:
        return connection.execute(query.encode(), parameters).fetchall()
