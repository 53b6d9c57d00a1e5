"""What a work order does to the outside: staged, checked, and only then done.

Belongs here: the kinds of effects and their payloads, checking them against allow-list and caps, staging. Does not
belong here: doing one (`ledger.py`), what counts as allowed (`limits.py`), cleaning text (`sanitising.py`).

Whoever answers a work order (a model, the rules) returns `StagedEffect`s and holds no credential. `stage` keeps what
may be done and refuses the rest, each with its reason as a row. `apply` (in `ledger.py`, offered here too) does each
once, by a client handed in.

    staging = stage(connection, work, [comment("result", text), close("close")], allowance)
    applied = apply(connection, work.id, github)
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ops_platform.work_orders import ledger, limits, policy_store, sanitising
from ops_platform.work_orders.ledger import Applied, apply
from ops_platform.work_orders.limits import COORDINATOR, KINDS, Allowance, Caps, Kind, within
from ops_platform.work_orders.policy import Scope, get_work_policy
from ops_platform.work_orders.staged import StagedEffect

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "COORDINATOR", "KINDS", "Allowance", "Applied", "Caps", "Kind", "Order", "Refused", "StagedEffect", "Staging",
    "apply", "artefact", "assign", "branch", "close", "comment", "file", "issue", "labels", "pull_request", "reopen",
    "stage", "within",
]  # fmt: skip

_ALL = "all"
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.:-]{0,59}$")]


class Order(Protocol):
    """What is needed of a work order; `round` counts how often the issue came anew."""

    @property
    def id(self) -> Any: ...
    @property
    def repository(self) -> str: ...
    @property
    def number(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Refused:
    """An effect that was not staged, and why."""

    kind: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Staging:
    """What `stage` kept (by name, in order), what it refused, what it cut out of texts (counts by what it was), and
    what had been done or begun before and stands as it was."""

    accepted: tuple[str, ...]
    refused: tuple[Refused, ...]
    cut: Mapping[str, int]
    standing: tuple[str, ...] = ()


# -- payloads ---------------------------------------------------------------------------------------------------


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Comment(_Payload):
    """`replaces` names an earlier comment of the order whose text becomes this one. `meta` is small, flat and kept in
    the hidden marker, where recovery reads it."""

    body: str = Field(min_length=1)
    replaces: Name | None = None
    meta: dict[str, str | int | bool | None] = Field(default_factory=dict, max_length=20)


class _Labels(_Payload):
    add: list[str] = Field(default_factory=list, max_length=20)
    remove: list[str] = Field(default_factory=list, max_length=20)


class _Close(_Payload):
    reason: Literal["completed", "not_planned"] = "completed"


class _Reopen(_Payload):
    pass


class _Assign(_Payload):
    logins: list[str] = Field(min_length=1, max_length=10)


class _Artefact(_Payload):
    filename: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    media_type: Literal[
        "text/markdown", "text/plain", "text/csv", "application/json", "application/pdf", "image/png"
    ] = "text/markdown"  # fmt: skip
    content: str = Field(min_length=1)
    encoding: Literal["text", "base64"] = "text"


class _Branch(_Payload):
    branch: str


class _File(_Payload):
    branch: str
    path: str
    content: str


class _PullRequest(_Payload):
    branch: str
    title: str = Field(min_length=1)
    body: str = Field(min_length=1)


class _Issue(_Payload):
    title: str = Field(min_length=1)
    body: str = Field(min_length=1)
    labels: list[str] = Field(default_factory=list, max_length=10)


_SHAPES: dict[str, type[_Payload]] = {
    "comment": _Comment, "labels": _Labels, "close": _Close, "reopen": _Reopen, "assign": _Assign,
    "artefact": _Artefact, "branch": _Branch, "file": _File, "pull_request": _PullRequest, "issue": _Issue,
}  # fmt: skip


def comment(
    name: str, body: str, *, meta: Mapping[str, str | int | bool | None] | None = None, replaces: str | None = None
) -> StagedEffect:
    """A comment in Markdown; its text is cleaned and marked when staged."""
    return StagedEffect("comment", name, {"body": body, "meta": dict(meta or {}), "replaces": replaces})


def labels(name: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> StagedEffect:
    return StagedEffect("labels", name, {"add": list(add), "remove": list(remove)})


def close(name: str, reason: Literal["completed", "not_planned"] = "completed") -> StagedEffect:
    return StagedEffect("close", name, {"reason": reason})


def reopen(name: str) -> StagedEffect:
    return StagedEffect("reopen", name, {})


def assign(name: str, logins: Sequence[str]) -> StagedEffect:
    return StagedEffect("assign", name, {"logins": list(logins)})


def artefact(
    name: str, filename: str, content: str, *, media_type: str = "text/markdown", encoding: str = "text"
) -> StagedEffect:
    """A file kept with the order (`ops.work_artefacts`); bytes as base64 with that `encoding`."""
    given = {"filename": filename, "content": content, "media_type": media_type, "encoding": encoding}
    return StagedEffect("artefact", name, given)


def branch(name: str, branch_name: str) -> StagedEffect:
    """A branch from the tip of the default branch. `branch_name` is `work/<issue number>-words`."""
    return StagedEffect("branch", name, {"branch": branch_name})


def file(name: str, branch_name: str, path: str, content: str) -> StagedEffect:
    """A text file written on a branch that the same order stages."""
    return StagedEffect("file", name, {"branch": branch_name, "path": path, "content": content})


def pull_request(name: str, branch_name: str, title: str, body: str) -> StagedEffect:
    """A draft pull request of the branch into the default branch. Nothing here merges."""
    return StagedEffect("pull_request", name, {"branch": branch_name, "title": title, "body": body})


def issue(name: str, title: str, body: str, *, labels: Sequence[str] = ()) -> StagedEffect:
    return StagedEffect("issue", name, {"title": title, "body": body, "labels": list(labels)})


# -- staging ----------------------------------------------------------------------------------------------------


def mark_of(work: Order, name: str) -> str:
    """What recognises an effect at GitHub: the same after a restore, unlike any other's."""
    text = f"{work.repository.lower()}#{work.number}/{getattr(work, 'round', 1)}:{name}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def stage(
    connection: psycopg.Connection[Any],
    work: Order,
    effects: Sequence[StagedEffect],
    allowed: Allowance = COORDINATOR,
    *,
    staged_by: str = "coordinator",
) -> Staging:
    """Check and keep effects, in the caller's transaction. What was staged under a name and not begun is replaced;
    what was begun or done stands. Refusals are rows too (`ops.work_effects`, state `refused`)."""
    kept: list[str] = []
    refused: list[Refused] = []
    standing: list[str] = []
    cut: Counter[str] = Counter()
    attempt = int(getattr(work, "attempt", 0))
    before = ledger.of_order(connection, work.id)
    spent = _spent(before, {each.name for each in effects}, staged_by)
    branches = {row.payload["branch"] for row in before if row.kind == "branch" and row.state != "refused"}
    for effect in effects:
        try:
            here: Counter[str] = Counter()
            payload = _checked(effect, work, allowed, spent, branches, here)
            _by_the_rules(connection, effect, payload, work)
        except _No as no:
            refused.append(Refused(str(effect.kind)[:40], str(effect.name)[:60], str(no)))
            ledger.refuse(connection, work.id, effect, str(no), staged_by, attempt=attempt)
            continue
        mark = mark_of(work, effect.name)
        cut.update(here)
        if ledger.keep(connection, work.id, effect, payload, mark, staged_by, attempt=attempt, cut=+here):
            kept.append(effect.name)
        else:
            standing.append(effect.name)
    return Staging(tuple(kept), tuple(refused), dict(cut), tuple(standing))


