"""Quality gates: judged on what real checks of a commit reported, on nothing else.

Belongs here: reading a figure out of a check, judging it against the policy, the record. Does not belong here: running
checks, asking GitHub for them (`resources.github`), minimums (`work_orders.yaml`).

A check that is missing, not finished, of another commit, or without one clear figure is not passed, and that is said.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform import clock
from ops_platform.failures import PermanentFailure
from ops_platform.work_orders.policy import WorkPolicy

if TYPE_CHECKING:
    import psycopg

_PERCENT = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{1,6})?) ?%")
_OF = re.compile(r"(?<![\d.,/])(\d{1,9}) ?(?:of|/|out of) ?(\d{1,9})(?![\d.,/])")
# A check that ended so did not measure.
VOID = ("cancelled", "timed_out", "action_required", "stale", "skipped", "startup_failure", "pending", "error")


@dataclass(frozen=True, slots=True)
class Check:
    """What one check reported of one commit. `value` in percent, None where it gave no one clear figure; `conclusion`
    is GitHub's word, None while it runs."""

    gate: str
    name: str
    sha: str
    source: str
    conclusion: str | None
    value: Decimal | None
    reported_at: datetime
    url: str | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    gate: str
    label: str
    minimum: Decimal
    value: Decimal | None
    passed: bool
    reason: str


def figure_in(text: str) -> Decimal | None:
    """The one figure of a check's words, in percent: `87.3 %`, or `412 of 420 passed`. None where there is none, more
    than one, or one beyond 100."""
    shares = {Decimal(number) for number in _PERCENT.findall(text)}
    if not shares:
        for part, whole in _OF.findall(text):
            if int(whole) == 0 or int(part) > int(whole):
                return None
            shares.add(Decimal(part) * 100 / Decimal(whole))
    if len(shares) != 1:
        return None
    value = shares.pop()
    return value if value <= 100 else None


def checks_of(
    sha: str, runs: Iterable[Mapping[str, Any]], statuses: Iterable[Mapping[str, Any]], policy: WorkPolicy
) -> list[Check]:
    """The checks that a gate asks for, out of GitHub's check runs and commit statuses of `sha`; of each the newest.
    Those of another commit are left out."""
    found: dict[tuple[str, str], Check] = {}

    def keep(name: str, source: str, conclusion: str | None, words: str, moment: Any, url: Any) -> None:
        reported_at = _moment(moment)
        if reported_at is None:
            return
        for gate, rule in policy.gates.items():
            if not any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in rule.checks):
                continue
            check = Check(
                gate,
                name,
                sha,
                source,
                conclusion,
                figure_in(words),
                reported_at,
                url if isinstance(url, str) else None,
            )
            known = found.get((gate, source))
            if known is None or known.reported_at <= reported_at:
                found[gate, source] = check

    for run in runs:
        if run.get("head_sha") != sha or not isinstance(run.get("name"), str):
            continue
        output = run.get("output")
        output = output if isinstance(output, dict) else {}
        app = run.get("app")
        slug = app.get("slug") if isinstance(app, dict) else None
        done = run.get("status") == "completed"
        keep(
            run["name"], f"check:{slug or 'unknown'}:{run['name']}", str(run.get("conclusion")) if done else None,
            str(output.get("title") or ""), run.get("completed_at") if done else run.get("started_at"),
            run.get("html_url"),
        )  # fmt: skip
    for status in statuses:
        name = status.get("context")
        if isinstance(name, str):
            keep(
                name, f"status:{name}", str(status.get("state")), str(status.get("description") or ""),
                status.get("updated_at"), status.get("target_url"),
            )  # fmt: skip
    return [found[key] for key in sorted(found)]


def judge(checks: Sequence[Check], sha: str, policy: WorkPolicy) -> list[GateResult]:
    """Every gate of the policy, in its order; pure. Of several checks for one gate the worst counts."""
    return [_judge_one(gate, [check for check in checks if check.gate == gate], sha, policy) for gate in policy.gates]


def _judge_one(gate: str, checks: list[Check], sha: str, policy: WorkPolicy) -> GateResult:
    rule = policy.gates[gate]

    def result(value: Decimal | None, reason: str) -> GateResult:
        passed = value is not None and value >= rule.minimum and reason == ""
        if value is not None and reason == "":
            comparison = "at least" if passed else "less than"
            reason = f"{_shown(value)} %, {comparison} {_shown(rule.minimum)} %"
        return GateResult(gate, rule.label, rule.minimum, value, passed, reason)

    mine = [check for check in checks if check.sha == sha]
    if not mine:
        if checks:
            return result(None, f"only checks of other commits: {sha[:12]} has none")
        return result(None, "no check reported it")
    worst: Decimal | None = None
    for check in mine:
        if check.conclusion is None:
            return result(None, f"{check.name} is not finished")
        if check.conclusion in VOID:
            return result(None, f"{check.name} ended {check.conclusion}: it measured nothing")
        if check.value is None:
            return result(None, f"{check.name} ({check.conclusion}) gave no clear figure")
        worst = check.value if worst is None else min(worst, check.value)
    return result(worst, "")


