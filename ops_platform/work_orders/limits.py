"""What an agent may do at GitHub, and how much of it: allow-list and caps, as data.

Belongs here: the two models (role files and `work_orders.yaml` hold what fills them) and the judgement of one name,
path or branch. Does not belong here: cleaning text (`sanitising.py`), keeping and doing effects (`ledger.py`).

Some things no file can allow: a path that steers the repository itself (workflows, owners, hooks, modules), a branch
outside our own prefix, a merge. A role's patterns are looked at only after these.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:
    from ops_platform.work_orders.policy import Caps as HouseCaps

Kind = Literal[
    "comment", "labels", "close", "reopen", "assign", "artefact", "branch", "file", "pull_request", "issue"
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Every branch we make begins so; no other is ever written to.
BRANCH_PREFIX = "work/"
_BRANCH = re.compile(r"work/[0-9]{1,10}-[a-z0-9][a-z0-9-]{0,60}")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]{0,99}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,49}")
# Whatever a role allows: what runs code, decides who reviews, or changes how git reads the tree.
_NEVER_NAMES = frozenset({
    "codeowners", "dependabot.yml", "dependabot.yaml", "renovate.json", "makefile", "jenkinsfile", "action.yml",
    "action.yaml", "package.json", "pyproject.toml", "setup.py", "conftest.py", "uv.lock", "sitecustomize.py",
})  # fmt: skip
_NEVER_ENDINGS = (".sh", ".bash", ".ps1", ".bat", ".exe", ".pth", ".env")


class Caps(BaseModel):
    """The most of each kind for one work order, whatever it is tried again. Sizes are in bytes of UTF-8."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    comments: int = Field(default=8, ge=0, le=30)
    comment_bytes: int = Field(default=30_000, ge=500, le=60_000)
    label_changes: int = Field(default=20, ge=0, le=60)
    assignees: int = Field(default=3, ge=0, le=10)
    artefacts: int = Field(default=4, ge=0, le=20)
    artefact_bytes: int = Field(default=1_000_000, ge=1_000, le=10_000_000)
    branches: int = Field(default=1, ge=0, le=2)
    files: int = Field(default=12, ge=0, le=40)
    file_bytes: int = Field(default=100_000, ge=100, le=500_000)
    pull_requests: int = Field(default=1, ge=0, le=2)
    issues: int = Field(default=2, ge=0, le=10)
    effects: int = Field(default=60, ge=1, le=100)


class Allowance(BaseModel):
    """What one role may do. `labels`, `paths` and `assignees` are patterns as in a shell (`*` also spans `/`); `links`
    are hosts to which an answer may link by https. Empty means none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[Kind, ...] = ("comment",)
    labels: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    caps: Caps = Caps()

    @field_validator("links")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host):
                raise ValueError(f"{host!r} is no host such as docs.example.com")
        return value


def within(allowed: Allowance, house: HouseCaps) -> Allowance:
    """A role's allowance with every cap that the house's policy (`work_orders.yaml`) draws tighter."""
    caps = allowed.caps
    tighter = {
        "comments": house.comments, "comment_bytes": house.comment_characters, "effects": house.effects,
        "artefacts": house.artefacts, "artefact_bytes": house.artefact_bytes, "files": house.files,
        "file_bytes": house.file_bytes, "pull_requests": house.open_pull_requests,
    }  # fmt: skip
    narrowed = {name: min(getattr(caps, name), most) for name, most in tighter.items()}
    return allowed.model_copy(update={"caps": caps.model_copy(update=narrowed)})


#: What our own coordinator does around an agent's answer: states, the final comment, closing. No code, no pull request.
COORDINATOR = Allowance(
    kinds=("comment", "labels", "close", "reopen", "assign", "issue"),
    labels=("status/*", "manager/*", "sla/*", "agent/*", "priority/P[0-3]", "kind/*"),
    assignees=("*",),
    caps=Caps(comments=30, label_changes=60, issues=10, assignees=10, effects=100),
)


def label_refused(name: str, allowed: Allowance) -> str | None:
    """Why a label may not be set or taken, or None."""
    if not _LABEL.fullmatch(name):
        return "is no label's name"
    return None if _fits(name, allowed.labels) else "is not among the labels this role may change"


def assignee_refused(login: str, allowed: Allowance) -> str | None:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})", login):
        return "is no account's name"
    return None if _fits(login, allowed.assignees) else "is not among the people this role may assign"


def branch_refused(name: str, number: int) -> str | None:
    """Only `work/<the issue's number>-…`: so never a default or a protected branch, nor another order's."""
    if not _BRANCH.fullmatch(name) or not name.startswith(f"{BRANCH_PREFIX}{number}-"):
        return f"is not a branch of this order (work/{number}-…)"
    return None


def path_refused(path: str, allowed: Allowance) -> str | None:
    """Why a file may not be written, or None. Judged segment by segment, in any case of letters."""
    if len(path) > 300:
        return "is too long"
    segments = path.split("/")
    for segment in segments:
        # No empty, dotted or hidden segment, nothing outside ASCII, no space at an end: nothing that two systems read
        # differently.
        if not _SEGMENT.fullmatch(segment) or segment.endswith((" ", ".")) or "~" in segment:
            return "is no plain path of visible names"
    name = segments[-1].lower()
    if name in _NEVER_NAMES or name.endswith(_NEVER_ENDINGS):
        return "steers builds, reviews or tools: a person writes it"
    return None if _fits(path, allowed.paths) else "is not among the paths this role may write"


def _fits(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)
