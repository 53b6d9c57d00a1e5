"""Answers to work orders of high priority: read by the manager, closed only after a yes.

Belongs here: the payload of such a request, what is shown of it, what a yes writes. Does not belong here: when it is
asked and what follows a yes or a no at GitHub (`ops_platform.work_orders.manager`), how the answer was made.

    {"work": 12, "attempt": 1, "repository": "o/r", "number": 7, "title": …, "priority": "P1", "agent": "ai-finance",
     "body_hash": …, "answer": …, "answer_hash": …, "asked": 1,
     "effects": [{"kind": "file", "name": …, "payload": {…}}]}

The payload names the answer: the attempt that gave it, and the hash of the issue's title and body then. Where another
answer stands at the issue since, or the issue's words changed, a yes does nothing. `asked` counts how often this answer
was put up: once more where nobody decided in time. `effects` are what a yes pushes: a branch, its files, a draft pull
request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.approvals.subjects import Revised, Shown, Text
from ops_platform.documents.model import Block, Divider, Heading, KeyFigure, KeyFigures, Quote, Quoted, rich
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.approvals.model import Approval, Payload, Person

KIND = "work_order"
ANSWER_MOST = 20_000
#: Of the answer, so much is shown where it is decided on; the whole stands at the issue.
SHOWN_MOST = 6_000
_NUMBERS = ("work", "attempt", "number", "asked")
_TEXTS = ("repository", "title", "priority", "agent", "body_hash", "answer", "answer_hash")


def payload(
    *,
    work: int,
    attempt: int,
    repository: str,
    number: int,
    title: str,
    priority: str,
    agent: str,
    body_hash: str,
    answer: str,
    asked: int = 1,
    effects: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What the manager is asked about: exactly this answer to exactly this issue. Raises `DataFailure`."""
    answer = answer.replace("\x00", "")[:ANSWER_MOST]
    made = {
        "work": work, "attempt": attempt, "repository": repository, "number": number,
        "title": title.replace("\x00", "")[:200], "priority": priority, "agent": agent, "body_hash": body_hash,
        "answer": answer, "answer_hash": hashlib.sha256(answer.encode()).hexdigest(), "asked": asked,
        "effects": [dict(each) for each in effects],
    }  # fmt: skip
    _check(made)
    return made


@dataclass(frozen=True, slots=True)
class WorkOrderSubject:
    """Implements `Subject` for answers to work orders."""

    def shown(self, connection: psycopg.Connection[Any], payload: Payload) -> Shown:
        _check(payload)
        figures = (
            KeyFigure("Issue", rich(Quoted(f"{payload['repository']}#{payload['number']}"))),
            KeyFigure("Priority", rich(payload["priority"])),
            KeyFigure("Answered by", rich(Quoted(payload["agent"]), f", attempt {payload['attempt']}")),
        )
        answer = payload["answer"]
        blocks: list[Block] = [
            Divider(), KeyFigures(figures), Heading(rich(Quoted(payload["title"]))), Divider(),
            *(Quote(part) for part in _parts(answer[:SHOWN_MOST])),
        ]  # fmt: skip
        if len(answer) > SHOWN_MOST:
            blocks.append(Heading(rich("The whole answer stands at the issue.")))
        pushed = payload["effects"]
        if pushed:
            blocks += [Divider(), Heading(rich("What a yes pushes"))]
            blocks += [Quote(_pushed(each)) for each in pushed]
        effect = (
            "pushes what is shown as a draft and closes the issue as done" if pushed else "closes the issue as done"
        )
        return Shown(tuple(blocks), effect, yes="Accept the answer", no="Needs revision")

    def texts(self, connection: psycopg.Connection[Any], payload: Payload) -> Mapping[str, Text]:
        return {}

    def revised(
        self, connection: psycopg.Connection[Any], payload: Payload, texts: Mapping[str, str], by: Person
    ) -> Revised:
        raise DataFailure("an answer is not edited: say that it needs revision, and why")

    def execute(self, connection: psycopg.Connection[Any], approval: Approval, now: datetime) -> str:
        _check(approval.payload)
        given = approval.payload
        row = connection.execute(
            # The answer of an attempt that died is posted by the next one: what counts is which answer stands there.
            """update ops.work_orders as orders set manager = 'approved', updated_at = %s
               where id = %s and body_hash = %s and phase = 'answered' and %s = (
                   select attempt from ops.work_answers where work_id = orders.id and state = 'posted'
                   order by id desc limit 1
               ) returning id""",
            (now, given["work"], given["body_hash"], given["attempt"]),
        ).fetchone()
        if row is None:
            raise DataFailure(
                f"{given['repository']}#{given['number']} has moved on since this answer: nothing is closed by it"
            )
        pushed = " once its branch is pushed" if given["effects"] else ""
        return f"Accepted: {given['repository']}#{given['number']} is closed as done{pushed}."


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def _pushed(effect: Mapping[str, Any]) -> str:
    """An effect as people read it: a file whole, as far as a message can hold it."""
    given = effect["payload"]
    told = {
        "branch": lambda: f"branch {given.get('branch')}",
        "file": lambda: f"{given.get('path')} ({len(str(given.get('content')))} characters)\n{given.get('content')}",
        "pull_request": lambda: f"draft pull request: {given.get('title')}\n{given.get('body')}",
        "issue": lambda: f"issue: {given.get('title')}\n{given.get('body')}",
    }
    return told.get(str(effect["kind"]), lambda: f"{effect['kind']} {effect['name']}")()[:2_500]


def _check(payload: Payload) -> None:
    """Raises `DataFailure` where this is no answer that could be decided on."""
    if not all(isinstance(payload.get(name), str) and payload[name] for name in _TEXTS):
        raise DataFailure("an answer to decide on names its issue, its agent and what was answered")
    if not all(isinstance(payload.get(name), int) and payload[name] > 0 for name in _NUMBERS):
        raise DataFailure("an answer to decide on names its order, its attempt and its issue's number")
    pushed = payload.get("effects")
    if not isinstance(pushed, list) or not all(
        isinstance(each, Mapping) and each.get("kind") and each.get("name") and isinstance(each.get("payload"), Mapping)
        for each in pushed
    ):
        raise DataFailure("what a yes pushes needs a kind, a name and what it is")
    if hashlib.sha256(payload["answer"].encode()).hexdigest() != payload["answer_hash"]:
        raise DataFailure("the answer is not the one that its hash is of")