class CheckReader(Protocol):
    """What is asked of GitHub about checks."""

    def default_branch(self, repository: str) -> str: ...

    def checks(self, repository: str, ref: str) -> tuple[str, Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
        """The commit a branch stands at, its check runs and commit statuses."""
        ...


def look(
    connect: Callable[[], psycopg.Connection[Any]],
    reader: CheckReader,
    repository: str,
    policy: WorkPolicy,
    *,
    branches: Iterable[str] = (),
    work_id: int | None = None,
    at: datetime | None = None,
) -> dict[str, list[GateResult]]:
    """Ask GitHub what the checks of the default branch and of these branches report, remember it and judge it; the
    judgement by branch. A branch that is not there any more is left out. Raises `TransientFailure`."""
    judged: dict[str, list[GateResult]] = {}
    for branch in dict.fromkeys([reader.default_branch(repository), *branches]):
        try:
            sha, runs, statuses = reader.checks(repository, branch)
        except PermanentFailure as refused:
            if getattr(refused, "status", None) in (404, 409, 422):
                continue
            raise
        with connect() as connection:
            keep_checks(connection, repository, checks_of(sha, runs, statuses, policy), at=at)
            judged[branch] = judge(known_checks(connection, repository, sha), sha, policy)
            keep_judgement(connection, repository, sha, judged[branch], work_id=work_id, at=at)
            connection.commit()
    return judged


def keep_checks(
    connection: psycopg.Connection[Any], repository: str, checks: Iterable[Check], *, at: datetime | None = None
) -> None:
    """Remember what checks reported; a newer report of the same check replaces its older one."""
    now = at or clock.now()
    with connection.cursor() as cursor:
        cursor.executemany(
            """insert into ops.work_checks
                   (repository, sha, gate, name, value, conclusion, source, url, reported_at, seen_at)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
               on conflict (repository, sha, gate, source) do update
                   set name = excluded.name, value = excluded.value, conclusion = excluded.conclusion,
                       url = excluded.url, reported_at = excluded.reported_at, seen_at = excluded.seen_at
                   where work_checks.reported_at <= excluded.reported_at""",
            [
                (
                    repository.lower(), check.sha, check.gate, check.name, check.value, check.conclusion, check.source,
                    check.url, check.reported_at, now,
                )
                for check in checks
            ],
        )  # fmt: skip


def known_checks(connection: psycopg.Connection[Any], repository: str, sha: str) -> list[Check]:
    rows = connection.execute(
        """select gate, name, sha, source, conclusion, value, reported_at, url from ops.work_checks
           where repository = %s and sha = %s order by gate, source""",
        (repository.lower(), sha),
    )
    return [Check(*row) for row in rows]


def keep_judgement(
    connection: psycopg.Connection[Any],
    repository: str,
    sha: str,
    results: Iterable[GateResult],
    *,
    work_id: int | None = None,
    at: datetime | None = None,
) -> None:
    """Write a judgement down, where it differs from the last one of the same commit for the same order."""
    now = at or clock.now()
    with connection.cursor() as cursor:
        cursor.executemany(
            """insert into ops.work_gates (work_id, repository, sha, gate, minimum, value, passed, reason, at)
               select new.* from (
                   values (%s::bigint, %s, %s, %s, %s::numeric, %s::numeric, %s::boolean, %s, %s::timestamptz)
               ) as new (work_id, repository, sha, gate, minimum, value, passed, reason, at)
               where not exists (
                   select from (
                       select last.minimum, last.value, last.passed, last.reason from ops.work_gates as last
                       where last.repository = new.repository and last.sha = new.sha and last.gate = new.gate
                           and last.work_id is not distinct from new.work_id
                       order by last.id desc limit 1
                   ) as last
                   where (last.minimum, last.passed, last.reason) = (new.minimum, new.passed, new.reason)
                       and last.value is not distinct from new.value
               )""",
            [
                (work_id, repository.lower(), sha, one.gate, one.minimum, one.value, one.passed, one.reason, now)
                for one in results
            ],
        )


def _shown(value: Decimal) -> str:
    """To one place, rounded down: 79.96 % is not shown as 80."""
    shown = value.quantize(Decimal("0.1"), rounding="ROUND_FLOOR")
    return f"{shown:f}".removesuffix(".0")


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