class _No(Exception):
    """Why an effect is not staged."""


def _by_the_rules(
    connection: psycopg.Connection[Any], effect: StagedEffect, payload: Mapping[str, Any], work: Order
) -> None:
    """Raises `_No` where a rule of the policy forbids what the text says (a secret, a card, code that runs text)."""
    words = [payload[part] for part in ("title", "body", "content") if isinstance(payload.get(part), str)]
    if not words or payload.get("encoding") == "base64":
        return
    text = "\n".join(words)
    scope: Scope = "file" if effect.kind == "file" else "answer"
    rules = get_work_policy().policy_store
    found = policy_store.assess(text, scope, rules)
    if found.violations:
        subject = f"{effect.kind} {effect.name} of {work.repository}#{work.number}"
        policy_store.keep(connection, subject, text, scope, rules, work_id=work.id)
    if found.action in ("hold", "block"):
        raise _No(f"breaks a rule: {', '.join(each.rule for each in found.violations)}")


def _spent(before: Sequence[Any], again: set[str], staged_by: str) -> Counter[str]:
    """How much of each cap the order's earlier effects used; those staged anew now count when they come."""
    spent: Counter[str] = Counter()
    for row in before:
        if row.state != "refused" and row.staged_by == staged_by and row.name not in again:
            spent[row.kind] += _weight(row.kind, row.payload)
            spent[_ALL] += 1
    return spent


def _weight(kind: str, payload: Mapping[str, Any]) -> int:
    if kind == "labels":
        return len(payload["add"]) + len(payload["remove"])
    return len(payload["logins"]) if kind == "assign" else 1


