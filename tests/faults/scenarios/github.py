"""GitHub: issues and pull requests, their comments, and the labels, of both repositories that are read.

Belongs here: what the tracker holds and how it changes. Does not belong here: when a sync is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.scenarios import Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.server import Sandbox


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def census(sandbox: Sandbox, stream: str) -> Held:
    held: Held = {}
    for repository in sandbox.sides["github"].tracker:  # type: ignore[attr-defined]
        if stream == "issues":
            issues = repository.issues.values()
            held |= {str(each.id): (_stamp(each.updated_at), each.title, each.state) for each in issues}
        elif stream == "comments":
            comments = repository.comments.values()
            held |= {str(each.id): (_stamp(each.updated_at), each.body) for each in comments}
        else:
            held |= {str(each.id): (each.name,) for each in repository.labels.values()}
    return held


def change(meanwhile: Meanwhile) -> None:
    step, draw = meanwhile.step, meanwhile.draw
    repository = draw.choice(list(meanwhile.sandbox.sides["github"].tracker))  # type: ignore[attr-defined]
    where = {"repository": repository.full_name}
    opened = meanwhile.mutate("github", "open_issue", title=f"Kill {step} <!channel> 工厂", body="…", **where)
    numbers = sorted(repository.issues)
    said = meanwhile.mutate("github", "comment", number=draw.choice(numbers), body=f"seen {step}", **where)
    meanwhile.mutate("github", "edit_issue", number=draw.choice(numbers), title=f"renamed {step}", **where)
    if step % 3 == 1:
        meanwhile.mutate("github", "close_issue", number=opened["number"], **where)
        meanwhile.mutate("github", "create_label", name=f"label-{step}", **where)
    if step % 3 == 2:
        meanwhile.mutate("github", "delete_comment", id=said["id"], **where)
        meanwhile.mutate("github", "delete_issue", number=opened["number"], **where)


SCENARIO = Scenario(
    "github",
    ("issues", "comments", "labels"),
    census,
    {
        "issues": "payload->>'updated_at', payload->>'title', payload->>'state'",
        "comments": "payload->>'updated_at', payload->>'body'",
        "labels": "payload->>'name'",
    },
    change,
    page_faults=("repeat_page", "empty_page", "short_page", "duplicate_rows"),
)