def _checked(
    effect: StagedEffect,
    work: Order,
    allowed: Allowance,
    spent: Counter[str],
    branches: set[str],
    cut: Counter[str],
) -> dict[str, Any]:
    """The payload as it will be sent. Raises `_No`."""
    if effect.kind not in _SHAPES or effect.kind not in allowed.kinds:
        raise _No("is a kind of effect this role may not have")
    if not isinstance(effect.name, str) or not sanitising.NAME.fullmatch(effect.name):
        raise _No("has no plain name")
    try:
        given = _SHAPES[effect.kind].model_validate(dict(effect.payload)).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        raise _No(f"is malformed: {'.'.join(str(part)[:40] for part in first['loc'])} {first['msg']}"[:200]) from None
    except (TypeError, ValueError):
        raise _No("is malformed") from None
    if spent[_ALL] >= allowed.caps.effects:
        raise _No(f"is beyond the {allowed.caps.effects} effects that one order may have")
    weight = _weight(effect.kind, given)
    most = _most(effect.kind, allowed.caps)
    if spent[effect.kind] + weight > most:
        raise _No(f"is more than the {most} that one order may have")
    cleaned = _cleaned(effect.kind, given, work, allowed, branches, cut)
    spent[effect.kind] += weight
    spent[_ALL] += 1
    if effect.kind == "branch":
        branches.add(cleaned["branch"])
    return cleaned


def _most(kind: str, caps: Caps) -> int:
    by_kind = {
        "comment": caps.comments, "labels": caps.label_changes, "close": 5, "reopen": 5, "assign": caps.assignees,
        "artefact": caps.artefacts, "branch": caps.branches, "file": caps.files, "pull_request": caps.pull_requests,
        "issue": caps.issues,
    }  # fmt: skip
    return by_kind[kind]


def _cleaned(
    kind: str, given: dict[str, Any], work: Order, allowed: Allowance, branches: set[str], cut: Counter[str]
) -> dict[str, Any]:
    def text(name: str, most: int) -> None:
        done = sanitising.markdown(given[name], links=allowed.links)
        cut.update(done.cut)
        _bounded(done.text, most)
        if not done.text.strip():
            raise _No(f"has no {name} left once cleaned")
        given[name] = done.text

    def line(name: str, most: int = 200) -> None:
        done = sanitising.one_line(given[name], most)
        cut.update(done.cut)
        if not done.text:
            raise _No(f"has no {name} left once cleaned")
        given[name] = done.text

    def all_of(values: Sequence[str], judge: Any) -> None:
        for value in values:
            why = judge(value, allowed)
            if why is not None:
                raise _No(f"{value[:60]!r} {why}")

    match kind:
        case "comment":
            text("body", allowed.caps.comment_bytes)
            given["meta"] = {sanitising.meta(key)[:40]: sanitising.meta(value) for key, value in given["meta"].items()}
        case "labels":
            all_of([*given["add"], *given["remove"]], limits.label_refused)
            if not given["add"] and not given["remove"]:
                raise _No("changes nothing")
        case "assign":
            all_of(given["logins"], limits.assignee_refused)
        case "artefact":
            given["content"] = _artefact(given, allowed, cut)
        case "branch":
            if (why := limits.branch_refused(given["branch"], work.number)) is not None:
                raise _No(f"{given['branch'][:60]!r} {why}")
        case "file":
            _own_branch(given["branch"], branches)
            if (why := limits.path_refused(given["path"], allowed)) is not None:
                raise _No(f"{given['path'][:80]!r} {why}")
            done = sanitising.file_text(given["content"])
            cut.update(done.cut)
            _bounded(done.text, allowed.caps.file_bytes)
            given["content"] = done.text
        case "pull_request":
            _own_branch(given["branch"], branches)
            line("title")
            text("body", allowed.caps.comment_bytes)
        case "issue":
            line("title")
            text("body", allowed.caps.comment_bytes)
            all_of(given["labels"], limits.label_refused)
    return given


def _own_branch(name: str, branches: set[str]) -> None:
    if name not in branches:
        raise _No(f"{name[:60]!r} is not a branch that this order makes")


def _bounded(text: str, most: int) -> None:
    if len(text.encode()) > most:
        raise _No(f"is longer than {most} bytes")


def _artefact(given: Mapping[str, Any], allowed: Allowance, cut: Counter[str]) -> str:
    import base64
    import binascii

    content = str(given["content"])
    if given["encoding"] == "base64":
        try:
            size = len(base64.b64decode(content, validate=True))
        except (binascii.Error, ValueError):
            raise _No("is not base64") from None
        if size > allowed.caps.artefact_bytes:
            raise _No(f"is longer than {allowed.caps.artefact_bytes} bytes")
        return content
    done = sanitising.file_text(content)
    cut.update(done.cut)
    _bounded(done.text, allowed.caps.artefact_bytes)
    return done.text
